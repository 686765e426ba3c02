//! Faults against the chapter `session`.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Event, Next, Reaction};
use fieldsync_schemas::problem::PROBLEM_MEDIA_TYPE;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "the-session-is-fetched-once",
        "session.tag.refetched",
        "The tag in an answer to a push or a pull is not looked at.",
        the_session_is_fetched_once,
    ),
    Mutant::device(
        "whoever-logs-in-owns-the-store",
        "session.principal.store-bound",
        "Nobody looks at whose session it is.",
        whoever_logs_in_owns_the_store,
    ),
    Mutant::device(
        "a-copied-store-belongs-to-whoever-has-it",
        "session.principal.store-bound",
        "A store that comes from another phone is taken over with its cursors and its outbox.",
        a_copied_store_belongs_to_whoever_has_it,
    ),
    Mutant::device(
        "the-password-instead-of-a-refresh",
        "session.refresh.before-the-password",
        "A refresh token is thrown away, and the password asked for again.",
        the_password_instead_of_a_refresh,
    ),
];

/// A refresh seems to be refused before it was sent.
fn the_password_instead_of_a_refresh(parts: DeviceParts) -> DeviceParts {
    effects::around_events(parts, |machine, event, context, rules| {
        let mut reaction = rules.handle(machine, event, context)?;
        if matches!(&reaction.next, Next::Send(call) if call.kind == CallKind::Refresh) {
            let problem = json!({"type": "about:blank", "title": "Unauthenticated", "status": 401, "detail": "not asked",
                "code": "unauthenticated", "retry": "login", "request_id": "none"});
            let refused = Answer::new(401, Some(PROBLEM_MEDIA_TYPE.to_owned()), problem.to_string().into_bytes());
            let Reaction { writes, next } = rules.handle(machine, Event::Answered(refused), context)?;
            reaction.writes.extend(writes);
            reaction.next = next;
        }
        Ok(reaction)
    })
}

/// The first session of a life seems to be of the principal of the store, if there is one.
fn a_copied_store_belongs_to_whoever_has_it(parts: DeviceParts) -> DeviceParts {
    let is_first = AtomicBool::new(true);
    effects::around_events(parts, move |machine, mut event, context, rules| {
        if let Event::Answered(answer) = &mut event
            && let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body)
            && body["principal"].is_string()
            && is_first.swap(false, Ordering::Relaxed)
            && let Some(session) = &machine.state().session
        {
            body["principal"] = session.principal.as_str().into();
            answer.body = body.to_string().into_bytes();
        }
        rules.handle(machine, event, context)
    })
}

/// Every session seems to be of the principal who was there first.
fn whoever_logs_in_owns_the_store(parts: DeviceParts) -> DeviceParts {
    let first = Mutex::new(Value::Null);
    device_wire::every_body(parts, move |kind, body| {
        let mut first = first.lock().expect("nobody panics with it");
        if kind == CallKind::Session && first.is_null() {
            *first = body["principal"].clone();
        }
        if kind == CallKind::Session {
            body["principal"] = first.clone();
        }
    })
}

/// Every answer seems to carry the tag that the device knows.
fn the_session_is_fetched_once(parts: DeviceParts) -> DeviceParts {
    let known = Mutex::new(Value::Null);
    device_wire::every_body(parts, move |kind, body| {
        let mut known = known.lock().expect("nobody panics with it");
        match kind {
            CallKind::Session => *known = body["tag"].clone(),
            CallKind::Push | CallKind::Pull if body["session"].is_string() => body["session"] = known.clone(),
            _ => {}
        }
    })
}
