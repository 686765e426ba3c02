//! `POST {base}/login` and `POST {base}/refresh` — from a password to tokens, and from tokens to newer ones.
//!
//! Chapter: session.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The body of `POST {base}/login` (capability `password-login`).
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginRequest {
    /// The name of the account.
    #[schemars(length(min = 1, max = 128))]
    pub user: String,
    /// Its password.
    #[schemars(length(min = 1, max = 1024))]
    pub password: String,
}

/// The body of `POST {base}/refresh` (capability `token-refresh`).
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[schemars(length(min = 1, max = 4096))]
    pub refresh_token: String,
}

/// The answer to a login or a refresh.
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenAnswer {
    /// Goes into `Authorization: Bearer` of every other request.
    #[schemars(length(min = 1, max = 4096))]
    pub access_token: String,
    /// When the access token ends, by the server's clock.
    pub expires_at: Timestamp,
    /// Gets the next access token without the password (capability `token-refresh`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub refresh_token: Option<String>,
}

macro_rules! hide_secrets {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), " { secrets hidden }"))
            }
        }
    )*};
}
hide_secrets!(LoginRequest, RefreshRequest, TokenAnswer);
