//! Faults against the chapter `cycles`.

use crate::Mutant;
use crate::seam::effects;
use async_trait::async_trait;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::store::Snapshot;
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::registry::Profile;
use fieldsync_server::PullRule;
use serde_json::json;
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
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
    ),
    Mutant::server(
        "forms-come-in-their-turn",
        "cycles.order.reference-first",
        "A page fills up with what devices wrote while reference records have yet to come.",
        |mut parts| {
            parts.rules.pull = Arc::new(InTurn(parts.rules.pull.clone()));
            parts
        },
    ),
];

/// Answers pulls as under another profile.
struct InTurn(Arc<dyn PullRule>);

#[async_trait]
impl PullRule for InTurn {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        self.0.answer(request, Ground { profile: &Profile::VersionWins, ..ground }, snapshot).await
    }
}
