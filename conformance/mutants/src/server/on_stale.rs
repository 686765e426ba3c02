//! Faults of a server that merges.

use super::fields::with_registry;
use super::push::changed;
use crate::Mutant;
use crate::seam::effects::{change_outcomes, commits};
use fieldsync_core::push::ReadMutation;
use fieldsync_core::store::Commit;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::push::{OutcomeKind, PushAnswer};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "merging-is-left-to-the-device",
        "merge.on-stale.merged",
        "A server says that it merges, and sends everything on an old base back.",
        |parts| {
            with_registry(parts, |registry| {
                registry.types.iter_mut().for_each(|entry| entry.merge.on_stale = None);
            })
        },
    ),
    Mutant::server(
        "what-was-merged-has-the-pushed-version",
        "merge.on-stale.counts-on",
        "What a server merged is stored with the version that was pushed, though the current state has it, too.",
        |parts| {
            commits(parts, |batch, commit| {
                let asked = batch.mutations.iter().filter_map(ReadMutation::change);
                for asked in asked.filter(|_| has_merged(commit)).collect::<Vec<_>>() {
                    let of_it = commit.states.iter_mut().filter(|state| state.record == asked.record);
                    of_it.for_each(|state| *state = changed(state, |record| record.version = asked.version));
                }
            })
        },
    ),
    Mutant::server(
        "what-a-server-overrides-is-forgotten",
        "merge.on-stale.logged",
        "A server merges, and tells nobody what was overridden.",
        |parts| {
            commits(parts, |_, commit| {
                if has_merged(commit) {
                    commit.states.retain(|state| state.record.type_name.as_str() != CONFLICT_TYPE);
                    change_outcomes(commit, |outcomes| {
                        outcomes.iter_mut().for_each(|outcome| outcome.conflicts.clear());
                    });
                }
            })
        },
    ),
];

fn has_merged(commit: &Commit) -> bool {
    let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
    answer.outcomes.iter().any(|outcome| outcome.outcome == OutcomeKind::Merged)
}
