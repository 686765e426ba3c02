//! The device's transport: calls before they are sent, answers before the device sees them.

use async_trait::async_trait;
use fieldsync_client::Transport;
use fieldsync_client::transport::NetworkFailure;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::scenario::CallKind;
use serde_json::Value;
use std::sync::Arc;

/// Changes the calls of a device, before they are sent.
pub fn calls(parts: DeviceParts, change: impl Fn(&mut Call) + Send + Sync + 'static) -> DeviceParts {
    around(parts, change, |_, _| Ok(()))
}

/// Changes the answers to a device, or loses them for the given reason.
pub fn answers(
    parts: DeviceParts,
    change: impl Fn(CallKind, &mut Answer) -> Result<(), &'static str> + Send + Sync + 'static,
) -> DeviceParts {
    around(parts, |_| {}, change)
}

/// Changes the JSON bodies of answers to a device.
pub fn bodies(parts: DeviceParts, change: impl Fn(CallKind, &mut Value) + Send + Sync + 'static) -> DeviceParts {
    answers(parts, move |kind, answer| {
        if let Ok(mut tree) = serde_json::from_slice(&answer.body) {
            change(kind, &mut tree);
            answer.body = serde_json::to_vec(&tree).expect("a tree is plain JSON");
        }
        Ok(())
    })
}

fn around(
    mut parts: DeviceParts,
    before: impl Fn(&mut Call) + Send + Sync + 'static,
    after: impl Fn(CallKind, &mut Answer) -> Result<(), &'static str> + Send + Sync + 'static,
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
    A: Fn(CallKind, &mut Answer) -> Result<(), &'static str> + Send + Sync,
{
    async fn send(&self, mut call: Call) -> Result<Answer, NetworkFailure> {
        (self.before)(&mut call);
        let kind = call.kind;
        let mut answer = self.inner.send(call).await?;
        (self.after)(kind, &mut answer)
            .map_err(|reason| NetworkFailure { doing: "reading the answer".to_owned(), reason: reason.to_owned() })?;
        Ok(answer)
    }
}
