//! Faults against the chapter `registry`.

use crate::Mutant;
use crate::seam::device_wire;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "what-a-type-requires-is-passed-over",
    "registry.requires.type-left-out+3",
    "The device syncs a type without asking what it requires.",
    |parts| {
        device_wire::every_body(parts, |_, body| {
            let types = body.pointer_mut("/registry/types").and_then(serde_json::Value::as_array_mut);
            for entry in types.into_iter().flatten() {
                entry["requires"] = json!([]);
            }
        })
    },
)];
