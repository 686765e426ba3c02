//! Faults against the chapter `direct`.

use crate::Mutant;
use crate::seam::device_wire;
use async_trait::async_trait;
use fieldsync_client::transport::{NetworkFailure, Transport};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::scenario::CallKind;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "the-token-goes-along",
        "direct.device.token-stays-here",
        "A device sends its access token with every request, wherever that goes.",
        |parts| {
            let last = Mutex::new(None::<String>);
            device_wire::every_call(parts, move |call| {
                let mut last = last.lock().expect("nothing panics while it holds this");
                match call.kind {
                    CallKind::Store => call.token.clone_from(&last),
                    _ => last.clone_from(&call.token),
                }
            })
        },
    ),
    Mutant::device(
        "an-upload-without-an-answer-goes-again",
        "direct.device.end-before-again",
        "A device that did not hear of the end of its upload sends the file again, at once.",
        |parts| after_a_failure(parts, Then::SendAgain),
    ),
    Mutant::device(
        "a-storage-that-is-away-ends-the-sync",
        "direct.device.storage-down-holds-nothing",
        "A device takes a failure of the storage for one of the network.",
        |parts| after_a_failure(parts, Then::Fail),
    ),
    Mutant::device(
        "a-refused-signature-is-used-again",
        "direct.device.new-slot",
        "A device whose signature the storage refuses tries the same one in its next sync.",
        |parts| {
            device_wire::every_answer(parts, |kind, answer| {
                if kind == CallKind::Store && (400..500).contains(&answer.status) {
                    answer.status = 503;
                }
                Ok(())
            })
        },
    ),
];

#[derive(Clone, Copy, PartialEq)]
enum Then {
    SendAgain,
    Fail,
}

/// What a device does once after its storage failed.
fn after_a_failure(mut parts: DeviceParts, then: Then) -> DeviceParts {
    parts.transport = Arc::new(AfterAFailure { inner: parts.transport.clone(), then, failed: AtomicBool::new(false) });
    parts
}

struct AfterAFailure {
    inner: Arc<dyn Transport>,
    then: Then,
    failed: AtomicBool,
}

#[async_trait]
impl Transport for AfterAFailure {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let is_due = self.then == Then::Fail || call.kind == CallKind::Complete;
        if is_due && self.failed.swap(false, Ordering::Relaxed) {
            let problem = json!({"type": "about:blank", "title": "Conflict", "status": 409, "detail": "not asked",
                "code": "upload-incomplete", "retry": "never", "request_id": "none"});
            let media_type = Some("application/problem+json".to_owned());
            return match self.then {
                Then::SendAgain => Ok(Answer::new(409, media_type, problem.to_string().into_bytes())),
                Then::Fail => Err(NetworkFailure { doing: "PUT".to_owned(), reason: "no answer".to_owned() }),
            };
        }
        let kind = call.kind;
        let answer = self.inner.send(call).await;
        let went_well = answer.as_ref().is_ok_and(|answer| answer.status < 500);
        if kind == CallKind::Store && !went_well {
            self.failed.store(true, Ordering::Relaxed);
        }
        answer
    }
}
