//! The one place that sends a request. What is not a whole answer is no answer.

use async_trait::async_trait;
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use std::time::Duration;
use url::Url;

/// The most bytes that a device reads of one answer, decompressed.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing} failed: {reason}")]
pub struct NetworkFailure {
    /// What was being done.
    pub doing: String,
    /// What went wrong.
    pub reason: String,
}

/// Sends calls.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a call and reads the whole answer.
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure>;
}

/// Sends calls over HTTP.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    http: reqwest::Client,
    base_url: Url,
    timeout: Duration,
}

/// A client as a device needs it: it follows no redirects and reads compressed answers.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).gzip(true).build()
}

impl HttpTransport {
    /// To the data set under this base URL. `http` must not follow redirects; [`http_client`] makes such a one.
    pub fn new(http: reqwest::Client, base_url: Url, timeout: Duration) -> Self {
        Self { http, base_url, timeout }
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{}", self.base_url.path().trim_end_matches('/'), call.path));
        let mut request = match &call.body {
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.clone()),
            None => self.http.get(url),
        };
        if let Some(token) = &call.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request
            .header(VERSION_HEADER, PROTOCOL_VERSION)
            .header(ACCEPT, "application/json, application/problem+json")
            .timeout(self.timeout)
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let failed = |reason: String| NetworkFailure { doing: format!("{} {}", method(&call), call.path), reason };
        let told = |error: reqwest::Error| failed(in_full(&error.without_url()));
        let mut response = self.request(&call).send().await.map_err(told)?;
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let mut media_type = header(CONTENT_TYPE).map(|text| text.split(';').next().unwrap_or("").trim().to_owned());
        let retry_after = header(RETRY_AFTER).map(|text| text.trim().parse().unwrap_or(u64::MAX));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // Half a page is no message, but that the server failed is known.
                Err(_) if status >= 400 => {
                    media_type = None;
                    break;
                }
                Err(error) => return Err(told(error)),
            };
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(failed(format!("the answer is longer than {LONGEST_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, media_type, retry_after, body })
    }
}

fn method(call: &Call) -> &'static str {
    if call.body.is_some() { "POST" } else { "GET" }
}

/// An error with all its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
