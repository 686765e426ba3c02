//! A raw request, and the answer that it must get.

use super::act::{ActError, Missed, Play, StepEnd};
use crate::judge::matching::mismatch;
use crate::tap::gzip;
use fieldsync_schemas::discovery::{ContentCoding, Discovery};
use fieldsync_schemas::scenario::RequestStep;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

impl Play<'_> {
    pub(super) async fn request(&self, step: &RequestStep) -> Result<StepEnd, ActError> {
        let stage = &self.stage;
        let mut body = match (&step.body, &step.text, step.oversized_by) {
            (body, _, Some(more)) => {
                let body = body.as_ref().map_or_else(|| json!({}), |body| self.names.fill(body));
                Some(oversized(body, stage.session.limits.body_bytes + more))
            }
            (Some(body), _, _) => Some(serde_json::to_vec(&self.names.fill(body)).expect("a tree is plain JSON")),
            (_, Some(text), _) => Some(self.names.fill_plain(text).into_bytes()),
            _ => None,
        };
        let default = if body.is_some() { Method::POST } else { Method::GET };
        let method = match &step.method {
            Some(method) => method.parse().map_err(|_| ActError::Suite(format!("{method:?} is no HTTP method")))?,
            None => default,
        };
        let base = self.raw.base_url();
        let path = match &step.url {
            Some(url) => self.names.fill_plain(url),
            None => format!("{}{}", base.path().trim_end_matches('/'), self.names.fill_plain(&step.path)),
        };
        let root = base.join("/").expect("a constant path");
        let url = root.join(&path).map_err(|error| ActError::Suite(format!("{path:?} is no path: {error}")))?;
        let named = step.url.as_ref().unwrap_or(&step.path);
        let what = format!("the answer to {method} {}", if named.is_empty() { "/" } else { named });
        let mut headers = self.headers(step, body.is_some())?;
        if let Some(plain) = body.as_mut().filter(|_| step.gzip == Some(true))
            && self.reads_gzip().await
        {
            *plain = gzip(plain);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut request = self.http.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(StepEnd::Missed(Missed::new(what, "an answer", format!("none: {}", root_cause(&error)))));
            }
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => {
                return Ok(StepEnd::Missed(Missed::new(what, "a whole answer", root_cause(&error))));
            }
        };
        let body: Value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).chars().take(500).collect()));
        self.checked();
        if step.expect.unless == Some(status) {
            return Ok(StepEnd::Over);
        }
        let wanted = step.expect.status.unwrap_or(200);
        if status != wanted {
            let code = body.get("code").cloned().unwrap_or(Value::Null);
            return Ok(StepEnd::Missed(Missed::new(
                format!("the status of {what}"),
                wanted,
                json!({"status": status, "code": code, "detail": body.get("detail")}),
            )));
        }
        for (name, wanted) in &step.expect.headers {
            let got = headers.get(name.as_str()).map(|value| json!(String::from_utf8_lossy(value.as_bytes())));
            let wanted = wanted.as_ref().map_or_else(|| json!("$absent"), |text| self.names.fill(&json!(text)));
            if let Some((_, expected, got)) = mismatch(&wanted, got.as_ref()) {
                return Ok(StepEnd::Missed(Missed::new(format!("the header {name} of {what}"), expected, got)));
            }
        }
        if let Some(wanted) = &step.expect.body
            && let Some((path, expected, got)) = mismatch(&self.names.fill(wanted), Some(&body))
        {
            let place = if path.is_empty() { what } else { format!("{path} of {what}") };
            return Ok(StepEnd::Missed(Missed::new(place, expected, got)));
        }
        for (name, pointer) in &step.save {
            let saved = match pointer.strip_prefix("header:") {
                Some(header) => headers.get(header).map(|value| json!(String::from_utf8_lossy(value.as_bytes()))),
                None => body.pointer(&self.names.fill_plain(pointer)).cloned(),
            };
            match saved {
                Some(value) => self.names.save(name, value),
                None => {
                    return Ok(StepEnd::Missed(Missed::new(format!("{pointer} of {what}"), "$any", "$absent")));
                }
            }
        }
        Ok(StepEnd::Fine)
    }

    /// Whether the server's discovery says that it reads gzip.
    async fn reads_gzip(&self) -> bool {
        let Ok(answer) = self.http.get(self.raw.base_url().clone()).send().await else { return false };
        let body = answer.bytes().await.unwrap_or_default();
        let discovery = serde_json::from_slice::<Discovery>(&body);
        discovery.is_ok_and(|discovery| discovery.encodings.contains(&ContentCoding::Gzip))
    }

    fn headers(&self, step: &RequestStep, has_body: bool) -> Result<HeaderMap, ActError> {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION_HEADER, HeaderValue::from_static(PROTOCOL_VERSION));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let account = step.account.as_deref().unwrap_or("worker");
        if account != "nobody" {
            let stage = &self.stage;
            let access = stage
                .accounts
                .get(account)
                .ok_or_else(|| ActError::Suite(format!("there is no account {account:?}")))?;
            let bearer = format!("Bearer {}", access.token);
            headers.insert(
                AUTHORIZATION,
                bearer.parse().map_err(|_| ActError::Suite("the token is no header".to_owned()))?,
            );
        }
        for (name, value) in &step.headers {
            let header: HeaderName = name.parse().map_err(|_| ActError::Suite(format!("{name:?} is no header")))?;
            match value {
                Some(value) => {
                    let value = self.names.fill_plain(value);
                    let value = value.parse().map_err(|_| ActError::Suite(format!("{value:?} is no header value")))?;
                    headers.insert(header, value);
                }
                None => drop(headers.remove(header)),
            }
        }
        Ok(headers)
    }
}

/// The body with a member `pad` that makes it this long.
fn oversized(mut body: Value, length: u64) -> Vec<u8> {
    if let Some(members) = body.as_object_mut() {
        members.remove("pad");
    }
    let mut text = body.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(if text.len() > 1 { b",\"pad\":\"" } else { b"\"pad\":\"" });
    // Megabytes of it, which a JSON writer would look at one by one.
    text.resize(usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(2).max(text.len()), b'x');
    text.extend_from_slice(b"\"}");
    text
}

/// The innermost cause of an error, which says most.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_body_is_json_of_that_length() {
        for body in [json!({}), json!({"a": 1, "pad": "b"})] {
            let text = oversized(body.clone(), 1000);
            assert_eq!(text.len(), 1000);
            let read: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(read.get("a"), body.get("a"));
        }
    }
}
