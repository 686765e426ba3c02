//! Faults against the chapter `epoch`.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use async_trait::async_trait;
use fieldsync_client::transport::{NetworkFailure, Transport};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Call, Write};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "another-epoch-is-adopted-in-silence",
        "epoch.enter.never-in-silence",
        "The device names no epoch, and where a cursor no longer counts it goes on with whatever comes.",
        another_epoch_is_adopted_in_silence,
    ),
    Mutant::device(
        "records-of-another-epoch-stay",
        "epoch.enter.never-in-silence",
        "What comes is put over what is there, and what does not come stays.",
        |parts| effects::reactions(parts, |reaction| reaction.writes.retain(|write| !is_sweep(write))),
    ),
    Mutant::device(
        "a-batch-is-sent-for-ever",
        "epoch.freeze.ends",
        "A batch without outcomes is sent again, whatever the server says.",
        a_batch_is_sent_for_ever,
    ),
    Mutant::device(
        "what-is-acknowledged-is-forgotten",
        "epoch.keep.until-backed-up",
        "A mutation is dropped as soon as the server has taken it.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, session| {
                if let Some(claimed) = session["capabilities"].as_array_mut() {
                    claimed.retain(|capability| capability != "restore");
                }
            })
        },
    ),
    Mutant::device(
        "what-is-kept-is-kept-for-ever",
        "epoch.keep.no-longer",
        "What a backup has is not looked at.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, session| {
                drop(session.as_object_mut().and_then(|session| session.remove("backed_up_seq")));
            })
        },
    ),
    Mutant::device(
        "every-new-epoch-is-taken-for-a-wipe",
        "epoch.restored.sends-again",
        "After a restore the device pulls, and sends nothing again.",
        |parts| caused(parts, "wiped"),
    ),
    Mutant::device(
        "what-goes-again-has-new-ids",
        "epoch.restored.sends-again",
        "What is sent again after a restore is sent as if it were new.",
        what_goes_again_has_new_ids,
    ),
    Mutant::device(
        "what-goes-again-keeps-its-base",
        "epoch.restored.on-the-new-rev",
        "What is sent again is sent as it was, with the rev of another epoch as its base.",
        what_goes_again_keeps_its_base,
    ),
    Mutant::device(
        "a-lost-record-stays-lost",
        "epoch.restored.lost-record-is-made",
        "A change of a record that the backup lacks is set aside like any other that was refused.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |_, _, body| {
                for outcome in body["outcomes"].as_array_mut().into_iter().flatten() {
                    if outcome["problem"]["code"] == "unknown-record" {
                        outcome["problem"]["code"] = json!("unknown-type");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "every-new-epoch-is-taken-for-a-restore",
        "epoch.wiped.acknowledged-stays-out",
        "What was emptied on purpose is filled again.",
        |parts| caused(parts, "restored"),
    ),
];

fn is_sweep(write: &Write) -> bool {
    matches!(write, Write::Sweep { .. } | Write::SweepConflicts)
}

fn caused(parts: DeviceParts, cause: &'static str) -> DeviceParts {
    device_wire::every_body(parts, move |_, body| {
        if body["code"] == "epoch-mismatch" {
            body["cause"] = json!(cause);
        }
    })
}

fn a_batch_is_sent_for_ever(parts: DeviceParts) -> DeviceParts {
    device_wire::answers(parts, CallKind::Push, |_, answer, body| {
        if body["code"] == "epoch-mismatch" {
            answer.status = 503;
            (body["status"], body["code"], body["retry"]) = (json!(503), json!("unavailable"), json!("same"));
        }
    })
}

/// The epoch of the first push, in which ids stay as they are.
fn what_goes_again_has_new_ids(parts: DeviceParts) -> DeviceParts {
    let epochs = Arc::new(Mutex::new(HashMap::<String, Value>::new()));
    let renamed = |id: &Value, epoch: &Value| json!(format!("{}~{}", id.as_str().unwrap_or_default(), short(epoch)));
    device_wire::exchanges(
        parts,
        CallKind::Push,
        move |body| {
            let epoch = body["epoch"].clone();
            let mut epochs = epochs.lock().expect("nobody panics with it");
            for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
                let id = mutation["mutation_id"].clone();
                let first = epochs.entry(id.to_string()).or_insert_with(|| epoch.clone());
                if *first != epoch {
                    mutation["mutation_id"] = renamed(&id, &epoch);
                }
            }
        },
        |_, _, body| {
            for outcome in body["outcomes"].as_array_mut().into_iter().flatten() {
                if let Some((id, _)) = outcome["mutation_id"].as_str().and_then(|id| id.split_once('~')) {
                    outcome["mutation_id"] = json!(id);
                }
            }
        },
    )
}

fn short(epoch: &Value) -> String {
    epoch.as_str().unwrap_or_default().chars().take(8).collect()
}

fn what_goes_again_keeps_its_base(parts: DeviceParts) -> DeviceParts {
    let bases = Mutex::new(HashMap::<String, Value>::new());
    device_wire::calls(parts, CallKind::Push, move |body| {
        let mut bases = bases.lock().expect("nobody panics with it");
        for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
            let base = mutation["base"].clone();
            mutation["base"] = bases.entry(mutation["mutation_id"].to_string()).or_insert(base).clone();
        }
    })
}

fn another_epoch_is_adopted_in_silence(mut parts: DeviceParts) -> DeviceParts {
    parts.transport =
        Arc::new(Silent { inner: parts.transport.clone(), first: Mutex::default(), dead: Mutex::default() });
    parts
}

/// The device hears of no epoch but the first: cursors that no longer count are left out on the way.
struct Silent {
    inner: Arc<dyn Transport>,
    first: Mutex<Option<Value>>,
    dead: Mutex<HashSet<String>>,
}

impl Silent {
    fn asked(&self, call: &Call) -> Value {
        let mut body: Value = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        if let Some(members) = body.as_object_mut() {
            members.remove("epoch");
        }
        let dead = self.dead.lock().expect("nobody panics with it");
        for cursor in body["feeds"].as_object_mut().into_iter().flat_map(|feeds| feeds.values_mut()) {
            if dead.contains(&cursor.to_string()) {
                *cursor = Value::Null;
            }
        }
        body
    }
}

#[async_trait]
impl Transport for Silent {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let original: Value = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        let sent = |body: Value| Call { body: call.body.is_some().then(|| body.to_string()), ..call.clone() };
        let mut answer = self.inner.send(sent(self.asked(&call))).await?;
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if body["code"] == "invalid-cursor" {
            let cursors = original["feeds"].as_object().into_iter().flat_map(|feeds| feeds.values());
            let cursors: Vec<String> = cursors.map(Value::to_string).collect();
            self.dead.lock().expect("nobody panics with it").extend(cursors);
            answer = self.inner.send(sent(self.asked(&call))).await?;
            body = serde_json::from_slice(&answer.body).unwrap_or_default();
        }
        if !body["epoch"].is_string() {
            return Ok(answer);
        }
        let mut first = self.first.lock().expect("nobody panics with it");
        body["epoch"] = first.get_or_insert_with(|| body["epoch"].clone()).clone();
        for page in body["feeds"].as_array_mut().into_iter().flatten() {
            let feed = page["feed"].as_str().unwrap_or_default().to_owned();
            page["from"] = original["feeds"][&feed].clone();
        }
        answer.body = body.to_string().into_bytes();
        Ok(answer)
    }
}
