//! Patches: what an update under `field-merge` carries on the wire (RFC 7396).
//!
//! Chapter: merge. In a patch a null takes a member away, an object is a patch of the object that stands there, and
//! everything else, lists too, replaces what stands there. RFC 7396 cannot say that a member is null; here no member is.
//! Nor can it change one item of a list: a list goes whole. It can say everything else, so that for all data without null
//! members `apply(base, difference(base, changed))` is `changed`, up to the spelling of equal numbers.

use super::equal::{equal, get, present};
use crate::data::drop_null_members;
use fieldsync_schemas::record::Data;
use serde_json::Value;

/// The patch that makes `changed` of `base`; empty where they are equal.
pub fn difference(base: &Data, changed: &Data) -> Data {
    let mut patch = Data::new();
    for (name, value) in present(changed) {
        match (get(base, name), value) {
            (Some(before), value) if equal(before, value) => {}
            (Some(Value::Object(before)), Value::Object(value)) => {
                patch.insert(name.clone(), Value::Object(difference(before, value)));
            }
            (_, value) => {
                let mut value = value.clone();
                drop_null_members(&mut value);
                patch.insert(name.clone(), value);
            }
        }
    }
    for (name, _) in present(base) {
        if get(changed, name).is_none() {
            patch.insert(name.clone(), Value::Null);
        }
    }
    patch
}

/// Applies a patch to `data`. As everywhere in `data`, no member of the result is null, not even within a list.
pub fn apply(data: &mut Data, patch: Data) {
    for (name, value) in patch {
        match (data.get_mut(&name), value) {
            (_, Value::Null) => drop(data.remove(&name)),
            (Some(Value::Object(within)), Value::Object(patch)) => apply(within, patch),
            (_, mut value) => {
                // A patch of what is no object is one of an empty object, which leaves its nulls out.
                drop_null_members(&mut value);
                data.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Patches that no difference makes, from RFC 7396 among them.
    #[test]
    fn patches_of_others_are_applied() {
        for (data, patch, wanted) in [
            (json!({"a": "b"}), json!({"c": null}), json!({"a": "b"})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": 1}), json!({"a": {"b": null}}), json!({"a": {}})),
            (json!({"a": {"b": 1}}), json!({"a": {}}), json!({"a": {"b": 1}})),
            (json!({}), json!({"l": [{"a": null, "b": 1}, null]}), json!({"l": [{"b": 1}, null]})),
        ] {
            let [mut result, read] = [&data, &patch].map(|value| value.as_object().cloned().unwrap());
            apply(&mut result, read);
            assert_eq!(Value::Object(result), wanted, "{patch} on {data}");
        }
    }
}
