//! Faults against the chapter `attachments`.

use super::push::changed;
use crate::Mutant;
use crate::seam::attachments::{AttachmentFault, faulty};
use crate::seam::effects::{around_decide, around_pull, commits};
use crate::seam::wire;
use axum::extract::Request;
use axum::response::Response;
use fieldsync_core::attachment::{Blob, Upload};
use fieldsync_core::push::ReadMutation;
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::registry::{AttachmentLink, AttachmentOrder, AttachmentPolicy, AttachmentUpload};
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::Parts;
use http::header::{AUTHORIZATION, RANGE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

const HELD: &str = "nothing panics while it holds this";

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-record-carries-any-file",
        "attachments.record.policy",
        "A mutation is applied with whatever files it names.",
        |mut parts| {
            let read = parts.rules.read_push.clone();
            parts.rules.read_push = Arc::new(move |body, limits, registry| {
                let mut registry = registry.clone();
                for entry in &mut registry.types {
                    let (order, link) = (AttachmentOrder::RecordFirst, AttachmentLink::Id);
                    let (upload, media_types) = (AttachmentUpload::Proxied, Vec::new());
                    let any = AttachmentPolicy { order, link, upload, max_bytes: None, media_types };
                    entry.attachments = Some(any);
                }
                read(body, limits, &registry)
            });
            parts
        },
    ),
    Mutant::server(
        "a-record-is-published-with-one-file",
        "attachments.record.published",
        "Of several files of a record the first is published.",
        |parts| {
            commits(parts, |_, commit| {
                for state in &mut commit.states {
                    *state = changed(state, |record| record.attachments.truncate(1));
                }
            })
        },
    ),
    Mutant::server(
        "files-are-no-content",
        "attachments.record.content",
        "Contents are compared without their files.",
        |mut parts| {
            let read = parts.rules.read_push.clone();
            parts.rules.read_push = Arc::new(move |body, limits, registry| {
                let mut batch = read(body, limits, registry)?;
                let bare = read(&without_files(body), limits, registry)?;
                for (mutation, bare) in batch.mutations.iter_mut().zip(bare.mutations) {
                    mutation.content = bare.content;
                    if let (Some(asked), Some(bare)) = (mutation.change_mut(), bare.change()) {
                        asked.content = bare.content;
                    }
                }
                Ok(batch)
            });
            parts
        },
    ),
    Mutant::server(
        "a-file-is-stored-because-somebody-says-so",
        "attachments.state.by-the-server",
        "A file is published as stored as soon as a record names it.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                let asked = batch.mutations.iter().filter_map(ReadMutation::change);
                loaded.open.extend(asked.flat_map(|asked| &asked.attachments).map(|one| one.id.clone()));
                decide(batch, loaded, ground)
            })
        },
    ),
    Mutant::server(
        "an-arrival-makes-a-new-rev",
        "attachments.state.arrival-is-published",
        "A record whose file came is published under another rev, so that an edit of it becomes a conflict.",
        |parts| around_pull(parts, |_| {}, |_, answer| with_records(answer, &mut revved)),
    ),
    Mutant::server(
        "whoever-knows-the-hash-has-the-file",
        "attachments.slot.have-only-if-open",
        "A slot is answered with have wherever the file is there.",
        |parts| faulty(parts, EverythingOpen::default()),
    ),
    Mutant::server(
        "a-slot-takes-any-file",
        "attachments.slot.policy",
        "A slot is given for a file of any length and media type.",
        |parts| {
            wire::requests(parts, "/attachments", |body| {
                body["bytes"] = json!(17);
                body["media_type"] = json!("image/jpeg");
                body["type"] = json!("scan");
            })
        },
    ),
    Mutant::server(
        "who-only-reads-gets-a-slot",
        "attachments.slot.needs-write",
        "A slot is given to everybody who may read.",
        |parts| {
            wire::whole_answers(parts, "/attachments", |head, body| {
                if head.status == StatusCode::FORBIDDEN {
                    head.status = StatusCode::OK;
                    head.headers.insert("content-type", HeaderValue::from_static("application/json"));
                    *body = slot_for_anybody().to_string().into_bytes();
                }
            })
        },
    ),
    Mutant::server(
        "whoever-has-the-link-has-the-upload",
        "attachments.slot.own-to-principal",
        "Anybody with a link can go on with the upload of somebody else.",
        |parts| as_whoever_last(parts, |path, _| path.ends_with("/attachments"), |path, _| path.contains("/uploads/")),
    ),
    Mutant::server(
        "an-upload-never-expires",
        "attachments.slot.expires",
        "An upload can be gone on with after it has expired.",
        |parts| faulty(parts, Expired),
    ),
    Mutant::server(
        "an-offset-is-told-without-its-length",
        "attachments.upload.tus-core",
        "The answer to HEAD does not say how long the upload is to be.",
        |parts| {
            wire::around(parts, |request: Request, next| async move {
                let mut answer: Response = next.run(request).await;
                answer.headers_mut().remove("upload-length");
                answer
            })
        },
    ),
    Mutant::server(
        "bytes-go-to-the-end-of-the-upload",
        "attachments.upload.at-its-offset",
        "Bytes are appended wherever the upload stands, whatever offset the request names.",
        appended_anywhere,
    ),
    Mutant::server(
        "an-upload-ends-when-it-is-said-to",
        "attachments.complete.length-verified",
        "The end of an upload is answered with stored, though bytes are missing.",
        |parts| ends_well_instead_of(parts, StatusCode::CONFLICT),
    ),
    Mutant::server(
        "an-upload-is-what-it-is-said-to-be",
        "attachments.complete.hash-verified",
        "The end of an upload is answered with stored, though the bytes are others.",
        |parts| ends_well_instead_of(parts, StatusCode::UNPROCESSABLE_ENTITY),
    ),
    Mutant::server(
        "an-upload-ends-once",
        "attachments.complete.again",
        "The end of an upload that is told again is answered with upload-gone.",
        ends_once,
    ),
    Mutant::server(
        "a-download-begins-at-the-first-byte",
        "attachments.download.bytes",
        "A download gives the whole file, whatever range is asked for.",
        |parts| {
            wire::around(parts, |mut request: Request, next| async move {
                request.headers_mut().remove(RANGE);
                next.run(request).await
            })
        },
    ),
    Mutant::server(
        "a-file-is-given-out-twice",
        "attachments.download.bytes",
        "A file has no bytes any more for whoever comes after the second.",
        given_out_twice,
    ),
    Mutant::server(
        "whoever-knows-the-hash-reads-the-file",
        "attachments.download.open-only",
        "A download is given to everybody, once somebody has uploaded the file.",
        |parts| {
            let is_download = |path: &str, method: &Method| method == Method::GET && path.contains("/attachments/");
            as_whoever_last(parts, |path, _| path.ends_with("/attachments/complete"), is_download)
        },
    ),
    Mutant::server(
        "a-browser-may-guess-what-a-file-is",
        "attachments.download.inert",
        "A file is given out without nosniff.",
        |parts| {
            wire::around(parts, |request: Request, next| async move {
                let mut answer: Response = next.run(request).await;
                answer.headers_mut().remove(X_CONTENT_TYPE_OPTIONS);
                answer
            })
        },
    ),
    Mutant::server(
        "a-file-that-no-record-carries-is-deleted",
        "attachments.grace.kept",
        "Files that no record carries are collected at once.",
        |parts| faulty(parts, NoGrace),
    ),
];

