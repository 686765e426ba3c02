//! Faults against the chapter `push`.

use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes, commits, outcomes};
use crate::seam::storage::{StorageFault, faulty};
use fieldsync_core::conflict::{Side, entry};
use fieldsync_core::data::content_hash;
use fieldsync_core::problem::Trouble;
use fieldsync_core::push::{Asked, Batch, Decision, Ground};
use fieldsync_core::store::{Commit, DataSetName, Decided, Loaded, ReplicaRow, State, Touched};
use fieldsync_schemas::id::{MutationId, ReplicaId, Rev, Seq, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind, PushAnswer, Refusal};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::session::Limits;
use fieldsync_server::Parts;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
        one_refusal_undoes_the_batch,
    ),
    Mutant::server(
        "an-unreadable-mutation-refuses-the-batch",
        "push.outcome.unreadable-is-rejected",
        "A mutation that cannot be read is answered with a problem for the whole batch.",
        an_unreadable_mutation_refuses_the_batch,
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
        a_repetition_says_duplicate,
    ),
    Mutant::server(
        "a-repetition-writes-again",
        "push.retry.applied-once",
        "A batch that comes again gets its old answer, and is written once more.",
        a_repetition_writes_again,
    ),
    Mutant::server(
        "a-repetition-is-logged-as-a-conflict",
        "push.retry.no-self-conflict",
        "A batch that comes again gets its old answer, and a conflict of the device with itself is logged.",
        a_repetition_is_logged_as_a_conflict,
    ),
    Mutant::server(
        "the-second-copy-is-fenced",
        "push.retry.at-the-same-time",
        "A copy that comes within a second of the first one is refused.",
        the_second_copy_is_fenced,
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
        ids_are_shared_by_all_accounts,
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
                    false => before(batch),
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
                loaded.replica = loaded.replica.or_else(|| before(batch));
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "every-change-is-logged",
        "push.base.current-applies",
        "A change of the current state is logged as a conflict with it.",
        every_change_is_logged,
    ),
    Mutant::server(
        "an-unknown-base-is-taken-for-current",
        "push.base.unknown-is-not-current",
        "A base that the server does not know counts as the current state.",
        an_unknown_base_is_taken_for_current,
    ),
    Mutant::server(
        "an-update-makes-the-record",
        "push.record.unknown-is-rejected",
        "An update of a record that the server does not know makes it.",
        an_update_makes_the_record,
    ),
    Mutant::server(
        "the-last-of-two-mutations-stays",
        "push.record.twice-is-rejected",
        "Of two mutations of one record in a batch both are applied.",
        the_last_of_two_mutations_stays,
    ),
    Mutant::server(
        "an-unknown-type-is-taken",
        "push.type.unknown-is-rejected",
        "A mutation of an unknown type is answered with applied and put aside.",
        an_unknown_type_is_taken,
    ),
    Mutant::server(
        "a-version-may-stay-as-it-is",
        "push.version.above-base",
        "A change of the current state is taken with a version that is not above it.",
        a_version_may_stay_as_it_is,
    ),
    Mutant::server(
        "only-a-create-may-not-leap",
        "push.version.no-leap",
        "The version of an update may be as high as the device likes.",
        only_a_create_may_not_leap,
    ),
    Mutant::server(
        "a-large-batch-is-cut",
        "push.batch.over-limit",
        "Of a batch above the limit the first mutations are taken and the others dropped.",
        a_large_batch_is_cut,
    ),
    Mutant::server(
        "nameless-mutations-are-passed-over",
        "push.batch.malformed",
        "A mutation without a readable id is dropped, and the rest of the batch applied.",
        nameless_mutations_are_passed_over,
    ),
    Mutant::server(
        "the-last-state-comes-later",
        "push.atomic.outcome-and-data",
        "The last state of a batch becomes visible with the batch after it.",
        |parts| faulty(parts, LastStateLater::default()),
    ),
    Mutant::server(
        "answered-before-it-is-written",
        "push.durable.survives-kill",
        "A batch is answered when it is decided, and written with the batch after it.",
        |parts| faulty(parts, WrittenLater::default()),
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

/// What the server would know of the replica if this batch were its next.
fn before(batch: &Batch) -> Option<ReplicaRow> {
    Some(ReplicaRow {
        replica: batch.replica.clone(),
        seq: Seq::new(batch.seq.get() - 1).ok()?,
        token: batch.previous.clone()?,
        body: [0; 32],
        answer: Arc::from("{}"),
    })
}

/// Puts a commit of these states in the place of a repetition, with the same answer.
fn repetitions(
    parts: Parts,
    states: impl Fn(&Loaded, Ground<'_>) -> Vec<State> + Send + Sync + 'static,
) -> Parts {
    around_decide(parts, move |batch, loaded, ground, decide| {
        let again = states(&loaded, ground);
        let row = loaded.replica.clone();
        Ok(match (decide(batch, loaded, ground)?, row) {
            (Decision::Replay(answer), Some(row)) => Decision::Commit(Commit {
                data_set: ground.data_set.clone(),
                principal: ground.principal.clone(),
                at: ground.now,
                states: again,
                decided: Vec::new(),
                replica: ReplicaRow { answer, ..row },
            }),
            (decision, _) => decision,
        })
    })
}

fn a_repetition_writes_again(parts: Parts) -> Parts {
    repetitions(parts, |loaded, ground| {
        let again = |record: &mut Record| {
            record.rev = Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
            record.version = record.version.next();
        };
        loaded.states.values().map(|state| changed(state, again)).collect()
    })
}

fn a_repetition_is_logged_as_a_conflict(parts: Parts) -> Parts {
    repetitions(parts, |loaded, ground| {
        let rev = || Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
        let log = |state: &State| entry(&state.record, None, Side::of(state), Side::of(state), rev(), ground.now);
        loaded.states.values().map(log).collect()
    })
}

fn a_repetition_says_duplicate(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let decision = decide(batch, loaded, ground)?;
        let Decision::Replay(answer) = &decision else { return Ok(decision) };
        let mut answer: PushAnswer = serde_json::from_str(answer).expect("the core wrote it");
        for outcome in answer.outcomes.iter_mut().filter(|outcome| outcome.outcome == OutcomeKind::Applied) {
            outcome.outcome = OutcomeKind::Duplicate;
        }
        Ok(Decision::Replay(Arc::from(serde_json::to_string(&answer).expect("an answer is plain JSON"))))
    })
}

