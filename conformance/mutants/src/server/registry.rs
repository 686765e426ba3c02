//! Faults against the chapter `registry`.

use crate::Mutant;
use crate::seam::wire;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "types-stand-in-any-order",
        "registry.types.in-order",
        "A type that refers to another one is listed before it.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                if body["registry"]["types"][0].is_object() {
                    body["registry"]["types"][0]["parents"] = json!([{"type": "observation", "field": "last_seen"}]);
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
                if let Some(types) = body.pointer_mut("/registry/types").and_then(serde_json::Value::as_array_mut) {
                    types.retain(|entry| entry["name"] != "conflict");
                }
            })
        },
    ),
];
