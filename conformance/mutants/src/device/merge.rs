//! Faults against the chapter `merge`: devices that merge members in another way.

use crate::Mutant;
use crate::seam::device_wire::answers;
use crate::seam::effects::merges;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::merge::{Merged, Rules, Side, merge};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "the-servers-record-replaces-local-work",
        "merge.field-merge.different-members",
        "A device that gets a record on which it has unsent work takes it as it comes, without a word.",
        |parts| merges(parts, as_it_comes),
    ),
    Mutant::device(
        "the-local-value-stays",
        "merge.field-merge.same-member",
        "Of two values of one member the device keeps its own.",
        |parts| merges(parts, the_other_way_round),
    ),
    Mutant::device(
        "two-new-objects-are-mixed",
        "merge.field-merge.both-made-is-one",
        "The members of two objects that were made under one name are put together.",
        |parts| merges(parts, new_objects_are_mixed),
    ),
    Mutant::device(
        "an-object-is-one-value",
        "merge.field-merge.embedded",
        "An embedded object that both sides changed is taken from the server, whole.",
        |parts| merges(parts, objects_are_values),
    ),
    Mutant::device(
        "a-removed-object-is-an-empty-one",
        "merge.field-merge.presence",
        "An object that the server's side removed is merged as one without members.",
        |parts| merges(parts, removed_is_empty),
    ),
    Mutant::device(
        "lists-are-joined",
        "merge.field-merge.whole-value",
        "Two lists without a key are put one behind the other.",
        |parts| merges(parts, lists_are_joined),
    ),
    Mutant::device(
        "a-rule-for-a-whole-object-is-passed-over",
        "merge.field-merge.whole-value",
        "An object with a rule of its own is merged member by member.",
        |parts| without_rules(parts, &["/reporter"]),
    ),
    Mutant::device(
        "client-wins-is-passed-over",
        "merge.field-merge.client-wins",
        "A `client-wins` member that both sides changed is the server's.",
        |parts| without_rules(parts, &["/outcome_date"]),
    ),
    Mutant::device(
        "the-greatest-number-is-passed-over",
        "merge.field-merge.max-min",
        "A `max` member that both sides changed is the server's.",
        |parts| without_rules(parts, &["/worst"]),
    ),
    Mutant::device(
        "an-immutable-member-is-changed",
        "merge.field-merge.immutable",
        "A device merges an `immutable` member as any other.",
        |parts| without_rules(parts, &["/reported_on"]),
    ),
    Mutant::device(
        "a-late-delete-is-passed-over",
        "deletes.field-merge.delete-wins",
        "A device takes every edit for stronger than a delete.",
        |parts| with_deletes(parts, "edit-wins"),
    ),
    Mutant::device(
        "an-edit-of-what-was-deleted-is-thrown-away",
        "deletes.field-merge.edit-wins",
        "A device takes every delete for stronger than an edit of its own.",
        |parts| with_deletes(parts, "delete-wins"),
    ),
    Mutant::device(
        "a-delete-of-what-was-edited-is-pushed",
        "deletes.field-merge.edit-wins-there",
        "A device takes its own delete for stronger than an edit.",
        |parts| with_deletes(parts, "delete-wins"),
    ),
];

/// Changes the rules for merging of every type, as the device reads them in its session.
fn rules(parts: DeviceParts, change: impl Fn(&mut Value) + Send + Sync + 'static) -> DeviceParts {
    answers(parts, CallKind::Session, move |_, _, body| {
        let types = body["registry"]["types"].as_array_mut().into_iter().flatten();
        types.map(|entry| &mut entry["merge"]).filter(|merge| merge["policy"] == "field-merge").for_each(&change);
    })
}

/// Lets the device pass over some of the rules for members.
pub(super) fn without_rules(parts: DeviceParts, pointers: &'static [&'static str]) -> DeviceParts {
    rules(parts, |merge| {
        if let Some(fields) = merge["fields"].as_object_mut() {
            fields.retain(|pointer, _| !pointers.contains(&pointer.as_str()));
        }
    })
}

fn with_deletes(parts: DeviceParts, rule: &'static str) -> DeviceParts {
    rules(parts, move |merge| merge["deletes"] = json!(rule))
}

fn as_it_comes(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    match (base, &local, &server) {
        (Some(_), Some(_), Some(_)) => Merged { data: server, overridden: Vec::new() },
        _ => merge(base, local, server, rules),
    }
}

fn the_other_way_round(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut merged = merge(base, server, local, rules);
    for one in &mut merged.overridden {
        one.lost_side = if one.lost_side == Side::Local { Side::Server } else { Side::Local };
    }
    merged
}

fn new_objects_are_mixed(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut base = base.cloned();
    if let (Some(base), Some(local), Some(server)) = (&mut base, &local, &server) {
        for (name, _) in local.iter().filter(|(name, value)| value.is_object() && server.contains_key(*name)) {
            base.entry(name.clone()).or_insert_with(|| json!({}));
        }
    }
    merge(base.as_ref(), local, server, rules)
}

fn objects_are_values(base: Option<&Data>, mut local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    if let (Some(base), Some(local), Some(server)) = (base, &mut local, &server) {
        for (name, value) in local.iter_mut().filter(|(_, value)| value.is_object()) {
            if server.get(name).is_some_and(|there| there.is_object() && Some(there) != base.get(name)) {
                *value = server[name].clone();
            }
        }
    }
    merge(base, local, server, rules)
}

fn removed_is_empty(base: Option<&Data>, local: Option<Data>, mut server: Option<Data>, rules: &Rules) -> Merged {
    if let (Some(base), Some(server)) = (base, &mut server) {
        for (name, _) in base.iter().filter(|(_, value)| value.is_object()) {
            server.entry(name.clone()).or_insert_with(|| json!({}));
        }
    }
    merge(base, local, server, rules)
}

fn lists_are_joined(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut joined = server.clone();
    if let (Some(local), Some(joined)) = (&local, &mut joined) {
        for (name, value) in local {
            let (Some(Value::Array(there)), Value::Array(here)) = (joined.get_mut(name), value) else { continue };
            for item in here.iter().filter(|item| !item.is_object()) {
                if !there.contains(item) {
                    there.push(item.clone());
                }
            }
        }
    }
    let mut merged = merge(base, local, server, rules);
    if let (Some(data), Some(joined)) = (&mut merged.data, joined) {
        data.extend(joined.into_iter().filter(|(_, value)| value.is_array()));
    }
    merged
}
