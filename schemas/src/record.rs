//! The record — one object with an id minted by its device.
//!
//! Chapter: records. Part of pull answers and of push outcomes.

use crate::id::{AttachmentId, RecordId, ReplicaId, Rev, TypeName, Version};
use crate::open_enum::open_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The members of a record that the application defines. Undeclared members are data like any other.
pub type Data = serde_json::Map<String, serde_json::Value>;

/// One accepted state of a record, as the server publishes it.
///
/// `data` stays text: a server splices what it stored into its pages, and a device stores what it got.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its id.
    pub id: RecordId,
    /// This accepted state.
    pub rev: Rev,
    /// How often the record was modified.
    pub version: Version,
    /// When the writer modified it, by the writer's clock, clamped to the server's time plus 5 minutes.
    pub modified_at: Timestamp,
    /// What the writer's clock said, where the server clamped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// When the server accepted it, by the server's clock.
    pub accepted_at: Timestamp,
    /// The replica that wrote it; absent where the server did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// A tombstone, which keeps everything but `data` and `attachments`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// What the record says; absent in a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Data>")]
    pub data: Option<Box<RawValue>>,
    /// The files it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

pub(crate) fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Record {
    /// Its `data` as a tree; empty for a tombstone.
    pub fn data_tree(&self) -> Data {
        self.data.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }
}

/// A file that a record refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attachment {
    /// The hash of its bytes.
    pub id: AttachmentId,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Its media type.
    #[schemars(length(min = 1, max = 255))]
    pub media_type: String,
    /// Whether the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AttachmentState>,
}

open_enum! {
    /// Whether a server has a file.
    pub enum AttachmentState {
        /// A record refers to it, and it has not come yet.
        Awaiting = "awaiting",
        /// It is there, its length and hash checked.
        Stored = "stored",
    }
}
