//! The storage of a server, without SQL: load what a batch touches, commit what was decided, page, forget.
//!
//! A server has one [`Store`] with any number of data sets in it. Batches are decided one after another by one writer,
//! so [`Store::load`] and [`Store::commit`] are never interleaved; pages are read beside them, each answer at one
//! [`Snapshot`].

use crate::attachment::RecordFiles;
use crate::cursor::Point;
use crate::digest::Buckets;
use crate::epoch::Epochs;
use crate::links::Links;
use crate::scope::{Label, Scope, Sight};
use async_trait::async_trait;
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{
    AttachmentId, BatchToken, Epoch, FeedName, MutationId, Principal, RecordId, ReplicaId, Rev, Seq, TypeName, Version,
};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::{AttachmentState, Record};
use fieldsync_schemas::session::{RefetchOrder, Role};
use fieldsync_schemas::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A place in a feed: counted up at commit, so that a later commit never gets a lower place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// A hash of content, for equality only.
pub type Hash = [u8; 32];

/// The name of a data set within one server; the first segment of its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSetName(pub String);

/// One accepted state of a record, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The record.
    pub record: RecordRef,
    /// The feed that publishes it.
    pub feed: FeedName,
    /// This state.
    pub rev: Rev,
    /// Its version.
    pub version: Version,
    /// When it was modified, as clamped.
    pub modified_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Who wrote it; none where the server did.
    pub replica: Option<ReplicaId>,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The hash of its canonical `data` and attachments.
    pub content: Hash,
    /// The whole record as it is published, JSON.
    pub json: Arc<str>,
    /// Who sees it, other than everybody.
    pub label: Option<Label>,
    /// The record that it is about, where it is an entry of the conflict log and records have places.
    pub about: Option<RecordRef>,
}

impl State {
    /// The first state of a record that the server itself writes: a conflict entry, or a reference record.
    pub fn by_server(record: RecordRef, feed: FeedName, rev: Rev, data: Box<RawValue>, now: Timestamp) -> Self {
        let content = crate::data::content_hash(Some(&data), &[]);
        let published = Record {
            type_name: record.type_name,
            id: record.id,
            rev,
            version: Version::FIRST,
            modified_at: now,
            claimed_at: None,
            accepted_at: now,
            replica: None,
            deleted: false,
            data: Some(data),
            attachments: Vec::new(),
        };
        Self::published(feed, content, published)
    }

    /// The state whose published record is this.
    pub fn published(feed: FeedName, content: Hash, record: Record) -> Self {
        Self {
            json: Arc::from(serde_json::to_string(&record).expect("a record is plain JSON")),
            feed,
            content,
            record: RecordRef { type_name: record.type_name, id: record.id },
            rev: record.rev,
            version: record.version,
            modified_at: record.modified_at,
            accepted_at: record.accepted_at,
            replica: record.replica,
            deleted: record.deleted,
            label: None,
            about: None,
        }
    }
}

/// What the server keeps of a replica, for good.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaRow {
    /// Its id.
    pub replica: ReplicaId,
    /// The last batch that was answered.
    pub seq: Seq,
    /// The token of that answer.
    pub token: BatchToken,
    /// The hash of that batch's decoded body.
    pub body: Hash,
    /// That answer, JSON.
    pub answer: Arc<str>,
}

/// What the server keeps of a decided mutation, at least as long as tombstones.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The mutation.
    pub mutation_id: MutationId,
    /// The feed of its record; none where the mutation names no type of the registry.
    pub feed: Option<FeedName>,
    /// The hash of its content, base apart.
    pub content: Hash,
    /// Its outcome, JSON.
    pub outcome: Arc<str>,
}

/// How a record stands to which another one refers; one that the server never had does not stand at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Live,
    /// It was deleted.
    Deleted,
}

/// A live record refers to another, its parent, or does so no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The record referred to.
    pub parent: RecordRef,
    /// The record that refers to it.
    pub child: RecordRef,
    /// Whether it does.
    pub is_there: bool,
}

/// Where a file of a record is, from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordLink {
    /// The record.
    pub record: RecordRef,
    /// The file.
    pub attachment: AttachmentId,
    /// Its URL.
    pub url: String,
    /// The record's state with it, which is published again under the same rev; none where its data do not name the file.
    pub state: Option<State>,
}

/// The name of a sequence: each member that is drawn has its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceName {
    /// The type of the records.
    pub type_name: TypeName,
    /// The member of their data.
    pub member: String,
}

