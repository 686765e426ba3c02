//! What happens on the way between a device and the server.

use super::{Alias, DeviceName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The kinds of request that a device sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// `GET {base}`.
    Discovery,
    /// `POST {base}/login`.
    Login,
    /// `POST {base}/refresh`.
    Refresh,
    /// `GET {base}/session`.
    Session,
    /// `POST {base}/push`.
    Push,
    /// `POST {base}/pull`.
    Pull,
    /// `POST {base}/digest`.
    Digest,
    /// `POST {base}/bucket`.
    Bucket,
    /// `POST {base}/attachments`.
    Slot,
    /// `HEAD` of an upload's URL.
    Offset,
    /// `PATCH` of an upload's URL.
    Upload,
    /// `PUT` of a file into the object storage.
    Store,
    /// `POST {base}/attachments/complete`.
    Complete,
    /// `GET {base}/attachments/{id}`.
    Download,
    /// Anything.
    Any,
}

/// Something that happens to the requests of one device until the sync it hits has ended. Exactly one fault is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkStep {
    /// The device.
    pub of: DeviceName,
    /// The connection is lost, at the place that `at` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<CallKind>,
    /// The device's process ends without warning, at the place that `at` names, and the connection with it. One request
    /// is struck. The next step of the device but `sync: ends` is `restart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<CallKind>,
    /// The request or the answer waits until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<CallKind>,
    /// The request reaches the server twice at the same time; the device gets one of the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<CallKind>,
    /// The device gets the answer to its request before, once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<CallKind>,
    /// The server never sees the request; the device gets `reply` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CallKind>,
    /// The answer is changed on its way, as `change` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alter: Option<CallKind>,
    /// Where a drop, a kill or a hold strikes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<FaultPlace>,
    /// How much of the body comes before `mid_answer` or `mid_request` strikes, in bytes, at most all but the last;
    /// counted from the end where it is negative; half of the body where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// How long after the whole answer a kill at `answer` strikes; at once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The answer to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<CannedReply>,
    /// The change to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<AnswerChange>,
    /// Strikes only requests that speak of this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Alias>,
    /// Lets this many matching requests through first.
    #[serde(default)]
    pub after: u64,
    /// Strikes at most this many requests; every one of the sync where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// Where a drop, a kill or a hold strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultPlace {
    /// The server sees nothing.
    BeforeSend,
    /// The server sees half of the request, or so many `bytes` of its body.
    MidRequest,
    /// The server has answered in full; the device gets nothing.
    AfterAnswer,
    /// The device gets half of the answer, or so many `bytes` of its body.
    MidAnswer,
    /// Before the request goes on to the server (`hold`).
    Request,
    /// Before the answer goes back to the device (`hold`), or when the device has got all of it (`kill`).
    Answer,
}

/// An answer that does not come from the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CannedReply {
    /// The HTTP status; 200 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A text body, as HTML unless `headers` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A change to an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerChange {
    /// Sets members of the JSON body, by JSON Pointer; null removes.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Turns the order of the array at this JSON Pointer round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<String>,
    /// Another media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Sends the body as gzip, cut in the middle, with a length that fits.
    #[serde(default)]
    pub cut_gzip: bool,
}
