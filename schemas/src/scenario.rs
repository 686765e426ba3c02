//! The scenario — one fixture: what devices and a server do, and what must be seen.
//!
//! Chapter: scenarios. Written as YAML, one file a scenario, under `fixtures/scenarios/<chapter>/`.

mod device;
mod network;
mod request;
mod step;

pub use device::{
    AttachStep, ConflictExpectation, Conflicts, CreateStep, DamageStep, DeviceStep, ErrorCause, FailureCause,
    FileExpectation, FileStatus, GoneWord, NoneWord, Reading, Status, SyncStep,
};
pub use network::{AnswerChange, CallKind, CannedReply, FaultPlace, NetworkStep};
pub use request::{ExpectedAnswer, RequestStep};
pub use step::{Action, AllWord, ReferenceStep, ScopeStep, ServerStep, Step};

use crate::control::Verb;
use crate::id::{Capability, RuleId};
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
    /// The profiles whose policies it asserts. Where absent it runs under each claimed profile that its rules belong to.
    #[serde(default)]
    pub profile: Profiles,
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

/// The profiles of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Profiles {
    /// This one.
    One(Profile),
    /// Each of these; every one where there are none.
    Each(Vec<Profile>),
}

impl Default for Profiles {
    fn default() -> Self {
        Profiles::Each(Vec::new())
    }
}

impl Profiles {
    /// Those that are named.
    pub fn named(&self) -> &[Profile] {
        match self {
            Profiles::One(profile) => std::slice::from_ref(profile),
            Profiles::Each(profiles) => profiles,
        }
    }
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
    /// The replica id it begins with, for a cloned phone or a tie, such as `a-${r}`; made up where absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub replica: Option<String>,
    /// Logs in with the password instead of a token from outside.
    #[serde(default)]
    pub password: bool,
    /// Starts syncs by itself.
    #[serde(default)]
    pub triggers: Option<TriggerSettings>,
    /// Tells the server of its syncs.
    #[serde(default)]
    pub telemetry: bool,
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
        Self {
            account: worker(),
            page: None,
            batch: None,
            clock: None,
            replica: None,
            password: false,
            triggers: None,
            telemetry: false,
        }
    }
}
