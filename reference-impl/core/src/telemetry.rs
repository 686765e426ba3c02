//! Telemetry: what devices tell of their syncs, as records of a built-in type.
//!
//! Chapter: telemetry. To the server it is an append type like any other, other than that its records are seen by the
//! principal who pushed them and by those who look after all principals.

use fieldsync_schemas::id::{Capability, FeedName, TypeName};
use fieldsync_schemas::registry::{MergePolicy, MergeRules, OnDelete, TypeClass, TypeEntry};
use fieldsync_schemas::telemetry::{TELEMETRY, TELEMETRY_FEED, TELEMETRY_TYPE};
use std::collections::BTreeMap;

/// The entry of the telemetry. A device that does not know it leaves it out.
pub fn telemetry_entry() -> TypeEntry {
    TypeEntry {
        name: TypeName::new(TELEMETRY_TYPE).expect("a constant that is a type name"),
        class: TypeClass::Append,
        feed: Some(FeedName::new(TELEMETRY_FEED).expect("a constant that is a feed name")),
        partition: None,
        parents: Vec::new(),
        location: None,
        merge: MergeRules { policy: MergePolicy::AppendOnly, deletes: None, fields: BTreeMap::new(), on_stale: None },
        on_delete: OnDelete::Reject,
        tombstone_days: None,
        attachments: None,
        requires: vec![Capability::new(TELEMETRY).expect("a constant that is a capability")],
    }
}
