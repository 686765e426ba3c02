//! Faults against the chapter `parents`.

use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes, commits, outcomes};
use async_trait::async_trait;
use fieldsync_core::pull::{self, PullError};
use fieldsync_core::push::{Decision, ReadMutation};
use fieldsync_core::store::{Decided, Snapshot, Standing};
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind, PushAnswer};
use fieldsync_schemas::registry::OnDelete;
use fieldsync_server::{Parts, PullRule};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "child-stands-alone",
        "parents.missing.held",
        "A record is taken whether or not what it refers to is there.",
        every_parent_is_there,
    ),
    Mutant::server(
        "child-of-a-missing-parent-is-refused",
        "parents.missing.held",
        "A record whose parent is missing is refused for good, whatever its type says.",
        |parts| instead(parts, OutcomeKind::Held, ProblemCode::MissingParent, OutcomeKind::Rejected),
    ),
    Mutant::server(
        "child-of-nothing-is-held",
        "parents.missing.rejected",
        "A record whose parent is missing is held, whatever its type says.",
        |parts| instead(parts, OutcomeKind::Rejected, ProblemCode::MissingParent, OutcomeKind::Held),
    ),
    Mutant::server(
        "held-once-is-held-for-ever",
        "parents.missing.decided-anew",
        "A mutation that was held is remembered, and gets the same answer when it comes again.",
        what_was_held_is_kept,
    ),
    Mutant::server(
        "odd-reference-is-taken",
        "parents.reference.is-an-id",
        "A mutation that names its parent by what is no id is answered as if it were applied.",
        an_odd_reference_is_taken,
    ),
    Mutant::server(
        "child-of-a-refused-parent-is-refused",
        "parents.refused.skipped",
        "What refers to a record that the same batch failed to create is refused like it.",
        |parts| instead(parts, OutcomeKind::Skipped, ProblemCode::DependencyFailed, OutcomeKind::Rejected),
    ),
    Mutant::server(
        "child-of-a-deleted-parent-is-held",
        "parents.deleted.rejected",
        "A deleted parent is taken for one that has yet to come.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                loaded.parents.retain(|_, standing| *standing == Standing::Live);
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "parent-is-deleted-alone",
        "parents.children.keep-their-parent",
        "A record is deleted without asking who refers to it.",
        |parts| children_are_not_seen(parts, OnDelete::Reject),
    ),
    Mutant::server(
        "children-are-left-behind",
        "parents.children.go-along",
        "A record whose children should go with it is deleted, and they stay.",
        |parts| children_are_not_seen(parts, OnDelete::Cascade),
    ),
    Mutant::server(
        "children-go-without-a-trace",
        "parents.children.gone-are-logged",
        "What is deleted with its parent is not logged.",
        gone_is_not_logged,
    ),
    Mutant::server(
        "children-come-before-their-parents",
        "parents.pull.parents-first",
        "A page fills up with children while parents have yet to come.",
        |mut parts| {
            parts.rules.pull = Arc::new(NoParents(parts.rules.pull.clone()));
            parts
        },
    ),
];

fn every_parent_is_there(parts: Parts) -> Parts {
    around_decide(parts, |batch, mut loaded, ground, decide| {
        let asked = batch.mutations.iter().filter_map(ReadMutation::change);
        for reference in asked.flat_map(|asked| &asked.references) {
            loaded.parents.insert(reference.parent.clone(), Standing::Live);
        }
        decide(batch, loaded, ground)
    })
}

/// Another outcome in the place of one that has this code.
fn instead(parts: Parts, from: OutcomeKind, code: ProblemCode, to: OutcomeKind) -> Parts {
    outcomes(parts, move |outcomes| {
        for outcome in outcomes {
            if outcome.outcome == from && outcome.problem.as_ref().is_some_and(|problem| problem.code == code) {
                outcome.outcome = to.clone();
            }
        }
    })
}

fn what_was_held_is_kept(parts: Parts) -> Parts {
    commits(parts, |batch, commit| {
        let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        let goes_again = |outcome: &&Outcome| matches!(outcome.outcome, OutcomeKind::Held | OutcomeKind::Skipped);
        for outcome in answer.outcomes.iter().filter(goes_again) {
            let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
            commit.decided.extend(read.map(|read| Decided {
                mutation_id: read.mutation_id.clone(),
                feed: None,
                content: read.content,
                outcome: serde_json::to_string(outcome).expect("an outcome is plain JSON").into(),
            }));
        }
    })
}

fn an_odd_reference_is_taken(parts: Parts) -> Parts {
    outcomes(parts, |outcomes| {
        for outcome in outcomes {
            let names_a_parent = |pointer: &String| pointer.starts_with("/data/");
            if outcome.problem.as_ref().is_some_and(|problem| {
                problem.code == ProblemCode::Malformed && problem.pointer.as_ref().is_some_and(names_a_parent)
            }) {
                outcome.outcome = OutcomeKind::Applied;
                outcome.rev = Rev::new(format!("aside-{}", outcome.mutation_id)).ok();
                outcome.version = Some(Version::FIRST);
                outcome.problem = None;
            }
        }
    })
}

fn children_are_not_seen(parts: Parts, on_delete: OnDelete) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        loaded.children.retain(|parent, _| {
            ground.registry.entry(&parent.type_name).is_none_or(|entry| entry.on_delete != on_delete)
        });
        decide(batch, loaded, ground)
    })
}

fn gone_is_not_logged(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let mut decision = decide(batch, loaded, ground)?;
        let deletes = |read: &ReadMutation| read.change().is_some_and(|asked| asked.op == MutationOp::Delete);
        if let Decision::Commit(commit) = &mut decision
            && batch.mutations.iter().any(deletes)
        {
            commit.states.retain(|state| state.record.type_name.as_str() != CONFLICT_TYPE);
            change_outcomes(commit, |outcomes| outcomes.iter_mut().for_each(|outcome| outcome.conflicts.clear()));
        }
        Ok(decision)
    })
}

/// Answers pulls by a registry in which no type has parents.
struct NoParents(Arc<dyn PullRule>);

#[async_trait]
impl PullRule for NoParents {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: pull::Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let mut registry = ground.registry.clone();
        registry.types.iter_mut().for_each(|entry| entry.parents.clear());
        registry.types.reverse();
        self.0.answer(request, pull::Ground { registry: &registry, ..ground }, snapshot).await
    }
}
