//! The way to a port without a connection, for the suite's own readers: their requests pass, and are recorded, as any
//! others, but no fault is ever meant for them.

use super::forward::{self, Deliver, Goal};
use super::port::Port;
use async_trait::async_trait;
use bytes::Bytes;
use fieldsync_client::transport::{self, NetworkFailure};
use fieldsync_client::{HttpTransport, Transport};
use fieldsync_core::device::{Answer, Call};
use http::Request;
use http_body_util::BodyExt;
use std::sync::Arc;

/// Hands the calls of a device in this process to its port.
pub(super) struct Direct {
    /// Makes the requests; sends none.
    pub(super) requests: HttpTransport,
    pub(super) port: Arc<Port>,
}

#[async_trait]
impl Transport for Direct {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let failed = |reason: String| NetworkFailure { doing: format!("{:?}", call.kind), reason };
        let request =
            self.requests.request(&call).and_then(|request| request.build().map_err(|error| error.to_string()));
        let request: Request<reqwest::Body> = request
            .and_then(|request| request.try_into().map_err(|error: reqwest::Error| error.to_string()))
            .map_err(failed)?;
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        let passed = tokio::select! {
            biased;
            () = self.port.closed() => Deliver::Nothing,
            passed = forward::pass(&self.port, &Goal::Server, head, Ok(body)) => passed,
        };
        match passed {
            Deliver::Whole(response, None) => {
                let (head, body) = response.into_parts();
                let body: Bytes = body.collect().await.map_err(|never| match never {})?.to_bytes();
                transport::answer(&call, http::Response::from_parts(head, body).into()).await
            }
            _ => Err(failed("the connection is closed".to_owned())),
        }
    }
}
