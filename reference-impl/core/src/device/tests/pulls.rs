//! Pulls: cursors, stray pages, and resyncs.

use super::*;

#[test]
fn nothing_new_is_one_request() {
    let mut desk = Desk::synced();
    let pull = desk.expect(Event::Begin, CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": "c0"}));
    let report = desk.finishes(nothing_new());
    assert_eq!((report.outcome, report.counts.requests), (SyncOutcome::Ok, 1));
}

#[test]
fn a_page_from_elsewhere_is_discarded() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let stray = || answer(pulled(&[page(json!("c7"), &[put("x", "r1", 1, json!({"a": 1}))], "c8")]));
    for _ in 0..3 {
        let again = desk.expect(stray(), CallKind::Pull);
        assert_eq!(again["feeds"], json!({"observation": "c0"}));
    }
    assert_eq!(desk.fails(stray()), FailureCause::Network);
    assert_eq!(desk.shown("x"), Value::Null);
}

#[test]
fn pages_are_pulled_to_the_end_and_unknown_kinds_of_change_are_skipped() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let mut first = page(json!("c0"), &[json!({"op": "blink"}), put("x", "r1", 1, json!({"a": 1}))], "c1");
    first["more"] = json!(true);
    let pull = desk.expect(answer(pulled(&[first])), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": "c1"}));
    let mut gone = record("x", "r2", 2, json!({}));
    gone["deleted"] = json!(true);
    let tombstone = json!({"op": "tombstone", "record": gone});
    desk.ends_well(answer(pulled(&[page(json!("c1"), &[tombstone], "c2")])));
    assert_eq!(desk.shown("x"), json!("deleted"));
}

#[test]
fn a_pull_moves_only_the_servers_copy_of_a_record_with_unsent_work() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    desk.create("x", json!({"a": 1}));
    desk.ends_well(answer(pulled(&[page(json!("c0"), &[put("x", "r1", 4, json!({"a": 9}))], "c1")])));
    assert_eq!(desk.shown("x"), json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(mutations(&batch)[0]["base"], Value::Null);
}

#[test]
fn a_resync_drops_what_is_gone_and_survives_a_restart() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let all = ["kept", "gone", "worked"].map(|id| put(id, &format!("r-{id}"), 1, json!({"a": 1})));
    desk.ends_well(answer(pulled(&[page(json!("c0"), &all, "c1")])));
    desk.expect(Event::Begin, CallKind::Pull);
    desk.edit("worked", json!({"a": 2}));
    desk.edit("kept", json!({"a": 3}));
    desk.create("new", json!({}));
    let expired = problem(410, "cursor-expired", "resync", json!({"feeds": ["observation"]}));
    let pull = desk.expect(expired, CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": null}));
    let mut first = page(Value::Null, &[], "c2");
    first["more"] = json!(true);
    desk.expect(answer(pulled(&[first])), CallKind::Pull);
    assert_eq!(desk.fails(Event::Lost("cut".to_owned())), FailureCause::Network);
    assert_eq!(desk.shown("gone"), json!({"a": 1}), "nothing goes before the end");

    let mut desk = desk.restarted();
    let batch = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(ids(&batch), ["worked", "kept", "new"]);
    let held = json!({"outcome": "held", "problem": {"code": "missing-parent", "detail": "d"}});
    let pull = desk.expect(outcomes(&batch, held), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": "c2"}));
    desk.ends_well(answer(pulled(&[page(json!("c2"), &[put("kept", "r-kept", 1, json!({"a": 1}))], "c3")])));
    assert_eq!((desk.shown("kept"), desk.shown("gone")), (json!({"a": 3}), Value::Null));
    assert_eq!(desk.quarantine(), BTreeMap::from([("worked".to_owned(), "gone".to_owned())]));
    assert_eq!((desk.shown("worked"), desk.outbox()), (json!({"a": 2}), 2), "own work is kept");
}

#[test]
fn a_server_that_asks_for_one_resync_after_another_ends_the_sync() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let expired = || problem(410, "cursor-expired", "resync", json!({"feeds": ["observation"]}));
    for _ in 0..3 {
        desk.expect(expired(), CallKind::Pull);
    }
    assert_eq!(desk.fails(expired()), FailureCause::Server);
}

#[test]
fn another_session_tag_and_a_new_feed_bring_the_session() {
    let mut desk = Desk::synced();
    desk.expect(Event::Begin, CallKind::Pull);
    let mut news = pulled(&[]);
    news["session"] = json!("s2");
    news["new_feeds"] = json!(["place"]);
    desk.call(answer(news.clone()), CallKind::Session);
    let mut changed = session();
    changed["tag"] = json!("s2");
    let place = json!({"name": "place", "class": "reference", "merge": {"policy": "server-only"}});
    let strange = json!({"name": "strange", "class": "transactional", "merge": {"policy": "version-wins"},
        "requires": ["teleport"]});
    changed["registry"]["types"] = json!([place, session()["registry"]["types"][0], strange]);
    let pull = desk.expect(answer(changed), CallKind::Pull);
    assert_eq!(pull["feeds"], json!({"observation": "c0", "place": null}));
    news["new_feeds"] = json!(["strange"]);
    let report = desk.finishes(answer(news));
    assert_eq!(report.left_out, [TypeName::new("strange").unwrap()]);
}

#[test]
fn conflict_entries_are_logged_once() {
    let mut desk = Desk::synced();
    desk.create("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    let entry = json!({"record": {"type": "observation", "id": "x"}, "path": "", "lost": {"a": 1}, "kept": {"a": 9},
        "lost_by": {}, "kept_by": {}, "time": "2026-12-01T08:00:00.000Z"});
    let mut logged = record("c-1", "r5", 1, entry);
    logged["type"] = json!("conflict");
    let superseded = json!({"outcome": "superseded", "record": record("x", "r9", 5, json!({"a": 9})),
        "conflicts": [logged]});
    desk.expect(outcomes(&batch, superseded), CallKind::Pull);
    let again = json!({"op": "put", "record": logged});
    desk.ends_well(answer(pulled(&[page(json!("c0"), &[again], "c1")])));
    let log = desk.store.conflicts().unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].1.lost, Some(json!({"a": 1})));
}
