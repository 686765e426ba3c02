//! `POST {base}/push` — what a device did, each mutation with its own outcome.
//!
//! Chapter: push.

use crate::id::{
    AttachmentId, BatchToken, Epoch, GroupId, MutationId, RecordId, ReplicaId, Rev, Seq, SessionTag, TypeName, Version,
};
use crate::open_enum::open_enum;
use crate::problem::ProblemCode;
use crate::record::{Attachment, Data, Record};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The body of `POST {base}/push`: one batch of one replica.
///
/// `M` is [`Mutation`], or raw text where one unreadable mutation must not hide the others.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PushRequest<M = Mutation> {
    /// The replica that sends it.
    pub replica: ReplicaId,
    /// The place of the batch in the replica's row of batches, from 1.
    pub seq: Seq,
    /// The token of the answer to the batch before; null for the first.
    pub previous: Option<BatchToken>,
    /// The epoch that the device knows, by its session or the last answer; absent where it knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The mutations, in order. A record has at most one.
    #[schemars(length(min = 1, max = 100_000))]
    pub mutations: Vec<M>,
}

/// One change that a device made.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Mutation {
    /// Minted once, kept through every retry.
    pub mutation_id: MutationId,
    /// What was done.
    pub op: MutationOp,
    /// The record's type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The record's id.
    pub id: RecordId,
    /// The state that the change was made on; null for a record that the device made itself, and for a `link`, which is
    /// made on none.
    pub base: Option<Rev>,
    /// The record's version after the change; absent for a `link`, which counts none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// When the change was made, by the device's clock; absent for a `link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<Timestamp>,
    /// The whole record (`create`; `update` outside `field-merge`). An absent member is not in the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Data>")]
    pub data: Option<Box<RawValue>>,
    /// The members that changed (`update` under `field-merge`): null clears, absent leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Data>")]
    pub patch: Option<Box<RawValue>>,
    /// The files that the record refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Mutations with one group are applied all or none (capability `groups`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// The unsettled mutation that this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<MutationId>,
    /// The file whose URL goes wherever the record's data name it (`link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<AttachmentId>,
    /// Where the file is, as the server said (`link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub url: Option<String>,
}

open_enum! {
    /// What a mutation does.
    pub enum MutationOp {
        /// A record that the device made.
        Create = "create",
        /// A record that the device changed.
        Update = "update",
        /// A record that the device deleted.
        Delete = "delete",
        /// The URL of a file is written into the record (capability `link`).
        Link = "link",
    }
}

/// The answer to a batch.
///
/// `O` is [`Outcome`], or raw text where a stored answer is sent again.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PushAnswer<O = Outcome> {
    /// Names this answer; the next batch carries it as `previous`.
    pub token: BatchToken,
    /// Whether this answer was given before.
    #[serde(default)]
    pub replayed: bool,
    /// The identity of the data.
    pub epoch: Epoch,
    /// The tag of the caller's session.
    pub session: SessionTag,
    /// The place of this batch among all that the data set took in this epoch, counted up (capability `restore`). A
    /// session's `backed_up_seq` is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_seq: Option<u64>,
    /// One outcome for each mutation, matched by `mutation_id`.
    pub outcomes: Vec<O>,
}

/// What became of one mutation.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    /// The mutation.
    pub mutation_id: MutationId,
    /// What became of it.
    pub outcome: OutcomeKind,
    /// The record's state after it (`applied`, `merged`, `duplicate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<Rev>,
    /// The record's version after it (`applied`, `merged`, `duplicate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The winner (`superseded`), the current record (`stale`), or the merged one (`merged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Record>")]
    pub record: Option<Box<RawValue>>,
    /// The entries that this mutation added to the conflict log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Record>")]
    pub conflicts: Vec<Box<RawValue>>,
    /// Why it was refused (`rejected`), or what it waits for (`held`, `skipped`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Refusal>,
}

open_enum! {
    /// What became of a mutation.
    pub enum OutcomeKind {
        /// It is the record's state now.
        Applied = "applied",
        /// It was merged with the current state.
        Merged = "merged",
        /// The record had this content already.
        Duplicate = "duplicate",
        /// Another state won; it comes with the outcome.
        Superseded = "superseded",
        /// The device must merge with the current record first.
        Stale = "stale",
        /// It waits for its parent; the device sends it again.
        Held = "held",
        /// It is refused for good.
        Rejected = "rejected",
        /// Another mutation of its group, or its parent, was not taken; the device sends it again.
        Skipped = "skipped",
    }
}

/// Why a mutation was refused, or what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Refusal {
    /// The reason, for programs.
    pub code: ProblemCode,
    /// The reason, for people.
    #[schemars(length(min = 1, max = 2048))]
    pub detail: String,
    /// Where in the mutation, as a JSON Pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The mutation that caused this one to be skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<MutationId>,
}
