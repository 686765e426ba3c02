//! `GET {base}` — what a data set is, before anybody logs in.
//!
//! Chapter: discovery.

use crate::open_enum::open_enum;
use crate::registry::Profile;
use serde::{Deserialize, Serialize};

/// The answer to `GET {base}`. Needs no login and no `Fieldsync-Version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Discovery {
    /// The protocol versions that the server speaks, newest first.
    #[schemars(length(min = 1))]
    pub versions: Vec<String>,
    /// The profile of the data set.
    pub profile: Profile,
    /// The ways to log in. `bearer` is always possible.
    #[schemars(length(min = 1))]
    pub auth: Vec<AuthMethod>,
    /// The codings that the server reads in requests, besides the plain one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encodings: Vec<ContentCoding>,
    /// The name and version of the software, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
}

open_enum! {
    /// A way to log in.
    pub enum AuthMethod {
        /// An access token that the server or somebody else issued, sent as `Authorization: Bearer`.
        Bearer = "bearer",
        /// `POST {base}/login` with user and password.
        Password = "password",
    }
}

open_enum! {
    /// A coding of a body, as in `Content-Encoding`.
    pub enum ContentCoding {
        /// RFC 1952.
        Gzip = "gzip",
        /// RFC 8878.
        Zstd = "zstd",
    }
}

/// The answer to `GET /.well-known/fieldsync`: where the default data set of a host is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WellKnown {
    /// The base URL of the default data set; resolves against the request's URL.
    #[schemars(length(min = 1, max = 2048))]
    pub base: String,
}
