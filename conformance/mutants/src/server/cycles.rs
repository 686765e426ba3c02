//! Faults against the chapter `cycles`.

use crate::Mutant;
use crate::seam::effects;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::server(
    "a-replica-does-not-get-its-own-writes",
    "cycles.converge.equal-states",
    "A server leaves out of a pull what the asking replica wrote, although another device may have its id.",
    |parts| {
        effects::around_pull(
            parts,
            |_| {},
            |request, answer| {
                for page in answer["feeds"].as_array_mut().into_iter().flatten() {
                    let own = json!(request.replica);
                    if let Some(changes) = page["changes"].as_array_mut() {
                        changes.retain(|change| change["record"]["replica"] != own);
                    }
                }
            },
        )
    },
)];
