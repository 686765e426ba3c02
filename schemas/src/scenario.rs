//! The scenario — one fixture: what devices and a server do, and what must be seen.
//!
//! Chapter: scenarios. Written as YAML, one file a scenario, under `fixtures/scenarios/<chapter>/`.

use crate::control::Verb;
use crate::id::{Capability, ReplicaId, RuleId, TypeName};
use crate::record::Data;
use crate::registry::Profile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The name of a device in a scenario.
pub type DeviceName = String;
/// The name of a record in a scenario; also `${name}` in a raw request, where it stands for the record's id.
pub type Alias = String;

/// One fixture, without its steps' places in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, as a fact.
    #[schemars(length(min = 10, max = 120))]
    pub title: String,
    /// The rules that it shows. The first is blamed by every expectation that names none.
    #[schemars(length(min = 1, max = 3))]
    pub covers: Vec<RuleId>,
    /// The protocol version in which it first stood.
    #[serde(default = "since_first")]
    pub since: String,
    /// The profile whose policy it asserts; runs under each claimed profile where absent.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// What the subject must offer.
    #[serde(default)]
    pub needs: Needs,
    /// The devices, each with its account: `worker` unless named.
    #[serde(default)]
    pub devices: Devices,
    /// What a failure means for the people whose data it is.
    #[serde(default)]
    pub harm: Option<String>,
    /// Runs the scenario once for each value, written `${name}` in the steps.
    #[serde(default)]
    pub each: BTreeMap<String, Vec<Value>>,
    /// What happens, in order.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
}

fn since_first() -> String {
    crate::PROTOCOL_VERSION.to_owned()
}

/// What a subject must offer for a scenario to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Capabilities that the server's session lists.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Capabilities that it does not list.
    #[serde(default)]
    pub unclaimed: Vec<Capability>,
    /// Control verbs besides those that the steps imply. With `new_data_set` there is a second data set of the profile,
    /// with its base URL's path in `${base.other}`.
    #[serde(default)]
    pub control: Vec<Verb>,
}

/// The devices of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Devices {
    /// Names; every device logs in as `worker`.
    Names(Vec<DeviceName>),
    /// Names with accounts and settings.
    Settings(BTreeMap<DeviceName, DeviceSettings>),
}

impl Default for Devices {
    fn default() -> Self {
        Devices::Names(Vec::new())
    }
}

impl Devices {
    /// Each device with its settings, in the order of the file (names) or of the alphabet (settings).
    pub fn settings(&self) -> Vec<(DeviceName, DeviceSettings)> {
        match self {
            Devices::Names(names) => names.iter().map(|name| (name.clone(), DeviceSettings::default())).collect(),
            Devices::Settings(all) => all.iter().map(|(name, one)| (name.clone(), one.clone())).collect(),
        }
    }
}

/// How one device is set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// Its account: `worker`, `other` (both read-write), `reader` (read-only), `admin`, or `stranger` (no role).
    #[serde(default = "worker")]
    pub account: String,
    /// The changes it asks for in one pull.
    #[serde(default)]
    pub page: Option<u64>,
    /// The most mutations it puts into one batch.
    #[serde(default)]
    pub batch: Option<u32>,
    /// How far its clock is off, such as `+1d` or `-5m`.
    #[serde(default)]
    pub clock: Option<String>,
    /// The replica id it begins with, for a cloned phone; made up where absent.
    #[serde(default)]
    pub replica: Option<ReplicaId>,
    /// Logs in with the password instead of a token from outside.
    #[serde(default)]
    pub password: bool,
    /// Starts syncs by itself.
    #[serde(default)]
    pub triggers: Option<TriggerSettings>,
}

/// When a device starts syncs by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSettings {
    /// The time between two syncs, such as `15m`.
    pub interval: String,
    /// Whether there is a network at the start.
    #[serde(default)]
    pub online: bool,
}

fn worker() -> String {
    "worker".to_owned()
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self { account: worker(), page: None, batch: None, clock: None, replica: None, password: false, triggers: None }
    }
}

