//! Faults against the chapter `transport`.

use crate::Mutant;
use crate::seam::device_wire;
use async_trait::async_trait;
use fieldsync_client::Transport;
use fieldsync_client::transport::NetworkFailure;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-request-names-no-version",
        "transport.version.sent",
        "The device counts on the server to know its version.",
        a_request_names_no_version,
    ),
    Mutant::device(
        "a-pull-asks-for-nothing",
        "transport.messages.valid-requests",
        "A pull has the limit 0, which should mean that there is none.",
        |parts| {
            device_wire::every_call(parts, |call| {
                if call.kind == CallKind::Pull {
                    call.body = with(call.body.take(), "limit", json!(0));
                }
            })
        },
    ),
    Mutant::device(
        "an-unknown-member-is-no-answer",
        "transport.members.ignored-by-devices",
        "An answer with a member that the device does not know is thrown away.",
        |parts| {
            device_wire::every_answer(parts, |_, answer| {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let is_known = |name: &String| KNOWN.contains(&name.as_str());
                let fits = answer.status != 200 || body.as_object().is_none_or(|body| body.keys().all(is_known));
                if fits { Ok(()) } else { Err("the answer has an unknown member") }
            })
        },
    ),
    Mutant::device(
        "a-media-type-is-not-looked-at",
        "transport.answer.not-a-message+2",
        "Whatever can be read as JSON is read as an answer.",
        |parts| {
            device_wire::every_answer(parts, |_, answer| {
                if answer.status == 200 {
                    answer.media_type = Some("application/json".to_owned());
                }
                Ok(())
            })
        },
    ),
];

/// The members of the answers that a device reads.
const KNOWN: [&str; 21] = [
    "tag",
    "principal",
    "role",
    "scope",
    "epoch",
    "server_time",
    "profile",
    "capabilities",
    "limits",
    "registry",
    "backed_up_seq",
    "token",
    "accepted_seq",
    "replayed",
    "session",
    "outcomes",
    "feeds",
    "new_feeds",
    "access_token",
    "expires_at",
    "refresh_token",
];

fn with(body: Option<String>, name: &str, value: Value) -> Option<String> {
    let mut tree: Value = serde_json::from_str(&body?).ok()?;
    tree[name] = value;
    Some(tree.to_string())
}

fn a_request_names_no_version(mut parts: DeviceParts) -> DeviceParts {
    parts.transport = Arc::new(Bare { http: reqwest::Client::new(), base: parts.base_url.to_string() });
    parts
}

/// Sends calls, without the header that names their version.
struct Bare {
    http: reqwest::Client,
    base: String,
}

#[async_trait]
impl Transport for Bare {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let failed = |error: reqwest::Error| NetworkFailure { doing: call.path.to_owned(), reason: error.to_string() };
        let url = format!("{}{}", self.base.trim_end_matches('/'), call.path);
        let mut request = match &call.body {
            Some(body) => self.http.post(url).header("content-type", "application/json").body(body.clone()),
            None => self.http.get(url),
        };
        if let Some(token) = &call.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let media_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.bytes().await.map_err(failed)?.to_vec();
        Ok(Answer { status, media_type, retry_after: None, body })
    }
}
