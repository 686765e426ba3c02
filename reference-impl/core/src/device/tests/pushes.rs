//! Pushes: the frozen batch, and what happens when the server fails over it or does not know it.

use super::*;

#[test]
fn a_batch_without_an_answer_is_sent_again_byte_for_byte() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    let sent = desk.call(Event::Begin, CallKind::Push);
    assert_eq!(desk.fails(Event::Lost("cut".to_owned())), FailureCause::Network);
    assert_eq!(desk.status("x"), Status::Error(fieldsync_schemas::scenario::ErrorCause::Network));
    desk.edit("x", json!({"a": 2}));
    desk.create("y", json!({}));
    let mut desk = desk.restarted();
    let again = desk.call(Event::Begin, CallKind::Push);
    assert_eq!(again.body, sent.body);
    let batch = serde_json::from_str(&again.body.unwrap()).unwrap();
    let next = desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Push);
    assert_eq!(ids(&next), ["x", "y"]);
}

#[test]
fn what_is_no_answer_changes_nothing() {
    for event in [
        failed(302),
        failed(200),
        answer(json!({})),
        told(vec![json!({"mutation_id": "other", "outcome": "applied", "rev": "r", "version": 1})]),
    ] {
        let mut desk = Desk::synced();
        desk.create("x", json!({}));
        let sent = desk.call(Event::Begin, CallKind::Push);
        assert_eq!(desk.fails(event), FailureCause::Network);
        assert_eq!(desk.call(Event::Begin, CallKind::Push).body, sent.body);
    }
}

#[test]
fn outcomes_are_matched_by_id_and_what_has_none_goes_again() {
    let mut desk = Desk::synced();
    for id in ["x", "y", "z"] {
        desk.create(id, json!({}));
    }
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let id = |index: usize| mutations(&batch)[index]["mutation_id"].clone();
    desk.expect(
        told(vec![
            json!({"mutation_id": id(2), "outcome": "applied", "rev": "r3", "version": 1}),
            json!({"mutation_id": id(0), "outcome": "something-new"}),
        ]),
        CallKind::Pull,
    );
    desk.ends_well(nothing_new());
    let next = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(ids(&next), ["x", "y"]);
    assert_eq!(mutations(&next)[0]["mutation_id"], id(0));
}

#[test]
fn a_batch_that_is_refused_as_too_large_goes_in_halves() {
    for refusal in [("too-large", 413, "split"), ("malformed", 400, "never")] {
        let mut desk = Desk::synced();
        for id in ["w", "x", "y"] {
            desk.create(id, json!({}));
        }
        let (code, status, retry) = refusal;
        let refused = || problem(status, code, retry, json!({}));
        let applied = json!({"outcome": "applied", "rev": "r1", "version": 1});
        let whole = desk.expect(Event::Begin, CallKind::Push);
        let half = desk.expect(refused(), CallKind::Push);
        assert_eq!(ids(&half), ["w", "x"]);
        assert_ne!(half["replica"], whole["replica"]);
        assert_eq!((&half["seq"], &half["previous"]), (&json!(1), &Value::Null));
        assert_eq!(mutations(&half)[0]["mutation_id"], mutations(&whole)[0]["mutation_id"]);
        let one = desk.expect(refused(), CallKind::Push);
        assert_eq!(ids(&one), ["w"]);
        let other = desk.expect(refused(), CallKind::Push);
        assert_eq!(ids(&other), ["x"]);
        let last = desk.expect(outcomes(&other, applied.clone()), CallKind::Push);
        assert_eq!(ids(&last), ["y"]);
        desk.expect(outcomes(&last, applied), CallKind::Pull);
        assert_eq!(desk.quarantine(), BTreeMap::from([("w".to_owned(), "server".to_owned())]));
    }
}

#[test]
fn a_poisoned_record_does_not_stop_the_others() {
    let mut desk = Desk::synced();
    desk.create("bad", json!({}));
    desk.create("good", json!({}));
    let whole = desk.expect(Event::Begin, CallKind::Push);
    for _ in 0..2 {
        assert_eq!(desk.expect(failed(500), CallKind::Push), whole);
    }
    let mut half = desk.expect(failed(500), CallKind::Push);
    assert_eq!(ids(&half), ["bad"]);
    for _ in 0..3 {
        half = desk.expect(failed(500), CallKind::Push);
    }
    assert_eq!(ids(&half), ["good"]);
    assert_eq!(desk.quarantine().len(), 0, "the server may fail over anything");
    desk.expect(outcomes(&half, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Pull);
    assert_eq!(desk.quarantine(), BTreeMap::from([("bad".to_owned(), "server".to_owned())]));
}

#[test]
fn a_server_that_fails_over_everything_sets_nothing_aside() {
    let mut desk = Desk::synced();
    for index in 0..20 {
        desk.create(&format!("x{index}"), json!({}));
    }
    let mut next = desk.next(Event::Begin);
    let mut sent = 0;
    while let Next::Send(_) = next {
        sent += 1;
        assert!(sent < 40, "the sync ends");
        next = desk.next(failed(500));
    }
    assert_eq!((desk.outbox(), desk.quarantine().len()), (20, 0));
    let mut desk = desk.restarted();
    let mut next = desk.next(Event::Begin);
    while let Next::Send(call) = next {
        next = match call.kind {
            CallKind::Push => {
                let batch = serde_json::from_str(&call.body.unwrap()).unwrap();
                desk.next(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 1})))
            }
            _ => desk.next(nothing_new()),
        };
    }
    assert_eq!(desk.outbox(), 0);
}

