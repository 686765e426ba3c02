//! Faults against the chapter `telemetry`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::around_events;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Call, Event, Failure, Machine, Next, Reaction, SyncOutcome, SyncReport};
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use fieldsync_schemas::telemetry::{TELEMETRY, TELEMETRY_FEED, TELEMETRY_TYPE};
use fieldsync_schemas::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-sync-is-told-twice",
        "telemetry.sync.told-once+2",
        "Each sync is told by two records, as if it had been two.",
        told_twice,
    ),
    Mutant::device(
        "a-killed-sync-went-well",
        "telemetry.sync.killed-is-told",
        "A sync in which the process ended is told as one that went well.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                for one in telemetry(body).filter(|one| one["data"]["outcome"] == "killed") {
                    one["data"]["outcome"] = json!("ok");
                }
            })
        },
    ),
    Mutant::device(
        "every-sync-is-told",
        "telemetry.sync.quiet-is-not-told",
        "A sync with nothing new is told like any other.",
        every_sync_is_told,
    ),
    Mutant::device(
        "telemetry-in-front-of-data",
        "telemetry.push.last+2",
        "What waits to be told is pushed before anything else.",
        telemetry_in_front,
    ),
    Mutant::device(
        "nothing-is-told-before-the-pull",
        "telemetry.waiting.before-the-pull",
        "Telemetry waits for the end of a sync, whether or not any gets there.",
        nothing_before_the_pull,
    ),
    Mutant::device(
        "every-sync-moved-nothing",
        "telemetry.record.says-what-happened",
        "Of every sync it is told that nothing was moved.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                for data in telemetry(body).filter_map(|one| one["data"].as_object_mut()) {
                    data.retain(|name, _| !["pushed", "pulled"].contains(&name.as_str()));
                    for count in ["given_up", "requests", "bytes_sent", "bytes_received"] {
                        data.insert(count.to_owned(), json!(0));
                    }
                }
            })
        },
    ),
    Mutant::device(
        "bytes-are-a-guess",
        "telemetry.record.says-what-happened",
        "The bytes that came are told as if each request had brought a kilobyte.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                for one in telemetry(body) {
                    one["data"]["bytes_received"] = json!(one["data"]["requests"].as_u64().unwrap_or(0) * 1024);
                }
            })
        },
    ),
    Mutant::device(
        "telemetry-that-fails-fails-the-sync",
        "telemetry.push.changes-nothing",
        "A sync whose telemetry the server does not take has failed.",
        telemetry_fails_the_sync,
    ),
    Mutant::device(
        "a-device-asks-for-telemetry",
        "telemetry.feed.not-pulled",
        "The telemetry is pulled like any feed, and thrown away.",
        |parts| {
            device_wire::exchanges(
                parts,
                CallKind::Pull,
                |body| body["feeds"][TELEMETRY_FEED] = Value::Null,
                |_, _, answer| {
                    if let Some(pages) = answer["feeds"].as_array_mut() {
                        pages.retain(|page| page["feed"] != TELEMETRY_FEED);
                    }
                },
            )
        },
    ),
];

fn telemetry(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    body["mutations"].as_array_mut().into_iter().flatten().filter(|one| one["type"] == TELEMETRY_TYPE)
}

fn told_twice(parts: DeviceParts) -> DeviceParts {
    device_wire::calls(parts, CallKind::Push, |body| {
        let again: Vec<Value> = telemetry(body)
            .map(|one| {
                let mut again = one.clone();
                for member in ["id", "mutation_id"] {
                    again[member] = json!(format!("{}-again", one[member].as_str().unwrap_or_default()));
                }
                again
            })
            .collect();
        if let Some(mutations) = body["mutations"].as_array_mut() {
            mutations.extend(again);
        }
    })
}

fn is_telling(call: &Call) -> bool {
    let body: Value = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    body["mutations"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == TELEMETRY_TYPE))
}

/// Whether the device is one that tells, and knows to whom.
fn tells(machine: &Machine) -> bool {
    machine.state().session.as_ref().is_some_and(|session| {
        session.capabilities.iter().any(|one| one.as_str() == TELEMETRY) && machine.state().diary.replica.is_some()
    })
}

