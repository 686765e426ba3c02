//! A rule: one normative sentence, whom it binds and how strongly.

use fieldsync_schemas::event::Actor;
use fieldsync_schemas::id::{Capability, InvalidId, RuleId};
use fieldsync_schemas::registry::Profile;
use std::fmt;

/// One normative sentence of the specification.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id, without its revision.
    pub id: RuleId,
    /// How often it was worded, from 1.
    pub revision: u32,
    /// The chapter it stands in, which is the first word of its id.
    pub chapter: String,
    /// Whom it binds.
    pub actor: Actor,
    /// How strongly.
    pub strength: Strength,
    /// The sentence, as one line.
    pub sentence: String,
    /// The capability that it belongs to; the core where absent.
    pub capability: Option<Capability>,
    /// The profiles that it belongs to; every one where there are none.
    pub profiles: Vec<Profile>,
    /// The protocol version in which it first stood.
    pub since: String,
    /// Why no scenario shows it.
    pub untested: Option<String>,
    /// The file it stands in.
    pub file: String,
    /// The line of its id, from 1.
    pub line: u32,
}

impl Rule {
    /// Its id and revision, as scenarios and mutants name it.
    pub fn reference(&self) -> RuleRef {
        RuleRef { id: self.id.clone(), revision: self.revision }
    }
}

/// How strongly a rule binds (BCP 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Always to be done.
    Must,
    /// Never to be done.
    MustNot,
    /// To be done unless there is a good reason.
    Should,
    /// Not to be done unless there is a good reason.
    ShouldNot,
    /// Free to be done.
    May,
}

impl Strength {
    /// Whether a subject that breaks it does not conform.
    pub fn is_required(self) -> bool {
        matches!(self, Strength::Must | Strength::MustNot)
    }

    /// The words as they stand in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Strength::Must => "MUST",
            Strength::MustNot => "MUST NOT",
            Strength::Should => "SHOULD",
            Strength::ShouldNot => "SHOULD NOT",
            Strength::May => "MAY",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rule as it is referred to: `push.retry.same-outcome`, or `push.retry.same-outcome+2` once it was reworded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The rule's id.
    pub id: RuleId,
    /// The wording that was meant.
    pub revision: u32,
}

/// Why a text does not refer to a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRuleRef {
    /// The id is malformed.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The revision is malformed.
    #[error("the revision of a rule is +2, +3 and so on, and left out for the first wording; got {0:?}")]
    Revision(String),
}

impl std::str::FromStr for RuleRef {
    type Err = InvalidRuleRef;

    fn from_str(text: &str) -> Result<Self, InvalidRuleRef> {
        let Some((id, revision)) = text.split_once('+') else {
            return Ok(Self { id: RuleId::new(text)?, revision: 1 });
        };
        match revision.parse::<u32>() {
            Ok(number) if number >= 2 && !revision.starts_with(['+', '0']) => {
                Ok(Self { id: RuleId::new(id)?, revision: number })
            }
            _ => Err(InvalidRuleRef::Revision(revision.to_owned())),
        }
    }
}

impl From<&RuleId> for RuleRef {
    fn from(id: &RuleId) -> Self {
        id.as_str().parse().unwrap_or_else(|_| Self { id: id.clone(), revision: 1 })
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            1 => self.id.fmt(f),
            revision => write!(f, "{}+{revision}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_as_it_prints() {
        for text in ["push.retry.same-outcome", "push.retry.same-outcome+2", "push.retry.same-outcome+12"] {
            assert_eq!(text.parse::<RuleRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_revision_is_a_number_above_one() {
        for text in ["a.b.c+1", "a.b.c+", "a.b.c+x", "a.b.c+02", "a.b.c++2", "a.b", "a.b.c.d"] {
            assert!(text.parse::<RuleRef>().is_err(), "{text}");
        }
    }
}