#[test]
fn a_server_that_takes_no_push_at_all_sets_nothing_aside() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    desk.create("y", json!({}));
    let refused = || problem(400, "odd", "never", json!({}));
    desk.expect(Event::Begin, CallKind::Push);
    desk.expect(refused(), CallKind::Push);
    desk.expect(refused(), CallKind::Push);
    desk.expect(refused(), CallKind::Pull);
    assert_eq!(desk.fails(nothing_new()), FailureCause::Server);
    assert_eq!((desk.outbox(), desk.quarantine().len()), (2, 0));
}

#[test]
fn one_change_alone_is_set_aside_where_a_pull_is_answered() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    desk.expect(Event::Begin, CallKind::Push);
    desk.expect(failed(413), CallKind::Pull);
    desk.ends_well(nothing_new());
    assert_eq!(desk.quarantine(), BTreeMap::from([("x".to_owned(), "server".to_owned())]));
}

#[test]
fn a_status_of_500_that_is_final_is_not_sent_again() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    desk.create("y", json!({}));
    desk.expect(Event::Begin, CallKind::Push);
    let half = desk.expect(problem(500, "odd", "never", json!({})), CallKind::Push);
    assert_eq!(ids(&half), ["x"]);
}

#[test]
fn what_another_retry_asks_for_goes_before_the_status() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let next = desk.expect(problem(500, "odd", "new-replica", json!({})), CallKind::Push);
    assert_eq!(next["mutations"], batch["mutations"]);
    let pull = desk.expect(problem(400, "odd", "resync", json!({})), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": null}));
    assert_eq!(desk.fails(answer(pulled(&[page(Value::Null, &[], "c9")]))), FailureCause::Server);
    let again = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!((&again["mutations"], desk.quarantine().len()), (&batch["mutations"], 0));
}

#[test]
fn a_batch_that_the_server_gets_for_the_first_time_has_no_outcome_to_forget() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let next = desk.expect(problem(409, "outcome-expired", "resync", json!({})), CallKind::Push);
    assert_eq!((&next["seq"], &next["mutations"]), (&json!(1), &batch["mutations"]));
    assert_ne!(next["replica"], batch["replica"]);
}

#[test]
fn a_fenced_device_goes_on_as_another_replica() {
    let mut desk = Desk::synced();
    desk.create("x", json!({}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let fenced = problem(409, "replica-fenced", "new-replica", json!({}));
    let next = desk.expect(fenced, CallKind::Push);
    assert_ne!(next["replica"], batch["replica"]);
    assert_eq!(next["seq"], 1);
    assert_eq!(next["mutations"], batch["mutations"]);
}

#[test]
fn a_forgotten_outcome_is_settled_by_what_the_server_shows() {
    let mut desk = Desk::synced();
    for id in ["there", "changed", "missing"] {
        desk.create(id, json!({"a": 1}));
    }
    let batch = desk.expect(Event::Begin, CallKind::Push);
    desk.fails(Event::Lost("cut".to_owned()));
    desk.create("later", json!({}));
    desk.expect(Event::Begin, CallKind::Push);
    let pull = desk.expect(problem(409, "outcome-expired", "resync", json!({})), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": null}));
    assert_ne!(pull["replica"], batch["replica"]);
    let changes = [put("there", "r1", 1, json!({"a": 1.0})), put("changed", "r2", 2, json!({"a": 3}))];
    let next = desk.expect(answer(pulled(&[page(Value::Null, &changes, "c9")])), CallKind::Push);
    assert_eq!(ids(&next), ["later"]);
    assert_eq!(next["seq"], 1);
    let unknown = |id: &str| (id.to_owned(), "outcome-unknown".to_owned());
    assert_eq!(desk.quarantine(), BTreeMap::from([unknown("changed"), unknown("missing")]));
    assert_eq!(desk.status("there"), Status::Synced);
    desk.expect(outcomes(&next, json!({"outcome": "applied", "rev": "r3", "version": 1})), CallKind::Pull);
    desk.ends_well(nothing_new());
}
