//! An S3-compatible object storage for tests: on loopback, over a folder that is thrown away with it.
//!
//! It takes nothing that is not signed with its [keys](Keys), nothing after the signature has expired, and nothing whose
//! signed headers, length or hash are others. `tests/it.rs` shows so: what the suite finds out about signed uploads is
//! worth no more than that.

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::io;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The bucket that is there from the start.
pub const BUCKET: &str = "files";

/// Who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Names the keys (`AWS_ACCESS_KEY_ID`).
    pub access: String,
    /// Signs (`AWS_SECRET_ACCESS_KEY`).
    pub secret: String,
}

/// Why the storage did not start.
#[derive(Debug, thiserror::Error)]
#[error("the object storage did not start: {0}")]
pub struct StartError(String);

/// An object storage that runs until this is dropped.
pub struct ObjectStorage {
    address: SocketAddr,
    accepting: AbortHandle,
    _folder: TempDir,
}

impl ObjectStorage {
    /// Starts one, with one empty [bucket](BUCKET).
    pub async fn start(keys: &Keys) -> Result<Self, StartError> {
        let told = |error: &dyn std::fmt::Display| StartError(error.to_string());
        let folder = tempfile::tempdir().map_err(|error| told(&error))?;
        std::fs::create_dir(folder.path().join(BUCKET)).map_err(|error| told(&error))?;
        let files = FileSystem::new(folder.path()).map_err(|error| StartError(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        // Whoever signs nothing is nobody, and nobody has access.
        service.set_auth(SimpleAuth::from_single(keys.access.clone(), keys.secret.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| told(&error))?;
        let address = listener.local_addr().map_err(|error| told(&error))?;
        let accepting = tokio::spawn(accept(listener, service.build())).abort_handle();
        Ok(Self { address, accepting, _folder: folder })
    }

    /// Its URL, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for ObjectStorage {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // That somebody breaks off is what happens on networks.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
    }
}
