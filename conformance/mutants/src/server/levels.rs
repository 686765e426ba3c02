//! Faults against the chapter `levels`.

use crate::Mutant;
use crate::seam::effects::outcomes;
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::OutcomeKind;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::server(
    "what-is-not-known-is-passed-over",
    "levels.capability.unclaimed-is-rejected+2",
    "A mutation that needs what the server does not know is answered as if it were applied.",
    |parts| {
        outcomes(parts, |outcomes| {
            for outcome in outcomes {
                if outcome.problem.as_ref().is_some_and(|problem| problem.code == ProblemCode::UnsupportedCapability) {
                    outcome.outcome = OutcomeKind::Applied;
                    outcome.rev = Rev::new(format!("aside-{}", outcome.mutation_id)).ok();
                    outcome.version = Some(Version::FIRST);
                    outcome.problem = None;
                }
            }
        })
    },
)];
