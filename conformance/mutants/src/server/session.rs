//! Faults against the chapter `session`.

use crate::Mutant;
use crate::seam::storage::{self, StorageFault};
use crate::seam::wire;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fieldsync_schemas::session::Role;
use fieldsync_server::Parts;
use http::HeaderValue;
use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "whoever-names-nobody-is-the-last-one",
        "session.token.needed",
        "A request without a token is answered as one of whoever asked before.",
        nobody_is_the_last_one,
    ),
    Mutant::server(
        "everybody-has-a-role",
        "session.grant.needed",
        "An account without a role in the data set may read and write it.",
        |parts| storage::faulty(parts, EverybodyHasARole),
    ),
    Mutant::server(
        "a-role-is-not-looked-at",
        "session.role.read-only",
        "A principal who may only read can push.",
        |parts| storage::faulty(parts, EverybodyWrites),
    ),
    Mutant::server(
        "a-page-carries-a-tag-of-its-own",
        "session.tag.in-answers",
        "The answer to a pull carries a tag that the session does not have.",
        |parts| wire::answers(parts, "/pull", |body| body["session"] = json!("s-of-the-page")),
    ),
    Mutant::server(
        "one-tag-for-everybody",
        "session.tag.follows-content",
        "The tag names the version of the software, so every session has the same.",
        one_tag_for_everybody,
    ),
    Mutant::server(
        "the-tag-follows-the-clock",
        "session.tag.follows-content",
        "The tag is made of the whole session, its time included.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                let minute: String = body["server_time"].as_str().unwrap_or_default().chars().take(16).collect();
                body["tag"] = json!(format!("s-{minute}"));
            })
        },
    ),
    Mutant::server("the-session-has-no-etag", "session.tag.etag", "The tag is in the session's body only.", |parts| {
        wire::whole_answers(parts, "/session", |head, _| drop(head.headers.remove(ETAG)))
    }),
    Mutant::server(
        "a-login-counts-in-one-data-set",
        "session.login.gives-a-token",
        "The right password gives a token that opens nothing, other than in the data set that saw the first login.",
        a_login_counts_in_one_data_set,
    ),
    Mutant::server(
        "an-unknown-user-is-told-so",
        "session.login.wrong-is-one-answer",
        "A login with an unknown user says that there is no such user.",
        an_unknown_user_is_told_so,
    ),
    Mutant::server(
        "a-refresh-gives-a-token-of-the-wrong-kind",
        "session.refresh.gives-a-token",
        "A refresh gives a refresh token where the access token should be.",
        |parts| {
            wire::answers(parts, "/refresh", |body| {
                if body["access_token"].is_string() {
                    body["access_token"] = body["refresh_token"].clone();
                }
            })
        },
    ),
    Mutant::server(
        "a-refresh-token-is-an-access-token",
        "session.refresh.tokens-apart",
        "A refresh token is taken in the place of an access token.",
        a_refresh_token_is_an_access_token,
    ),
];

struct EverybodyHasARole;

impl StorageFault for EverybodyHasARole {
    fn grant(&self, role: &mut Option<Role>) {
        role.get_or_insert(Role::ReadWrite);
    }
}

struct EverybodyWrites;

impl StorageFault for EverybodyWrites {
    fn grant(&self, role: &mut Option<Role>) {
        if *role == Some(Role::ReadOnly) {
            *role = Some(Role::ReadWrite);
        }
    }
}

fn nobody_is_the_last_one(parts: Parts) -> Parts {
    let last = Arc::new(Mutex::new(None::<HeaderValue>));
    wire::around(parts, move |mut request: Request, next: Next| {
        let mut last = last.lock().expect("nobody panics with it");
        match (request.headers().get(AUTHORIZATION), last.clone()) {
            (Some(token), _) if token.as_bytes().len() > 100 => *last = Some(token.clone()),
            (None, Some(token)) => drop(request.headers_mut().insert(AUTHORIZATION, token)),
            _ => {}
        }
        drop(last);
        next.run(request)
    })
}

fn one_tag_for_everybody(parts: Parts) -> Parts {
    const ETAG_OF_ALL: &str = "\"s-0.1.0\"";
    let parts = wire::whole_requests(parts, "/session", |head, _| {
        if head.headers.get(IF_NONE_MATCH).is_some_and(|known| known == ETAG_OF_ALL) {
            head.headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
    });
    wire::whole_answers(parts, "/session", |head, body| {
        if let Ok(mut session) = serde_json::from_slice::<Value>(body) {
            session["tag"] = json!("s-0.1.0");
            *body = session.to_string().into_bytes();
        }
        head.headers.insert(ETAG, HeaderValue::from_static(ETAG_OF_ALL));
    })
}

/// The body of a request, which goes on whole.
async fn read(request: Request) -> (Request, Value) {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
    let tree = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    (Request::from_parts(head, Body::from(bytes)), tree)
}

/// The body of an answer, which goes on as it is changed.
async fn changed(answer: Response, change: impl FnOnce(&mut Value)) -> Response {
    let (mut head, body) = answer.into_parts();
    let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
    let mut tree = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    change(&mut tree);
    head.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(tree.to_string()))
}

fn a_login_counts_in_one_data_set(parts: Parts) -> Parts {
    let first = Arc::new(Mutex::new(None::<String>));
    wire::around(parts, move |request: Request, next: Next| {
        let path = request.uri().path().to_owned();
        let is_login = path.ends_with("/login");
        let is_first = !is_login || *first.lock().expect("nobody panics with it").get_or_insert(path.clone()) == path;
        async move {
            let answer = next.run(request).await;
            if is_first {
                return answer;
            }
            changed(answer, |body| {
                if body["access_token"].is_string() {
                    body["access_token"] = json!("token-of-another-data-set");
                }
            })
            .await
        }
    })
}

fn an_unknown_user_is_told_so(parts: Parts) -> Parts {
    let store = parts.store.clone();
    wire::around(parts, move |request: Request, next: Next| {
        let store = store.clone();
        async move {
            if !request.uri().path().ends_with("/login") {
                return next.run(request).await;
            }
            let (request, login) = read(request).await;
            let user = login["user"].as_str().unwrap_or_default();
            let known = store.account(user).await.is_ok_and(|account| account.is_some());
            let answer = next.run(request).await;
            if known || answer.status() != 401 {
                return answer;
            }
            changed(answer, |body| body["detail"] = json!("there is no user of this name")).await
        }
    })
}

fn a_refresh_token_is_an_access_token(parts: Parts) -> Parts {
    let pairs = Arc::new(Mutex::new(HashMap::<String, String>::new()));
    let given = pairs.clone();
    let parts = wire::answers(parts, "/login", move |body| {
        if let (Some(refresh), Some(access)) = (body["refresh_token"].as_str(), body["access_token"].as_str()) {
            let mut given = given.lock().expect("nobody panics with it");
            given.insert(format!("Bearer {refresh}"), format!("Bearer {access}"));
        }
    });
    wire::around(parts, move |mut request: Request, next: Next| {
        let token = request.headers().get(AUTHORIZATION).and_then(|token| token.to_str().ok()).unwrap_or_default();
        let access = pairs.lock().expect("nobody panics with it").get(token).cloned();
        if let Some(access) = access.and_then(|access| access.parse().ok()) {
            request.headers_mut().insert(AUTHORIZATION, access);
        }
        next.run(request)
    })
}
