//! Faults against the chapter `registry`.

use crate::Mutant;
use crate::seam::wire;
use serde_json::Value;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "types-stand-in-any-order",
        "registry.types.in-order",
        "The types are listed in the order in which they come to hand.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                if let Some(types) = body.pointer_mut("/registry/types").and_then(Value::as_array_mut) {
                    types.reverse();
                }
            })
        },
    ),
    Mutant::server(
        "the-conflict-log-is-not-listed",
        "registry.conflict.listed",
        "The registry names the types of the application only.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                if let Some(types) = body.pointer_mut("/registry/types").and_then(Value::as_array_mut) {
                    types.retain(|entry| entry["name"] != "conflict");
                }
            })
        },
    ),
];