fn without_files(push: &[u8]) -> Vec<u8> {
    let mut push: Value = serde_json::from_slice(push).unwrap_or_default();
    for mutation in push["mutations"].as_array_mut().into_iter().flatten() {
        mutation.as_object_mut().map(|members| members.remove("attachments"));
    }
    serde_json::to_vec(&push).expect("a tree is plain JSON")
}

/// Changes every record of a pull's answer.
fn with_records(answer: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    let pages = answer["feeds"].as_array_mut().into_iter().flatten();
    let changes = pages.filter_map(|page| page["changes"].as_array_mut()).flatten();
    changes.filter_map(|change| change.get_mut("record")).for_each(change);
}

fn revved(record: &mut Value) {
    let came = record["attachments"].as_array().into_iter().flatten().any(|one| one["state"] == "stored");
    if let Some(rev) = record["rev"].as_str().filter(|_| came).map(|rev| format!("{rev}-came")) {
        record["rev"] = json!(rev);
    }
}

#[derive(Default)]
struct EverythingOpen(Mutex<HashMap<AttachmentId, Blob>>);

impl AttachmentFault for EverythingOpen {
    fn found(&self, id: &AttachmentId, blob: &mut Option<Blob>) {
        *blob = blob.take().or_else(|| self.0.lock().expect(HELD).get(id).cloned());
    }

