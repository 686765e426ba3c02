//! Faults against the chapter `parents`.

use crate::Mutant;
use crate::seam::device_wire;
use fieldsync_conformance::subject::reference::DeviceParts;
use serde_json::{Value, json};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "what-a-record-refers-to-is-not-asked",
        "parents.order.after-its-parent",
        "The device pushes type by type, and does not ask what became of the record that another one refers to.",
        |parts| types(parts, |types| types.iter_mut().for_each(|entry| entry["parents"] = json!([]))),
    ),
    Mutant::device(
        "types-go-in-any-order",
        "parents.order.before-its-parent",
        "The device deletes the records of one type after the other, without asking which refers to which.",
        |parts| {
            types(parts, |types| {
                types.iter_mut().for_each(|entry| entry["parents"] = json!([]));
                types.reverse();
            })
        },
    ),
];

/// Lets the device see other types than the session has.
fn types(parts: DeviceParts, change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> DeviceParts {
    device_wire::every_body(parts, move |_, body| {
        if let Some(types) = body.pointer_mut("/registry/types").and_then(Value::as_array_mut) {
            change(types);
        }
    })
}
