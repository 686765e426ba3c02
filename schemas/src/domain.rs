//! The domain — what a data set hosts, written by people as YAML: `fieldsync serve --domain FILE`.
//!
//! Chapter: registry.

use crate::id::{RecordId, TypeName};
use crate::record::Data;
use crate::registry::{Locations, Profile, TypeEntry};
use crate::session::Limits;
use serde::{Deserialize, Serialize};

/// A data set as it is configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The name of the data set, and the first segment of its path.
    pub name: TypeName,
    /// Its profile.
    pub profile: Profile,
    /// Its types, parents first.
    #[schemars(length(min = 1, max = 499))]
    pub types: Vec<TypeEntry>,
    /// Sets of types that may refer to one another in a circle.
    #[serde(default)]
    pub cycles: Vec<Vec<TypeName>>,
    /// The places at which records are, for the scopes of principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Locations>,
    /// The sizes that the server enforces.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// The records of its reference types with which a new data set begins.
    #[serde(default)]
    pub records: Vec<SeedRecord>,
}

/// A record with which a new data set begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedRecord {
    /// Its type, whose class is `reference`.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its id.
    pub id: RecordId,
    /// What it says.
    pub data: Data,
}
