//! Reference devices that end at a write of their store, and are started again by whoever uses them: as people do with an
//! app that closed under their hands.

use async_trait::async_trait;
use fieldsync_conformance::subject::client::Client;
use fieldsync_conformance::subject::device::{
    Credentials, Device, DeviceError, DeviceSetup, Devices, Quarantined, Shown, SyncEnd,
};
use fieldsync_conformance::subject::mortal::MortalStore;
use fieldsync_conformance::subject::reference::{DeviceParts, ReferenceDevices};
use fieldsync_schemas::adapter::{AdapterCapability, Damage};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{GroupId, RecordId, ReplicaId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::scenario::Status;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// When a device ends: with the write of this number, which is made or not.
#[derive(Clone, Copy)]
struct End {
    write: u64,
    is_made: bool,
}

/// What makes the devices of one scenario after another.
#[derive(Default)]
pub struct MortalDevices {
    reference: ReferenceDevices,
    /// Which device ends, a write later with every second scenario.
    ending: Option<&'static str>,
    /// What is wrong with all of them besides.
    fault: Option<fn(DeviceParts) -> DeviceParts>,
    scenarios: AtomicU64,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    ended_at: Mutex<BTreeSet<u64>>,
    kills: AtomicUsize,
}

impl MortalDevices {
    /// The device of this name ends: in the first scenario with its first write, which is not made, in the second with
    /// its first write, which is made, and so on.
    pub fn ending_at_every_write_of(name: &'static str) -> Self {
        Self { ending: Some(name), ..Self::default() }
    }

    /// All devices have this fault.
    pub fn with(fault: fn(DeviceParts) -> DeviceParts) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// The writes at which a device has ended.
    pub fn ended_at(&self) -> BTreeSet<u64> {
        self.seen.ended_at.lock().expect("nothing panics while it holds this").clone()
    }

    /// How many devices the network has killed.
    pub fn kills(&self) -> usize {
        self.seen.kills.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Client for MortalDevices {
    fn name(&self) -> String {
        "mortal".to_owned()
    }

    fn profiles(&self) -> Vec<Profile> {
        Client::profiles(&self.reference)
    }

    fn capabilities(&self) -> Vec<AdapterCapability> {
        Client::capabilities(&self.reference)
    }

    async fn devices(&self) -> Result<Arc<dyn Devices>, DeviceError> {
        let number = self.scenarios.fetch_add(1, Ordering::SeqCst);
        let end = End { write: number / 2 + 1, is_made: number % 2 == 1 };
        let ending = self.ending.map(|name| (name, end));
        let (reference, fault) = (self.reference.clone(), self.fault);
        Ok(Arc::new(OfScenario { reference, fault, ending, seen: self.seen.clone() }))
    }
}

struct OfScenario {
    reference: ReferenceDevices,
    fault: Option<fn(DeviceParts) -> DeviceParts>,
    ending: Option<(&'static str, End)>,
    seen: Arc<Seen>,
}

#[async_trait]
impl Devices for OfScenario {
    async fn open(&self, setup: DeviceSetup) -> Result<Arc<dyn Device>, DeviceError> {
        let end = self.ending.filter(|(name, _)| *name == setup.name).map(|(_, end)| end);
        let life: Arc<Mutex<Option<Arc<MortalStore>>>> = Arc::default();
        let (planned, lived) = (Mutex::new(end), life.clone());
        let fault = self.fault;
        let reference = self.reference.changed(Arc::new(move |parts: DeviceParts| {
            let parts = match fault {
                Some(fault) => fault(parts),
                None => parts,
            };
            let store = Arc::new(MortalStore::new(parts.store));
            // Only the first life has an end.
            if let Some(end) = planned.lock().expect("nothing panics while it holds this").take() {
                store.end_at(end.write, end.is_made);
            }
            *lived.lock().expect("nothing panics while it holds this") = Some(store.clone());
            DeviceParts { store, ..parts }
        }));
        let mut device = MortalDevice { inner: None, life, end, seen: self.seen.clone() };
        let opened = match reference.open(setup.clone()).await {
            // Nothing was written that anybody knows of: the app is opened once more.
            Err(_) if device.note_end() => reference.open(setup).await?,
            opened => opened?,
        };
        device.inner = Some(opened);
        Ok(Arc::new(device))
    }

    async fn log(&self) -> Option<String> {
        let (name, End { write, is_made }) = self.ending?;
        Some(format!("{name} ends at write {write}, which is {}", if is_made { "made" } else { "not made" }))
    }
}

struct MortalDevice {
    inner: Option<Arc<dyn Device>>,
    life: Arc<Mutex<Option<Arc<MortalStore>>>>,
    end: Option<End>,
    seen: Arc<Seen>,
}

impl MortalDevice {
    fn inner(&self) -> &dyn Device {
        self.inner.as_deref().expect("it was opened")
    }

    /// Whether its life is over.
    fn note_end(&self) -> bool {
        let life = self.life.lock().expect("nothing panics while it holds this").clone();
        let is_over = life.is_some_and(|store| store.is_over());
        if let (true, Some(end)) = (is_over, self.end) {
            self.seen.ended_at.lock().expect("nothing panics while it holds this").insert(end.write);
        }
        is_over
    }

    /// Starts it again where it has ended; whether it had.
    async fn revived(&self) -> Result<bool, DeviceError> {
        if self.end.is_none() || !self.note_end() {
            return Ok(false);
        }
        self.inner().restart().await?;
        Ok(true)
    }

    /// After what was told to the user as failed: whether it must be done again, because the device ended before it was
    /// written.
    async fn again(
        &self,
        done: Result<(), DeviceError>,
        record: &RecordRef,
        is_there: impl Fn(&Shown) -> bool + Send,
    ) -> Result<bool, DeviceError> {
        match self.revived().await? {
            true => Ok(!is_there(&self.inner().read(record).await?)),
            false => done.map(|()| false),
        }
    }
}

#[async_trait]
impl Device for MortalDevice {
    async fn create(&self, record: &RecordRef, data: Data, group: Option<GroupId>) -> Result<(), DeviceError> {
        let done = self.inner().create(record, data.clone(), group.clone()).await;
        if self.again(done, record, |shown| shown.data.as_ref() == Some(&data)).await? {
            self.inner().create(record, data, group).await?;
        }
        Ok(())
    }

    async fn edit(&self, record: &RecordRef, changes: Data) -> Result<(), DeviceError> {
        let done = self.inner().edit(record, changes.clone()).await;
        let is_there = |shown: &Shown| {
            shown.data.as_ref().is_some_and(|data| changes.iter().all(|(name, value)| data.get(name) == Some(value)))
        };
        if self.again(done, record, is_there).await? {
            self.inner().edit(record, changes).await?;
        }
        Ok(())
    }

    async fn delete(&self, record: &RecordRef) -> Result<(), DeviceError> {
        let done = self.inner().delete(record).await;
        if self.again(done, record, |shown| shown.deleted).await? {
            self.inner().delete(record).await?;
        }
        Ok(())
    }

    async fn discard(&self, record: &RecordRef) -> Result<(), DeviceError> {
        self.inner().discard(record).await
    }

    async fn sync(&self) -> Result<SyncEnd, DeviceError> {
        let end = self.inner().sync().await;
        if self.revived().await? { self.inner().sync().await } else { end }
    }

    async fn read(&self, record: &RecordRef) -> Result<Shown, DeviceError> {
        self.inner().read(record).await
    }

    async fn status(&self, record: &RecordRef) -> Result<Option<Status>, DeviceError> {
        self.inner().status(record).await
    }

    async fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, DeviceError> {
        self.inner().conflicts().await
    }

    async fn outbox(&self) -> Result<Vec<RecordRef>, DeviceError> {
        self.inner().outbox().await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>, DeviceError> {
        self.inner().quarantine().await
    }

    async fn replica(&self) -> Result<ReplicaId, DeviceError> {
        self.inner().replica().await
    }

    async fn set_clock(&self, offset_ms: i64) -> Result<(), DeviceError> {
        self.inner().set_clock(offset_ms).await
    }

    async fn log_in(&self, credentials: Credentials) -> Result<(), DeviceError> {
        self.inner().log_in(credentials).await
    }

    async fn set_online(&self, online: bool) -> Result<(), DeviceError> {
        self.inner().set_online(online).await
    }

    async fn damage(&self, damage: Damage) -> Result<(), DeviceError> {
        self.inner().damage(damage).await
    }

    async fn kill(&self) {
        self.seen.kills.fetch_add(1, Ordering::SeqCst);
        self.inner().kill().await;
    }

    async fn restart(&self) -> Result<(), DeviceError> {
        self.inner().restart().await
    }

    async fn become_clone_of(&self, other: &dyn Device) -> Result<(), DeviceError> {
        self.inner().become_clone_of(other).await
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
