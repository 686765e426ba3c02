//! Faults against the chapter `levels`.

use crate::Mutant;
use crate::seam::wire;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::server(
    "a-group-is-passed-over",
    "levels.capability.unclaimed-is-rejected",
    "A server that does not know groups takes each member of one by itself.",
    |parts| {
        wire::requests(parts, "/push", |body| {
            let mutations = body.pointer_mut("/mutations").and_then(serde_json::Value::as_array_mut);
            for mutation in mutations.into_iter().flatten() {
                mutation.as_object_mut().map(|mutation| mutation.remove("group"));
            }
        })
    },
)];
