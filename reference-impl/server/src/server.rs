//! A server: made of parts, started on a listener, stopped or killed.

use crate::auth::{Auth, PasswordCost};
use crate::backed_up;
use crate::blobs::{Blobs, Bucket};
use crate::data_set::{DataSet, DataSets, Hosted};
use crate::domain::DomainFileError;
use crate::http::{self, App, Control};
use crate::listen::{self, Phase};
use crate::machine::{MachineClock, RandomIds};
use crate::purge::{self, Collector};
use crate::rules::Rules;
use crate::scope;
use crate::sqlite::SqliteStore;
use crate::writer::BatchWriter;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::DATE;
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use axum::{BoxError, Router};
use fieldsync_core::attachment::{AttachmentStore, GRACE, UPLOAD_LIFE};
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_core::cursor::CursorKey;
use fieldsync_core::policy::PolicyTable;
use fieldsync_core::store::{DataSetName, DataSetRow, Store, StoreError};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::Epoch;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// Something around the whole wire.
pub type WireLayer = dyn Fn(Router) -> Router + Send + Sync;

/// What a server is made of.
#[derive(Clone)]
pub struct Parts {
    /// The storage.
    pub store: Arc<dyn Store>,
    /// What is kept of files besides their bytes.
    pub attachments: Arc<dyn AttachmentStore>,
    /// The bytes of files.
    pub blobs: Arc<Blobs>,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Makes revs, tokens and request ids.
    pub ids: Arc<dyn Ids>,
    /// The merge policies.
    pub policies: PolicyTable,
    /// The core's rules.
    pub rules: Rules,
    /// What stands around the wire, if anything.
    pub layer: Option<Arc<WireLayer>>,
}

impl Parts {
    /// The parts as they are meant to be, over this storage, with files in its folder.
    pub fn standard(store: Arc<SqliteStore>) -> std::io::Result<Self> {
        Self::with_files(store, None)
    }

    /// The same with files in this bucket, where there is one.
    pub fn with_files(store: Arc<SqliteStore>, bucket: Option<&Bucket>) -> std::io::Result<Self> {
        let folder = store.dir().join("attachments");
        let blobs = match bucket {
            Some(bucket) => Blobs::in_bucket(bucket, &folder)?,
            None => Blobs::in_folder(&folder)?,
        };
        Ok(Self {
            attachments: store.clone(),
            blobs: Arc::new(blobs),
            store,
            clock: Arc::new(MachineClock),
            ids: Arc::new(RandomIds),
            policies: PolicyTable::standard(),
            rules: Rules::default(),
            layer: None,
        })
    }
}

/// How a server is to run.
#[derive(Clone)]
pub struct Settings {
    /// What it hosts; the first is its default data set.
    pub domains: Vec<Domain>,
    /// Whether it offers the control verbs; on loopback only.
    pub control: bool,
    /// What `kill` does; where there is nothing, the server ends and the process lives on.
    pub on_kill: Option<Arc<dyn Fn() + Send + Sync>>,
    /// What hashing a password costs.
    pub password_cost: PasswordCost,
    /// How long a stop waits for answers that are under way.
    pub grace: Duration,
    /// How long an upload can be gone on with after its slot was given.
    pub upload_life: Duration,
    /// How long a file is kept that no record refers to. The protocol says seven days.
    pub file_grace: Duration,
}

