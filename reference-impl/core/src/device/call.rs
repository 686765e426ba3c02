//! Calls and answers: what a device asks a server, and what counts as an answer.
//!
//! Chapter: device. A captive portal's page, half a body or a redirect is no answer, and changes nothing.

use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::problem::{PROBLEM_MEDIA_TYPE, Problem};
use fieldsync_schemas::record::Attachment;
use fieldsync_schemas::scenario::CallKind;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A request to send.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What it asks.
    pub kind: CallKind,
    /// What follows the base URL; for an upload, what resolves against it, or leads to an object storage.
    pub path: Cow<'static, str>,
    /// The body, JSON; none for a GET.
    pub body: Option<String>,
    /// The access token.
    pub token: Option<String>,
    /// The file that it is about; the edge has the bytes.
    pub transfer: Option<Transfer>,
    /// The bytes that it carries, once the edge has put them in.
    pub bytes: Vec<u8>,
}

/// What a call does with a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Transfer {
    /// Asks how much of it is there.
    Ask,
    /// Sends bytes of it from this offset on.
    Append {
        /// The file.
        id: AttachmentId,
        /// Where to begin.
        offset: u64,
        /// The most bytes.
        most: u64,
    },
    /// Puts it, whole, into an object storage, at the URL that the path is.
    Put {
        /// The file.
        id: AttachmentId,
        /// Its length.
        bytes: u64,
        /// The headers that are signed.
        headers: BTreeMap<String, String>,
    },
    /// Fetches what is missing of it; the edge knows what that is.
    Fetch(Attachment),
    /// Fetches it from this byte on.
    Rest {
        /// The first byte.
        first: u64,
    },
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secret = matches!(self.kind, CallKind::Login | CallKind::Refresh);
        let body = self.body.as_deref().map(|body| if secret { "hidden" } else { body });
        f.debug_struct("Call").field("kind", &self.kind).field("body", &body).finish_non_exhaustive()
    }
}

/// What came back, decompressed and whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, without parameters.
    pub media_type: Option<String>,
    /// The header `Retry-After`, in seconds; a date is longer than any wait.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
    /// The header `Upload-Offset`.
    pub upload_offset: Option<u64>,
    /// Where the range begins that the body is, by the header `Content-Range`.
    pub range_start: Option<u64>,
    /// Whether the file that was fetched is whole and what its id says; nothing, where none came.
    pub fetched: Option<bool>,
}

impl Answer {
    /// An answer without anything about files.
    pub fn new(status: u16, media_type: Option<String>, body: Vec<u8>) -> Self {
        Self { status, media_type, retry_after: None, body, upload_offset: None, range_start: None, fetched: None }
    }
}

/// How an answer reads.
#[derive(Debug)]
pub(super) enum Reading<T> {
    /// The message that was asked for.
    Message(T),
    /// A problem.
    Problem(Box<Problem>),
    /// The server, or something before it, failed without saying why.
    Failed,
    /// No answer of a Fieldsync server.
    Foreign(String),
}

/// Reads an answer as the message that was asked for.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Reading<T> {
    let media_type = answer.media_type.as_deref().map(str::to_ascii_lowercase);
    match answer.status {
        200..=299 if media_type.as_deref() == Some("application/json") => match serde_json::from_slice(&answer.body) {
            Ok(message) => Reading::Message(message),
            Err(error) => Reading::Foreign(format!("the answer is not the message that was asked for: {error}")),
        },
        400..=599 if media_type.as_deref() == Some(PROBLEM_MEDIA_TYPE) => match serde_json::from_slice(&answer.body) {
            Ok(problem) => Reading::Problem(problem),
            Err(_) if answer.status >= 500 => Reading::Failed,
            Err(error) => Reading::Foreign(format!("the problem cannot be read: {error}")),
        },
        500..=599 => Reading::Failed,
        status => {
            Reading::Foreign(format!("status {status} with media type {}", media_type.as_deref().unwrap_or("none")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldsync_schemas::discovery::WellKnown;

    fn reading(status: u16, media_type: &str, body: &str) -> Reading<WellKnown> {
        let media_type = Some(media_type.to_owned());
        read(&Answer::new(status, media_type, body.as_bytes().to_vec()))
    }

    #[test]
    fn only_a_message_of_the_right_media_type_is_an_answer() {
        assert!(matches!(reading(200, "application/json", r#"{"base":"/"}"#), Reading::Message(_)));
        assert!(matches!(reading(200, "text/html", r#"{"base":"/"}"#), Reading::Foreign(_)));
        assert!(matches!(reading(200, "application/json", r#"{"base":"#), Reading::Foreign(_)));
        assert!(matches!(reading(200, "application/json", "{}"), Reading::Foreign(_)));
        assert!(matches!(reading(302, "application/json", r#"{"base":"/"}"#), Reading::Foreign(_)));
        assert!(matches!(reading(404, "text/html", "gone"), Reading::Foreign(_)));
        assert!(matches!(reading(502, "text/html", "<h1>"), Reading::Failed));
    }
}
