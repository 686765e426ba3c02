//! The bytes of files: uploads that grow, and whole files in an object store.
//!
//! An upload is a file in a folder of its own, as long as what came of it ([`uploads`]). When all of it is there it is
//! read once: hashed, and written into the object store under its hash. The local folder is the object store unless
//! another is configured; it has the uploads, too, and there a file is only given its other name. Nobody's words become
//! a path: an upload is named by the server, a file by its hash. Where the object store is one that others reach, files
//! go straight into it ([`direct`]), and are verified there.

mod direct;
mod uploads;

pub use direct::Bucket;
pub use uploads::{AppendError, Appended};

use bytes::{Bytes, BytesMut};
use direct::incoming;
use fieldsync_core::attachment::Upload;
use fieldsync_schemas::attachment::UploadProtocol;
use fieldsync_schemas::id::AttachmentId;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use object_store::buffered::{BufReader, BufWriter};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::signer::Signer;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{RwLock, RwLockReadGuard};
use uploads::{Held, Uploads};

/// How much of a file is in memory at a time.
const PIECE: usize = 1 << 20;
/// A file below this goes into another object store in one request, a longer one in parts of this length.
const PART: usize = 8 << 20;
/// How many parts are on their way at a time.
const PARTS: usize = 2;

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

/// An object store, and what signs URLs of it.
pub type Changed = (Arc<dyn ObjectStore>, Arc<dyn Signer>);

/// The bytes of all files.
pub struct Blobs {
    files: Arc<dyn ObjectStore>,
    uploads: Uploads,
    /// Whether the uploads lie in the object store, too, under the name of their folder.
    has_uploads: bool,
    /// Signs URLs by which files go straight into the object store.
    signer: Option<Arc<dyn Signer>>,
    /// Held for reading while a file comes in, for writing while files are collected: a file that is offered again
    /// must not lose its bytes in between.
    comings: RwLock<()>,
}

impl Blobs {
    /// In this folder, which is made where it is missing.
    pub fn in_folder(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let files = LocalFileSystem::new_with_prefix(dir).map_err(io::Error::other)?.with_fsync(true);
        Ok(Self { has_uploads: true, ..Self::over(Arc::new(files), &dir.join(UPLOADS))? })
    }

    /// Whole files in this object store, uploads that grow in this folder.
    pub fn over(files: Arc<dyn ObjectStore>, uploads: &Path) -> io::Result<Self> {
        let uploads = Uploads::open(uploads)?;
        Ok(Self { files, uploads, has_uploads: false, signer: None, comings: RwLock::new(()) })
    }

    /// Whole files in this bucket, into which they can go straight; uploads that grow in this folder.
    pub fn in_bucket(bucket: &Bucket, dir: &Path) -> io::Result<Self> {
        let (files, signer) = bucket.open().map_err(io::Error::other)?;
        Ok(Self { signer: Some(signer), ..Self::over(files, &dir.join(UPLOADS))? })
    }

    /// The same with another object store and another signer, as a mutant has them; nothing, where nothing is signed.
    pub fn with(&self, change: impl FnOnce(Arc<dyn ObjectStore>, Arc<dyn Signer>) -> Changed) -> Option<Self> {
        let (files, signer) = change(self.files.clone(), self.signer.clone()?);
        Some(Self { signer: Some(signer), ..Self::over(files, self.uploads.dir()).ok()? })
    }

