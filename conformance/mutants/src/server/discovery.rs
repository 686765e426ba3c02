//! Faults against the chapter `discovery`.

use crate::Mutant;
use crate::seam::wire;
use axum::extract::Request;
use fieldsync_schemas::VERSION_HEADER;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "discovery-wants-a-version",
        "discovery.answer.without-login",
        "Discovery is treated like the session where the request names no version.",
        |parts| {
            wire::around(parts, |mut request: Request, next| async move {
                let is_base = request.uri().path().trim_matches('/').split('/').count() == 1;
                if is_base && !request.headers().contains_key(VERSION_HEADER) {
                    let path = format!("{}/session", request.uri().path().trim_end_matches('/'));
                    *request.uri_mut() = path.parse().expect("a path with one more segment is a path");
                }
                next.run(request).await
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
