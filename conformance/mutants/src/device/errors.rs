//! Faults against the chapter `errors`.

use crate::Mutant;
use crate::seam::device_wire;
use fieldsync_schemas::problem::ProblemCode;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "an-unknown-problem-is-final",
    "errors.code.unknown-goes-by-retry+2",
    "The device gives up after a problem whose code it does not know.",
    |parts| {
        device_wire::every_body(parts, |_, body| {
            let code = body["code"].as_str().map(ProblemCode::from);
            if let Some(ProblemCode::Other(_)) = code {
                body["retry"] = json!("never");
            }
        })
    },
)];
