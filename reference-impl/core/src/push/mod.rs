//! A push: one batch of one replica, each mutation with its own outcome.
//!
//! Chapter: push. A batch is read without looking at anything stored, so that many can be read side by side; then it
//! is decided against what it touches, one batch after another.

mod decide;
mod derive;
mod fence;
mod fields;
mod groups;
mod link;
mod merging;
mod outcome;
mod parents;
mod read;
mod sequence;

pub use decide::decide;
pub(crate) use derive::member;
pub use parents::{Reference, TAKEN_ALONG, references};
pub use read::read;

use crate::clock::Ids;
use crate::epoch::Epochs;
use crate::links;
use crate::policy::PolicyTable;
use crate::store::{Commit, DataSetName, Hash, SequenceName, Touched};
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{
    AttachmentId, BatchToken, Epoch, GroupId, MutationId, Principal, ReplicaId, Rev, Seq, SessionTag, Version,
};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{MutationOp, Refusal};
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::registry::{Registry, TypeEntry};
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How far a device's clock may be ahead of the server's before its times are clamped.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How far a pushed version may be above the current one.
pub const VERSION_LEAP: u64 = 10_000;

/// A batch, read and checked as far as that goes without looking at anything stored.
#[derive(Debug)]
pub struct Batch {
    /// The replica that sends it.
    pub replica: ReplicaId,
    /// Its place in the replica's row of batches.
    pub seq: Seq,
    /// The token of the answer before.
    pub previous: Option<BatchToken>,
    /// The epoch that the device knows.
    pub epoch: Option<Epoch>,
    /// The hash of the decoded body.
    pub body: Hash,
    /// The mutations, in order.
    pub mutations: Vec<ReadMutation>,
    /// The limits that it was read under.
    pub limits: Limits,
}

/// A mutation, read and checked.
#[derive(Debug)]
pub struct ReadMutation {
    /// Its id.
    pub mutation_id: MutationId,
    /// The hash of its content, base apart.
    pub content: Hash,
    /// The record that it creates, where it does.
    pub creates: Option<RecordRef>,
    /// The group that it is taken with.
    pub group: Option<GroupId>,
    /// What it asks for, or why it is refused whatever is stored.
    pub asked: Result<Ask, Refusal>,
}

impl ReadMutation {
    /// The change of a record that it asks for, where it asks for one.
    pub fn change(&self) -> Option<&Asked> {
        match &self.asked {
            Ok(Ask::Change(asked)) => Some(asked),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn change_mut(&mut self) -> Option<&mut Asked> {
        match &mut self.asked {
            Ok(Ask::Change(asked)) => Some(asked),
            _ => None,
        }
    }

    /// The link that it asks for, where it asks for one.
    pub fn link(&self) -> Option<&AskedLink> {
        match &self.asked {
            Ok(Ask::Link(asked)) => Some(asked),
            _ => None,
        }
    }

    /// The record that it is about.
    pub fn record(&self) -> Option<&RecordRef> {
        self.change().map(|asked| &asked.record).or_else(|| Some(&self.link()?.record))
    }
}

/// What a mutation asks for.
#[derive(Debug)]
pub enum Ask {
    /// A record is made, changed or deleted.
    Change(Asked),
    /// It is said where a file of a record is.
    Link(AskedLink),
}

/// A link that is asked for.
#[derive(Debug)]
pub struct AskedLink {
    /// The record.
    pub record: RecordRef,
    /// The file.
    pub attachment: AttachmentId,
    /// Where it is.
    pub url: String,
}

/// A change that is asked for.
#[derive(Debug)]
pub struct Asked {
    /// What it does.
    pub op: MutationOp,
    /// The record.
    pub record: RecordRef,
    /// The state it was made on.
    pub base: Option<Rev>,
    /// The version it claims.
    pub version: Version,
    /// When it was made, by the device's clock.
    pub modified_at: Timestamp,
    /// The whole record; none for a delete, and for a patch.
    pub data: Option<Box<RawValue>>,
    /// The patch of its base.
    pub patch: Option<Data>,
    /// The files that the record refers to.
    pub attachments: Vec<Attachment>,
    /// The hash of the record's content; of a patch, its own.
    pub content: Hash,
    /// The records that it refers to.
    pub references: Vec<Reference>,
}

impl Asked {
    /// The record that a pushed entry of the conflict log is about.
    fn about(&self) -> Option<RecordRef> {
        if self.record.type_name.as_str() != CONFLICT_TYPE {
            return None;
        }
        serde_json::from_str::<ConflictEntry>(self.data.as_ref()?.get()).ok().map(|entry| entry.record)
    }
}

/// What a batch is decided with, besides what it touches.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The data set.
    pub data_set: &'a DataSetName,
    /// Its epochs.
    pub epochs: &'a Epochs,
    /// The place that this batch takes among all that the data set took in.
    pub accepted_seq: u64,
    /// Who pushes.
    pub principal: &'a Principal,
    /// The tag of the principal's session.
    pub session: &'a SessionTag,
    /// The types.
    pub registry: &'a Registry,
    /// The merge policies.
    pub policies: &'a PolicyTable,
    /// Makes revs and tokens.
    pub ids: &'a dyn Ids,
    /// The data set's clock.
    pub now: Timestamp,
}

/// What becomes of a batch.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Decision {
    /// It was answered before: this answer goes out once more, and nothing changes.
    Replay(Arc<str>),
    /// This is to be committed; its answer is the replica's.
    Commit(Commit),
}

