//! `GET {base}/session`.
//!
//! Chapter: session.

use super::admission::Needs;
use super::fault::Fault;
use super::{App, admission};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub(super) async fn session(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let (parts, _) = request.into_parts();
    let caller = admission::caller(&app, &data_set, &parts, Needs::Read).await?;
    let session = caller.data_set.session(&caller.principal, &caller.role, &caller.assignment);
    let tag = format!("\"{}\"", session.tag);
    let headers = [(ETAG, tag.clone()), (CACHE_CONTROL, "private, no-cache".to_owned())];
    if knows(&parts.headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, Json(session)).into_response())
}

/// RFC 9110, section 13.1.2: compared weakly, because a coding on the way may have weakened the tag.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
        })
}
