//! One request and its answer, and what an answer is that no Fieldsync server gives.

use super::{Barred, Findings, Part, Visit};
use crate::subject::server::bounded;
use fieldsync_schemas::problem::Problem;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use std::time::Duration;
use url::Url;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, and follows no redirect.
pub(super) struct Asker(reqwest::Client);

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Asker {
    pub(super) fn new(visit: &Visit, found: &mut Findings) -> Result<Self, Barred> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(visit.headers.clone())
            .timeout(PATIENCE)
            .no_proxy();
        if let Some(pem) = &visit.ca_cert {
            match reqwest::Certificate::from_pem(pem) {
                Ok(certificate) => builder = builder.add_root_certificate(certificate),
                Err(error) => return Err(found.problem(Part::Tls, error.to_string(), "name a PEM file")),
            }
        }
        builder.build().map(Self).map_err(|error| {
            found.problem(Part::Server, format!("no HTTP client can be made: {}", chain(&error)), "check --ca-cert")
        })
    }

    /// `GET`, with a token where there is one.
    pub(super) async fn get(&self, url: &Url, token: Option<&str>) -> Result<Answer, String> {
        let mut request = self.0.get(url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        read(request).await
    }

    /// `POST` of a message.
    pub(super) async fn post(&self, url: &Url, body: &impl Serialize) -> Result<Answer, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        read(self.0.post(url.clone()).header(header::CONTENT_TYPE, "application/json").body(body)).await
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.0
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let answer = request.header(VERSION_HEADER, PROTOCOL_VERSION).send().await.map_err(|error| chain(&error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = bounded(answer).await.map_err(|error| chain(&error))?;
    Ok(Answer { status, headers, body })
}

/// An error with all its causes: the last one says most.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    words.dedup();
    words.join(": ")
}

impl Answer {
    /// The problem that it is, if it is one.
    pub(super) fn problem(&self) -> Option<Problem> {
        if self.status.is_success() { None } else { serde_json::from_slice(&self.body).ok() }
    }

    /// Whether it is a page for a browser.
    fn is_page(&self) -> bool {
        let is_html = |text: &str| text.contains("text/html");
        let media = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        media.is_some_and(is_html) || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// What it is, where no Fieldsync server answers so: the words, and what to do.
    pub(super) fn is_foreign(&self) -> Option<(String, String)> {
        if self.status.is_redirection() {
            let location =
                self.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            return Some((
                format!("it answers {} and sends elsewhere, to {location}", self.status),
                "no device follows that: use the URL that it ends at; a network with a login page does the same"
                    .to_owned(),
            ));
        }
        if self.is_page() {
            return Some((
                format!("it answers {} with a page for a browser", self.status),
                "a network with a login page, a proxy, or a web server that is not Fieldsync: open the URL in a browser"
                    .to_owned(),
            ));
        }
        if self.status.is_server_error() && self.problem().is_none() {
            return Some((
                format!("it answers {} without a problem that can be read", self.status),
                "read the logs of the server, and of the proxy before it".to_owned(),
            ));
        }
        None
    }

    /// Its beginning, as text.
    pub(super) fn shown(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        text.escape_debug().to_string()
    }
}
