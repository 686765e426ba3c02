//! The reference server in this process.

use crate::replay::Restart;
use crate::subject::server::{HttpServer, ServerAddress};
use crate::tap::{InProcess, StorageTap, TapTrouble};
use async_trait::async_trait;
use bytes::Bytes;
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::event::Blocked;
use fieldsync_server::{Bucket, Parts, PasswordCost, Running, Server, Settings, SqliteStore, domain_from_yaml};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use url::Url;

/// Changes the parts of a server before it starts.
pub type ServerFault = Arc<dyn Fn(Parts) -> Parts + Send + Sync>;

/// The domains that the suite's own subjects host.
pub fn domains() -> Vec<Domain> {
    let texts = [
        include_str!("../../../../fixtures/domain/version-wins.yaml"),
        include_str!("../../../../fixtures/domain/field-merge.yaml"),
        include_str!("../../../../fixtures/domain/entity-queue.yaml"),
    ];
    texts.into_iter().map(|text| domain_from_yaml(text).expect("the suite's own domains can be served")).collect()
}

/// Why the embedded server did not start.
#[derive(Debug, thiserror::Error)]
#[error("the embedded server did not start: {0}")]
pub struct EmbeddedError(String);

/// The reference server in this process, on loopback, with its data in a folder of its own.
pub struct EmbeddedServer {
    folder: tempfile::TempDir,
    address: SocketAddr,
    fault: ServerFault,
    storage: Option<(Bucket, StorageTap)>,
    running: tokio::sync::Mutex<Option<Running>>,
}

impl EmbeddedServer {
    /// Starts the reference.
    pub async fn start() -> Result<Arc<Self>, EmbeddedError> {
        Self::start_with(Arc::new(|parts| parts)).await
    }

    /// Starts the reference with its parts changed.
    pub async fn start_with(fault: ServerFault) -> Result<Arc<Self>, EmbeddedError> {
        Self::start_on(None, fault).await
    }

    /// The same with its files in this bucket, where there is one, which devices reach through a tap.
    pub async fn start_on(bucket: Option<Bucket>, fault: ServerFault) -> Result<Arc<Self>, EmbeddedError> {
        let told = |error: &dyn std::fmt::Display| EmbeddedError(error.to_string());
        let tapped = |bucket: Bucket| {
            let endpoint = Url::parse(&bucket.endpoint).map_err(|error| told(&error))?;
            let tap = StorageTap::start(&endpoint).map_err(|error| told(&error))?;
            Ok((Bucket { address: tap.address(), ..bucket }, tap))
        };
        let storage = bucket.map(tapped).transpose()?;
        let folder = tempfile::tempdir().map_err(|error| told(&error))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| told(&error))?;
        let address = listener.local_addr().map_err(|error| told(&error))?;
        let bucket = storage.as_ref().map(|(bucket, _)| bucket);
        let running = tokio::sync::Mutex::new(Some(launch(folder.path(), bucket, &fault, listener).await?));
        Ok(Arc::new(Self { folder, address, fault, storage, running }))
    }

    /// Where it is, with its control verbs.
    pub fn address(self: &Arc<Self>) -> ServerAddress {
        let root = Url::parse(&format!("http://{}/", self.address)).expect("an address makes a URL");
        let bases = domains().iter().map(|domain| root.join(domain.name.as_str()).expect("a name is a path")).collect();
        let control = Some(root.join("control").expect("a constant path"));
        let storage = self.storage.as_ref().map(|(_, tap)| tap.clone());
        let (restart, in_process): (Arc<dyn Restart>, Arc<dyn InProcess>) = (self.clone(), self.clone());
        ServerAddress {
            bases,
            control,
            restart: Some(restart),
            storage,
            in_process: Some(in_process),
            ..ServerAddress::named("reference")
        }
    }

    /// The server as a subject.
    pub async fn connect(self: &Arc<Self>) -> Result<HttpServer, Blocked> {
        HttpServer::connect(self.address()).await
    }
}

async fn launch(
    folder: &Path,
    bucket: Option<&Bucket>,
    fault: &ServerFault,
    listener: TcpListener,
) -> Result<Running, EmbeddedError> {
    let told = |error: &dyn std::fmt::Display| EmbeddedError(error.to_string());
    let store = SqliteStore::open_for_a_while(folder).map_err(|error| told(&error))?;
    let parts = fault(Parts::with_files(Arc::new(store), bucket).map_err(|error| told(&error))?);
    let settings = Settings { control: true, password_cost: PasswordCost::LEAST, ..Settings::new(domains()) };
    Server::start(settings, parts, listener).await.map_err(|error| told(&error))
}

#[async_trait]
impl Restart for EmbeddedServer {
    async fn restart(&self) -> Result<(), String> {
        let mut running = self.running.lock().await;
        if let Some(server) = running.take() {
            server.kill();
            server.ended().await;
        }
        let listener = TcpListener::bind(self.address).await.map_err(|error| error.to_string())?;
        let bucket = self.storage.as_ref().map(|(bucket, _)| bucket);
        let launched = launch(self.folder.path(), bucket, &self.fault, listener).await;
        *running = Some(launched.map_err(|error| error.to_string())?);
        Ok(())
    }
}

#[async_trait]
impl InProcess for EmbeddedServer {
    async fn ask(&self, request: Request<Full<Bytes>>, body_limit: usize) -> Result<Response<Bytes>, TapTrouble> {
        let over = || TapTrouble::Broken("the server was ended".to_owned());
        let answer = self.running.lock().await.as_ref().map(|running| running.answer(request)).ok_or_else(over)?;
        let (head, body) = answer.await.ok_or_else(over)?.into_parts();
        match Limited::new(body, body_limit).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(TapTrouble::BodyTooLarge(body_limit)),
            Err(error) => Err(TapTrouble::Broken(error.to_string())),
        }
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut() {
            running.kill();
        }
    }
}
