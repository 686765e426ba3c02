//! The control verbs — what a test may ask of a server that runs for tests: `GET {control}`, `POST {control}/{verb}`.
//!
//! Chapter: control. Every verb is optional; a scenario that needs a missing one is not tested.

use crate::id::{RecordId, TypeName};
use crate::open_enum::open_enum;
use crate::record::Data;
use crate::registry::Profile;
use crate::session::Role;
use serde::{Deserialize, Serialize};

/// The answer to `GET {control}`: the verbs that this server offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ControlDescription {
    /// The verbs.
    pub verbs: Vec<VerbDescription>,
    /// The profiles of which `new_data_set` makes data sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
}

/// One verb, and what it reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VerbDescription {
    /// The verb.
    pub verb: Verb,
    /// What it reaches. A scenario whose verb reaches the server runs alone.
    pub reach: Reach,
}

open_enum! {
    /// A control verb.
    pub enum Verb {
        /// Makes an empty data set.
        NewDataSet = "new_data_set",
        /// Makes accounts.
        Accounts = "accounts",
        /// Moves a data set's clock.
        Clock = "clock",
        /// Purges the tombstones of a data set.
        Horizon = "horizon",
        /// Ends the server's process at once.
        Kill = "kill",
        /// Holds the next commit of a data set.
        HoldCommit = "hold_commit",
        /// Lets the held commit go.
        ReleaseCommit = "release_commit",
        /// Gives a principal a scope.
        Scope = "scope",
        /// Changes a reference record, as the server itself does.
        Reference = "reference",
        /// Orders a principal's devices to pull once more from the beginning.
        Refetch = "refetch",
        /// Makes a backup of a data set.
        Backup = "backup",
        /// Puts a data set's last backup in the place of its data.
        Restore = "restore",
        /// Empties a data set on purpose.
        Wipe = "wipe",
    }
}

open_enum! {
    /// What a control verb reaches.
    pub enum Reach {
        /// One data set.
        DataSet = "data-set",
        /// The whole server.
        Server = "server",
    }
}

/// The body of `POST {control}/new_data_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewDataSet {
    /// The profile; the server takes the domain that it hosts under it.
    pub profile: Profile,
    /// Who may use the data set.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// A principal's role in a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    /// The name of the account.
    pub user: String,
    /// Its role.
    pub role: Role,
}

/// The answer to `new_data_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewDataSetAnswer {
    /// The base URL of the data set; resolves against the request's URL.
    pub base: String,
    /// The name by which other verbs address it.
    pub data_set: String,
}

/// The body of `POST {control}/accounts`: accounts to make, or to give a new password.
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Accounts {
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// An account to make.
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Account {
    /// Its name.
    #[schemars(length(min = 1, max = 128))]
    pub user: String,
    /// Its password.
    #[schemars(length(min = 1, max = 1024))]
    pub password: String,
}

/// The body of `POST {control}/clock`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClockShift {
    /// The data set.
    pub data_set: String,
    /// How far its clock is ahead of the machine's, in milliseconds; behind where negative.
    pub offset_ms: i64,
}

/// The body of `horizon`, `hold_commit`, `release_commit`, `backup`, `restore` and `wipe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DataSetRef {
    /// The data set.
    pub data_set: String,
}

/// The body of `POST {control}/scope`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScopeGrant {
    /// The data set.
    pub data_set: String,
    /// The name of the account.
    pub user: String,
    /// The places at and below which the principal sees records from now on; null for all records.
    pub places: Option<Vec<RecordId>>,
}

/// The body of `POST {control}/reference`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReferenceChange {
    /// The data set.
    pub data_set: String,
    /// The type, whose class is `reference`.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The record, which is made where it is not there.
    pub id: RecordId,
    /// What it says from now on.
    pub data: Data,
}

/// The body of `POST {control}/refetch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefetchRequest {
    /// The data set.
    pub data_set: String,
    /// The name of the account.
    pub user: String,
    /// The types to pull; every one where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeName>,
}

/// The answer to a verb that has nothing to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
}