    /// The uploads that grow.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// No file is collected as long as this is held.
    pub(crate) async fn nothing_goes(&self) -> RwLockReadGuard<'_, ()> {
        self.comings.read().await
    }

    /// Takes an upload for a file: looks at its length and its hash, whatever anybody said of them, and keeps it where no
    /// signed URL leads. `enter` writes the file down; no file is collected until it has.
    pub(crate) async fn finish<F, E>(&self, upload: &Upload, enter: impl FnOnce() -> F + Send) -> Result<Finished, E>
    where
        F: Future<Output = Result<(), E>> + Send,
        E: From<BlobError>,
    {
        let file = &upload.attachment;
        let Some(mut came) = self.came(upload).await? else { return Ok(Finished::Short(0)) };
        if came.length < file.bytes {
            return Ok(Finished::Short(came.length));
        }
        let is_file = |copied: (u64, AttachmentId)| copied == (file.bytes, file.id.clone());
        let _nothing_goes;
        if self.has_uploads {
            if !is_file(copied(&mut came.bytes, &mut tokio::io::sink()).await?) {
                return Ok(Finished::Other);
            }
            _nothing_goes = self.comings.read().await;
            // Here it only needs its other name.
            let from = Key::from_iter([UPLOADS, upload.id.as_str()]);
            self.files.copy(&from, &key(&file.id)).await.map_err(failed("keep a file"))?;
        } else {
            let target = BufWriter::with_capacity(self.files.clone(), key(&file.id), PART);
            let mut target = target.with_max_concurrency(PARTS);
            // It appears there only if it is the file.
            if !is_file(copied(&mut came.bytes, &mut target).await?) {
                target.abort().await.map_err(failed("leave out a file"))?;
                return Ok(Finished::Other);
            }
            _nothing_goes = self.comings.read().await;
            target.shutdown().await.map_err(failed("keep a file"))?;
        }
        enter().await?;
        self.forget(upload).await?;
        Ok(Finished::Whole)
    }

    /// What came of an upload, which nobody writes to as long as it is looked at: what is verified is what is kept. Of a
    /// direct one there may be nothing.
    async fn came(&self, upload: &Upload) -> Result<Option<Came>, BlobError> {
        let name = upload.id.as_str();
        if upload.protocol == UploadProtocol::SignedPut {
            let found = match self.files.head(&incoming(name)).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(failed("look at an upload")(error)),
            };
            let bytes = BufReader::with_capacity(self.files.clone(), &found, PART);
            return Ok(Some(Came { length: found.size, bytes: Box::new(bytes), _pen: None }));
        }
        let pen = self.uploads.hold(name).await;
        let length = self.uploads.length(name).await?;
        let bytes = self.uploads.read(name).await?;
        Ok(Some(Came { length, bytes: Box::new(bytes), _pen: Some(pen) }))
    }

    /// Deletes what came of an upload.
    pub(crate) async fn forget(&self, upload: &Upload) -> Result<(), BlobError> {
        match upload.protocol {
            UploadProtocol::SignedPut => self.forget_direct(upload.id.as_str()).await,
            _ => self.uploads.forget(upload.id.as_str()).await,
        }
    }

    /// A part of a file, piece by piece.
    pub(crate) async fn read(
        &self,
        id: &AttachmentId,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        const DOING: &str = "read a file";
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.files.get_opts(&key(id), options).await.map_err(failed(DOING))?;
        let range = found.range.clone();
        match found.payload {
            // In larger pieces than the object store reads it.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(SeekFrom::Start(range.start)).await.map_err(failed(DOING))?;
                Ok(pieces(file.take(range.end - range.start)).map(|piece| piece.map_err(failed(DOING))).boxed())
            }
            GetResultPayload::Stream(bytes) => Ok(bytes.map(|piece| piece.map_err(failed(DOING))).boxed()),
        }
    }

    /// Deletes the bytes of what `choose` gives up, and lets `bury` note that they are gone. Nothing comes in meanwhile.
    pub(crate) async fn collect<F, G, E>(
        &self,
        choose: impl FnOnce() -> F + Send,
        bury: impl FnOnce(Vec<AttachmentId>) -> G + Send,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<Vec<AttachmentId>, E>> + Send,
        G: Future<Output = Result<(), E>> + Send,
        E: From<BlobError>,
    {
        let _nobody_comes = self.comings.write().await;
        let gone = choose().await?;
        for id in &gone {
            match self.files.delete(&key(id)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("delete a file")(error).into()),
            }
        }
        if gone.is_empty() { Ok(()) } else { bury(gone).await }
    }
}

/// What came of an upload.
struct Came {
    length: u64,
    bytes: Box<dyn AsyncRead + Send + Unpin>,
    _pen: Option<Held>,
}

/// The folder of the uploads that grow.
const UPLOADS: &str = "uploads";

/// Where a file is: its hash, in 256 folders.
fn key(id: &AttachmentId) -> Key {
    let hash = id.as_str().trim_start_matches("sha256:");
    Key::from_iter(["files", &hash[..2], hash])
}

/// Copies all bytes, and says how many there are and what their id is.
async fn copied(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(u64, AttachmentId), BlobError> {
    let (mut length, mut hash, mut piece) = (0, Sha256::new(), vec![0; PIECE]);
    loop {
        let read = from.read(&mut piece).await.map_err(failed("read an upload"))?;
        if read == 0 {
            return Ok((length, named(hash)));
        }
        length += read as u64;
        hash.update(&piece[..read]);
        to.write_all(&piece[..read]).await.map_err(failed("keep a file"))?;
    }
}

/// All bytes, piece by piece.
fn pieces(bytes: impl AsyncRead + Unpin) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(bytes, |mut bytes| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = bytes.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), bytes)))
    })
}

/// The id of these bytes' hash.
fn named(hash: Sha256) -> AttachmentId {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    AttachmentId::new(format!("sha256:{hex}")).expect("a hash in hexadecimal is an attachment id")
}

