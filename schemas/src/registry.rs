//! The registry — what a data set's records are, and what happens to them, as data.
//!
//! Chapter: registry. Part of the session.

use crate::id::{Capability, FeedName, TypeName};
use crate::open_enum::open_enum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The types of a data set, in topological order: a type stands after every type it depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Registry {
    /// The types, parents first.
    #[schemars(length(max = 500))]
    pub types: Vec<TypeEntry>,
    /// Sets of types that may refer to one another in a circle, within one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cycles: Vec<Vec<TypeName>>,
    /// The places at which records are, for the scopes of principals (capability `scopes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Locations>,
}

/// The reference type whose records are places, each within another or at the top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Locations {
    /// The type, whose class is `reference`.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The member of `data` that holds the id of the place around it; absent in a place at the top.
    #[schemars(length(min = 1, max = 256))]
    pub within: String,
}

impl Registry {
    /// The entry of a type.
    pub fn entry(&self, name: &TypeName) -> Option<&TypeEntry> {
        self.types.iter().find(|entry| entry.name == *name)
    }

    /// Whether records of a type refer to others, or others to them.
    pub fn has_kin(&self, entry: &TypeEntry) -> bool {
        let is_parent = |other: &TypeEntry| other.parents.iter().any(|parent| parent.type_name == entry.name);
        !entry.parents.is_empty() || self.types.iter().any(is_parent)
    }
}

open_enum! {
    /// The one set of rules under which a data set merges and syncs.
    pub enum Profile {
        /// Whole records; the highest version wins.
        VersionWins = "version-wins",
        /// Three-way merge of fields against a snapshot.
        FieldMerge = "field-merge",
        /// An ordered queue of whole records; the last arrival wins.
        EntityQueue = "entity-queue",
    }
}

/// One type of record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TypeEntry {
    /// Its name, unique in the registry.
    pub name: TypeName,
    /// Who writes its records.
    pub class: TypeClass,
    /// The feed that carries its changes; the name of the type where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedName>,
    /// The member of `data` by whose value the feed is split, as `feed/value` (capability `partitions`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// What its records refer to (capability `parents`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// The member of `data` that holds the id of the place at which a record is, which decides who sees it (capability
    /// `scopes`). Records of a type without it are seen by everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub location: Option<String>,
    /// What happens when two writers meet.
    pub merge: MergeRules,
    /// Whether a record with live children can be deleted.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// For how many days a tombstone is kept at least; for ever where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36500))]
    pub tombstone_days: Option<u32>,
    /// What its records may carry as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<AttachmentPolicy>,
    /// What a device must know to sync this type at all. A device that lacks one leaves the type out and reports it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Capability>,
}

impl TypeEntry {
    /// The feed of this type, without its partition.
    pub fn feed_name(&self) -> FeedName {
        self.feed.clone().unwrap_or_else(|| FeedName::new(self.name.as_str()).expect("every type name is a feed name"))
    }

    /// Whether a feed is the one of this type, without its partition.
    pub fn is_whole_feed(&self, feed: &str) -> bool {
        self.feed.as_ref().map_or(self.name.as_str(), FeedName::as_str) == feed
    }
}

open_enum! {
    /// Who writes the records of a type.
    pub enum TypeClass {
        /// The server alone; never pushed.
        Reference = "reference",
        /// Devices and the server.
        Transactional = "transactional",
        /// Devices, by creating; never changed.
        Append = "append",
    }
}

/// A reference of one type's records to another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Parent {
    /// The type referred to.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The member of `data` that holds the parent's id.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// What happens to a record whose parent the server lacks.
    #[serde(default)]
    pub on_missing: OnMissing,
}

/// What happens to a record whose parent the server lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// It is answered `held`, and the device sends it again.
    #[default]
    Hold,
    /// It is rejected.
    Reject,
}

/// What happens when a record with live children is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDelete {
    /// The delete is rejected with `has-children`.
    #[default]
    Reject,
    /// The children are deleted with it.
    Cascade,
}

