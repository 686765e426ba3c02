//! The bytes of files: uploads that grow, and whole files in an object store.
//!
//! An upload is a file in a folder of its own, as long as what came of it ([`uploads`]). When all of it is there it is
//! hashed, and goes into the object store under its hash; the local folder is the object store unless another is
//! configured. Nobody's words become a path: an upload is named by the server, a file by its hash.

mod uploads;

pub use uploads::{AppendError, Appended};

use fieldsync_core::attachment::Blob;
use fieldsync_schemas::id::AttachmentId;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::RwLock;
use uploads::Uploads;

/// How much of a file is in memory at a time.
const PIECE: usize = 256 << 10;

/// Why the bytes of a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {source}")]
pub struct BlobError {
    /// What was being done.
    pub doing: &'static str,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(E) -> BlobError {
    move |source| BlobError { doing, source: source.into() }
}

/// What an upload turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The file, which is in the object store now.
    Whole,
    /// It has only so many bytes.
    Short(u64),
    /// Other bytes than its id says.
    Other,
}

/// The bytes of all files.
pub struct Blobs {
    files: Arc<dyn ObjectStore>,
    uploads: Uploads,
    /// Held for reading while a file comes in, for writing while files are collected: a file that is offered again
    /// must not lose its bytes in between.
    comings: RwLock<()>,
}

impl Blobs {
    /// In this folder, which is made where it is missing.
    pub fn in_folder(dir: &Path) -> io::Result<Self> {
        let files = dir.join("files");
        std::fs::create_dir_all(&files)?;
        let files = LocalFileSystem::new_with_prefix(&files).map_err(io::Error::other)?.with_fsync(true);
        Self::over(Arc::new(files), &dir.join("uploads"))
    }

    /// Whole files in this object store, uploads that grow in this folder.
    pub fn over(files: Arc<dyn ObjectStore>, uploads: &Path) -> io::Result<Self> {
        Ok(Self { files, uploads: Uploads::open(uploads)?, comings: RwLock::new(()) })
    }

    /// The uploads that grow.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Takes an upload for a file: looks at its length and its hash, whatever anybody said of them, and keeps it.
    /// `enter` writes the file down; no file is collected until it has.
    pub(crate) async fn finish<F, E>(
        &self,
        upload: &str,
        id: &AttachmentId,
        blob: &Blob,
        enter: impl FnOnce() -> F + Send,
    ) -> Result<Finished, E>
    where
        F: Future<Output = Result<(), E>> + Send,
        E: From<BlobError>,
    {
        let length = self.uploads.length(upload).await?;
        if length < blob.bytes {
            return Ok(Finished::Short(length));
        }
        if length > blob.bytes || self.uploads.hash(upload).await? != *id {
            return Ok(Finished::Other);
        }
        let _coming = self.comings.read().await;
        self.keep(upload, id).await?;
        enter().await?;
        self.uploads.forget(upload).await?;
        Ok(Finished::Whole)
    }

    /// Copies an upload into the object store. It appears there as a whole.
    async fn keep(&self, upload: &str, id: &AttachmentId) -> Result<(), BlobError> {
        const DOING: &str = "keep a file";
        let mut file = self.uploads.read(upload).await?;
        let target = self.files.put_multipart(&key(id)).await.map_err(failed(DOING))?;
        let mut writer = WriteMultipart::new(target);
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).await.map_err(failed(DOING))?;
            if read == 0 {
                break;
            }
            writer.wait_for_capacity(1).await.map_err(failed(DOING))?;
            writer.write(&piece[..read]);
        }
        writer.finish().await.map_err(failed(DOING))?;
        Ok(())
    }

    /// A part of a file, piece by piece.
    pub(crate) async fn read(
        &self,
        id: &AttachmentId,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, BlobError>>, BlobError> {
        const DOING: &str = "read a file";
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.files.get_opts(&key(id), options).await.map_err(failed(DOING))?;
        Ok(found.into_stream().map(|piece| piece.map_err(failed(DOING))).boxed())
    }

    /// Deletes the bytes of what `choose` gives up. Nothing comes in meanwhile.
    pub(crate) async fn collect<F, E>(&self, choose: impl FnOnce() -> F + Send) -> Result<(), E>
    where
        F: Future<Output = Result<Vec<AttachmentId>, E>> + Send,
        E: From<BlobError>,
    {
        let _nobody_comes = self.comings.write().await;
        for id in choose().await? {
            match self.files.delete(&key(&id)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("delete a file")(error).into()),
            }
        }
        Ok(())
    }
}

