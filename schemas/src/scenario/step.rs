//! One step: an actor and what happens, and the rule that a failed expectation breaks.

use super::{DeviceName, DeviceStep, NetworkStep, RequestStep};
use crate::id::{RecordId, RuleId, TypeName};
use crate::record::Data;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// Makes a backup of the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<bool>,
    /// Puts the last backup in the place of the data set's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<bool>,
    /// Empties the data set on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe: Option<bool>,
    /// Gives accounts their scopes: `scope: {other: [north]}`, or `scope: {other: all}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<BTreeMap<String, ScopeStep>>,
    /// Changes a reference record: `reference: {type: place, id: hill, data: {within: north}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceStep>,
    /// Orders the devices of accounts to pull these types once more; all where there are none: `refetch: {other: []}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refetch: Option<BTreeMap<String, Vec<TypeName>>>,
}

/// What an account sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum ScopeStep {
    /// Everything.
    All(AllWord),
    /// The records at and below these places.
    Places(Vec<RecordId>),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllWord {
    /// Everything.
    All,
}

/// A reference record as it is from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceStep {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its id, as it is.
    pub id: RecordId,
    /// What it says.
    pub data: Data,
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
