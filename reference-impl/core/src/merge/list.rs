//! Keyed lists: items are matched by the value of one of their members, wherever they stand.

use super::equal::equal_data;
use super::rules::Node;
use super::{Merging, Path, Side};
use fieldsync_schemas::record::Data;
use serde_json::Value;
use std::borrow::Cow;
use std::mem;

/// The rule `keyed-set`.
#[derive(Debug, Clone)]
pub(super) struct KeyedList {
    /// The member of an item that is its key.
    pub(super) key: String,
    /// What holds for each item.
    pub(super) items: Box<Node>,
}

/// The keys of a list's items.
pub(super) struct Keys<'a> {
    items: Vec<(Cow<'a, str>, &'a Data)>,
    /// The items' places, in the order of their keys; none where they stand in it.
    sorted: Option<Vec<usize>>,
}

impl<'a> Keys<'a> {
    /// The keys of a list; of none if there is no list. Nothing if it is no keyed list: another kind of value, or one
    /// in which an item is no object, has no key, or has the key of another.
    pub(super) fn of(list: Option<&'a Value>, key: &str) -> Option<Self> {
        let list = match list {
            None => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return None,
        };
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let item = item.as_object()?;
            items.push((key_of(item, key)?, item));
        }
        // Keys that begin with the time stand in their order.
        if items.windows(2).all(|two| two[0].0 < two[1].0) {
            return Some(Self { items, sorted: None });
        }
        let mut sorted: Vec<_> = (0..items.len()).collect();
        sorted.sort_unstable_by_key(|&index| &items[index].0);
        let twice = sorted.windows(2).any(|two| items[two[0]].0 == items[two[1]].0);
        (!twice).then_some(Self { items, sorted: Some(sorted) })
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a Data)> {
        self.items.iter().map(|(key, item)| (key.as_ref(), *item))
    }

    pub(super) fn item(&self, index: usize) -> &'a Data {
        self.items[index].1
    }

    /// The place of the item with this key.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        match &self.sorted {
            None => self.items.binary_search_by(|(other, _)| other.as_ref().cmp(key)).ok(),
            Some(sorted) => {
                let place = sorted.binary_search_by(|&index| self.items[index].0.as_ref().cmp(key)).ok()?;
                Some(sorted[place])
            }
        }
    }

    /// The same, where `next` is the place after the one that was found last: lists mostly keep their order.
    fn find_from(&self, next: &mut usize, key: &str) -> Option<usize> {
        let is_next = self.items.get(*next).is_some_and(|(other, _)| other == key);
        let place = if is_next { *next } else { self.find(key)? };
        *next = place + 1;
        Some(place)
    }

    /// Whether both hold the same items, in the same order.
    fn same_in_order(&self, other: &Self, items: &Node) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|((key, item), (other_key, other_item))| key == other_key && items.same_data(item, other_item))
    }
}

/// The key of an item: a string, or a whole number, which counts as its digits.
fn key_of<'a>(item: &'a Data, key: &str) -> Option<Cow<'a, str>> {
    match item.get(key)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => {
            let double = number.as_f64()?;
            (double.fract() == 0.0).then(|| Cow::Owned(format!("{}", double as i64)))
        }
        _ => None,
    }
}

/// Where an item that may be in the merged list stands on each side.
struct Entry {
    base: Option<usize>,
    local: Option<usize>,
    server: Option<usize>,
}

/// Matches the items and puts them in order; nothing where a side is no keyed list.
fn plan(list: &KeyedList, base: Option<&Value>, local: Option<&Value>, server: Option<&Value>) -> Option<Vec<Entry>> {
    let base = Keys::of(base, &list.key)?;
    let local = Keys::of(local, &list.key)?;
    let server = Keys::of(server, &list.key)?;
    let mut entries = Vec::with_capacity(server.len() + local.len());
    let (mut in_base, mut in_local, mut in_server) = (0, 0, 0);
    if server.same_in_order(&base, &list.items) {
        // The list is as it is here.
        entries.extend(local.iter().enumerate().map(|(index, (key, _))| {
            let base = base.find_from(&mut in_base, key);
            Entry { base, local: Some(index), server: base }
        }));
        return Some(entries);
    }
    // An item that one side removed and the other left alone is gone.
    let left_alone =
        |item: &Data, before: Option<usize>| before.is_some_and(|index| list.items.same_data(item, base.item(index)));
    for (index, (key, item)) in server.iter().enumerate() {
        let (base, local) = (base.find_from(&mut in_base, key), local.find_from(&mut in_local, key));
        if local.is_some() || !left_alone(item, base) {
            entries.push(Entry { base, local, server: Some(index) });
        }
    }
    for (index, (key, item)) in local.iter().enumerate() {
        if server.find_from(&mut in_server, key).is_some() {
            continue;
        }
        let base = base.find(key);
        if !left_alone(item, base) {
            entries.push(Entry { base, local: Some(index), server: None });
        }
    }
    Some(entries)
}

impl Merging {
    /// Merges a keyed list into `server`; false, and nothing is done, where a side is no keyed list.
    pub(super) fn list(
        &mut self,
        list: &KeyedList,
        base: Option<&Value>,
        local: &mut Option<Value>,
        server: &mut Option<Value>,
        at: &Path,
    ) -> bool {
        let Some(entries) = plan(list, base, local.as_ref(), server.as_ref()) else { return false };
        // Nothing is as good as an empty list; the server's form stays.
        let listed = server.is_some();
        let base = base.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (mut local, mut there) = (into_items(local.take()), into_items(server.take()));
        let mut merged = Vec::with_capacity(entries.len());
        for entry in entries {
            let base = entry.base.map(|index| &base[index]);
            let local = entry.local.map(|index| mem::take(&mut local[index]));
            let there = entry.server.map(|index| mem::take(&mut there[index]));
            merged.extend(self.item(list, base, local, there, at));
        }
        *server = (listed || !merged.is_empty()).then_some(Value::Array(merged));
        true
    }

    fn item(
        &mut self,
        list: &KeyedList,
        base: Option<&Value>,
        local: Option<Value>,
        server: Option<Value>,
        at: &Path,
    ) -> Option<Value> {
        match (base, local, server) {
            (Some(Value::Object(base)), Some(Value::Object(local)), Some(Value::Object(mut server))) => {
                if !equal_data(base, &local) {
                    let key = key_of(base, &list.key).unwrap_or_default();
                    self.members(base, local, &mut server, &list.items, &Path::In(at, &key));
                }
                Some(Value::Object(server))
            }
            (None, None, made) | (None, made, None) => made,
            (base, local, server) => {
                if list.items.same(local.as_ref(), server.as_ref()) {
                    return server;
                }
                let any = local.as_ref().or(server.as_ref()).and_then(Value::as_object)?;
                let key = key_of(any, &list.key)?.into_owned();
                self.conflict(Side::Server, &Path::In(at, &key), base.cloned(), local, server)
            }
        }
    }
}

fn into_items(list: Option<Value>) -> Vec<Value> {
    match list {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
