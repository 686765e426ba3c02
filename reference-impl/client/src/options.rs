//! What a device is made of: who it is, and what it has of the world.

use crate::files::{Files, MemoryFiles};
use crate::transport::Transport;
use crate::triggers::Triggers;
use crate::world::{RandomIds, SystemClock, SystemTimer, Timer};
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_core::device::attachments::PIECE;
use fieldsync_core::device::memory::MemoryStore;
use fieldsync_core::device::{Credentials, DeviceStore, Rules, Settings, StandardRules};
use fieldsync_schemas::id::{Capability, ReplicaId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What a device is made of.
#[derive(Clone)]
pub struct DeviceOptions {
    /// The data set's base URL.
    pub base_url: Url,
    /// How the device proves who it is.
    pub credentials: Credentials,
    /// What keeps its records.
    pub store: Arc<dyn DeviceStore>,
    /// What keeps its files.
    pub files: Arc<dyn Files>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Makes its ids.
    pub ids: Arc<dyn Ids>,
    /// Waits for it.
    pub timer: Arc<dyn Timer>,
    /// Sends its requests; over `http` where absent.
    pub transport: Option<Arc<dyn Transport>>,
    /// Its rules.
    pub rules: Arc<dyn Rules>,
    /// The HTTP client, which devices can share; it must not follow redirects.
    pub http: reqwest::Client,
    /// The changes it asks for in one pull.
    pub page_limit: Option<u64>,
    /// The most mutations it puts into one batch.
    pub batch_limit: Option<u32>,
    /// The replica id that a new store begins with; made up where absent.
    pub replica: Option<ReplicaId>,
    /// How long it waits for a whole answer.
    pub request_timeout: Duration,
    /// The most bytes of a file that one request of a resumable upload carries.
    pub piece: u64,
    /// Whether the network costs by the byte, until the device is told otherwise: files neither go nor come.
    pub metered: bool,
    /// What it knows besides the core.
    pub capabilities: BTreeSet<Capability>,
    /// The app and its version, for the telemetry.
    pub app: Option<String>,
    /// The device and its system, for the telemetry.
    pub device: Option<String>,
    /// When it starts a sync by itself; only when it is asked to where absent.
    pub triggers: Option<Triggers>,
}

impl DeviceOptions {
    /// A device in memory, with the clock of this machine.
    pub fn new(base_url: Url, http: reqwest::Client) -> Self {
        Self {
            base_url,
            credentials: Credentials::default(),
            store: Arc::new(MemoryStore::default()),
            files: Arc::new(MemoryFiles::default()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            timer: Arc::new(SystemTimer),
            transport: None,
            rules: Arc::new(StandardRules),
            http,
            page_limit: None,
            batch_limit: None,
            replica: None,
            request_timeout: Duration::from_secs(60),
            piece: PIECE,
            metered: false,
            capabilities: BTreeSet::new(),
            app: None,
            device: None,
            triggers: None,
        }
    }

    /// What the machine is told of it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            page_limit: self.page_limit,
            batch_limit: self.batch_limit,
            piece: Some(self.piece),
            metered: self.metered,
            capabilities: self.capabilities.clone(),
            app: self.app.clone(),
            device: self.device.clone(),
        }
    }
}
