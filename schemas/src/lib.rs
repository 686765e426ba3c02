//! The typed messages of Fieldsync.
//!
//! One message, one module; its first line is the HTTP line. The JSON Schemas under `json/` are generated from these
//! types, and nothing else: [`catalog::MESSAGES`] lists them. [`openapi`] puts them into one description of the HTTP
//! interface.

pub mod adapter;
pub mod attachment;
pub mod baseline;
pub mod catalog;
pub mod config;
pub mod conflict;
pub mod control;
pub mod digest;
pub mod discovery;
pub mod domain;
pub mod event;
pub mod id;
pub mod login;
mod open_enum;
pub mod openapi;
pub mod problem;
pub mod pull;
pub mod push;
pub mod record;
pub mod registry;
pub mod scenario;
pub mod session;
pub mod telemetry;
pub mod time;

/// The protocol version that these messages belong to.
pub const PROTOCOL_VERSION: &str = "2026-12-01";
/// The header that names the protocol version on every request and answer.
pub const VERSION_HEADER: &str = "fieldsync-version";
/// The header that names a request on every answer.
pub const REQUEST_ID_HEADER: &str = "fieldsync-request-id";
