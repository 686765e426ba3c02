//! The conflict entry — one overridden value, kept for those who may read the record.
//!
//! Chapter: conflicts. It is the `data` of a record of the built-in type `conflict`, whose feed is `conflicts`.

use crate::id::{MutationId, ReplicaId, Rev};
use crate::pull::RecordRef;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The type of conflict entries in the registry.
pub const CONFLICT_TYPE: &str = "conflict";
/// The feed of conflict entries.
pub const CONFLICT_FEED: &str = "conflicts";

/// The `data` of a conflict entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConflictEntry {
    /// The record in which a value was overridden.
    pub record: RecordRef,
    /// Where in `data`, as a JSON Pointer; empty for the whole record.
    pub path: String,
    /// The value on which the loser was made, where the writer of this entry has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<serde_json::Value>,
    /// The overridden value; absent where a delete was overridden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<serde_json::Value>,
    /// The value that stayed; absent where a delete stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<serde_json::Value>,
    /// Who wrote the overridden value.
    pub lost_by: Writer,
    /// Who wrote the value that stayed.
    pub kept_by: Writer,
    /// When it was overridden, by the clock of the writer of this entry.
    pub time: Timestamp,
}

/// Who wrote a value: the replica, and the mutation or the state it came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Writer {
    /// The replica; absent where the server wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// The mutation, where it never became a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation_id: Option<MutationId>,
    /// The state, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<Rev>,
}
