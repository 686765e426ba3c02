//! A failure on its way out: trouble that waits for the id of its request.

use super::body;
use crate::auth::AuthError;
use crate::scope::ChangeError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fieldsync_core::problem::Trouble;
use fieldsync_core::pull::PullError;
use fieldsync_core::store::StoreError;
use fieldsync_schemas::problem::ProblemCode;

/// Trouble; the edge makes a problem of it.
#[derive(Debug, Clone)]
pub(super) struct Fault(pub(super) Box<Trouble>);

impl Fault {
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Trouble::new(code, detail).into()
    }

    /// A failure of the server itself: logged here, and told to the device without its insides.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(ProblemCode::Internal, "the server failed on this request; send it again")
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self(Box::new(trouble))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        Self::internal(&error)
    }
}

impl From<PullError> for Fault {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Trouble(trouble) => trouble.into(),
            PullError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Trouble(trouble) => (*trouble).into(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn not_found(request: Request) -> Fault {
    let detail = format!("there is nothing at {}", request.uri().path());
    body::discard(request.into_body()).await;
    Fault::new(ProblemCode::NotFound, detail)
}

pub(super) async fn method_not_allowed(request: Request) -> Fault {
    let detail = format!("{} is not a method of {}", request.method(), request.uri().path());
    body::discard(request.into_body()).await;
    Fault::new(ProblemCode::MethodNotAllowed, detail)
}