/// One step. In the file, `rule` stands beside the actor.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The rule that a failed expectation of this step breaks; the scenario's first where absent.
    pub rule: Option<RuleId>,
    /// What happens.
    pub action: Action,
    /// Its line in the file, from 1; 0 where unknown.
    pub line: u32,
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A device does or shows something.
    Device(DeviceName, Box<DeviceStep>),
    /// Something happens to the network.
    Network(Box<NetworkStep>),
    /// Something happens to the server.
    Server(ServerStep),
    /// The held request or answer of a device goes on.
    Release(DeviceName),
    /// These steps run at once.
    Together(Vec<Step>),
    /// A raw request.
    Request(Box<RequestStep>),
}

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
    /// Copies the other device's store, as a phone restored from a backup does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_of: Option<DeviceName>,
    /// The requests that the device sent since its last sync began, by kind: `requests: {pull: 1}`. Kinds that are not
    /// named must not have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<CallKind, u64>>,
}

impl DeviceStep {
    /// Whether a device with triggers may start a sync because of it.
    pub fn is_an_occasion(&self) -> bool {
        let changes = self.create.is_some() || self.edit.is_some() || self.delete.is_some();
        changes || self.online.is_some() || self.clock.is_some()
    }
}

/// A record to make: one member is `type: alias`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CreateStep {
    /// What it says.
    #[serde(default)]
    pub data: Data,
    /// Its type and the name that the scenario gives it. `data` is no type here, although it could be one's name.
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, Alias>")]
    pub named: BTreeMap<TypeName, Alias>,
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
    /// The overridden value.
    #[serde(default)]
    pub lost: Option<Value>,
    /// The value that stayed.
    #[serde(default)]
    pub kept: Option<Value>,
    /// The value on which the loser was made.
    #[serde(default)]
    pub base: Option<Value>,
    /// The device that wrote the overridden value.
    #[serde(default)]
    pub lost_by: Option<DeviceName>,
    /// The device that wrote the value that stayed.
    #[serde(default)]
    pub kept_by: Option<DeviceName>,
}

/// The kinds of request that a device sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// `GET {base}`.
    Discovery,
    /// `POST {base}/login`.
    Login,
    /// `POST {base}/refresh`.
    Refresh,
    /// `GET {base}/session`.
    Session,
    /// `POST {base}/push`.
    Push,
    /// `POST {base}/pull`.
    Pull,
    /// Anything.
    Any,
}

/// Something that happens to the requests of one device until the sync it hits has ended. Exactly one fault is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkStep {
    /// The device.
    pub of: DeviceName,
    /// The connection is lost, at the place that `at` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<CallKind>,
    /// The request or the answer waits until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<CallKind>,
    /// The request reaches the server twice at the same time; the device gets one of the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<CallKind>,
    /// The device gets the answer to its request before, once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<CallKind>,
    /// The server never sees the request; the device gets `reply` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CallKind>,
    /// The answer is changed on its way, as `change` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alter: Option<CallKind>,
    /// Where a drop or a hold strikes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<FaultPlace>,
    /// The answer to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<CannedReply>,
    /// The change to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<AnswerChange>,
    /// Strikes only requests that speak of this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Alias>,
    /// Lets this many matching requests through first.
    #[serde(default)]
    pub after: u64,
    /// Strikes at most this many requests; every one of the sync where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// Where a drop or a hold strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultPlace {
    /// The server sees nothing.
    BeforeSend,
    /// The server sees half of the request.
    MidRequest,
    /// The server has answered in full; the device gets nothing.
    AfterAnswer,
    /// The device gets half of the answer.
    MidAnswer,
    /// Before the request goes on to the server (`hold`).
    Request,
    /// Before the answer goes back to the device (`hold`).
    Answer,
}

/// An answer that does not come from the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CannedReply {
    /// The HTTP status; 200 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A text body, as HTML unless `headers` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A change to an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerChange {
    /// Sets members of the JSON body, by JSON Pointer; null removes.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Turns the order of the array at this JSON Pointer round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<String>,
    /// Another media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Sends the body as gzip, cut in the middle, with a length that fits.
    #[serde(default)]
    pub cut_gzip: bool,
}

