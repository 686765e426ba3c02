//! What comes back when something is wrong with the request.

use crate::subject::{Subject, create, read, start, start_with};
use fieldsync_server::{Parts, Rules, Server, Settings, StartError};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;

/// The problem that this request gets; it has everything that a problem has.
async fn problem(request: RequestBuilder, status: u16, code: &str) -> Value {
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let problem = read(response, status).await;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("fieldsync-version"), "2026-12-01");
    assert_eq!(problem["request_id"], header("fieldsync-request-id"));
    assert_eq!(header("www-authenticate"), if status == 401 { "Bearer" } else { "" });
    problem
}

fn without_headers(subject: &Subject, path: &str) -> RequestBuilder {
    subject.http.post(subject.url(path))
}

#[tokio::test]
async fn checks_come_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let push = || without_headers(&subject, "/push").body("x".repeat(300_000));
    let found = problem(push(), 400, "unsupported-version").await;
    assert_eq!(found["supported"], json!(["2026-12-01"]));
    let push = || push().header("fieldsync-version", "2026-12-01");
    problem(push(), 401, "unauthenticated").await;
    let reader = subject.login("reader").await;
    let read_only = push().bearer_auth(reader["access_token"].as_str().unwrap());
    problem(read_only, 403, "forbidden").await;
    let stranger = subject.login("stranger").await;
    problem(push().bearer_auth(stranger["access_token"].as_str().unwrap()), 403, "forbidden").await;
    let refresh = reader["refresh_token"].as_str().unwrap();
    problem(push().bearer_auth(refresh), 401, "unauthenticated").await;
    let push = || push().bearer_auth(&subject.token);
    problem(push(), 415, "unsupported-media-type").await;
    let push = || push().header("content-type", "application/json");
    problem(push().header("content-encoding", "br"), 415, "unsupported-encoding").await;
    let found = problem(push(), 413, "too-large").await;
    assert_eq!(found["limit"], json!({ "name": "body_bytes", "value": 262_144 }));
    problem(push().body("{"), 400, "malformed").await;
    let long = format!("{{\"replica\":{:?}}}", "é".repeat(5000));
    let found = problem(push().body(long), 400, "malformed").await;
    assert!(found["detail"].as_str().unwrap().chars().count() <= 2048);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut subject = start(dir.path()).await;
    problem(subject.request(Method::DELETE, "/push"), 405, "method-not-allowed").await;
    problem(subject.request(Method::GET, "/nothing"), 404, "not-found").await;
    problem(subject.request(Method::GET, "/%ff/x"), 404, "not-found").await;
    let wrong = json!({ "user": "amina", "password": "wrong" }).to_string();
    problem(subject.request(Method::POST, "/login").body(wrong), 401, "unauthenticated").await;
    subject.data_set = "nobody".to_owned();
    problem(subject.request(Method::GET, ""), 404, "not-found").await;
    problem(subject.request(Method::GET, "/session"), 404, "not-found").await;
    subject.data_set = "control".to_owned();
    problem(subject.request(Method::POST, "/explode").body("{}"), 404, "not-found").await;
}

#[tokio::test]
async fn depth_bombs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let deep = "[".repeat(200_000);
    problem(subject.post("/pull", deep.clone()), 400, "malformed").await;
    problem(subject.post("/push", deep), 400, "malformed").await;
    let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(15_000));
    let bomb = create("r1", "m1", "o1").replace("\"fever\"", &deep);
    let answer = subject.push(&bomb).await;
    assert_eq!(answer["outcomes"][0]["problem"]["code"], "too-deep");
}

#[tokio::test]
async fn discovery_needs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let known = read(
        subject.http.get(format!("{}/.well-known/fieldsync", subject.running.base_url())).send().await.unwrap(),
        200,
    )
    .await;
    assert_eq!(known["base"], "/version_wins");
    for path in ["", "/"] {
        let found = read(subject.http.get(subject.url(path)).send().await.unwrap(), 200).await;
        assert_eq!(found["encodings"], json!(["gzip"]));
    }
    let ready = subject.http.get(format!("{}/-/ready", subject.running.base_url()));
    assert_eq!(read(ready.send().await.unwrap(), 200).await["ready"], true);
}

#[tokio::test]
async fn a_known_session_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let session = || subject.request(Method::GET, "/session").bearer_auth(&subject.token);
    let first = session().send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let body = read(first, 200).await;
    assert_eq!(tag, format!("\"{}\"", body["tag"].as_str().unwrap()));
    let second = session().header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(second.status(), 304);
    assert_eq!(second.headers()["etag"], tag);
    let other = session().header("if-none-match", "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn a_batch_on_which_the_rules_fail_stops_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start_with(dir.path(), |parts| {
        let decide = parts.rules.decide.clone();
        let rules = Rules {
            decide: Arc::new(move |batch, loaded, ground| {
                assert_ne!(batch.replica.as_str(), "poison", "a fault in the rules");
                decide(batch, loaded, ground)
            }),
            read_push: Arc::new(|body, limits, registry| {
                assert!(body.len() > 10, "another fault");
                fieldsync_core::push::read(body, limits, registry)
            }),
            ..parts.rules
        };
        Parts { rules, ..parts }
    })
    .await;
    let failed = problem(subject.post("/push", create("poison", "m1", "o1")), 500, "internal").await;
    assert_eq!(failed["retry"], "same");
    problem(subject.post("/push", "{}".to_owned()), 500, "internal").await;
    assert_eq!(subject.push(&create("r1", "m2", "o1")).await["outcomes"][0]["outcome"], "applied");
}

#[tokio::test]
async fn control_is_offered_on_loopback_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(fieldsync_server::SqliteStore::open(dir.path()).unwrap());
    let domain =
        fieldsync_server::domain_from_yaml(include_str!("../../../../fixtures/domain/version-wins.yaml")).unwrap();
    let mut settings = Settings::new(vec![domain]);
    settings.control = true;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = Server::start(settings, Parts::standard(store).unwrap(), listener).await;
    assert!(matches!(refused, Err(StartError::ControlOffLoopback(_))));
}

#[tokio::test]
async fn long_answers_are_compressed_where_the_client_asks() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    subject.push(&create("r1", "m1", "o1").replace("fever", &"long ".repeat(500))).await;
    let plain = reqwest::Client::builder().no_gzip().no_zstd().build().unwrap();
    let pull = json!({ "replica": "r1", "feeds": { "observation": null } }).to_string();
    for (asked, got) in [("gzip", "gzip"), ("zstd", "zstd"), ("identity", "")] {
        let long = subject.post("/pull", pull.clone()).header("accept-encoding", asked).build().unwrap();
        let long = plain.execute(long).await.unwrap();
        let coding = long.headers().get("content-encoding").map_or("", |value| value.to_str().unwrap());
        assert_eq!(coding, got);
        let short = plain.get(subject.url("")).header("accept-encoding", asked).send().await.unwrap();
        assert!(short.headers().get("content-encoding").is_none());
    }
}
