//! Faults against the chapter `merge`: devices that merge the items of lists in another way.

use super::merge::without_rules;
use crate::Mutant;
use crate::seam::effects::merges;
use fieldsync_core::merge::{Merged, Rules, merge};
use fieldsync_schemas::record::Data;
use serde_json::Value;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-keyed-list-is-one-value",
        "merge.field-merge.items-both-added",
        "A device takes a keyed list for one value.",
        |parts| without_rules(parts, &["/exposures", "/exposures/*/contacts"]),
    ),
    Mutant::device(
        "a-new-item-is-taken-for-removed",
        "merge.field-merge.items-both-added",
        "A device keeps a snapshot of new items, too, and so takes those that the server lacks for removed there.",
        |parts| merges(parts, new_items_are_in_the_snapshot),
    ),
    Mutant::device(
        "an-item-is-one-value",
        "merge.field-merge.item-members",
        "A device takes an item that both sides changed from the server, whole.",
        |parts| merges(parts, items_are_values),
    ),
    Mutant::device(
        "an-item-that-was-changed-here-stays",
        "merge.field-merge.item-removed-there",
        "A device keeps an item that it changed, although the server's side removed it.",
        |parts| merges(parts, changed_items_stay),
    ),
    Mutant::device(
        "lists-are-united",
        "merge.field-merge.item-removed-here",
        "A device puts the items of both sides together, and so brings back what was removed here.",
        |parts| merges(parts, items_are_united),
    ),
    Mutant::device(
        "an-item-comes-back-by-half",
        "merge.field-merge.item-back-whole",
        "A device fills an item that comes back with the members alone that differ from its snapshot.",
        |parts| merges(parts, items_come_back_by_half),
    ),
    Mutant::device(
        "an-order-is-a-change",
        "merge.field-merge.order-no-conflict",
        "A device takes a list in another order for one whose items were all changed.",
        |parts| merges(parts, another_order_is_a_change),
    ),
    Mutant::device(
        "a-list-within-an-item-is-one-value",
        "merge.field-merge.nested-lists",
        "A device merges the items of a list, but not the lists within them.",
        |parts| without_rules(parts, &["/exposures/*/contacts"]),
    ),
    Mutant::device(
        "items-without-a-key-are-left-out",
        "merge.field-merge.no-keyed-list",
        "A device leaves items without a key, or with the key of another, out of the merge.",
        |parts| merges(parts, items_without_a_key_go),
    ),
];

const LIST: &str = "exposures";

fn items(data: Option<&Data>) -> Vec<Value> {
    data.and_then(|data| data.get(LIST)).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn put(data: &mut Option<Data>, items: Vec<Value>) {
    if let Some(data) = data.as_mut().filter(|data| data.contains_key(LIST)) {
        data.insert(LIST.to_owned(), Value::Array(items));
    }
}

fn with_key<'a>(items: &'a [Value], other: &Value) -> Option<&'a Value> {
    items.iter().find(|item| item["id"] == other["id"])
}

fn new_items_are_in_the_snapshot(
    base: Option<&Data>,
    local: Option<Data>,
    server: Option<Data>,
    rules: &Rules,
) -> Merged {
    let mut before = items(base);
    let made: Vec<Value> = items(local.as_ref()).into_iter().filter(|item| with_key(&before, item).is_none()).collect();
    before.extend(made);
    let mut base = base.cloned();
    put(&mut base, before);
    merge(base.as_ref(), local, server, rules)
}

fn items_are_values(base: Option<&Data>, mut local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let (before, there) = (items(base), items(server.as_ref()));
    let here =
        items(local.as_ref()).into_iter().map(|item| match (with_key(&before, &item), with_key(&there, &item)) {
            (Some(before), Some(there)) if before != there => before.clone(),
            _ => item,
        });
    let here = here.collect();
    put(&mut local, here);
    merge(base, local, server, rules)
}

fn changed_items_stay(base: Option<&Data>, local: Option<Data>, mut server: Option<Data>, rules: &Rules) -> Merged {
    let (before, mut there) = (items(base), items(server.as_ref()));
    for item in items(local.as_ref()) {
        if let (Some(before), None) = (with_key(&before, &item), with_key(&there, &item))
            && *before != item
        {
            there.push(before.clone());
        }
    }
    put(&mut server, there);
    merge(base, local, server, rules)
}

fn items_are_united(base: Option<&Data>, mut local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let (mut here, there) = (items(local.as_ref()), items(server.as_ref()));
    for item in items(base) {
        if with_key(&here, &item).is_none() && with_key(&there, &item).is_some() {
            here.push(item);
        }
    }
    put(&mut local, here);
    merge(base, local, server, rules)
}

fn items_come_back_by_half(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let (before, here) = (items(base), items(local.as_ref()));
    let mut merged = merge(base, local, server, rules);
    let mut after = items(merged.data.as_ref());
    for item in after.iter_mut().filter(|item| with_key(&here, item).is_none()) {
        let before = with_key(&before, item).cloned().unwrap_or_default();
        if let Value::Object(members) = item {
            members.retain(|name, value| name == "id" || before[name.as_str()] != *value);
        }
    }
    put(&mut merged.data, after);
    merged
}

fn another_order_is_a_change(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let (before, there) = (items(base), items(server.as_ref()));
    let is_other_order = before.len() == there.len() && before != there;
    if is_other_order { items_are_united(base, local, server, rules) } else { merge(base, local, server, rules) }
}

fn items_without_a_key_go(base: Option<&Data>, mut local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut here: Vec<Value> = Vec::new();
    for item in items(local.as_ref()) {
        if item["id"].is_string() && with_key(&here, &item).is_none() {
            here.push(item);
        }
    }
    put(&mut local, here);
    merge(base, local, server, rules)
}
