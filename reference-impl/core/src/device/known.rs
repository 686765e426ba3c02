//! What a device makes of the types that a session lists: which it leaves out, by which rules it merges, and what their
//! feeds are called.

use super::Step;
use crate::merge::Rules;
use crate::partition;
use fieldsync_schemas::id::{Capability, FeedName, TypeName};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::{MergePolicy, TypeClass, TypeEntry};
use fieldsync_schemas::session::Session;
use fieldsync_schemas::telemetry::TELEMETRY_TYPE;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What is worked out once for a session.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The types that this device does not know enough to sync.
    left_out: Vec<TypeName>,
    /// The rules of those types whose records it merges.
    rules: HashMap<TypeName, Arc<Rules>>,
}

impl Known {
    /// What a device with these capabilities makes of a session.
    pub(super) fn of(session: Option<&Session>, capabilities: &BTreeSet<Capability>) -> Self {
        let mut known = Self::default();
        for entry in session.iter().flat_map(|session| &session.registry.types) {
            let is_merged = entry.merge.policy == MergePolicy::FieldMerge;
            let rules = is_merged.then(|| Rules::compile(&entry.merge));
            if is_left_out(entry, capabilities, !matches!(rules, Some(Err(_)))) {
                known.left_out.push(entry.name.clone());
            }
            if let Some(Ok(rules)) = rules {
                known.rules.insert(entry.name.clone(), Arc::new(rules));
            }
        }
        known
    }
}

impl Step<'_> {
    /// The types that this device does not know enough to sync.
    pub(super) fn left_out(&self) -> &[TypeName] {
        &self.machine.known.left_out
    }

    /// The rules by which the device merges records of this type; none where it does not.
    pub(super) fn merge_rules(&self, type_name: &TypeName) -> Option<Arc<Rules>> {
        self.machine.known.rules.get(type_name).cloned()
    }

    /// The feed of a record that did not come by one.
    pub(super) fn feed_of_record(&self, record: &Record) -> FeedName {
        let entry = self.machine.state.session.as_ref().and_then(|session| session.registry.entry(&record.type_name));
        entry.map_or_else(|| self.feed_of(&record.type_name), |entry| partition::feed(entry, record.data.as_deref()))
    }

    /// The feed of a type, without the parts of it.
    pub(super) fn feed_of(&self, type_name: &TypeName) -> FeedName {
        let entry = self.machine.state.session.as_ref().and_then(|session| session.registry.entry(type_name));
        entry.map_or_else(
            || FeedName::new(type_name.as_str()).expect("every type name is a feed name"),
            |entry| entry.feed_name(),
        )
    }
}

/// Whether a device with these capabilities does not know a type enough to sync it.
fn is_left_out(entry: &TypeEntry, known: &BTreeSet<Capability>, rules_are_known: bool) -> bool {
    // It tells by itself, and nobody else's telemetry is any of its business.
    if entry.name.as_str() == TELEMETRY_TYPE {
        return false;
    }
    let policy = &entry.merge.policy;
    let is_known = match entry.class {
        TypeClass::Reference => *policy == MergePolicy::ServerOnly,
        TypeClass::Transactional => {
            matches!(policy, MergePolicy::VersionWins | MergePolicy::FieldMerge | MergePolicy::ArrivalWins)
        }
        TypeClass::Append => *policy == MergePolicy::AppendOnly,
        TypeClass::Other(_) => false,
    };
    // The capability of a type with a partition counts whether the server names it or not.
    let parts_are_known = entry.partition.is_none() || known.iter().any(|one| one.as_str() == "partitions");
    let is_offered = entry.requires.iter().all(|capability| known.contains(capability));
    !(is_known && rules_are_known && parts_are_known && is_offered)
}
