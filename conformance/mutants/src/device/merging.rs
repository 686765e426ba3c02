//! Faults of a device that merges: against the chapters `cycles` and `conflicts`.

use crate::Mutant;
use crate::seam::device_wire::{answers, calls, twice};
use crate::seam::effects::{merges, reactions};
use fieldsync_core::device::Write;
use fieldsync_core::merge::{Merged, Overridden, Rules, Side, merge};
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-merge-comes-after-a-refusal",
        "cycles.order.pull-then-push",
        "A device that merges pushes first, and pulls afterwards.",
        |parts| answers(parts, CallKind::Session, |_, _, body| body["profile"] = json!("version-wins")),
    ),
    Mutant::device(
        "results-are-passed-over",
        "cycles.results.pulled-after-push",
        "A device does not look at what came of its push until the next sync.",
        |parts| {
            let pushed = Arc::new(AtomicBool::new(false));
            let just_pushed = pushed.clone();
            let parts = answers(parts, CallKind::Push, move |_, _, _| pushed.store(true, Ordering::Relaxed));
            answers(parts, CallKind::Pull, move |_, _, body| {
                if just_pushed.swap(false, Ordering::Relaxed) {
                    body["feeds"] = json!([]);
                }
            })
        },
    ),
    Mutant::device(
        "a-merge-stands-on-the-old-base",
        "cycles.merge.on-the-servers-state",
        "A device pushes what came of a merge on the state that its change was made on.",
        |parts| {
            calls(parts, CallKind::Push, |body| {
                each(body, "mutations", |mutation| {
                    if !mutation["replaces"].is_null() {
                        mutation["base"] = json!("the-old-base");
                    }
                });
            })
        },
    ),
    Mutant::device(
        "a-merge-is-kept-in-memory",
        "cycles.merge.stored-with-its-cause",
        "A device stores a page at once, and what it merged with it only later.",
        |parts| {
            reactions(parts, |reaction| {
                if reaction.writes.iter().any(|write| matches!(write, Write::Cursor(..))) {
                    reaction
                        .writes
                        .retain(|write| !matches!(write, Write::Entry(_) | Write::EntryGone(_) | Write::Conflict(..)));
                }
            })
        },
    ),
    Mutant::device(
        "a-repeated-answer-is-taken-for-anothers-change",
        "cycles.merge.no-self-conflict",
        "A device takes an answer that was given before for a sign that somebody else changed the record.",
        |parts| {
            answers(parts, CallKind::Push, |sent, _, body| {
                if body["replayed"] == true {
                    each(body, "outcomes", |outcome| anothers_change(sent, outcome));
                }
            })
        },
    ),
    Mutant::device(
        "a-late-value-is-taken-for-anothers-change",
        "merge.late.keeps-local-changes",
        "A device takes a value that the server computed afterwards for a change of somebody else.",
        |parts| {
            answers(parts, CallKind::Pull, |_, _, body| {
                each(body, "feeds", |page| {
                    each(page, "changes", |change| {
                        if let Some(rev) = change["record"]["rev"].as_str() {
                            change["record"]["rev"] = json!(format!("{rev}-late"));
                        }
                    });
                });
            })
        },
    ),
    Mutant::device(
        "a-patch-names-what-is-as-it-was",
        "cycles.patch.only-changes+2",
        "A device clears in each patch a member that the record does not have.",
        |parts| {
            calls(parts, CallKind::Push, |body| {
                each(body, "mutations", |mutation| {
                    if mutation["patch"].is_object() {
                        mutation["patch"]["left_over"] = Value::Null;
                    }
                });
            })
        },
    ),
    Mutant::device(
        "whole-records-are-pushed",
        "cycles.patch.only-changes+2",
        "A device pushes whole records, and so takes away the members that it does not see.",
        |parts| {
            answers(parts, CallKind::Session, |_, _, body| {
                let types = body["registry"]["types"].as_array_mut().into_iter().flatten();
                for entry in types.filter(|entry| entry["merge"]["policy"] == "field-merge") {
                    entry["merge"] = json!({"policy": "version-wins"});
                }
            })
        },
    ),
    Mutant::device(
        "one-refusal-leaves-the-batch-unsettled",
        "cycles.accept.record-by-record",
        "A device settles a batch only if all of it was applied.",
        |parts| {
            answers(parts, CallKind::Push, |_, _, body| {
                let outcomes = body["outcomes"].as_array().into_iter().flatten();
                if outcomes.clone().any(|outcome| outcome["outcome"] == "rejected" || outcome["outcome"] == "stale") {
                    each(body, "outcomes", |outcome| {
                        if outcome["outcome"] == "applied" {
                            outcome["outcome"] = json!("held");
                        }
                    });
                }
            })
        },
    ),
    Mutant::device(
        "what-is-stale-waits",
        "cycles.stale.merged-and-again",
        "A device leaves what became stale on its way for the next sync.",
        |parts| {
            answers(parts, CallKind::Push, |_, _, body| {
                each(body, "outcomes", |outcome| {
                    if outcome["outcome"] == "stale" {
                        outcome["outcome"] = json!("held");
                    }
                });
            })
        },
    ),
    Mutant::device(
        "every-push-is-sent-twice",
        "cycles.stale.three-times+2",
        "A device pushes everything twice, to be sure.",
        |parts| twice(parts, CallKind::Push),
    ),
    Mutant::device(
        "only-the-first-override-is-logged",
        "conflicts.device.each-override",
        "A device logs one of the values that a merge overrides.",
        |parts| merges(parts, first_override_alone),
    ),
    Mutant::device(
        "an-override-is-logged-without-its-base",
        "conflicts.device.each-override",
        "A device logs what was lost and what was kept, but not what both were made of.",
        |parts| merges(parts, overrides_without_base),
    ),
    Mutant::device(
        "equal-changes-are-logged",
        "conflicts.device.equal-is-none",
        "A device logs a member that both sides changed, even to one value.",
        |parts| merges(parts, equal_is_a_conflict),
    ),
    Mutant::device(
        "an-override-is-shown-once-it-was-pushed",
        "conflicts.device.shown-at-once",
        "A device shows an entry of its own only when it comes back from the server.",
        |parts| {
            reactions(parts, |reaction| {
                let has_made_one = reaction.writes.iter().any(is_entry_to_push);
                reaction.writes.retain(|write| !(has_made_one && matches!(write, Write::Conflict(..))));
            })
        },
    ),
    Mutant::device(
        "an-override-is-forgotten",
        "conflicts.device.pushed",
        "A device tells nobody what its merges override.",
        |parts| merges(parts, overrides_in_silence),
    ),
];

