//! When two values are equal, and when they are the same as far as the rules go.
//!
//! Equal is what has one canonical form after RFC 8785, null members left out. Two values are the *same* under the rules
//! of their place if they are equal apart from members that are `server-set`, and from the order of keyed lists, of
//! which an absent one is empty: nothing of that was changed by anybody who could disagree.

use super::list::{KeyedList, Keys};
use super::rules::{Node, Rule};
use fieldsync_schemas::record::Data;
use serde_json::{Number, Value};

/// Whether two values have one canonical form.
pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => equal_data(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Number(one), Value::Number(other)) => equal_numbers(one, other),
        _ => one == other,
    }
}

/// Whether two objects have one canonical form.
pub fn equal_data(one: &Data, other: &Data) -> bool {
    // Both are in the order of their names.
    let (mut one, mut other) = (present(one), present(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some((name, one)), Some((other_name, other))) if name == other_name && equal(one, other) => {}
            _ => return false,
        }
    }
}

/// The members that are not null.
pub(super) fn present(data: &Data) -> impl Iterator<Item = (&String, &Value)> {
    data.iter().filter(|(_, value)| !value.is_null())
}

/// A member that is not null.
pub(super) fn get<'a>(data: &'a Data, name: &str) -> Option<&'a Value> {
    data.get(name).filter(|value| !value.is_null())
}

fn equal_numbers(one: &Number, other: &Number) -> bool {
    // 1 and 1.0 are one number, and so are 0 and -0.0.
    one == other || one.as_f64() == other.as_f64()
}

impl Node {
    /// Whether two values, absent ones included, are the same under the rules.
    pub(super) fn same(&self, one: Option<&Value>, other: Option<&Value>) -> bool {
        match (&self.rule, one, other) {
            (Some(Rule::ServerSet), _, _) => true,
            (Some(Rule::Keyed(list)), _, _) => list.same(one, other),
            (_, None, None) => true,
            (None, Some(Value::Object(one)), Some(Value::Object(other))) => self.same_data(one, other),
            (_, Some(one), Some(other)) => equal(one, other),
            _ => false,
        }
    }

    /// Whether two objects are the same under the rules.
    pub(super) fn same_data(&self, one: &Data, other: &Data) -> bool {
        if self.members.is_empty() {
            return equal_data(one, other);
        }
        present(one).all(|(name, value)| self.member(name).same(Some(value), get(other, name)))
            && present(other)
                .filter(|(name, _)| get(one, name).is_none())
                .all(|(name, value)| self.member(name).same(None, Some(value)))
    }
}

impl KeyedList {
    fn same(&self, one: Option<&Value>, other: Option<&Value>) -> bool {
        let (Some(keys), Some(other_keys)) = (Keys::of(one, &self.key), Keys::of(other, &self.key)) else {
            return match (one, other) {
                (Some(one), Some(other)) => equal(one, other),
                (one, other) => one.is_none() && other.is_none(),
            };
        };
        keys.len() == other_keys.len()
            && keys.iter().all(|(key, item)| {
                other_keys.find(key).is_some_and(|index| self.items.same_data(item, other_keys.item(index)))
            })
    }
}
