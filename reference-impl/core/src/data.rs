//! What `data` may hold, and when two contents are equal.
//!
//! Chapter: records. JSON as RFC 7493 (I-JSON) restricts it: numbers that every implementation holds alike, and no
//! member twice.

use crate::store::Hash;
use fieldsync_schemas::id::MAX_SAFE_INTEGER;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::Refusal;
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::session::Limits;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// Checks `data` against the limits and I-JSON. What comes back is what is stored: the same text, or, where members
/// were null, a text without them.
pub fn check(raw: &RawValue, limits: &Limits) -> Result<Box<RawValue>, Refusal> {
    let bytes = raw.get().len() as u64;
    if bytes > limits.record_bytes {
        return Err(refusal(
            ProblemCode::RecordTooLarge,
            format!("data has {bytes} bytes; this server takes at most {}", limits.record_bytes),
            "",
        ));
    }
    let walk = Walk { limits, state: &RefCell::new(WalkState::default()), depth: 0 };
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    if let Err(error) = walk.deserialize(&mut deserializer) {
        let found = walk.state.take().found;
        // The text is JSON, or it would not have been read: all that serde_json can still refuse is a number.
        return Err(found.unwrap_or_else(|| {
            refusal(ProblemCode::NumberRange, format!("a number is beyond the range of a double: {error}"), "")
        }));
    }
    if !raw.get().trim_start().starts_with('{') {
        return Err(refusal(ProblemCode::Malformed, "data must be an object".to_owned(), ""));
    }
    if walk.state.borrow().has_null {
        let mut tree: Value = serde_json::from_str(raw.get()).expect("it was read a moment ago");
        drop_null_members(&mut tree);
        return Ok(serde_json::value::to_raw_value(&tree).expect("a tree is plain JSON"));
    }
    Ok(raw.to_owned())
}

/// Removes members that are null, at every depth. A null within a list stays: removing it would move the others.
pub fn drop_null_members(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_members),
        _ => {}
    }
}

/// The hash of a record's content, the same for every spelling of the same data: order of members, white space,
/// escapes and the spelling of numbers do not count (RFC 8785).
pub fn content_hash(data: Option<&RawValue>, attachments: &[Attachment]) -> Hash {
    let mut hash = Sha256::new();
    if let Some(data) = data {
        hash.update(canonical(data));
    }
    for attachment in attachments {
        hash.update(b"\n");
        hash.update(attachment.id.as_str());
    }
    hash.finalize().into()
}

/// RFC 8785.
pub fn canonical(data: &RawValue) -> Vec<u8> {
    let tree: Value = serde_json::from_str(data.get()).expect("data was checked when it came in");
    serde_json_canonicalizer::to_vec(&tree).expect("a tree is plain JSON")
}

/// `data` as a tree.
pub fn tree(data: &RawValue) -> Data {
    serde_json::from_str(data.get()).expect("data was checked when it came in")
}

fn refusal(code: ProblemCode, mut detail: String, pointer: &str) -> Refusal {
    // A member's name may be as long as a string.
    detail.truncate(detail.floor_char_boundary(500));
    let pointer = (!pointer.is_empty()).then(|| pointer.to_owned());
    Refusal { code, detail, pointer, cause: None }
}

#[derive(Default)]
struct WalkState {
    has_null: bool,
    path: Vec<String>,
    found: Option<Refusal>,
}

/// Walks `data` once without building it.
struct Walk<'a> {
    limits: &'a Limits,
    state: &'a RefCell<WalkState>,
    depth: u32,
}