impl Settings {
    /// The settings for people, hosting these.
    pub fn new(domains: Vec<Domain>) -> Self {
        Self {
            domains,
            control: false,
            on_kill: None,
            password_cost: PasswordCost::default(),
            grace: Duration::from_secs(20),
            upload_life: UPLOAD_LIFE,
            file_grace: GRACE,
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to host.
    #[error("a server needs at least one domain to host")]
    NoDomain,
    /// Two domains have one name.
    #[error("two domains have the name {0}; give each its own")]
    DomainTwice(String),
    /// A domain cannot be served.
    #[error(transparent)]
    Domain(#[from] DomainFileError),
    /// Control was asked for where others could reach it.
    #[error(
        "control gives everything away and is offered on loopback only, not on {0}; listen on 127.0.0.1 or leave it out"
    )]
    ControlOffLoopback(SocketAddr),
    /// The listener has no address.
    #[error("the listener has no address: {0}")]
    Listener(#[source] std::io::Error),
    /// The storage failed.
    #[error("the server does not start: {0}")]
    Store(#[from] StoreError),
    /// The scopes cannot be worked out.
    #[error("the server does not start: the scopes of {data_set:?} cannot be worked out: {source}")]
    Scopes {
        /// Of which data set.
        data_set: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Logins cannot be judged.
    #[error("the server does not start: {0}")]
    Logins(String),
}

/// Starts servers.
pub struct Server;

impl Server {
    /// Starts a server on this listener.
    pub async fn start(settings: Settings, parts: Parts, listener: TcpListener) -> Result<Running, StartError> {
        let address = listener.local_addr().map_err(StartError::Listener)?;
        if settings.control && !address.ip().is_loopback() {
            return Err(StartError::ControlOffLoopback(address));
        }
        let hosted = hosted(&settings, &parts)?;
        let Some(default) = hosted.first().map(|hosted| hosted.domain.name.to_string()) else {
            return Err(StartError::NoDomain);
        };
        let data_sets = Arc::new(open_data_sets(&hosted, &parts).await?);
        let auth = Auth::new(parts.store.clone(), parts.ids.clone(), settings.password_cost)
            .await
            .map_err(|error| StartError::Logins(error.to_string()))?;
        let cursors = CursorKey::new(parts.store.secret("cursors").await?);
        let (writer, deciding) = BatchWriter::new(
            parts.store.clone(),
            parts.attachments.clone(),
            parts.rules.clone(),
            parts.policies.clone(),
            parts.ids.clone(),
        );
        let (phase, watched) = watch::channel(Phase::Serving);
        let phase = Arc::new(phase);
        let control = settings.control.then(|| {
            let end = phase.clone();
            let end = move || end.send_modify(|phase| *phase = Phase::Killed);
            let kill = settings.on_kill.clone().unwrap_or_else(|| Arc::new(end));
            Control::new(hosted, kill)
        });
        let collector = Collector {
            parts: parts.clone(),
            writer: writer.clone(),
            grace: settings.file_grace,
            upload_life: settings.upload_life,
        };
        let (purging, watching) = (
            purge::purge_old(collector.clone(), data_sets.clone()),
            backed_up::watch(parts.store.clone(), data_sets.clone()),
        );
        let beside = async { tokio::join!(purging, watching) };
        let layer = parts.layer.clone();
        let app = Arc::new(App {
            parts,
            data_sets,
            auth,
            cursors,
            writer,
            collector,
            upload_life: settings.upload_life,
            default,
            control,
            phase: watched.clone(),
        });
        let router = http::router(app);
        let router = layer.map_or(router.clone(), |layer| layer(router));
        let alive = phase.clone();
        let served = router.clone();
        let task = tokio::spawn(async move {
            run(listener, served, watched, settings.grace, deciding, beside).await;
            drop(alive);
        });
        tracing::info!(%address, "serving");
        Ok(Running { address, phase, task, inside: Inside { router, answering: Arc::default() } })
    }
}

async fn run(
    listener: TcpListener,
    router: Router,
    phase: watch::Receiver<Phase>,
    grace: Duration,
    deciding: impl Future<Output = ()> + Send + 'static,
    beside: impl Future<Output = ((), ())> + Send + 'static,
) {
    let deciding = tokio::spawn(deciding);
    let beside = tokio::spawn(beside);
    listen::serve(listener, router, phase, grace).await;
    deciding.abort();
    beside.abort();
}

fn hosted(settings: &Settings, parts: &Parts) -> Result<Vec<Hosted>, StartError> {
    let mut names = std::collections::HashSet::new();
    let mut hosted = Vec::new();
    for domain in &settings.domains {
        if !names.insert(&domain.name) {
            return Err(StartError::DomainTwice(domain.name.to_string()));
        }
        hosted.push(Hosted::new(domain.clone(), &parts.policies)?.taking_direct(parts.blobs.takes_direct()));
    }
    Ok(hosted)
}

/// Every data set that is stored, and the configured ones, which are made where they are missing.
async fn open_data_sets(hosted: &[Hosted], parts: &Parts) -> Result<DataSets, StartError> {
    let data_sets = DataSets::default();
    let mut stored: Vec<DataSetRow> = parts.store.data_sets().await?;
    for hosted in hosted {
        let name = DataSetName(hosted.domain.name.to_string());
        let domain = hosted.domain.clone();
        let known = stored.iter().position(|row| row.name == name).map(|index| stored.swap_remove(index));
        let (row, seeds) = match known {
            Some(row) => (DataSetRow { domain, ..row }, Vec::new()),
            None => {
                let epoch = Epoch::new(parts.ids.unique()).expect("ids are visible ASCII");
                let seeds = hosted.seeds(&*parts.ids, parts.clock.now());
                (DataSetRow::new(name, domain, epoch), seeds)
            }
        };
        parts.store.put_data_set(&row, seeds).await?;
        data_sets.insert(DataSet::new(&row, hosted.clone(), parts.clock.clone()));
    }
    for row in stored {
        let same = hosted.iter().find(|hosted| hosted.domain == row.domain).cloned();
        let hosted = match same {
            Some(hosted) => hosted,
            None => Hosted::new(row.domain.clone(), &parts.policies)?.taking_direct(parts.blobs.takes_direct()),
        };
        data_sets.insert(DataSet::new(&row, hosted, parts.clock.clone()));
    }
    let scoped = parts.store.scoped().await?;
    for data_set in data_sets.all().into_iter().filter(|data_set| scoped.contains(&data_set.name)) {
        // What lies below a place may have become something else while no server ran: by a restore, or another domain.
        let worked_out = scope::work_out(&parts.store, &data_set).await;
        worked_out.map_err(|error| StartError::Scopes { data_set: data_set.name.0.clone(), source: error.into() })?;
    }
    Ok(data_sets)
}

/// A server that runs. Dropping this leaves it running.
pub struct Running {
    address: SocketAddr,
    phase: Arc<watch::Sender<Phase>>,
    task: JoinHandle<()>,
    inside: Inside,
}

/// The way in for requests of the same process.
struct Inside {
    router: Router,
    /// Held for reading by every request that is being answered.
    answering: Arc<tokio::sync::RwLock<()>>,
}

impl Running {
    /// Answers a request of the same process as one that came over a connection, or not at all, where the server is over
    /// before there is an answer. The answer comes without `content-length`.
    pub fn answer<B>(&self, request: Request<B>) -> impl Future<Output = Option<Response>> + use<B>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Inside { router, answering } = &self.inside;
        let (router, answering, mut phase) = (router.clone(), answering.clone(), self.phase.subscribe());
        async move {
            let _answering = answering.read().await;
            if *phase.borrow() != Phase::Serving {
                return None;
            }
            let mut response = tokio::select! {
                Ok(response) = router.oneshot(request.map(Body::new)) => response,
                _ = phase.wait_for(|phase| *phase == Phase::Killed) => return None,
            };
            let now = httpdate::fmt_http_date(std::time::SystemTime::now());
            response.headers_mut().entry(DATE).or_insert(HeaderValue::try_from(now).expect("a date is visible ASCII"));
            Some(response)
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL below which its data sets are, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes nothing new, answers what was begun, and ends.
    pub async fn stop(self) {
        self.move_to(Phase::Stopping);
        self.ended().await;
    }

    /// Ends at once; requests that were begun get no answer.
    pub fn kill(&self) {
        self.move_to(Phase::Killed);
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the server ended with a fault");
        }
        // What is answered within this process holds the storage until it is given up.
        drop(self.inside.answering.write().await);
    }

    fn move_to(&self, next: Phase) {
        self.phase.send_modify(|phase| {
            if *phase != Phase::Killed {
                *phase = next;
            }
        });
    }
}
