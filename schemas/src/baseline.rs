//! The baseline — the failures that are known, written by people as TOML: `fieldsync check --baseline FILE`.
//!
//! Chapter: reports.

use crate::id::RuleId;
use crate::registry::Profile;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is known to fail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Its entries.
    #[serde(default)]
    pub known: Vec<KnownEntry>,
}

/// A failure that is known: of a scenario, of a rule, or of a rule in a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownEntry {
    /// The scenario, by its name or a pattern in which `*` stands for any characters; every one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The rule that is broken; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// The profile it runs under; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The devices that the client plays, one by its name or `all`; any where absent.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// Whether it always fails.
    #[serde(default)]
    pub kind: KnownKind,
    /// Why it fails.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// Where that is followed up.
    #[schemars(length(min = 1))]
    pub issue: String,
    /// The last day on which it may fail.
    pub expires: Day,
}

/// Whether what is known always fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownKind {
    /// It fails in every run. An entry whose scenarios pass is stale.
    #[default]
    Failure,
    /// It fails in some runs.
    Flaky,
}

/// A day: `2027-03-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(jiff::civil::Date);

/// Why a text is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a day is written such as 2027-03-31; got {got:?}")]
pub struct InvalidDay {
    got: String,
}

impl Day {
    /// The day of this machine's clock, in UTC.
    pub fn today() -> Self {
        Self(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let invalid = || InvalidDay { got: text.chars().take(80).collect() };
        if text.len() != "2027-03-31".len() {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DayVisitor)
    }
}

/// A text, or a date without quotation marks, which TOML's readers hand on as a map of one.
struct DayVisitor;

impl<'de> Visitor<'de> for DayVisitor {
    type Value = Day;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a day such as 2027-03-31")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Day, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((_, text)) => text.parse().map_err(de::Error::custom),
            None => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

impl schemars::JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A day.",
            "type": "string",
            "format": "date",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_year_month_and_day() {
        assert_eq!("2027-03-31".parse::<Day>().unwrap().to_string(), "2027-03-31");
        for text in ["2027-02-30", "20270331", "2027-3-31", "31.3.2027", "2027-03-31T10:00", ""] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
