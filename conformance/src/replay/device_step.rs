//! What a device does or shows in a step.

use super::act::{ActError, Missed, Play, StepEnd, credentials, offset, word};
use super::deed::Deed;
use crate::subject::device::{Device, DeviceError, SyncEnd};
use crate::tap::TapPort;
use fieldsync_schemas::adapter::{Altered, Damage};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::{
    CallKind, ConflictExpectation, Conflicts, DeviceSettings, DeviceStep, GoneWord, Reading, SyncStep,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

const TO_THE_END: &str = "cycles.pull.to-the-end";

/// A device of a scenario, its port, and the sync that is under way.
pub(super) struct Slot {
    device: Arc<dyn Device>,
    port: Arc<TapPort>,
    settings: DeviceSettings,
    under_way: Mutex<Option<JoinHandle<Result<SyncEnd, DeviceError>>>>,
}

impl Slot {
    pub(super) fn new(device: Arc<dyn Device>, port: TapPort, settings: DeviceSettings) -> Self {
        let killed = device.clone();
        port.on_kill(Arc::new(move || {
            let killed = killed.clone();
            Box::pin(async move { killed.kill().await })
        }));
        Self { device, port: Arc::new(port), settings, under_way: Mutex::new(None) }
    }

    pub(super) fn port(&self) -> &TapPort {
        &self.port
    }

    pub(super) fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// Lets go what is held and waits for the sync that is under way.
    pub(super) async fn settle(&self) {
        self.port.release();
        if let Some(sync) = self.under_way.lock().await.take() {
            _ = sync.await;
        }
        self.port.wait_kills().await;
        self.port.sync_ended();
    }

    pub(super) fn into_parts(self) -> (Arc<dyn Device>, TapPort, DeviceSettings) {
        let port = Arc::into_inner(self.port).expect("the play has ended, so nothing else holds the port");
        (self.device, port, self.settings)
    }

    /// Begins a sync, and returns once something is held or the sync has ended.
    async fn begin(&self) {
        self.port.mark();
        let device = self.device.clone();
        let (over, is_over) = oneshot::channel::<()>();
        let sync = tokio::spawn(async move {
            // Dropped at the end, whatever the end is; how the sync ended stays for the step that asks for it.
            let _over = over;
            device.sync().await
        });
        *self.under_way.lock().await = Some(sync);
        tokio::select! {
            () = self.port.wait_held() => {}
            _ = is_over => {}
        }
    }

    /// The end of the sync that is under way, or of a new one.
    async fn end(&self) -> Result<SyncEnd, DeviceError> {
        let under_way = self.under_way.lock().await.take();
        let end = match under_way {
            Some(sync) => sync.await.map_err(|error| DeviceError(format!("the sync broke: {error}")))?,
            None => {
                self.port.mark();
                self.device.sync().await
            }
        };
        // A kill that comes after the end of the sync must not strike the process that is started next.
        self.port.wait_kills().await;
        self.port.sync_ended();
        end
    }
}

impl Play<'_> {
    pub(super) async fn device_step(&self, name: &str, step: &DeviceStep) -> Result<StepEnd, ActError> {
        let slot = self.slot(name)?;
        let device = slot.device();
        let broke = ActError::of_device;
        if slot.settings.triggers.is_some() && step.is_an_occasion() {
            slot.port().mark();
        }
        if let Some(create) = &step.create {
            let (type_name, alias) = create.named.iter().next().expect("the lint checked that there is one");
            let group = create.group.as_deref().and_then(|group| self.names.value(group).as_str()?.parse().ok());
            for alias in create.aliases(alias) {
                let (record, data) = (self.names.create(type_name, &alias), self.names.fill_data(&create.data));
                device.create(&record, data.clone(), group.clone()).await.map_err(broke(name))?;
                self.note(Deed::Saved(name.to_owned(), record, data));
            }
        }
        for (alias, changes) in step.edit.iter().flatten() {
            let (record, data) = (self.names.record(alias), self.names.fill_data(changes));
            device.edit(&record, data.clone()).await.map_err(broke(name))?;
            self.note(Deed::Saved(name.to_owned(), record, data));
        }
        for (alias, file) in step.attach.iter().flatten() {
            let text = self.names.fill_plain(&file.text);
            let media_type = file.media_type.as_deref().unwrap_or("image/jpeg");
            let record = self.names.record(alias);
            let attached = device.attach(&record, media_type, text.as_bytes(), file.lost).await;
            if file.refused {
                let what = format!("what {name} says to a file of {media_type} for {alias}");
                let got = attached.map_or_else(|_| word("refused"), |()| word("taken"));
                if let missed @ StepEnd::Missed(_) = self.expect(what, word("refused"), got) {
                    return Ok(missed);
                }
            } else {
                attached.map_err(broke(name))?;
            }
        }
        if let Some(metered) = step.metered {
            device.set_metered(metered).await.map_err(broke(name))?;
        }
        if let Some(alias) = &step.delete {
            device.delete(&self.names.record(alias)).await.map_err(broke(name))?;
            self.note(Deed::GaveUp(self.names.record(alias)));
        }
        if let Some(alias) = &step.discard {
            device.discard(&self.names.record(alias)).await.map_err(broke(name))?;
            self.note(Deed::GaveUp(self.names.record(alias)));
        }
        if let Some(clock) = &step.clock {
            device.set_clock(offset(clock)?).await.map_err(broke(name))?;
        }
        if let Some(damage) = &step.damage {
            let record = |alias: &String| self.names.record(alias);
            let altered = |(alias, data): (&String, &Data)| Altered { record: record(alias), data: data.clone() };
            let damage = Damage {
                loses: damage.loses.iter().map(record).collect(),
                alters: damage.alters.iter().map(altered).collect(),
            };
            device.damage(damage).await.map_err(broke(name))?;
            self.note(Deed::Meddled);
        }
        if let Some(account) = &step.log_in {
            let credentials = credentials(&self.stage, account, slot.settings.password)?;
            device.log_in(credentials).await.map_err(broke(name))?;
        }
        if let Some(online) = step.online {
            device.set_online(online).await.map_err(broke(name))?;
        }
        if let Some(kind) = step.asks {
            // The scenario's time limit ends it where no request comes.
            slot.port().wait_answered(kind).await;
            self.checked();
        }
        if step.restart.is_some() {
            device.restart().await.map_err(broke(name))?;
        }
        if let Some(other) = &step.clone_of {
            let other = self.slot(other)?.device().clone();
            device.become_clone_of(other.as_ref()).await.map_err(broke(name))?;
            self.note(Deed::Meddled);
        }
        if let Some(sync) = &step.sync {
            return self.sync(name, slot, sync).await;
        }
        for (alias, reading) in step.reads.iter().flatten() {
            let shown = device.read(&self.names.record(alias)).await.map_err(broke(name))?;
            let expected = match reading {
                Reading::Data(data) => self.names.fill(&Value::Object(data.clone())),
                Reading::Gone(GoneWord::Deleted) => word("deleted"),
                Reading::Gone(GoneWord::Absent) => word("absent"),
            };
            let got = match shown.data {
                Some(data) => Value::Object(data),
                None if shown.deleted => word("deleted"),
                None => word("absent"),
            };
            if let missed @ StepEnd::Missed(_) = self.expect(format!("what {name} shows of {alias}"), expected, got) {
                return Ok(missed);
            }
        }
        for (alias, wanted) in step.files.iter().flatten() {
            let shown = device.files(&self.names.record(alias)).await.map_err(broke(name))?;
            let got: Vec<Value> = shown
                .into_iter()
                .map(|file| match file.content {
                    Some(bytes) => json!({"status": file.status, "text": String::from_utf8_lossy(&bytes)}),
                    None => json!({"status": file.status}),
                })
                .collect();
            let expected = self.names.fill(&json!(wanted));
            self.checked();
            if let Some((path, expected, got)) = crate::judge::matching::mismatch(&expected, Some(&json!(got))) {
                let what = format!("{path} of the files of {alias}, as {name} shows them");
                return Ok(StepEnd::Missed(Missed::new(what, expected, got)));
            }
        }
        for (alias, members) in step.holds.iter().flatten() {
            let shown = device.read(&self.names.record(alias)).await.map_err(broke(name))?;
            let server = shown.server.map_or(Value::Null, |record| json!(record));
            let expected = self.names.fill(&Value::Object(members.clone()));
            self.checked();
            if let Some((path, expected, got)) = crate::judge::matching::mismatch(&expected, Some(&server)) {
                let what = format!("{path} of the server's state of {alias}, as {name} holds it");
                return Ok(StepEnd::Missed(Missed::new(what, expected, got)));
            }
        }
        for (alias, status) in step.status.iter().flatten() {
            let got = device.status(&self.names.record(alias)).await.map_err(broke(name))?;
            let what = format!("the status of {alias} on {name}");
            if let missed @ StepEnd::Missed(_) = self.expect(what, json!(status), json!(got)) {
                return Ok(missed);
            }
        }
        if let Some(wanted) = step.outbox {
            let got = device.outbox().await.map_err(broke(name))?;
            if got.len() as u64 != wanted {
                let waiting: Vec<String> = got.iter().map(ToString::to_string).collect();
                return Ok(self.expect(format!("the outbox of {name}"), json!(wanted), json!(waiting)));
            }
            self.checked();
        }
        if let Some(wanted) = &step.quarantine {
            let expected: BTreeMap<String, &String> =
                wanted.iter().map(|(alias, code)| (self.names.record(alias).id.to_string(), code)).collect();
            let found = device.quarantine().await.map_err(broke(name))?;
            let got: BTreeMap<String, String> =
                found.into_iter().map(|one| (one.record.id.to_string(), one.code)).collect();
            return Ok(self.expect(format!("the quarantine of {name}"), json!(expected), json!(got)));
        }
        if let Some(wanted) = &step.requests {
            let got = slot.port().calls_since_mark();
            return Ok(self.expect(format!("the requests of {name} since its sync began"), json!(wanted), json!(got)));
        }
        if let Some(kind) = step.sends_no {
            let got = slot.port().calls_since_mark().get(&kind).copied().unwrap_or_default();
            let what = format!("the requests {} of {name} since its sync began", json!(kind));
            return Ok(self.expect(what, json!(0), json!(got)));
        }
        if let Some(conflicts) = &step.conflicts {
            return self.conflicts(name, device.as_ref(), conflicts).await;
        }
        Ok(StepEnd::Fine)
    }

    async fn sync(&self, name: &str, slot: &Slot, step: &SyncStep) -> Result<StepEnd, ActError> {
        let what = format!("the sync of {name}");
        if *step == SyncStep::Begins {
            slot.begin().await;
            return Ok(StepEnd::Fine);
        }
        let end = slot.end().await.map_err(ActError::of_device(name))?;
        let got = match &end {
            SyncEnd::Ok => word("ok"),
            SyncEnd::Failed { cause, detail } => json!({"fails": cause, "because": detail}),
        };
        self.checked();
        let as_expected = match (step, &end) {
            (SyncStep::Ends, _) | (SyncStep::Ok, SyncEnd::Ok) => true,
            (SyncStep::Fails(wanted), SyncEnd::Failed { cause, .. }) => wanted == cause,
            _ => false,
        };
        if !as_expected {
            return Ok(StepEnd::Missed(Missed::new(what, json!(step), got)));
        }
        // Every sync that ends well has asked for what is new. One that began by itself may have done so before the mark.
        let asked = slot.port().calls_since_mark().contains_key(&CallKind::Pull) || slot.settings.triggers.is_some();
        Ok(match end {
            SyncEnd::Ok if !asked => {
                let what = format!("the pulls of {name} in a sync that ended well");
                StepEnd::Missed(Missed { rule: Some(TO_THE_END), ..Missed::new(what, "at least 1", 0) })
            }
            _ => StepEnd::Fine,
        })
    }

    /// The entries of the scenario's own records; others are none of its business.
    async fn conflicts(&self, name: &str, device: &dyn Device, wanted: &Conflicts) -> Result<StepEnd, ActError> {
        let log = device.conflicts().await.map_err(ActError::of_device(name))?;
        let mut found: Vec<Value> = Vec::new();
        for (_, entry) in log.iter().filter(|(_, entry)| self.names.alias_of(entry.record.id.as_str()).is_some()) {
            let mut told = Map::new();
            told.insert("record".to_owned(), json!(entry.record.id));
            told.insert("path".to_owned(), json!(entry.path));
            for (side, value) in [("lost", &entry.lost), ("kept", &entry.kept), ("base", &entry.base)] {
                told.extend(value.clone().map(|value| (side.to_owned(), value)));
            }
            told.insert("lost_by".to_owned(), self.device_of(entry.lost_by.replica.as_ref()).await);
            told.insert("kept_by".to_owned(), self.device_of(entry.kept_by.replica.as_ref()).await);
            found.push(Value::Object(told));
        }
        self.checked();
        let what = format!("the conflict log of {name}");
        let wanted: Vec<Value> = match wanted {
            Conflicts::None(_) => Vec::new(),
            Conflicts::Entries(entries) => entries.iter().map(|entry| self.told(entry)).collect(),
        };
        let mut left = found.clone();
        for entry in &wanted {
            let fits = |one: &Value| crate::judge::matching::mismatch(entry, Some(one)).is_none();
            match left.iter().position(fits) {
                Some(index) => drop(left.remove(index)),
                None => return Ok(StepEnd::Missed(Missed::new(what, json!(wanted), json!(found)))),
            }
        }
        Ok(if left.is_empty() {
            StepEnd::Fine
        } else {
            StepEnd::Missed(Missed::new(what, json!(wanted), json!(found)))
        })
    }

    fn told(&self, entry: &ConflictExpectation) -> Value {
        let mut told = self.names.fill(&json!(entry));
        told["record"] = json!(self.names.record(&entry.record).id);
        let members = told.as_object_mut().expect("an expectation is an object");
        members.retain(|_, value| !value.is_null());
        told
    }

    /// The device of this replica, or the replica where no device has it now.
    async fn device_of(&self, replica: Option<&fieldsync_schemas::id::ReplicaId>) -> Value {
        let Some(replica) = replica else { return word("server") };
        for (name, slot) in &self.slots {
            if slot.device().replica().await.as_ref() == Ok(replica) {
                return json!(name);
            }
        }
        json!(replica)
    }
}
