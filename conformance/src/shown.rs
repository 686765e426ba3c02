//! What the specification shows happens: each exchange in its text is looked for on the wire, in a run of the scenario
//! that its block names, against the embedded reference.
//!
//! The exchanges of a block occur in the run in the order of the text, others between them. What the text shows of a
//! message has to be there; what it leaves out may be. Of a scenario with an `each`, the first one by its id is run. `${name}` stands for one value in the whole block: the scenario's,
//! where it has the name, or else what is met first. Two names never stand for one value.

use crate::judge::matching::mismatch;
use crate::replay::{Acted, Names};
use crate::run::{self, Options};
use crate::scenario::Case;
use crate::spec::{ExchangeExample, Flaw, ShownExchange, ShownMessage, Spec};
use crate::subject::reference::{EmbeddedServer, ReferenceDevices};
use crate::tap::{Body, SeenExchange};
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks for every exchange that the text shows. What does not happen as shown is a flaw of the text, with its line.
pub async fn check(spec: &Arc<Spec>, cases: &[Case]) -> Result<Vec<Flaw>, String> {
    let embedded = EmbeddedServer::start().await.map_err(|error| error.to_string())?;
    let server = Arc::new(embedded.connect().await.map_err(|blocked| blocked.reason)?);
    let devices = Arc::new(ReferenceDevices::default());
    let mut flaws = Vec::new();
    for block in &spec.exchanges {
        // That there is no such scenario is a gap of the trace.
        let Some(case) = cases.iter().find(|case| case.file_id() == block.scenario) else { continue };
        let options = Options::default();
        match run::acted(case, spec, server.clone(), devices.clone(), &options).await {
            Ok(acted) => flaws.extend(compare(block, &acted)),
            Err(reason) => flaws.push(Flaw::new(&block.file, block.line, format!("{} broke: {reason}", case.id))),
        }
    }
    Ok(flaws)
}

/// The first exchange of a block that does not happen in the run.
fn compare(block: &ExchangeExample, acted: &Acted) -> Option<Flaw> {
    if let Some(failure) = acted.failures.first() {
        let problem =
            format!("{} fails: {} is {}, not {}", block.scenario, failure.what, failure.got, failure.expected);
        return Some(Flaw::new(&block.file, block.line, problem));
    }
    find_all(&block.exchanges, &acted.exchanges, &acted.names)
        .err()
        .map(|(line, problem)| Flaw::new(&block.file, line, format!("not so in {}: {problem}", block.scenario)))
}

fn find_all(shown: &[ShownExchange], seen: &[SeenExchange], names: &Names) -> Result<(), (u32, String)> {
    let mut meant = Meant { names, bound: BTreeMap::new() };
    let mut next = 0;
    for exchange in shown {
        let asked = format!("{} {}", exchange.method, exchange.target);
        let mut closest: Option<Difference> = None;
        let mut found = None;
        for (index, candidate) in seen.iter().enumerate().skip(next).filter(|(_, seen)| target(seen) == asked) {
            let mut tried = meant.clone();
            match tried.differs(exchange, candidate) {
                None => {
                    found = Some((index, tried));
                    break;
                }
                // Of those that differ, the one that has most of what is shown is the one that was meant.
                Some(difference) if closest.as_ref().is_none_or(|best| best.alike < difference.alike) => {
                    closest = Some(difference);
                }
                Some(_) => {}
            }
        }
        match (found, closest) {
            (Some((index, tried)), _) => (next, meant) = (index + 1, tried),
            (None, Some(difference)) => {
                let Difference { line, place, expected, got, .. } = difference;
                return Err((line, format!("{place} of {asked}: the text shows {expected}, it was {got}")));
            }
            (None, None) => {
                let others: Vec<String> = seen.iter().skip(next).map(target).collect();
                return Err((exchange.request.line, format!("there is no {asked}; there were {others:?}")));
            }
        }
    }
    Ok(())
}

fn target(seen: &SeenExchange) -> String {
    format!("{} {}{}", seen.method, if seen.below_base { "{base}" } else { "" }, seen.path)
}

/// Where an exchange is not what the text shows.
struct Difference {
    /// How far it was as shown, and how much of that message is.
    alike: (u8, usize),
    line: u32,
    place: String,
    expected: Value,
    got: Value,
}

/// What the names of a block stand for.
#[derive(Clone)]
struct Meant<'a> {
    names: &'a Names,
    bound: BTreeMap<String, Value>,
}

