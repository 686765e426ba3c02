//! What the merge promises, over states and rules made at random.
//!
//! States are small and alike, so that both sides often touch the same member, the same item, or nothing.

use super::equal::get;
use super::list::Keys;
use super::rules::{Node, Rule};
use super::{Overridden, Rules, Side, apply, difference, equal, equal_data, merge, reapply};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::{FieldRule, FieldRuleKind, MergeRules};
use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn scalar() -> impl Strategy<Value = Value> {
    select(vec![json!(0), json!(1), json!(2), json!(1.0), json!("x"), json!(null)])
}

fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| weighted(0.7, value).prop_map(move |value| Some((name.to_owned(), value?))))
        .collect();
    members.prop_map(|members| Value::Object(members.into_iter().flatten().collect())).boxed()
}

/// A list whose items have keys; seldom one that is no keyed list.
fn keyed(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let list = (subsequence(vec!["e", "f", "g", "h"], 0..4).prop_shuffle(), vec(item, 4)).prop_map(|(keys, items)| {
        let with_key = |(key, mut item): (&str, Value)| {
            item["id"] = key.into();
            item
        };
        Value::Array(keys.into_iter().zip(items).map(with_key).collect())
    });
    let none = select(vec![json!([{"a": 1}]), json!([{"id": "e"}, {"id": "e", "a": 1}]), json!([1]), json!("none")]);
    prop_oneof![30 => list, 1 => none].boxed()
}

pub(super) fn data() -> impl Strategy<Value = Data> {
    let inner = object(vec![("a", scalar().boxed()), ("b", scalar().boxed())]);
    let item = object(vec![
        ("a", scalar().boxed()),
        ("b", scalar().boxed()),
        ("o", inner.clone()),
        ("m", keyed(object(vec![("a", scalar().boxed())]))),
    ]);
    let within = object(vec![("a", scalar().boxed()), ("l", keyed(inner.clone())), ("o", inner)]);
    let within = prop_oneof![9 => within, 1 => scalar()].boxed();
    let whole = vec(scalar(), 0..3).prop_map(Value::Array).boxed();
    object(vec![
        ("a", scalar().boxed()),
        ("b", scalar().boxed()),
        ("c", scalar().boxed()),
        ("l", keyed(item)),
        ("o", within),
        ("w", whole),
    ])
    .prop_map(|data| data.as_object().cloned().unwrap_or_default())
}

/// A change of a state: some members are as in it, the others made anew.
pub(super) fn changed(base: Data) -> impl Strategy<Value = Data> {
    (data(), vec(any::<bool>(), 6)).prop_map(move |(mut other, keep)| {
        for (name, _) in ["a", "b", "c", "l", "o", "w"].iter().zip(keep).filter(|(_, keep)| *keep) {
            match base.get(*name) {
                Some(value) => drop(other.insert((*name).to_owned(), value.clone())),
                None => drop(other.remove(*name)),
            }
        }
        other
    })
}

/// Base, local and server, all there.
pub(super) fn three() -> impl Strategy<Value = (Data, Data, Data)> {
    data().prop_flat_map(|base| (Just(base.clone()), changed(base.clone()), changed(base)))
}

/// The same, where each may be none.
fn sides() -> impl Strategy<Value = [Option<Data>; 3]> {
    (three(), vec(weighted_true(0.9), 3)).prop_map(|((base, local, server), there)| {
        let mut there = there.into_iter();
        [base, local, server].map(|data| there.next().unwrap_or_default().then_some(data))
    })
}

fn weighted_true(probability: f64) -> impl Strategy<Value = bool> {
    proptest::bool::weighted(probability)
}

