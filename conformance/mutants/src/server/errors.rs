//! Faults against the chapter `errors`.

use crate::Mutant;
use crate::seam::wire;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "what-is-not-found-is-plain-text",
        "errors.problem.form",
        "A path that does not exist is answered in plain text.",
        |parts| {
            wire::whole_answers(parts, "", |head, body| {
                if head.status == 404 {
                    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                    *body = b"Not Found".to_vec();
                }
            })
        },
    ),
    Mutant::server(
        "a-wrong-cursor-is-final",
        "errors.problem.status-and-retry",
        "The problem about a wrong cursor tells the device to give up.",
        |parts| {
            wire::answers(parts, "/pull", |body| {
                if body["code"] == "invalid-cursor" {
                    body["retry"] = json!("never");
                }
            })
        },
    ),
    Mutant::server(
        "a-problem-names-another-request",
        "errors.request-id.named",
        "The request id of a problem is not the one in the header.",
        |parts| {
            wire::answers(parts, "/pull", |body| {
                if body["request_id"].is_string() {
                    body["request_id"] = json!("r-0");
                }
            })
        },
    ),
];
