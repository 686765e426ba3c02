//! A server in this process, which is asked without a connection: where it is not judged itself, what lies below the
//! messages is of no interest, and costs more than the answer.

use super::trouble::TapTrouble;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

/// Answers requests within this process.
#[async_trait]
pub trait InProcess: Send + Sync {
    /// Answers a request, up to so many bytes of the body.
    async fn ask(&self, request: Request<Full<Bytes>>, body_limit: usize) -> Result<Response<Bytes>, TapTrouble>;
}
