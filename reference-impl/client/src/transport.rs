//! The one place that sends a request. What is not a whole answer is no answer.

use async_trait::async_trait;
use bytes::Bytes;
use fieldsync_core::device::{Answer, Call, Transfer};
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue,
    RANGE, RETRY_AFTER,
};
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use url::Url;

/// The most bytes that a device reads of one answer, decompressed.
pub const LONGEST_ANSWER: usize = 64 << 20;

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: &str = "1.0.0";
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing} failed: {reason}")]
pub struct NetworkFailure {
    /// What was being done.
    pub doing: String,
    /// What went wrong.
    pub reason: String,
}

/// The bytes of a file, as they go or come.
pub type FileBytes = BoxStream<'static, io::Result<Bytes>>;

/// Sends calls.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a call and reads the whole answer.
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure>;

    /// Sends a call that carries a whole file. One that cannot send it as it is read holds all of it meanwhile.
    async fn send_file(&self, mut call: Call, mut file: FileBytes) -> Result<Answer, NetworkFailure> {
        let unread =
            |error: io::Error| NetworkFailure { doing: "reading a file".to_owned(), reason: error.to_string() };
        while let Some(piece) = file.try_next().await.map_err(unread)? {
            call.bytes.extend_from_slice(&piece);
        }
        self.send(call).await
    }

    /// Sends a call for a file; where there is one, its bytes come as they are read. One that cannot hand them on so holds
    /// all of them meanwhile.
    async fn fetch(&self, call: Call) -> Result<(Answer, FileBytes), NetworkFailure> {
        let mut answer = self.send(call).await?;
        let bytes = if has_file(answer.status) { std::mem::take(&mut answer.body) } else { Vec::new() };
        Ok((answer, stream::iter([Ok(Bytes::from(bytes))]).boxed()))
    }
}

/// Whether the body of such an answer to a download is the file, or a part of it.
fn has_file(status: u16) -> bool {
    matches!(status, 200 | 206)
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

    /// An upload's URL resolves against the base URL. What goes to another server is a file, and nothing else.
    fn url(&self, call: &Call) -> Result<Url, String> {
        let base = &self.base_url;
        let url = match call.transfer {
            Some(Transfer::Put { .. }) => {
                let url = base.join(&call.path).map_err(|error| format!("{:?} is no URL: {error}", call.path))?;
                return matches!(url.scheme(), "http" | "https")
                    .then_some(url)
                    .ok_or_else(|| "it is no web URL".into());
            }
            Some(Transfer::Ask | Transfer::Append { .. }) => {
                base.join(&call.path).map_err(|error| format!("{:?} is no URL: {error}", call.path))?
            }
            _ => {
                let mut url = base.clone();
                url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), call.path));
                url
            }
        };
        let is_the_servers = url.origin() == base.origin();
        is_the_servers.then_some(url).ok_or_else(|| "the URL leads to another server".to_owned())
    }

    /// The request that a call is, or why it is none.
    pub fn request(&self, call: &Call) -> Result<reqwest::RequestBuilder, String> {
        let url = self.url(call)?;
        let mut request = match (&call.transfer, &call.body) {
            (Some(Transfer::Ask), _) => self.http.head(url).header(TUS_RESUMABLE, TUS_VERSION),
            (Some(Transfer::Append { offset, .. }), _) => self
                .http
                .patch(url)
                .header(TUS_RESUMABLE, TUS_VERSION)
                .header(UPLOAD_OFFSET, *offset)
                .header(CONTENT_TYPE, "application/offset+octet-stream")
                .body(call.bytes.clone()),
            (Some(Transfer::Put { headers, .. }), _) => {
                let put = self.http.put(url).body(call.bytes.clone());
                headers.iter().fold(put, |put, (name, value)| put.header(name, value))
            }
            // As it is, so that its bytes are counted as the server counts them.
            (Some(Transfer::Rest { first: 0 }), _) => self.http.get(url).header(ACCEPT_ENCODING, "identity"),
            (Some(Transfer::Rest { first }), _) => {
                self.http.get(url).header(ACCEPT_ENCODING, "identity").header(RANGE, format!("bytes={first}-"))
            }
            (_, Some(body)) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.clone()),
            (_, None) => self.http.get(url),
        };
        if let Some(token) = &call.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(Transfer::Put { .. }) = call.transfer {
            return Ok(request);
        }
        let accepted = match call.transfer {
            Some(Transfer::Rest { .. }) => "*/*",
            _ => "application/json, application/problem+json",
        };
        Ok(request.header(VERSION_HEADER, PROTOCOL_VERSION).header(ACCEPT, accepted))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let request = self.request(&call).map(|request| request.timeout(self.timeout));
        let (answer, response) = begun(&call, request).await?;
        whole(&call, answer, response).await
    }

    async fn send_file(&self, call: Call, file: FileBytes) -> Result<Answer, NetworkFailure> {
        let length = match call.transfer {
            Some(Transfer::Put { bytes, .. }) => bytes,
            _ => 0,
        };
        // How long it takes depends on the file: only one that stands still is given up.
        let (file, stands_still) = watched(file, self.timeout);
        let body = reqwest::Body::wrap_stream(file);
        let request = self.request(&call).map(|request| request.header(CONTENT_LENGTH, length).body(body));
        let sent = async {
            let (answer, response) = begun(&call, request).await?;
            whole(&call, answer, response).await
        };
        tokio::select! {
            answer = sent => answer,
            () = stands_still => Err(failed(&call, format!("nothing moved for {:?}", self.timeout))),
        }
    }

    async fn fetch(&self, call: Call) -> Result<(Answer, FileBytes), NetworkFailure> {
        let timeout = self.timeout;
        let late = || format!("nothing came for {timeout:?}");
        let (answer, response) = tokio::time::timeout(timeout, begun(&call, self.request(&call)))
            .await
            .unwrap_or_else(|_| Err(failed(&call, late())))?;
        if !has_file(answer.status) {
            return Ok((whole(&call, answer, response).await?, stream::empty().boxed()));
        }
        let bytes = stream::try_unfold(response, move |mut response| async move {
            let piece = tokio::time::timeout(timeout, response.chunk()).await;
            let piece =
                piece.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {timeout:?}")))?;
            let piece = piece.map_err(|error| io::Error::other(in_full(&error.without_url())))?;
            Ok(piece.map(|piece| (piece, response)))
        });
        Ok((answer, bytes.boxed()))
    }
}

