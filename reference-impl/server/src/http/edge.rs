//! What every answer has: its headers, its problem where it failed, its line in the log.

use super::App;
use super::fault::Fault;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use fieldsync_core::problem::Trouble;
use fieldsync_schemas::id::{Principal, RequestId};
use fieldsync_schemas::problem::{PROBLEM_MEDIA_TYPE, ProblemCode};
use fieldsync_schemas::{PROTOCOL_VERSION, REQUEST_ID_HEADER, VERSION_HEADER};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What cannot be read is quoted in the detail, and may be as long as the body.
const LONGEST_DETAIL: usize = 2000;

/// Who asks, told by the admission to the log.
pub(super) type Asker = Arc<OnceLock<Principal>>;

pub(super) async fn edge(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::new(app.parts.ids.unique()).expect("ids are visible ASCII");
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asker = Asker::default();
    request.extensions_mut().insert(asker.clone());

    let mut response = next.run(request).await;
    // A failure without a fault comes from the router itself, which could not read the path.
    let fault = response.extensions_mut().remove::<Fault>().or_else(|| {
        response.status().is_client_error().then(|| Fault::new(ProblemCode::NotFound, "the path cannot be read"))
    });
    if let Some(Fault(trouble)) = fault {
        show_problem(&mut response, *trouble, id.clone());
    }
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(VERSION_HEADER), HeaderValue::from_static(PROTOCOL_VERSION));
    headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), value(id.as_str()));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    tracing::info!(
        request = %id,
        %method,
        path,
        status = response.status().as_u16(),
        millis = began.elapsed().as_secs_f64() * 1000.0,
        principal = asker.get().map(Principal::as_str),
        "answered"
    );
    response
}

fn show_problem(response: &mut Response, mut trouble: Trouble, id: RequestId) {
    trouble.detail.truncate(trouble.detail.floor_char_boundary(LONGEST_DETAIL));
    let problem = trouble.into_problem(id);
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = serde_json::to_vec(&problem).expect("a problem is plain JSON");
    *response.body_mut() = Body::from(text);
    let headers = response.headers_mut();
    headers.remove(axum::http::header::CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if problem.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids are visible ASCII")
}
