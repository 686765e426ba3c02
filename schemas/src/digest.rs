//! `POST {base}/digest` and `POST {base}/bucket` — whether a device holds what the server has, and what it lacks.
//!
//! Chapter: digest.

use crate::id::{BucketHash, BucketName, Cursor, Epoch, FeedName, RecordId, ReplicaId, SessionTag};
use crate::record::Record;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The body of `POST {base}/digest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DigestRequest {
    /// The asking replica.
    pub replica: ReplicaId,
    /// The epoch that the device knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The feeds to compare, each with the stored cursor.
    #[schemars(length(max = 1000))]
    pub feeds: BTreeMap<FeedName, Cursor>,
}

/// The answer to a digest request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DigestAnswer {
    /// The identity of the data.
    pub epoch: Epoch,
    /// The tag of the caller's session.
    pub session: SessionTag,
    /// The feeds that have nothing after their cursor, in registry order.
    #[serde(default)]
    pub feeds: Vec<FeedDigest>,
}

/// What a feed has, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FeedDigest {
    /// The feed.
    pub feed: FeedName,
    /// The cursor, as the request had it.
    pub from: Cursor,
    /// The buckets that are not all zeros, by the first byte of the SHA-256 of their records' ids.
    #[serde(default)]
    pub buckets: BTreeMap<BucketName, BucketHash>,
}

/// The body of `POST {base}/bucket`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BucketRequest {
    /// The asking replica.
    pub replica: ReplicaId,
    /// The epoch that the device knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The feed.
    pub feed: FeedName,
    /// The bucket.
    pub bucket: BucketName,
    /// The last id of the part before; absent for the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RecordId>,
    /// The greatest number of records in the answer; the server's `page_changes` where absent or above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9007199254740991u64))]
    pub limit: Option<u64>,
}

/// A part of a bucket.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BucketAnswer {
    /// The identity of the data.
    pub epoch: Epoch,
    /// The tag of the caller's session.
    pub session: SessionTag,
    /// The feed.
    pub feed: FeedName,
    /// The bucket.
    pub bucket: BucketName,
    /// Its live records after `after`, in the order of their ids as ASCII.
    #[serde(default)]
    #[schemars(with = "Vec<Record>")]
    pub records: Vec<Box<RawValue>>,
    /// Whether the bucket has more after the last of them.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub more: bool,
}
