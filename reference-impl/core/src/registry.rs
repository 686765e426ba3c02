//! The registry of a data set, made from its domain and checked before anything is served.
//!
//! Chapter: registry.

use crate::links;
use crate::merge::{Rules, RulesError};
use crate::partition;
use crate::push;
use crate::telemetry;
use fieldsync_schemas::conflict::{CONFLICT_FEED, CONFLICT_TYPE};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{FeedName, TypeName};
use fieldsync_schemas::registry::{
    FieldRule, FieldRuleKind, MergePolicy, MergeRules, OnDelete, OnStale, Profile, Registry, TypeClass, TypeEntry,
};
use fieldsync_schemas::telemetry::{TELEMETRY_FEED, TELEMETRY_TYPE};
use std::collections::{BTreeMap, BTreeSet};

/// Why a domain cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// A type stands twice.
    #[error("type {0} stands twice in the domain; give each type one entry")]
    TypeTwice(TypeName),
    /// The built-in type's name is taken.
    #[error("the name {0} is taken by a type that every data set has; choose another")]
    NameTaken(String),
    /// Two types share a feed.
    #[error("types {first} and {second} share the feed {feed}; a feed carries one type")]
    FeedTwice {
        /// The feed.
        feed: FeedName,
        /// The first type.
        first: TypeName,
        /// The second type.
        second: TypeName,
    },
    /// A type refers to one that the domain does not have.
    #[error("type {child} refers to {parent}, which the domain does not have")]
    NoParent {
        /// The referring type.
        child: TypeName,
        /// The type referred to.
        parent: TypeName,
    },
    /// Types refer to one another in a circle that is not declared.
    #[error(
        "the types {} refer to one another in a circle; take a reference out of it, or declare it under `cycles`",
        path.iter().map(TypeName::as_str).collect::<Vec<_>>().join(" -> ")
    )]
    Circle {
        /// The types, each of which refers to the next; the first stands last once more.
        path: Vec<TypeName>,
    },
    /// A type that the server alone writes refers to one that devices write.
    #[error("the reference type {child} refers to {parent}, which devices write and which comes after it")]
    ReferenceToWritten {
        /// The referring type.
        child: TypeName,
        /// The type referred to.
        parent: TypeName,
    },
    /// A type stands before the type it refers to.
    #[error("type {child} refers to {parent}, which does not stand before it; put {parent} first")]
    Order {
        /// The referring type.
        child: TypeName,
        /// The type referred to.
        parent: TypeName,
    },
    /// The profile does not allow the policy.
    #[error("type {name} has the policy {policy}, which the profile {profile} does not allow")]
    Policy {
        /// The type.
        name: TypeName,
        /// Its policy.
        policy: MergePolicy,
        /// The profile.
        profile: Profile,
    },
    /// Class and policy contradict each other.
    #[error(
        "type {name} has the class {class} and the policy {policy}; a reference type takes server-only, an append type append-only"
    )]
    Class {
        /// The type.
        name: TypeName,
        /// Its class.
        class: TypeClass,
        /// Its policy.
        policy: MergePolicy,
    },
    /// The rules for the type's members cannot be followed.
    #[error("type {name}: {source}")]
    Fields {
        /// The type.
        name: TypeName,
        /// What is wrong.
        source: RulesError,
    },
    /// A member cannot be computed, or drawn.
    #[error(
        "type {name}: {pointer} cannot be given a value; a `derived` member has inputs and a `value` to choose from, a \
         `server-set` one may have a `value` with a `sequence` alone, all of them at the top of the record, and no other \
         rule has a `value`"
    )]
    Derived {
        /// The type.
        name: TypeName,
        /// The member.
        pointer: String,
    },
    /// A feed is named as only parts of one are.
    #[error("type {name} has the feed {feed}; a slash stands before the value of a partition alone")]
    FeedOfPart {
        /// The type.
        name: TypeName,
        /// Its feed.
        feed: FeedName,
    },
    /// Devices that do not know partitions would miss most of a type.
    #[error("type {name} has a partition; name `partitions` in its `requires`, so that other devices leave it out")]
    Partition {
        /// The type.
        name: TypeName,
    },
    /// Devices that do not know links would leave the ids of files in a type's records.
    #[error("type {name} holds the URLs of files; name `link` in its `requires`, so that other devices leave it out")]
    Link {
        /// The type.
        name: TypeName,
    },
    /// A type is to be merged by the server, which cannot be.
    #[error(
        "type {name} has `on_stale: merge`; only records of the policy field-merge, which carry no files, are merged by the \
         server"
    )]
    OnStale {
        /// The type.
        name: TypeName,
    },
    /// A type names a location, and nothing is one.
    #[error("type {name} names the location of its records; say under `locations` which type the places are of")]
    Location {
        /// The type.
        name: TypeName,
    },
    /// The type of the places is not one of the server's own.
    #[error(
        "the places are to be of the type {name}, which is not a reference type of the domain without a location and a partition"
    )]
    Places {
        /// The type.
        name: TypeName,
    },
    /// A seed names a type that is no reference type.
    #[error("record {id} begins the type {name}, which is not a reference type of the domain")]
    Seed {
        /// The type.
        name: TypeName,
        /// The record.
        id: String,
    },
}

