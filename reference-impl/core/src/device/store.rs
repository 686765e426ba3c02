//! What a device keeps, and the trait of the store that keeps it.
//!
//! Chapter: device. The small state is loaded once and lives in the [`Machine`](super::Machine); records stay in the
//! store. All writes of one reaction are one transaction.

use super::attachments::Key;
use super::outbox::Entry;
use super::telemetry::Diary;
use crate::data;
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{
    AttachmentId, BatchToken, Cursor, Epoch, FeedName, MutationId, RecordId, RefetchId, ReplicaId, Seq, TypeName,
    UploadId,
};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp, Refusal};
use fieldsync_schemas::record::{Attachment, Data, Record};
use fieldsync_schemas::scenario::FailureCause;
use fieldsync_schemas::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who the device is to the server, and where its row of batches stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// Its id.
    pub id: ReplicaId,
    /// The place of its next batch.
    pub seq: Seq,
    /// The token of the last answered batch.
    pub previous: Option<BatchToken>,
}

/// A batch as it is sent until it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrozenBatch {
    /// The replica that sends it.
    pub replica: ReplicaId,
    /// Its place in the replica's row.
    pub seq: Seq,
    /// Its mutations.
    pub mutations: Vec<MutationId>,
    /// The body, byte for byte.
    pub body: String,
    /// How often the server failed over it.
    pub failures: u32,
}

/// A feed that is pulled again from null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// Records that were seen carry at least this mark.
    pub mark: u64,
    /// Whether all pages have come, so that what carries a lower mark can go.
    pub complete: bool,
}

/// How the last sync failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastFailure {
    /// Its cause.
    pub cause: FailureCause,
    /// Mutations up to this place were in the outbox then.
    pub up_to: u64,
}

/// A mutation that the server acknowledged, kept until a backup has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// Its place in the order in which they were acknowledged.
    pub number: u64,
    /// The place of its batch among all that the data set took in; none where that is not known yet.
    pub accepted_seq: Option<u64>,
    /// It is a delete of a record that a backup lacked: it is to be done again once the record is there.
    #[serde(default)]
    pub awaits_record: bool,
    /// The mutation as it was pushed.
    pub entry: Entry,
}

/// What changes seldom and is stored in one piece.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// The identity of the data that the device holds.
    pub epoch: Option<Epoch>,
    /// The mark with which the epoch began: what carries a lower one was seen in another.
    #[serde(default)]
    pub epoch_mark: u64,
    /// The epoch began with a restore, and what was kept is not sent yet.
    #[serde(default)]
    pub recovering: bool,
    /// The mark that records get when they are seen; one more with every resync.
    pub mark: u64,
    /// Parts of a batch that failed, each sent as a batch of its own.
    pub parts: Vec<Vec<MutationId>>,
    /// Mutations whose outcome the server forgot: settled after the resync by what it shows.
    pub forgotten: BTreeSet<MutationId>,
    /// How the last sync failed; none where it ended well.
    pub last_failure: Option<LastFailure>,
    /// The refetch orders that were carried out, or at least begun: what was begun goes on by itself.
    #[serde(default)]
    pub refetched: BTreeSet<RefetchId>,
    /// A print of the credentials with which the session was got: with others it is fetched again before anything else.
    #[serde(default)]
    pub login: Option<String>,
    /// Whether its user said that the network costs by the byte.
    #[serde(default)]
    pub metered: Option<bool>,
}

/// A mutation that was given up, with its reason, kept until its record is edited or the work is discarded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quarantined {
    /// The mutation.
    pub mutation: Arc<Mutation>,
    /// Why it was given up.
    pub reason: Reason,
}

/// Why a mutation was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The server refused it.
    Refused(Refusal),
    /// The server failed over it, alone in its batch.
    Server(String),
    /// The server forgot its outcome and does not show its content.
    OutcomeUnknown,
    /// The server no longer has its record.
    Gone,
}

impl Reason {
    /// The reason, for programs.
    pub fn code(&self) -> &str {
        match self {
            Reason::Refused(refusal) => refusal.code.as_str(),
            Reason::Server(_) => "server",
            Reason::OutcomeUnknown => "outcome-unknown",
            Reason::Gone => "gone",
        }
    }

    /// The reason, for people.
    pub fn detail(&self) -> &str {
        match self {
            Reason::Refused(refusal) => &refusal.detail,
            Reason::Server(detail) => detail,
            Reason::OutcomeUnknown => "the server no longer knows what became of it, and does not show it",
            Reason::Gone => "the server no longer has the record",
        }
    }
}

impl Quarantined {
    /// The record that it would have changed.
    pub fn record(&self) -> RecordRef {
        RecordRef { type_name: self.mutation.type_name.clone(), id: self.mutation.id.clone() }
    }
}

/// A file that was captured here and has to go up with its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// The record that carries it.
    pub record: RecordRef,
    /// The file.
    pub attachment: Attachment,
    /// How far it got.
    pub progress: Progress,
    /// What went wrong with it last.
    pub trouble: Option<FileTrouble>,
    /// Its record is not shown to this device any more. It goes up, and is forgotten.
    #[serde(default)]
    pub is_left: bool,
}

impl Upload {
    /// What tells it from others.
    pub fn key(&self) -> Key {
        (self.record.clone(), self.attachment.id.clone())
    }
}

/// Where a file of a record is, which the server has yet to hear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The record that names the file.
    pub record: RecordRef,
    /// The file.
    pub attachment: AttachmentId,
    /// Its URL, as the server said.
    pub url: String,
    /// The mutation that says so.
    pub mutation_id: MutationId,
}

impl Link {
    /// What tells it from others.
    pub fn key(&self) -> Key {
        (self.record.clone(), self.attachment.clone())
    }
}

