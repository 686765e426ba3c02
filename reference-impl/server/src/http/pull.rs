//! `POST {base}/pull`.
//!
//! Chapter: pull.

use super::admission::Needs;
use super::fault::Fault;
use super::{App, admission};
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fieldsync_core::pull::{self, Ground};
use std::sync::Arc;

pub(super) async fn pull(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let (caller, body) = admission::caller_with_body(&app, &data_set, request, Needs::Read).await?;
    let data_set = &caller.data_set;
    let asked = pull::read(&body, &data_set.hosted.limits)?;
    // No other epoch begins between the look at the present one and the view of its data.
    let gate = data_set.gate.read().await;
    let (epochs, session) = (data_set.epochs(), caller.session_tag());
    let mut snapshot = app.parts.store.snapshot(&data_set.name, &caller.principal).await?;
    drop(gate);
    let ground = Ground {
        data_set: &data_set.name,
        epochs: &epochs,
        principal: &caller.principal,
        role: &caller.role,
        session: &session,
        registry: &data_set.hosted.registry,
        profile: data_set.profile(),
        limits: &data_set.hosted.limits,
        cursors: &app.cursors,
        now: data_set.now(),
    };
    let answer = app.parts.rules.pull.answer(&asked, ground, &mut *snapshot).await?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}