fn the_second_copy_is_fenced(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let fresh = loaded.states.values().any(|state| ground.now.as_millis() - state.accepted_at.as_millis() < 1000);
        match decide(batch, loaded, ground)? {
            Decision::Replay(_) if fresh => {
                Err(Trouble::new(ProblemCode::ReplicaFenced, "this batch is being worked on"))
            }
            decision => Ok(decision),
        }
    })
}

fn one_refusal_undoes_the_batch(parts: Parts) -> Parts {
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

fn reject(outcome: &mut Outcome, problem: Refusal) {
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

fn an_unreadable_mutation_refuses_the_batch(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let batch = read(body, limits, registry)?;
        for refusal in batch.mutations.iter().filter_map(|read| read.asked.as_ref().err()) {
            if refusal.code == ProblemCode::Malformed {
                return Err(Trouble::new(ProblemCode::Malformed, refusal.detail.clone()));
            }
        }
        Ok(batch)
    });
    parts
}

fn a_large_batch_is_cut(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, &Limits { batch_mutations: u32::MAX, ..limits.clone() }, registry)?;
        batch.mutations.truncate(limits.batch_mutations as usize);
        Ok(batch)
    });
    parts
}

fn nameless_mutations_are_passed_over(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        read(body, limits, registry).or_else(|trouble| {
            let Ok(mut tree) = serde_json::from_slice::<Value>(body) else { return Err(trouble) };
            let Some(mutations) = tree.get_mut("mutations").and_then(Value::as_array_mut) else { return Err(trouble) };
            mutations.retain(|mutation| {
                mutation["mutation_id"].as_str().is_some_and(|id| MutationId::new(id).is_ok())
            });
            read(tree.to_string().as_bytes(), limits, registry)
        })
    });
    parts
}

fn an_update_makes_the_record(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, limits, registry)?;
        for asked in batch.mutations.iter_mut().filter_map(|read| read.asked.as_mut().ok()) {
            if asked.op == MutationOp::Update {
                asked.op = MutationOp::Create;
            }
        }
        Ok(batch)
    });
    parts
}

/// What the server remembers, without regard to who asks.
#[derive(Default)]
struct Shared {
    replicas: HashMap<(DataSetName, ReplicaId), ReplicaRow>,
    decided: HashMap<(DataSetName, MutationId), Decided>,
}

