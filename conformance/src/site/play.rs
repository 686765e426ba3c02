//! What happens in each scenario, in a run against the embedded reference: what its diagram is drawn from.
//!
//! Two runs make the same diagram: what a server makes up by chance in a path stands in it as `…`, and what happens at once
//! has one [order]. Only where devices contend on purpose can one or the other win.

use super::order;
use crate::run::{self, Options};
use crate::scenario::Case;
use crate::spec::Spec;
use crate::subject::reference::{EmbeddedServer, ReferenceDevices};
use fieldsync_schemas::event::{Event, ScenarioEnded, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Why nothing can be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The reference server did not start.
    #[error("cannot start the reference server: {0}")]
    Start(String),
    /// A scenario did not end well, and what went wrong is no picture of the protocol.
    #[error("{scenario} does not pass against the reference, so what happened in it is not drawn: {reason}")]
    Failed {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: String,
    },
}

/// Runs the first scenario of each file, under one profile; what happened is named by the file's id.
pub async fn play(cases: &[Case], spec: &Spec) -> Result<BTreeMap<String, ScenarioEnded>, PlayError> {
    let mut first: Vec<&Case> = Vec::new();
    for case in cases {
        if first.last().is_none_or(|last| last.file_id() != case.file_id()) {
            first.push(case);
        }
    }
    let ended = run_all(&first, spec).await?;
    let named = ended.into_iter().map(|one| {
        let id = one.id.split('[').next().unwrap_or(&one.id).to_owned();
        (id, one)
    });
    Ok(named.collect())
}

/// Runs one scenario, under the first of its profiles.
pub async fn play_one(case: &Case, spec: &Spec) -> Result<ScenarioEnded, PlayError> {
    let failed = |reason: Option<String>| PlayError::Failed {
        scenario: case.id.clone(),
        reason: reason.unwrap_or_else(|| "it was not run".to_owned()),
    };
    let ended = run_all(&[case], spec).await?.into_iter().next().ok_or_else(|| failed(None))?;
    if ended.verdict == Verdict::Pass { Ok(ended) } else { Err(failed(ended.reason)) }
}

async fn run_all(cases: &[&Case], spec: &Spec) -> Result<Vec<ScenarioEnded>, PlayError> {
    let embedded = EmbeddedServer::start().await.map_err(|error| PlayError::Start(error.to_string()))?;
    let server = embedded.connect().await.map_err(|blocked| PlayError::Start(blocked.reason))?;
    let options = Options { one_profile: true, timeout: Duration::from_secs(60), ..Options::default() };
    let (spec, devices) = (Arc::new(spec.clone()), Arc::new(ReferenceDevices::default()));
    let events = run::run(cases, &spec, Arc::new(server), devices, &options, &mut |_| {}).await;
    let mut all = Vec::new();
    for event in events {
        let Event::Scenario(mut ended) = event else { continue };
        // One that is for servers without some capability is not run against the reference, which has it.
        if matches!(ended.verdict, Verdict::Fail | Verdict::Warn | Verdict::Error) {
            let seen = ended.failures.first().map(|one| format!("{}: {}, not {}", one.what, one.got, one.expected));
            let reason = ended.reason.take().or(seen).unwrap_or_else(|| ended.verdict.as_str().to_owned());
            return Err(PlayError::Failed { scenario: ended.id, reason });
        }
        settle(&mut ended);
        all.push(*ended);
    }
    Ok(all)
}

/// Leaves out what another run would have otherwise.
fn settle(ended: &mut ScenarioEnded) {
    order::settle(ended);
    ended.millis = 0;
    for exchange in &mut ended.exchanges {
        exchange.request = settled(&exchange.request);
    }
}

/// A request without what a server made up.
fn settled(request: &str) -> String {
    let (path, query) = request.split_once('?').map_or((request, ""), |(path, _)| (path, "?…"));
    let parts = path.split('/').map(|part| if is_made_up(part) { "…" } else { part });
    parts.collect::<Vec<_>>().join("/") + query
}

/// Whether a part of a path is a token: long, and no word of the protocol, which has small letters only.
fn is_made_up(part: &str) -> bool {
    part.len() >= 16 && !part.starts_with('$') && part.bytes().any(|b| !b.is_ascii_lowercase() && b != b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_makes_up_is_left_out() {
        assert_eq!(settled("PATCH /uploads/0197c1f4d20a7d108f7e?sig=abc"), "PATCH /uploads/…?…");
        assert_eq!(settled("HEAD /uploads/AaIpnVQvZrIhRoWs_XC-Gg"), "HEAD /uploads/…");
        assert_eq!(settled("POST /attachments/complete"), "POST /attachments/complete");
        assert_eq!(settled("GET /attachments/${photo}"), "GET /attachments/${photo}");
    }
}
