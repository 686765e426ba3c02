//! `POST {base}/attachments`, `POST {base}/attachments/complete` and `GET {base}/attachments/{id}`.
//!
//! Chapter: attachments. A slot is asked for, the bytes go to the upload ([`super::uploads`]), and the end of it is
//! told, which is when the server looks at them.

use super::admission::{Caller, Needs};
use super::fault::Fault;
use super::{App, admission};
use crate::blobs::{BlobError, Finished};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE,
};
use axum::http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fieldsync_core::attachment::{self, Blob, Upload};
use fieldsync_core::links;
use fieldsync_core::problem::Trouble;
use fieldsync_schemas::attachment::{
    CompleteAnswer, CompleteRequest, SlotAnswer, SlotRequest, UploadOffer, UploadProtocol,
};
use fieldsync_schemas::id::{AttachmentId, MAX_SAFE_INTEGER, UploadId};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::record::{Attachment, AttachmentState};
use fieldsync_schemas::registry::AttachmentUpload;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(ProblemCode::Malformed, format!("the body is no {what}: {error}")))
}

pub(super) async fn slot(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Json<SlotAnswer>, Fault> {
    let (caller, body) = admission::caller_with_body(&app, &data_set, request, Needs::Write).await?;
    let SlotRequest { type_name, id, bytes, media_type } = read(&body, "slot request")?;
    let is_a_header = HeaderValue::from_str(&media_type).is_ok();
    if bytes > MAX_SAFE_INTEGER || media_type.is_empty() || media_type.len() > 255 || !is_a_header {
        return Err(Fault::new(ProblemCode::Malformed, "a slot names a length and a media type"));
    }
    let Caller { data_set, principal, .. } = &caller;
    let attachment = Attachment { id: id.clone(), bytes, media_type, state: None };
    let entry = data_set.hosted.registry.entry(&type_name);
    let entry =
        entry.ok_or_else(|| Fault::new(ProblemCode::UnknownType, format!("the registry has no type {type_name}")))?;
    attachment::check(&attachment, entry).map_err(|refusal| Trouble::new(refusal.code, refusal.detail))?;
    // What is there now is there until it is written down that it was offered.
    let nothing_goes = app.parts.blobs.nothing_goes().await;
    if let Some(blob) = app.parts.attachments.open_to(&data_set.name, principal, &id).await? {
        if blob.bytes != bytes {
            let detail = format!("{id} has {} bytes, not {bytes}", blob.bytes);
            return Err(Fault::new(ProblemCode::AttachmentMismatch, detail));
        }
        app.writer.arrive(data_set, principal, &id, &blob).await?;
        let url = Some(links::url(&data_set.name, &id));
        return Ok(Json(SlotAnswer { id, have: true, upload: None, url }));
    }
    drop(nothing_goes);
    let is_direct = entry.attachments.as_ref().is_some_and(|policy| policy.upload == AttachmentUpload::Direct);
    let upload = Upload {
        id: UploadId::new(app.parts.ids.unique()).expect("ids have the form of an upload id"),
        principal: principal.clone(),
        attachment,
        // Without an object storage all files come through the server.
        protocol: match is_direct && app.parts.blobs.takes_direct() {
            true => UploadProtocol::SignedPut,
            false => UploadProtocol::Tus,
        },
        expires_at: data_set.now().plus(app.upload_life),
    };
    app.parts.attachments.put_upload(&data_set.name, &upload).await?;
    let offer = match upload.protocol {
        UploadProtocol::SignedPut => app.parts.blobs.offer(&upload, app.upload_life).await?,
        _ => UploadOffer {
            url: format!("/{}/uploads/{}", data_set.name.0, upload.id),
            headers: BTreeMap::new(),
            id: upload.id,
            protocol: upload.protocol,
            expires_at: upload.expires_at,
        },
    };
    Ok(Json(SlotAnswer { id, have: false, upload: Some(offer), url: None }))
}

/// The principal's own upload, as long as it has not expired. Anybody else's is as good as none.
pub(super) async fn upload_of(app: &App, caller: &Caller, id: &str) -> Result<Upload, Fault> {
    let gone =
        || Fault::new(ProblemCode::UploadGone, "there is no such upload, or it has expired; ask for another slot");
    let id = UploadId::new(id).map_err(|_| gone())?;
    let upload = app.parts.attachments.upload(&caller.data_set.name, &id).await?.ok_or_else(gone)?;
    let is_theirs = upload.principal == caller.principal && caller.data_set.now() < upload.expires_at;
    is_theirs.then_some(upload).ok_or_else(gone)
}

/// The same of one that comes through the server.
pub(super) async fn grown_upload_of(app: &App, caller: &Caller, id: &str) -> Result<Upload, Fault> {
    let upload = upload_of(app, caller, id).await?;
    let elsewhere = || Fault::new(ProblemCode::UploadGone, "this upload goes to another place, which its slot names");
    (upload.protocol == UploadProtocol::Tus).then_some(upload).ok_or_else(elsewhere)
}

pub(super) async fn complete(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Json<CompleteAnswer>, Fault> {
    let (caller, body) = admission::caller_with_body(&app, &data_set, request, Needs::Write).await?;
    let asked: CompleteRequest = read(&body, "end of an upload")?;
    let Caller { data_set, principal, .. } = &caller;
    let upload = upload_of(&app, &caller, asked.upload.as_str()).await?;
    let Attachment { id, bytes, media_type, .. } = upload.attachment.clone();
    let url = Some(links::url(&data_set.name, &id));
    let stored = CompleteAnswer { id: id.clone(), state: AttachmentState::Stored, url };
    if asked.id != id {
        return Err(Fault::new(ProblemCode::AttachmentMismatch, format!("the upload is one of {id}")));
    }
    let blob = Blob { bytes, media_type };
    let enter = || async {
        app.writer.arrive(data_set, principal, &id, &blob).await?;
        Ok::<(), Fault>(())
    };
    let blobs = &app.parts.blobs;
    match blobs.finish(&upload, enter).await? {
        Finished::Whole => Ok(Json(stored)),
        // It was completed before, and the answer was lost.
        _ if app.parts.attachments.open_to(&data_set.name, principal, &id).await?.is_some() => Ok(Json(stored)),
        Finished::Short(length) => {
            Err(Fault::new(ProblemCode::UploadIncomplete, format!("{length} of {bytes} bytes came; go on at {length}")))
        }
        Finished::Other => {
            blobs.forget(&upload).await?;
            Err(Fault::new(ProblemCode::AttachmentMismatch, format!("the bytes that came are not those of {id}")))
        }
    }
}

pub(super) async fn download(
    State(app): State<Arc<App>>,
    Path((data_set, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let (parts, _) = request.into_parts();
    let caller = admission::caller(&app, &data_set, &parts, Needs::Read).await?;
    let not_there = || Fault::new(ProblemCode::NotFound, "there is no such file, or it is not open to you");
    let id = AttachmentId::new(id).map_err(|_| not_there())?;
    let found = app.parts.attachments.open_to(&caller.data_set.name, &caller.principal, &id).await?;
    let Blob { bytes, media_type } = found.ok_or_else(not_there)?;
    let head = [
        (CONTENT_TYPE, media_type),
        (ETAG, format!("\"{id}\"")),
        (ACCEPT_RANGES, "bytes".to_owned()),
        // Whatever the media type says, a browser that comes here saves the file and runs nothing.
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_DISPOSITION, "attachment".to_owned()),
        (HeaderName::from_static("content-security-policy"), "default-src 'none'; sandbox".to_owned()),
    ];
    let (status, range) = match asked_range(&parts.headers, bytes) {
        Asked::Whole => (StatusCode::OK, 0..bytes),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Nothing => {
            let all = [(CONTENT_RANGE, format!("bytes */{bytes}"))];
            let fault = Fault::new(ProblemCode::RangeNotSatisfiable, format!("the file has {bytes} bytes"));
            return Ok((all, fault).into_response());
        }
    };
    let length = range.end - range.start;
    let body = Body::from_stream(app.parts.blobs.read(&id, range.clone()).await?);
    let mut response = (status, head, [(CONTENT_LENGTH, length.to_string())], body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {}-{}/{bytes}", range.start, range.end - 1);
        response.headers_mut().insert(CONTENT_RANGE, told.parse().expect("numbers are a header value"));
    }
    Ok(response)
}

/// What of a file is asked for.
#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// RFC 9110, section 14.2: one range of bytes. What is written otherwise is ignored.
fn asked_range(headers: &HeaderMap, bytes: u64) -> Asked {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Asked::Whole };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), _) if first >= bytes && (last.is_empty() || number(last).is_some()) => Asked::Nothing,
        (Some(first), Some(last)) => Asked::Part(first..bytes.min(last + 1)),
        (Some(first), None) if last.is_empty() => Asked::Part(first..bytes),
        (None, Some(0)) if first.is_empty() => Asked::Nothing,
        (None, Some(_)) if first.is_empty() && bytes == 0 => Asked::Nothing,
        (None, Some(last)) if first.is_empty() => Asked::Part(bytes.saturating_sub(last)..bytes),
        _ => Asked::Whole,
    }
}

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_what_is_none_is_ignored() {
        for (range, bytes, asked) in [
            ("bytes=0-3", 10, Asked::Part(0..4)),
            ("bytes=4-", 10, Asked::Part(4..10)),
            ("bytes=4-99", 10, Asked::Part(4..10)),
            ("bytes=-3", 10, Asked::Part(7..10)),
            ("bytes=-30", 10, Asked::Part(0..10)),
            ("bytes=10-", 10, Asked::Nothing),
            ("bytes=-0", 10, Asked::Nothing),
            ("bytes=0-", 0, Asked::Nothing),
            ("bytes=3-2", 10, Asked::Whole),
            ("bytes=1-2,4-5", 10, Asked::Whole),
            ("bytes=-", 10, Asked::Whole),
            ("lines=1-2", 10, Asked::Whole),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            assert_eq!(asked_range(&headers, bytes), asked, "{range} of {bytes}");
        }
        assert_eq!(asked_range(&HeaderMap::new(), 10), Asked::Whole);
    }
}
