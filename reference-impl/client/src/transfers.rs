//! The bytes that go with a call: read before it is sent, or kept as they come.

use crate::files::{Files, PIECE};
use crate::transport::{FileBytes, NetworkFailure, Transport};
use bytes::Bytes;
use fieldsync_core::device::store::StoreError;
use fieldsync_core::device::{Answer, Call, Transfer};
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::record::Attachment;
use futures_util::stream::{self, StreamExt, TryStreamExt};
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
            Ok(Carried::Answered(transport.send_file(call, pieces(files.clone(), id)).await?))
        }
        Some(Transfer::Append { id, offset, most }) => {
            match files.read(&id, offset, most)? {
                // A file that is shorter than it was is not the file any more.
                Some(bytes) if !bytes.is_empty() => call.bytes = bytes,
                _ => return Ok(Carried::FileMissing),
            }
            Ok(Carried::Answered(transport.send(call).await?))
        }
        Some(Transfer::Fetch(file)) => fetch(transport, &**files, call, &file).await.map(Carried::Answered),
        _ => Ok(Carried::Answered(transport.send(call).await?)),
    }
}

/// A file, piece by piece.
fn pieces(files: Arc<dyn Files>, id: AttachmentId) -> FileBytes {
    stream::try_unfold(0, move |offset| {
        let piece = files.read(&id, offset, PIECE as u64).map_err(io::Error::other);
        async move {
            let piece = piece?.ok_or(io::ErrorKind::NotFound)?;
            let next = offset + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((Bytes::from(piece), next)))
        }
    })
    .boxed()
}

/// Fetches what is missing of a file. What comes is kept as it comes, so that a download that breaks off is gone on with.
async fn fetch(
    transport: &dyn Transport,
    files: &dyn Files,
    call: Call,
    file: &Attachment,
) -> Result<Answer, CarryError> {
    let whole = |is_whole: bool| Answer { fetched: Some(is_whole), ..Answer::new(200, None, Vec::new()) };
    if files.has(&file.id)? {
        return Ok(whole(true));
    }
    let first = files.partial(&file.id)?;
    if first < file.bytes {
        let doing = format!("GET {}", call.path);
        let failed = |reason: String| CarryError::Network(NetworkFailure { doing: doing.clone(), reason });
        let (answer, mut bytes) = transport.fetch(Call { transfer: Some(Transfer::Rest { first }), ..call }).await?;
        match answer.status {
            206 if answer.range_start == Some(first) => {}
            206 => return Err(failed("the answer is not the part that was asked for".to_owned())),
            // Whoever knows no ranges gives all of it.
            200 if first > 0 => files.lose(&file.id)?,
            200 => {}
            _ => return Ok(answer),
        }
        let mut kept = files.partial(&file.id)?;
        let mut came = Vec::new();
        let end = loop {
            match bytes.try_next().await {
                Ok(Some(piece)) => came.extend_from_slice(&piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if came.len() >= PIECE {
                kept += came.len() as u64;
                files.append(&file.id, &came)?;
                came.clear();
            }
            if kept > file.bytes {
                // It is another file; its hash will say so.
                break Ok(());
            }
        };
        kept += came.len() as u64;
        files.append(&file.id, &came)?;
        end.map_err(|error| failed(error.to_string()))?;
        if kept < file.bytes {
            return Err(failed(format!("{kept} of {} bytes came", file.bytes)));
        }
    }
    Ok(whole(files.finish(&file.id)?))
}