impl Batch {
    /// What has to be loaded before the batch can be decided.
    pub fn touched(&self, data_set: &DataSetName, principal: &Principal, registry: &Registry) -> Touched {
        let deletes = self.deletes().map(|asked| &asked.record);
        let asked = || self.mutations.iter().filter_map(ReadMutation::change);
        let is_linked = |record: &&RecordRef| registry.entry(&record.type_name).is_some_and(links::are_held_by);
        let records = || self.mutations.iter().filter_map(ReadMutation::record);
        Touched {
            data_set: data_set.clone(),
            principal: principal.clone(),
            replica: self.replica.clone(),
            mutations: self.mutations.iter().map(|read| read.mutation_id.clone()).collect(),
            records: records().cloned().chain(asked().filter_map(Asked::about)).collect(),
            linked: records().filter(is_linked).cloned().collect(),
            bases: asked().filter_map(|asked| asked.base.clone()).collect(),
            attachments: asked().flat_map(|asked| &asked.attachments).map(|one| one.id.clone()).collect(),
            parents: asked().flat_map(|asked| &asked.references).map(|one| one.parent.clone()).collect(),
            sequences: self.sequences(registry),
            families: parents::families(registry, deletes, self.mutations.len()),
        }
    }

    /// What is drawn from for the records that are made.
    fn sequences(&self, registry: &Registry) -> BTreeSet<SequenceName> {
        let drawing: Vec<&TypeEntry> =
            registry.types.iter().filter(|entry| sequence::sequences(entry).next().is_some()).collect();
        let asked = self.mutations.iter().filter_map(ReadMutation::change);
        let entries = asked.filter_map(|asked| drawing.iter().find(|entry| entry.name == asked.record.type_name));
        entries.flat_map(|entry| sequence::sequences(entry)).map(|(name, _)| name).collect()
    }

    fn deletes(&self) -> impl Iterator<Item = &Asked> {
        let asked = self.mutations.iter().filter_map(ReadMutation::change);
        asked.filter(|asked| asked.op == MutationOp::Delete)
    }
}
/// A refusal, for people as long as fits.
pub(crate) fn refuse(code: ProblemCode, mut detail: String) -> Refusal {
    // What cannot be read is quoted, and may be as long as the body.
    detail.truncate(detail.floor_char_boundary(500));
    Refusal { code, detail, pointer: None, cause: None }
}
