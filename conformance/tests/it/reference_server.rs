//! The reference server is judged as any server in Rust can be: in the tests of its own, one named test a scenario.

use fieldsync_conformance::harness;
use fieldsync_conformance::subject::reference::EmbeddedServer;

fn main() -> std::process::ExitCode {
    harness::judge_server(async {
        Ok::<_, String>(EmbeddedServer::start().await.map_err(|error| error.to_string())?.address())
    })
}
