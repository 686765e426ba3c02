//! The bytes that go with a call: read before it is sent, or kept as they come.

use crate::files::Files;
use crate::transport::FileBytes;
use crate::transport::{NetworkFailure, Transport};
use fieldsync_core::device::store::StoreError;
use fieldsync_core::device::{Answer, Call, Transfer};
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::record::Attachment;
use futures_util::stream::{self, StreamExt};
use std::io;
use std::sync::Arc;

/// What a call came to.
pub(crate) enum Carried {
    /// It was answered.
    Answered(Answer),
    /// The bytes that it was to carry are not here any more.
    FileMissing,
}

/// Why a call came to nothing.
pub(crate) enum CarryError {
    Network(NetworkFailure),
    Store(StoreError),
}

impl From<NetworkFailure> for CarryError {
    fn from(failure: NetworkFailure) -> Self {
        Self::Network(failure)
    }
}

impl From<StoreError> for CarryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Sends a call with what belongs to it.
pub(crate) async fn carry(
    transport: &dyn Transport,
    files: &Arc<dyn Files>,
    piece: u64,
    mut call: Call,
) -> Result<Carried, CarryError> {
    match call.transfer.clone() {
        Some(Transfer::Put { id, bytes, .. }) => {
            let is_whole = match bytes.checked_sub(1) {
                Some(last) => files.read(&id, last, 1)?.is_some_and(|byte| !byte.is_empty()),
                None => files.has(&id)?,
            };
            if !is_whole {
                return Ok(Carried::FileMissing);
            }
            Ok(Carried::Answered(transport.send_file(call, pieces(files.clone(), id, piece)).await?))
        }
        Some(Transfer::Append { id, offset, most }) => {
            match files.read(&id, offset, most)? {
                // A file that is shorter than it was is not the file any more.
                Some(bytes) if !bytes.is_empty() => call.bytes = bytes,
                _ => return Ok(Carried::FileMissing),
            }
            Ok(Carried::Answered(transport.send(call).await?))
        }
        Some(Transfer::Fetch(file)) => fetch(transport, &**files, piece, &call, &file).await.map(Carried::Answered),
        _ => Ok(Carried::Answered(transport.send(call).await?)),
    }
}

/// A file, piece by piece.
fn pieces(files: Arc<dyn Files>, id: AttachmentId, most: u64) -> FileBytes {
    stream::try_unfold(0, move |offset| {
        let piece = files.read(&id, offset, most).map_err(io::Error::other);
        async move {
            let piece = piece?.ok_or(io::ErrorKind::NotFound)?;
            let next = offset + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, next)))
        }
    })
    .boxed()
}

/// Fetches what is missing of a file, part by part; each is kept before the next is asked for.
async fn fetch(
    transport: &dyn Transport,
    files: &dyn Files,
    piece: u64,
    call: &Call,
    file: &Attachment,
) -> Result<Answer, CarryError> {
    let whole = |is_whole: bool| Answer { fetched: Some(is_whole), ..Answer::new(200, None, Vec::new()) };
    if files.has(&file.id)? {
        return Ok(whole(true));
    }
    loop {
        let first = files.partial(&file.id)?;
        if first >= file.bytes {
            return Ok(whole(files.finish(&file.id)?));
        }
        let part = Transfer::Part { first, last: (first + piece).min(file.bytes) - 1 };
        let answer = transport.send(Call { transfer: Some(part), ..call.clone() }).await?;
        let begins_right = match answer.status {
            206 => answer.range_start == Some(first),
            200 => first == 0,
            _ => return Ok(answer),
        };
        if !begins_right || answer.body.is_empty() {
            let doing = format!("GET {}", call.path);
            return Err(
                NetworkFailure { doing, reason: "the answer is not the part that was asked for".to_owned() }.into()
            );
        }
        files.append(&file.id, &answer.body)?;
    }
}
