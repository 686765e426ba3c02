//! A store in memory, for devices that need not outlive their process.

use super::attachments::Key;
use super::outbox::Entry;
use super::store::{
    DeviceStore, FrozenBatch, Kept, Link, Marks, Quarantined, Replica, Resync, Saved, ServerCopy, StoreError, Upload,
    Write,
};
use super::telemetry::Diary;
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{AttachmentId, Cursor, FeedName, RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Attachment;
use fieldsync_schemas::session::Session;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Content>);

#[derive(Debug, Default, Clone)]
struct Content {
    replica: Option<Replica>,
    outbox: BTreeMap<u64, Entry>,
    batch: Option<FrozenBatch>,
    cursors: BTreeMap<FeedName, Option<Cursor>>,
    resyncs: BTreeMap<FeedName, Resync>,
    session: Option<Session>,
    marks: Marks,
    quarantine: BTreeMap<RecordRef, Quarantined>,
    uploads: BTreeMap<Key, Upload>,
    links: BTreeMap<Key, Link>,
    wanted: BTreeMap<AttachmentId, Attachment>,
    loose: BTreeSet<AttachmentId>,
    kept: BTreeMap<u64, Kept>,
    records: BTreeMap<RecordRef, ServerCopy>,
    conflicts: BTreeMap<RecordId, Box<RawValue>>,
    diary: Diary,
}

impl MemoryStore {
    /// A store with the same content, as a phone restored from a backup has.
    pub fn copied(&self) -> Self {
        Self(Mutex::new(self.content().clone()))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Every commit is a list of insertions and removals, none of which can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn take(&mut self, write: Write) {
        match write {
            Write::Replica(replica) => self.replica = Some(replica),
            Write::Entry(entry) => drop(self.outbox.insert(entry.place, *entry)),
            Write::EntryGone(place) => drop(self.outbox.remove(&place)),
            Write::Batch(batch) => self.batch = batch,
            Write::Cursor(feed, cursor) => drop(self.cursors.insert(feed, cursor)),
            Write::CursorGone(feed) => drop(self.cursors.remove(&feed)),
            Write::Resync(feed, Some(resync)) => drop(self.resyncs.insert(feed, resync)),
            Write::Resync(feed, None) => drop(self.resyncs.remove(&feed)),
            Write::Session(session) => self.session = Some(*session),
            Write::Marks(marks) => self.marks = marks,
            Write::Server(copy) => {
                let name = RecordRef { type_name: copy.record.type_name.clone(), id: copy.record.id.clone() };
                self.records.insert(name, *copy);
            }
            Write::ServerGone(record) => drop(self.records.remove(&record)),
            Write::Quarantine(one) => drop(self.quarantine.insert(one.record(), *one)),
            Write::QuarantineGone(record) => drop(self.quarantine.remove(&record)),
            Write::ConflictGone(id) => drop(self.conflicts.remove(&id)),
            Write::Diary(diary) => self.diary = *diary,
            Write::Conflict(id, data) => drop(self.conflicts.entry(id).or_insert(data)),
            Write::Upload(upload) => drop(self.uploads.insert(upload.key(), *upload)),
            Write::UploadGone(key) => drop(self.uploads.remove(&key)),
            Write::Link(link) => drop(self.links.insert(link.key(), *link)),
            Write::LinkGone(key) => drop(self.links.remove(&key)),
            Write::Wanted(file) => drop(self.wanted.insert(file.id.clone(), *file)),
            Write::WantedGone(id) => drop(self.wanted.remove(&id)),
            Write::Loose(id) => _ = self.loose.insert(id),
            Write::LooseGone(id) => _ = self.loose.remove(&id),
            Write::Kept(kept) => drop(self.kept.insert(kept.number, *kept)),
            Write::KeptGone(number) => drop(self.kept.remove(&number)),
            Write::SweepConflicts => {
                let records = &self.records;
                let type_name = TypeName::new(CONFLICT_TYPE).expect("a constant that is a type name");
                let of = |id: &RecordId| RecordRef { type_name: type_name.clone(), id: id.clone() };
                self.conflicts.retain(|id, _| records.contains_key(&of(id)));
            }
            Write::Sweep { feeds, below } => {
                self.records.retain(|_, copy| !feeds.contains(&copy.feed) || copy.mark >= below);
            }
        }
    }
}

impl DeviceStore for MemoryStore {
    fn load(&self) -> Result<Saved, StoreError> {
        let content = self.content();
        Ok(Saved {
            replica: content.replica.clone(),
            outbox: content.outbox.values().cloned().collect(),
            batch: content.batch.clone(),
            cursors: content.cursors.clone(),
            resyncs: content.resyncs.clone(),
            session: content.session.clone(),
            marks: content.marks.clone(),
            quarantine: content.quarantine.values().cloned().collect(),
            uploads: content.uploads.values().cloned().collect(),
            links: content.links.values().cloned().collect(),
            wanted: content.wanted.values().cloned().collect(),
            loose: content.loose.iter().cloned().collect(),
            diary: content.diary.clone(),
            kept: content.kept.values().cloned().collect(),
        })
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut content = self.content();
        writes.iter().cloned().for_each(|write| content.take(write));
        Ok(())
    }

    fn record(&self, record: &RecordRef) -> Result<Option<ServerCopy>, StoreError> {
        Ok(self.content().records.get(record).cloned())
    }

    fn records(&self, type_name: &TypeName) -> Result<Vec<ServerCopy>, StoreError> {
        let content = self.content();
        let of_type = content.records.iter().filter(|(record, _)| record.type_name == *type_name);
        Ok(of_type.map(|(_, copy)| copy.clone()).collect())
    }

    fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError> {
        let content = self.content();
        let entries = content.conflicts.iter();
        Ok(entries.filter_map(|(id, data)| Some((id.clone(), serde_json::from_str(data.get()).ok()?))).collect())
    }
}
