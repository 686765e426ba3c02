//! What a benchmark's data set hosts.

use crate::Outcome;
use crate::records::TYPE;
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::session::Limits;
use fieldsync_server::domain_from_yaml;
use std::fmt::{self, Write};
use std::str::FromStr;

/// The name of the data set.
pub const DATA_SET: &str = "bench";
/// The records of each reference type of a queue.
pub const REFERENCE_RECORDS: usize = 100;
/// The member of a queue's records that names their parent.
pub const PARENT: &str = "of";

/// Types as people name them; the first is that of the records.
const NAMES: [&str; 30] = [
    TYPE,
    "place",
    "facility",
    "household",
    "member",
    "visit",
    "reading",
    "case",
    "contact",
    "event",
    "sample",
    "test",
    "vaccination",
    "pregnancy",
    "birth",
    "death",
    "referral",
    "follow_up",
    "stock",
    "delivery",
    "survey",
    "question",
    "answer",
    "school",
    "pupil",
    "water_point",
    "latrine",
    "outbreak",
    "training",
    "note",
];
/// Those of them that the server alone writes, in a queue.
const REFERENCE: [&str; 2] = ["place", "question"];

/// The kinds of data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hosted {
    /// So many types under `version-wins`. The first has the records, the others stay empty.
    Versions(usize),
    /// One type under `field-merge`, without rules for single members.
    Merged,
    /// One type under `version-wins` whose records carry files, of any length.
    Files,
    /// 30 types under `entity-queue`: two of reference, and 28 in chains of four, each a child of the one before it and
    /// the first of a place.
    Queue,
}

impl Hosted {
    /// The types that devices write, parents first, each with the type that its records refer to.
    pub fn written(self) -> Vec<(&'static str, Option<&'static str>)> {
        match self {
            Hosted::Versions(types) => NAMES.iter().take(types).map(|name| (*name, None)).collect(),
            Hosted::Merged | Hosted::Files => vec![(TYPE, None)],
            Hosted::Queue => {
                let names: Vec<&str> = NAMES.iter().copied().filter(|name| !REFERENCE.contains(name)).collect();
                let parent = |index: usize| if index.is_multiple_of(4) { REFERENCE[0] } else { names[index - 1] };
                names.iter().enumerate().map(|(index, name)| (*name, Some(parent(index)))).collect()
            }
        }
    }

    /// The domain.
    pub fn domain(self) -> Outcome<Domain> {
        let (profile, policy) = match self {
            Hosted::Versions(_) | Hosted::Files => ("version-wins", "version-wins"),
            Hosted::Merged => ("field-merge", "field-merge"),
            Hosted::Queue => ("entity-queue", "arrival-wins"),
        };
        let mut yaml = format!("name: {DATA_SET}\nprofile: {profile}\ntypes:\n");
        if self == Hosted::Queue {
            for name in REFERENCE {
                writeln!(yaml, "  - {{name: {name}, class: reference, merge: {{policy: server-only}}}}")?;
            }
        }
        for (name, parent) in self.written() {
            let parents = parent.map(|parent| format!(", parents: [{{type: {parent}, field: {PARENT}}}]"));
            let parents = parents.unwrap_or_default();
            let files = match self {
                Hosted::Files => ", attachments: {order: record-first, link: id}, requires: [attachments-proxied]",
                _ => "",
            };
            writeln!(yaml, "  - {{name: {name}, class: transactional, merge: {{policy: {policy}}}{parents}{files}}}")?;
        }
        if self == Hosted::Queue {
            yaml.push_str("records:\n");
            for name in REFERENCE {
                for number in 0..REFERENCE_RECORDS {
                    writeln!(yaml, "  - {{type: {name}, id: {name}-{number}, data: {{name: Number {number}}}}}")?;
                }
            }
        }
        let mut domain = domain_from_yaml(&yaml)?;
        domain.limits =
            Some(Limits { body_bytes: 64 << 20, batch_mutations: 1000, page_changes: 2000, ..Limits::default() });
        Ok(domain)
    }
}

impl fmt::Display for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hosted::Versions(types) => types.fmt(f),
            Hosted::Merged => f.write_str("merged"),
            Hosted::Files => f.write_str("files"),
            Hosted::Queue => f.write_str("queue"),
        }
    }
}

impl FromStr for Hosted {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "merged" => Ok(Hosted::Merged),
            "files" => Ok(Hosted::Files),
            "queue" => Ok(Hosted::Queue),
            types => types.parse().map(Hosted::Versions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_30_types_and_can_be_served() {
        let domain = Hosted::Queue.domain().unwrap();
        assert_eq!(domain.types.len(), 30);
        assert_eq!(domain.records.len(), 2 * REFERENCE_RECORDS);
        assert_eq!(Hosted::Queue.to_string().parse(), Ok(Hosted::Queue));
        assert!(Hosted::Files.domain().unwrap().types[0].attachments.is_some());
        assert_eq!(Hosted::Files.to_string().parse(), Ok(Hosted::Files));
        assert_eq!(Hosted::Versions(30).to_string().parse(), Ok(Hosted::Versions(30)));
        assert_eq!(Hosted::Merged.to_string().parse(), Ok(Hosted::Merged));
    }
}
