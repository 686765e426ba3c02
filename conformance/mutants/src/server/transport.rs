//! Faults against the chapter `transport`.

use crate::Mutant;
use crate::seam::wire;
use axum::extract::Request;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING};
use serde_json::{Value, json};
use std::io::Write;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "an-answer-names-no-version",
        "transport.version.answered",
        "The answer to a session has no header that names its version.",
        |parts| wire::whole_answers(parts, "/session", |head, _| drop(head.headers.remove(VERSION_HEADER))),
    ),
    Mutant::server(
        "every-version-is-spoken",
        "transport.version.unsupported",
        "A request in any version, or in none, is taken as if it were in this one.",
        |parts| {
            wire::around(parts, |mut request: Request, next| async move {
                request.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(PROTOCOL_VERSION));
                next.run(request).await
            })
        },
    ),
    Mutant::server(
        "the-spoken-versions-are-a-secret",
        "transport.version.unsupported",
        "A request in another version is refused without a word on which versions there are.",
        |parts| wire::answers(parts, "", |body| drop(body.as_object_mut().map(|body| body.remove("supported")))),
    ),
    Mutant::server(
        "an-empty-list-comes-as-null",
        "transport.messages.valid-answers",
        "Where no feed moved, the list of feeds is null.",
        |parts| {
            wire::answers(parts, "/pull", |body| {
                if body["feeds"] == json!([]) {
                    body["feeds"] = Value::Null;
                }
            })
        },
    ),
    Mutant::server(
        "a-wrong-limit-is-replaced",
        "transport.messages.invalid-is-refused",
        "A pull whose limit is wrong is answered as if it had none.",
        |parts| {
            wire::requests(parts, "/pull", |body| {
                if body["limit"].as_u64().is_none_or(|limit| limit == 0)
                    && let Some(body) = body.as_object_mut()
                {
                    body.remove("limit");
                }
            })
        },
    ),
    Mutant::server(
        "an-unknown-member-is-malformed",
        "transport.members.ignored-by-servers",
        "A pull with a member that the server does not know is refused.",
        |parts| {
            wire::requests(parts, "/pull", |body| {
                let known = ["replica", "epoch", "limit", "feeds"];
                if body.as_object().is_some_and(|body| body.keys().any(|name| !known.contains(&name.as_str()))) {
                    *body = Value::Null;
                }
            })
        },
    ),
    Mutant::server(
        "an-announced-coding-is-not-read",
        "transport.coding.announced-is-read",
        "Discovery announces gzip, and a push in gzip is read as if it were plain.",
        |parts| wire::whole_requests(parts, "/push", |head, _| drop(head.headers.remove(CONTENT_ENCODING))),
    ),
    Mutant::server(
        "an-unknown-coding-is-read-as-plain",
        "transport.coding.other-is-refused",
        "A body in a coding that the server does not know is read as if it were plain.",
        |parts| {
            wire::whole_requests(parts, "/pull", |head, _| {
                if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "gzip") {
                    head.headers.remove(CONTENT_ENCODING);
                }
            })
        },
    ),
    Mutant::server(
        "every-answer-is-gzip",
        "transport.coding.answer-as-accepted",
        "A session is sent as gzip, whatever the request accepts.",
        |parts| {
            wire::whole_answers(parts, "/session", |head, body| {
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                packed.write_all(body).expect("a vector takes every byte");
                *body = packed.finish().expect("a vector takes every byte");
                head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            })
        },
    ),
    Mutant::server(
        "a-page-may-be-kept",
        "transport.cache.no-store",
        "Nothing is said to caches about the answer to a pull.",
        |parts| wire::whole_answers(parts, "/pull", |head, _| drop(head.headers.remove(CACHE_CONTROL))),
    ),
];
