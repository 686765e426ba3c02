//! The problem — what every failed request is answered with (RFC 9457, `application/problem+json`).
//!
//! Chapter: errors.

use crate::id::{Epoch, FeedName, RequestId};
use crate::open_enum::open_enum;
use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed, and what to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` where the code says enough.
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: String,
    /// The kind of problem in a few words.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// What was wrong, where, and what to do.
    #[schemars(length(min = 1, max = 2048))]
    pub detail: String,
    /// The kind of problem, for programs. A device that does not know it goes by `retry`.
    pub code: ProblemCode,
    /// What the device does next.
    pub retry: Retry,
    /// The request that failed.
    pub request_id: RequestId,
    /// How long to wait, in whole seconds (`retry: after`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The protocol versions that the server speaks (`unsupported-version`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported: Vec<String>,
    /// The limit that was passed, by its name in the session, and its value (`too-large` and the like).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PassedLimit>,
    /// Where in the request, as a JSON Pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The feeds whose cursors were refused (`invalid-cursor`, `cursor-expired`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<FeedName>,
    /// The identity of the data now (`epoch-mismatch`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Why the epoch changed (`epoch-mismatch`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EpochCause>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// A limit that a request passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PassedLimit {
    /// Its name in the session's `limits`.
    pub name: String,
    /// Its value.
    pub value: u64,
}

open_enum! {
    /// What a device does after a problem.
    pub enum Retry {
        /// Nothing: the same request fails again.
        Never = "never",
        /// Send the same request again, with backoff.
        Same = "same",
        /// Send the same request again, not before `retry_after`.
        After = "after",
        /// Get a new access token, then send the same request again.
        Login = "login",
        /// Pull, merge, then push what came of it.
        Rebase = "rebase",
        /// Pull the named feeds, or all, from null.
        Resync = "resync",
        /// Send the batch in halves, as a new replica.
        Split = "split",
        /// Take a new replica id, keep store and outbox, and send again.
        NewReplica = "new-replica",
        /// The software must be renewed first.
        Upgrade = "upgrade",
    }
}

open_enum! {
    /// The kind of a problem or of a refusal.
    pub enum ProblemCode {
        /// The request is no valid message.
        Malformed = "malformed",
        /// The protocol version is not spoken here.
        UnsupportedVersion = "unsupported-version",
        /// The body's media type is not `application/json`.
        UnsupportedMediaType = "unsupported-media-type",
        /// The body's coding is not announced.
        UnsupportedEncoding = "unsupported-encoding",
        /// There is no such path.
        NotFound = "not-found",
        /// The path exists, but not with this method.
        MethodNotAllowed = "method-not-allowed",
        /// There is no valid access token, or user and password do not match.
        Unauthenticated = "unauthenticated",
        /// The role does not allow it, or the principal has no grant.
        Forbidden = "forbidden",
        /// The body is above `body_bytes`.
        TooLarge = "too-large",
        /// The batch is above `batch_mutations`.
        BatchTooLarge = "batch-too-large",
        /// Too many requests.
        RateLimited = "rate-limited",
        /// The server cannot serve now.
        Unavailable = "unavailable",
        /// The server failed.
        Internal = "internal",
        /// The replica is known with another batch, or is not where it says.
        ReplicaFenced = "replica-fenced",
        /// The answer to an earlier batch is no longer known.
        OutcomeExpired = "outcome-expired",
        /// The epoch is another.
        EpochMismatch = "epoch-mismatch",
        /// The cursor is not one of this feed, principal and epoch.
        InvalidCursor = "invalid-cursor",
        /// A tombstone after the cursor was purged.
        CursorExpired = "cursor-expired",
        /// There is no such feed.
        UnknownFeed = "unknown-feed",

        /// The type's records do not carry such a file: its media type or its length is not taken.
        AttachmentRefused = "attachment-refused",
        /// The upload is not at the offset that the request names.
        OffsetMismatch = "offset-mismatch",
        /// The upload lacks bytes.
        UploadIncomplete = "upload-incomplete",
        /// The bytes that came are not those of the attachment id.
        AttachmentMismatch = "attachment-mismatch",
        /// The file has no such bytes.
        RangeNotSatisfiable = "range-not-satisfiable",
        /// There is no such upload, or it has expired: ask for another slot.
        UploadGone = "upload-gone",
        /// The record does not carry the file, the file has not come, or the URL is not the file's.
        LinkRefused = "link-refused",
        /// The version of the tus protocol is not spoken here.
        UnsupportedTusVersion = "unsupported-tus-version",

        /// There is no such type.
        UnknownType = "unknown-type",
        /// An update or a delete of a record that the server never had.
        UnknownRecord = "unknown-record",
        /// Records of this type are the server's alone.
        ReadOnlyType = "read-only-type",
        /// Records of this type are never changed.
        AppendOnly = "append-only",
        /// The mutation id was used with other content.
        MutationIdReused = "mutation-id-reused",
        /// The batch has two mutations of one record.
        RecordTwice = "record-twice",
        /// The version is not above the base's, or too far above the current one.
        InvalidVersion = "invalid-version",
        /// A number is not held exactly by a double.
        NumberRange = "number-range",
        /// An object has one member name twice.
        DuplicateMember = "duplicate-member",
        /// `data` is above `record_bytes`.
        RecordTooLarge = "record-too-large",
        /// A string is above `string_bytes`.
        StringTooLong = "string-too-long",
        /// `data` is nested deeper than `nesting`.
        TooDeep = "too-deep",
        /// The mutation needs a capability that the server does not claim.
        UnsupportedCapability = "unsupported-capability",
        /// The record has live children.
        HasChildren = "has-children",
        /// The record's parent is unknown or deleted.
        MissingParent = "missing-parent",
        /// A member of the group, or the parent, was not taken.
        DependencyFailed = "dependency-failed",
        /// The member was set by the create, and is never changed.
        ImmutableField = "immutable-field",
        /// The record would be where the principal sees nothing, or is there already.
        OutOfScope = "out-of-scope",
    }
}

open_enum! {
    /// Why an epoch changed.
    pub enum EpochCause {
        /// A backup was restored: acknowledged work that it lacks is sent again.
        Restored = "restored",
        /// The data was wiped on purpose.
        Wiped = "wiped",
    }
}
