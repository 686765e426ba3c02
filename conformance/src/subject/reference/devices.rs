//! Reference devices in this process.

use crate::subject::client::Client;
use crate::subject::device::{
    Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping, Quarantined, Shown, ShownFile, SyncEnd,
};
use crate::subject::mortal::MortalStore;
use async_trait::async_trait;
use fieldsync_client::{
    DeviceOptions, Files, FolderFiles, HttpTransport, MemoryFiles, MemoryStore, Timer, Transport, Triggers,
};
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_core::device::{self, DeviceStore, Rules, StandardRules, SyncOutcome, Write};
use fieldsync_schemas::adapter::{AdapterCapability, AdapterDescription, Altered, Damage};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{Capability, GroupId, RecordId, ReplicaId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::scenario::Status;
use fieldsync_schemas::telemetry::TELEMETRY;
use fieldsync_schemas::time::Timestamp;
use sha2::{Digest, Sha256};
use std::any::Any;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use url::Url;

/// Changes the parts of a device before it is opened.
pub type DeviceFault = Arc<dyn Fn(DeviceParts) -> DeviceParts + Send + Sync>;

/// What a reference device is made of.
#[derive(Clone)]
pub struct DeviceParts {
    /// The rules.
    pub rules: Arc<dyn Rules>,
    /// The store.
    pub store: Arc<dyn DeviceStore>,
    /// The bytes of its files.
    pub files: Arc<dyn Files>,
    /// Sends its requests.
    pub transport: Arc<dyn Transport>,
    /// Where it sends them.
    pub base_url: Url,
}

/// Makes reference devices.
#[derive(Clone)]
pub struct ReferenceDevices {
    fault: DeviceFault,
    http: reqwest::Client,
}

impl Default for ReferenceDevices {
    fn default() -> Self {
        Self::with(Arc::new(|parts| parts))
    }
}

impl ReferenceDevices {
    /// Makes devices with their parts changed.
    pub fn with(fault: DeviceFault) -> Self {
        // They reach nothing but the tap, on loopback: reading this machine's certificates would take longer than most
        // scenarios, at each start of an adapter.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().tls_certs_only([]);
        Self { fault, http: http.build().expect("what an HTTP client is told here is sound") }
    }

    /// Devices with other changes of their parts, over the same connections.
    pub fn changed(&self, fault: DeviceFault) -> Self {
        Self { fault, http: self.http.clone() }
    }
}

/// What the reference device claims as a client.
pub fn description() -> AdapterDescription {
    AdapterDescription {
        name: "fieldsync reference device".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profiles: Profile::KNOWN.to_vec(),
        capabilities: AdapterCapability::KNOWN.to_vec(),
    }
}

#[async_trait]
impl Client for ReferenceDevices {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn profiles(&self) -> Vec<Profile> {
        description().profiles
    }

    fn capabilities(&self) -> Vec<AdapterCapability> {
        description().capabilities
    }

    async fn devices(&self) -> Result<Arc<dyn Devices>, DeviceError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Devices for ReferenceDevices {
    async fn open(&self, setup: DeviceSetup) -> Result<Arc<dyn Device>, DeviceError> {
        let clock = Arc::new(ScenarioClock::new(setup.clock_offset_ms));
        let store = match &setup.keeping {
            // The store outlives the device's end in this process, so that memory is durable, too.
            Keeping::Memory | Keeping::Durable => Store::memory(),
            Keeping::Folder(folder) => Store::Folder(folder.clone()),
        };
        let login = Mutex::new(credentials(&setup.credentials));
        let ids = Arc::new(SeededIds {
            salt: format!("{}/{}/{:?}", setup.base_url, setup.name, setup.replica),
            seed: setup.seed,
            next: AtomicU64::new(0),
        });
        let made = ReferenceDevice {
            page: RwLock::new(setup.page),
            setup,
            clock,
            ids,
            fault: self.fault.clone(),
            http: self.http.clone(),
            login,
            store: RwLock::new(store),
            life: RwLock::new(None),
        };
        made.start()?;
        Ok(Arc::new(made))
    }
}

/// A reference device that can be ended and started again.
struct ReferenceDevice {
    setup: DeviceSetup,
    page: RwLock<Option<u64>>,
    clock: Arc<ScenarioClock>,
    ids: Arc<SeededIds>,
    fault: DeviceFault,
    http: reqwest::Client,
    login: Mutex<device::Credentials>,
    store: RwLock<Store>,
    life: RwLock<Option<Life>>,
}

/// The device from one start to its end.
struct Life {
    device: fieldsync_client::Device,
    store: Arc<MortalStore>,
}

/// Where a reference device keeps what it has.
#[derive(Clone)]
enum Store {
    Memory(Arc<MemoryStore>, Arc<MemoryFiles>),
    Folder(PathBuf),
}

impl Store {
    fn memory() -> Self {
        Store::Memory(Arc::default(), Arc::default())
    }

    fn files(&self) -> Result<Arc<dyn Files>, DeviceError> {
        Ok(match self {
            Store::Memory(_, files) => files.clone(),
            Store::Folder(folder) => Arc::new(FolderFiles::open(&folder.join("files")).map_err(told)?),
        })
    }

    fn open(&self) -> Result<Arc<dyn DeviceStore>, DeviceError> {
        Ok(match self {
            Store::Memory(memory, _) => memory.clone(),
            Store::Folder(folder) => {
                Arc::new(fieldsync_client::SqliteStore::open(&folder.join("device.sqlite")).map_err(told)?)
            }
        })
    }
}

fn credentials(given: &Credentials) -> device::Credentials {
    match given.clone() {
        Credentials::Token(token) => device::Credentials { token: Some(token), password: None },
        Credentials::Password { user, password } => {
            device::Credentials { token: None, password: Some(device::Password { user, password }) }
        }
        Credentials::PasswordAndToken { user, password, token } => {
            device::Credentials { token: Some(token), password: Some(device::Password { user, password }) }
        }
    }
}

fn told(error: impl std::fmt::Display) -> DeviceError {
    DeviceError(error.to_string())
}

impl ReferenceDevice {
    fn start(&self) -> Result<(), DeviceError> {
        let life = Arc::new(MortalStore::new(self.store().open()?));
        let store = life.clone();
        let files = self.store().files()?;
        let base_url = self.setup.base_url.clone();
        let transport = Arc::new(HttpTransport::new(self.http.clone(), base_url.clone(), Duration::from_secs(10)));
        let parts = (self.fault)(DeviceParts {
            rules: Arc::new(StandardRules),
            store,
            files,
            transport,
            base_url: base_url.clone(),
        });
        let triggers = self.setup.triggers.as_ref().map(|triggers| Triggers {
            interval: Duration::from_millis(triggers.interval_ms),
            online: triggers.online,
        });
        let options = DeviceOptions {
            credentials: locked(&self.login).clone(),
            store: parts.store,
            files: parts.files,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            timer: self.clock.clone(),
            transport: Some(parts.transport),
            rules: parts.rules,
            page_limit: *self.page.read().unwrap_or_else(PoisonError::into_inner),
            batch_limit: self.setup.batch,
            replica: self.setup.replica.clone(),
            triggers,
            // Small, so that a file of a scenario comes in several.
            piece: 30_000,
            capabilities: ["attachments-proxied", "attachments-direct", "link", "partitions"]
                .into_iter()
                .chain(self.setup.telemetry.then_some(TELEMETRY))
                .map(|name| Capability::new(name).expect("a constant that is a capability"))
                .collect(),
            app: Some(format!("fieldsync {}", env!("CARGO_PKG_VERSION"))),
            device: Some(std::env::consts::OS.to_owned()),
            ..DeviceOptions::new(base_url, self.http.clone())
        };
        let device = fieldsync_client::Device::open(options).map_err(told)?;
        *self.life.write().unwrap_or_else(PoisonError::into_inner) = Some(Life { device, store: life });
        Ok(())
    }

    fn store(&self) -> Store {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn device(&self) -> Result<fieldsync_client::Device, DeviceError> {
        let life = self.life.read().unwrap_or_else(PoisonError::into_inner);
        life.as_ref().map(|life| life.device.clone()).ok_or_else(|| told("the device was ended and not started again"))
    }

    fn stop(&self) {
        if let Some(life) = self.life.write().unwrap_or_else(PoisonError::into_inner).take() {
            life.device.stop();
            life.store.end();
        }
    }
}

impl Drop for ReferenceDevice {
    fn drop(&mut self) {
        self.stop();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine's clock, moved; waiting moves it further instead of taking time.
struct ScenarioClock {
    offset_ms: watch::Sender<i64>,
}

impl ScenarioClock {
    fn new(offset_ms: i64) -> Self {
        Self { offset_ms: watch::channel(offset_ms).0 }
    }
}

impl Clock for ScenarioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(Timestamp::now().as_millis() + *self.offset_ms.borrow())
    }
}

#[async_trait]
impl Timer for ScenarioClock {
    async fn wait(&self, duration: Duration) {
        self.offset_ms.send_modify(|offset_ms| *offset_ms += duration.as_millis() as i64);
        tokio::task::yield_now().await;
    }

    /// Only a move of the clock brings the time about: no scenario is long enough for it to come by itself.
    async fn reached(&self, time: Timestamp) {
        let mut moves = self.offset_ms.subscribe();
        while self.now() < time {
            if moves.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Ids that are the same in every run with the same seed and names.
struct SeededIds {
    salt: String,
    seed: u64,
    next: AtomicU64,
}

impl Ids for SeededIds {
    fn unique(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::digest(format!("{}/{}/{number}", self.salt, self.seed));
        hash[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[async_trait]
impl Device for ReferenceDevice {
    async fn create(&self, record: &RecordRef, data: Data, group: Option<GroupId>) -> Result<(), DeviceError> {
        self.device()?.create_in(group, record.clone(), data).map_err(told)
    }

    async fn edit(&self, record: &RecordRef, changes: Data) -> Result<(), DeviceError> {
        self.device()?.edit(record, changes).map_err(told)
    }

    async fn attach(&self, record: &RecordRef, media_type: &str, bytes: &[u8], lost: bool) -> Result<(), DeviceError> {
        let id = self.device()?.attach(record, media_type, bytes).map_err(told)?;
        if lost {
            self.store().files()?.lose(&id).map_err(told)?;
        }
        Ok(())
    }

    async fn files(&self, record: &RecordRef) -> Result<Vec<ShownFile>, DeviceError> {
        let device = self.device()?;
        let mut shown = Vec::new();
        for file in device.files(record).map_err(told)? {
            let content = device.file(&file.attachment.id).map_err(told)?;
            shown.push(ShownFile { status: file.status, content });
        }
        Ok(shown)
    }

    async fn set_metered(&self, metered: bool) -> Result<(), DeviceError> {
        self.device()?.set_metered(metered).map_err(told)
    }

    async fn delete(&self, record: &RecordRef) -> Result<(), DeviceError> {
        self.device()?.delete(record).map_err(told)
    }

    async fn discard(&self, record: &RecordRef) -> Result<(), DeviceError> {
        self.device()?.discard(record).map_err(told)
    }

    async fn sync(&self) -> Result<SyncEnd, DeviceError> {
        Ok(match self.device()?.sync().await.outcome {
            SyncOutcome::Ok => SyncEnd::Ok,
            SyncOutcome::Failed(failure) => SyncEnd::Failed { cause: failure.cause, detail: failure.detail },
        })
    }

    async fn read(&self, record: &RecordRef) -> Result<Shown, DeviceError> {
        Ok(match self.device()?.read(record).map_err(told)? {
            None => Shown::default(),
            Some(shown) => {
                Shown { data: (!shown.deleted).then_some(shown.data), deleted: shown.deleted, server: shown.server }
            }
        })
    }

    async fn status(&self, record: &RecordRef) -> Result<Option<Status>, DeviceError> {
        Ok(Some(self.device()?.status(record)))
    }

    async fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, DeviceError> {
        self.device()?.conflicts().map_err(told)
    }

    async fn outbox(&self) -> Result<Vec<RecordRef>, DeviceError> {
        Ok(self.device()?.outbox().into_iter().map(|item| item.record).collect())
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>, DeviceError> {
        let items = self.device()?.quarantine();
        Ok(items.into_iter().map(|item| Quarantined { record: item.record, code: item.code }).collect())
    }

    async fn replica(&self) -> Result<ReplicaId, DeviceError> {
        Ok(self.device()?.replica_id())
    }

    async fn set_clock(&self, offset_ms: i64) -> Result<(), DeviceError> {
        self.clock.offset_ms.send_replace(offset_ms);
        Ok(())
    }

    async fn set_page(&self, page: Option<u64>) -> Result<(), DeviceError> {
        *self.page.write().unwrap_or_else(PoisonError::into_inner) = page;
        self.restart().await
    }

    async fn log_in(&self, given: Credentials) -> Result<(), DeviceError> {
        let given = credentials(&given);
        *locked(&self.login) = given.clone();
        self.device()?.log_in(given).map_err(told)
    }

    async fn set_online(&self, online: bool) -> Result<(), DeviceError> {
        self.device()?.set_online(online);
        Ok(())
    }

    async fn damage(&self, damage: Damage) -> Result<(), DeviceError> {
        let store = self.store().open()?;
        let mut writes: Vec<Write> = damage.loses.into_iter().map(Write::ServerGone).collect();
        for Altered { record, data } in damage.alters {
            let held = store.record(&record).map_err(told)?;
            let mut copy = held.ok_or_else(|| told(format!("the device holds no {record}")))?;
            Arc::make_mut(&mut copy.record).data = Some(serde_json::value::to_raw_value(&data).map_err(told)?);
            writes.push(Write::Server(Box::new(copy)));
        }
        store.commit(&writes).map_err(told)?;
        self.device()?.compare_next().map_err(told)
    }

    async fn kill(&self) {
        self.stop();
    }

    async fn restart(&self) -> Result<(), DeviceError> {
        self.stop();
        self.start()
    }

    async fn become_clone_of(&self, other: &dyn Device) -> Result<(), DeviceError> {
        let other = other.as_any().downcast_ref::<ReferenceDevice>().map(ReferenceDevice::store);
        let Some(Store::Memory(memory, files)) = other else {
            return Err(told("the store of the other device cannot be copied"));
        };
        self.stop();
        *self.store.write().unwrap_or_else(PoisonError::into_inner) =
            Store::Memory(Arc::new(memory.copied()), Arc::new(files.copied()));
        self.start()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
