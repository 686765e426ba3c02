//! `POST {base}/attachments` and `POST {base}/attachments/complete` — a slot for a file, and the end of its upload.
//!
//! Chapter: attachments. The bytes themselves go by the tus protocol, and come by `GET {base}/attachments/{id}`.

use crate::id::{AttachmentId, TypeName, UploadId};
use crate::open_enum::open_enum;
use crate::record::AttachmentState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `POST {base}/attachments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SlotRequest {
    /// The type of the records that carry the file: its policy says what is taken.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The hash of the file's bytes.
    pub id: AttachmentId,
    /// Its length, in bytes.
    #[schemars(range(max = 9007199254740991u64))]
    pub bytes: u64,
    /// Its media type.
    #[schemars(length(min = 1, max = 255))]
    pub media_type: String,
}

/// The answer to `POST {base}/attachments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SlotAnswer {
    /// The file.
    pub id: AttachmentId,
    /// The server has the file, and nothing is to be uploaded.
    pub have: bool,
    /// Where the file goes; absent where `have` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadOffer>,
    /// Where the file is, for data that name it; absent where `have` is false (capability `link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub url: Option<String>,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UploadOffer {
    /// Names the upload when it is completed.
    pub id: UploadId,
    /// How the bytes travel.
    pub protocol: UploadProtocol,
    /// The upload's URL; resolves against the request's.
    #[schemars(length(min = 1, max = 4096))]
    pub url: String,
    /// The headers that the upload carries, as they are signed (`signed-put`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Until when the upload can be gone on with.
    pub expires_at: Timestamp,
}

open_enum! {
    /// How the bytes of an upload travel.
    pub enum UploadProtocol {
        /// The core of the tus protocol 1.0.0, to the server itself.
        Tus = "tus-1.0",
        /// One `PUT`, to an object storage.
        SignedPut = "signed-put",
    }
}

/// The body of `POST {base}/attachments/complete`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CompleteRequest {
    /// The file.
    pub id: AttachmentId,
    /// The upload that carried its bytes.
    pub upload: UploadId,
}

/// The answer to `POST {base}/attachments/complete`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CompleteAnswer {
    /// The file.
    pub id: AttachmentId,
    /// How the file stands now.
    pub state: AttachmentState,
    /// Where it is, for data that name it (capability `link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub url: Option<String>,
}