/// Records whose live children are to be loaded.
#[derive(Debug, Clone, Default)]
pub struct Families {
    /// The records.
    pub heads: Vec<RecordRef>,
    /// The types whose records take their children along: of these the children's states are loaded, and theirs in turn.
    pub takes_along: BTreeSet<TypeName>,
    /// The most records that are loaded below one head.
    pub most: usize,
}

/// What a batch touches.
#[derive(Debug, Clone)]
pub struct Touched {
    /// The data set.
    pub data_set: DataSetName,
    /// Who pushes: replicas and mutations are looked up under this principal.
    pub principal: Principal,
    /// The replica that pushes.
    pub replica: ReplicaId,
    /// The mutations, those among them that are refused whatever is stored, too.
    pub mutations: Vec<MutationId>,
    /// The records that the others change.
    pub records: Vec<RecordRef>,
    /// Those among them that may hold the URLs of files.
    pub linked: Vec<RecordRef>,
    /// The states that they were made on.
    pub bases: Vec<Rev>,
    /// The files that they put into records.
    pub attachments: Vec<AttachmentId>,
    /// The records that they refer to.
    pub parents: Vec<RecordRef>,
    /// The sequences that they may draw from.
    pub sequences: BTreeSet<SequenceName>,
    /// Those that they delete, where others may refer to them.
    pub families: Families,
}

/// What the store knows of what a batch touches.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The replica, where the server knows it.
    pub replica: Option<ReplicaRow>,
    /// The current states of the touched records.
    pub states: HashMap<RecordRef, State>,
    /// Earlier states that mutations name as their base and that are still kept, by rev.
    pub bases: HashMap<Rev, State>,
    /// The mutations that are decided.
    pub decided: HashMap<MutationId, Decided>,
    /// The files that are there and open to the principal.
    pub open: HashSet<AttachmentId>,
    /// Where files of the records are, as far as links have said so.
    pub links: HashMap<RecordRef, Links>,
    /// What the principal may write.
    pub scope: Scope,
    /// How the records stand that are referred to.
    pub parents: HashMap<RecordRef, Standing>,
    /// The last number that was drawn from each sequence.
    pub drawn: HashMap<SequenceName, u64>,
    /// The live children of the heads of families, and of those that they take along.
    pub children: HashMap<RecordRef, Vec<RecordRef>>,
    /// Who sees these parents and children, other than everybody.
    pub labels: HashMap<RecordRef, Label>,
}

impl Loaded {
    /// Takes in the commits that were decided before this batch and are not stored yet. Who refers to whom is not in
    /// them as it is in the storage: a batch that asks for families is loaded after all before it are stored.
    pub fn absorb(&mut self, touched: &Touched, commits: &[Commit]) {
        let mut commits = commits.iter().filter(|commit| commit.data_set == touched.data_set).peekable();
        if commits.peek().is_none() {
            return;
        }
        let records: HashSet<&RecordRef> = touched.records.iter().collect();
        let mutations: HashSet<&MutationId> = touched.mutations.iter().collect();
        let parents: HashSet<&RecordRef> = touched.parents.iter().collect();
        for commit in commits {
            for state in commit.states.iter().filter(|state| parents.contains(&state.record)) {
                let standing = if state.deleted { Standing::Deleted } else { Standing::Live };
                self.parents.insert(state.record.clone(), standing);
                match &state.label {
                    Some(label) => self.labels.insert(state.record.clone(), label.clone()),
                    None => self.labels.remove(&state.record),
                };
            }
            for state in commit.states.iter().filter(|state| records.contains(&state.record)) {
                if let Some(before) = self.states.insert(state.record.clone(), state.clone()) {
                    self.bases.insert(before.rev.clone(), before);
                }
            }
            for link in commit.linked.iter().filter(|link| records.contains(&link.record)) {
                let known = self.links.entry(link.record.clone()).or_default();
                known.insert(link.attachment.clone(), link.url.clone());
                if let Some(state) = &link.state {
                    self.states.insert(link.record.clone(), state.clone());
                }
            }
            let drawn = commit.drawn.iter().filter(|(name, _)| touched.sequences.contains(name));
            self.drawn.extend(drawn.map(|(name, last)| (name.clone(), *last)));
            let arrived = commit.files.iter().flat_map(|files| &files.attachments);
            let arrived = arrived.filter(|attachment| attachment.state == Some(AttachmentState::Stored));
            self.open.extend(arrived.map(|attachment| attachment.id.clone()));
            if commit.principal != touched.principal {
                continue;
            }
            if commit.replica.replica == touched.replica {
                self.replica = Some(commit.replica.clone());
            }
            for decided in commit.decided.iter().filter(|decided| mutations.contains(&decided.mutation_id)) {
                self.decided.insert(decided.mutation_id.clone(), decided.clone());
            }
        }
    }
}

