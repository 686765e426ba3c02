//! Faults against the chapter `attachments`.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use async_trait::async_trait;
use fieldsync_client::transport::{NetworkFailure, Transport};
use fieldsync_client::{Admits, Captured, Files};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::store::StoreError;
use fieldsync_core::device::{Answer, Call, DeviceError, Event, LocalChange, Next, Reaction, Transfer};
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const HELD: &str = "nothing panics while it holds this";

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "a-file-waits-for-no-record",
        "attachments.device.record-first+2",
        "A device asks for the slot of a file before it pushes the record.",
        |parts| besides_pushes(parts, |push, _| first_file(push)),
    ),
    Mutant::device(
        "a-file-alone-is-no-change",
        "attachments.device.file-is-a-change",
        "A device has nothing to push where a file was added and nothing else.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| match &event {
                Event::Local(LocalChange::Attach { record, .. })
                    if machine.state().outbox.of(record).next().is_none() =>
                {
                    Ok(Reaction { writes: Vec::new(), next: Next::Idle })
                }
                _ => rules.handle(machine, event, context),
            })
        },
    ),
    Mutant::device(
        "a-merge-keeps-the-file-added-here",
        "attachments.merge.both-survive",
        "A device that merges pushes the file that was added on it in the place of all.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
                    let is_merged = !mutation["replaces"].is_null();
                    if let Some(files) = mutation["attachments"].as_array_mut().filter(|_| is_merged) {
                        files.drain(..files.len().saturating_sub(1));
                    }
                }
            })
        },
    ),
    Mutant::device(
        "any-file-can-be-added",
        "attachments.device.refuses-early",
        "A device adds a file to a record whatever its type says.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, body| {
                for entry in body["registry"]["types"].as_array_mut().into_iter().flatten() {
                    entry["attachments"] = json!({"order": "record-first", "link": "id"});
                }
            })
        },
    ),
    Mutant::device(
        "what-went-up-is-never-offered-again",
        "attachments.device.offers-again",
        "A device does not look at which files the server waits for.",
        |parts| {
            device_wire::answers(parts, CallKind::Pull, |_, _, body| {
                let pages = body["feeds"].as_array_mut().into_iter().flatten();
                let changes = pages.filter_map(|page| page["changes"].as_array_mut()).flatten();
                let files = changes.filter_map(|change| change["record"]["attachments"].as_array_mut()).flatten();
                files.filter(|file| file["state"] == "awaiting").for_each(|file| file["state"] = json!("on-its-way"));
            })
        },
    ),
    Mutant::device(
        "bytes-stay-for-ever",
        "attachments.device.let-go",
        "A device keeps the bytes of files that no record of it carries.",
        |mut parts| {
            parts.files = Arc::new(Retentive(parts.files.clone()));
            parts
        },
    ),
    Mutant::device(
        "every-record-goes-first",
        "attachments.device.media-first",
        "A device uploads files after their records, whatever the order of their type.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, body| {
                for entry in body["registry"]["types"].as_array_mut().into_iter().flatten() {
                    if entry["attachments"].is_object() {
                        entry["attachments"]["order"] = json!("record-first");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "a-record-waits-for-its-files",
        "attachments.device.media-first-holds-nothing",
        "A device ends its sync before the push, where a file could not go up.",
        |mut parts| {
            parts.transport = Arc::new(Sulking { inner: parts.transport.clone(), failed: AtomicBool::default() });
            parts
        },
    ),
    Mutant::device(
        "a-file-comes-for-each-of-its-records",
        "attachments.device.downloads-once",
        "A device downloads a file twice.",
        |parts| device_wire::twice(parts, CallKind::Download),
    ),
    Mutant::device(
        "an-edit-forgets-the-files",
        "attachments.device.edit-keeps-files",
        "A device pushes an update without the files of the record.",
        |parts| {
            device_wire::calls(parts, CallKind::Push, |body| {
                for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
                    if let Some(members) = mutation.as_object_mut().filter(|members| members["op"] == "update") {
                        members.remove("attachments");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "an-upload-begins-at-the-first-byte",
        "attachments.device.goes-on-where-it-stands",
        "A device takes an upload that was broken off for gone.",
        |parts| told_instead(parts, CallKind::Offset, 200, 410),
    ),
    Mutant::device(
        "an-upload-that-is-gone-is-gone-on-with",
        "attachments.device.new-slot+2",
        "A device whose upload is gone asks for its offset once more.",
        |parts| told_instead(parts, CallKind::Offset, 410, 409),
    ),
    Mutant::device(
        "a-spoilt-upload-is-given-up",
        "attachments.device.new-slot+2",
        "A device whose upload came as another file does not offer the file again in this sync.",
        |parts| told_instead(parts, CallKind::Complete, 422, 403),
    ),
    Mutant::device(
        "a-download-begins-anew",
        "attachments.device.download-resumed",
        "A device fetches a file from its first byte on, whatever came of it before.",
        |parts| {
            device_wire::every_call(parts, |call| {
                if let Some(Transfer::Rest { first }) = &mut call.transfer {
                    *first = 0;
                }
            })
        },
    ),
    Mutant::device(
        "what-the-server-has-is-sent",
        "attachments.device.sends-nothing-twice",
        "A device uploads a file, whatever its slot says.",
        |parts| {
            device_wire::answers(parts, CallKind::Slot, |_, _, body| {
                if body["have"] == true {
                    body["have"] = json!(false);
                    let ends = "2036-01-01T00:00:00.000Z";
                    body["upload"] = json!({"id": "u", "protocol": "tus-1.0", "url": "/u", "expires_at": ends});
                }
            })
        },
    ),
    Mutant::device(
        "a-lost-file-ends-the-sync",
        "attachments.device.one-holds-up-none",
        "A device that cannot read the bytes of a file ends its sync there.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let event = match event {
                    Event::FileMissing => Event::Lost("a file cannot be read".to_owned()),
                    event => event,
                };
                rules.handle(machine, event, context)
            })
        },
    ),
    Mutant::device(
        "the-file-of-a-deleted-record-goes-up",
        "attachments.device.deleted-is-not-uploaded",
        "A device that has asked for a slot asks again, though the record was deleted meanwhile.",
        |parts| {
            besides_pushes(parts, |push, earlier| {
                let mutations = push["mutations"].as_array().into_iter().flatten();
                earlier.clone().filter(|_| mutations.into_iter().any(|mutation| mutation["op"] == "delete"))
            })
        },
    ),
    Mutant::device(
        "whatever-comes-is-the-file",
        "attachments.device.download-verified",
        "A device takes the bytes that came for the file, without looking at their hash.",
        |mut parts| {
            parts.files = Arc::new(Credulous { inner: parts.files.clone(), came: Mutex::default() });
            parts
        },
    ),
    Mutant::device(
        "files-never-come-down",
        "attachments.device.downloads",
        "A device takes every file for one that is not there.",
        |parts| {
            device_wire::every_answer(parts, |kind, answer| {
                if kind == CallKind::Download {
                    answer.status = 404;
                }
                Ok(())
            })
        },
    ),
    Mutant::device(
        "files-come-down-whatever-it-costs",
        "attachments.device.metered+2",
        "A device uploads and downloads files though its user says that the network costs by the byte.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let event = match event {
                    Event::Metered(_) => Event::Metered(false),
                    event => event,
                };
                rules.handle(machine, event, context)
            })
        },
    ),
];