/// The entry of the conflict log, which every data set has.
pub fn conflict_entry() -> TypeEntry {
    TypeEntry {
        name: TypeName::new(CONFLICT_TYPE).expect("a constant that is a type name"),
        class: TypeClass::Append,
        feed: Some(FeedName::new(CONFLICT_FEED).expect("a constant that is a feed name")),
        partition: None,
        parents: Vec::new(),
        location: None,
        merge: MergeRules { policy: MergePolicy::AppendOnly, deletes: None, fields: BTreeMap::new(), on_stale: None },
        on_delete: OnDelete::Reject,
        tombstone_days: None,
        attachments: None,
        requires: Vec::new(),
    }
}

/// Checks a domain and makes its registry: its types, then the conflict log, then the telemetry.
pub fn registry(domain: &Domain) -> Result<Registry, DomainError> {
    let mut seen = BTreeSet::new();
    let mut feeds: BTreeMap<FeedName, TypeName> = BTreeMap::new();
    for entry in &domain.types {
        if let Some(taken) = [CONFLICT_TYPE, TELEMETRY_TYPE].iter().find(|taken| entry.name.as_str() == **taken) {
            return Err(DomainError::NameTaken((*taken).to_owned()));
        }
        if let Some(taken) = [CONFLICT_FEED, TELEMETRY_FEED].iter().find(|taken| entry.feed_name().as_str() == **taken)
        {
            return Err(DomainError::NameTaken((*taken).to_owned()));
        }
        if partition::is_part(&entry.feed_name()) {
            return Err(DomainError::FeedOfPart { name: entry.name.clone(), feed: entry.feed_name() });
        }
        if entry.partition.is_some() && entry.requires.iter().all(|required| required.as_str() != "partitions") {
            return Err(DomainError::Partition { name: entry.name.clone() });
        }
        if links::are_held_by(entry) && entry.requires.iter().all(|required| required.as_str() != links::LINK) {
            return Err(DomainError::Link { name: entry.name.clone() });
        }
        if entry.location.is_some() && domain.locations.is_none() {
            return Err(DomainError::Location { name: entry.name.clone() });
        }
        if let Some(first) = feeds.insert(entry.feed_name(), entry.name.clone()) {
            let second = entry.name.clone();
            return Err(if first == second {
                DomainError::TypeTwice(second)
            } else {
                DomainError::FeedTwice { feed: entry.feed_name(), first, second }
            });
        }
        for parent in &entry.parents {
            let in_cycle =
                domain.cycles.iter().any(|cycle| cycle.contains(&entry.name) && cycle.contains(&parent.type_name));
            if !seen.contains(&parent.type_name) && !in_cycle {
                return Err(misplaced(domain, entry, &parent.type_name));
            }
        }
        let is_written = |name: &TypeName| {
            domain.types.iter().any(|other| other.name == *name && other.class != TypeClass::Reference)
        };
        if entry.class == TypeClass::Reference
            && let Some(parent) = entry.parents.iter().find(|parent| is_written(&parent.type_name))
        {
            let (child, parent) = (entry.name.clone(), parent.type_name.clone());
            return Err(DomainError::ReferenceToWritten { child, parent });
        }
        if !seen.insert(entry.name.clone()) {
            return Err(DomainError::TypeTwice(entry.name.clone()));
        }
        check_policy(&domain.profile, entry)?;
        Rules::compile(&entry.merge).map_err(|source| DomainError::Fields { name: entry.name.clone(), source })?;
        let is_sound = |(pointer, rule): &(&String, &FieldRule)| {
            let at_the_top = rule.inputs.iter().chain([*pointer]).all(|one| push::member(one).is_some());
            let value = rule.value.as_ref();
            match rule.rule {
                FieldRuleKind::Derived => {
                    at_the_top && !rule.inputs.is_empty() && value.is_some_and(|value| value.sequence.is_none())
                }
                FieldRuleKind::ServerSet => value.is_none_or(|value| {
                    at_the_top && value.sequence.is_some() && value.choose.is_empty() && value.otherwise.is_none()
                }),
                _ => value.is_none(),
            }
        };
        if let Some((pointer, _)) = entry.merge.fields.iter().find(|one| !is_sound(one)) {
            return Err(DomainError::Derived { name: entry.name.clone(), pointer: pointer.clone() });
        }
        let is_merged = entry.merge.policy == MergePolicy::FieldMerge && entry.attachments.is_none();
        if entry.merge.on_stale == Some(OnStale::Merge) && !is_merged {
            return Err(DomainError::OnStale { name: entry.name.clone() });
        }
    }
    for seed in &domain.records {
        let reference =
            domain.types.iter().any(|entry| entry.name == seed.type_name && entry.class == TypeClass::Reference);
        if !reference {
            return Err(DomainError::Seed { name: seed.type_name.clone(), id: seed.id.to_string() });
        }
    }
    if let Some(locations) = &domain.locations {
        let places = domain.types.iter().find(|entry| entry.name == locations.type_name);
        let is_unfit = |entry: &TypeEntry| {
            entry.class != TypeClass::Reference || entry.location.is_some() || entry.partition.is_some()
        };
        if places.is_none_or(is_unfit) {
            return Err(DomainError::Places { name: locations.type_name.clone() });
        }
    }
    let mut types = domain.types.clone();
    types.extend([conflict_entry(), telemetry::telemetry_entry()]);
    Ok(Registry { types, cycles: domain.cycles.clone(), locations: domain.locations.clone() })
}

