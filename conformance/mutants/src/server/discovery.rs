//! Faults against the chapter `discovery`.

use crate::Mutant;
use crate::seam::wire;
use axum::extract::Request;
use axum::http::StatusCode;
use fieldsync_schemas::VERSION_HEADER;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "discovery-wants-a-version",
        "discovery.answer.without-login",
        "Discovery is refused, like everything else, where the request names no version.",
        |parts| {
            wire::around(parts, |request: Request, next| async move {
                let path = request.uri().path().trim_matches('/');
                let is_base = path != "control" && !path.contains('/');
                let is_refused = is_base && !request.headers().contains_key(VERSION_HEADER);
                let mut answer = next.run(request).await;
                if is_refused {
                    *answer.status_mut() = StatusCode::BAD_REQUEST;
                }
                answer
            })
        },
    ),
    Mutant::server(
        "the-well-known-place-leads-nowhere",
        "discovery.well-known.leads-to-base",
        "The well-known place names a path that moved away long ago.",
        |parts| wire::answers(parts, "/.well-known/fieldsync", |body| body["base"] = json!("/api/v1/sync")),
    ),
];
