//! Faults of a server of the profile `field-merge`: what it makes of patches, of old bases, and of a device's entries.

use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes, commits, outcomes};
use crate::seam::policy::instead_of;
use crate::seam::wire::requests;
use fieldsync_core::merge::apply;
use fieldsync_core::policy::{Contest, Ruling, field_merge};
use fieldsync_core::push::{Asked, Batch, ReadMutation};
use fieldsync_core::store::Decided;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind, PushAnswer, Refusal};
use fieldsync_schemas::record::{Data, Record};
use fieldsync_schemas::registry::{FieldRuleKind, MergePolicy, Registry};
use fieldsync_schemas::session::Limits;
use fieldsync_server::Parts;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "the-last-patch-is-applied",
        "merge.field-merge.old-base-is-stale+3",
        "A change on an old base is applied to whatever the record is now.",
        |parts| bases_are_current(parts, |_| true),
    ),
    Mutant::server(
        "a-base-may-be-a-second-old",
        "merge.field-merge.old-base-is-stale+3",
        "A change on an old base is applied where the current state is not older than a second.",
        |parts| bases_are_current(parts, |age_ms| age_ms <= 1000),
    ),
    Mutant::server(
        "an-update-that-is-there-already-is-a-duplicate",
        "merge.field-merge.old-base-is-stale+3",
        "An update on an old base is a duplicate where each member that it names has its value already.",
        |parts| {
            commits(parts, |batch, commit| {
                change_outcomes(commit, |outcomes| {
                    outcomes.iter_mut().for_each(|one| no_news_is_a_duplicate(batch, one))
                })
            })
        },
    ),
    Mutant::server(
        "what-is-there-already-is-stale",
        "merge.field-merge.equal-is-duplicate",
        "A create of what is there already, or a delete of what is deleted, is sent back to be merged.",
        |parts| instead_of(MergePolicy::FieldMerge, nothing_is_a_duplicate, parts),
    ),
    Mutant::server(
        "a-patch-is-the-whole-record",
        "merge.patch.applied-to-base",
        "What a patch does not name is no longer in the record.",
        |parts| {
            asked(parts, |asked| {
                if let Some(patch) = asked.patch.take() {
                    let mut data = Data::new();
                    apply(&mut data, patch);
                    asked.data = to_raw_value(&data).ok();
                }
            })
        },
    ),
    Mutant::server(
        "whole-data-is-a-patch",
        "merge.patch.whole-data",
        "What an update with whole data does not name stays in the record.",
        |parts| {
            asked(parts, |asked| {
                if asked.op == MutationOp::Update && asked.record.type_name.as_str() != "case" {
                    let data = asked.data.take();
                    asked.patch = asked.patch.take().or_else(|| serde_json::from_str(data?.get()).ok());
                }
            })
        },
    ),
    Mutant::server(
        "a-patch-is-taken-for-data",
        "merge.patch.elsewhere-is-malformed",
        "A create with a patch makes a record of that.",
        |parts| {
            requests(parts, "/push", |body| {
                for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
                    if mutation["op"] == "create" && mutation["patch"].is_object() {
                        let patch = mutation["patch"].take();
                        mutation["data"] = patch;
                    }
                }
            })
        },
    ),
    Mutant::server(
        "a-patch-passes-the-limits",
        "merge.patch.limits-of-result",
        "A patch is held against the limits, and what it makes of the record is not.",
        |parts| {
            batches(parts, |batch| {
                batch.limits = Limits { record_bytes: u64::MAX, nesting: u32::MAX, ..batch.limits };
            })
        },
    ),
    Mutant::server(
        "immutable-members-are-changed",
        "merge.immutable.rejected",
        "A member that is said to be immutable is changed like any other.",
        |parts| without_rule(parts, FieldRuleKind::Immutable),
    ),
    Mutant::server(
        "server-set-members-are-pushed",
        "merge.server-set.ignored",
        "A member that is the server's alone is taken from a push.",
        |parts| without_rule(parts, FieldRuleKind::ServerSet),
    ),
    Mutant::server(
        "derived-members-are-left-alone",
        "merge.derived.computed",
        "A server stores what devices push of derived members, and computes nothing.",
        |parts| without_rule(parts, FieldRuleKind::Derived),
    ),
    Mutant::server(
        "a-derived-member-is-computed-with-every-change",
        "merge.derived.override-stays",
        "A derived member is computed whatever changes, and so takes back what a person set.",
        |parts| {
            with_registry(parts, |registry| {
                for field in registry.types.iter_mut().flat_map(|entry| entry.merge.fields.values_mut()) {
                    field.inputs.push("/advice".to_owned());
                }
            })
        },
    ),
    Mutant::server(
        "stale-comes-without-the-record",
        "push.outcome.stale-brings-current",
        "A stale mutation is answered without the record that it has to be merged with.",
        |parts| {
            outcomes(parts, |outcomes| {
                let stale = outcomes.iter_mut().filter(|outcome| outcome.outcome == OutcomeKind::Stale);
                stale.for_each(|outcome| outcome.record = None);
            })
        },
    ),
    Mutant::server(
        "stale-is-decided",
        "push.outcome.stale-keeps-nothing",
        "That a mutation was stale is kept as what became of it.",
        stale_is_kept,
    ),
    Mutant::server(
        "a-known-entry-is-refused",
        "conflicts.push.known-is-duplicate",
        "A conflict entry that says another time than the known one is refused.",
        |parts| {
            commits(parts, |batch, commit| {
                change_outcomes(commit, |outcomes| {
                    let entries = |asked: &Asked| asked.record.type_name.as_str() == CONFLICT_TYPE;
                    for outcome in outcomes.iter_mut().filter(|one| one.outcome == OutcomeKind::Duplicate) {
                        let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
                        if read.and_then(ReadMutation::change).is_some_and(entries) {
                            outcome.outcome = OutcomeKind::Rejected;
                            outcome.rev = None;
                            outcome.version = None;
                            outcome.problem = Some(refusal(ProblemCode::AppendOnly));
                        }
                    }
                });
            })
        },
    ),
    Mutant::server(
        "anything-is-an-entry",
        "conflicts.push.no-entry-is-malformed",
        "What a conflict entry lacks is filled in.",
        |parts| {
            requests(parts, "/push", |body| {
                for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
                    let (kind, id) = (mutation["type"].clone(), mutation["id"].clone());
                    if let (true, Some(data)) = (kind == CONFLICT_TYPE, mutation["data"].as_object_mut()) {
                        let mut whole = json!({"record": {"type": "observation", "id": id}, "path": "", "lost_by": {},
                            "kept_by": {}, "time": "2026-11-20T08:00:00Z"});
                        whole.as_object_mut().expect("it is one").append(data);
                        mutation["data"] = whole;
                    }
                }
            })
        },
    ),
    Mutant::server(
        "an-entry-is-no-larger-than-a-record",
        "conflicts.push.holds-whole-records",
        "A conflict entry is held against the limit of a record.",
        |parts| {
            batches(parts, |batch| {
                let most = batch.limits.record_bytes as usize;
                for read in &mut batch.mutations {
                    let is_large = |asked: &Asked| asked.data.as_ref().is_some_and(|data| data.get().len() > most);
                    if read.change().is_some_and(is_large) {
                        read.asked = Err(refusal(ProblemCode::RecordTooLarge));
                    }
                }
            })
        },
    ),
];

