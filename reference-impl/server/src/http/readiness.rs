//! `GET /-/ready` — whether the server can serve now; for whatever watches over it.

use super::App;
use super::fault::Fault;
use crate::listen::Phase;
use axum::Json;
use axum::extract::State;
use fieldsync_core::problem::Trouble;
use fieldsync_schemas::problem::ProblemCode;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let serving = *app.phase.borrow() == Phase::Serving;
    // Any read tells whether the storage answers.
    if serving && app.parts.store.secret("cursors").await.is_ok() {
        return Ok(Json(json!({ "ready": true })));
    }
    let mut trouble = Trouble::new(ProblemCode::Unavailable, "the server is not ready");
    trouble.retry_after = Some(1);
    Err(trouble.into())
}
