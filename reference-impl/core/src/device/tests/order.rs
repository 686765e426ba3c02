//! The order of what waits, over more than one batch.

use super::*;

/// A session in which a record may refer to others of its type, and a batch has room for so many.
fn of_chains(batch: usize) -> Value {
    let mut session = session();
    session["limits"]["batch_mutations"] = json!(batch);
    session["registry"]["types"][0]["parents"] = json!([
        {"type": "observation", "field": "after"}, {"type": "observation", "field": "beside"}]);
    session["registry"]["cycles"] = json!([["observation"]]);
    session
}

fn create_in(desk: &mut Desk, group: &str, id: &str) {
    desk.local(LocalChange::Create {
        record: named(id),
        data: Default::default(),
        group: Some(group.parse().unwrap()),
    });
}

fn applied() -> Value {
    json!({"outcome": "applied", "rev": "r1", "version": 1})
}

/// The ids of each batch of a sync, whose outcomes are these; the sync ends well.
fn batches(desk: &mut Desk, outcome: impl Fn(&str) -> Value) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut next = desk.next(Event::Begin);
    while let Next::Send(call) = &next
        && call.kind == CallKind::Push
    {
        let batch: Value = serde_json::from_str(call.body.as_deref().unwrap()).unwrap();
        let told_of = |mutation: &Value| {
            let mut outcome = outcome(mutation["id"].as_str().unwrap());
            outcome["mutation_id"] = mutation["mutation_id"].clone();
            outcome
        };
        next = desk.next(told(mutations(&batch).iter().map(told_of).collect()));
        all.push(ids(&batch));
    }
    assert!(matches!(next, Next::Send(Call { kind: CallKind::Pull, .. })), "{next:?}");
    desk.ends_well(nothing_new());
    all
}

#[test]
fn what_it_refers_to_goes_in_an_earlier_batch() {
    let mut desk = Desk::synced_as(of_chains(2));
    desk.create("a", json!({}));
    desk.create("b", json!({}));
    desk.create("c", json!({}));
    desk.edit("a", json!({"after": "c"}));
    assert_eq!(batches(&mut desk, |_| applied()), [vec!["c", "a"], vec!["b"]]);
}

#[test]
fn what_refers_to_a_refused_record_is_left_out_of_later_batches() {
    let mut desk = Desk::synced_as(of_chains(2));
    desk.create("a", json!({}));
    desk.create("b", json!({}));
    desk.create("child", json!({"after": "a"}));
    desk.create("d", json!({}));
    let outcome = |id: &str| match id {
        "a" => json!({"outcome": "rejected", "problem": {"code": "invalid-data", "detail": "no"}}),
        _ => applied(),
    };
    assert_eq!(batches(&mut desk, outcome), [vec!["a", "b"], vec!["d"]]);
    assert_eq!((desk.outbox(), desk.quarantine().len()), (1, 1));
}

#[test]
fn a_group_is_never_parted_by_the_end_of_a_batch() {
    let mut desk = Desk::synced_as(of_chains(3));
    for (group, id) in [("g1", "a"), ("g2", "b"), ("g1", "c"), ("g2", "d")] {
        create_in(&mut desk, group, id);
    }
    desk.create("e", json!({}));
    assert_eq!(batches(&mut desk, |_| applied()), [vec!["a", "c"], vec!["b", "d", "e"]]);
}

#[test]
fn a_group_of_which_a_part_was_refused_does_not_go() {
    let mut desk = Desk::synced();
    create_in(&mut desk, "g1", "a");
    create_in(&mut desk, "g1", "b");
    let outcome = |id: &str| match id {
        "a" => json!({"outcome": "rejected", "problem": {"code": "invalid-data", "detail": "no"}}),
        _ => json!({"outcome": "held"}),
    };
    assert_eq!(batches(&mut desk, outcome), [["a", "b"]]);
    assert_eq!(desk.status("b"), Status::Pending);
    desk.expect(Event::Begin, CallKind::Pull);
}