/// Where a file is: its hash, in 256 folders.
fn key(id: &AttachmentId) -> Key {
    let hash = id.as_str().trim_start_matches("sha256:");
    Key::from_iter([&hash[..2], hash])
}

/// The id of these bytes' hash.
fn named(hash: Sha256) -> AttachmentId {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    AttachmentId::new(format!("sha256:{hex}")).expect("a hash in hexadecimal is an attachment id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use std::convert::Infallible;

    /// What a test makes of an error.
    #[derive(Debug)]
    struct Failed(#[expect(dead_code, reason = "shown where a test fails")] BlobError);

    impl From<BlobError> for Failed {
        fn from(error: BlobError) -> Self {
            Self(error)
        }
    }

    fn blob(bytes: u64) -> Blob {
        Blob { bytes, media_type: "text/plain".to_owned() }
    }

    async fn whole(blobs: &Blobs, id: &AttachmentId, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<_> = blobs.read(id, range).await.unwrap().collect().await;
        pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect()
    }

    #[tokio::test]
    async fn a_file_is_kept_once_all_of_it_came_and_its_hash_fits() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let id = named(Sha256::new_with_prefix("hello"));
        let finish =
            async |blobs: &Blobs| blobs.finish::<_, Failed>("u1", &id, &blob(5), || async { Ok(()) }).await.unwrap();
        assert_eq!(finish(&blobs).await, Finished::Short(0));
        blobs.uploads().append("u1", 0, 5, Body::from("hel")).await.unwrap();
        // The process ended here, and another one goes on.
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        assert_eq!(finish(&blobs).await, Finished::Short(3));
        blobs.uploads().append("u1", 3, 5, Body::from("lo")).await.unwrap();
        assert_eq!(finish(&blobs).await, Finished::Whole);
        assert_eq!(whole(&blobs, &id, 0..5).await, b"hello");
        assert_eq!(whole(&blobs, &id, 1..3).await, b"el");
        assert_eq!(whole(&blobs, &id, 5..5).await, b"");
        blobs.uploads().append("u2", 0, 5, Body::from("world")).await.unwrap();
        let other = blobs.finish::<_, Failed>("u2", &id, &blob(5), || async { Ok(()) }).await.unwrap();
        assert_eq!(other, Finished::Other);
        blobs.collect::<_, Failed>(|| async { Ok(vec![id.clone()]) }).await.unwrap();
        assert!(blobs.read(&id, 0..5).await.is_err());
    }

    #[tokio::test]
    async fn an_empty_file_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let id = named(Sha256::new());
        let finished = blobs.finish::<_, Failed>("u1", &id, &blob(0), || async { Ok(()) }).await.unwrap();
        assert_eq!(finished, Finished::Whole);
        assert_eq!(whole(&blobs, &id, 0..0).await, b"");
    }

    #[tokio::test]
    async fn of_two_that_append_at_one_place_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        // The first one stands still; the second one takes over, and where it begins is where the first one stopped.
        let (body, stalled) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, Infallible>>(1);
        let stalled = futures_util::stream::unfold(stalled, |mut rest| async { Some((rest.recv().await?, rest)) });
        body.send(Ok(bytes::Bytes::from_static(b"he"))).await.unwrap();
        let first = blobs.uploads().append("u1", 0, 5, Body::from_stream(stalled));
        let second = async {
            while blobs.uploads().length("u1").await.unwrap() < 2 {
                tokio::task::yield_now().await;
            }
            blobs.uploads().append("u1", 2, 5, Body::from("llo")).await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap(), second.unwrap()), (Appended { offset: 2 }, Appended { offset: 5 }));
        let again = blobs.uploads().append("u1", 2, 5, Body::from("LLO")).await;
        assert!(matches!(again, Err(AppendError::Offset { is: 5 })));
        let beyond = blobs.uploads().append("u2", 0, 3, Body::from("world")).await;
        assert!(matches!(beyond, Err(AppendError::TooLong)));
    }
}