fn refusal(code: ProblemCode) -> Refusal {
    Refusal { code, detail: "this server refuses it".to_owned(), pointer: None, cause: None }
}

/// Changes batches after they were read.
fn batches(mut parts: Parts, change: impl Fn(&mut Batch) + Send + Sync + 'static) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, limits, registry)?;
        change(&mut batch);
        Ok(batch)
    });
    parts
}

/// Changes what the mutations of batches ask for.
fn asked(parts: Parts, change: impl Fn(&mut Asked) + Send + Sync + 'static) -> Parts {
    batches(parts, move |batch| batch.mutations.iter_mut().filter_map(ReadMutation::change_mut).for_each(&change))
}

/// Takes old bases for current ones, by the age of the current state in milliseconds.
fn no_news_is_a_duplicate(batch: &Batch, outcome: &mut Outcome) {
    let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
    let patch = read.and_then(|read| read.change()?.patch.clone());
    let told = outcome.record.as_deref().filter(|_| outcome.outcome == OutcomeKind::Stale);
    let told = told.and_then(|raw| serde_json::from_str::<Record>(raw.get()).ok());
    if let (Some(patch), Some(record)) = (patch, told) {
        let mut patched = record.data_tree();
        apply(&mut patched, patch);
        if !record.deleted && patched == record.data_tree() {
            outcome.outcome = OutcomeKind::Duplicate;
            (outcome.rev, outcome.version, outcome.record) = (Some(record.rev), Some(record.version), None);
        }
    }
}

fn bases_are_current(parts: Parts, is_taken: impl Fn(i64) -> bool + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        for asked in batch.mutations.iter().filter_map(ReadMutation::change) {
            if let (Some(base), Some(state)) = (&asked.base, loaded.states.get_mut(&asked.record))
                && is_taken(ground.now.as_millis() - state.accepted_at.as_millis())
            {
                state.rev = base.clone();
            }
        }
        decide(batch, loaded, ground)
    })
}

/// Decides as if the registry were another one.
pub(super) fn with_registry(parts: Parts, change: impl Fn(&mut Registry) + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, loaded, ground, decide| {
        let mut registry = ground.registry.clone();
        change(&mut registry);
        decide(batch, loaded, fieldsync_core::push::Ground { registry: &registry, ..ground })
    })
}

/// Decides as if no member had this rule.
fn without_rule(parts: Parts, rule: FieldRuleKind) -> Parts {
    with_registry(parts, move |registry| {
        for entry in &mut registry.types {
            entry.merge.fields.retain(|_, field| field.rule != rule);
        }
    })
}

fn nothing_is_a_duplicate(contest: &Contest) -> Ruling {
    match field_merge(contest) {
        Ruling::Duplicate => Ruling::Stale,
        ruling => ruling,
    }
}

fn stale_is_kept(parts: Parts) -> Parts {
    commits(parts, |batch, commit| {
        let answer: PushAnswer<Value> = serde_json::from_str(&commit.replica.answer).expect("the core wrote it");
        for outcome in answer.outcomes.iter().filter(|outcome| outcome["outcome"] == "stale") {
            let read = batch.mutations.iter().find(|read| outcome["mutation_id"] == read.mutation_id.as_str());
            commit.decided.extend(read.map(|read| Decided {
                mutation_id: read.mutation_id.clone(),
                feed: None,
                content: read.content,
                outcome: Arc::from(outcome.to_string()),
            }));
        }
    })
}
