//! `GET {base}/session` — who is logged in, what may be done, and what the records look like.
//!
//! Chapter: session.

use crate::id::{Capability, Epoch, Principal, RefetchId, ScopeTag, SessionTag, TypeName};
use crate::open_enum::open_enum;
use crate::registry::{Profile, Registry};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The `scope` of a principal who sees everything.
pub const SCOPE_OF_ALL: &str = "all";

/// The answer to `GET {base}/session`. Its `ETag` is its `tag`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Session {
    /// Differs when anything here but `server_time` does.
    pub tag: SessionTag,
    /// Who is logged in.
    pub principal: Principal,
    /// What the principal may do in this data set.
    pub role: Role,
    /// The part of the data that the principal sees.
    pub scope: ScopeTag,
    /// The identity of the data.
    pub epoch: Epoch,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The profile of the data set.
    pub profile: Profile,
    /// What the server can do besides the core.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// The sizes that the server enforces.
    pub limits: Limits,
    /// The types of the records.
    pub registry: Registry,
    /// Every batch whose answer had this `accepted_seq`, or one below it, is in the newest backup (capability
    /// `restore`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backed_up_seq: Option<u64>,
    /// What the devices of this principal are to pull once more from the beginning (capability `refetch`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub refetch: Vec<RefetchOrder>,
}

/// An order to pull once more from the beginning. A device carries it out once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefetchOrder {
    /// Its id, unique in the data set.
    pub id: RefetchId,
    /// The types to pull; every one where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeName>,
}

open_enum! {
    /// What a principal may do in a data set.
    pub enum Role {
        /// Pull, but not push.
        ReadOnly = "read-only",
        /// Pull and push.
        ReadWrite = "read-write",
        /// Pull, push, and look after other users.
        Admin = "admin",
    }
}

/// The sizes that a server enforces. A request over one of them is refused with a problem that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Limits {
    /// The decoded body of a request, in bytes. At least 65536.
    #[schemars(range(min = 65536, max = 9007199254740991u64))]
    pub body_bytes: u64,
    /// The mutations of a batch. At least 10.
    #[schemars(range(min = 10, max = 100_000))]
    pub batch_mutations: u32,
    /// The changes of one pull answer. At least 10.
    #[schemars(range(min = 10, max = 100_000))]
    pub page_changes: u32,
    /// The feeds that one pull may name. At least 10.
    #[serde(default = "pull_feeds")]
    #[schemars(range(min = 10, max = 1000))]
    pub pull_feeds: u32,
    /// The `data` of one record, in bytes of UTF-8. At least 16384.
    #[schemars(range(min = 16384, max = 9007199254740991u64))]
    pub record_bytes: u64,
    /// One string or member name within `data`, in bytes of UTF-8. At least 4096.
    #[schemars(range(min = 4096, max = 9007199254740991u64))]
    pub string_bytes: u64,
    /// The depth of objects and arrays within `data`; `data` itself is 1. At least 8.
    #[schemars(range(min = 8, max = 128))]
    pub nesting: u32,
}

/// The feeds that one pull may name where the session says nothing of it.
fn pull_feeds() -> u32 {
    1000
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            batch_mutations: 500,
            page_changes: 1000,
            pull_feeds: pull_feeds(),
            record_bytes: 256 << 10,
            string_bytes: 64 << 10,
            nesting: 32,
        }
    }
}
