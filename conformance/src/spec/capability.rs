//! What a server may offer besides the core, by name.

/// Every capability of this protocol version, in the order of the specification.
pub const CAPABILITIES: &[&str] = &[
    "password-login",
    "token-refresh",
    "roles",
    "parents",
    "groups",
    "partitions",
    "horizon",
    "scopes",
    "refetch",
    "restore",
    "derived-fields",
    "on-stale-merge",
    "telemetry",
    "digest",
    "attachments-proxied",
    "attachments-direct",
    "link",
];

/// The level that every server and device has.
pub const CORE: &str = "core";
