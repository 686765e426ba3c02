//! Faults against the chapter `digest`.

use crate::Mutant;
use crate::seam::device_wire;
use fieldsync_schemas::scenario::CallKind;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-comparison-finds-nothing",
        "digest.device.mends",
        "The digests are fetched, and not looked at.",
        |parts| device_wire::answers(parts, CallKind::Digest, |_, _, body| body["feeds"] = json!([])),
    ),
    Mutant::device(
        "one-page-of-a-bucket-is-enough",
        "digest.device.mends",
        "The first page of a bucket is taken for all of it.",
        |parts| device_wire::answers(parts, CallKind::Bucket, |_, _, body| body["more"] = json!(false)),
    ),
    Mutant::device(
        "every-bucket-is-fetched",
        "digest.device.only-what-differs",
        "The device hashes what it holds in its own way, so that every bucket differs.",
        |parts| {
            device_wire::answers(parts, CallKind::Digest, |_, _, body| {
                for told in body["feeds"].as_array_mut().into_iter().flatten() {
                    for hash in told["buckets"].as_object_mut().into_iter().flat_map(|buckets| buckets.values_mut()) {
                        *hash = json!(hash.as_str().unwrap_or_default().chars().rev().collect::<String>());
                    }
                }
            })
        },
    ),
];
