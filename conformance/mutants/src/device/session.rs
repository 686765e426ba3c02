//! Faults against the chapter `session`.

use crate::Mutant;
use crate::seam::transport;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_schemas::scenario::CallKind;
use serde_json::Value;
use std::sync::Mutex;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "the-session-is-fetched-once",
    "session.tag.refetched",
    "The tag in an answer to a push or a pull is not looked at.",
    the_session_is_fetched_once,
)];

/// Every answer seems to carry the tag that the device knows.
fn the_session_is_fetched_once(parts: DeviceParts) -> DeviceParts {
    let known = Mutex::new(Value::Null);
    transport::bodies(parts, move |kind, body| {
        let mut known = known.lock().expect("nobody panics with it");
        match kind {
            CallKind::Session => *known = body["tag"].clone(),
            CallKind::Push | CallKind::Pull if body["session"].is_string() => body["session"] = known.clone(),
            _ => {}
        }
    })
}
