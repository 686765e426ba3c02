//! The outbox: mutations that are not settled yet, in order.
//!
//! Chapter: device. A record has at most two: one that has left the device, and one that waits behind it.

use fieldsync_schemas::id::{GroupId, MutationId, Version};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One mutation in the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the order; counted up, never given twice.
    pub place: u64,
    /// How far it got.
    pub progress: Progress,
    /// What is pushed; of an update the whole record, too, where a patch of it goes over the wire.
    pub mutation: Arc<Mutation>,
    /// The state that it was made on, where the device merges; none for a record that it made itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Arc<Record>>,
}

/// How far a mutation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It never left the device: a later edit goes into it.
    Unsent,
    /// It left the device and its outcome is not known: it goes again unchanged, and a later edit waits behind it.
    Unknown,
    /// The server kept nothing of it (`held`, `skipped`, `stale`): it goes again unchanged, or a later edit replaces it.
    Deferred,
    /// It left the device, its outcome is not known, and its user gave it up: it goes with its batch, and never again.
    Discarded,
}

impl Entry {
    /// The record that it changes.
    pub fn record(&self) -> RecordRef {
        RecordRef { type_name: self.mutation.type_name.clone(), id: self.mutation.id.clone() }
    }

    /// Whether the server may have it, so that a later edit waits behind it.
    pub fn has_left(&self) -> bool {
        matches!(self.progress, Progress::Unknown | Progress::Discarded)
    }

    /// The version of the record after it.
    pub fn version(&self) -> Version {
        self.mutation.version.unwrap_or(Version::FIRST)
    }
}

/// What two mutations of one record come to, on the base of the first; nothing, where a record that the server never
/// accepted was made and deleted. The id and `replaces` are the first's.
pub fn joined(first: &Mutation, second: &Mutation) -> Option<Mutation> {
    use MutationOp::{Create, Delete, Update};
    let op = match (&first.op, &second.op) {
        (Create, Delete) => return None,
        (Create, _) => Create,
        // What was deleted and made again without the server hearing of it was changed.
        (Delete, Create) => Update,
        (_, second) => second.clone(),
    };
    Some(Mutation {
        op,
        version: first.version.max(second.version),
        modified_at: second.modified_at,
        data: second.data.clone(),
        attachments: second.attachments.clone(),
        ..first.clone()
    })
}

/// The mutations of a device, by place, by record and by id; and how many each group has.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    entries: BTreeMap<u64, Entry>,
    places: HashMap<MutationId, u64>,
    records: HashMap<RecordRef, Vec<u64>>,
    groups: HashMap<GroupId, usize>,
    last_place: u64,
}

impl Outbox {
    /// From stored entries, in any order.
    pub fn restore(entries: Vec<Entry>) -> Self {
        let mut outbox = Self::default();
        entries.into_iter().for_each(|entry| outbox.put(entry));
        outbox
    }

    /// A place after all others.
    pub fn next_place(&self) -> u64 {
        self.last_place + 1
    }

    /// Puts an entry in its place, over the one of the same record that is there.
    pub fn put(&mut self, entry: Entry) {
        self.last_place = self.last_place.max(entry.place);
        self.places.insert(entry.mutation.mutation_id.clone(), entry.place);
        if let Some(group) = &entry.mutation.group {
            *self.groups.entry(group.clone()).or_default() += 1;
        }
        let (place, record) = (entry.place, entry.record());
        match self.entries.insert(place, entry) {
            Some(before) => self.forget(&before),
            None => {
                let of_record = self.records.entry(record).or_default();
                of_record.push(place);
                of_record.sort_unstable();
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, place: u64) {
        let Some(entry) = self.entries.remove(&place) else { return };
        self.forget(&entry);
        let record = entry.record();
        if let Some(of_record) = self.records.get_mut(&record) {
            of_record.retain(|other| *other != place);
            if of_record.is_empty() {
                self.records.remove(&record);
            }
        }
    }

    /// An entry that is no longer there, or no longer as it was.
    fn forget(&mut self, entry: &Entry) {
        let id = &entry.mutation.mutation_id;
        if self.entries.get(&entry.place).is_none_or(|now| now.mutation.mutation_id != *id) {
            self.places.remove(id);
        }
        if let Some(group) = &entry.mutation.group
            && let Some(count) = self.groups.get_mut(group)
        {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
    }

    /// The entry of a mutation.
    pub fn get(&self, id: &MutationId) -> Option<&Entry> {
        self.entries.get(self.places.get(id)?)
    }

    /// The entries of a record, the one that goes first in front.
    pub fn of(&self, record: &RecordRef) -> impl Iterator<Item = &Entry> {
        self.records.get(record).into_iter().flatten().filter_map(|place| self.entries.get(place))
    }

    /// How many mutations of a group are in it.
    pub fn in_group(&self, group: &GroupId) -> usize {
        self.groups.get(group).copied().unwrap_or_default()
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many mutations are in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether everything is settled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(place: u64, id: &str, group: Option<&str>) -> Entry {
        let mutation = json!({"mutation_id": id, "op": "create", "type": "observation", "id": format!("x{place}"),
            "group": group});
        let mutation: Mutation = serde_json::from_str(&mutation.to_string()).unwrap();
        Entry { place, progress: Progress::Unsent, mutation: mutation.into(), snapshot: None }
    }

    #[test]
    fn what_it_looks_up_follows_what_is_put_and_taken() {
        let group: GroupId = "g".parse().unwrap();
        let found = |outbox: &Outbox| {
            let ids = ["m1", "m2", "m3"].map(|id| outbox.get(&id.parse().unwrap()).map(|entry| entry.place));
            (ids, outbox.in_group(&group), outbox.len())
        };
        let mut outbox = Outbox::restore(vec![entry(2, "m2", Some("g")), entry(1, "m1", Some("g"))]);
        assert_eq!(found(&outbox), ([Some(1), Some(2), None], 2, 2));
        outbox.put(entry(2, "m2", Some("g")));
        assert_eq!(found(&outbox), ([Some(1), Some(2), None], 2, 2), "the same again");
        outbox.put(entry(2, "m3", None));
        assert_eq!(found(&outbox), ([Some(1), None, Some(2)], 1, 2), "another in its place");
        outbox.remove(1);
        outbox.remove(7);
        assert_eq!(found(&outbox), ([None, None, Some(2)], 0, 1));
        assert_eq!(outbox.next_place(), 3);
    }
}
