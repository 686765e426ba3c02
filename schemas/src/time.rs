//! Instants: RFC 3339 in UTC on the wire, compared in milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An instant in UTC, held to the millisecond. Finer digits are cut, not rounded, so that reading and writing an
/// instant twice gives what once gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time must be RFC 3339 in UTC, such as 2026-12-01T08:30:00.000Z; got {got:?}")]
pub struct InvalidTime {
    got: String,
}

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z, held within the years that RFC 3339 can write.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond()))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant of this machine's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// This instant and `later` more.
    pub fn plus(self, later: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime { got: text.chars().take(80).collect() };
        let bytes = text.as_bytes();
        let utc = text.ends_with('Z') || text.ends_with("+00:00");
        if bytes.len() < 20 || !utc || bytes[10] != b'T' || !bytes[0].is_ascii_digit() {
            return Err(invalid());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        Ok(Self(instant.as_nanosecond().div_euclid(1_000_000) as i64))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTime;
    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for String {
    fn from(instant: Timestamp) -> String {
        instant.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_millisecond(self.0).expect("from_millis keeps instants in range");
        write!(f, "{instant:.3}")
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An instant: RFC 3339 in UTC, compared in milliseconds.",
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|\\+00:00)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_digits_are_cut() {
        let read: Timestamp = "2026-12-01T08:30:00.1239Z".parse().unwrap();
        assert_eq!(read.to_string(), "2026-12-01T08:30:00.123Z");
        let before_1970: Timestamp = "1969-12-31T23:59:59.9999Z".parse().unwrap();
        assert_eq!(before_1970.as_millis(), -1);
    }

    #[test]
    fn only_utc_is_read() {
        for text in ["2026-12-01T08:30:00+02:00", "2026-12-01 08:30:00Z", "2026-12-01", "yesterday", ""] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert!("2026-12-01T08:30:00+00:00".parse::<Timestamp>().is_ok());
    }
}
