//! The steps of a scenario as they are taken, in words, for whoever tells afterwards what happened.

use fieldsync_schemas::event::StepTaken;
use fieldsync_schemas::scenario::{Action, RequestStep, Step};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The most characters of a step in words.
const LONGEST: usize = 120;

/// The steps that were begun. Everyone who has a copy sees the same steps, so that they are there to be told of a
/// scenario that never came to its end.
#[derive(Debug, Clone, Default)]
pub struct StepLog(Arc<Mutex<Vec<(Instant, StepTaken)>>>);

impl StepLog {
    /// A step begins.
    pub(super) fn begin(&self, step: &Step) {
        // Those that run at once begin one by one.
        if !matches!(step.action, Action::Together(_)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), taken(step)));
        }
    }

    /// The steps so far, each with the time of its beginning.
    pub fn steps(&self) -> Vec<(Instant, StepTaken)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn taken(step: &Step) -> StepTaken {
    let (actor, what) = match &step.action {
        Action::Device(name, what) => {
            let create = what.create.as_ref().map(|create| {
                let named = create.named.iter().next().map(|(name, alias)| format!("{name}: {alias}"));
                format!("create: {{{}, data: {}}}", named.unwrap_or_default(), flow(&json!(create.data)))
            });
            (name.clone(), create.unwrap_or_else(|| members(&json!(what))))
        }
        Action::Network(what) => {
            // The fault comes first, then whom it hits, then the rest.
            let (rest, mut first): (Vec<_>, Vec<_>) =
                told(&json!(what)).into_iter().partition(|(name, _)| REST_OF_A_FAULT.contains(&name.as_str()));
            first.extend(rest);
            ("network".to_owned(), joined(&first))
        }
        Action::Server(what) => ("server".to_owned(), members(&json!(what))),
        Action::Release(name) => ("release".to_owned(), name.clone()),
        Action::Request(what) => ("request".to_owned(), request(what)),
        Action::Together(steps) => ("together".to_owned(), format!("{} steps", steps.len())),
    };
    let what = match what.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &what[..end]),
        None => what,
    };
    StepTaken { place: 0, line: step.line, actor, what }
}

fn request(step: &RequestStep) -> String {
    let has_body = step.body.is_some() || step.text.is_some() || step.oversized_by.is_some();
    let method = step.method.as_deref().unwrap_or(if has_body { "POST" } else { "GET" });
    let path = step.url.as_deref().unwrap_or(if step.path.is_empty() { "/" } else { &step.path });
    let account = step.account.as_ref().map_or_else(String::new, |account| format!(" as {account}"));
    format!("{method} {path}{account}, expects {}", step.expect.status.unwrap_or(200))
}

/// What a network step says besides its fault.
const REST_OF_A_FAULT: [&str; 9] = ["of", "at", "bytes", "delay_ms", "reply", "change", "about", "after", "times"];

/// The members of an object in the flow style of YAML, as in a fixture; what is not set is left out.
fn members(value: &Value) -> String {
    joined(&told(value))
}

fn joined(members: &[(String, String)]) -> String {
    let told = members.iter().map(|(name, value)| match value.as_str() {
        // `kill: true` is a kill.
        "true" => name.clone(),
        value => format!("{name}: {value}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn told(value: &Value) -> Vec<(String, String)> {
    let none = Map::new();
    let is_set = |name: &str, value: &Value| match value {
        Value::Null => false,
        // No refused record is something to expect; no header is nothing to do.
        Value::Object(members) => !members.is_empty() || name == "quarantine",
        Value::Number(number) => name != "after" || number.as_u64() != Some(0),
        _ => true,
    };
    let all = value.as_object().unwrap_or(&none).iter();
    all.filter(|(name, value)| is_set(name, value)).map(|(name, value)| (name.clone(), flow(value))).collect()
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().all(|c| c.is_alphanumeric() || " _-./+${}".contains(c)) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(all) => {
            let told = all.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", told.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(step: Value) -> (String, String) {
        let taken = taken(&serde_json::from_value(step).unwrap());
        (taken.actor, taken.what)
    }

    #[test]
    fn a_step_is_told_as_the_fixture_writes_it() {
        let said = |step: Value, actor: &str, what: &str| assert_eq!(told(step), (actor.to_owned(), what.to_owned()));
        said(
            json!({"tablet": {"create": {"observation": "fever", "data": {"temp": 38.1}}}}),
            "tablet",
            "create: {observation: fever, data: {temp: 38.1}}",
        );
        said(json!({"phone": {"sync": {"fails": "network"}}}), "phone", "sync: {fails: network}");
        said(json!({"phone": {"quarantine": {}}}), "phone", "quarantine: {}");
        said(
            json!({"network": {"drop": "push", "of": "tablet", "at": "after_answer"}}),
            "network",
            "drop: push, at: after_answer, of: tablet",
        );
        said(json!({"release": "tablet"}), "release", "tablet");
        said(json!({"server": {"kill": true}}), "server", "kill");
        said(
            json!({"request": {"path": "/push", "as": "reader", "body": {}, "expect": {"status": 403}}}),
            "request",
            "POST /push as reader, expects 403",
        );
        let long = told(json!({"phone": {"edit": {"fever": {"note": "x".repeat(500)}}}}));
        assert_eq!(long.1.chars().count(), LONGEST + 1);
    }
}