/// Rules for some of the members; the server's own kinds only where asked for.
pub(super) fn rules(with_server_kinds: bool) -> impl Strategy<Value = Rules> {
    use FieldRuleKind::{ClientWins, Derived, Immutable, KeyedSet, Max, Min, ServerSet, ServerWins};
    let mut kinds = vec![ServerWins, ClientWins, Max, Min, Derived];
    if with_server_kinds {
        kinds.extend([Immutable, ServerSet]);
    }
    let values = vec!["/a", "/b", "/o/a", "/o/o/a", "/l/*/a", "/l/*/o", "/l/*/m/*/a"];
    let lists = subsequence(vec!["/l", "/l/*/m", "/o/l"], 0..=3);
    (btree_map(select(values), select(kinds), 0..4), lists, any::<bool>(), 0..10).prop_map(
        |(values, lists, edit_wins, whole)| {
            let is_list = |name| lists.contains(&name);
            let reached = |pointer: &str| {
                (!pointer.starts_with("/l/*") || is_list("/l")) && (!pointer.contains("/m/*") || is_list("/l/*/m"))
            };
            let mut kinds: Vec<_> = values.into_iter().chain(lists.iter().map(|list| (*list, KeyedSet))).collect();
            if whole == 0 {
                kinds.retain(|(pointer, _)| !pointer.starts_with("/o"));
                kinds.push(("/o", ServerWins));
            }
            let rule = |rule| FieldRule { rule, key: None, inputs: Vec::new() };
            let fields = kinds.into_iter().filter(|(pointer, _)| reached(pointer));
            let deletes = if edit_wins { "edit-wins" } else { "delete-wins" };
            let mut rules: MergeRules =
                serde_json::from_value(json!({"policy": "field-merge", "deletes": deletes})).expect("rules");
            rules.fields = fields.map(|(pointer, kind)| (pointer.to_owned(), rule(kind))).collect();
            Rules::compile(&rules).expect("the rules can be followed")
        },
    )
}

