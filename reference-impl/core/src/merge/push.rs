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