/// Does something to each item of a list within a message.
fn each(body: &mut Value, list: &str, change: impl FnMut(&mut Value)) {
    body.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

fn is_entry_to_push(write: &Write) -> bool {
    matches!(write, Write::Entry(entry) if entry.mutation.type_name.as_str() == CONFLICT_TYPE)
}

fn anothers_change(sent: &Value, outcome: &mut Value) {
    let mut mutations = sent["mutations"].as_array().into_iter().flatten();
    let id = outcome["mutation_id"].clone();
    let Some(mutation) = mutations.find(|mutation| mutation["mutation_id"] == id) else { return };
    let data = if mutation["patch"].is_object() { &mutation["patch"] } else { &mutation["data"] };
    outcome["record"] = json!({
        "type": mutation["type"], "id": mutation["id"], "rev": outcome["rev"], "version": outcome["version"],
        "modified_at": mutation["modified_at"], "accepted_at": mutation["modified_at"], "data": data,
    });
    outcome["outcome"] = json!("stale");
}

fn first_override_alone(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut merged = merge(base, local, server, rules);
    merged.overridden.truncate(1);
    merged
}

fn overrides_in_silence(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    Merged { overridden: Vec::new(), ..merge(base, local, server, rules) }
}

fn overrides_without_base(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut merged = merge(base, local, server, rules);
    merged.overridden.iter_mut().for_each(|one| one.base = None);
    merged
}

fn equal_is_a_conflict(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut agreed = Vec::new();
    if let (Some(base), Some(local), Some(server)) = (base, &local, &server) {
        for (name, value) in local.iter().filter(|(name, value)| base.get(*name) != Some(value)) {
            if server.get(name) == Some(value) {
                agreed.push(Overridden {
                    path: format!("/{name}"),
                    base: base.get(name).cloned(),
                    lost: Some(value.clone()),
                    kept: Some(value.clone()),
                    lost_side: Side::Local,
                });
            }
        }
    }
    let mut merged = merge(base, local, server, rules);
    merged.overridden.extend(agreed);
    merged
}
