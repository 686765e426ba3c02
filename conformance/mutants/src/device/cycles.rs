//! Faults against the chapter `cycles`.

use super::cycles_order;
use crate::Mutant;
use crate::seam::{device_wire, effects};
use fieldsync_core::device::store::ServerCopy;
use fieldsync_core::device::{
    Answer, Call, Context, DeviceError, Event, LocalChange, Machine, Next, Reaction, Rules, Write,
};
use fieldsync_schemas::id::Version;
use fieldsync_schemas::pull::{PullAnswer, RecordRef};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "the-outbox-is-kept-in-memory",
        "cycles.durable.outlives-the-process",
        "A device that is opened again has forgotten what waited to be pushed.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let is_opened = matches!(event, Event::Open { .. });
                let mut reaction = rules.handle(machine, event, context)?;
                if is_opened {
                    reaction.writes.extend(forgotten(machine, context, rules)?);
                }
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "a-record-is-shown-as-it-first-came",
        "cycles.converge.shows-what-it-pulled+2",
        "A device that knows a record does not store what comes of it later.",
        |parts| {
            effects::reactions(parts, |reaction| {
                let is_later =
                    |write: &Write| matches!(write, Write::Server(copy) if copy.record.version > Version::FIRST);
                reaction.writes.retain(|write| !is_later(write));
            })
        },
    ),
    Mutant::device(
        "a-sync-begins-with-a-pull",
        "cycles.order.push-then-pull",
        "A device pulls before it pushes what waits.",
        |parts| cycles_order::pulls_first(parts, false),
    ),
    Mutant::device(
        "an-unanswered-batch-waits-for-a-pull",
        "cycles.settle.before-pull",
        "A device pulls before it sends a batch again whose answer it did not get.",
        |parts| cycles_order::pulls_first(parts, true),
    ),
    Mutant::device(
        "every-pull-is-asked-for-twice",
        "cycles.quiet.one-round-trip",
        "A device asks for everything twice, to be sure.",
        |parts| device_wire::twice(parts, CallKind::Pull),
    ),
    Mutant::device(
        "one-page-is-enough",
        "cycles.pull.to-the-end",
        "A device takes the first page of a feed for the whole feed.",
        |parts| {
            device_wire::answers(parts, CallKind::Pull, |_, _, body| {
                each(body, "feeds", |page| page["more"] = json!(false));
            })
        },
    ),
    Mutant::device(
        "a-cursor-is-stored-at-the-end-of-the-walk",
        "cycles.pull.goes-on-where-it-stands",
        "A device stores its cursors only once a pull has come to its end.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let is_within = matches!(&event, Event::Answered(answer) if says_more(answer));
                let mut reaction = rules.handle(machine, event, context)?;
                reaction.writes.retain(|write| !(is_within && matches!(write, Write::Cursor(..))));
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "a-push-moves-the-cursor",
        "cycles.cursor.not-by-push",
        "A device takes everything below the place of its own push for seen.",
        |parts| {
            let pushed = std::sync::Arc::new(AtomicBool::new(false));
            let just_pushed = pushed.clone();
            let parts =
                device_wire::answers(parts, CallKind::Push, move |_, _, _| pushed.store(true, Ordering::Relaxed));
            device_wire::answers(parts, CallKind::Pull, move |_, _, body| {
                if just_pushed.swap(false, Ordering::Relaxed) {
                    each(body, "feeds", |page| page["changes"] = json!([]));
                }
            })
        },
    ),
    Mutant::device(
        "a-batch-is-written-anew-for-each-attempt",
        "cycles.freeze.byte-for-byte",
        "A device writes a batch anew each time that it sends it.",
        |parts| {
            let sent = Mutex::new(HashMap::<String, usize>::new());
            let change = move |call: &mut Call| {
                if let (CallKind::Push, Some(body)) = (call.kind, &mut call.body) {
                    let mut sent = sent.lock().expect("nothing panics while it holds this");
                    let times = sent.entry(body.clone()).or_default();
                    body.push_str(&" ".repeat(*times));
                    *times += 1;
                }
            };
            device_wire::every_call(parts, change)
        },
    ),
    Mutant::device(
        "a-batch-is-frozen-in-memory",
        "cycles.freeze.byte-for-byte",
        "A device keeps the batch on its way in memory, and makes another after its process ended.",
        |parts| {
            effects::reactions(parts, |reaction| {
                reaction.writes.retain(|write| !matches!(write, Write::Batch(Some(_))));
            })
        },
    ),
    Mutant::device(
        "every-save-is-a-mutation-in-the-batch",
        "cycles.batch.record-once",
        "A device puts two mutations of one record into a batch.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                let mut again = body["mutations"][0].clone();
                again["mutation_id"] = json!(format!("{}-2", again["mutation_id"].as_str().unwrap_or_default()));
                again["version"] = json!(again["version"].as_u64().unwrap_or(1) + 1);
                body["mutations"].as_array_mut().expect("a batch has mutations").push(again);
            })
        },
    ),
    Mutant::device(
        "outcomes-are-matched-by-their-place",
        "cycles.outcomes.by-id",
        "A device takes the first outcome for its first mutation's, and so on.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |sent, _, body| {
                let mutations = sent["mutations"].as_array().cloned().unwrap_or_default();
                let outcomes = body["outcomes"].as_array_mut().into_iter().flatten();
                for (outcome, mutation) in outcomes.zip(mutations) {
                    outcome["mutation_id"] = mutation["mutation_id"].clone();
                }
            })
        },
    ),
    Mutant::device(
        "an-old-answer-settles-the-batch",
        "cycles.outcomes.of-this-batch",
        "A device takes any answer to a push for the answer to its batch, and what it does not speak of for applied.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |sent, _, body| {
                let Some(outcomes) = body["outcomes"].as_array_mut() else { return };
                for mutation in sent["mutations"].as_array().into_iter().flatten() {
                    let id = &mutation["mutation_id"];
                    if !outcomes.iter().any(|outcome| outcome["mutation_id"] == *id) {
                        let version = &mutation["version"];
                        outcomes
                            .push(json!({"mutation_id": id, "outcome": "applied", "rev": "taken", "version": version}));
                    }
                }
            })
        },
    ),
    Mutant::device(
        "every-outcome-settles",
        "cycles.outcomes.waiting-stays+3",
        "A device takes every outcome but a refusal for applied.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |_, _, body| {
                each(body, "outcomes", |outcome| {
                    let known = ["applied", "duplicate", "superseded", "rejected"];
                    if !known.iter().any(|word| outcome["outcome"] == *word) {
                        outcome["outcome"] = json!("applied");
                    }
                });
            })
        },
    ),
    Mutant::device(
        "an-edit-during-a-push-is-lost",
        "cycles.edit.during-push-is-kept",
        "A device drops an edit of a record that is on its way.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let state = machine.state();
                let is_on_its_way = |record: &RecordRef| {
                    let first = state.outbox.of(record).next();
                    let batch = state.batch.as_ref().map(|batch| &batch.mutations);
                    first.zip(batch).is_some_and(|(first, batch)| batch.contains(&first.mutation.mutation_id))
                };
                match &event {
                    Event::Local(LocalChange::Edit { record, .. } | LocalChange::Delete { record })
                        if is_on_its_way(record) =>
                    {
                        Ok(Reaction { writes: Vec::new(), next: Next::Idle })
                    }
                    _ => rules.handle(machine, event, context),
                }
            })
        },
    ),
    Mutant::device(
        "the-base-stays-behind-what-was-applied",
        "cycles.edit.base-after-applied+2",
        "A device gives a change that follows an applied one the base of that one.",
        |parts| {
            let bases = std::sync::Arc::new(Mutex::new(HashMap::<String, Value>::new()));
            let known = bases.clone();
            let before = move |body: &mut Value| {
                let known = known.lock().expect("nothing panics while it holds this");
                each(body, "mutations", |mutation| {
                    if let Some(older) = mutation["base"].as_str().and_then(|base| known.get(base)) {
                        mutation["base"] = older.clone();
                    }
                });
            };
            device_wire::exchanges(parts, CallKind::Push, before, move |sent, _, body| {
                let mut bases = bases.lock().expect("nothing panics while it holds this");
                for mutation in sent["mutations"].as_array().into_iter().flatten() {
                    each(body, "outcomes", |outcome| {
                        if let (true, Some(rev)) =
                            (outcome["mutation_id"] == mutation["mutation_id"], outcome["rev"].as_str())
                        {
                            bases.insert(rev.to_owned(), mutation["base"].clone());
                        }
                    });
                }
            })
        },
    ),
    Mutant::device(
        "the-base-moves-to-the-winner",
        "cycles.edit.base-after-superseded+2",
        "A device gives a change that waited behind a lost contest the winner as its base.",
        |parts| {
            let winners = std::sync::Arc::new(Mutex::new(HashMap::<String, Value>::new()));
            let known = winners.clone();
            let before = move |body: &mut Value| {
                let known = known.lock().expect("nothing panics while it holds this");
                each(body, "mutations", |mutation| {
                    if let Some(winner) = mutation["id"].as_str().and_then(|id| known.get(id)) {
                        mutation["base"] = winner["rev"].clone();
                        mutation["version"] = json!(winner["version"].as_u64().unwrap_or(0) + 1);
                    }
                });
            };
            device_wire::exchanges(parts, CallKind::Push, before, move |_, _, body| {
                each(body, "outcomes", |outcome| {
                    if let ("superseded", Some(id)) =
                        (outcome["outcome"].as_str().unwrap_or_default(), outcome["record"]["id"].as_str())
                    {
                        let mut winners = winners.lock().expect("nothing panics while it holds this");
                        winners.insert(id.to_owned(), outcome["record"].clone());
                    }
                });
            })
        },
    ),
    Mutant::device(
        "an-edit-of-a-refused-create-is-an-update",
        "cycles.edit.after-rejected+3",
        "A device sends the edit of a record whose create was refused as an update.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                each(body, "mutations", |mutation| {
                    if mutation["op"] == "create" && !mutation["replaces"].is_null() {
                        mutation["op"] = json!("update");
                    }
                });
            })
        },
    ),
    Mutant::device(
        "what-is-gone-is-edited-as-if-it-were-there",
        "cycles.edit.after-gone",
        "A device sends the edit of a record that the server no longer has as an update.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                each(body, "mutations", |mutation| {
                    let goes_on = mutation["version"].as_u64() > Some(1) && !mutation["replaces"].is_null();
                    if mutation["op"] == "create" && mutation["base"].is_null() && goes_on {
                        mutation["op"] = json!("update");
                    }
                });
            })
        },
    ),
    Mutant::device(
        "a-pull-replaces-unsent-work",
        "cycles.pull.keeps-unsent",
        "A device shows what it pulled in the place of work that it has not pushed yet.",
        |parts| effects::shows(parts, |_, _, server, shown| server.map(ServerCopy::shown).or(shown)),
    ),
    Mutant::device(
        "a-login-begins-from-the-start",
        "cycles.login.goes-on",
        "A device that had to log in again pulls from the start.",
        |parts| {
            let refused = std::sync::Arc::new(AtomicBool::new(false));
            let was_refused = refused.clone();
            let before = move |body: &mut Value| {
                if was_refused.swap(false, Ordering::Relaxed) {
                    let feeds = body["feeds"].as_object_mut().into_iter().flatten();
                    feeds.for_each(|(_, cursor)| *cursor = Value::Null);
                }
            };
            device_wire::exchanges(parts, CallKind::Pull, before, move |_, answer, _| {
                refused.store(answer.status == 401, Ordering::Relaxed);
            })
        },
    ),
    Mutant::device(
        "a-resync-sweeps-nothing",
        "cycles.resync.drops-what-is-gone",
        "A device keeps, after a resync, the records that did not come.",
        |parts| {
            effects::reactions(parts, |reaction| {
                reaction.writes.retain(|write| !matches!(write, Write::Sweep { .. }));
            })
        },
    ),
    Mutant::device(
        "a-resync-empties-the-outbox",
        "cycles.resync.keeps-the-outbox",
        "A device begins a resync by throwing away what waits.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let mut writes = Vec::new();
                if matches!(&event, Event::Answered(answer) if answer.status == 410) {
                    writes = forgotten(machine, context, rules)?;
                }
                let reaction = rules.handle(machine, event, context)?;
                writes.extend(reaction.writes);
                Ok(Reaction { writes, ..reaction })
            })
        },
    ),
];

/// Throws away what waits.
fn forgotten(machine: &mut Machine, context: &Context<'_>, rules: &dyn Rules) -> Result<Vec<Write>, DeviceError> {
    let records: HashSet<RecordRef> = machine.state().outbox.iter().map(|entry| entry.record()).collect();
    let mut writes = Vec::new();
    for record in records {
        let discard = Event::Local(LocalChange::Discard { record });
        writes.extend(rules.handle(machine, discard, context)?.writes);
    }
    Ok(writes)
}

/// Does something to each item of a list within a message.
fn each(body: &mut Value, list: &str, change: impl FnMut(&mut Value)) {
    body.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

fn says_more(answer: &Answer) -> bool {
    serde_json::from_slice::<PullAnswer>(&answer.body).is_ok_and(|answer| answer.feeds.iter().any(|page| page.more))
}
