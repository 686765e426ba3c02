//! The small state of a device, as it lives in the machine: what was stored, and every write since.

use super::attachments::Key;
use super::kept::KeptLog;
use super::outbox::{self, Entry, Outbox};
use super::store::{
    FrozenBatch, Link, Marks, Progress, Quarantined, Reason, Replica, Resync, Saved, ServerCopy, ShownCopy, Upload,
    Write,
};
use super::telemetry::Diary;
use fieldsync_schemas::id::{AttachmentId, Cursor, FeedName, MutationId, RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::record::Attachment;
use fieldsync_schemas::session::Session;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The small state, as the machine holds it. Every change goes through [`State::apply`], so that what is in memory is
/// what is stored.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Who the device is.
    pub replica: Option<Replica>,
    /// The outbox.
    pub outbox: Outbox,
    /// The batch that is not answered yet.
    pub batch: Option<FrozenBatch>,
    /// Where each feed stands.
    pub cursors: BTreeMap<FeedName, Option<Cursor>>,
    /// The resyncs that are not over.
    pub resyncs: BTreeMap<FeedName, Resync>,
    /// The session.
    pub session: Option<Session>,
    /// The marks.
    pub marks: Marks,
    /// The given-up mutations.
    pub quarantine: BTreeMap<RecordRef, Quarantined>,
    /// The files that have to go up.
    pub uploads: BTreeMap<Key, Upload>,
    /// The files of each record that went up from here.
    pub sent: BTreeMap<RecordRef, BTreeMap<AttachmentId, Upload>>,
    /// The links that are to be pushed.
    pub links: BTreeMap<Key, Link>,
    /// The same, by the id with which each is pushed.
    link_ids: HashMap<MutationId, Key>,
    /// The files that are to come down.
    pub wanted: BTreeMap<AttachmentId, Attachment>,
    /// The files that a record carried and that may have to go.
    pub loose: BTreeSet<AttachmentId>,
    /// What it tells of its syncs.
    pub diary: Diary,
    /// The acknowledged mutations that no backup has yet.
    pub kept: KeptLog,
}

impl State {
    /// From what was stored.
    pub fn restore(saved: Saved) -> Self {
        let mut state = Self {
            replica: saved.replica,
            outbox: Outbox::restore(saved.outbox),
            batch: saved.batch,
            cursors: saved.cursors,
            resyncs: saved.resyncs,
            session: saved.session,
            marks: saved.marks,
            quarantine: saved.quarantine.into_iter().map(|one| (one.record(), one)).collect(),
            uploads: BTreeMap::new(),
            sent: BTreeMap::new(),
            links: BTreeMap::new(),
            link_ids: HashMap::new(),
            wanted: saved.wanted.into_iter().map(|one| (one.id.clone(), one)).collect(),
            loose: saved.loose.into_iter().collect(),
            diary: saved.diary,
            kept: KeptLog::restore(saved.kept),
        };
        saved.uploads.into_iter().for_each(|upload| state.put_upload(upload));
        saved.links.into_iter().for_each(|link| state.put_link(link));
        state
    }

    fn put_link(&mut self, link: Link) {
        self.drop_link(&link.key());
        self.link_ids.insert(link.mutation_id.clone(), link.key());
        self.links.insert(link.key(), link);
    }

    fn drop_link(&mut self, key: &Key) {
        if let Some(link) = self.links.remove(key) {
            self.link_ids.remove(&link.mutation_id);
        }
    }

    /// The link that is pushed with this id.
    pub fn link_of(&self, id: &MutationId) -> Option<&Link> {
        self.links.get(self.link_ids.get(id)?)
    }

    fn put_upload(&mut self, upload: Upload) {
        let (record, id) = upload.key();
        self.drop_upload(&(record.clone(), id.clone()));
        if upload.progress == Progress::Sent {
            self.sent.entry(record).or_default().insert(id, upload);
        } else {
            self.uploads.insert((record, id), upload);
        }
    }

    fn drop_upload(&mut self, key: &Key) {
        self.uploads.remove(key);
        if let Some(files) = self.sent.get_mut(&key.0) {
            files.remove(&key.1);
            if files.is_empty() {
                self.sent.remove(&key.0);
            }
        }
    }

