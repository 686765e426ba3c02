//! A device, as a scenario sees it: reference devices act when a server is judged, a foreign client is driven through
//! the same trait.

use async_trait::async_trait;
use fieldsync_schemas::adapter::{Damage, Triggers};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{GroupId, RecordId, ReplicaId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::{Data, Record};
use fieldsync_schemas::scenario::{FailureCause, FileStatus, Status};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// How a device gets in.
#[derive(Debug, Clone, PartialEq)]
pub enum Credentials {
    /// A token that was got beforehand.
    Token(String),
    /// User and password: the device logs in by itself.
    Password {
        /// The name of the account.
        user: String,
        /// Its password.
        password: String,
    },
    /// A token that was got beforehand, and what to do once it has ended.
    PasswordAndToken {
        /// The name of the account.
        user: String,
        /// Its password.
        password: String,
        /// The token.
        token: String,
    },
}

/// How a device is set up.
#[derive(Debug, Clone)]
pub struct DeviceSetup {
    /// Its name in the scenario.
    pub name: String,
    /// The base URL, which leads through the tap.
    pub base_url: Url,
    /// How it gets in.
    pub credentials: Credentials,
    /// How far its clock is ahead, in milliseconds.
    pub clock_offset_ms: i64,
    /// The changes it asks for in one pull.
    pub page: Option<u64>,
    /// The most mutations of one batch.
    pub batch: Option<u32>,
    /// The replica id it begins with.
    pub replica: Option<ReplicaId>,
    /// Fixes the ids that it makes up.
    pub seed: u64,
    /// Where it keeps what it has.
    pub keeping: Keeping,
    /// When it starts a sync by itself; never where absent.
    pub triggers: Option<Triggers>,
    /// Whether it tells the server of its syncs.
    pub telemetry: bool,
}

/// Where a device keeps what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// In memory, if it likes: it is not opened again.
    Memory,
    /// So that its process can end and start again.
    Durable,
    /// In this folder, going on from what is there.
    Folder(PathBuf),
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncEnd {
    /// Well.
    Ok,
    /// It failed.
    Failed {
        /// Why.
        cause: FailureCause,
        /// What the device says of it.
        detail: String,
    },
}

/// What a device shows of a record.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// What it says; none where it is deleted or was never known.
    pub data: Option<Data>,
    /// It was deleted.
    pub deleted: bool,
    /// The server's state as the device holds it.
    pub server: Option<Record>,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    /// The record.
    pub record: RecordRef,
    /// The reason, as a code.
    pub code: String,
}

/// A file of a record, as a device shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownFile {
    /// Where it stands.
    pub status: FileStatus,
    /// Its bytes, where they are on the device.
    pub content: Option<Vec<u8>>,
}

/// What a device shows at one moment.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The records that were asked for, in the order in which they were asked.
    pub records: Vec<Shown>,
    /// The records with unsettled mutations, one entry a mutation.
    pub outbox: Vec<RecordRef>,
    /// The refused records.
    pub quarantine: Vec<Quarantined>,
}

/// What a device could not do, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(pub String);

/// A device.
#[async_trait]
pub trait Device: Send + Sync {
    /// Makes a record, in a group where one is named.
    async fn create(&self, record: &RecordRef, data: Data, group: Option<GroupId>) -> Result<(), DeviceError>;
    /// Sets members of a record; null clears.
    async fn edit(&self, record: &RecordRef, changes: Data) -> Result<(), DeviceError>;
    /// Adds a file to a record; a lost one is gone from the device once it is attached. Only for a device with files.
    async fn attach(&self, _: &RecordRef, _media_type: &str, _: &[u8], _lost: bool) -> Result<(), DeviceError> {
        Err(DeviceError("the records of this device carry no files".to_owned()))
    }
    /// The files of a record.
    async fn files(&self, _: &RecordRef) -> Result<Vec<ShownFile>, DeviceError> {
        Ok(Vec::new())
    }
    /// Tells it whether the network costs by the byte. Only for a device with files.
    async fn set_metered(&self, metered: bool) -> Result<(), DeviceError> {
        Err(DeviceError(format!("a device without files cannot be told that metered is {metered}")))
    }
    /// Deletes a record.
    async fn delete(&self, record: &RecordRef) -> Result<(), DeviceError>;
    /// Gives up the unsent or refused work on a record.
    async fn discard(&self, record: &RecordRef) -> Result<(), DeviceError>;
    /// Syncs.
    async fn sync(&self) -> Result<SyncEnd, DeviceError>;
    /// What it shows of a record.
    async fn read(&self, record: &RecordRef) -> Result<Shown, DeviceError>;
    /// The sync status of a record; none where it is not known.
    async fn status(&self, record: &RecordRef) -> Result<Option<Status>, DeviceError>;
    /// The conflict log.
    async fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, DeviceError>;
    /// The records with unsettled mutations, one entry a mutation.
    async fn outbox(&self) -> Result<Vec<RecordRef>, DeviceError>;
    /// The refused records.
    async fn quarantine(&self) -> Result<Vec<Quarantined>, DeviceError>;
    /// All of it at once, of these records.
    async fn survey(&self, records: &[RecordRef]) -> Result<Survey, DeviceError> {
        let mut survey =
            Survey { records: Vec::new(), outbox: self.outbox().await?, quarantine: self.quarantine().await? };
        for record in records {
            survey.records.push(self.read(record).await?);
        }
        Ok(survey)
    }
    /// The replica id that it uses now.
    async fn replica(&self) -> Result<ReplicaId, DeviceError>;
    /// Sets how far its clock is ahead, in milliseconds.
    async fn set_clock(&self, offset_ms: i64) -> Result<(), DeviceError>;
    /// Sets the changes that it asks for in one pull; what the server gives where there is none. Only a data set that
    /// others fill, too, needs it.
    async fn set_page(&self, page: Option<u64>) -> Result<(), DeviceError> {
        Err(DeviceError(format!("the pages of this device cannot be set to {page:?} while it is open")))
    }
    /// Gives it other credentials: somebody else logs in, or the same person anew.
    async fn log_in(&self, credentials: Credentials) -> Result<(), DeviceError>;
    /// Tells it whether there is a network. Only for a device with triggers.
    async fn set_online(&self, online: bool) -> Result<(), DeviceError>;
    /// Damages its store behind its back; its next sync compares what it holds with what the server has.
    async fn damage(&self, damage: Damage) -> Result<(), DeviceError>;
    /// Ends it without warning. It can be started again.
    async fn kill(&self);
    /// Ends it without warning, if it still runs, and starts it on the same store.
    async fn restart(&self) -> Result<(), DeviceError>;
    /// Takes over a copy of another device's store.
    async fn become_clone_of(&self, other: &dyn Device) -> Result<(), DeviceError>;
    /// What it is, for a clone.
    fn as_any(&self) -> &dyn Any;
}

/// What makes devices.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Makes a device with an empty store.
    async fn open(&self, setup: DeviceSetup) -> Result<Arc<dyn Device>, DeviceError>;
    /// What they wrote to their log lately, for people.
    async fn log(&self) -> Option<String> {
        None
    }
}
