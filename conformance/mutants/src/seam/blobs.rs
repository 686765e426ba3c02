//! The storage of files: the object store itself, and what signs URLs of it.

use async_trait::async_trait;
use fieldsync_server::Parts;
use fieldsync_server::blobs::Changed;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer, Url};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is changed of the object store. Each member changes nothing by default.
pub trait BlobFault: Send + Sync + fmt::Debug + 'static {
    /// Where something is that the server believes elsewhere.
    fn place(&self, path: &Path) -> Path {
        path.clone()
    }
    /// Before a URL is signed for this place.
    fn signs(&self, _path: &mut Path, _options: &mut SignedUrlOptions) {}
}

/// The same server over a faulty object store. One without an object storage is as it was.
pub fn faulty(mut parts: Parts, fault: impl BlobFault) -> Parts {
    let fault = Arc::new(fault);
    let changed = parts.blobs.with(|files, signer| -> Changed {
        (Arc::new(Faulty { inner: files, fault: fault.clone() }), Arc::new(FaultySigner { inner: signer, fault }))
    });
    if let Some(changed) = changed {
        parts.blobs = Arc::new(changed);
    }
    parts
}

#[derive(Debug)]
struct Faulty<F> {
    inner: Arc<dyn ObjectStore>,
    fault: Arc<F>,
}

impl<F> fmt::Display for Faulty<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<F: BlobFault> ObjectStore for Faulty<F> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(&self.fault.place(location), options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultySigner<F> {
    inner: Arc<dyn Signer>,
    fault: Arc<F>,
}

#[async_trait]
impl<F: BlobFault> Signer for FaultySigner<F> {
    async fn signed_url(&self, method: Method, path: &Path, expires_in: Duration) -> Result<Url> {
        self.signed_url_opts(method, path, expires_in, &SignedUrlOptions::new()).await
    }

    async fn signed_url_opts(
        &self,
        method: Method,
        path: &Path,
        expires_in: Duration,
        options: &SignedUrlOptions,
    ) -> Result<Url> {
        let (mut path, mut options) = (path.clone(), options.clone());
        self.fault.signs(&mut path, &mut options);
        self.inner.signed_url_opts(method, &path, expires_in, &options).await
    }
}
