//! Faults against the chapter `levels`.

use crate::Mutant;
use crate::seam::device_wire;
use serde_json::Value;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "an-unknown-capability-stops-the-sync",
    "levels.capability.unknown-is-ignored",
    "The device does not sync with a server that can do something it has not heard of.",
    |parts| {
        device_wire::every_answer(parts, |_, answer| {
            let known = ["password-login", "token-refresh", "roles", "horizon"];
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let claimed = body["capabilities"].as_array().cloned().unwrap_or_default();
            let fits = claimed.iter().all(|one| known.iter().any(|known| one == known));
            if fits { Ok(()) } else { Err("the server has an unknown capability") }
        })
    },
)];
