//! Telling: what the diary has of syncs that did not get to their end.

use super::*;
use fieldsync_schemas::telemetry::SyncEndWord;

/// A device that tells of its syncs; the first one found nothing.
fn telling() -> Desk {
    let mut desk = Desk::on(Arc::default(), Arc::default());
    desk.machine.settings.capabilities.insert("telemetry".parse().unwrap());
    desk.expect(Event::Begin, CallKind::Session);
    let mut session = session();
    let types = session["registry"]["types"].as_array_mut().unwrap();
    types.push(json!({"name": "telemetry", "class": "append", "merge": {"policy": "append-only"}}));
    desk.expect(answer(session), CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(Value::Null, &[], "c0")])));
    desk
}

#[test]
fn a_killed_sync_tells_what_it_had_stored() {
    let mut desk = telling();
    desk.create("x", json!({"a": 1}));
    let batch = desk.expect(Event::Begin, CallKind::Push);
    desk.expect(outcomes(&batch, json!({"outcome": "applied", "rev": "r1", "version": 1})), CallKind::Pull);
    let desk = desk.restarted();
    let [page] = &desk.machine.state.diary.pages[..] else { panic!("one sync was killed") };
    assert_eq!(page.outcome, SyncEndWord::Killed);
    assert_eq!(page.tally.pushed, BTreeMap::from([("observation".parse().unwrap(), 1)]));
    assert_eq!(page.tally.requests, 2, "the pull was about to be sent");
    assert!(page.tally.bytes_sent > 100 && page.tally.bytes_received > 0, "{:?}", page.tally);
}

#[test]
fn what_has_waited_three_times_goes_before_the_pull_and_fails_nothing() {
    let mut desk = telling();
    for _ in 0..3 {
        desk.expect(Event::Begin, CallKind::Pull);
        assert_eq!(desk.fails(Event::Lost("cut".to_owned())), FailureCause::Network);
    }
    desk.create("x", json!({"a": 1}));
    let data = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(data["mutations"][0]["type"], "observation");
    let applied = outcomes(&data, json!({"outcome": "applied", "rev": "r1", "version": 1}));
    let told = desk.expect(applied, CallKind::Push);
    assert_eq!(told["mutations"].as_array().unwrap().len(), 3);
    desk.expect(Event::Lost("cut".to_owned()), CallKind::Pull);
    desk.ends_well(nothing_new());
    assert_eq!(desk.machine.state.diary.pages.len(), 4, "it is told the next time");
}
