//! Edits: what becomes one mutation, and what an outcome does to the edit that waits.

use super::*;

/// A device that pushes a create of `x`, edited on the way.
fn edited_on_the_way() -> (Desk, Value) {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(desk.status("x"), Status::Syncing);
    desk.edit("x", json!({"a": 2}));
    (desk, batch)
}

#[test]
fn unsent_edits_are_one_mutation_and_count_every_modification() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1, "b": null}));
    desk.edit("x", json!({"a": 2}));
    desk.create("y", json!({}));
    desk.delete("y");
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let [only] = mutations(&batch).try_into().unwrap();
    assert_eq!((&only["op"], &only["version"], &only["data"]), (&json!("create"), &json!(2), &json!({"a": 2})));
    assert_eq!(only["base"], Value::Null);
    assert_eq!(desk.shown("y"), Value::Null);
}

#[test]
fn after_applied_the_waiting_edit_stands_on_the_new_rev() {
    let (mut desk, batch) = edited_on_the_way();
    let next = desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 7})), CallKind::Push);
    let [edit] = mutations(&next).try_into().unwrap();
    assert_eq!((&edit["op"], &edit["base"], &edit["version"]), (&json!("update"), &json!("r1"), &json!(8)));
    assert_ne!(edit["mutation_id"], mutations(&batch)[0]["mutation_id"]);
    assert_eq!((&next["seq"], &next["previous"]), (&json!(2), &json!("b")));
    desk.expect(outcomes(&next, json!({"outcome": "applied", "rev": "r2", "version": 8})), CallKind::Pull);
    assert_eq!((desk.shown("x"), desk.status("x")), (json!({"a": 2}), Status::Synced));
}

#[test]
fn a_waiting_edit_counts_on_from_an_outcome_that_is_further() {
    let (mut desk, batch) = edited_on_the_way();
    desk.edit("x", json!({"a": 3}));
    desk.edit("x", json!({"a": 4}));
    let next = desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 2})), CallKind::Push);
    assert_eq!(mutations(&next)[0]["version"], 5);
}

#[test]
fn a_save_that_changes_nothing_is_no_change() {
    let (mut desk, batch) = edited_on_the_way();
    desk.edit("x", json!({"a": 2.0, "b": null}));
    let next = desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Push);
    assert_eq!(mutations(&next)[0]["version"], 2);
    desk.expect(outcomes(&next, json!({"outcome": "applied", "rev": "r2", "version": 2})), CallKind::Pull);
    desk.ends_well(nothing_new());
    desk.edit("x", json!({"a": 2}));
    assert_eq!(desk.outbox(), 0);
}

#[test]
fn what_is_given_up_on_its_way_is_not_shown_and_does_not_go_twice() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(json!("c0"), &[put("x", "r1", 1, json!({"a": 0}))], "c1")])));
    desk.edit("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    desk.local(LocalChange::Discard { record: named("x") });
    assert_eq!((desk.shown("x"), desk.outbox()), (json!({"a": 0}), 1));
    desk.edit("x", json!({"b": 2}));
    let next = desk.expect(problem(409, "replica-fenced", "new-replica", json!({})), CallKind::Push);
    let [only] = mutations(&next).try_into().unwrap();
    assert_eq!((&only["data"], &only["base"]), (&json!({"a": 0, "b": 2}), &json!("r1")));
    assert_ne!(only["mutation_id"], mutations(&batch)[0]["mutation_id"]);
}

#[test]
fn after_superseded_an_edit_of_a_create_is_a_create() {
    let (mut desk, batch) = edited_on_the_way();
    let superseded = json!({"outcome": "superseded", "record": record("x", "r9", 5, json!({"a": 9}))});
    let next = desk.expect(outcomes(&batch, superseded), CallKind::Push);
    assert_eq!((&mutations(&next)[0]["op"], &mutations(&next)[0]["base"]), (&json!("create"), &Value::Null));
}

#[test]
fn after_superseded_the_waiting_edit_keeps_its_base() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(json!("c0"), &[put("x", "r1", 1, json!({"a": 0}))], "c1")])));
    desk.edit("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    desk.edit("x", json!({"a": 2}));
    let superseded = json!({"outcome": "superseded", "record": record("x", "r9", 5, json!({"a": 9}))});
    let next = desk.expect(outcomes(&batch, superseded), CallKind::Push);
    assert_eq!((&mutations(&next)[0]["base"], &mutations(&next)[0]["version"]), (&json!("r1"), &json!(3)));
    assert_eq!(desk.shown("x"), json!({"a": 2}), "the edit is shown until it is ranked");
    let superseded = json!({"outcome": "superseded", "record": record("x", "r9", 5, json!({"a": 9}))});
    desk.expect(outcomes(&next, superseded), CallKind::Pull);
    assert_eq!((desk.shown("x"), desk.status("x"), desk.outbox()), (json!({"a": 9}), Status::Synced, 0));
}