pub(super) fn equal_states(one: Option<&Data>, other: Option<&Data>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => equal_data(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn equal_values(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => equal(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// A member or item by its name, and what it is on each side.
type Part<'a, const N: usize> = (String, &'a Node, [Option<&'a Value>; N]);

/// The parts of some values at one place that are merged apart: members of objects, items of keyed lists. None where
/// one of them is one whole.
fn parts<'a, const N: usize>(node: &'a Node, values: [Option<&'a Value>; N]) -> Option<Vec<Part<'a, N>>> {
    match &node.rule {
        None => {
            let mut objects = [None; N];
            for (object, value) in objects.iter_mut().zip(values) {
                *object = Some(value?.as_object()?);
            }
            let names: BTreeSet<_> = objects.iter().flatten().flat_map(|object| object.keys()).collect();
            let part = |name: &String| objects.map(|object| get(object?, name));
            Some(names.into_iter().map(|name| (name.clone(), node.member(name), part(name))).collect())
        }
        Some(Rule::Keyed(list)) => {
            let keys: Vec<_> = values.iter().map(|value| Keys::of(*value, &list.key)).collect::<Option<_>>()?;
            let names: BTreeSet<_> = keys.iter().flat_map(|keys| keys.iter().map(|(key, _)| key.to_owned())).collect();
            let item = |value: Option<&'a Value>, key: &str| {
                value?.as_array()?.iter().find(|item| item["id"].as_str() == Some(key))
            };
            let part = |name: &str| values.map(|value| item(value, name));
            Some(names.iter().map(|name| (name.clone(), &*list.items, part(name))).collect())
        }
        Some(_) => None,
    }
}

fn at<'a>(path: &str, node: &'a Node, value: Option<&'a Value>) -> Option<&'a Value> {
    let Some(rest) = path.strip_prefix('/') else { return value };
    let (step, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    let (_, node, [value]) = parts(node, [value])?.into_iter().find(|(name, ..)| name == step)?;
    at(rest, node, value)
}

/// Checks that a change of one side is in the result, or in the list of overridden values.
fn accounted(path: &str, node: &Node, values: [Option<&Value>; 3], side: Side, overridden: &[Overridden]) {
    let [base, changed, merged] = values;
    let is_this = |one: &&Overridden| one.path == path && one.lost_side == side;
    if node.same(changed, base) || node.same(changed, merged) {
        return;
    }
    if let Some(one) = overridden.iter().find(is_this) {
        assert!(equal_values(one.lost.as_ref(), changed), "{path}: lost is another value: {one:?}");
        return;
    }
    let parts = parts(node, values).unwrap_or_else(|| panic!("{path}: {changed:?} of {side:?} was lost in silence"));
    for (name, node, values) in parts {
        accounted(&format!("{path}/{name}"), node, values, side, overridden);
    }
}

/// Checks that what at most one side changed is as that side has it.
fn one_sided(path: &str, node: &Node, [base, local, server, merged]: [Option<&Value>; 4], local_is_taken: bool) {
    if equal_values(local, base) {
        assert!(equal_values(merged, server), "{path}: {server:?} of the server became {merged:?}");
    } else if local_is_taken && node.same(server, base) {
        assert!(node.same(merged, local), "{path}: {local:?} became {merged:?}");
    } else {
        for (name, node, values) in parts(node, [base, local, server, merged]).unwrap_or_default() {
            one_sided(&format!("{path}/{name}"), node, values, local_is_taken);
        }
    }
}

/// Checks that items that are not on all sides are whole, and that none is there that was removed in agreement.
fn items_whole(node: &Node, [base, local, server, merged]: [Option<&Value>; 4]) {
    let is_item = matches!(node.rule, Some(Rule::Keyed(_)));
    for (_, node, [base, local, server, merged]) in parts(node, [base, local, server, merged]).unwrap_or_default() {
        if is_item && (base.is_none() || local.is_none() || server.is_none()) {
            let sides = [local, server];
            assert!(sides.iter().any(|side| equal_values(merged, *side)), "by half: {merged:?}");
            let removed = base.is_some() && sides.iter().any(|side| node.same(*side, base));
            assert!(!removed || merged.is_none(), "removed by one side, unchanged on the other: {merged:?}");
            let added = base.is_none() && sides.iter().any(|side| side.is_some());
            assert!(!added || merged.is_some(), "added and not there: {sides:?}");
        } else {
            items_whole(node, [base, local, server, merged]);
        }
    }
}

/// The same values in another spelling.
fn respelled(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Data = members.iter().map(|(name, value)| (name.clone(), respelled(value))).collect();
            members.insert("nothing".to_owned(), Value::Null);
            Value::Object(members)
        }
        Value::Array(items) => Value::Array(items.iter().map(respelled).collect()),
        Value::Number(number) => number.as_f64().into(),
        other => other.clone(),
    }
}

fn whole(data: &Data) -> Value {
    Value::Object(data.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_result_is_at_rest([base, local, server] in sides(), rules in rules(true)) {
        let merged = merge(base.as_ref(), local, server.clone(), &rules);
        let again = merge(server.as_ref(), merged.data.clone(), server.clone(), &rules);
        prop_assert!(equal_states(again.data.as_ref(), merged.data.as_ref()), "{:?}", again.data);
        prop_assert_eq!(again.overridden, vec![]);
    }

    #[test]
    fn with_nothing_changed_here_it_is_the_servers([base, _, server] in sides(), rules in rules(true)) {
        let merged = merge(base.as_ref(), base.clone(), server.clone(), &rules);
        prop_assert!(equal_states(merged.data.as_ref(), server.as_ref()));
        prop_assert_eq!(merged.overridden, vec![]);
    }

    #[test]
    fn with_nothing_changed_there_it_is_the_local_one([base, local, _] in sides(), rules in rules(false)) {
        let merged = merge(base.as_ref(), local.clone(), base.clone(), &rules);
        prop_assert!(match (&merged.data, &local) {
            (Some(merged), Some(local)) => rules.record.same_data(merged, local),
            (merged, local) => merged.is_none() && local.is_none(),
        }, "{:?}", merged.data);
        prop_assert_eq!(merged.overridden, vec![]);
    }

    #[test]
    fn equal_values_never_conflict([base, local, _] in sides(), rules in rules(true)) {
        let server = local.as_ref().and_then(|local| respelled(&whole(local)).as_object().cloned());
        let merged = merge(base.as_ref(), local.clone(), server, &rules);
        prop_assert!(equal_states(merged.data.as_ref(), local.as_ref()), "{:?}", merged.data);
        prop_assert_eq!(merged.overridden, vec![]);
    }

    #[test]
    fn nothing_is_lost_in_silence([base, local, server] in sides(), rules in rules(true)) {
        let merged = merge(base.as_ref(), local.clone(), server.clone(), &rules);
        let [base, local, server, result] = [base, local, server, merged.data.clone()].map(|data| data.map(Value::Object));
        for (side, changed) in [(Side::Local, &local), (Side::Server, &server)] {
            accounted("", &rules.record, [base.as_ref(), changed.as_ref(), result.as_ref()], side, &merged.overridden);
        }
        let mut paths = BTreeSet::new();
        for one in &merged.overridden {
            prop_assert!(paths.insert(&one.path), "two entries for {}", one.path);
            let loser = if one.lost_side == Side::Local { &local } else { &server };
            for (value, state) in [(&one.base, &base), (&one.lost, loser), (&one.kept, &result)] {
                let there = at(&one.path, &rules.record, state.as_ref());
                prop_assert!(equal_values(value.as_ref(), there), "{:?}, and there is {:?}", one, there);
            }
            prop_assert!(!equal_values(one.lost.as_ref(), one.kept.as_ref()), "{:?}", one);
            prop_assert!(!equal_values(one.lost.as_ref(), one.base.as_ref()), "{:?}", one);
        }
    }

    #[test]
    fn what_one_side_changed_is_as_that_side_has_it((base, local, server) in three(), rules in rules(false)) {
        let merged = merge(Some(&base), Some(local.clone()), Some(server.clone()), &rules);
        let [base, local, server] = [base, local, server].map(Value::Object);
        let merged = merged.data.map(Value::Object);
        one_sided("", &rules.record, [Some(&base), Some(&local), Some(&server), merged.as_ref()], true);
    }

    #[test]
    fn no_item_is_doubled_or_there_by_half((base, local, server) in three(), rules in rules(true)) {
        let merged = merge(Some(&base), Some(local.clone()), Some(server.clone()), &rules);
        let [base, local, server] = [base, local, server].map(|data| {
            let mut data = Value::Object(data);
            crate::data::drop_null_members(&mut data);
            data
        });
        let merged = merged.data.map(Value::Object);
        items_whole(&rules.record, [Some(&base), Some(&local), Some(&server), merged.as_ref()]);
    }

    #[test]
    fn which_values_conflict_does_not_depend_on_who_was_first([base, one, other] in sides(), rules in rules(false)) {
        let first = merge(base.as_ref(), one.clone(), other.clone(), &rules);
        let second = merge(base.as_ref(), other, one, &rules);
        let paths = |overridden: &[Overridden]| overridden.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        prop_assert_eq!(paths(&first.overridden), paths(&second.overridden));
        if let (true, Some(first), Some(second)) = (first.overridden.is_empty(), first.data, second.data) {
            prop_assert!(rules.record.same_data(&first, &second), "{:?} and {:?}", first, second);
        }
    }

    #[test]
    fn immutable_members_are_left_alone((base, local, server) in three(), rules in rules(true)) {
        let merged = merge(Some(&base), Some(local), Some(server.clone()), &rules);
        let changed = merged.data.and_then(|merged| rules.immutable_change(&server, &merged));
        prop_assert_eq!(changed, None);
    }

    #[test]
    fn late_values_come_under_the_changes((base, local, late) in three(), rules in rules(false)) {
        let result = reapply(&base, Some(local.clone()), late.clone(), &rules).map(Value::Object);
        prop_assert_eq!(reapply(&base, None, late.clone(), &rules), None);
        let [base, local, late] = [base, local, late].map(Value::Object);
        one_sided("", &rules.record, [Some(&base), Some(&local), Some(&late), result.as_ref()], true);
        accounted("", &rules.record, [Some(&base), Some(&local), result.as_ref()], Side::Local, &[]);
    }

    #[test]
    fn a_patch_makes_one_state_of_another((base, changed, _) in three()) {
        let patch = difference(&base, &changed);
        prop_assert_eq!(patch.is_empty(), equal_data(&base, &changed));
        let mut data = base;
        apply(&mut data, patch.clone());
        prop_assert!(equal_data(&data, &changed), "{:?}", data);
        apply(&mut data, patch);
        prop_assert!(equal_data(&data, &changed), "twice: {:?}", data);
    }
}
