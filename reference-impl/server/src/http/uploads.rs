//! `HEAD`, `PATCH` and `OPTIONS` of an upload's URL — the core of the tus protocol 1.0.0.
//!
//! Chapter: attachments. An upload is made by a slot; a client of tus goes on with it as with one that it knows from
//! before. The version of tus stands in the place of the protocol version.

use super::admission::{self, Needs};
use super::fault::Fault;
use super::{App, attachments, body};
use crate::blobs::{AppendError, Appended};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use fieldsync_schemas::problem::ProblemCode;
use std::sync::Arc;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Path((data_set, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let method = method(&parts);
    let mut response = if method == Method::OPTIONS {
        (StatusCode::NO_CONTENT, [(TUS_VERSION, VERSION)]).into_response()
    } else {
        served(&app, &data_set, &id, &method, &parts, body).await
    };
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    response
}

/// What stands in `X-HTTP-Method-Override` goes before the method itself.
fn method(parts: &Parts) -> Method {
    let instead = parts.headers.get(METHOD_OVERRIDE).and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    instead.unwrap_or_else(|| parts.method.clone())
}

async fn served(app: &App, data_set: &str, id: &str, method: &Method, parts: &Parts, body: Body) -> Response {
    if parts.headers.get(TUS_RESUMABLE) != Some(&VERSION) {
        body::discard(body).await;
        let fault = Fault::new(ProblemCode::UnsupportedTusVersion, "this server speaks tus 1.0.0");
        return ([(TUS_VERSION, VERSION)], fault).into_response();
    }
    let mut body = Some(body);
    let answer = match *method {
        Method::HEAD => offset(app, data_set, id, parts).await,
        Method::PATCH => patch(app, data_set, id, parts, &mut body).await,
        _ => Err(Fault::new(ProblemCode::MethodNotAllowed, format!("{method} is not a method of an upload"))),
    };
    if let Some(unread) = body {
        body::discard(unread).await;
    }
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn offset(app: &App, data_set: &str, id: &str, parts: &Parts) -> Result<Response, Fault> {
    let caller = admission::known_caller(app, data_set, parts, Needs::Write).await?;
    let upload = attachments::grown_upload_of(app, &caller, id).await?;
    let came = app.parts.blobs.uploads().length(id).await?;
    // Of one that was completed nothing is kept here: all of it came.
    let file = &upload.attachment;
    let is_there = app.parts.attachments.open_to(&caller.data_set.name, &caller.principal, &file.id).await?.is_some();
    let offset = if is_there { file.bytes } else { came };
    let head = [
        (UPLOAD_OFFSET, HeaderValue::from(offset)),
        (UPLOAD_LENGTH, HeaderValue::from(upload.attachment.bytes)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::OK, head).into_response())
}

async fn patch(app: &App, data_set: &str, id: &str, parts: &Parts, body: &mut Option<Body>) -> Result<Response, Fault> {
    let caller = admission::known_caller(app, data_set, parts, Needs::Write).await?;
    let upload = attachments::grown_upload_of(app, &caller, id).await?;
    let media_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !media_type.eq_ignore_ascii_case(b"application/offset+octet-stream") {
        let detail = "send the bytes as application/offset+octet-stream";
        return Err(Fault::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let named = number(&parts.headers, UPLOAD_OFFSET)
        .ok_or_else(|| Fault::new(ProblemCode::Malformed, "name the offset in the header Upload-Offset"))?;
    let sent = body.take().unwrap_or_default();
    match app.parts.blobs.uploads().append(id, named, upload.attachment.bytes, sent).await {
        Ok(Appended { offset }) => {
            Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, HeaderValue::from(offset))]).into_response())
        }
        Err(AppendError::Offset { is }) => {
            let detail = format!("the upload is at offset {is}, not at {named}");
            let fault = Fault::new(ProblemCode::OffsetMismatch, detail);
            Ok(([(UPLOAD_OFFSET, HeaderValue::from(is))], fault).into_response())
        }
        Err(AppendError::TooLong) => {
            let detail = format!("the file ends at {}", upload.attachment.bytes);
            Err(Fault::new(ProblemCode::TooLarge, detail))
        }
        Err(AppendError::Blob(error)) => Err(error.into()),
    }
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
