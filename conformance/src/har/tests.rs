//! Traffic of the reference, as a recording; then one thing in it is made wrong, and its rule is named.

use super::{HarError, read};
use crate::run::{Options, acted, judge_recorded};
use crate::scenario::parse;
use crate::spec::Spec;
use crate::subject::reference::{EmbeddedServer, ReferenceDevices};
use crate::tap::{Body, SeenExchange};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fieldsync_schemas::event::{Actor, Event, Verdict};
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SCENARIO: &str = "title: Traffic of two devices\ncovers: [push.retry.same-outcome]\nprofile: field-merge\n\
    devices: [tablet, phone]\nsteps:\n\
    \x20 - tablet: {create: {observation: fever, data: {temp: 38.1, days: 3}}}\n\
    \x20 - tablet: {create: {observation: cough, data: {temp: 37}}}\n\
    \x20 - network: {drop: push, of: tablet, at: after_answer}\n\
    \x20 - tablet: {sync: {fails: network}}\n\
    \x20 - tablet: {sync: ok}\n\
    \x20 - phone: {sync: ok}\n\
    \x20 - phone: {edit: {fever: {temp: 39}}}\n\
    \x20 - phone: {sync: ok}\n\
    \x20 - tablet: {sync: ok}\n";

/// A recording of what passed in front of the server.
async fn recorded() -> Value {
    let cases = parse("fixtures/scenarios/push/traffic.yaml", SCENARIO).unwrap();
    let server = EmbeddedServer::start().await.unwrap();
    let connected = server.connect().await.unwrap_or_else(|blocked| panic!("{}", blocked.reason));
    let options = Options { timeout: Duration::from_secs(60), ..Options::default() };
    let spec = Arc::new(Spec::embedded().unwrap());
    let devices = Arc::new(ReferenceDevices::default());
    let acted = acted(&cases[0], &spec, Arc::new(connected), devices, &options).await.unwrap();
    assert!(acted.failures.is_empty(), "{:?}", acted.failures);
    let first = acted.exchanges.iter().map(|seen| seen.started).min().unwrap();
    let entries: Vec<Value> = acted.exchanges.iter().map(|seen| entry(seen, first)).collect();
    json!({"log": {"version": "1.2", "creator": {"name": "a proxy", "version": "1"}, "entries": entries}})
}

fn entry(seen: &SeenExchange, first: Instant) -> Value {
    let began = "2026-11-20T08:00:00Z".parse::<jiff::Timestamp>().unwrap()
        + jiff::SignedDuration::try_from(seen.started - first).unwrap();
    let took = seen.ended.map_or(0.0, |ended| (ended - seen.started).as_secs_f64() * 1000.0);
    let (status, headers, content) = match &seen.upstream {
        Some(answer) => (answer.status.as_u16(), pairs(&answer.headers), text(&answer.body)),
        None => (0, json!([]), json!({})),
    };
    json!({
        "startedDateTime": began.to_string(), "time": took,
        "request": {
            "method": seen.method.as_str(), "url": format!("http://clinic.example/ds{}", seen.path),
            "headers": pairs(&seen.request_headers), "postData": text(&seen.request_body),
        },
        "response": {"status": status, "headers": headers, "content": content},
    })
}

fn text(body: &Body) -> Value {
    json!({"text": String::from_utf8_lossy(&body.bytes)})
}

fn pairs(headers: &HeaderMap) -> Value {
    headers.iter().map(|(name, value)| json!({"name": name.as_str(), "value": value.to_str().unwrap()})).collect()
}

/// The verdict on each rule.
fn judged(har: &Value) -> BTreeMap<String, Verdict> {
    let traffic = read(har.to_string().as_bytes(), &[]).unwrap();
    let spec = Spec::embedded().unwrap();
    let events = judge_recorded("traffic.har", &traffic, &spec, &[Actor::Server, Actor::Device]);
    let mut verdicts = BTreeMap::new();
    for event in events {
        if let Event::Scenario(one) = event {
            for failure in &one.failures {
                assert!((failure.exchange.unwrap() as usize) < one.exchanges.len(), "{failure:?}");
            }
            verdicts.insert(one.covers[0].to_string(), one.verdict);
        }
    }
    verdicts
}

/// The entries of a recording, to be changed.
struct Entries<'a>(&'a mut Vec<Value>);

