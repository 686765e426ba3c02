//! Identifiers and tokens: every one a type of its own, so that a cursor can never be passed where a revision is meant.
//!
//! Each type checks its form when it is read, and says in its JSON Schema what it checks. A short one needs no memory of
//! its own, and a copy of a long one shares it: they are copied more than anything else.

use smol_str::SmolStr;
use std::fmt;

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must match {pattern} and be at most {max} characters; got {got:?}")]
pub struct InvalidId {
    /// What was being read, in the words of the specification.
    pub what: &'static str,
    /// The regular expression it must match.
    pub pattern: &'static str,
    /// Its greatest length, in characters.
    pub max: usize,
    /// The text that was found, cut to 80 characters.
    pub got: String,
}

macro_rules! text_id {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $pattern:literal, $max:literal, $accepts:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "SmolStr")]
        pub struct $name(SmolStr);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": concat!($($doc, "\n"),*).trim(),
                    "type": "string",
                    "pattern": $pattern,
                    "minLength": 1,
                    "maxLength": $max
                })
            }
        }

        impl $name {
            /// Checks the text and wraps it.
            pub fn new(text: impl Into<SmolStr>) -> Result<Self, InvalidId> {
                let text = text.into();
                let accepts: fn(&str) -> bool = $accepts;
                if text.is_empty() || text.len() > $max || !accepts(&text) {
                    return Err(InvalidId {
                        what: $what,
                        pattern: $pattern,
                        max: $max,
                        got: text.chars().take(80).collect(),
                    });
                }
                Ok(Self(text))
            }

            /// The text as it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = InvalidId;
            fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

fn visible_ascii(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn hexadecimal_byte(text: &str) -> bool {
    text.len() == 2 && is_hexadecimal(text)
}

fn hexadecimal_hash(text: &str) -> bool {
    text.len() == 64 && is_hexadecimal(text)
}

fn id_characters(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
}

fn snake_name(text: &str) -> bool {
    text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn feed_name(text: &str) -> bool {
    match text.split_once('/') {
        None => snake_name(text) && text.len() <= 64,
        Some((name, partition)) => {
            !name.is_empty()
                && name.len() <= 64
                && snake_name(name)
                && !partition.is_empty()
                && partition.len() <= 64
                && id_characters(partition)
        }
    }
}

text_id!(
    /// The id of a record, minted by the device that creates it. UUIDv7 is recommended: ids in the order of time are
    /// cheaper to index.
    RecordId, "a record id", "^[A-Za-z0-9_.:-]{1,128}$", 128, id_characters
);
text_id!(
    /// The name of an entry of the registry.
    TypeName, "a type name", "^[a-z][a-z0-9_]{0,63}$", 64, snake_name
);
text_id!(
    /// The name of a feed: the changes of one type, or of one partition of it (`type/partition`).
    FeedName, "a feed name", "^[a-z][a-z0-9_]{0,63}(/[A-Za-z0-9_.:-]{1,64})?$", 129, feed_name
);
text_id!(
    /// One accepted state of a record. Opaque, unique over epochs, compared for equality only.
    Rev, "a rev", "^[!-~]{1,128}$", 128, visible_ascii
);
text_id!(
    /// The id of one client replica: one store with one outbox. Ordered as ASCII where a tie is broken.
    ReplicaId, "a replica id", "^[A-Za-z0-9_.:-]{1,64}$", 64, id_characters
);
text_id!(
    /// The id of one mutation, minted once and kept through every retry.
    MutationId, "a mutation id", "^[A-Za-z0-9_.:-]{1,64}$", 64, id_characters
);
text_id!(
    /// The id of a group of mutations that are applied all or none.
    GroupId, "a group id", "^[A-Za-z0-9_.:-]{1,64}$", 64, id_characters
);
text_id!(
    /// An opaque token: everything before this point of a feed was seen.
    Cursor, "a cursor", "^[!-~]{1,256}$", 256, visible_ascii
);
text_id!(
    /// The name of one of the 256 buckets of a digest: a byte in hexadecimal.
    BucketName, "a bucket's name", "^[0-9a-f]{2}$", 2, hexadecimal_byte
);
text_id!(
    /// What a bucket of a digest comes to: 32 bytes in hexadecimal.
    BucketHash, "a bucket's hash", "^[0-9a-f]{64}$", 64, hexadecimal_hash
);
text_id!(
    /// The token of an answered batch, which the replica's next batch carries as `previous`.
    BatchToken, "a batch token", "^[!-~]{1,128}$", 128, visible_ascii
);
text_id!(
    /// The identity of the data, new after a restore or a reset.
    Epoch, "an epoch", "^[!-~]{1,64}$", 64, visible_ascii
);
text_id!(
    /// The tag of the part of the data that a principal may see.
    ScopeTag, "a scope tag", "^[!-~]{1,64}$", 64, visible_ascii
);
text_id!(
    /// The id of a refetch order.
    RefetchId, "a refetch order's id", "^[A-Za-z0-9_.:-]{1,64}$", 64, id_characters
);
text_id!(
    /// The tag of a session: differs when anything in the session but `server_time` does.
    SessionTag, "a session tag", "^[!-~]{1,64}$", 64, visible_ascii
);
text_id!(
    /// The id of one request, made by the server, shown in problems and in a device's error.
    RequestId, "a request id", "^[!-~]{1,64}$", 64, visible_ascii
);
text_id!(
    /// The identity of a person or a program that logged in, as the server names it.
    Principal, "a principal", "^[!-~]{1,128}$", 128, visible_ascii
);
text_id!(
    /// The id of an attachment: `sha256:` and the hash of its bytes in lower-case hexadecimal.
    AttachmentId, "an attachment id", "^sha256:[0-9a-f]{64}$", 71, |text| {
        text.strip_prefix("sha256:")
            .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
    }
);
text_id!(
    /// The name of one upload, made by the server.
    UploadId, "an upload id", "^[A-Za-z0-9_.:-]{1,128}$", 128, id_characters
);
text_id!(
    /// A capability of the protocol, such as `password-login`. Names that this version does not know are allowed.
    Capability, "a capability", "^[a-z][a-z0-9-]{0,63}$", 64, |text| {
        text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);
text_id!(
    /// The id of a normative sentence of the specification, such as `push.retry.same-outcome`; `+2` once reworded.
    RuleId, "a rule id", "^[a-z][a-z0-9-]*(\\.[a-z0-9][a-z0-9-]*){2}(\\+[0-9]+)?$", 128, |text| {
        let (name, revision) = text.split_once('+').unwrap_or((text, "2"));
        let words: Vec<&str> = name.split('.').collect();
        !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_digit()) &&
        words.len() == 3
            && words.iter().all(|word| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
    }
);

/// The greatest integer that every JSON implementation holds exactly: 2^53 - 1 (RFC 7493, section 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Why a number is outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be between {min} and 9007199254740991; got {got}")]
pub struct OutOfRange {
    what: &'static str,
    min: u64,
    got: u64,
}

macro_rules! counter {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $min:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": concat!($($doc, "\n"),*).trim(),
                    "type": "integer",
                    "minimum": $min,
                    "maximum": MAX_SAFE_INTEGER
                })
            }
        }

        impl $name {
            /// Checks the number and wraps it.
            pub fn new(number: u64) -> Result<Self, OutOfRange> {
                if !($min..=MAX_SAFE_INTEGER).contains(&number) {
                    return Err(OutOfRange { what: $what, min: $min, got: number });
                }
                Ok(Self(number))
            }

            /// The number itself.
            pub fn get(self) -> u64 {
                self.0
            }

            /// The next number; the greatest one stays what it is.
            pub fn next(self) -> Self {
                Self((self.0 + 1).min(MAX_SAFE_INTEGER))
            }
        }

        impl TryFrom<u64> for $name {
            type Error = OutOfRange;
            fn try_from(number: u64) -> Result<Self, OutOfRange> {
                Self::new(number)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// Counted up by one on every modification of a record.
    Version, "a version", 1
);
counter!(
    /// The place of a batch in the row of batches of one replica, from 1.
    Seq, "a seq", 1
);

impl Version {
    /// The version of a record nobody has modified yet.
    pub const FIRST: Version = Version(1);
}

impl Seq {
    /// The first batch of a replica.
    pub const FIRST: Seq = Seq(1);
}
