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

/// What a client may claim, in the order of the specification. The last two are no server's affair.
pub const CLIENT_CAPABILITIES: &[&str] = &[
    "password-login",
    "token-refresh",
    "groups",
    "partitions",
    "refetch",
    "telemetry",
    "digest",
    "attachments-proxied",
    "attachments-direct",
    "link",
    "concurrent",
    "triggers",
];

/// Whether only clients claim it.
pub fn is_of_clients(capability: &str) -> bool {
    CLIENT_CAPABILITIES.contains(&capability) && !CAPABILITIES.contains(&capability)
}

/// The level that every server and device has.
pub const CORE: &str = "core";