impl Entries<'_> {
    /// The first entry whose request ends so, and of which this holds.
    fn place(&self, path: &str, holds: impl Fn(&Value, &Value) -> bool) -> usize {
        let place = self.0.iter().position(|entry| {
            let is_it = entry["request"]["url"].as_str().unwrap().ends_with(path);
            is_it && holds(&sent(entry), &answered(entry))
        });
        place.unwrap_or_else(|| panic!("no {path} of this kind in the traffic"))
    }

    fn change_sent(&mut self, at: usize, change: impl FnOnce(&mut Value)) {
        let mut body = sent(&self.0[at]);
        change(&mut body);
        self.0[at]["request"]["postData"]["text"] = json!(body.to_string());
    }

    fn change_answered(&mut self, at: usize, change: impl FnOnce(&mut Value)) {
        let mut body = answered(&self.0[at]);
        change(&mut body);
        // As some exporters write it.
        self.0[at]["response"]["content"] = json!({"text": STANDARD.encode(body.to_string()), "encoding": "base64"});
    }

    fn drop_header(&mut self, at: usize, side: &str, name: &str) {
        let headers = self.0[at][side]["headers"].as_array_mut().unwrap();
        let before = headers.len();
        headers.retain(|header| !header["name"].as_str().unwrap().eq_ignore_ascii_case(name));
        assert!(headers.len() < before, "there is no {name}");
    }

    /// The entry once more, just before itself.
    fn double(&mut self, at: usize) {
        let copy = self.0[at].clone();
        self.0.insert(at, copy);
    }
}

fn sent(entry: &Value) -> Value {
    serde_json::from_str(entry["request"]["postData"]["text"].as_str().unwrap_or_default()).unwrap_or_default()
}

fn answered(entry: &Value) -> Value {
    serde_json::from_str(entry["response"]["content"]["text"].as_str().unwrap_or_default()).unwrap_or_default()
}

fn any(_: &Value, _: &Value) -> bool {
    true
}

fn has_changes(_: &Value, answer: &Value) -> bool {
    answer["feeds"]
        .as_array()
        .is_some_and(|pages| pages.iter().any(|page| page["changes"].as_array().unwrap().len() > 1))
}

fn page_of_observations(answer: &mut Value) -> &mut Value {
    let pages = answer["feeds"].as_array_mut().unwrap();
    pages.iter_mut().find(|page| page["changes"].as_array().unwrap().len() > 1).unwrap()
}