impl Walk<'_> {
    fn refuse<E: Error>(&self, code: ProblemCode, detail: String) -> E {
        let mut state = self.state.borrow_mut();
        let path: String =
            state.path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
        let found = refusal(code, detail, &format!("/data{path}"));
        state.found.get_or_insert(found);
        E::custom("refused")
    }

    fn text<E: Error>(&self, text: &str, what: &str) -> Result<(), E> {
        if text.len() as u64 > self.limits.string_bytes {
            let limit = self.limits.string_bytes;
            return Err(self.refuse(
                ProblemCode::StringTooLong,
                format!("a {what} has {} bytes; this server takes at most {limit}", text.len()),
            ));
        }
        Ok(())
    }

    fn deeper<E: Error>(&self) -> Result<Walk<'_>, E> {
        let depth = self.depth + 1;
        if depth > self.limits.nesting {
            let limit = self.limits.nesting;
            return Err(self.refuse(ProblemCode::TooDeep, format!("data is nested deeper than {limit}")));
        }
        Ok(Walk { limits: self.limits, state: self.state, depth })
    }

    fn whole<E: Error>(&self, magnitude: f64, text: impl fmt::Display) -> Result<(), E> {
        if magnitude > MAX_SAFE_INTEGER as f64 {
            return Err(self
                .refuse(ProblemCode::NumberRange, format!("{text} is beyond ±9007199254740991; send it as a string")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.whole(number as f64, number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.whole(number.unsigned_abs() as f64, number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.fract() == 0.0 { self.whole(number.abs(), number) } else { Ok(()) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text, "string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut index = 0;
        loop {
            self.state.borrow_mut().path.push(index.to_string());
            let more = items.next_element_seed(&deeper)?.is_some();
            self.state.borrow_mut().path.pop();
            if !more {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            self.text(&name, "member name")?;
            self.state.borrow_mut().path.push(name.clone());
            if seen.contains(&name) {
                return Err(self.refuse(ProblemCode::DuplicateMember, format!("the member {name:?} stands twice")));
            }
            seen.insert(name);
            members.next_value_seed(Member(&deeper))?;
            self.state.borrow_mut().path.pop();
        }
        Ok(())
    }
}

/// The value of a member, where null counts.
struct Member<'a>(&'a Walk<'a>);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.state.borrow_mut().has_null = true;
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.0.visit_bool(flag)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.visit_u64(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.0.visit_i64(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.visit_f64(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.visit_str(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.0.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        self.0.visit_map(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<String, (ProblemCode, Option<String>)> {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let limits = Limits { nesting: 4, string_bytes: 8, record_bytes: 200, ..Limits::default() };
        check(&raw, &limits).map(|data| data.get().to_owned()).map_err(|refusal| (refusal.code, refusal.pointer))
    }

    #[test]
    fn what_is_fine_stays_as_it_was_written() {
        for text in [r#"{ "b":1.50, "a":[null] }"#, r#"{"n":9007199254740991,"m":-9007199254740991}"#, "{}"] {
            assert_eq!(checked(text).unwrap(), text);
        }
    }

    #[test]
    fn null_members_go_at_every_depth() {
        assert_eq!(checked(r#"{"a":null,"b":{"c":null,"d":[null,{"e":null}]}}"#).unwrap(), r#"{"b":{"d":[null,{}]}}"#);
    }

    #[test]
    fn what_is_refused_says_where() {
        use ProblemCode::*;
        for (text, code, pointer) in [
            (r#"{"a":[1,9007199254740992]}"#, NumberRange, Some("/data/a/1")),
            (r#"{"a":1e17}"#, NumberRange, Some("/data/a")),
            (r#"{"a":1e999}"#, NumberRange, None),
            (r#"{"a":1,"\u0061":2}"#, DuplicateMember, Some("/data/a")),
            (r#"{"a":"123456789"}"#, StringTooLong, Some("/data/a")),
            (r#"{"a":{"b":{"c":{"d":{}}}}}"#, TooDeep, Some("/data/a/b/c/d")),
            ("[]", Malformed, None),
        ] {
            assert_eq!(checked(text).unwrap_err(), (code, pointer.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn equal_contents_have_equal_hashes() {
        let hash = |text: &str| content_hash(Some(&RawValue::from_string(text.to_owned()).unwrap()), &[]);
        assert_eq!(hash(r#"{"a":1,"b":"é"}"#), hash("{ \"b\": \"\\u00e9\", \"a\": 1.0 }"));
        assert_ne!(hash(r#"{"a":"\u00e9"}"#), hash(r#"{"a":"e\u0301"}"#), "no Unicode normalization");
        assert_ne!(hash(r#"{"a":1}"#), content_hash(None, &[]));
    }
}
