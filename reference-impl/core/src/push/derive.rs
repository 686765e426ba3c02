//! Derived members: what the server computes of others.
//!
//! Chapter: merge. A member is computed when its inputs changed, and not by the mutation that sets it itself: so what a
//! person decided stays until there is something new to decide on.

use crate::merge::equal;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::{FieldRule, FieldRuleKind, ServerValue, TypeEntry};
use serde_json::Value;

/// Computes the derived members of a record, as it was before a mutation and as that leaves it.
pub(super) fn derive(entry: &TypeEntry, before: Option<&Data>, after: &mut Data) {
    for (pointer, rule) in &entry.merge.fields {
        let (FieldRuleKind::Derived, Some(name), Some(value)) = (&rule.rule, member(pointer), &rule.value) else {
            continue;
        };
        let is_set = changed(name, before, after);
        let is_due = before.is_none() || inputs(rule).any(|input| changed(input, before, after));
        if !is_due || is_set {
            continue;
        }
        match computed(value, inputs(rule).next().and_then(|input| after.get(input))) {
            Some(value) => drop(after.insert(name.to_owned(), value)),
            None => drop(after.remove(name)),
        }
    }
}

/// The member at the top of a record that a JSON Pointer names; derived members and their inputs stand nowhere else.
pub(crate) fn member(pointer: &str) -> Option<&str> {
    pointer.strip_prefix('/').filter(|name| !name.contains(['/', '~', '*']))
}

fn inputs(rule: &FieldRule) -> impl Iterator<Item = &str> {
    rule.inputs.iter().filter_map(|input| member(input))
}

fn changed(name: &str, before: Option<&Data>, after: &Data) -> bool {
    let present = |data: Option<&Data>| data.and_then(|data| data.get(name)).filter(|value| !value.is_null()).cloned();
    match (present(before), present(Some(after))) {
        (Some(before), Some(after)) => !equal(&before, &after),
        (before, after) => before.is_some() != after.is_some(),
    }
}

fn computed(value: &ServerValue, input: Option<&Value>) -> Option<Value> {
    let number = input.and_then(Value::as_f64);
    let choice = value.choose.iter().find(|choice| number.is_some_and(|number| number >= choice.at_least));
    choice.map(|choice| choice.is.clone()).or_else(|| value.otherwise.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn after(before: Value, after: Value) -> Value {
        let entry: TypeEntry = serde_json::from_value(json!({
            "name": "patient", "class": "transactional",
            "merge": {"policy": "field-merge", "fields": {"/state": {"rule": "derived", "inputs": ["/temp", "/days"],
                "value": {"choose": [{"at_least": 39, "is": "high"}, {"at_least": 38, "is": "raised"}]}}}},
        }))
        .unwrap();
        let mut after = after.as_object().unwrap().clone();
        derive(&entry, before.as_object(), &mut after);
        Value::Object(after)
    }

    #[test]
    fn a_member_follows_its_inputs_until_it_is_set() {
        let none = Value::Null;
        assert_eq!(after(none.clone(), json!({"temp": 39.5})), json!({"temp": 39.5, "state": "high"}));
        assert_eq!(after(none.clone(), json!({"temp": 38})), json!({"temp": 38, "state": "raised"}));
        assert_eq!(after(none.clone(), json!({"temp": 37})), json!({"temp": 37}));
        assert_eq!(after(none, json!({"temp": 40, "state": "mine"})), json!({"temp": 40, "state": "mine"}));
        let set = json!({"temp": 40, "state": "mine"});
        for unchanged in [json!({"temp": 40.0, "state": "mine", "note": 1}), json!({"temp": 39, "state": "other"})] {
            assert_eq!(after(set.clone(), unchanged.clone()), unchanged);
        }
        assert_eq!(after(set.clone(), json!({"temp": 38, "state": "mine"})), json!({"temp": 38, "state": "raised"}));
        assert_eq!(after(set.clone(), json!({"temp": 37, "state": "mine"})), json!({"temp": 37}));
        let by_the_second = json!({"temp": 40, "days": 2, "state": "mine"});
        assert_eq!(after(set, by_the_second), json!({"temp": 40, "days": 2, "state": "high"}));
    }
}