/// What makes each rule broken.
fn tampered(rule: &str, entries: &mut Entries<'_>) {
    match rule {
        "transport.messages.valid-answers" => {
            let at = entries.place("/pull", any);
            entries.change_answered(at, |body| drop(body.as_object_mut().unwrap().remove("epoch")));
        }
        "transport.messages.valid-requests" => {
            let at = entries.place("/push", any);
            entries.change_sent(at, |body| drop(body.as_object_mut().unwrap().remove("seq")));
        }
        "transport.version.answered" => {
            let at = entries.place("/pull", any);
            entries.drop_header(at, "response", "fieldsync-version");
        }
        "transport.version.sent" => {
            let at = entries.place("/pull", any);
            entries.drop_header(at, "request", "fieldsync-version");
        }
        "errors.request-id.named" => {
            let at = entries.place("/pull", any);
            entries.drop_header(at, "response", "fieldsync-request-id");
        }
        "errors.problem.form" => {
            let at = entries.place("/pull", any);
            entries.0[at]["response"]["status"] = json!(500);
        }
        "registry.types.in-order" => {
            let at = entries.place("/session", any);
            entries.change_answered(at, |body| body["registry"]["types"].as_array_mut().unwrap().reverse());
        }
        "cycles.freeze.byte-for-byte" => {
            let at = entries.place("/push", any);
            entries.double(at);
            entries.0[at]["response"]["status"] = json!(0);
            entries.change_sent(at, |body| body["mutations"][0]["data"]["temp"] = json!(36));
        }
        "cycles.batch.record-once" => {
            let at = entries.place("/push", any);
            entries.change_sent(at, |body| {
                let mut twice = body["mutations"][0].clone();
                twice["mutation_id"] = json!("another-mutation");
                body["mutations"].as_array_mut().unwrap().push(twice);
            });
        }
        "cycles.patch.only-changes" => {
            let at = entries.place("/push", |sent, _| sent["mutations"][0]["patch"].is_object());
            entries.change_sent(at, |body| body["mutations"][0]["patch"]["days"] = json!(3));
        }
        "cycles.login.goes-on" => {
            let at = entries.place("/pull", any);
            entries.double(at);
            entries.0[at]["response"] = json!({"status": 401, "headers": [], "content": {}});
            entries.change_sent(at, |body| body["limit"] = json!(7));
        }
        "telemetry.feed.not-pulled" => {
            let at = entries.place("/pull", any);
            entries.change_sent(at, |body| body["feeds"]["telemetry"] = Value::Null);
        }
        "transport.cache.no-store" => {
            let at = entries.place("/pull", any);
            entries.drop_header(at, "response", "cache-control");
        }
        "push.outcome.each-its-own" => {
            let at = entries.place("/push", any);
            entries.change_answered(at, |body| drop(body["outcomes"].as_array_mut().unwrap().pop()));
        }
        "push.outcome.names-the-state" => {
            let at = entries.place("/push", any);
            entries.change_answered(at, |body| drop(body["outcomes"][0].as_object_mut().unwrap().remove("rev")));
        }
        "push.outcome.superseded-brings-winner" => {
            let at = entries.place("/push", any);
            entries.change_answered(at, |body| body["outcomes"][0]["outcome"] = json!("superseded"));
        }
        "push.outcome.stale-brings-current" => {
            let at = entries.place("/push", any);
            entries.change_answered(at, |body| body["outcomes"][0]["outcome"] = json!("stale"));
        }
        "push.retry.same-outcome" => {
            let at = entries.place("/push", |_, answer| answer["replayed"] == json!(true));
            entries.change_answered(at, |body| body["outcomes"][0]["version"] = json!(7));
        }
        "pull.echo.from" => {
            let at = entries.place("/pull", has_changes);
            entries.change_answered(at, |body| page_of_observations(body)["from"] = json!("another-cursor"));
        }
        "pull.page.at-most-one-change" => {
            let at = entries.place("/pull", has_changes);
            entries.change_answered(at, |body| {
                let changes = &mut page_of_observations(body)["changes"];
                let twice = changes[0].clone();
                changes.as_array_mut().unwrap().push(twice);
            });
        }
        "pull.page.limit-is-whole-answer" => {
            let at = entries.place("/pull", has_changes);
            entries.change_sent(at, |body| body["limit"] = json!(1));
        }
        "pull.page.progress" => {
            let at = entries.place("/pull", has_changes);
            entries.change_answered(at, |body| {
                for page in body["feeds"].as_array_mut().unwrap() {
                    page["changes"] = json!([]);
                    page["more"] = json!(true);
                }
            });
        }
        "records.version.never-falls" => {
            let at = entries.place("/pull", has_changes);
            let mut again = entries.0[at].clone();
            again["startedDateTime"] = json!("2026-11-20T09:00:00Z");
            entries.0.push(again);
            let last = entries.0.len() - 1;
            entries
                .change_answered(at, |body| page_of_observations(body)["changes"][0]["record"]["version"] = json!(9));
            entries
                .change_answered(last, |body| page_of_observations(body)["changes"][0]["record"]["version"] = json!(8));
        }
        other => panic!("nothing here breaks {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_of_the_reference_breaks_nothing_and_each_change_breaks_its_rule() {
    let har = recorded().await;
    let clean = judged(&har);
    let broken: Vec<_> = clean.iter().filter(|(_, verdict)| **verdict == Verdict::Fail).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let shown = clean.values().filter(|verdict| **verdict == Verdict::Pass).count();
    assert!(shown >= 14, "{clean:?}");
    for rule in clean.keys() {
        let mut har = har.clone();
        tampered(rule, &mut Entries(har["log"]["entries"].as_array_mut().unwrap()));
        assert_eq!(judged(&har)[rule], Verdict::Fail, "{rule}");
    }
}

#[test]
fn what_is_no_recording_is_told_from_one_without_fieldsync() {
    let error = |text: &str, bases: &[&str]| {
        let bases: Vec<_> = bases.iter().map(|base| base.parse().unwrap()).collect();
        read(text.as_bytes(), &bases).err().unwrap()
    };
    assert!(matches!(error("[]", &[]), HarError::NotHar(_)));
    assert!(matches!(error(r#"{"log": {"entries": []}}"#, &[]), HarError::NoBase));
    let one = |url: &str| {
        let request = json!({"method": "GET", "url": url});
        let entry = json!({"startedDateTime": "2026-11-20T08:00:00Z", "request": request, "response": {"status": 200}});
        json!({"log": {"entries": [entry]}}).to_string()
    };
    assert!(matches!(error(&one("http://a/page"), &[]), HarError::NoBase));
    assert!(matches!(error(&one("http://a/ds/session"), &["http://b/ds"]), HarError::NothingBelow(_)));
    assert!(matches!(error(&one("no url"), &["http://b/ds"]), HarError::Entry { index: 0, .. }));
}