/// What one batch changes. It is stored whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The data set.
    pub data_set: DataSetName,
    /// Who pushed.
    pub principal: Principal,
    /// When it was decided, by the data set's clock.
    pub at: Timestamp,
    /// The new states, in the order in which they take their places. The state before, if any, is kept by its rev.
    pub states: Vec<State>,
    /// What changed in who refers to whom, in order.
    pub links: Vec<Link>,
    /// The mutations that were decided.
    pub decided: Vec<Decided>,
    /// The files of the new states, of types that may carry some.
    pub files: Vec<RecordFiles>,
    /// The links that were taken.
    pub linked: Vec<RecordLink>,
    /// The last number that is drawn by now from each sequence that the batch touches.
    pub drawn: HashMap<SequenceName, u64>,
    /// The place of the batch among all that the data set took in.
    pub accepted_seq: u64,
    /// The replica with its new answer.
    pub replica: ReplicaRow,
}

/// One row of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place.
    pub place: Place,
    /// What it says of the record.
    pub kind: RowKind,
    /// The record as it is published, JSON; of one that left the feed, its type and id.
    pub json: Arc<str>,
    /// The feed in which it is seen now, where it left for another one of its type.
    pub to: Option<FeedName>,
}

/// What a row says of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It is as given.
    Put,
    /// It was deleted.
    Tombstone,
    /// It left the feed, or the scope of the one who asks.
    Remove,
}

/// What an administrator gave a principal besides the role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Assignment {
    /// The places at and below which the principal sees records; none for everything.
    pub places: Option<Vec<RecordId>>,
    /// What the principal's devices are to pull once more.
    pub refetch: Vec<RefetchOrder>,
}

/// A scope as it is from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct Rescope {
    /// Whose it is.
    pub user: String,
    /// The places as they were given; none for everything.
    pub places: Option<Vec<RecordId>>,
    /// These and all below them.
    pub seen: BTreeSet<RecordId>,
}

/// Where a feed stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The place of its last change; 0 where there is none.
    pub last: Place,
    /// The greatest place of a tombstone that was purged; 0 where none was.
    pub horizon: Place,
}

/// One data set as it is stored.
#[derive(Debug, Clone)]
pub struct DataSetRow {
    /// Its name.
    pub name: DataSetName,
    /// What it hosts.
    pub domain: Arc<Domain>,
    /// The identities of its data.
    pub epochs: Epochs,
    /// The place of the last batch that it took in.
    pub accepted_seq: u64,
    /// Every batch up to this one is in the newest backup.
    pub backed_up_seq: u64,
    /// How far its clock is ahead of the machine's, in milliseconds.
    pub clock_offset_ms: i64,
}

impl DataSetRow {
    /// A data set in its first epoch.
    pub fn new(name: DataSetName, domain: impl Into<Arc<Domain>>, epoch: Epoch) -> Self {
        let epochs = Epochs::first(epoch);
        Self { name, domain: domain.into(), epochs, accepted_seq: 0, backed_up_seq: 0, clock_offset_ms: 0 }
    }
}

/// The role of a user in a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The data set. It need not be there yet.
    pub data_set: DataSetName,
    /// The name of the account.
    pub user: String,
    /// The role.
    pub role: Role,
}

/// Why storage failed: what was being done, and what the storage said.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {source}")]
pub struct StoreError {
    /// What was being done.
    pub doing: &'static str,
    /// What the storage said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The storage of a server.
#[async_trait]
pub trait Store: Send + Sync {
    /// What is known of what these batches touch, in their order.
    async fn load(&self, touched: &[Touched]) -> Result<Vec<Loaded>, StoreError>;

    /// Stores these commits in this order, all or none, and returns once they survive the end of the process and of
    /// the machine.
    async fn commit(&self, commits: Vec<Commit>) -> Result<(), StoreError>;