/// Takes one answer to calls of this kind for another.
fn told_instead(parts: DeviceParts, kind: CallKind, from: u16, to: u16) -> DeviceParts {
    device_wire::answers(parts, kind, move |_, answer, _| {
        if answer.status == from {
            answer.status = to;
        }
    })
}

/// The slot request for the first file of a push.
fn first_file(push: &Value) -> Option<Value> {
    let mutation = push["mutations"].as_array()?.iter().find(|mutation| mutation["attachments"].is_array())?;
    let mut slot = mutation["attachments"][0].clone();
    slot["type"] = mutation["type"].clone();
    Some(slot)
}

/// Asks for a slot before a push; `choose` gets the push and the last slot that was asked for.
fn besides_pushes(mut parts: DeviceParts, choose: fn(&Value, &Option<Value>) -> Option<Value>) -> DeviceParts {
    parts.transport = Arc::new(BesidesPushes { inner: parts.transport.clone(), choose, earlier: Mutex::default() });
    parts
}

struct BesidesPushes {
    inner: Arc<dyn Transport>,
    choose: fn(&Value, &Option<Value>) -> Option<Value>,
    earlier: Mutex<Option<Value>>,
}

#[async_trait]
impl Transport for BesidesPushes {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let body = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(Value::Null);
        if call.kind == CallKind::Slot {
            *self.earlier.lock().expect(HELD) = Some(body.clone());
        }
        let slot =
            (call.kind == CallKind::Push).then(|| (self.choose)(&body, &self.earlier.lock().expect(HELD))).flatten();
        if let Some(slot) = slot {
            let body = Some(slot.to_string());
            self.inner.send(Call { kind: CallKind::Slot, path: "/attachments".into(), body, ..call.clone() }).await?;
        }
        self.inner.send(call).await
    }
}