#[test]
fn after_held_skipped_stale_and_rejected_both_become_one() {
    let refusal = json!({"code": "missing-parent", "detail": "d"});
    let current = record("x", "r9", 5, json!({"a": 9}));
    for outcome in [
        json!({"outcome": "held", "problem": refusal}),
        json!({"outcome": "skipped", "problem": refusal}),
        json!({"outcome": "stale", "record": current}),
        json!({"outcome": "rejected", "problem": refusal}),
    ] {
        let (mut desk, batch) = edited_on_the_way();
        let first = mutations(&batch).remove(0);
        let next = match desk.next(outcomes(&batch, outcome.clone())) {
            // Only what was refused for good may go better in the same sync.
            Next::Send(call) if call.kind == CallKind::Push => {
                assert_eq!(outcome["outcome"], "rejected");
                serde_json::from_str(&call.body.unwrap()).unwrap()
            }
            _ => {
                desk.ends_well(nothing_new());
                desk.expect(Event::Begin, CallKind::Push)
            }
        };
        let [both] = mutations(&next).try_into().unwrap();
        assert_eq!((&both["op"], &both["base"], &both["data"]), (&json!("create"), &Value::Null, &json!({"a": 2})));
        assert_eq!((&both["version"], &both["replaces"]), (&json!(2), &first["mutation_id"]), "{outcome}");
        assert_ne!(both["mutation_id"], first["mutation_id"]);
        assert_eq!(desk.outbox(), 1);
    }
}

#[test]
fn what_was_refused_and_deleted_meanwhile_vanishes() {
    let (mut desk, batch) = edited_on_the_way();
    desk.delete("x");
    let refused = json!({"outcome": "rejected", "problem": {"code": "immutable", "detail": "d"}});
    desk.expect(outcomes(&batch, refused), CallKind::Pull);
    assert_eq!((desk.outbox(), desk.shown("x"), desk.quarantine().len()), (0, Value::Null, 0));
}

#[test]
fn a_refused_create_is_kept_until_it_is_edited_or_discarded() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    desk.create("y", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let refused = json!({"outcome": "rejected", "problem": {"code": "number-range", "detail": "d"}});
    desk.expect(outcomes(&batch, refused), CallKind::Pull);
    desk.ends_well(nothing_new());
    assert_eq!(desk.quarantine()["x"], "number-range");
    assert_eq!(desk.shown("x"), json!({"a": 1}));
    let mut desk = desk.restarted();
    desk.edit("x", json!({"a": 2}));
    desk.local(LocalChange::Discard { record: named("y") });
    assert_eq!((desk.quarantine().len(), desk.shown("y")), (0, Value::Null));
    let again = desk.expect(Event::Begin, CallKind::Push);
    let [again] = mutations(&again).try_into().unwrap();
    assert_eq!((&again["op"], &again["replaces"]), (&json!("create"), &mutations(&batch)[0]["mutation_id"]));
}

#[test]
fn a_refused_update_shows_the_servers_state() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(json!("c0"), &[put("x", "r1", 1, json!({"a": 0}))], "c1")])));
    desk.edit("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let refused = json!({"outcome": "rejected", "problem": {"code": "immutable", "detail": "d"}});
    desk.expect(outcomes(&batch, refused), CallKind::Pull);
    assert_eq!(desk.shown("x"), json!({"a": 0}));
    assert_eq!(desk.status("x"), Status::Error(fieldsync_schemas::scenario::ErrorCause::Rejected));
}

#[test]
fn a_used_mutation_id_is_replaced() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    let mut batch = desk.expect(Event::Begin, CallKind::Push);
    let reused = json!({"outcome": "rejected", "problem": {"code": "mutation-id-reused", "detail": "d"}});
    for _ in 0..3 {
        let next = desk.expect(outcomes(&batch, reused.clone()), CallKind::Push);
        assert_ne!(mutations(&next)[0]["mutation_id"], mutations(&batch)[0]["mutation_id"]);
        batch = next;
    }
    desk.expect(outcomes(&batch, reused), CallKind::Pull);
    assert_eq!(desk.outbox(), 1, "a server that never takes it does not keep the sync from its end");
}
