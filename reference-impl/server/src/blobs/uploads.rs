//! Uploads that grow: one file each, whose length is the offset. At most one request appends to it at a time, and a
//! later one takes over from an earlier one, whose connection may be long dead.

use super::{BlobError, failed};
use axum::body::Body;
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

/// How long a body may stand still.
const STILL: Duration = Duration::from_secs(30);

/// Where an upload stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its length.
    pub offset: u64,
}

/// Why nothing, or not all, was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The upload stands elsewhere.
    #[error("the upload is at offset {is}")]
    Offset {
        /// Where.
        is: u64,
    },
    /// The body goes beyond the end of the file.
    #[error("the body goes beyond the end of the file")]
    TooLong,
    /// The bytes could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Who writes to an upload.
struct Pen {
    held: Arc<AsyncMutex<()>>,
    /// How many have asked for it; the last of them has it, or gets it next.
    asked: watch::Sender<u64>,
}

impl Default for Pen {
    fn default() -> Self {
        Self { held: Arc::default(), asked: watch::channel(0).0 }
    }
}

/// The pen in somebody's hand.
pub(super) struct Held {
    _held: OwnedMutexGuard<()>,
    _pen: Arc<Pen>,
    turn: u64,
    asked: watch::Receiver<u64>,
}

impl Held {
    /// Returns once somebody else asks for it.
    async fn is_wanted(&mut self) {
        let turn = self.turn;
        _ = self.asked.wait_for(|asked| *asked != turn).await;
    }
}

/// The folder of uploads.
pub(crate) struct Uploads {
    dir: PathBuf,
    pens: Mutex<HashMap<String, Arc<Pen>>>,
}

impl Uploads {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), pens: Mutex::default() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// An upload is named by the server, in letters, digits, `-` and `_`.
    fn path(&self, upload: &str) -> PathBuf {
        self.dir.join(upload)
    }

    fn pen(&self, upload: &str) -> Arc<Pen> {
        let mut pens = self.pens.lock().unwrap_or_else(PoisonError::into_inner);
        pens.retain(|_, pen| Arc::strong_count(pen) > 1);
        pens.entry(upload.to_owned()).or_default().clone()
    }

    /// Takes over from whoever writes to an upload.
    pub(super) async fn hold(&self, upload: &str) -> Held {
        let pen = self.pen(upload);
        let mut turn = 0;
        pen.asked.send_modify(|asked| {
            *asked += 1;
            turn = *asked;
        });
        let asked = pen.asked.subscribe();
        Held { _held: pen.held.clone().lock_owned().await, _pen: pen, turn, asked }
    }

    /// How many bytes came; none of an upload that was only begun.
    pub(crate) async fn length(&self, upload: &str) -> Result<u64, BlobError> {
        match tokio::fs::metadata(self.path(upload)).await {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("look at an upload")(error)),
        }
    }

    /// Appends a body at this offset, to at most `bytes`. What came of one that broke off stays.
    pub(crate) async fn append(
        &self,
        upload: &str,
        offset: u64,
        bytes: u64,
        mut body: Body,
    ) -> Result<Appended, AppendError> {
        const DOING: &str = "append to an upload";
        let mut held = self.hold(upload).await;
        let is = self.length(upload).await?;
        if is != offset {
            return Err(AppendError::Offset { is });
        }
        let file = OpenOptions::new().create(true).append(true).open(self.path(upload)).await;
        let mut file = file.map_err(failed(DOING))?;
        let mut length = offset;
        let mut too_long = false;
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(STILL, body.frame()) => frame,
                () = held.is_wanted() => break,
            };
            // A body that breaks off or stands still ends here; how far it came is told.
            let Ok(Some(Ok(frame))) = frame else { break };
            let Some(data) = frame.data_ref() else { continue };
            if length + data.len() as u64 > bytes {
                too_long = true;
                break;
            }
            file.write_all(data).await.map_err(failed(DOING))?;
            // Whoever asks for the offset meanwhile sees what is there.
            file.flush().await.map_err(failed(DOING))?;
            length += data.len() as u64;
        }
        if too_long {
            // A request is taken up to where it is sound, or not at all: here it is not.
            file.set_len(offset).await.map_err(failed(DOING))?;
        }
        // It need not be on the disk before all of it is looked at: whoever goes on asks how much is there.
        if too_long { Err(AppendError::TooLong) } else { Ok(Appended { offset: length }) }
    }

    /// All that came of an upload, which is on the disk then. Of one without bytes a file is made, so that it can be kept
    /// like any other.
    pub(super) async fn read(&self, upload: &str) -> Result<File, BlobError> {
        const DOING: &str = "read an upload";
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(self.path(upload)).await;
        let file = file.map_err(failed(DOING))?;
        file.sync_data().await.map_err(failed(DOING))?;
        Ok(file)
    }

    /// Deletes what came of an upload.
    pub(crate) async fn forget(&self, upload: &str) -> Result<(), BlobError> {
        match tokio::fs::remove_file(self.path(upload)).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete an upload")(error)),
        }
    }
}
