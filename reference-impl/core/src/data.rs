//! What `data` may hold, and when two contents are equal.
//!
//! Chapter: records. JSON as RFC 7493 (I-JSON) restricts it: numbers that every implementation holds alike, and no
//! member twice.

use crate::canonical;
use crate::store::Hash;
use fieldsync_schemas::id::MAX_SAFE_INTEGER;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::Refusal;
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::session::Limits;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::fmt;

/// `data` that was checked.
#[derive(Debug)]
pub struct Checked {
    /// What is stored: the same text, or, where members were null, a text without them.
    pub text: Box<RawValue>,
    /// The same as a tree.
    pub tree: Value,
}

/// Checks `data` against the limits and I-JSON.
pub fn check(raw: &RawValue, limits: &Limits) -> Result<Checked, Refusal> {
    let bytes = raw.get().len() as u64;
    if bytes > limits.record_bytes {
        return Err(refusal(
            ProblemCode::RecordTooLarge,
            format!("data has {bytes} bytes; this server takes at most {}", limits.record_bytes),
            "",
        ));
    }
    let found = Found::within("/data");
    let mut tree = read(raw, limits, &found)?;
    if !tree.is_object() {
        return Err(refusal(ProblemCode::Malformed, "data must be an object".to_owned(), ""));
    }
    if !found.null.get() {
        return Ok(Checked { text: raw.to_owned(), tree });
    }
    drop_null_members(&mut tree);
    Ok(Checked { text: serde_json::value::to_raw_value(&tree).expect("a tree is plain JSON"), tree })
}

/// Checks a patch against I-JSON and the limits of what it holds; a null member clears, so it stays.
pub fn check_patch(raw: &RawValue, limits: &Limits) -> Result<Data, Refusal> {
    match read(raw, limits, &Found::within("/patch"))? {
        Value::Object(patch) => Ok(patch),
        _ => Err(refusal(ProblemCode::Malformed, "a patch must be an object".to_owned(), "")),
    }
}

fn read(raw: &RawValue, limits: &Limits, found: &Found) -> Result<Value, Refusal> {
    let walk = Walk { limits, found, depth: 0, from: None };
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    // The text is JSON, or it would not have been read: all that serde_json can still refuse is a number.
    walk.deserialize(&mut deserializer).map_err(|error| {
        found.refusal.take().unwrap_or_else(|| {
            refusal(ProblemCode::NumberRange, format!("a number is beyond the range of a double: {error}"), "")
        })
    })
}

/// Removes members that are null, at every depth. A null within a list stays: removing it would move the others.
pub fn drop_null_members(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            if members.values().any(Value::is_null) {
                members.retain(|_, value| !value.is_null());
            }
            members.values_mut().for_each(drop_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_members),
        _ => {}
    }
}

/// The hash of a record's content, the same for every spelling of the same data: order of members, white space,
/// escapes and the spelling of numbers do not count (RFC 8785).
pub fn content_hash(data: Option<&RawValue>, attachments: &[Attachment]) -> Hash {
    let read = |data: &RawValue| serde_json::from_str(data.get()).expect("data was checked when it came in");
    content_hash_of_tree(data.map(read), attachments)
}

/// [`content_hash`] of data that is a tree already.
pub fn content_hash_of_tree(data: Option<Value>, attachments: &[Attachment]) -> Hash {
    let mut hash = Sha256::new();
    if let Some(data) = data {
        let mut text = Vec::new();
        canonical::write(&data, &mut text);
        hash.update(text);
    }
    for attachment in attachments {
        hash.update(b"\n");
        hash.update(attachment.id.as_str());
    }
    hash.finalize().into()
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

/// What a walk finds besides the tree.
struct Found {
    /// The member of the mutation that is walked, as a JSON Pointer.
    root: &'static str,
    refusal: RefCell<Option<Refusal>>,
    null: Cell<bool>,
}

impl Found {
    fn within(root: &'static str) -> Self {
        Self { root, refusal: RefCell::default(), null: Cell::default() }
    }
}

/// Reads one value of `data`, and checks it on the way.
struct Walk<'a> {
    limits: &'a Limits,
    found: &'a Found,
    depth: u32,
    /// The value that this one is in, and where; nothing for `data` itself.
    from: Option<(&'a Walk<'a>, Step<'a>)>,
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> Walk<'a> {
    fn into(&'a self, step: Step<'a>) -> Walk<'a> {
        Walk { limits: self.limits, found: self.found, depth: self.depth + 1, from: Some((self, step)) }
    }

    /// The JSON Pointer to this value; written only where something is refused.
    fn pointer(&self) -> String {
        match self.from {
            None => self.found.root.to_owned(),
            Some((outer, Step::Item(index))) => format!("{}/{index}", outer.pointer()),
            Some((outer, Step::Member(name))) => {
                format!("{}/{}", outer.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
        }
    }

    fn refuse<E: Error>(&self, code: ProblemCode, detail: String) -> E {
        *self.found.refusal.borrow_mut() = Some(refusal(code, detail, &self.pointer()));
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

    fn nested<E: Error>(&self) -> Result<(), E> {
        // `data` itself is 1.
        if self.depth >= self.limits.nesting {
            let limit = self.limits.nesting;
            return Err(self.refuse(ProblemCode::TooDeep, format!("data is nested deeper than {limit}")));
        }
        Ok(())
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
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Walk<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        // Only as a member is null the same as nothing.
        if let Some((_, Step::Member(_))) = self.from {
            self.found.null.set(true);
        }
        Ok(Value::Null)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.whole(number as f64, number)?;
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.whole(number.unsigned_abs() as f64, number)?;
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        if number.fract() == 0.0 {
            self.whole(number.abs(), number)?;
        }
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text, "string")?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.nested()?;
        let mut tree = Vec::new();
        while let Some(item) = items.next_element_seed(&self.into(Step::Item(tree.len())))? {
            tree.push(item);
        }
        Ok(Value::Array(tree))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.nested()?;
        let mut tree = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.text(&name, "member name")?;
            let member = self.into(Step::Member(&name));
            if tree.contains_key(&name) {
                return Err(member.refuse(ProblemCode::DuplicateMember, format!("the member {name:?} stands twice")));
            }
            let value = members.next_value_seed(&member)?;
            tree.insert(name, value);
        }
        Ok(Value::Object(tree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<String, (ProblemCode, Option<String>)> {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let limits = Limits { nesting: 4, string_bytes: 8, record_bytes: 200, ..Limits::default() };
        check(&raw, &limits).map(|data| data.text.get().to_owned()).map_err(|refusal| (refusal.code, refusal.pointer))
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
            (r#"{"a":null,"a":2}"#, DuplicateMember, Some("/data/a")),
            (r#"{"a/b":[[],{"~":"123456789"}]}"#, StringTooLong, Some("/data/a~1b/1/~0")),
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
        assert_eq!(hash(r#"{"a":[0,100]}"#), hash(r#"{"a":[-0.0,1e2]}"#));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":1.5}"#));
        assert_ne!(hash(r#"{"a":1}"#), content_hash(None, &[]));
    }
}