    /// The files of a record that have to go up.
    pub fn uploads_of(&self, record: &RecordRef) -> impl Iterator<Item = &Upload> {
        self.uploads.values().filter(move |upload| upload.record == *record)
    }

    /// The device's own work on a record, which is shown in place of the server's state: the last that is not settled,
    /// or what was given up, where there is nothing of the server's to go back to.
    fn own(&self, record: &RecordRef) -> Option<&Mutation> {
        let unsettled = self.outbox.of(record).filter(|entry| entry.progress != outbox::Progress::Discarded).last();
        let has_no_other = |one: &&Quarantined| one.mutation.op == MutationOp::Create || one.reason == Reason::Gone;
        let given_up = || self.quarantine.get(record).filter(has_no_other).map(|one| &*one.mutation);
        unsettled.map(|entry| &*entry.mutation).or_else(given_up)
    }

    /// What the device shows of a record of which this is the server's state: its own work, or else that. Nothing, where
    /// it knows neither.
    pub fn shown(&self, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        self.own(record).map(ShownCopy::after).or_else(|| server.map(ServerCopy::shown))
    }

    /// The files of a record, as [`State::shown`]. What the server says of each is known only where it came from there.
    pub fn files_of(&self, record: &RecordRef, server: Option<&ServerCopy>) -> Vec<Attachment> {
        match self.own(record) {
            Some(own) => own.attachments.iter().map(|file| Attachment { state: None, ..file.clone() }).collect(),
            None => server.map(|server| server.record.attachments.clone()).unwrap_or_default(),
        }
    }

    /// The records of a type that the device knows: those of which these are the server's states, and those that only its
    /// own work tells of.
    pub fn known(&self, type_name: &TypeName, servers: Vec<ServerCopy>) -> BTreeMap<RecordId, Option<ServerCopy>> {
        let worked_on = self.outbox.iter().map(Entry::record).chain(self.quarantine.keys().cloned());
        let worked_on = worked_on.filter(|record| record.type_name == *type_name).map(|record| (record.id, None));
        worked_on.chain(servers.into_iter().map(|server| (server.record.id.clone(), Some(server)))).collect()
    }

    /// Follows a write.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Replica(replica) => self.replica = Some(replica.clone()),
            Write::Entry(entry) => self.outbox.put((**entry).clone()),
            Write::EntryGone(place) => self.outbox.remove(*place),
            Write::Batch(batch) => self.batch = batch.clone(),
            Write::Cursor(feed, cursor) => {
                self.cursors.insert(feed.clone(), cursor.clone());
            }
            Write::CursorGone(feed) => {
                self.cursors.remove(feed);
            }
            Write::Resync(feed, Some(resync)) => {
                self.resyncs.insert(feed.clone(), resync.clone());
            }
            Write::Resync(feed, None) => {
                self.resyncs.remove(feed);
            }
            Write::Session(session) => self.session = Some((**session).clone()),
            Write::Marks(marks) => self.marks = marks.clone(),
            Write::Quarantine(one) => {
                self.quarantine.insert(one.record(), (**one).clone());
            }
            Write::QuarantineGone(record) => {
                self.quarantine.remove(record);
            }
            Write::Upload(upload) => {
                self.put_upload((**upload).clone());
            }
            Write::UploadGone(key) => self.drop_upload(key),
            Write::Link(link) => self.put_link((**link).clone()),
            Write::LinkGone(key) => self.drop_link(key),
            Write::Loose(id) => {
                self.loose.insert(id.clone());
            }
            Write::LooseGone(id) => {
                self.loose.remove(id);
            }
            Write::Wanted(file) => {
                self.wanted.insert(file.id.clone(), (**file).clone());
            }
            Write::WantedGone(id) => {
                self.wanted.remove(id);
            }
            Write::Diary(diary) => self.diary = (**diary).clone(),
            Write::Kept(kept) => self.kept.put((**kept).clone()),
            Write::KeptGone(number) => self.kept.remove(*number),
            Write::Server(_)
            | Write::ConflictGone(_)
            | Write::ServerGone(_)
            | Write::Conflict(..)
            | Write::Sweep { .. }
            | Write::SweepConflicts => {}
        }
    }
}
