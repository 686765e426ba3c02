//! A device behind an adapter.

use super::lease::Hosted;
use crate::subject::device::{Credentials, Device, DeviceError, Quarantined, Shown, Survey, SyncEnd};
use async_trait::async_trait;
use fieldsync_schemas::adapter::{
    AdapterCredentials, AdapterReading, AdapterRequest, AdapterSyncEnd, Create, Damage, Edit, OfDevice, OfRecord,
    QuarantinedRecord, Read, Set, ShownRecord, SyncOutcomeWord,
};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{GroupId, RecordId, ReplicaId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::{FailureCause, Status};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A device that a process hosts.
pub(super) struct AdapterDevice {
    hosted: Arc<Hosted>,
    name: String,
}

impl From<Credentials> for AdapterCredentials {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::Token(token) => Self { token: Some(token), ..Self::default() },
            Credentials::Password { user, password } => {
                Self { token: None, user: Some(user), password: Some(password) }
            }
            Credentials::PasswordAndToken { user, password, token } => {
                Self { token: Some(token), user: Some(user), password: Some(password) }
            }
        }
    }
}

impl AdapterDevice {
    pub(super) fn new(hosted: Arc<Hosted>, name: String) -> Self {
        Self { hosted, name }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        verb: &str,
        request: impl FnOnce(u64, String) -> AdapterRequest + Send,
    ) -> Result<T, DeviceError> {
        let process = self.hosted.process().await?;
        process.ask(verb, |id| request(id, self.name.clone())).await
    }

    async fn done(
        &self,
        verb: &str,
        request: impl FnOnce(u64, String) -> AdapterRequest + Send,
    ) -> Result<(), DeviceError> {
        self.ask::<Map<String, Value>>(verb, request).await.map(drop)
    }

    async fn reading(&self, records: Vec<RecordRef>) -> Result<AdapterReading, DeviceError> {
        self.ask("read", |id, device| AdapterRequest::Read(Read { id, device, records })).await
    }

    async fn shown(&self, record: &RecordRef) -> Result<ShownRecord, DeviceError> {
        let reading = self.reading(vec![record.clone()]).await?;
        match <[ShownRecord; 1]>::try_from(reading.records) {
            Ok([shown]) if shown.record == *record => Ok(shown),
            _ => {
                Err(DeviceError(format!("the answer to `read` must show {record}, which was asked for, and no other")))
            }
        }
    }
}

fn quarantined(told: Vec<QuarantinedRecord>) -> Vec<Quarantined> {
    told.into_iter().map(|one| Quarantined { record: one.record, code: one.code }).collect()
}

#[async_trait]
impl Device for AdapterDevice {
    async fn create(&self, record: &RecordRef, data: Data, group: Option<GroupId>) -> Result<(), DeviceError> {
        let record = record.clone();
        self.done("create", |id, device| AdapterRequest::Create(Create { id, device, record, data, group })).await
    }

    async fn edit(&self, record: &RecordRef, changes: Data) -> Result<(), DeviceError> {
        let record = record.clone();
        let changes = Some(changes);
        self.done("edit", |id, device| AdapterRequest::Edit(Edit { id, device, record, changes, discard: false })).await
    }

    async fn delete(&self, record: &RecordRef) -> Result<(), DeviceError> {
        let record = record.clone();
        self.done("delete", |id, device| AdapterRequest::Delete(OfRecord { id, device, record })).await
    }

    async fn discard(&self, record: &RecordRef) -> Result<(), DeviceError> {
        let record = record.clone();
        let request = |id, device| AdapterRequest::Edit(Edit { id, device, record, changes: None, discard: true });
        self.done("edit", request).await
    }

