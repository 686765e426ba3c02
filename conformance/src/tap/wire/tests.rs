//! Each rule of the wire, kept once and broken once.

use super::super::exchange::Delivered;
use super::super::trouble::TapTrouble;
use super::*;
use fieldsync_schemas::PROTOCOL_VERSION;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Instant;

fn example(name: &str) -> String {
    Message::named(name).unwrap().example.to_owned()
}

fn head(media_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(VERSION_HEADER, HeaderValue::from_static(PROTOCOL_VERSION));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers
}

fn answer(status: u16, media_type: &'static str, body: String) -> Arc<Answer> {
    let mut headers = head(media_type);
    headers.insert(REQUEST_ID_HEADER, HeaderValue::from_static("r-1"));
    Arc::new(Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Body::plain(body.into()) })
}

/// A push that went well on both sides.
fn pushed() -> SeenExchange {
    let answer = answer(200, "application/json", example("push-answer"));
    SeenExchange {
        by: "tablet".to_owned(),
        caller: Caller::Device,
        kind: CallKind::Push,
        method: Method::POST,
        path: "/push".to_owned(),
        below_base: true,
        request_headers: head("application/json"),
        request_body: Body::plain(example("push-request").into()),
        upstream: Some(answer.clone()),
        delivered: Delivered::Whole(answer),
        fault: None,
        trouble: None,
        copy: false,
        started: Instant::now(),
        ended: None,
        examined: None,
    }
}

fn found(seen: SeenExchange) -> Vec<(Actor, String, String)> {
    let found = examine(&[pushed(), seen], Forms::default());
    assert!(found.iter().all(|finding| finding.exchange == 1));
    found.into_iter().map(|finding| (finding.side, finding.rule.to_string(), finding.pointer)).collect()
}

fn one(side: Actor, rule: &str, pointer: &str) -> Vec<(Actor, String, String)> {
    vec![(side, rule.to_owned(), pointer.to_owned())]
}

/// The messages that this module asks for.
const ON_THE_WIRE: [&str; 11] = [
    "well-known",
    "discovery",
    "login-request",
    "refresh-request",
    "token-answer",
    "session",
    "push-request",
    "push-answer",
    "pull-request",
    "pull-answer",
    "problem",
];

#[test]
fn every_schema_compiles_and_takes_its_example() {
    for name in ON_THE_WIRE {
        for form in [Form::Open, Form::Closed] {
            assert!(validator(name, form).is_valid(&Message::named(name).unwrap().example_value()), "{name} {form:?}");
        }
    }
}

#[test]
fn valid_messages_are_silent() {
    assert_eq!(found(pushed()), []);
    let mut problem: Value = serde_json::from_str(&example("problem")).unwrap();
    problem["request_id"] = "r-1".into();
    let status = u16::try_from(problem["status"].as_u64().unwrap()).unwrap();
    let refused = answer(status, PROBLEM_MEDIA_TYPE, problem.to_string());
    assert_eq!(found(SeenExchange { upstream: Some(refused), ..pushed() }), []);
}

#[test]
fn an_answer_that_is_no_message_is_the_servers() {
    let mut wrong: Value = serde_json::from_str(&example("push-answer")).unwrap();
    wrong["outcomes"] = "none".into();
    let upstream = Some(answer(200, "application/json", wrong.to_string()));
    assert_eq!(found(SeenExchange { upstream, ..pushed() }), one(Actor::Server, VALID_ANSWERS, "/outcomes"));
    let html = Some(answer(200, "text/html", "<html>".to_owned()));
    assert_eq!(found(SeenExchange { upstream: html, ..pushed() }).len(), 2);
    let trouble = Some(TapTrouble::BodyTooLarge(9));
    assert_eq!(found(SeenExchange { upstream: None, trouble, ..pushed() }), one(Actor::Server, VALID_ANSWERS, ""));
}

#[test]
fn a_request_that_is_no_message_is_the_devices_unless_the_suite_sent_it() {
    let wrong = SeenExchange { request_body: Body::plain(r#"{"seq": 1}"#.into()), ..pushed() };
    assert!(
        found(wrong.clone()).iter().all(|(side, rule, _)| (*side, rule.as_str()) == (Actor::Device, VALID_REQUESTS))
    );
    assert!(!found(wrong.clone()).is_empty());
    assert_eq!(found(SeenExchange { caller: Caller::Raw, ..wrong }), []);
    let no_version = SeenExchange {
        request_headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        ..pushed()
    };
    assert_eq!(found(no_version), one(Actor::Device, VERSION_SENT, ""));
}

#[test]
fn what_the_tap_gave_in_place_of_the_server_counts_against_nobody() {
    let canned = answer(200, "text/html", "<html>".to_owned());
    assert_eq!(found(SeenExchange { upstream: None, delivered: Delivered::Whole(canned), ..pushed() }), []);
}

#[test]
fn heads_of_answers_name_version_and_request() {
    let without = |name: &str| {
        let mut answer = Arc::unwrap_or_clone(answer(200, "application/json", example("push-answer")));
        answer.headers.remove(name);
        SeenExchange { upstream: Some(Arc::new(answer)), ..pushed() }
    };
    assert_eq!(found(without(VERSION_HEADER)), one(Actor::Server, VERSION_ANSWERED, ""));
    assert_eq!(found(without(REQUEST_ID_HEADER)), one(Actor::Server, REQUEST_ID_NAMED, ""));
}

#[test]
fn an_error_is_a_problem() {
    let html = Some(answer(503, "text/html", "<html>".to_owned()));
    let found = found(SeenExchange { upstream: html, ..pushed() });
    assert!(found.iter().all(|(side, rule, _)| (*side, rule.as_str()) == (Actor::Server, PROBLEM_FORM)));
    assert_eq!(found.len(), 2);
}

#[test]
fn the_closed_form_refuses_what_the_open_one_allows() {
    let mut body: Value = serde_json::from_str(&example("push-answer")).unwrap();
    body["extra"] = true.into();
    let seen = SeenExchange { upstream: Some(answer(200, "application/json", body.to_string())), ..pushed() };
    assert_eq!(found(seen.clone()), []);
    let closed = examine(&[seen], Forms { device: Form::Open, server: Form::Closed });
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].side, closed[0].rule.as_str()), (Actor::Server, VALID_ANSWERS));
}

#[test]
fn a_message_of_a_finding_holds_no_value() {
    let body = Body::plain(r#"{"access_token": {"secret": "s3cr3t"}, "expires_at": "s3cr3t"}"#.into());
    let upstream = answer(200, "application/json", String::new());
    let upstream = Arc::new(Answer { body, ..Arc::unwrap_or_clone(upstream) });
    let login = Body::plain(example("login-request").into());
    let seen = SeenExchange { kind: CallKind::Login, request_body: login, upstream: Some(upstream), ..pushed() };
    let found = examine(&[seen], Forms::default());
    let places: Vec<&str> = found.iter().map(|finding| finding.pointer.as_str()).collect();
    assert!(places.contains(&"/access_token") && places.contains(&"/expires_at"), "{places:?}");
    assert!(found.iter().all(|finding| !finding.message.contains("s3cr3t")), "{found:?}");
}
