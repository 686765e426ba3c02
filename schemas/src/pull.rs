//! `POST {base}/pull` — every change since the last pull, of all feeds in one call.
//!
//! Chapter: pull.

use crate::id::{Cursor, Epoch, FeedName, RecordId, ReplicaId, SessionTag, TypeName};
use crate::open_enum::open_enum;
use crate::record::Record;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The body of `POST {base}/pull`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PullRequest {
    /// The asking replica.
    pub replica: ReplicaId,
    /// The epoch that the device knows, by its session or the last answer; absent where it knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The greatest number of changes in the whole answer; the server's `page_changes` where absent or above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9007199254740991u64))]
    pub limit: Option<u64>,
    /// The feeds to pull, each with its stored cursor; null to begin. At most the server's `pull_feeds`.
    #[schemars(length(max = 1000))]
    pub feeds: BTreeMap<FeedName, Option<Cursor>>,
}

/// The answer to a pull. All its feeds are read at one snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PullAnswer {
    /// The identity of the data.
    pub epoch: Epoch,
    /// The tag of the caller's session: where it differs from the known one, the session is fetched again.
    pub session: SessionTag,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The feeds that moved, in registry order.
    #[serde(default)]
    pub feeds: Vec<Page>,
    /// Feeds of this principal that the request did not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_feeds: Vec<FeedName>,
}

/// The next changes of one feed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Page {
    /// The feed.
    pub feed: FeedName,
    /// The cursor that this page goes on from, as the request had it. A page that goes on from another cursor than the
    /// stored one is discarded.
    pub from: Option<Cursor>,
    /// The changes, at most one a record, in the order in which they were accepted.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Where the feed now stands.
    pub cursor: Cursor,
    /// Whether there is more after `cursor` already.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub more: bool,
}

/// One change of a feed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Change {
    /// What kind of change.
    pub op: ChangeOp,
    /// The record as it is now (`put`, `tombstone`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Record>")]
    pub record: Option<Box<RawValue>>,
    /// The record that left the scope, or the feed (`remove`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<RecordRef>,
    /// The feed of the record's type in which it is now (`remove`, capability `partitions`); absent where it left the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<FeedName>,
}

open_enum! {
    /// The kind of a change.
    pub enum ChangeOp {
        /// The record is as given.
        Put = "put",
        /// The record was deleted.
        Tombstone = "tombstone",
        /// The record left the principal's scope (capability `scopes`), or moved to another feed (`partitions`).
        Remove = "remove",
    }
}

/// The name of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RecordRef {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its id.
    pub id: RecordId,
}

impl std::fmt::Display for RecordRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.type_name, self.id)
    }
}