    /// A view of a data set in which nothing moves, for this principal.
    async fn snapshot(&self, data_set: &DataSetName, principal: &Principal) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Purges the tombstones of this feed and its parts that were accepted before `before`, and with them earlier states
    /// and the outcomes of the feed's mutations decided before it. The greatest purged place becomes each one's horizon.
    async fn forget(&self, data_set: &DataSetName, feed: &FeedName, before: Timestamp) -> Result<(), StoreError>;

    /// Makes a backup of everything; the newest one of this data set is what [`Store::restore`] takes. Returns the place
    /// of the last batch that is in it.
    async fn back_up(&self, data_set: &DataSetName) -> Result<u64, StoreError>;

    /// The present epoch of each data set, and the place of the last batch that is in a backup, also in one that somebody
    /// else has made.
    async fn backed_up(&self) -> Result<Vec<(DataSetName, Epoch, u64)>, StoreError>;

    /// Puts the newest backup in the place of a data set's data, in a new epoch. The data set as it is then comes back;
    /// nothing, and nothing is changed, where there is no backup of it.
    async fn restore(&self, data_set: &DataSetName, epoch: &Epoch) -> Result<Option<DataSetRow>, StoreError>;

    /// Forgets all that a data set has and had, but for who may use it, and begins a new epoch with these states.
    async fn wipe(&self, data_set: &DataSetName, epoch: &Epoch, seeds: Vec<State>) -> Result<DataSetRow, StoreError>;

    /// Every data set.
    async fn data_sets(&self) -> Result<Vec<DataSetRow>, StoreError>;

    /// Adds a data set with its first states, or changes its domain and clock where the name is known.
    async fn put_data_set(&self, row: &DataSetRow, seeds: Vec<State>) -> Result<(), StoreError>;

    /// The password hash of an account.
    async fn account(&self, user: &str) -> Result<Option<String>, StoreError>;

    /// Adds an account, or gives it a new password hash.
    async fn put_account(&self, user: &str, password_hash: &str) -> Result<(), StoreError>;

    /// The role of a user in a data set.
    async fn grant(&self, data_set: &DataSetName, user: &str) -> Result<Option<Role>, StoreError>;

    /// Gives users their roles in data sets, all together.
    async fn put_grants(&self, grants: Vec<Grant>) -> Result<(), StoreError>;

    /// What a user was given besides the role.
    async fn assignment(&self, data_set: &DataSetName, user: &str) -> Result<Assignment, StoreError>;

    /// The data sets in which somebody does not see everything.
    async fn scoped(&self) -> Result<HashSet<DataSetName>, StoreError>;

    /// The users who do not see everything, with their places as they were given.
    async fn scopes(&self, data_set: &DataSetName) -> Result<Vec<(String, Vec<RecordId>)>, StoreError>;

    /// Stores these states of reference records, then these scopes, in one transaction. What a scope gains and loses
    /// takes places in the feeds. Not to be called between a load and its commit.
    async fn rescope(&self, data_set: &DataSetName, states: Vec<State>, scopes: Vec<Rescope>)
    -> Result<(), StoreError>;

    /// Orders the devices of a user to pull once more.
    async fn put_refetch(&self, data_set: &DataSetName, user: &str, order: &RefetchOrder) -> Result<(), StoreError>;

    /// The secret of this name, made at its first use and kept for good.
    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError>;
}

/// A view of one data set in which nothing moves.
#[async_trait]
pub trait Snapshot: Send {
    /// Whether the principal does not see everything, or did not once.
    fn is_scoped(&self) -> bool;

    /// Where every feed stands. For a principal with a scope the last place is one that nothing seen stands behind.
    async fn heads(&mut self) -> Result<HashMap<FeedName, Head>, StoreError>;

    /// What the live records of a feed come to, of those that are seen.
    async fn digest(&mut self, feed: &FeedName, sight: Sight) -> Result<Buckets, StoreError>;

    /// The live records of a bucket of a feed after this id, in the order of their ids, at most `limit`, as they are
    /// published, JSON; of those, what is seen.
    async fn bucket(
        &mut self,
        feed: &FeedName,
        sight: Sight,
        bucket: u8,
        after: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<Arc<str>>, StoreError>;

    /// The next rows of a feed after this point, in the order of their places, at most `limit`; of those, what is seen.
    /// That a record left the scope is not told where the point is cleared of it.
    async fn page(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError>;

    /// The same of the records that left the feed for another one of their type.
    async fn moved(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError>;
}
