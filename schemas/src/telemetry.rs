//! Telemetry — what a device tells of one sync, as the `data` of a record of the built-in type `telemetry`.
//!
//! Chapter: telemetry.

use crate::id::{Principal, TypeName};
use crate::open_enum::open_enum;
use crate::scenario::FailureCause;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the built-in type.
pub const TELEMETRY_TYPE: &str = "telemetry";
/// The feed that carries it.
pub const TELEMETRY_FEED: &str = "telemetry";
/// The capability by whose name both sides offer it.
pub const TELEMETRY: &str = "telemetry";

/// What a device tells of one sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SyncTelemetry {
    /// Whose sync it was: the principal who pushes this.
    pub user: Principal,
    /// When it began, by the device's clock.
    pub started_at: Timestamp,
    /// When it ended; absent where the process ended in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: SyncEndWord,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<FailureCause>,
    /// What the device says of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub detail: Option<String>,
    /// The changes that the server settled, by type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pushed: BTreeMap<TypeName, u64>,
    /// The changes that came, by type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pulled: BTreeMap<TypeName, u64>,
    /// The changes that were given up.
    #[serde(default)]
    pub given_up: u64,
    /// The requests that were sent.
    #[serde(default)]
    pub requests: u64,
    /// The bodies that were sent, in bytes.
    #[serde(default)]
    pub bytes_sent: u64,
    /// The bodies that came, in bytes, decoded.
    #[serde(default)]
    pub bytes_received: u64,
    /// The app and its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub app: Option<String>,
    /// The device and its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub device: Option<String>,
}

open_enum! {
    /// How a sync ended.
    pub enum SyncEndWord {
        /// Well.
        Ok = "ok",
        /// It failed, with a cause.
        Failed = "failed",
        /// The process ended in it.
        Killed = "killed",
    }
}
