//! What a server holds a push against: members that are not the device's to change.
//!
//! Items of keyed lists are matched by their keys. A member belongs to its object or item: with that it comes and goes.

use super::Path;
use super::equal::{equal, get};
use super::list::Keys;
use super::rules::{Node, Rule, Rules};
use fieldsync_schemas::record::Data;
use serde_json::Value;

impl Rules {
    /// Where `pushed` changes an `immutable` member of the state that it replaces, as a path of a conflict entry: in an
    /// object or item that is on both sides.
    pub fn immutable_change(&self, current: &Data, pushed: &Data) -> Option<String> {
        self.record.immutable_change(current, pushed, &Path::Record)
    }

    /// Puts the server's values of the `server-set` members in the place of the pushed ones; of what the server does not
    /// have, they are left out.
    pub fn keep_server_set(&self, current: Option<&Data>, pushed: &mut Data) {
        self.record.keep_server_set(current, pushed);
    }
}

impl Node {
    fn immutable_change(&self, current: &Data, pushed: &Data, at: &Path) -> Option<String> {
        self.members.iter().find_map(|(name, node)| {
            let at = Path::In(at, name);
            let (before, after) = (get(current, name), get(pushed, name));
            match (&node.rule, before, after) {
                (Some(Rule::Immutable), None, None) => None,
                (Some(Rule::Immutable), Some(before), Some(after)) if equal(before, after) => None,
                (Some(Rule::Immutable), ..) => Some(at.pointer()),
                (Some(Rule::Keyed(list)), before, after) => {
                    let (before, after) = (Keys::of(before, &list.key)?, Keys::of(after, &list.key)?);
                    after.iter().find_map(|(key, item)| {
                        let before = before.item(before.find(key)?);
                        list.items.immutable_change(before, item, &Path::In(&at, key))
                    })
                }
                (None, Some(Value::Object(before)), Some(Value::Object(after))) => {
                    node.immutable_change(before, after, &at)
                }
                _ => None,
            }
        })
    }

    fn keep_server_set(&self, current: Option<&Data>, pushed: &mut Data) {
        for (name, node) in &self.members {
            let before = current.and_then(|current| get(current, name));
            match (&node.rule, pushed.get_mut(name)) {
                (Some(Rule::ServerSet), _) => match before {
                    Some(value) => drop(pushed.insert(name.clone(), value.clone())),
                    None => drop(pushed.remove(name)),
                },
                (Some(Rule::Keyed(list)), Some(after)) => {
                    let before = Keys::of(before, &list.key);
                    let Some(keys) = Keys::of(Some(after), &list.key) else { continue };
                    let before: Vec<_> = keys
                        .iter()
                        .map(|(key, _)| before.as_ref().and_then(|before| Some(before.item(before.find(key)?))))
                        .collect();
                    for (item, before) in after.as_array_mut().into_iter().flatten().zip(before) {
                        item.as_object_mut().into_iter().for_each(|item| list.items.keep_server_set(before, item));
                    }
                }
                (None, Some(Value::Object(after))) => {
                    node.keep_server_set(before.and_then(Value::as_object), after);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(kind: &str) -> Rules {
        let fields = json!({
            "/a": {"rule": kind}, "/o/a": {"rule": kind}, "/l": {"rule": "keyed-set"}, "/l/*/a": {"rule": kind},
        });
        Rules::compile(&serde_json::from_value(json!({"policy": "field-merge", "fields": fields})).unwrap()).unwrap()
    }

    fn data(value: Value) -> Data {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_change_of_an_immutable_member_is_found_where_it_is() {
        let current = json!({"a": 1, "b": 1, "o": {"a": 1}, "l": [{"id": "e", "a": 1}, {"id": "f"}]});
        let changed = |pushed: Value| rules("immutable").immutable_change(&data(current.clone()), &data(pushed));
        for (pushed, at) in [
            (json!({"a": 2}), "/a"),
            (json!({"b": 1}), "/a"),
            (json!({"a": 1, "o": {"a": 2}}), "/o/a"),
            (json!({"a": 1, "l": [{"id": "f"}, {"id": "e", "a": 2}]}), "/l/e/a"),
            (json!({"a": 1, "l": [{"id": "f", "a": 1}]}), "/l/f/a"),
        ] {
            assert_eq!(changed(pushed.clone()).as_deref(), Some(at), "{pushed}");
        }
        // Spelled otherwise; other members; gone with its object, with its item, with the list; new with an item.
        for pushed in [
            json!({"a": 1.0, "b": 2, "o": {"a": 1, "b": 1}, "l": [{"id": "f"}, {"id": "e", "a": 1}]}),
            json!({"a": 1, "l": [{"id": "f"}, {"id": "g", "a": 2}]}),
            json!({"a": 1, "o": 7, "l": "none"}),
        ] {
            assert_eq!(changed(pushed.clone()), None, "{pushed}");
        }
    }

    #[test]
    fn server_set_members_are_the_servers() {
        let kept = |current: Option<Value>, pushed: Value| {
            let mut pushed = data(pushed);
            rules("server-set").keep_server_set(current.map(data).as_ref(), &mut pushed);
            Value::Object(pushed)
        };
        let current = json!({"a": 1, "b": 1, "o": {"a": 1}, "l": [{"id": "e", "a": 1}, {"id": "f"}]});
        for (pushed, wanted) in [
            (json!({"a": 2, "b": 2}), json!({"a": 1, "b": 2})),
            (json!({"b": 2}), json!({"a": 1, "b": 2})),
            (json!({"o": {"b": 1}}), json!({"a": 1, "o": {"a": 1, "b": 1}})),
            (
                json!({"l": [{"id": "f", "a": 2}, {"id": "n", "a": 2}, {"id": "e", "a": 2, "b": 2}]}),
                json!({"a": 1, "l": [{"id": "f"}, {"id": "n"}, {"id": "e", "a": 1, "b": 2}]}),
            ),
        ] {
            assert_eq!(kept(Some(current.clone()), pushed.clone()), wanted, "{pushed}");
        }
        let created = json!({"a": 2, "b": 2, "o": {"a": 2, "b": 2}, "l": [{"id": "e", "a": 2}]});
        assert_eq!(kept(None, created), json!({"b": 2, "o": {"b": 2}, "l": [{"id": "e"}]}));
    }
}