/// A file as it is read, and what ends once nothing was read of it for so long. Once all was, the answer has as long again.
fn watched(file: FileBytes, timeout: Duration) -> (FileBytes, impl Future<Output = ()>) {
    let (read, mut reads) = watch::channel(());
    let file = file.inspect(move |_| read.send_replace(())).boxed();
    let stands_still = async move {
        while let Ok(moved) = tokio::time::timeout(timeout, reads.changed()).await {
            if moved.is_err() {
                return tokio::time::sleep(timeout).await;
            }
        }
    };
    (file, stands_still)
}

fn failed(call: &Call, reason: String) -> NetworkFailure {
    // Whoever has a signed URL may write; it stands in no log.
    let path = call.path.split('?').next().unwrap_or_default();
    NetworkFailure { doing: format!("{} {path}", method(call)), reason }
}

fn told(call: &Call, error: reqwest::Error) -> NetworkFailure {
    failed(call, in_full(&error.without_url()))
}

/// Sends a request, and reads the head of the answer.
async fn begun(
    call: &Call,
    request: Result<reqwest::RequestBuilder, String>,
) -> Result<(Answer, reqwest::Response), NetworkFailure> {
    let response = request.map_err(|reason| failed(call, reason))?.send().await.map_err(|error| told(call, error))?;
    Ok((head(&response), response))
}

/// What a response says before its body.
fn head(response: &reqwest::Response) -> Answer {
    let header = |name: HeaderName| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let media_type = header(CONTENT_TYPE).map(|text| text.split(';').next().unwrap_or("").trim().to_owned());
    let retry_after = header(RETRY_AFTER).map(|text| text.trim().parse().unwrap_or(u64::MAX));
    let upload_offset = header(UPLOAD_OFFSET).and_then(|text| text.parse().ok());
    let range_start =
        header(CONTENT_RANGE).and_then(|text| text.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    let head = Answer::new(response.status().as_u16(), media_type, Vec::new());
    Answer { retry_after, upload_offset, range_start, ..head }
}

/// Reads the whole of a response to a call.
pub async fn answer(call: &Call, response: reqwest::Response) -> Result<Answer, NetworkFailure> {
    whole(call, head(&response), response).await
}

/// Reads the rest of an answer.
async fn whole(call: &Call, mut answer: Answer, mut response: reqwest::Response) -> Result<Answer, NetworkFailure> {
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(answer),
            // Half a page is no message, but that the server failed is known.
            Err(_) if answer.status >= 400 => return Ok(Answer { media_type: None, ..answer }),
            Err(error) => return Err(told(call, error)),
        };
        if answer.body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(failed(call, format!("the answer is longer than {LONGEST_ANSWER} bytes")));
        }
        answer.body.extend_from_slice(&chunk);
    }
}

fn method(call: &Call) -> &'static str {
    match call.transfer {
        Some(Transfer::Ask) => "HEAD",
        Some(Transfer::Append { .. }) => "PATCH",
        Some(Transfer::Put { .. }) => "PUT",
        _ if call.body.is_some() => "POST",
        _ => "GET",
    }
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
