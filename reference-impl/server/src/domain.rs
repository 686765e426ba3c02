//! The domain file: what people write to say what a data set hosts.

use fieldsync_core::policy::PolicyTable;
use fieldsync_core::registry::{self, DomainError};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::registry::Registry;
use fieldsync_schemas::session::Limits;

/// Names that are paths of the server itself.
const TAKEN: &[&str] = &["control"];

/// Why a domain cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DomainFileError {
    /// The text is no domain.
    #[error("the domain cannot be read: {0}")]
    Unreadable(String),
    /// The types contradict each other.
    #[error("the domain {name} cannot be served: {source}")]
    Types {
        /// The domain.
        name: String,
        /// What is wrong.
        source: DomainError,
    },
    /// A type's policy is not one that the server knows.
    #[error(
        "the domain {name} cannot be served: type {type_name} has the policy {policy}, which this server does not know"
    )]
    Policy {
        /// The domain.
        name: String,
        /// The type.
        type_name: String,
        /// Its policy.
        policy: String,
    },
    /// A limit is outside what the protocol allows.
    #[error(
        "the domain {name} cannot be served: its limit {limit} is {value}; the protocol wants {least} to {greatest}"
    )]
    Limit {
        /// The domain.
        name: String,
        /// The limit.
        limit: &'static str,
        /// What the domain says.
        value: u64,
        /// The least value.
        least: u64,
        /// The greatest value.
        greatest: u64,
    },
    /// The name is a path of the server itself.
    #[error("a data set cannot be named {0}: the server has another use for that path")]
    Name(String),
}

/// Reads a domain file and checks it.
pub fn domain_from_yaml(text: &str) -> Result<Domain, DomainFileError> {
    let domain: Domain =
        serde_saphyr::from_str(text).map_err(|error| DomainFileError::Unreadable(error.to_string()))?;
    check(&domain)?;
    Ok(domain)
}

/// Checks a domain, apart from its policies, and makes its registry.
fn check(domain: &Domain) -> Result<Registry, DomainFileError> {
    let name = domain.name.to_string();
    if TAKEN.contains(&name.as_str()) {
        return Err(DomainFileError::Name(name));
    }
    check_limits(&name, &domain.limits.unwrap_or_default())?;
    registry::registry(domain).map_err(|source| DomainFileError::Types { name, source })
}

/// Checks a domain against the policies of the server, and makes its registry.
pub(crate) fn registry(domain: &Domain, policies: &PolicyTable) -> Result<Registry, DomainFileError> {
    let registry = check(domain)?;
    match registry.types.iter().find(|entry| policies.get(&entry.merge.policy).is_none()) {
        None => Ok(registry),
        Some(entry) => Err(DomainFileError::Policy {
            name: domain.name.to_string(),
            type_name: entry.name.to_string(),
            policy: entry.merge.policy.to_string(),
        }),
    }
}

fn check_limits(name: &str, limits: &Limits) -> Result<(), DomainFileError> {
    const WHOLE: u64 = fieldsync_schemas::id::MAX_SAFE_INTEGER;
    for (limit, value, least, greatest) in [
        ("body_bytes", limits.body_bytes, 65_536, WHOLE),
        ("batch_mutations", u64::from(limits.batch_mutations), 10, 100_000),
        ("page_changes", u64::from(limits.page_changes), 10, 100_000),
        ("pull_feeds", u64::from(limits.pull_feeds), 10, 1000),
        ("record_bytes", limits.record_bytes, 16_384, WHOLE),
        ("string_bytes", limits.string_bytes, 4_096, WHOLE),
        ("nesting", u64::from(limits.nesting), 8, 128),
    ] {
        if !(least..=greatest).contains(&value) {
            return Err(DomainFileError::Limit { name: name.to_owned(), limit, value, least, greatest });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = include_str!("../../../fixtures/domain/version-wins.yaml");

    #[test]
    fn the_domain_of_the_fixtures_can_be_served() {
        let domain = domain_from_yaml(DOMAIN).unwrap();
        let registry = registry(&domain, &PolicyTable::standard()).unwrap();
        let names: Vec<&str> = registry.types.iter().map(|entry| entry.name.as_str()).collect();
        let of_domain: Vec<&str> = domain.types.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, [of_domain.as_slice(), &["conflict", "telemetry"]].concat());
    }

    #[test]
    fn what_cannot_be_served_says_why() {
        for (from, to, said) in [
            ("nesting: 16", "nesting: 4", "limit nesting is 4"),
            ("name: version_wins", "name: control", "another use"),
            ("policy: append-only", "policy: arrival-wins", "arrival-wins"),
            ("requires: [attachments-proxied, link]", "requires: [attachments-proxied]", "name `link`"),
            ("profile: version-wins", "profil: version-wins", "cannot be read"),
        ] {
            let error = domain_from_yaml(&DOMAIN.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