/// What happens when two writers meet in one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MergeRules {
    /// The policy.
    pub policy: MergePolicy,
    /// Who wins when one side deletes and the other edits; `version-wins` ranks a delete like an edit instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<DeleteRule>,
    /// Rules for single members of `data`, by JSON Pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldRule>,
    /// What a push onto an old base gets under `field-merge` (`merge` is the capability `on-stale-merge`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stale: Option<OnStale>,
}

open_enum! {
    /// How two writers of one record are brought together.
    pub enum MergePolicy {
        /// The higher version; then the later `modified_at`; then the greater replica id.
        VersionWins = "version-wins",
        /// Three-way, member by member, against the base.
        FieldMerge = "field-merge",
        /// The last accepted write replaces.
        ArrivalWins = "arrival-wins",
        /// Records are created and never changed.
        AppendOnly = "append-only",
        /// Only the server writes.
        ServerOnly = "server-only",
    }
}

/// Who wins when one side deletes and the other edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteRule {
    /// The record stays deleted and the edit is logged whole.
    DeleteWins,
    /// The editor pushes the whole record on the tombstone's rev.
    EditWins,
}

/// What a push onto an old base gets under `field-merge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStale {
    /// `stale`, with the current record; the device merges.
    Reject,
    /// The server merges and answers `merged`.
    Merge,
}

/// The rule for one member of `data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldRule {
    /// The rule.
    pub rule: FieldRuleKind,
    /// The member of a list's items that is the item's id (`keyed-set`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The members from which the server computes this one, as JSON Pointers (`derived`, capability `derived-fields`).
    /// They and this one stand at the top of the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// What the server computes (`derived`), or the sequence that it draws from (`server-set`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ServerValue>,
}

/// What the server computes from the first of a member's inputs, or draws from a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServerValue {
    /// The first of these that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choose: Vec<Choice>,
    /// The value where none fits; the member is absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<serde_json::Value>,
    /// Each record that is made gets the next number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// Numbers that are given to the records of a type, each to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sequence {
    /// What stands before the number.
    #[schemars(length(max = 64))]
    pub prefix: String,
}

/// A value for numbers from this one on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Choice {
    /// The least number that it fits.
    pub at_least: f64,
    /// The value.
    pub is: serde_json::Value,
}

open_enum! {
    /// The rule for one member of `data`.
    pub enum FieldRuleKind {
        /// Of two different changes the server's stays.
        ServerWins = "server-wins",
        /// Of two different changes the device's stays.
        ClientWins = "client-wins",
        /// Set once, by the create.
        Immutable = "immutable",
        /// The server's alone: pushed values are ignored.
        ServerSet = "server-set",
        /// A list whose items are matched by an id.
        KeyedSet = "keyed-set",
        /// The greater number stays.
        Max = "max",
        /// The smaller number stays.
        Min = "min",
        /// Computed by the server when its inputs change.
        Derived = "derived",
    }
}

/// What the records of a type may carry as files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttachmentPolicy {
    /// Whether the record or its files go up first.
    pub order: AttachmentOrder,
    /// What the record holds.
    pub link: AttachmentLink,
    /// How the bytes of its files go up.
    #[serde(default, skip_serializing_if = "AttachmentUpload::is_proxied")]
    pub upload: AttachmentUpload,
    /// The greatest length of one file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// The media types that are taken; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<String>,
}

/// Whether a record or its files go up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentOrder {
    /// The record, then its files.
    RecordFirst,
    /// The files, then the record.
    MediaFirst,
}

/// How the bytes of files go up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentUpload {
    /// Through the server, resumably.
    #[default]
    Proxied,
    /// Straight into the object storage, by a URL that the server signs (capability `attachments-direct`).
    Direct,
}

impl AttachmentUpload {
    fn is_proxied(&self) -> bool {
        *self == Self::Proxied
    }
}

/// What the data of a record hold of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentLink {
    /// The attachment's id.
    Id,
    /// The URL under which the file is, which a `link` mutation writes in the place of the id (capability `link`).
    Url,
}
