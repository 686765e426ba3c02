//! The adapter's lines — what a test may ask of a client under test: one JSON object a line, on its standard input and
//! output.
//!
//! Chapter: adapter.

use crate::conflict::ConflictEntry;
use crate::id::{GroupId, RecordId, ReplicaId};
use crate::open_enum::open_enum;
use crate::pull::RecordRef;
use crate::record::{Data, Record};
use crate::registry::Profile;
use crate::scenario::{FailureCause, FileStatus, Status};
use serde::{Deserialize, Serialize};

/// The greatest length of a line, in bytes, its end included.
pub const LINE_BYTES: usize = 1024 * 1024;

/// One line to an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum AdapterRequest {
    /// Asks what the client is; the first line.
    Hello(Hello),
    /// Starts a device, on a store that is empty or that it had before.
    Open(Box<Open>),
    /// Makes a record.
    Create(Create),
    /// Changes a record, or gives up the work on it.
    Edit(Edit),
    /// Adds a file to a record. Only for clients that claim `attachments-proxied`.
    Attach(Attach),
    /// Deletes a record.
    Delete(OfRecord),
    /// Syncs; answered when the sync has ended.
    Sync(OfDevice),
    /// Asks what the device shows.
    Read(Read),
    /// Changes the world around the device.
    Set(Set),
    /// Ends a device in good order.
    Close(OfDevice),
}

/// `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hello {
    /// Names the line; the answer has the same.
    pub id: u64,
    /// The protocol version that is judged.
    pub protocol: String,
}

/// `open`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Open {
    /// Names the line.
    pub id: u64,
    /// The name by which all further lines speak of the device. No other open device of the process has it.
    pub device: String,
    /// The base URL of the data set.
    pub base_url: String,
    /// How the device gets in.
    pub credentials: AdapterCredentials,
    /// The path of a folder that exists: the device keeps everything there and goes on from what it finds. Null: it is
    /// never opened again and may keep everything in memory.
    pub store: Option<String>,
    /// How far its clock is ahead of the machine's, in milliseconds.
    #[serde(default)]
    pub offset_ms: i64,
    /// The `limit` of its pulls; the client's own choice where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// The most mutations of one batch; the client's own choice where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The replica id to take where the store has none yet; made up by the client where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// Starts syncs by itself where present. Only for clients that claim `triggers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Triggers>,
    /// Tells the server of its syncs. Only for clients that claim `telemetry`.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub telemetry: bool,
}

/// How a device gets in. With user and password it logs in by itself; a token that is there is used first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterCredentials {
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The name of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// When a device starts a sync by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Triggers {
    /// Whether there is a network at the start.
    pub online: bool,
    /// The interval between two syncs by the device's clock, in milliseconds.
    #[schemars(range(min = 1))]
    pub interval_ms: u64,
}

/// `create`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Create {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// The record to make.
    pub record: RecordRef,
    /// What it says.
    pub data: Data,
    /// The group with which it goes, or does not. Only for clients that claim `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}

/// `edit`. Exactly one of `changes` and `discard` is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Edit {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// The record.
    pub record: RecordRef,
    /// Members to set in its data; null clears one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Data>,
    /// Give up the unsent and refused work on it.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub discard: bool,
}

/// `attach`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attach {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// The record.
    pub record: RecordRef,
    /// The file's media type.
    pub media_type: String,
    /// Its bytes, in base64.
    pub content: String,
    /// Its bytes vanish from the device once it is attached, as when somebody empties a gallery.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub lost: bool,
}

/// `delete`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OfRecord {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// The record.
    pub record: RecordRef,
}

/// `sync` and `close`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OfDevice {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
}

/// `read`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Read {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// The records to show; the rest of the answer is there in any case.
    #[serde(default)]
    pub records: Vec<RecordRef>,
}

/// `set`. Members that are absent stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Set {
    /// Names the line.
    pub id: u64,
    /// The device.
    pub device: String,
    /// How far its clock is ahead of the machine's from now on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<i64>,
    /// Whether there is a network. Only for clients that claim `triggers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Whether the network costs by the byte. Only for clients that claim `attachments-proxied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
    /// Somebody else logs in, or the same person anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AdapterCredentials>,
    /// The store is damaged behind the device's back, and the next sync compares what it holds with what the server
    /// has. Only for clients that claim `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

impl Set {
    /// Changes nothing yet.
    pub fn of(id: u64, device: String) -> Self {
        Self { id, device, offset_ms: None, online: None, metered: None, credentials: None, damage: None }
    }
}

/// What happens to a store that fails. Where nothing does, the next sync compares all the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Damage {
    /// Records whose server state is no longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<RecordRef>,
    /// Records whose server state has other data than the server gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alters: Vec<Altered>,
}

