//! Faults against the chapter `push`.

mod again;
mod deciding;
mod later;
mod reading;

use crate::Mutant;
use crate::seam::effects::{around_decide, commits, outcomes};
use crate::seam::storage::faulty;
use fieldsync_core::data::content_hash;
use fieldsync_core::store::{Loaded, State};
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::record::Record;
use std::collections::HashMap;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "the-last-outcome-is-left-out",
        "push.outcome.each-its-own",
        "The answer to a batch of several mutations lacks the outcome of the last one.",
        |parts| {
            outcomes(parts, |outcomes| {
                if outcomes.len() > 1 {
                    outcomes.pop();
                }
            })
        },
    ),
    Mutant::server(
        "one-refusal-undoes-the-batch",
        "push.outcome.bad-one-blocks-none",
        "One refused mutation makes the server refuse the whole batch.",
        deciding::one_refusal_undoes_the_batch,
    ),
    Mutant::server(
        "an-unreadable-mutation-refuses-the-batch",
        "push.outcome.unreadable-is-rejected",
        "A mutation that cannot be read is answered with a problem for the whole batch.",
        reading::an_unreadable_mutation_refuses_the_batch,
    ),
    Mutant::server(
        "outcomes-name-a-rev-of-their-own",
        "push.outcome.names-the-state",
        "Outcomes name a rev that is not the one of the published state.",
        |parts| {
            outcomes(parts, |outcomes| {
                for rev in outcomes.iter_mut().filter_map(|outcome| outcome.rev.as_mut()) {
                    *rev = Rev::new(format!("{rev}-pushed")).expect("a rev and a few letters are a rev");
                }
            })
        },
    ),
    Mutant::server(
        "superseded-keeps-the-winner-to-itself",
        "push.outcome.superseded-brings-winner",
        "A superseded mutation is answered without the record that won.",
        |parts| outcomes(parts, |outcomes| outcomes.iter_mut().for_each(|outcome| outcome.record = None)),
    ),
    Mutant::server(
        "rejected-says-nothing",
        "push.outcome.rejected-says-why",
        "A rejected mutation is answered without a reason.",
        |parts| outcomes(parts, |outcomes| outcomes.iter_mut().for_each(|outcome| outcome.problem = None)),
    ),
    Mutant::server(
        "a-repetition-says-duplicate",
        "push.retry.same-outcome",
        "A batch that comes again is answered with duplicate for what was applied.",
        again::a_repetition_says_duplicate,
    ),
    Mutant::server(
        "a-repetition-writes-again",
        "push.retry.applied-once",
        "A batch that comes again gets its old answer, and is written once more.",
        again::a_repetition_writes_again,
    ),
    Mutant::server(
        "a-repetition-is-logged-as-a-conflict",
        "push.retry.no-self-conflict",
        "A batch that comes again gets its old answer, and a conflict of the device with itself is logged.",
        again::a_repetition_is_logged_as_a_conflict,
    ),
    Mutant::server(
        "the-second-copy-is-fenced",
        "push.retry.at-the-same-time",
        "A copy that comes within a second of the first one is refused.",
        again::the_second_copy_is_fenced,
    ),
    Mutant::server(
        "a-number-is-drawn-with-each-attempt",
        "merge.sequence.once",
        "A batch that comes again draws new numbers for the records that it made.",
        again::a_repetition_draws_again,
    ),
    Mutant::server(
        "decided-mutations-are-forgotten",
        "push.id.decided-keeps-outcome",
        "A decided mutation that comes in another batch is decided again.",
        |parts| {
            around_decide(parts, |batch, loaded, ground, decide| {
                decide(batch, Loaded { decided: HashMap::new(), ..loaded }, ground)
            })
        },
    ),
    Mutant::server(
        "only-the-id-is-compared",
        "push.id.reused-is-rejected",
        "A known mutation id gets its stored outcome, whatever the mutation says.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                for read in &batch.mutations {
                    if let Some(known) = loaded.decided.get_mut(&read.mutation_id) {
                        known.content = read.content;
                    }
                }
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "ids-are-shared-by-all-accounts",
        "push.id.own-to-principal",
        "Replicas and mutation ids are looked up without regard to the account.",
        again::ids_are_shared_by_all_accounts,
    ),
    Mutant::server(
        "a-known-seq-is-a-repetition",
        "push.fence.cloned-replica",
        "The last seq gets the last answer, whatever the body says.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                if let Some(row) = &mut loaded.replica {
                    row.body = batch.body;
                }
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "batches-come-in-any-order",
        "push.fence.out-of-order",
        "A known replica may go on with any other seq, whatever answer it had.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                loaded.replica = loaded.replica.and_then(|row| match batch.seq == row.seq {
                    true => Some(row),
                    false => again::before(batch),
                });
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "an-unknown-replica-goes-on",
        "push.fence.unknown-replica",
        "A replica that the server does not know may begin with any seq.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                loaded.replica = loaded.replica.or_else(|| again::before(batch));
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "every-change-is-logged",
        "push.base.current-applies",
        "A change of the current state is logged as a conflict with it.",
        deciding::every_change_is_logged,
    ),
    Mutant::server(
        "an-unknown-base-is-taken-for-current",
        "push.base.unknown-is-not-current",
        "A base that the server does not know counts as the current state.",
        deciding::an_unknown_base_is_taken_for_current,
    ),
    Mutant::server(
        "an-update-makes-the-record",
        "push.record.unknown-is-rejected",
        "An update of a record that the server does not know makes it.",
        reading::an_update_makes_the_record,
    ),
    Mutant::server(
        "the-last-of-two-mutations-stays",
        "push.record.twice-is-rejected",
        "Of two mutations of one record in a batch both are applied.",
        deciding::the_last_of_two_mutations_stays,
    ),
    Mutant::server(
        "an-unknown-type-is-taken",
        "push.type.unknown-is-rejected",
        "A mutation of an unknown type is answered with applied and put aside.",
        deciding::an_unknown_type_is_taken,
    ),
    Mutant::server(
        "a-version-may-stay-as-it-is",
        "push.version.above-base",
        "A change of the current state is taken with a version that is not above it.",
        deciding::a_version_may_stay_as_it_is,
    ),
    Mutant::server(
        "only-a-create-may-not-leap",
        "push.version.no-leap",
        "The version of an update may be as high as the device likes.",
        deciding::only_a_create_may_not_leap,
    ),
    Mutant::server(
        "a-large-batch-is-cut",
        "push.batch.over-limit",
        "Of a batch above the limit the first mutations are taken and the others dropped.",
        reading::a_large_batch_is_cut,
    ),
    Mutant::server(
        "nameless-mutations-are-passed-over",
        "push.batch.malformed",
        "A mutation without a readable id is dropped, and the rest of the batch applied.",
        reading::nameless_mutations_are_passed_over,
    ),
    Mutant::server(
        "the-last-state-comes-later",
        "push.atomic.outcome-and-data",
        "The last state of a batch becomes visible with the batch after it.",
        |parts| faulty(parts, later::LastStateLater::default()),
    ),
    Mutant::server(
        "written-behind-the-answer",
        "push.durable.survives-kill",
        "A batch is answered from memory, and written when something is read next: only the end of the process shows it.",
        |parts| faulty(parts, later::WrittenBehind::default()),
    ),
    Mutant::server(
        "updates-are-answered-and-dropped",
        "push.durable.acknowledged-is-kept",
        "An update is answered with applied, and its state is dropped.",
        |parts| commits(parts, |_, commit| commit.states.retain(|state| state.version == Version::FIRST)),
    ),
];

/// The state with its published record changed.
pub(super) fn changed(state: &State, change: impl FnOnce(&mut Record)) -> State {
    let mut record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
    change(&mut record);
    State::published(state.feed.clone(), content_hash(record.data.as_deref(), &record.attachments), record)
}