    fn arrives(&self, id: &AttachmentId, blob: &Blob) {
        self.0.lock().expect(HELD).insert(id.clone(), blob.clone());
    }
}

struct Expired;

impl AttachmentFault for Expired {
    fn upload(&self, upload: &mut Option<Upload>) {
        if let Some(upload) = upload {
            upload.expires_at = Timestamp::from_millis(i64::MAX);
        }
    }
}

struct NoGrace;

impl AttachmentFault for NoGrace {
    fn collects(&self, before: &mut Timestamp) {
        *before = Timestamp::from_millis(i64::MAX);
    }
}

/// Takes some requests for those of whoever last sent one of the others.
fn as_whoever_last(parts: Parts, is_first: fn(&str, &Method) -> bool, is_later: fn(&str, &Method) -> bool) -> Parts {
    let last = Arc::new(Mutex::new(None::<HeaderValue>));
    wire::around(parts, move |mut request: Request, next| {
        let last = last.clone();
        async move {
            let (path, method) = (request.uri().path().to_owned(), request.method().clone());
            if is_first(&path, &method) {
                *last.lock().expect(HELD) = request.headers().get(AUTHORIZATION).cloned();
            }
            let instead = last.lock().expect(HELD).clone().filter(|_| is_later(&path, &method));
            if let Some(instead) = instead {
                request.headers_mut().insert(AUTHORIZATION, instead);
            }
            next.run(request).await
        }
    })
}

fn appended_anywhere(parts: Parts) -> Parts {
    let offsets = Arc::new(Mutex::new(HashMap::<String, HeaderValue>::new()));
    wire::around(parts, move |mut request: Request, next| {
        let offsets = offsets.clone();
        async move {
            let path = request.uri().path().to_owned();
            if let Some(is) = offsets.lock().expect(HELD).get(&path).filter(|_| request.method() == Method::PATCH) {
                request.headers_mut().insert("upload-offset", is.clone());
            }
            let answer: Response = next.run(request).await;
            if let Some(is) = answer.headers().get("upload-offset") {
                offsets.lock().expect(HELD).insert(path, is.clone());
            }
            answer
        }
    })
}

fn given_out_twice(parts: Parts) -> Parts {
    let given = Arc::new(Mutex::new(HashMap::<String, u32>::new()));
    wire::around(parts, move |mut request: Request, next| {
        let path = request.uri().path().to_owned();
        let is_download = request.method() == Method::GET && path.contains("/attachments/");
        let mut given = given.lock().expect(HELD);
        let times = given.entry(path).or_default();
        *times += u32::from(is_download);
        if is_download && *times > 2 {
            request.headers_mut().insert(RANGE, HeaderValue::from_static("bytes=9999999999-"));
        }
        drop(given);
        async move { next.run(request).await }
    })
}

fn slot_for_anybody() -> Value {
    let upload =
        json!({"id": "u-1", "protocol": "tus-1.0", "url": "/uploads/u-1", "expires_at": "2100-01-01T00:00:00Z"});
    json!({"id": format!("sha256:{}", "0".repeat(64)), "have": false, "upload": upload})
}

pub(super) fn ends_well_instead_of(parts: Parts, status: StatusCode) -> Parts {
    wire::whole_answers(parts, "/attachments/complete", move |head, body| {
        if head.status == status {
            head.status = StatusCode::OK;
            head.headers.insert("content-type", HeaderValue::from_static("application/json"));
            let id = format!("sha256:{}", "0".repeat(64));
            *body = json!({"id": id, "state": "stored"}).to_string().into_bytes();
        }
    })
}

fn ends_once(parts: Parts) -> Parts {
    let ended = Mutex::new(HashSet::<String>::new());
    wire::requests(parts, "/attachments/complete", move |body| {
        let upload = body["upload"].as_str().unwrap_or_default().to_owned();
        if !ended.lock().expect(HELD).insert(upload) {
            body["upload"] = json!("ended-already");
        }
    })
}
