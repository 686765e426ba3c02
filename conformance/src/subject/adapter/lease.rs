//! The process that acts one scenario, and the devices that it hosts.

use super::client::Pool;
use super::device::AdapterDevice;
use super::process::AdapterProcess;
use crate::subject::device::{Device, DeviceError, DeviceSetup, Devices, Keeping};
use async_trait::async_trait;
use fieldsync_schemas::adapter::{AdapterRequest, OfDevice, Open};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::RwLock;

/// The devices of one scenario.
pub(super) struct Lease(Arc<Hosted>);

/// The process, and what is needed to open its devices again in another.
pub(super) struct Hosted {
    pool: Arc<Pool>,
    process: RwLock<Option<Arc<AdapterProcess>>>,
    open: Mutex<BTreeMap<String, Open>>,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, process: AdapterProcess) -> Self {
        let process = RwLock::new(Some(Arc::new(process)));
        Self(Arc::new(Hosted { pool, process, open: Mutex::default() }))
    }
}

#[async_trait]
impl Devices for Lease {
    async fn open(&self, setup: DeviceSetup) -> Result<Arc<dyn Device>, DeviceError> {
        let device = format!("{}-{}", setup.name, self.0.pool.number());
        let store = match &setup.keeping {
            Keeping::Memory => None,
            Keeping::Durable => Some(self.0.pool.new_store()?),
            Keeping::Folder(path) => Some(path.clone()),
        };
        let open = Open {
            id: 0,
            device: device.clone(),
            base_url: setup.base_url.to_string(),
            credentials: setup.credentials.into(),
            store: store.map(|path| path.display().to_string()),
            offset_ms: setup.clock_offset_ms,
            page: setup.page,
            batch: setup.batch,
            replica: setup.replica,
            triggers: setup.triggers,
            telemetry: setup.telemetry,
        };
        self.0.open(open).await?;
        Ok(Arc::new(AdapterDevice::new(self.0.clone(), device)))
    }

    async fn log(&self) -> Option<String> {
        self.0.process.read().await.as_ref().and_then(|process| process.take_log())
    }
}

impl Hosted {
    /// The process that hosts the devices now.
    pub(super) async fn process(&self) -> Result<Arc<AdapterProcess>, DeviceError> {
        self.process
            .read()
            .await
            .clone()
            .ok_or_else(|| DeviceError("the adapter could not be started again".to_owned()))
    }

    /// The devices that are open, or were when the process ended, with how they are set up.
    pub(super) fn devices(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a device, and keeps in mind how.
    async fn open(&self, open: Open) -> Result<(), DeviceError> {
        self.devices().insert(open.device.clone(), open.clone());
        let request = |id| AdapterRequest::Open(Box::new(Open { id, ..open }));
        self.process().await?.ask::<Map<String, Value>>("open", request).await.map(drop)
    }

    /// Closes a device in good order.
    async fn close(&self, device: &str) -> Result<(), DeviceError> {
        let request = |id| AdapterRequest::Close(OfDevice { id, device: device.to_owned() });
        self.process().await?.ask::<Map<String, Value>>("close", request).await.map(drop)
    }

    /// Ends the process at once, and returns once it has ended.
    pub(super) async fn kill(&self) {
        let process = self.process.read().await.clone();
        if let Some(process) = process {
            process.kill();
            process.ended().await;
        }
    }

    /// Ends the process at once, starts another, and opens all devices again on their stores.
    pub(super) async fn restart(&self) -> Result<(), DeviceError> {
        let mut process = self.process.write().await;
        if let Some(before) = process.take() {
            before.kill();
            before.ended().await;
        }
        *process = Some(Arc::new(self.pool.lend().await?));
        drop(process);
        let devices: Vec<Open> = self.devices().values().cloned().collect();
        for open in devices {
            self.open(open).await?;
        }
        Ok(())
    }

    /// Gives a device a copy of another's store.
    pub(super) async fn copy_store(&self, from: &str, to: &str) -> Result<(), DeviceError> {
        let setup = |device: &str| {
            self.devices().get(device).cloned().ok_or_else(|| DeviceError(format!("there is no device {device}")))
        };
        let (source, mut target) = (setup(from)?, setup(to)?);
        let Some(source_path) = source.store.clone() else {
            return Err(DeviceError(format!("{from} has no store that can be copied")));
        };
        self.close(from).await?;
        self.close(to).await?;
        let copy = self.pool.new_store()?;
        copy_folder(Path::new(&source_path), &copy)
            .map_err(|error| DeviceError(format!("the store of {from} cannot be copied: {error}")))?;
        target.store = Some(copy.display().to_string());
        self.open(source).await?;
        self.open(target).await
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A process without a word owed goes to the next scenario; any other ends here.
impl Drop for Hosted {
    fn drop(&mut self) {
        let Some(process) = self.process.get_mut().take().and_then(Arc::into_inner) else { return };
        if !process.is_idle() {
            return;
        }
        for device in self.open.get_mut().unwrap_or_else(PoisonError::into_inner).keys() {
            // An answer that never comes shows at the end of the next scenario.
            process.tell(|id| AdapterRequest::Close(OfDevice { id, device: device.clone() }));
        }
        self.pool.take_back(process);
    }
}