/// The id of these bytes.
#[cfg(test)]
pub(crate) fn id_of(bytes: &[u8]) -> AttachmentId {
    named(Sha256::new_with_prefix(bytes))
}

/// An upload that is to become this file.
#[cfg(test)]
pub(crate) fn upload(name: &str, id: &AttachmentId, bytes: u64, protocol: UploadProtocol) -> Upload {
    let (id, media_type) = (id.clone(), "text/plain".to_owned());
    Upload {
        id: name.parse().expect("tests name uploads well"),
        principal: "amina".parse().expect("a constant that is a principal"),
        attachment: fieldsync_schemas::record::Attachment { id, bytes, media_type, state: None },
        protocol,
        expires_at: fieldsync_schemas::time::Timestamp::from_millis(0),
    }
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

    async fn finish(blobs: &Blobs, upload: &Upload) -> Finished {
        blobs.finish::<_, Failed>(upload, || async { Ok(()) }).await.unwrap()
    }

    async fn whole(blobs: &Blobs, id: &AttachmentId, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<_> = blobs.read(id, range).await.unwrap().collect().await;
        pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect()
    }

    /// In the folder of the uploads, and in another store.
    fn both_ways(folder: &Path) -> [Box<dyn Fn() -> Blobs>; 2] {
        let elsewhere: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let (one, other) = (folder.join("one"), folder.join("other"));
        [
            Box::new(move || Blobs::in_folder(&one).unwrap()),
            Box::new(move || Blobs::over(elsewhere.clone(), &other).unwrap()),
        ]
    }

    #[tokio::test]
    async fn a_file_is_kept_once_all_of_it_came_and_its_hash_fits() {
        let folder = tempfile::tempdir().unwrap();
        for open in both_ways(folder.path()) {
            is_kept(&*open).await;
        }
    }

    async fn is_kept(open: &dyn Fn() -> Blobs) {
        let blobs = open();
        let id = named(Sha256::new_with_prefix("hello"));
        let first = upload("u1", &id, 5, UploadProtocol::Tus);
        assert_eq!(finish(&blobs, &first).await, Finished::Short(0));
        blobs.uploads().append("u1", 0, 5, Body::from("hel")).await.unwrap();
        // The process ended here, and another one goes on.
        let blobs = open();
        assert_eq!(finish(&blobs, &first).await, Finished::Short(3));
        blobs.uploads().append("u1", 3, 5, Body::from("lo")).await.unwrap();
        assert_eq!(finish(&blobs, &first).await, Finished::Whole);
        assert_eq!(whole(&blobs, &id, 0..5).await, b"hello");
        assert_eq!(whole(&blobs, &id, 1..3).await, b"el");
        assert_eq!(whole(&blobs, &id, 5..5).await, b"");
        blobs.uploads().append("u2", 0, 5, Body::from("world")).await.unwrap();
        assert_eq!(finish(&blobs, &upload("u2", &id, 5, UploadProtocol::Tus)).await, Finished::Other);
        let buried = async |ids: Vec<AttachmentId>| {
            assert_eq!(ids.as_slice(), std::slice::from_ref(&id));
            Ok::<(), Failed>(())
        };
        blobs.collect(|| async { Ok(vec![id.clone()]) }, buried).await.unwrap();
        assert!(blobs.read(&id, 0..5).await.is_err());
    }

    #[tokio::test]
    async fn an_empty_file_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for open in both_ways(folder.path()) {
            let (blobs, id) = (open(), named(Sha256::new()));
            assert_eq!(finish(&blobs, &upload("u1", &id, 0, UploadProtocol::Tus)).await, Finished::Whole);
            assert_eq!(whole(&blobs, &id, 0..0).await, b"");
        }
    }

    #[tokio::test]
    async fn a_file_longer_than_a_part_is_kept_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = vec![7; PART + PIECE + 1];
        let (id, length) = (named(Sha256::new_with_prefix(&bytes)), bytes.len() as u64);
        for open in both_ways(folder.path()) {
            let blobs = open();
            blobs.uploads().append("u1", 0, length, Body::from(bytes.clone())).await.unwrap();
            assert_eq!(finish(&blobs, &upload("u1", &id, length, UploadProtocol::Tus)).await, Finished::Whole);
            assert!(whole(&blobs, &id, 0..length).await == bytes);
        }
    }

    #[tokio::test]
    async fn of_two_that_append_at_one_place_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        // The first one stands still; the second one takes over, and where it begins is where the first one stopped.
        let (body, stalled) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
        let stalled = futures_util::stream::unfold(stalled, |mut rest| async { Some((rest.recv().await?, rest)) });
        body.send(Ok(Bytes::from_static(b"he"))).await.unwrap();
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