/// A record whose server state was altered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Altered {
    /// The record.
    pub record: RecordRef,
    /// The data that stand there now.
    pub data: Data,
}

/// One line from an adapter: `ok` or `error`, never both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterAnswer {
    /// The line that is answered.
    pub id: u64,
    /// What the verb has to tell: `adapter-description` for `hello`, `adapter-sync-end` for `sync`, `adapter-reading`
    /// for `read`, an empty object for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<serde_json::Map<String, serde_json::Value>>,
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AdapterError>,
}

/// Why an adapter could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterError {
    /// The reason for programs.
    pub code: AdapterErrorCode,
    /// The reason for people: what was wrong, where.
    #[schemars(length(min = 1))]
    pub message: String,
}

open_enum! {
    /// Why an adapter could not do what it was asked, in a word.
    pub enum AdapterErrorCode {
        /// The adapter does not know the verb.
        UnknownVerb = "unknown-verb",
        /// The line is no JSON, or lacks what its verb needs.
        BadRequest = "bad-request",
        /// No open device has this name.
        UnknownDevice = "unknown-device",
        /// The client itself refused or failed.
        Failed = "failed",
    }
}

/// The answer to `hello`: what the client is and what it claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterDescription {
    /// The client's name.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Its version.
    #[schemars(length(min = 1, max = 128))]
    pub version: String,
    /// The profiles that it can sync.
    #[schemars(length(min = 1))]
    pub profiles: Vec<Profile>,
    /// The capabilities that it claims.
    #[serde(default)]
    pub capabilities: Vec<AdapterCapability>,
}

open_enum! {
    /// What a client may claim.
    pub enum AdapterCapability {
        /// It logs in by itself with user and password.
        PasswordLogin = "password-login",
        /// It gets a new access token with a refresh token.
        TokenRefresh = "token-refresh",
        /// Its records carry files, which it uploads and downloads.
        AttachmentsProxied = "attachments-proxied",
        /// It uploads files straight into an object storage, where the server says so.
        AttachmentsDirect = "attachments-direct",
        /// It writes the URLs of files into records, where the server says so.
        Link = "link",
        /// It pulls types whose changes are spread over several feeds.
        Partitions = "partitions",
        /// Its user makes records that go together or not at all.
        Groups = "groups",
        /// It is used while a sync runs: verbs other than `sync` are answered meanwhile.
        Concurrent = "concurrent",
        /// It starts syncs by itself.
        Triggers = "triggers",
        /// It tells the server of its syncs.
        Telemetry = "telemetry",
        /// It carries out refetch orders.
        Refetch = "refetch",
        /// It compares what it holds with what the server has, and its store can be damaged for a test.
        Digest = "digest",
    }
}

/// The answer to `sync`: how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterSyncEnd {
    /// Well or not.
    pub outcome: SyncOutcomeWord,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<FailureCause>,
    /// What the client says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a sync ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncOutcomeWord {
    /// Well.
    Ok,
    /// It failed; there is a cause.
    Failed,
}

/// The answer to `read`: what the device shows, at one moment.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdapterReading {
    /// The replica id that it uses now.
    pub replica: ReplicaId,
    /// The records that were asked for, in the order in which they were asked.
    #[serde(default)]
    pub records: Vec<ShownRecord>,
    /// The whole conflict log.
    #[serde(default)]
    pub conflicts: Vec<ShownConflict>,
    /// The records with unsettled mutations, in the order of the outbox, one entry a mutation.
    #[serde(default)]
    pub outbox: Vec<RecordRef>,
    /// The mutations that were given up.
    #[serde(default)]
    pub quarantine: Vec<QuarantinedRecord>,
}

/// What a device shows of a record.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShownRecord {
    /// The record.
    pub record: RecordRef,
    /// What its user sees; null where it is deleted or not known.
    pub data: Option<Data>,
    /// It was deleted, here or elsewhere.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub deleted: bool,
    /// Its status; null where the device does not know the record.
    pub status: Option<Status>,
    /// The server's state as the device holds it, all members as it got them; null where it holds none.
    pub server: Option<Record>,
    /// Its files, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ShownFile>,
}

/// A file of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShownFile {
    /// Where it stands.
    pub status: FileStatus,
    /// Its bytes, in base64, where they are on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// An entry of the conflict log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShownConflict {
    /// The id of the entry's record.
    pub id: RecordId,
    /// The entry.
    pub entry: ConflictEntry,
}

/// A mutation that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QuarantinedRecord {
    /// Its record.
    pub record: RecordRef,
    /// The reason, as a code.
    #[schemars(length(min = 1))]
    pub code: String,
}