/// Something that happens to the server. Exactly one member is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerStep {
    /// The process ends at once and starts again on the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<bool>,
    /// Sets how far the data set's clock is off, such as `+1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Purges the data set's tombstones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<bool>,
    /// Holds the next commit after it has its place in the feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_commit: Option<bool>,
    /// Lets the held commit go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_commit: Option<bool>,
}

/// A raw request and the answer it must get, for what a device cannot express. `${name}` in any text stands for what
/// was saved under the name, or for an id made up at its first use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestStep {
    /// The account whose token is sent; `worker` where absent, `nobody` for none.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `GET` where there is no body, `POST` where there is one, or this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path below the base URL, such as `/push`; empty for the base URL itself.
    #[serde(default)]
    pub path: String,
    /// A URL in the place of the path, resolved against the root of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers besides those of every request; null leaves one of those out.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A body as text, sent byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A body that is this many bytes longer than the server's `body_bytes`. It is `body`, where there is one, with a
    /// member `pad` of the length that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversized_by: Option<u64>,
    /// Sends the body as gzip where the server announces that it reads gzip, plain elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip: Option<bool>,
    /// The answer it must get.
    pub expect: ExpectedAnswer,
    /// Saves members of the answer under a name, by JSON Pointer.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
}

/// The answer that a raw request must get.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// The HTTP status; 200 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status of a server that does not offer what is asked for and need not. The scenario ends well there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<u16>,
    /// Members that the JSON body must have. An object may have more; an array has exactly these items, or, where it is
    /// written as `{$some: ...}`, one such item at least. `$any`, `$absent`, `$string`, `$time` and `${name}` stand for
    /// values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Headers that the answer must have; `$any` for any value, null for absent.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut members = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let rule = match members.remove("rule") {
            Some(rule) => Some(serde_json::from_value(rule).map_err(D::Error::custom)?),
            None => None,
        };
        let mut members = members.into_iter();
        let (Some((actor, what)), None) = (members.next(), members.next()) else {
            return Err(D::Error::custom(
                "a step has exactly one actor (a device, network, server, release, together or request) and may name a rule",
            ));
        };
        fn read<T: serde::de::DeserializeOwned, E: serde::de::Error>(what: Value) -> Result<T, E> {
            serde_path_to_error::deserialize(what).map_err(E::custom)
        }
        let action = match actor.as_str() {
            "network" => Action::Network(read(what)?),
            "server" => Action::Server(read(what)?),
            "release" => Action::Release(read(what)?),
            "together" => Action::Together(read(what)?),
            "request" => Action::Request(read(what)?),
            _ => Action::Device(actor, read(what)?),
        };
        Ok(Step { rule, action, line: 0 })
    }
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        match &self.action {
            Action::Device(name, step) => map.serialize_entry(name, step)?,
            Action::Network(step) => map.serialize_entry("network", step)?,
            Action::Server(step) => map.serialize_entry("server", step)?,
            Action::Release(name) => map.serialize_entry("release", name)?,
            Action::Together(steps) => map.serialize_entry("together", steps)?,
            Action::Request(step) => map.serialize_entry("request", step)?,
        }
        if let Some(rule) = &self.rule {
            map.serialize_entry("rule", rule)?;
        }
        map.end()
    }
}

impl schemars::JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One step: an actor and what happens, and the rule that a failed expectation breaks.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": 2,
            "properties": {
                "rule": generator.subschema_for::<RuleId>(),
                "network": generator.subschema_for::<NetworkStep>(),
                "server": generator.subschema_for::<ServerStep>(),
                "release": { "type": "string" },
                "together": { "type": "array", "items": { "$ref": "#/$defs/Step" } },
                "request": generator.subschema_for::<RequestStep>()
            },
            "additionalProperties": generator.subschema_for::<DeviceStep>()
        })
    }
}
