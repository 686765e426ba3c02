//! Faults against the chapter `digest`.

use crate::Mutant;
use crate::seam::storage::{StorageFault, faulty};
use crate::seam::wire;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fieldsync_core::scope::Sight;
use fieldsync_server::Parts;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "the-hash-of-another-text",
        "digest.buckets.of-live-records",
        "The hash of a bucket is made of something else than the chapter says.",
        |parts| {
            wire::answers(parts, "/digest", |body| {
                for told in body["feeds"].as_array_mut().into_iter().flatten() {
                    for hash in told["buckets"].as_object_mut().into_iter().flat_map(|buckets| buckets.values_mut()) {
                        *hash = json!(hash.as_str().unwrap_or_default().chars().rev().collect::<String>());
                    }
                }
            })
        },
    ),
    Mutant::server(
        "what-moved-is-compared-too",
        "digest.feed.behind-is-left-out",
        "Every feed is compared, whatever the device has seen of it.",
        what_moved_is_compared_too,
    ),
    Mutant::server(
        "a-bucket-lacks-its-last-record",
        "digest.bucket.whole",
        "The end of a bucket is one record too early.",
        |parts| {
            wire::answers(parts, "/bucket", |body| drop(body["records"].as_array_mut().map(|records| records.pop())))
        },
    ),
    Mutant::server(
        "hashes-are-of-the-whole-feed",
        "digest.buckets.of-live-records",
        "A feed is compared without looking at the scope.",
        |parts| faulty(parts, WholeFeedIsCompared),
    ),
    Mutant::server(
        "a-bucket-is-of-the-whole-feed",
        "digest.bucket.whole",
        "A bucket is read without looking at the scope.",
        |parts| faulty(parts, WholeFeedIsInTheBucket),
    ),
];

struct WholeFeedIsCompared;

impl StorageFault for WholeFeedIsCompared {
    fn sight_of_digest(&self, sight: &mut Sight) {
        *sight = Sight::Everything;
    }
}

struct WholeFeedIsInTheBucket;

impl StorageFault for WholeFeedIsInTheBucket {
    fn sight_of_bucket(&self, sight: &mut Sight) {
        *sight = Sight::Everything;
    }
}

fn what_moved_is_compared_too(parts: Parts) -> Parts {
    wire::around(parts, |mut request: Request, next: Next| async move {
        if !request.uri().path().ends_with("/digest") {
            return next.run(request).await;
        }
        request.headers_mut().remove(ACCEPT_ENCODING);
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        let asked: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let answer = next.run(Request::from_parts(head, Body::from(bytes))).await;
        let (mut head, body) = answer.into_parts();
        let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        let mut answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(feeds) = answer["feeds"].as_array_mut() {
            for (feed, from) in asked["feeds"].as_object().into_iter().flatten() {
                if !feeds.iter().any(|told| told["feed"] == **feed) {
                    feeds.push(json!({"feed": feed, "from": from, "buckets": {}}));
                }
            }
        }
        head.headers.remove(CONTENT_LENGTH);
        Response::from_parts(head, Body::from(answer.to_string()))
    })
}
