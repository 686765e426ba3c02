//! `POST {base}/push`.
//!
//! Chapter: push.

use super::admission::Needs;
use super::fault::Fault;
use super::{App, admission};
use crate::writer::Submission;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::sync::Arc;

pub(super) async fn push(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let (caller, body) = admission::caller_with_body(&app, &data_set, request, Needs::Write).await?;
    let hosted = &caller.data_set.hosted;
    let batch = (app.parts.rules.read_push)(&body, &hosted.limits, &hosted.registry)?;
    let submission = Submission {
        data_set: caller.data_set,
        principal: caller.principal,
        role: caller.role,
        assignment: caller.assignment,
        batch,
    };
    let answer = app.writer.submit(submission).await?;
    let body = Bytes::copy_from_slice(answer.as_bytes());
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}
