//! The registry of a data set, made from its domain and checked before anything is served.
//!
//! Chapter: registry.

use crate::telemetry;
use fieldsync_schemas::conflict::{CONFLICT_FEED, CONFLICT_TYPE};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{FeedName, TypeName};
use fieldsync_schemas::registry::{MergePolicy, MergeRules, OnDelete, Profile, Registry, TypeClass, TypeEntry};
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
    /// A type stands before the type it refers to, or the types refer to one another in a circle.
    #[error(
        "type {child} refers to {parent}, which does not stand before it; put {parent} first, or declare the circle under `cycles`"
    )]
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
    /// A type names a location, and nothing is one.
    #[error("type {name} names the location of its records; say under `locations` which type the places are of")]
    Location {
        /// The type.
        name: TypeName,
    },
    /// The type of the places is not one of the server's own.
    #[error("the places are to be of the type {name}, which is not a reference type of the domain without a location")]
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
                return Err(DomainError::Order { child: entry.name.clone(), parent: parent.type_name.clone() });
            }
        }
        if !seen.insert(entry.name.clone()) {
            return Err(DomainError::TypeTwice(entry.name.clone()));
        }
        check_policy(&domain.profile, entry)?;
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
        if places.is_none_or(|entry| entry.class != TypeClass::Reference || entry.location.is_some()) {
            return Err(DomainError::Places { name: locations.type_name.clone() });
        }
    }
    let mut types = domain.types.clone();
    types.extend([conflict_entry(), telemetry::telemetry_entry()]);
    Ok(Registry { types, cycles: domain.cycles.clone(), locations: domain.locations.clone() })
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
