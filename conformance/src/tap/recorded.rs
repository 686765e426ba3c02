//! An exchange that somebody else recorded, as the tap would have seen it.

use super::exchange::{Answer, Body, Caller, Delivered, SeenExchange};
use super::route::Route;
use super::{TapError, TapTrouble};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use std::time::Instant;
use url::Url;

/// What was recorded.
pub struct Recorded {
    /// Who sent the request.
    pub by: String,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// The headers of the request.
    pub request_headers: HeaderMap,
    /// The body of the request, decoded.
    pub request_body: Vec<u8>,
    /// The answer, where there was one: its status, its headers, its body, decoded.
    pub answer: Option<(StatusCode, HeaderMap, Vec<u8>)>,
    /// When the request began.
    pub started: Instant,
    /// When the answer had come.
    pub ended: Instant,
}

impl Recorded {
    /// As the tap would have seen it, in front of the data set with this base URL. What never passed this tap has no
    /// fault of its making.
    pub fn seen(self, base: &Url) -> Result<SeenExchange, TapError> {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let place = Route::to(base)?.place(&format!("{}{query}", self.url.path()));
        let kind = place.kind(&self.method);
        let plain = |bytes: Vec<u8>| Body::plain(Bytes::from(bytes));
        let answer = self.answer.map(|(status, headers, body)| Arc::new(Answer { status, headers, body: plain(body) }));
        let trouble = answer.is_none().then(|| TapTrouble::Broken("there is no answer in the recording".to_owned()));
        Ok(SeenExchange {
            by: self.by,
            caller: Caller::Device,
            kind,
            method: self.method,
            path: place.path,
            below_base: place.below_base,
            request_headers: self.request_headers,
            request_body: plain(self.request_body),
            delivered: answer.clone().map_or(Delivered::Closed, Delivered::Whole),
            upstream: answer,
            fault: None,
            trouble,
            copy: false,
            started: self.started,
            ended: Some(self.ended),
            examined: None,
        })
    }
}