fn ids_are_shared_by_all_accounts(parts: Parts) -> Parts {
    let shared = Mutex::new(Shared::default());
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let data_set = || ground.data_set.clone();
        let replica = (data_set(), batch.replica.clone());
        loaded.replica = shared.replicas.get(&replica).cloned();
        for read in &batch.mutations {
            if let Some(decided) = shared.decided.get(&(data_set(), read.mutation_id.clone())) {
                loaded.decided.insert(read.mutation_id.clone(), decided.clone());
            }
        }
        let decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &decision {
            shared.replicas.insert(replica, commit.replica.clone());
            let decided = commit.decided.iter().map(|one| ((data_set(), one.mutation_id.clone()), one.clone()));
            shared.decided.extend(decided);
        }
        Ok(decision)
    })
}

fn every_change_is_logged(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let earlier = loaded.states.clone();
        let mut decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &mut decision {
            let log = |state: &State| {
                let lost = Side::of(earlier.get(&state.record)?);
                let rev = Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
                Some(entry(&state.record, None, lost, Side::of(state), rev, ground.now))
            };
            let entries: Vec<State> = commit.states.iter().filter_map(log).collect();
            commit.states.extend(entries);
        }
        Ok(decision)
    })
}

fn an_unknown_base_is_taken_for_current(parts: Parts) -> Parts {
    around_decide(parts, |batch, mut loaded, ground, decide| {
        for asked in batch.mutations.iter().filter_map(|read| read.asked.as_ref().ok()) {
            let (Some(base), Some(state)) = (&asked.base, loaded.states.get_mut(&asked.record)) else { continue };
            if !loaded.bases.contains_key(base) {
                state.rev = base.clone();
            }
        }
        decide(batch, loaded, ground)
    })
}

fn the_last_of_two_mutations_stays(parts: Parts) -> Parts {
    commits(parts, |batch, commit| {
        let answer: PushAnswer = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        let twice = |outcome: &Outcome| {
            outcome.problem.as_ref().is_some_and(|problem| problem.code == ProblemCode::RecordTwice)
        };
        for outcome in answer.outcomes.iter().filter(|outcome| twice(outcome)) {
            let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
            let Some(asked) = read.and_then(|read| read.asked.as_ref().ok()) else { continue };
            for state in commit.states.iter_mut().filter(|state| state.record == asked.record) {
                *state = changed(state, |record| record.data = asked.data.clone());
            }
        }
    })
}

fn an_unknown_type_is_taken(parts: Parts) -> Parts {
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
fn seen_version(
    parts: Parts,
    see: impl Fn(&Asked, &State) -> Option<u64> + Send + Sync + 'static,
) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        for asked in batch.mutations.iter().filter_map(|read| read.asked.as_ref().ok()) {
            let Some(state) = loaded.states.get_mut(&asked.record) else { continue };
            if let Some(version) = see(asked, state).and_then(|version| Version::new(version).ok()) {
                state.version = version;
            }
        }
        decide(batch, loaded, ground)
    })
}

fn a_version_may_stay_as_it_is(parts: Parts) -> Parts {
    seen_version(parts, |asked, state| {
        (asked.base.as_ref() == Some(&state.rev) && asked.version <= state.version).then(|| asked.version.get() - 1)
    })
}

fn only_a_create_may_not_leap(parts: Parts) -> Parts {
    seen_version(parts, |asked, state| {
        (asked.version.get() > state.version.get() + 10_000).then(|| asked.version.get() - 1)
    })
}

/// Keeps the last of several states back until the data set's next commit.
#[derive(Default)]
struct LastStateLater {
    kept_back: Mutex<HashMap<DataSetName, State>>,
}

impl StorageFault for LastStateLater {
    fn commits(&self, commits: &mut Vec<Commit>) {
        let mut kept_back = self.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            let late = kept_back.remove(&commit.data_set);
            if commit.states.len() > 1 {
                kept_back.extend(commit.states.pop().map(|state| (commit.data_set.clone(), state)));
            }
            commit.states.splice(0..0, late);
        }
    }
}

/// Writes a commit when the next one comes. What is decided meanwhile knows of it.
#[derive(Default)]
struct WrittenLater {
    waiting: Mutex<Vec<Commit>>,
}

impl StorageFault for WrittenLater {
    fn loaded(&self, touched: &[Touched], loaded: &mut Vec<Loaded>) {
        for commit in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            touched.iter().zip(loaded.iter_mut()).for_each(|(touched, loaded)| loaded.absorb(touched, commit));
        }
    }

    fn commits(&self, commits: &mut Vec<Commit>) {
        std::mem::swap(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), commits);
    }
}
