//! What a device does, and what it shows.

use super::{Alias, CallKind, DeviceName};
use crate::id::TypeName;
use crate::record::Data;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a device does or shows. Exactly one member besides `page` is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceStep {
    /// Makes a record: `create: {observation: fever, data: {temp: 38.1}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateStep>,
    /// Sets members of records; null clears: `edit: {fever: {temp: 39}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<BTreeMap<Alias, Data>>,
    /// Deletes a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Alias>,
    /// Adds files to records: `attach: {scan: {text: "a photo"}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<BTreeMap<Alias, AttachStep>>,
    /// The files of records, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<Alias, Vec<FileExpectation>>>,
    /// Whether the network costs by the byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
    /// Gives up the unsent or refused work on a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discard: Option<Alias>,
    /// Syncs, or waits for the sync that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStep>,
    /// What the device shows of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<BTreeMap<Alias, Reading>>,
    /// Members of the server's state as the device holds it, such as `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<BTreeMap<Alias, Data>>,
    /// The sync status of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BTreeMap<Alias, Status>>,
    /// The conflict log of the scenario's records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Conflicts>,
    /// How many mutations wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<u64>,
    /// The refused records, each with the code of its refusal; `{}` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<BTreeMap<Alias, String>>,
    /// Ends the device without warning and starts it on the same store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
    /// Sets how far the device's clock is off, such as `+1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Somebody with this account logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_in: Option<String>,
    /// Whether there is a network, for a device with triggers. The mark of `asks` and `requests` is set here, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Waits until the device, without being told to sync, has got a whole answer to a request of this kind since its
    /// last mark: the begin of its last sync, `online`, `clock`, `create`, `edit` or `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<CallKind>,
    /// Damages the device's store behind its back. The next sync compares what it holds with what the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<DamageStep>,
    /// Copies the other device's store, as a phone restored from a backup does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_of: Option<DeviceName>,
    /// The requests that the device sent since its last sync began, by kind: `requests: {pull: 1}`. Kinds that are not
    /// named must not have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<CallKind, u64>>,
    /// A kind of request that the device has not sent since its last sync began, whatever else it sent: `sends_no: upload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sends_no: Option<CallKind>,
}

impl DeviceStep {
    /// Whether a device with triggers may start a sync because of it.
    pub fn is_an_occasion(&self) -> bool {
        let changes = self.create.is_some() || self.edit.is_some() || self.delete.is_some() || self.attach.is_some();
        changes || self.online.is_some() || self.clock.is_some()
    }
}

/// A record to make: one member is `type: alias`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CreateStep {
    /// What it says.
    #[serde(default)]
    pub data: Data,
    /// The group with which it goes, by the name that the scenario gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How many records are made with the same data: `times: 3` of the name `visit` makes `visit-1`, `visit-2` and
    /// `visit-3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub times: Option<u32>,
    /// Its type and the name that the scenario gives it. `data`, `group` and `times` are no types here, although
    /// they could be one's name.
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, Alias>")]
    pub named: BTreeMap<TypeName, Alias>,
}

impl CreateStep {
    /// The names of the records that it makes, of this one.
    pub fn aliases(&self, alias: &str) -> Vec<Alias> {
        match self.times {
            None => vec![alias.to_owned()],
            Some(times) => (1..=times).map(|number| format!("{alias}-{number}")).collect(),
        }
    }
}

/// What happens to a store that fails. Where nothing does, the next sync compares all the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DamageStep {
    /// Records whose server state is no longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<Alias>,
    /// Records whose server state has other data than the server gave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alters: BTreeMap<Alias, Data>,
}

/// A sync and how it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncStep {
    /// It ends well.
    Ok,
    /// It begins and goes on beside the next steps; where a request is held, until it is.
    Begins,
    /// It fails by this cause.
    Fails(FailureCause),
    /// It ends, well or not.
    Ends,
}

/// Why a sync failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCause {
    /// No answer, or none that is a message.
    Network,
    /// The server refused or failed.
    Server,
    /// The server does not accept the credentials.
    Credentials,
}

/// A file that a device's user adds to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachStep {
    /// Its bytes, as text.
    pub text: String,
    /// Its media type; `image/jpeg` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its bytes vanish from the device at once, as when somebody empties a gallery.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub lost: bool,
    /// The device refuses to add it, and says why.
    #[serde(default, skip_serializing_if = "crate::record::is_false")]
    pub refused: bool,
}

/// A file of a record, as a device shows it. Members that are absent are not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExpectation {
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<FileStatus>,
    /// Its bytes, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where a file of a record stands on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileStatus {
    /// It was captured here and waits to go up.
    Pending,
    /// It is here, and on the server.
    Synced,
    /// It was captured elsewhere, and the server does not have it yet.
    Awaiting,
    /// The server has it, and it has not come down yet.
    Remote,
    /// It was captured here, and its bytes are gone.
    Missing,
    /// The server refuses it.
    Refused,
    /// The server fails over it; it is tried again.
    Failing,
}

/// What a device shows of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Reading {
    /// It is there, with exactly this data.
    Data(Data),
    /// It is not shown.
    Gone(GoneWord),
}

/// How a record is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GoneWord {
    /// It was deleted.
    Deleted,
    /// The device has never heard of it.
    Absent,
}

/// The sync status of a record on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It waits to be pushed.
    Pending,
    /// It is being pushed.
    Syncing,
    /// The server has it.
    Synced,
    /// It could not be pushed.
    Error(ErrorCause),
}

/// Why a record could not be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCause {
    /// No answer; retried.
    Network,
    /// The server failed; retried.
    Server,
    /// The credentials are refused; retried after a login.
    Credentials,
    /// The server refused the record; not retried.
    Rejected,
}

/// The conflict log as a device shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Conflicts {
    /// `none`.
    None(NoneWord),
    /// Exactly these entries, in any order.
    Entries(Vec<ConflictExpectation>),
}

/// The word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoneWord {
    /// Nothing.
    None,
}

/// One entry of the conflict log. Members that are absent are not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictExpectation {
    /// The record.
    pub record: Alias,
    /// Where in it.
    #[serde(default)]
    pub path: Option<String>,
    /// The overridden value; `$absent` where a removal was.
    #[serde(default)]
    pub lost: Option<Value>,
    /// The value that stayed; `$absent` where a removal did.
    #[serde(default)]
    pub kept: Option<Value>,
    /// The value on which the loser was made; `$absent` where there was none.
    #[serde(default)]
    pub base: Option<Value>,
    /// The device that wrote the overridden value.
    #[serde(default)]
    pub lost_by: Option<DeviceName>,
    /// The device that wrote the value that stayed.
    #[serde(default)]
    pub kept_by: Option<DeviceName>,
}
