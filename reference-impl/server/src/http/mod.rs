//! The edge: HTTP in, the rules behind it, problems out.
//!
//! One file a route. What all of them share stands in three: [`admission`] says who may come in, [`body`] reads what
//! they bring, and [`edge`] gives every answer its headers, and every failure its problem.

mod admission;
mod attachments;
mod body;
mod control;
mod digest;
mod discovery;
mod edge;
mod fault;
mod login;
mod pull;
mod push;
mod readiness;
mod session;
mod uploads;

use crate::auth::Auth;
use crate::data_set::DataSets;
use crate::listen::Phase;
use crate::purge::Collector;
use crate::server::Parts;
use crate::writer::BatchWriter;
use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, Response, StatusCode, Version};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
pub(crate) use control::Control;
use fault::Fault;
use fieldsync_core::cursor::CursorKey;
use fieldsync_core::problem::Trouble;
use fieldsync_schemas::problem::{PROBLEM_MEDIA_TYPE, ProblemCode};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// What fits one packet is not sent any sooner for being smaller.
const WORTH_COMPRESSING: u64 = 1400;

/// What every route works with.
pub(crate) struct App {
    pub(crate) parts: Parts,
    pub(crate) data_sets: Arc<DataSets>,
    pub(crate) auth: Auth,
    pub(crate) cursors: CursorKey,
    pub(crate) writer: BatchWriter,
    pub(crate) collector: Collector,
    /// How long an upload can be gone on with.
    pub(crate) upload_life: Duration,
    /// The data set that `/.well-known/fieldsync` names.
    pub(crate) default: String,
    pub(crate) control: Option<Control>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// All routes, with everything around them.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/.well-known/fieldsync", get(discovery::well_known))
        .route("/-/ready", get(readiness::ready))
        .route("/{data_set}", get(discovery::discover))
        .route("/{data_set}/", get(discovery::discover))
        .route("/{data_set}/login", post(login::login))
        .route("/{data_set}/refresh", post(login::refresh))
        .route("/{data_set}/session", get(session::session))
        .route("/{data_set}/push", post(push::push))
        .route("/{data_set}/pull", post(pull::pull))
        .route("/{data_set}/digest", post(digest::digest))
        .route("/{data_set}/bucket", post(digest::bucket))
        .route("/{data_set}/attachments", post(attachments::slot))
        .route("/{data_set}/attachments/complete", post(attachments::complete))
        .route("/{data_set}/attachments/{id}", get(attachments::download))
        .route("/{data_set}/uploads/{id}", any(uploads::upload));
    if app.control.is_some() {
        router = router.route("/control", get(control::describe)).route("/control/{verb}", post(control::verb));
    }
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Precise(1))
        .compress_when(SizeAbove::new(WORTH_COMPRESSING).and(is_json));
    router
        .fallback(fault::not_found)
        .method_not_allowed_fallback(fault::method_not_allowed)
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(app, edge::edge))
        .layer(compression)
}

/// A file goes as it is: most are compressed already, and a range counts the bytes of the file.
fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.starts_with("application/json") || media_type.starts_with(PROBLEM_MEDIA_TYPE)
}

fn panicked(reason: Box<dyn Any + Send>) -> Response<Body> {
    let reason = reason.downcast_ref::<String>().map(String::as_str).or(reason.downcast_ref::<&str>().copied());
    tracing::error!(reason = reason.unwrap_or("not a text"), "a handler panicked");
    Fault::from(Trouble::new(ProblemCode::Internal, "the server failed on this request")).into_response()
}
