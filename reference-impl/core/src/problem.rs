//! Trouble: a problem before it knows which request it answers.

use fieldsync_schemas::id::{Epoch, FeedName, RequestId};
use fieldsync_schemas::problem::{EpochCause, PassedLimit, Problem, ProblemCode, Retry};

/// Why a request fails, without the request's id, which only the edge knows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Trouble {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem.
    pub code: ProblemCode,
    /// What the device does next.
    pub retry: Retry,
    /// What was wrong, where, and what to do.
    pub detail: String,
    /// How long to wait, in seconds.
    pub retry_after: Option<u64>,
    /// The limit that was passed.
    pub limit: Option<PassedLimit>,
    /// Where in the request, as a JSON Pointer.
    pub pointer: Option<String>,
    /// The feeds that it is about.
    pub feeds: Vec<FeedName>,
    /// The versions that are spoken.
    pub supported: Vec<String>,
    /// The present epoch, and why it is another than the one that was named.
    pub epoch: Option<(Epoch, EpochCause)>,
}

impl Trouble {
    /// A problem of this kind, with the status and the retry that belong to it.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let (status, retry) = status_and_retry(&code);
        Self {
            status,
            code,
            retry,
            detail: detail.into(),
            retry_after: None,
            limit: None,
            pointer: None,
            feeds: Vec::new(),
            supported: Vec::new(),
            epoch: None,
        }
    }

    /// The same, naming the limit that was passed.
    pub fn with_limit(mut self, name: &str, value: u64) -> Self {
        self.limit = Some(PassedLimit { name: name.to_owned(), value });
        self
    }

    /// The same, naming the feeds that it is about.
    pub fn with_feeds(mut self, feeds: Vec<FeedName>) -> Self {
        self.feeds = feeds;
        self
    }

    /// The same, naming the present epoch.
    pub fn with_epoch(mut self, epoch: Epoch, cause: EpochCause) -> Self {
        self.epoch = Some((epoch, cause));
        self
    }

    /// The problem that answers the request of this id.
    pub fn into_problem(self, request_id: RequestId) -> Problem {
        let words = self.code.as_str().replace('-', " ");
        let (epoch, cause) = self.epoch.unzip();
        let title = words[..1].to_uppercase() + &words[1..];
        Problem {
            type_uri: "about:blank".to_owned(),
            title,
            status: self.status,
            detail: self.detail,
            code: self.code,
            retry: self.retry,
            request_id,
            retry_after: self.retry_after,
            supported: self.supported,
            limit: self.limit,
            pointer: self.pointer,
            feeds: self.feeds,
            epoch,
            cause,
        }
    }
}

/// The table of the chapter on errors.
fn status_and_retry(code: &ProblemCode) -> (u16, Retry) {
    use ProblemCode::*;
    match code {
        Malformed => (400, Retry::Never),
        UnsupportedVersion => (400, Retry::Upgrade),
        InvalidCursor => (400, Retry::Resync),
        UnknownFeed => (400, Retry::Resync),
        Unauthenticated => (401, Retry::Login),
        Forbidden => (403, Retry::Never),
        NotFound => (404, Retry::Never),
        MethodNotAllowed => (405, Retry::Never),
        ReplicaFenced => (409, Retry::NewReplica),
        OutcomeExpired => (409, Retry::Resync),
        EpochMismatch => (409, Retry::Resync),
        CursorExpired => (410, Retry::Resync),
        TooLarge | BatchTooLarge => (413, Retry::Split),
        UnsupportedMediaType | UnsupportedEncoding => (415, Retry::Never),
        RateLimited => (429, Retry::After),
        Unavailable => (503, Retry::After),
        Internal => (500, Retry::Same),
        _ => (422, Retry::Never),
    }
}
