//! Faults against the chapter `session`.

use crate::Mutant;
use crate::seam::device_wire;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_schemas::scenario::CallKind;
use serde_json::Value;
use std::sync::Mutex;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "the-session-is-fetched-once",
        "session.tag.refetched",
        "The tag in an answer to a push or a pull is not looked at.",
        the_session_is_fetched_once,
    ),
    Mutant::device(
        "whoever-logs-in-owns-the-store",
        "session.principal.store-bound",
        "Nobody looks at whose session it is.",
        whoever_logs_in_owns_the_store,
    ),
];

/// Every session seems to be of the principal who was there first.
fn whoever_logs_in_owns_the_store(parts: DeviceParts) -> DeviceParts {
    let first = Mutex::new(Value::Null);
    device_wire::every_body(parts, move |kind, body| {
        let mut first = first.lock().expect("nobody panics with it");
        if kind == CallKind::Session && first.is_null() {
            *first = body["principal"].clone();
        }
        if kind == CallKind::Session {
            body["principal"] = first.clone();
        }
    })
}

/// Every answer seems to carry the tag that the device knows.
fn the_session_is_fetched_once(parts: DeviceParts) -> DeviceParts {
    let known = Mutex::new(Value::Null);
    device_wire::every_body(parts, move |kind, body| {
        let mut known = known.lock().expect("nobody panics with it");
        match kind {
            CallKind::Session => *known = body["tag"].clone(),
            CallKind::Push | CallKind::Pull if body["session"].is_string() => body["session"] = known.clone(),
            _ => {}
        }
    })
}
