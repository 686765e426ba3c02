//! One kind of call of a device together with its answers, as JSON; [`transport`](super::transport) has all kinds, apart.

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

/// Changes the calls of this kind, and their answers.
pub fn exchanges(
    mut parts: DeviceParts,
    kind: CallKind,
    before: impl Fn(&mut Value) + Send + Sync + 'static,
    after: impl Fn(&Value, &mut Answer, &mut Value) + Send + Sync + 'static,
) -> DeviceParts {
    parts.transport = Arc::new(Exchanges { inner: parts.transport.clone(), kind, before, after });
    parts
}

struct Exchanges<B, A> {
    inner: Arc<dyn Transport>,
    kind: CallKind,
    before: B,
    after: A,
}

#[async_trait]
impl<B, A> Transport for Exchanges<B, A>
where
    B: Fn(&mut Value) + Send + Sync,
    A: Fn(&Value, &mut Answer, &mut Value) + Send + Sync,
{
    async fn send(&self, mut call: Call) -> Result<Answer, NetworkFailure> {
        if call.kind != self.kind {
            return self.inner.send(call).await;
        }
        let mut sent = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or(Value::Null);
        let original = sent.clone();
        (self.before)(&mut sent);
        // Left as it is, byte for byte, where nothing is changed.
        if sent != original {
            call.body = Some(sent.to_string());
        }
        let mut answer = self.inner.send(call).await?;
        let mut body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let original = body.clone();
        (self.after)(&sent, &mut answer, &mut body);
        if body != original {
            answer.body = body.to_string().into_bytes();
        }
        Ok(answer)
    }
}

/// Sends each call of this kind twice; the second answer counts.
pub fn twice(mut parts: DeviceParts, kind: CallKind) -> DeviceParts {
    parts.transport = Arc::new(Twice { inner: parts.transport.clone(), kind });
    parts
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
