//! The policy table: another function in the place of one.

use fieldsync_core::policy::Policy;
use fieldsync_schemas::registry::MergePolicy;
use fieldsync_server::Parts;

/// The same server with another function for one policy.
pub fn instead_of(policy: MergePolicy, function: Policy, mut parts: Parts) -> Parts {
    parts.policies = parts.policies.with(policy, function);
    parts
}