#[test]
fn a_circle_goes_whatever_batches_it_falls_into() {
    let mut desk = Desk::synced_as(of_chains(2));
    for id in ["a", "b", "c", "d", "e"] {
        desk.create(id, json!({}));
    }
    desk.edit("c", json!({"after": "e"}));
    desk.edit("e", json!({"after": "c"}));
    let mut all = batches(&mut desk, |_| applied()).concat();
    all.sort();
    assert_eq!(all, ["a", "b", "c", "d", "e"]);
}

#[test]
fn what_is_made_while_batches_go_has_its_place_among_them() {
    let mut desk = Desk::synced_as(of_chains(1));
    for id in ["a", "b", "c"] {
        desk.create(id, json!({}));
    }
    let first = desk.expect(Event::Begin, CallKind::Push);
    desk.create("d", json!({}));
    desk.edit("b", json!({"after": "d"}));
    let mut sent = vec![ids(&first)];
    for _ in 0..3 {
        let batch = json!({"mutations": [{"mutation_id": last_sent(&desk)}]});
        sent.push(ids(&desk.expect(outcomes(&batch, applied()), CallKind::Push)));
    }
    assert_eq!(sent.concat(), ["a", "d", "b", "c"]);
}

/// A device that pulled two records, of which one refers to the other, and puts one change into a batch.
fn with_juma_at_home() -> Desk {
    let mut desk = Desk::synced_as(of_chains(1));
    let there = [put("home", "r1", 1, json!({})), put("juma", "r2", 1, json!({"after": "home"}))];
    desk.expect(Event::Begin, CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(json!("c0"), &there, "c1")])));
    desk
}

#[test]
fn what_goes_again_goes_before_the_delete_of_what_it_leaves() {
    let mut desk = with_juma_at_home();
    desk.edit("juma", json!({"after": null}));
    desk.delete("home");
    let first = desk.expect(Event::Begin, CallKind::Push);
    assert_eq!(ids(&first), ["juma"]);
    let problem = json!({"code": "mutation-id-reused", "detail": "another"});
    let refused = json!({"outcome": "rejected", "problem": problem});
    let again = desk.expect(outcomes(&first, refused), CallKind::Push);
    assert_eq!(ids(&again), ["juma"]);
    let last = desk.expect(outcomes(&again, applied()), CallKind::Push);
    assert_eq!(ids(&last), ["home"]);
}

#[test]
fn an_edit_behind_what_is_on_its_way_goes_before_the_delete_of_what_it_leaves() {
    let mut desk = with_juma_at_home();
    desk.edit("juma", json!({"age": 3}));
    desk.create("other", json!({}));
    desk.delete("home");
    let first = desk.expect(Event::Begin, CallKind::Push);
    desk.edit("juma", json!({"after": null}));
    let mut sent = vec![ids(&first)];
    for _ in 0..3 {
        let batch = json!({"mutations": [{"mutation_id": last_sent(&desk)}]});
        sent.push(ids(&desk.expect(outcomes(&batch, applied()), CallKind::Push)));
    }
    assert_eq!(sent.concat(), ["juma", "other", "juma", "home"]);
}

fn last_sent(desk: &Desk) -> String {
    desk.machine.state().batch.as_ref().unwrap().mutations[0].to_string()
}

#[test]
fn a_chain_of_any_length_is_deleted_from_its_end() {
    const LENGTH: usize = 20_000;
    let mut desk = Desk::synced_as(of_chains(LENGTH));
    let link = |at: usize| {
        let data = if at == 0 { json!({}) } else { json!({"after": format!("n{}", at - 1)}) };
        put(&format!("n{at}"), &format!("r{at}"), 1, data)
    };
    desk.expect(Event::Begin, CallKind::Pull);
    desk.ends_well(answer(pulled(&[page(json!("c0"), &(0..LENGTH).map(link).collect::<Vec<_>>(), "c1")])));
    for at in 0..LENGTH {
        desk.delete(&format!("n{at}"));
    }
    let deleted = ids(&desk.expect(Event::Begin, CallKind::Push));
    assert_eq!(deleted, (0..LENGTH).rev().map(|at| format!("n{at}")).collect::<Vec<_>>());
}
