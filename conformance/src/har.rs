//! Traffic that a browser, a proxy or a test tool recorded as HAR 1.2, read as exchanges with data sets.
//!
//! The format: <http://www.softwareishard.com/blog/har-12-spec/>. Exporters leave tokens out; what is judged here needs none.

use crate::tap::SeenExchange;
use crate::tap::recorded::Recorded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use url::Url;

/// Why a recording cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum HarError {
    /// It is no HAR.
    #[error("this is no HAR 1.2: {0}")]
    NotHar(#[from] serde_json::Error),
    /// An entry is not as HTTP has it.
    #[error("entry {index} ({url}): {reason}")]
    Entry {
        /// Which, from 0.
        index: usize,
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing in it looks like Fieldsync.
    #[error("no request in it ends in /session, /push or /pull; name the base URL of the data set with --base")]
    NoBase,
    /// Nothing in it is below the base URLs.
    #[error("no request in it is below {0}")]
    NothingBelow(String),
}

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    /// In milliseconds; below 0 where it is not known.
    #[serde(default)]
    time: f64,
    request: HarRequest,
    response: HarResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<NameValue>,
    post_data: Option<Text>,
}

#[derive(Deserialize)]
struct HarResponse {
    /// 0 where there was no answer.
    #[serde(default)]
    status: i64,
    #[serde(default)]
    headers: Vec<NameValue>,
    content: Option<Text>,
}

#[derive(Deserialize)]
struct NameValue {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    text: String,
    encoding: Option<String>,
}

/// The traffic of one data set.
pub struct Traffic {
    /// Its base URL.
    pub base: Url,
    /// What passed, in the order in which it began.
    pub exchanges: Vec<SeenExchange>,
}

/// Reads a recording: the exchanges with the data sets at these base URLs, or at those that its requests show.
pub fn read(text: &[u8], bases: &[Url]) -> Result<Vec<Traffic>, HarError> {
    let entries = serde_json::from_slice::<Har>(text)?.log.entries;
    let bases = if bases.is_empty() { found_bases(&entries) } else { bases.to_vec() };
    if bases.is_empty() {
        return Err(HarError::NoBase);
    }
    let mut timed = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let began = entry.started_date_time.parse::<Timestamp>().map_err(|error| HarError::Entry {
            index,
            url: entry.request.url.clone(),
            reason: format!("startedDateTime is no time: {error}"),
        })?;
        timed.push((began, index, entry));
    }
    timed.sort_by_key(|(began, index, _)| (*began, *index));
    let started = Instant::now();
    let first = timed.first().map(|(began, ..)| *began);
    let mut senders = Senders::default();
    let mut traffic: Vec<Traffic> = bases.into_iter().map(|base| Traffic { base, exchanges: Vec::new() }).collect();
    for (began, index, entry) in timed {
        let url = entry.request.url.clone();
        let wrong = |reason: String| HarError::Entry { index, url: url.clone(), reason };
        let since = first.and_then(|first| Duration::try_from(began.duration_since(first)).ok());
        let recorded = recorded(entry, started + since.unwrap_or_default(), &mut senders).map_err(wrong)?;
        // The longest base is meant where one lies below another.
        let of = traffic.iter_mut().filter(|of| is_below(&of.base, &recorded.url));
        if let Some(of) = of.max_by_key(|of| of.base.path().len()) {
            let seen = recorded.seen(&of.base).map_err(|error| wrong(error.to_string()))?;
            of.exchanges.push(seen);
        }
    }
    if traffic.iter().all(|of| of.exchanges.is_empty()) {
        let bases: Vec<String> = traffic.iter().map(|of| of.base.to_string()).collect();
        return Err(HarError::NothingBelow(bases.join(" or ")));
    }
    Ok(traffic)
}

/// The base URLs that requests for the session, pushes and pulls show.
fn found_bases(entries: &[Entry]) -> Vec<Url> {
    let mut found = BTreeSet::new();
    for entry in entries {
        let Ok(mut url) = Url::parse(&entry.request.url) else { continue };
        let path = url.path().to_owned();
        let method = entry.request.method.as_str();
        let base = ["/push", "/pull"].iter().find_map(|end| path.strip_suffix(end).filter(|_| method == "POST"));
        if let Some(base) = base.or_else(|| path.strip_suffix("/session").filter(|_| method == "GET")) {
            url.set_path(base);
            url.set_query(None);
            url.set_fragment(None);
            found.insert(url);
        }
    }
    found.into_iter().collect()
}

fn is_below(base: &Url, url: &Url) -> bool {
    let prefix = base.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(prefix);
    base.origin() == url.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Who sends: a replica names itself in pushes and pulls, and is known by its token in between.
#[derive(Default)]
struct Senders {
    by_token: BTreeMap<String, String>,
}

impl Senders {
    fn of(&mut self, headers: &HeaderMap, body: &[u8]) -> String {
        #[derive(Deserialize)]
        struct Named {
            replica: String,
        }
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let named = serde_json::from_slice::<Named>(body).ok().map(|named| named.replica);
        if let (Some(token), Some(named)) = (&token, &named) {
            self.by_token.insert(token.clone(), named.clone());
        }
        let known = || token.as_ref().and_then(|token| self.by_token.get(token).cloned());
        named.clone().or_else(known).unwrap_or_else(|| "device".to_owned())
    }
}

fn recorded(entry: Entry, started: Instant, senders: &mut Senders) -> Result<Recorded, String> {
    let url = Url::parse(&entry.request.url).map_err(|error| format!("the URL cannot be read: {error}"))?;
    let method = Method::from_bytes(entry.request.method.as_bytes()).map_err(|error| error.to_string())?;
    let request_headers = headers(&entry.request.headers)?;
    let request_body = body(entry.request.post_data)?;
    let by = senders.of(&request_headers, &request_body);
    let answer = match u16::try_from(entry.response.status) {
        Ok(0) | Err(_) => None,
        Ok(status) => {
            let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
            Some((status, headers(&entry.response.headers)?, body(entry.response.content)?))
        }
    };
    let took = Duration::try_from_secs_f64(entry.time / 1000.0).unwrap_or_default();
    Ok(Recorded { by, method, url, request_headers, request_body, answer, started, ended: started + took })
}

fn headers(pairs: &[NameValue]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for NameValue { name, value } in pairs.iter().filter(|pair| !pair.name.starts_with(':')) {
        let name: HeaderName = name.to_ascii_lowercase().parse().map_err(|_| format!("{name:?} is no header"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("the header {name} cannot be read"))?;
        value.set_sensitive(name == header::AUTHORIZATION);
        map.append(name, value);
    }
    Ok(map)
}

fn body(text: Option<Text>) -> Result<Vec<u8>, String> {
    match text {
        None => Ok(Vec::new()),
        Some(text) if text.encoding.as_deref() == Some("base64") => {
            STANDARD.decode(&text.text).map_err(|error| format!("a body is no base64: {error}"))
        }
        Some(text) => Ok(text.text.into_bytes()),
    }
}

#[cfg(test)]
mod tests;
