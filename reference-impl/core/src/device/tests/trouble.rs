//! Trouble: waits, tokens, and other identities.

use super::*;
use crate::device::Password;
use std::time::Duration;

#[test]
fn a_wait_that_the_server_asks_for_is_kept() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    for _ in 0..3 {
        let limited = problem(429, "rate-limited", "after", json!({"retry_after": 7}));
        assert_eq!(desk.handle(limited).unwrap(), Next::Wait(Duration::from_secs(7)));
        desk.expect(Event::Waited, CallKind::Pull);
    }
    let limited = problem(429, "rate-limited", "after", json!({"retry_after": 7}));
    assert_eq!(desk.fails(limited), FailureCause::Server);
    desk.expect(Event::Begin, CallKind::Pull);
    let long = problem(503, "unavailable", "after", json!({"retry_after": 61}));
    assert_eq!(desk.fails(long), FailureCause::Server);
}

#[test]
fn waits_without_a_word_grow() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let Next::Wait(first) = desk.handle(failed(502)).unwrap() else { panic!("no wait") };
    assert!((Duration::from_millis(250)..=Duration::from_millis(500)).contains(&first), "{first:?}");
    desk.expect(Event::Waited, CallKind::Pull);
    let Next::Wait(second) = desk.handle(failed(502)).unwrap() else { panic!("no wait") };
    assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&second), "{second:?}");
    desk.expect(Event::Waited, CallKind::Pull);
    assert_eq!(desk.fails(failed(502)), FailureCause::Server);
}

#[test]
fn a_token_that_ended_is_renewed_and_the_same_call_goes_on() {
    let mut desk = Desk::synced();
    desk.machine.credentials.password = Some(Password { user: "u".to_owned(), password: "p".to_owned() });
    desk.create("x", json!({}));
    let ended = || problem(401, "unauthenticated", "login", json!({}));
    let tokens = |access: &str| {
        answer(json!({"access_token": access, "expires_at": "2026-12-01T08:00:00.000Z", "refresh_token": "f"}))
    };
    let sent = desk.call(Event::Begin, CallKind::Push);
    desk.call(ended(), CallKind::Login);
    let again = desk.call(tokens("t2"), CallKind::Push);
    assert_eq!((&again.body, again.token.as_deref()), (&sent.body, Some("t2")));
    let batch = serde_json::from_str(&again.body.unwrap()).unwrap();
    desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Pull);
    desk.call(ended(), CallKind::Refresh);
    desk.call(ended(), CallKind::Login);
    desk.call(tokens("t3"), CallKind::Pull);
    assert_eq!(desk.fails(ended()), FailureCause::Credentials, "a token that is refused at once helps nobody");
}

#[test]
fn a_token_from_outside_that_is_refused_loses_nothing() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    desk.call(Event::Begin, CallKind::Push);
    let refused = problem(401, "unauthenticated", "login", json!({}));
    assert_eq!(desk.fails(refused), FailureCause::Credentials);
    assert_eq!((desk.outbox(), desk.shown("x")), (1, json!({"a": 1})));
}

#[test]
fn a_push_that_is_forbidden_does_not_keep_the_device_from_pulling() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    desk.expect(Event::Begin, CallKind::Push);
    desk.expect(problem(403, "forbidden", "never", json!({})), CallKind::Pull);
    assert_eq!(desk.fails(nothing_new()), FailureCause::Credentials);
    assert_eq!(desk.outbox(), 1);
}

#[test]
fn another_epoch_brings_a_resync_and_keeps_the_outbox() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let wiped = json!({"epoch": "e2", "cause": "wiped"});
    desk.call(problem(409, "epoch-mismatch", "resync", wiped), CallKind::Session);
    let mut other = session();
    other["epoch"] = json!("e2");
    let next = desk.expect(answer(other), CallKind::Push);
    assert_eq!((&next["epoch"], &next["seq"], &next["mutations"]), (&json!("e2"), &json!(1), &batch["mutations"]));
    let pull = desk.expect(outcomes(&next, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": null}));
}

#[test]
fn a_store_is_not_synced_as_somebody_else() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let mut news = pulled(&[]);
    news["session"] = json!("s2");
    desk.call(answer(news), CallKind::Session);
    let mut other = session();
    other["principal"] = json!("q");
    assert_eq!(desk.fails(answer(other)), FailureCause::Credentials);
}
