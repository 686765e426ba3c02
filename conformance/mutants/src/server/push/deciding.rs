//! Faults about what becomes of a mutation.

use super::changed;
use crate::seam::effects::{around_decide, change_outcomes, commits, outcomes};
use fieldsync_core::conflict::{Collision, Side, entry};
use fieldsync_core::push::{Asked, Decision, ReadMutation};
use fieldsync_core::store::State;
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{Outcome, OutcomeKind, PushAnswer, Refusal};
use fieldsync_server::Parts;

pub(super) fn one_refusal_undoes_the_batch(parts: Parts) -> Parts {
    commits(parts, |_, commit| {
        let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        let Some(problem) = answer.outcomes.into_iter().find_map(|outcome| outcome.problem) else { return };
        commit.states.clear();
        change_outcomes(commit, |outcomes| {
            for outcome in outcomes {
                reject(outcome, problem.clone());
            }
        });
    })
}

pub(super) fn reject(outcome: &mut Outcome, problem: Refusal) {
    *outcome = Outcome {
        mutation_id: outcome.mutation_id.clone(),
        outcome: OutcomeKind::Rejected,
        rev: None,
        version: None,
        record: None,
        conflicts: Vec::new(),
        problem: Some(problem),
    };
}

pub(super) fn every_change_is_logged(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let earlier = loaded.states.clone();
        let mut decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &mut decision {
            let log = |state: &State| {
                let lost = Side::of(earlier.get(&state.record)?);
                let rev = Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
                Some(entry(&state.record, Collision::whole(None, lost, Side::of(state)), rev, ground.now))
            };
            let entries: Vec<State> = commit.states.iter().filter_map(log).collect();
            commit.states.extend(entries);
        }
        Ok(decision)
    })
}

pub(super) fn an_unknown_base_is_taken_for_current(parts: Parts) -> Parts {
    around_decide(parts, |batch, mut loaded, ground, decide| {
        for asked in batch.mutations.iter().filter_map(ReadMutation::change) {
            let (Some(base), Some(state)) = (&asked.base, loaded.states.get_mut(&asked.record)) else { continue };
            if !loaded.bases.contains_key(base) {
                state.rev = base.clone();
            }
        }
        decide(batch, loaded, ground)
    })
}

pub(super) fn the_last_of_two_mutations_stays(parts: Parts) -> Parts {
    commits(parts, |batch, commit| {
        let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        let twice = |outcome: &Outcome| {
            outcome.problem.as_ref().is_some_and(|problem| problem.code == ProblemCode::RecordTwice)
        };
        for outcome in answer.outcomes.iter().filter(|outcome| twice(outcome)) {
            let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
            let Some(asked) = read.and_then(ReadMutation::change) else { continue };
            for state in commit.states.iter_mut().filter(|state| state.record == asked.record) {
                *state = changed(state, |record| record.data = asked.data.clone());
            }
        }
    })
}

pub(super) fn an_unknown_type_is_taken(parts: Parts) -> Parts {
    outcomes(parts, |outcomes| {
        for outcome in outcomes {
            if outcome.problem.as_ref().is_some_and(|problem| problem.code == ProblemCode::UnknownType) {
                outcome.outcome = OutcomeKind::Applied;
                outcome.rev = Rev::new(format!("aside-{}", outcome.mutation_id)).ok();
                outcome.version = Some(Version::FIRST);
                outcome.problem = None;
            }
        }
    })
}

/// Lets the rules see another version of the records that a batch changes.
pub(super) fn seen_version(parts: Parts, see: impl Fn(&Asked, &State) -> Option<u64> + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        for asked in batch.mutations.iter().filter_map(ReadMutation::change) {
            let Some(state) = loaded.states.get_mut(&asked.record) else { continue };
            if let Some(version) = see(asked, state).and_then(|version| Version::new(version).ok()) {
                state.version = version;
            }
        }
        decide(batch, loaded, ground)
    })
}

pub(super) fn a_version_may_stay_as_it_is(parts: Parts) -> Parts {
    seen_version(parts, |asked, state| {
        (asked.base.as_ref() == Some(&state.rev) && asked.version <= state.version).then(|| asked.version.get() - 1)
    })
}

pub(super) fn only_a_create_may_not_leap(parts: Parts) -> Parts {
    seen_version(parts, |asked, state| {
        (asked.version.get() > state.version.get() + 10_000).then(|| asked.version.get() - 1)
    })
}