/// How far a file got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It has no slot.
    Waiting,
    /// The server has it, and said so.
    Sent,
    /// Some of it may be on the server, which says how much.
    Uploading {
        /// The upload's URL.
        url: String,
        /// The upload's name.
        upload: UploadId,
    },
    /// It goes into an object storage in one request.
    Storing {
        /// The URL, signed.
        url: String,
        /// The upload's name.
        upload: UploadId,
        /// The headers that are signed.
        headers: BTreeMap<String, String>,
        /// A request was begun, and how it ended is not known: the file may be there.
        begun: bool,
    },
}

/// What went wrong with a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileTrouble {
    /// Its bytes are not on the device any more.
    Missing,
    /// The server refuses it; it is not offered again.
    Refused(ProblemCode),
    /// The server fails over it.
    Server,
}

/// What the device shows of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum ShownCopy {
    /// Its data.
    Data(Data),
    /// It is deleted.
    Deleted,
}

impl ShownCopy {
    /// What a record is after a mutation.
    pub fn after(mutation: &Mutation) -> Self {
        match &mutation.data {
            Some(data) if mutation.op != MutationOp::Delete => ShownCopy::Data(data::tree(data)),
            _ => ShownCopy::Deleted,
        }
    }
}

/// The server's state of a record, as it was pulled or pushed.
#[derive(Debug, Clone)]
pub struct ServerCopy {
    /// The record.
    pub record: Arc<Record>,
    /// The feed that it came by.
    pub feed: FeedName,
    /// When it was last seen, in resyncs.
    pub mark: u64,
}

impl ServerCopy {
    /// What the device shows of it.
    pub fn shown(&self) -> ShownCopy {
        if self.record.deleted { ShownCopy::Deleted } else { ShownCopy::Data(self.record.data_tree()) }
    }
}

/// One change of the store.
#[derive(Debug, Clone)]
pub enum Write {
    /// Who the device is, and where its batches stand.
    Replica(Replica),
    /// A mutation in the outbox, in its place.
    Entry(Box<Entry>),
    /// The mutation of this place leaves the outbox.
    EntryGone(u64),
    /// The batch that is sent until it is answered; none once it is.
    Batch(Option<FrozenBatch>),
    /// Where a feed stands; none to begin.
    Cursor(FeedName, Option<Cursor>),
    /// The feed is no longer pulled.
    CursorGone(FeedName),
    /// A resync of a feed begins, is complete, or is over (none).
    Resync(FeedName, Option<Resync>),
    /// The session.
    Session(Box<Session>),
    /// The marks.
    Marks(Marks),
    /// The server's state of a record.
    Server(Box<ServerCopy>),
    /// The server no longer has the record.
    ServerGone(RecordRef),
    /// A mutation is given up. A record has at most one.
    Quarantine(Box<Quarantined>),
    /// Nothing of this record is given up any longer.
    QuarantineGone(RecordRef),
    /// An acknowledged mutation is kept.
    Kept(Box<Kept>),
    /// The kept mutation of this number need not be kept any longer.
    KeptGone(u64),
    /// An entry of the conflict log. One that exists stays.
    Conflict(RecordId, Box<RawValue>),
    /// A file that has to go up.
    Upload(Box<Upload>),
    /// It is on the server, or not wanted there any more.
    UploadGone(Key),
    /// A link that is to be pushed.
    Link(Box<Link>),
    /// The server has it, or there is nothing to link any more.
    LinkGone(Key),
    /// A file that the server has and that is to come down.
    Wanted(Box<Attachment>),
    /// It came, or is not wanted any more.
    WantedGone(AttachmentId),
    /// A file that a record carried; it goes where no other does.
    Loose(AttachmentId),
    /// Its bytes are gone, or a record carries it.
    LooseGone(AttachmentId),
    /// An entry of the conflict log is no longer shown.
    ConflictGone(RecordId),
    /// What the device tells of its syncs.
    Diary(Box<Diary>),
    /// The server's state of each record of these feeds that carries a lower mark goes.
    Sweep {
        /// The feeds.
        feeds: BTreeSet<FeedName>,
        /// The mark of what stays.
        below: u64,
    },
    /// The entries of the conflict log go that are no records of the store.
    SweepConflicts,
}

/// The small state, as it is loaded.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// Who the device is; none before it was first opened.
    pub replica: Option<Replica>,
    /// The outbox.
    pub outbox: Vec<Entry>,
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
    pub quarantine: Vec<Quarantined>,
    /// The files that have to go up.
    pub uploads: Vec<Upload>,
    /// The links that are to be pushed.
    pub links: Vec<Link>,
    /// The files that are to come down.
    pub wanted: Vec<Attachment>,
    /// The files that a record carried and that may have to go.
    pub loose: Vec<AttachmentId>,
    /// What it tells of its syncs.
    pub diary: Diary,
    /// The acknowledged mutations that no backup has yet.
    pub kept: Vec<Kept>,
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
#[error("the device's store failed while {doing}: {source}")]
pub struct StoreError {
    /// What was being done.
    pub doing: &'static str,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The store of one device.
pub trait DeviceStore: Send + Sync {
    /// The small state.
    fn load(&self) -> Result<Saved, StoreError>;

    /// Makes these changes, all or none, in order.
    fn commit(&self, writes: &[Write]) -> Result<(), StoreError>;

    /// The server's state of a record.
    fn record(&self, record: &RecordRef) -> Result<Option<ServerCopy>, StoreError>;

    /// The server's states of the records of a type, tombstones among them, in the order of their ids.
    fn records(&self, type_name: &TypeName) -> Result<Vec<ServerCopy>, StoreError>;

    /// The conflict log.
    fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError>;
}
