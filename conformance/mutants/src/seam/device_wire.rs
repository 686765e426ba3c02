//! The device's wire: calls before they are sent, answers before the device sees them.
//!
//! Most faults concern one kind of call, as JSON: [`calls`], [`answers`], [`exchanges`], [`twice`]. Those that concern
//! every call, or bytes that are no JSON, have [`every_call`], [`every_answer`] and [`every_body`].

use async_trait::async_trait;
use fieldsync_client::transport::{NetworkFailure, Transport};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::scenario::CallKind;
use serde_json::Value;
use std::sync::Arc;

/// Changes the body of calls of this kind.
pub fn calls(parts: DeviceParts, kind: CallKind, change: impl Fn(&mut Value) + Send + Sync + 'static) -> DeviceParts {
    exchanges(parts, kind, change, |_, _, _| {})
}

/// Changes the answers to calls of this kind; the function gets what was sent, the answer, and its body.
pub fn answers(
    parts: DeviceParts,
    kind: CallKind,
    change: impl Fn(&Value, &mut Answer, &mut Value) + Send + Sync + 'static,
) -> DeviceParts {
    exchanges(parts, kind, |_| {}, change)
}

/// Changes the calls of this kind, and their answers. What is not changed stays as it is, byte for byte.
pub fn exchanges(
    parts: DeviceParts,
    kind: CallKind,
    before: impl Fn(&mut Value) + Send + Sync + 'static,
    after: impl Fn(&Value, &mut Answer, &mut Value) + Send + Sync + 'static,
) -> DeviceParts {
    around(
        parts,
        move |call| {
            if call.kind == kind {
                let original = sent(call);
                let mut body = original.clone();
                before(&mut body);
                if body != original {
                    call.body = Some(body.to_string());
                }
            }
        },
        move |call, answer| {
            if call.kind == kind {
                let original = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                let mut body = original.clone();
                after(&sent(call), answer, &mut body);
                if body != original {
                    answer.body = body.to_string().into_bytes();
                }
            }
            Ok(())
        },
    )
}

/// Sends each call of this kind twice; the second answer counts.
pub fn twice(mut parts: DeviceParts, kind: CallKind) -> DeviceParts {
    parts.transport = Arc::new(Twice { inner: parts.transport.clone(), kind });
    parts
}

/// Changes every call.
pub fn every_call(parts: DeviceParts, change: impl Fn(&mut Call) + Send + Sync + 'static) -> DeviceParts {
    around(parts, change, |_, _| Ok(()))
}

/// Changes every answer, or loses it for the given reason.
pub fn every_answer(
    parts: DeviceParts,
    change: impl Fn(CallKind, &mut Answer) -> Result<(), &'static str> + Send + Sync + 'static,
) -> DeviceParts {
    around(parts, |_| {}, move |call, answer| change(call.kind, answer))
}

/// Changes the JSON body of every answer.
pub fn every_body(parts: DeviceParts, change: impl Fn(CallKind, &mut Value) + Send + Sync + 'static) -> DeviceParts {
    every_answer(parts, move |kind, answer| {
        if let Ok(mut tree) = serde_json::from_slice(&answer.body) {
            change(kind, &mut tree);
            answer.body = serde_json::to_vec(&tree).expect("a tree is plain JSON");
        }
        Ok(())
    })
}

fn sent(call: &Call) -> Value {
    call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(Value::Null)
}

fn around(
    mut parts: DeviceParts,
    before: impl Fn(&mut Call) + Send + Sync + 'static,
    after: impl Fn(&Call, &mut Answer) -> Result<(), &'static str> + Send + Sync + 'static,
) -> DeviceParts {
    parts.transport = Arc::new(Around { inner: parts.transport.clone(), before, after });
    parts
}

struct Around<B, A> {
    inner: Arc<dyn Transport>,
    before: B,
    after: A,
}

#[async_trait]
impl<B, A> Transport for Around<B, A>
where
    B: Fn(&mut Call) + Send + Sync,
    A: Fn(&Call, &mut Answer) -> Result<(), &'static str> + Send + Sync,
{
    async fn send(&self, mut call: Call) -> Result<Answer, NetworkFailure> {
        (self.before)(&mut call);
        let mut answer = self.inner.send(call.clone()).await?;
        (self.after)(&call, &mut answer)
            .map_err(|reason| NetworkFailure { doing: "reading the answer".to_owned(), reason: reason.to_owned() })?;
        Ok(answer)
    }
}

struct Twice {
    inner: Arc<dyn Transport>,
    kind: CallKind,
}

#[async_trait]
impl Transport for Twice {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        if call.kind == self.kind {
            self.inner.send(call.clone()).await?;
        }
        self.inner.send(call).await
    }
}