impl Meant<'_> {
    fn differs(&mut self, shown: &ShownExchange, seen: &SeenExchange) -> Option<Difference> {
        let of_request = self.message(&shown.request, &seen.request_headers, &seen.request_body);
        if let Some((place, expected, got)) = of_request {
            let alike = (0, self.alike(&shown.request, &seen.request_body));
            let place = format!("{place} of the request");
            return Some(Difference { alike, line: shown.request.line, place, expected, got });
        }
        let line = shown.answer.line;
        let Some(answer) = &seen.upstream else {
            let (place, expected) = ("the answer".to_owned(), json!(shown.status));
            return Some(Difference { alike: (1, 0), line, place, expected, got: json!("none") });
        };
        if answer.status.as_u16() != shown.status {
            let (expected, got) = (json!(shown.status), json!(answer.status.as_u16()));
            let place = "the status of the answer".to_owned();
            return Some(Difference { alike: (1, 0), line, place, expected, got });
        }
        let (place, expected, got) = self.message(&shown.answer, &answer.headers, &answer.body)?;
        let alike = (2, self.alike(&shown.answer, &answer.body));
        Some(Difference { alike, line, place: format!("{place} of the answer"), expected, got })
    }

    /// How many of the values that the text shows of a body are in it.
    fn alike(&self, shown: &ShownMessage, body: &Body) -> usize {
        let got = serde_json::from_slice(&body.bytes).unwrap_or(Value::Null);
        shown.body.as_ref().map_or(0, |expected| common(&self.fill(expected), &got))
    }

    /// The first place of a message that is not as shown.
    fn message(&mut self, shown: &ShownMessage, headers: &HeaderMap, body: &Body) -> Option<(String, Value, Value)> {
        for (name, expected) in &shown.headers {
            let got = headers.get(name).map(|value| json!(String::from_utf8_lossy(value.as_bytes())));
            if let Some((_, expected, got)) = self.value(&json!(expected), got.as_ref()) {
                return Some((format!("the header {name}"), expected, got));
            }
        }
        let expected = shown.body.as_ref()?;
        let got: Option<Value> = serde_json::from_slice(&body.bytes).ok();
        let (pointer, expected, got) = self.value(expected, got.as_ref())?;
        let place = if pointer.is_empty() { "the body".to_owned() } else { format!("{pointer} in the body") };
        Some((place, expected, got))
    }

    fn value(&mut self, expected: &Value, got: Option<&Value>) -> Option<(String, Value, Value)> {
        if let Some((name, other)) = self.bind(expected, got) {
            let told = format!("${{{name}}}, which differs from ${{{other}}}");
            return Some((String::new(), json!(told), json!("the same value")));
        }
        mismatch(&self.fill(expected), got)
    }

    /// Binds the names that are met for the first time; tells of one that stands for what another stands for.
    fn bind(&mut self, expected: &Value, got: Option<&Value>) -> Option<(String, String)> {
        match (expected, got?) {
            (Value::String(text), got) => {
                let (name, value) = self.unknown(text, got)?;
                let twin = self.bound.iter().find(|(_, other)| **other == value).map(|(other, _)| other.clone());
                self.bound.insert(name.clone(), value);
                twin.map(|other| (name, other))
            }
            (Value::Array(items), Value::Array(found)) => {
                items.iter().zip(found).find_map(|(item, found)| self.bind(item, Some(found)))
            }
            (Value::Object(members), Value::Object(found)) => {
                members.iter().find_map(|(name, value)| self.bind(value, found.get(name)))
            }
            _ => None,
        }
    }

    /// The name in a text that nothing is known of, and what it stands for. It may have a constant text around it.
    fn unknown(&self, text: &str, got: &Value) -> Option<(String, Value)> {
        let (before, rest) = text.split_once("${")?;
        let (name, after) = rest.split_once('}')?;
        if self.known(name).is_some() {
            return None;
        }
        let value = match got {
            whole if before.is_empty() && after.is_empty() => whole.clone(),
            Value::String(got) => json!(got.strip_prefix(before)?.strip_suffix(after)?),
            _ => return None,
        };
        Some((name.to_owned(), value))
    }

    fn known(&self, name: &str) -> Option<Value> {
        self.names.known(name).or_else(|| self.bound.get(name).cloned())
    }

    /// The text's value with what is known in the place of the names.
    fn fill(&self, shown: &Value) -> Value {
        match shown {
            Value::String(text) => self.fill_text(text),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect())
            }
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> Value {
        let parts = text.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
        let Some((before, (name, after))) = parts else { return json!(text) };
        match self.known(name) {
            None => json!(text),
            Some(value) if before.is_empty() && after.is_empty() => value,
            Some(Value::String(value)) => json!(format!("{before}{value}{after}")),
            Some(other) => json!(format!("{before}{other}{after}")),
        }
    }
}

/// How many of the expected values are where they are expected.
fn common(expected: &Value, got: &Value) -> usize {
    match (expected, got) {
        (Value::Object(members), Value::Object(found)) => {
            members.iter().filter_map(|(name, value)| Some(common(value, found.get(name)?))).sum()
        }
        (Value::Array(items), Value::Array(found)) => {
            items.iter().zip(found).map(|(item, found)| common(item, found)).sum()
        }
        _ => usize::from(mismatch(expected, Some(got)).is_none()),
    }
}

#[cfg(test)]
mod tests;