/// A push that tells of one sync, by a replica that nothing else uses.
fn told(machine: &Machine, token: &Option<String>, number: u64) -> Call {
    let session = machine.state().session.as_ref().expect("it was looked at a moment ago");
    let replica = machine.state().replica.as_ref().expect("an opened device has a replica id");
    let now = Timestamp::now();
    let body = json!({"replica": format!("t{number}-{}", &replica.id.as_str()[..8]), "seq": 1, "previous": null,
        "mutations": [{"mutation_id": format!("t{number}-{}", replica.id), "op": "create", "type": TELEMETRY_TYPE,
            "id": format!("t{number}-{}", replica.id), "base": null, "version": 1, "modified_at": now,
            "data": {"user": session.principal, "started_at": now, "outcome": "ok"}}]});
    Call {
        kind: CallKind::Push,
        path: "/push".into(),
        body: Some(body.to_string()),
        token: token.clone(),
        transfer: None,
        bytes: Vec::new(),
    }
}

fn every_sync_is_told(parts: DeviceParts) -> DeviceParts {
    let (token, ended, number) = (Mutex::new(None), Mutex::new(None::<SyncReport>), AtomicU64::new(0));
    around_events(parts, move |machine, event, context, rules| {
        let mut ended = ended.lock().expect("nothing panics while it holds this");
        if let Some(report) = ended.take() {
            return Ok(Reaction { writes: Vec::new(), next: Next::Finished(report) });
        }
        let mut reaction = rules.handle(machine, event, context)?;
        let mut token = token.lock().expect("nothing panics while it holds this");
        match &reaction.next {
            Next::Send(call) => *token = call.token.clone(),
            Next::Finished(report) if report.outcome == SyncOutcome::Ok && tells(machine) => {
                *ended = Some(report.clone());
                reaction.next = Next::Send(told(machine, &token, number.fetch_add(1, Ordering::Relaxed)));
            }
            _ => {}
        }
        Ok(reaction)
    })
}

fn telemetry_in_front(parts: DeviceParts) -> DeviceParts {
    let (token, number) = (Mutex::new(None), AtomicU64::new(0));
    let waiting = Mutex::new(None::<Next>);
    around_events(parts, move |machine, event, context, rules| {
        let mut waiting = waiting.lock().expect("nothing panics while it holds this");
        if let Some(next) = waiting.take() {
            return Ok(Reaction { writes: Vec::new(), next });
        }
        let begins = matches!(event, Event::Begin);
        let mut reaction = rules.handle(machine, event, context)?;
        let mut token = token.lock().expect("nothing panics while it holds this");
        if let Next::Send(call) = &reaction.next {
            *token = call.token.clone();
        }
        if begins && tells(machine) && !machine.state().diary.pages.is_empty() {
            let first = Next::Send(told(machine, &token, number.fetch_add(1, Ordering::Relaxed)));
            *waiting = Some(std::mem::replace(&mut reaction.next, first));
        }
        Ok(reaction)
    })
}

/// What would be told before the pull does not get through, so that it waits for the end.
fn nothing_before_the_pull(parts: DeviceParts) -> DeviceParts {
    let pulls = AtomicBool::new(false);
    around_events(parts, move |machine, event, context, rules| {
        if matches!(event, Event::Begin) {
            pulls.store(false, Ordering::Relaxed);
        }
        let mut reaction = rules.handle(machine, event, context)?;
        if let Next::Send(call) = &reaction.next {
            if call.kind == CallKind::Pull {
                pulls.store(true, Ordering::Relaxed);
            } else if is_telling(call) && !pulls.load(Ordering::Relaxed) {
                let Reaction { writes, next } = rules.handle(machine, Event::Lost("it waits".to_owned()), context)?;
                reaction.writes.extend(writes);
                reaction.next = next;
            }
        }
        Ok(reaction)
    })
}

fn telemetry_fails_the_sync(parts: DeviceParts) -> DeviceParts {
    let sent = AtomicBool::new(false);
    around_events(parts, move |machine, event, context, rules| {
        let refused = match &event {
            Event::Answered(answer) => answer.status >= 400,
            Event::Lost(_) => true,
            _ => false,
        };
        let was_sent = sent.swap(false, Ordering::Relaxed);
        let mut reaction = rules.handle(machine, event, context)?;
        match &mut reaction.next {
            Next::Send(call) => sent.store(is_telling(call), Ordering::Relaxed),
            Next::Finished(report) if was_sent && refused => {
                let detail = "the telemetry was not taken".to_owned();
                report.outcome = SyncOutcome::Failed(Failure::new(FailureCause::Server, detail));
            }
            _ => {}
        }
        Ok(reaction)
    })
}
