//! Faults against the chapter `cycles`: what a device does when the server cannot take a batch.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::outbox::{Entry, Progress};
use fieldsync_core::device::store::FrozenBatch;
use fieldsync_core::device::{Answer, Event, LocalChange, Next, Reaction};
use fieldsync_schemas::problem::{Problem, ProblemCode};
use fieldsync_schemas::push::{MutationOp, OutcomeKind, PushAnswer};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "retry-after-is-not-read",
        "cycles.retry.after-is-honoured+2",
        "A device tries again after a moment, however long it was told to wait.",
        |parts| {
            let change = |_: &Value, answer: &mut Answer, body: &mut Value| {
                answer.retry_after = None;
                if let Some(problem) = body.as_object_mut() {
                    problem.remove("retry_after");
                }
            };
            device_wire::answers(device_wire::answers(parts, CallKind::Push, change), CallKind::Pull, change)
        },
    ),
    Mutant::device(
        "what-was-not-taken-stops-the-queue",
        "cycles.queue.one-stops-none",
        "A device that hears of a rejected or held mutation pushes no more in that sync.",
        |parts| {
            let stopped = AtomicBool::new(false);
            effects::around_events(parts, move |machine, event, context, rules| {
                match &event {
                    Event::Begin => stopped.store(false, Ordering::Relaxed),
                    Event::Answered(answer) if was_not_taken(answer) => stopped.store(true, Ordering::Relaxed),
                    _ => {}
                }
                let mut reaction = rules.handle(machine, event, context)?;
                let pushes = matches!(&reaction.next, Next::Send(call) if call.kind == CallKind::Push);
                if pushes && stopped.load(Ordering::Relaxed) {
                    // It goes on as if it were not allowed to push.
                    let then = rules.handle(machine, Event::Answered(forbidden()), context)?;
                    reaction.writes.extend(then.writes);
                    reaction.next = then.next;
                }
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "a-record-that-was-taken-back-goes-all-the-same",
        "cycles.outbox.never-sent-is-dropped",
        "A device does not see that a record was deleted which it has yet to send.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                if let Event::Local(LocalChange::Delete { record }) = &event {
                    let is_unsent = |entry: &Entry| entry.progress == Progress::Unsent;
                    let first = machine.state().outbox.of(record).next();
                    if first.is_some_and(|first| is_unsent(first) && first.mutation.op == MutationOp::Create) {
                        return Ok(Reaction { writes: Vec::new(), next: Next::Idle });
                    }
                }
                rules.handle(machine, event, context)
            })
        },
    ),
    Mutant::device(
        "a-batch-is-never-taken-apart",
        "cycles.poison.halves+2",
        "A device sends a batch of several mutations again and again, whatever the server says.",
        |parts| never_taken_apart(parts, |mutations| mutations > 1),
    ),
    Mutant::device(
        "a-mutation-is-never-set-aside",
        "cycles.poison.one-is-set-aside+2",
        "A device sends a mutation over which the server fails again and again.",
        |parts| never_taken_apart(parts, |mutations| mutations == 1),
    ),
    Mutant::device(
        "a-fenced-device-gives-up",
        "cycles.fence.new-replica",
        "A device that is fenced keeps its replica id and reports an error.",
        |parts| retry_instead(parts, "replica-fenced", "never"),
    ),
    Mutant::device(
        "a-refused-push-ends-the-sync",
        "cycles.order.refused-push-still-pulls",
        "A device whose push is refused as a whole ends its sync there.",
        |parts| retry_instead(parts, "forbidden", "upgrade"),
    ),
    Mutant::device(
        "whatever-has-expired-was-sent-before",
        "cycles.expired.first-send-goes-again",
        "A device whose batch has expired sends it once more, and then takes it for one that it sent before.",
        |parts| {
            let seen = Mutex::new(HashSet::<String>::new());
            effects::around_events(parts, move |machine, event, context, rules| {
                let expired = match &event {
                    Event::Answered(answer) if has_expired(answer) => machine.state().batch.clone(),
                    _ => None,
                };
                let is_first =
                    |batch: FrozenBatch| seen.lock().expect("nothing panics while it holds this").insert(batch.body);
                if !expired.is_some_and(is_first) {
                    return rules.handle(machine, event, context);
                }
                let mut writes = rules.handle(machine, Event::Lost("expired".to_owned()), context)?.writes;
                let reaction = rules.handle(machine, Event::Begin, context)?;
                writes.extend(reaction.writes);
                Ok(Reaction { writes, ..reaction })
            })
        },
    ),
    Mutant::device(
        "what-the-server-forgot-is-sent-again",
        "cycles.expired.settles-what-it-finds+2",
        "A device that is told that its outcome has expired sends the batch again as a new replica.",
        |parts| retry_instead(parts, "outcome-expired", "new-replica"),
    ),
];

fn has_expired(answer: &Answer) -> bool {
    serde_json::from_slice::<Problem>(&answer.body).is_ok_and(|problem| problem.code == ProblemCode::OutcomeExpired)
}

/// Takes what a server says against a batch of so many mutations for a server that is away.
fn never_taken_apart(parts: DeviceParts, fits: fn(usize) -> bool) -> DeviceParts {
    device_wire::answers(parts, CallKind::Push, move |sent, answer, body| {
        let mutations = sent["mutations"].as_array().map_or(0, Vec::len);
        if fits(mutations) && (matches!(answer.status, 400 | 413) || answer.status >= 500) {
            answer.status = 503;
            *body = json!("away");
        }
    })
}

/// Goes by another `retry` after one kind of problem.
fn retry_instead(parts: DeviceParts, code: &'static str, retry: &'static str) -> DeviceParts {
    device_wire::answers(parts, CallKind::Push, move |_, _, body| {
        if body["code"] == code {
            body["retry"] = json!(retry);
        }
    })
}

fn forbidden() -> Answer {
    let problem = json!({"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "no", "code": "forbidden",
        "retry": "never", "request_id": "none"});
    Answer::new(403, Some("application/problem+json".to_owned()), problem.to_string().into_bytes())
}

/// Whether an answer to a push says of a mutation that it was rejected or held.
fn was_not_taken(answer: &Answer) -> bool {
    let outcomes = serde_json::from_slice::<PushAnswer>(&answer.body).map(|answer| answer.outcomes).unwrap_or_default();
    outcomes.iter().any(|one| matches!(one.outcome, OutcomeKind::Rejected | OutcomeKind::Held))
}