/// Does not push after a failure over a file.
struct Sulking {
    inner: Arc<dyn Transport>,
    failed: AtomicBool,
}

#[async_trait]
impl Transport for Sulking {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let kind = call.kind;
        if kind == CallKind::Push && self.failed.swap(false, Ordering::Relaxed) {
            return Err(NetworkFailure { doing: "POST /push".to_owned(), reason: "a file comes first".to_owned() });
        }
        let answer = self.inner.send(call).await;
        let is_about_a_file = matches!(kind, CallKind::Slot | CallKind::Upload | CallKind::Complete);
        if is_about_a_file && !answer.as_ref().is_ok_and(|answer| answer.status < 400) {
            self.failed.store(true, Ordering::Relaxed);
        }
        answer
    }
}

/// Loses nothing.
struct Retentive(Arc<dyn Files>);

impl Files for Retentive {
    fn put(&self, source: &mut dyn Read, admits: Admits<'_>) -> Result<Captured, DeviceError> {
        self.0.put(source, admits)
    }

    fn read(&self, id: &AttachmentId, offset: u64, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read(id, offset, most)
    }

    fn partial(&self, id: &AttachmentId) -> Result<u64, StoreError> {
        self.0.partial(id)
    }

    fn append(&self, id: &AttachmentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.append(id, bytes)
    }

    fn finish(&self, id: &AttachmentId) -> Result<bool, StoreError> {
        self.0.finish(id)
    }

    fn lose(&self, _: &AttachmentId) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Believes every byte.
struct Credulous {
    inner: Arc<dyn Files>,
    came: Mutex<HashMap<AttachmentId, Vec<u8>>>,
}

impl Files for Credulous {
    fn put(&self, source: &mut dyn Read, admits: Admits<'_>) -> Result<Captured, DeviceError> {
        self.inner.put(source, admits)
    }

    fn read(&self, id: &AttachmentId, offset: u64, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let whole = self.inner.read(id, offset, most)?;
        Ok(whole.or_else(|| self.came.lock().expect(HELD).get(id).cloned()))
    }

    fn partial(&self, id: &AttachmentId) -> Result<u64, StoreError> {
        Ok(self.came.lock().expect(HELD).get(id).map_or(0, |bytes| bytes.len() as u64))
    }

    fn append(&self, id: &AttachmentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.came.lock().expect(HELD).entry(id.clone()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&self, _: &AttachmentId) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn lose(&self, id: &AttachmentId) -> Result<(), StoreError> {
        self.inner.lose(id)
    }
}
