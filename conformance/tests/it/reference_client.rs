//! The reference device is judged as any client in Rust can be: in the tests of its own, one named test a scenario.

use fieldsync_conformance::harness;
use fieldsync_conformance::subject::client::Client;
use fieldsync_conformance::subject::reference::ReferenceDevices;
use std::convert::Infallible;
use std::sync::Arc;

fn main() -> std::process::ExitCode {
    harness::judge_client(async { Ok::<_, Infallible>(Arc::new(ReferenceDevices::default()) as Arc<dyn Client>) })
}
