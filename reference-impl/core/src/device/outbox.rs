//! The outbox: mutations that are not settled yet, in order.
//!
//! Chapter: device. A record has at most two: one that has left the device, and one that waits behind it.

use fieldsync_schemas::id::{MutationId, Version};
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

/// The mutations of a device, by place, by record and by id.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    entries: BTreeMap<u64, Entry>,
    places: HashMap<MutationId, u64>,
    records: HashMap<RecordRef, Vec<u64>>,
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
        if let Some(before) = self.entries.get(&entry.place) {
            self.places.remove(&before.mutation.mutation_id);
        } else {
            let of_record = self.records.entry(entry.record()).or_default();
            of_record.push(entry.place);
            of_record.sort_unstable();
        }
        self.places.insert(entry.mutation.mutation_id.clone(), entry.place);
        self.entries.insert(entry.place, entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, place: u64) {
        let Some(entry) = self.entries.remove(&place) else { return };
        self.places.remove(&entry.mutation.mutation_id);
        let record = entry.record();
        if let Some(of_record) = self.records.get_mut(&record) {
            of_record.retain(|other| *other != place);
            if of_record.is_empty() {
                self.records.remove(&record);
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