/// Why a type cannot stand where it does.
fn misplaced(domain: &Domain, entry: &TypeEntry, parent: &TypeName) -> DomainError {
    if domain.types.iter().all(|other| other.name != *parent) {
        return DomainError::NoParent { child: entry.name.clone(), parent: parent.clone() };
    }
    let mut path = vec![entry.name.clone()];
    if leads_to(domain, parent, &entry.name, &mut path) {
        return DomainError::Circle { path };
    }
    DomainError::Order { child: entry.name.clone(), parent: parent.clone() }
}

/// Whether a type refers to another, over others if need be; the way there is added to the path.
fn leads_to(domain: &Domain, from: &TypeName, to: &TypeName, path: &mut Vec<TypeName>) -> bool {
    let been_there = path.contains(from);
    path.push(from.clone());
    if from == to {
        return true;
    }
    let entry = domain.types.iter().find(|entry| entry.name == *from).filter(|_| !been_there);
    let parents = entry.map(|entry| entry.parents.as_slice()).unwrap_or_default();
    if parents.iter().any(|parent| leads_to(domain, &parent.type_name, to, path)) {
        return true;
    }
    path.pop();
    false
}

fn check_policy(profile: &Profile, entry: &TypeEntry) -> Result<(), DomainError> {
    let policy = &entry.merge.policy;
    let own = match profile {
        Profile::VersionWins => *policy == MergePolicy::VersionWins,
        Profile::FieldMerge => *policy == MergePolicy::FieldMerge,
        Profile::EntityQueue => matches!(policy, MergePolicy::ArrivalWins | MergePolicy::VersionWins),
        Profile::Other(_) => false,
    };
    if !own && !matches!(policy, MergePolicy::AppendOnly | MergePolicy::ServerOnly) {
        return Err(DomainError::Policy { name: entry.name.clone(), policy: policy.clone(), profile: profile.clone() });
    }
    let fits = match entry.class {
        TypeClass::Reference => *policy == MergePolicy::ServerOnly,
        TypeClass::Append => *policy == MergePolicy::AppendOnly,
        _ => own,
    };
    if !fits {
        return Err(DomainError::Class {
            name: entry.name.clone(),
            class: entry.class.clone(),
            policy: policy.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Types, each with the types that it refers to.
    fn domain(types: &[(&str, &[&str])], cycles: &[&[&str]]) -> Domain {
        let types: Vec<_> = types
            .iter()
            .map(|(name, parents)| {
                let parents: Vec<_> = parents.iter().map(|parent| json!({"type": parent, "field": parent})).collect();
                json!({"name": name, "class": "transactional", "parents": parents, "merge": {"policy": "version-wins"}})
            })
            .collect();
        serde_json::from_value(json!({"name": "d", "profile": "version-wins", "types": types, "cycles": cycles}))
            .unwrap()
    }

    #[test]
    fn a_circle_is_refused_with_its_path_unless_it_is_declared() {
        let types: &[(&str, &[&str])] = &[("place", &[]), ("a", &["place", "c"]), ("b", &["a"]), ("c", &["b"])];
        let error = registry(&domain(types, &[])).unwrap_err();
        assert_eq!(error.to_string().split(" refer").next(), Some("the types a -> c -> b -> a"));
        assert!(registry(&domain(types, &[&["a", "b", "c"]])).is_ok());
        let own = registry(&domain(&[("unit", &["unit"])], &[])).unwrap_err();
        assert!(own.to_string().starts_with("the types unit -> unit refer"), "{own}");
    }

    #[test]
    fn a_type_stands_behind_those_that_it_refers_to() {
        let error = registry(&domain(&[("member", &["household"]), ("household", &[])], &[])).unwrap_err();
        assert!(matches!(error, DomainError::Order { .. }), "{error}");
        let error = registry(&domain(&[("member", &["household"])], &[])).unwrap_err();
        assert!(matches!(error, DomainError::NoParent { .. }), "{error}");
        let mut types = domain(&[("household", &[]), ("member", &["household"])], &[]);
        types.types[1].class = TypeClass::Reference;
        let error = registry(&types).unwrap_err();
        assert!(matches!(error, DomainError::ReferenceToWritten { .. }), "{error}");
    }
}