    async fn sync(&self) -> Result<SyncEnd, DeviceError> {
        let process = self.hosted.process().await?;
        let request = |id| AdapterRequest::Sync(OfDevice { id, device: self.name.clone() });
        let end: AdapterSyncEnd = match process.ask("sync", request).await {
            // A sync that the suite itself cut off by ending the process is no fault of the client.
            Err(_) if process.was_ended() => {
                let detail = "the process was ended".to_owned();
                return Ok(SyncEnd::Failed { cause: FailureCause::Network, detail });
            }
            end => end?,
        };
        let detail = end.detail.unwrap_or_default();
        match (end.outcome, end.cause) {
            (SyncOutcomeWord::Ok, _) => Ok(SyncEnd::Ok),
            (SyncOutcomeWord::Failed, Some(cause)) => Ok(SyncEnd::Failed { cause, detail }),
            (SyncOutcomeWord::Failed, None) => {
                Err(DeviceError(format!("a failed sync must name its cause; it says {detail:?}")))
            }
        }
    }

    async fn read(&self, record: &RecordRef) -> Result<Shown, DeviceError> {
        let shown = self.shown(record).await?;
        Ok(Shown { data: shown.data, deleted: shown.deleted, server: shown.server })
    }

    async fn status(&self, record: &RecordRef) -> Result<Option<Status>, DeviceError> {
        Ok(self.shown(record).await?.status)
    }

    async fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, DeviceError> {
        let reading = self.reading(Vec::new()).await?;
        Ok(reading.conflicts.into_iter().map(|shown| (shown.id, shown.entry)).collect())
    }

    async fn outbox(&self) -> Result<Vec<RecordRef>, DeviceError> {
        Ok(self.reading(Vec::new()).await?.outbox)
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>, DeviceError> {
        Ok(quarantined(self.reading(Vec::new()).await?.quarantine))
    }

    async fn survey(&self, records: &[RecordRef]) -> Result<Survey, DeviceError> {
        let reading = self.reading(records.to_vec()).await?;
        if !reading.records.iter().map(|shown| &shown.record).eq(records) {
            return Err(DeviceError(
                "the answer to `read` must show the records that were asked for, in order".to_owned(),
            ));
        }
        let shown = |one: ShownRecord| Shown { data: one.data, deleted: one.deleted, server: one.server };
        Ok(Survey {
            records: reading.records.into_iter().map(shown).collect(),
            outbox: reading.outbox,
            quarantine: quarantined(reading.quarantine),
        })
    }

    async fn replica(&self) -> Result<ReplicaId, DeviceError> {
        Ok(self.reading(Vec::new()).await?.replica)
    }

    async fn set_clock(&self, offset_ms: i64) -> Result<(), DeviceError> {
        if let Some(open) = self.hosted.devices().get_mut(&self.name) {
            open.offset_ms = offset_ms;
        }
        let request = |id, device| AdapterRequest::Set(Set { offset_ms: Some(offset_ms), ..Set::of(id, device) });
        self.done("set", request).await
    }

    async fn log_in(&self, given: Credentials) -> Result<(), DeviceError> {
        let credentials = AdapterCredentials::from(given);
        if let Some(open) = self.hosted.devices().get_mut(&self.name) {
            open.credentials = credentials.clone();
        }
        let request = |id, device| AdapterRequest::Set(Set { credentials: Some(credentials), ..Set::of(id, device) });
        self.done("set", request).await
    }

    async fn set_online(&self, online: bool) -> Result<(), DeviceError> {
        if let Some(triggers) = self.hosted.devices().get_mut(&self.name).and_then(|open| open.triggers.as_mut()) {
            triggers.online = online;
        }
        let request = |id, device| AdapterRequest::Set(Set { online: Some(online), ..Set::of(id, device) });
        self.done("set", request).await
    }

    async fn damage(&self, damage: Damage) -> Result<(), DeviceError> {
        let request = |id, device| AdapterRequest::Set(Set { damage: Some(damage), ..Set::of(id, device) });
        self.done("set", request).await
    }

    async fn kill(&self) {
        self.hosted.kill().await;
    }

    async fn restart(&self) -> Result<(), DeviceError> {
        self.hosted.restart().await
    }

    async fn become_clone_of(&self, other: &dyn Device) -> Result<(), DeviceError> {
        let other = other.as_any().downcast_ref::<AdapterDevice>();
        let other = other.ok_or_else(|| DeviceError("only a device of the same client can be cloned".to_owned()))?;
        self.hosted.copy_store(&other.name, &self.name).await
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
