//! Faults against the chapter `groups`.

use crate::Mutant;
use crate::seam::effects::{commits, outcomes};
use fieldsync_core::push::ReadMutation;
use fieldsync_core::store::State;
use fieldsync_schemas::id::{FeedName, Rev};
use fieldsync_schemas::push::{OutcomeKind, PushAnswer};
use fieldsync_schemas::record::Record;
use fieldsync_server::Parts;
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "half-a-group-is-stored",
        "groups.whole.nothing-of-it",
        "What was skipped with its group is stored all the same.",
        skipped_is_stored,
    ),
    Mutant::server(
        "others-of-a-group-are-refused",
        "groups.whole.others-are-skipped",
        "With one mutation of a group the others are refused for good.",
        |parts| {
            outcomes(parts, |outcomes| {
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.outcome == OutcomeKind::Skipped) {
                    outcome.outcome = OutcomeKind::Rejected;
                }
            })
        },
    ),
    Mutant::server(
        "group-is-decided-one-by-one",
        "groups.circle.others-are-there",
        "Each mutation of a group is decided by itself.",
        |mut parts| {
            let read = parts.rules.read_push.clone();
            parts.rules.read_push = Arc::new(move |body, limits, registry| {
                let mut batch = read(body, limits, registry)?;
                batch.mutations.iter_mut().for_each(|mutation| mutation.group = None);
                Ok(batch)
            });
            parts
        },
    ),
];

fn skipped_is_stored(parts: Parts) -> Parts {
    commits(parts, |batch, commit| {
        let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        for outcome in answer.outcomes.iter().filter(|outcome| outcome.outcome == OutcomeKind::Skipped) {
            let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
            let Some(asked) = read.and_then(ReadMutation::change) else { continue };
            let Ok(feed) = FeedName::new(asked.record.type_name.as_str()) else { continue };
            let record = Record {
                type_name: asked.record.type_name.clone(),
                id: asked.record.id.clone(),
                rev: Rev::new(format!("half-{}", outcome.mutation_id)).expect("an id is visible ASCII"),
                version: asked.version,
                modified_at: asked.modified_at,
                claimed_at: None,
                accepted_at: commit.at,
                replica: Some(batch.replica.clone()),
                deleted: false,
                data: asked.data.clone(),
                attachments: Vec::new(),
            };
            commit.states.push(State::published(feed, asked.content, record));
        }
    })
}
