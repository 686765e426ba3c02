//! What a scenario's names stand for in one run.

use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names of one scenario in one run: records, saved values, and made-up ids.
#[derive(Debug)]
pub struct Names {
    salt: String,
    values: Mutex<BTreeMap<String, Value>>,
    records: Mutex<BTreeMap<String, RecordRef>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Names {
    /// Fresh names; the salt is the run's number, the seed and the scenario.
    pub fn new(salt: String) -> Self {
        Self { salt, values: Mutex::default(), records: Mutex::default() }
    }

    /// The value of a name: what was saved under it, or an id made up at its first use.
    pub fn value(&self, name: &str) -> Value {
        if let Some(value) = self.known(name) {
            return value;
        }
        let hash = Sha256::digest(format!("{}/{name}", self.salt));
        let hex: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let kept: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(24).collect();
        let value = Value::String(format!("{kept}-{hex}"));
        locked(&self.values).insert(name.to_owned(), value.clone());
        value
    }

    /// The value of a name that was used.
    pub fn known(&self, name: &str) -> Option<Value> {
        locked(&self.values).get(name).cloned()
    }

    /// Saves a value under a name.
    pub fn save(&self, name: &str, value: Value) {
        locked(&self.values).insert(name.to_owned(), value);
    }

    /// Makes up the id of a record that a device creates.
    pub fn create(&self, type_name: &fieldsync_schemas::id::TypeName, alias: &str) -> RecordRef {
        let id = self.value(alias).as_str().and_then(|id| RecordId::new(id).ok());
        let record = RecordRef { type_name: type_name.clone(), id: id.expect("a made-up id is a record id") };
        locked(&self.records).insert(alias.to_owned(), record.clone());
        record
    }

    /// The record of an alias; one that only raw requests made is of the type `observation`, or of `type:alias`.
    pub fn record(&self, alias: &str) -> RecordRef {
        if let Some(record) = locked(&self.records).get(alias) {
            return record.clone();
        }
        let (type_name, name) = alias.split_once(':').unwrap_or(("observation", alias));
        let value = self.value(name);
        let id = value.as_str().and_then(|id| RecordId::new(id).ok());
        RecordRef {
            type_name: type_name.parse().expect("the lint checked the name"),
            id: id.expect("a made-up id is a record id"),
        }
    }

    /// The alias of a record id, for people.
    pub fn alias_of(&self, id: &str) -> Option<String> {
        locked(&self.values).iter().find(|(_, value)| value.as_str() == Some(id)).map(|(name, _)| name.clone())
    }

    /// All records that the scenario has named.
    pub fn records(&self) -> Vec<(String, RecordRef)> {
        locked(&self.records).iter().map(|(alias, record)| (alias.clone(), record.clone())).collect()
    }

    /// Puts values in the place of `${name}`, at every depth. A text that is nothing but `${name}` becomes the value.
    /// `${hash:one+two}` is the attachment id of `${one}${two}`; `${x*3}` is `xxx`; `{$times: 3, item: ...}` is a list of three, in which `${#}` is the number of the item.
    pub fn fill(&self, tree: &Value) -> Value {
        match tree {
            Value::String(text) => self.fill_text(text),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => match repeated(members) {
                Some((times, item)) => (1..=times).map(|number| self.fill(&numbered(item, number))).collect(),
                None => Value::Object(
                    members.iter().map(|(name, value)| (self.fill_plain(name), self.fill(value))).collect(),
                ),
            },
            other => other.clone(),
        }
    }

    /// Puts values in the place of `${name}` in what a record says.
    pub fn fill_data(&self, data: &Data) -> Data {
        data.iter().map(|(name, value)| (self.fill_plain(name), self.fill(value))).collect()
    }

    /// Puts values in the place of `${name}` in a text.
    pub fn fill_plain(&self, text: &str) -> String {
        match self.fill_text(text) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The attachment id of `hash:one+two`: of the text that these names stand for, one after the other.
    fn hash_of(&self, name: &str) -> Option<String> {
        let parts = name.strip_prefix(HASH)?.split('+');
        let text: String = parts.map(|part| self.fill_plain(&format!("${{{part}}}"))).collect();
        let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("sha256:{hex}"))
    }

    fn fill_text(&self, text: &str) -> Value {
        if let Some(name) = whole_name(text).filter(|name| long_text(name).is_none() && !name.starts_with(HASH)) {
            return self.value(name);
        }
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            filled.push_str(before);
            let made = self.hash_of(name).or_else(|| long_text(name));
            match made.map_or_else(|| self.value(name), Value::String) {
                Value::String(value) => filled.push_str(&value),
                other => filled.push_str(&other.to_string()),
            }
            rest = tail;
        }
        filled.push_str(rest);
        Value::String(filled)
    }

    /// Puts aliases back in the place of made-up ids, so that what people read is the same in every run.
    pub fn unfill(&self, tree: &Value) -> Value {
        let known: Vec<(String, String)> = locked(&self.values)
            .iter()
            .filter_map(|(name, value)| Some((value.as_str()?.to_owned(), format!("${{{name}}}"))))
            .collect();
        unfill(tree, &known)
    }
}

/// Puts names in the place of values, at every depth.
pub(crate) fn unfill(tree: &Value, known: &[(String, String)]) -> Value {
    match tree {
        Value::String(text) => Value::String(unfill_text(text, known)),
        Value::Array(items) => items.iter().map(|item| unfill(item, known)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (unfill_text(name, known), unfill(value, known))).collect(),
        ),
        other => other.clone(),
    }
}

/// Puts names in the place of values in a text.
pub(crate) fn unfill_text(text: &str, known: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (value, name) in known {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), name);
        }
    }
    text
}

/// What an attachment id is written with.
const HASH: &str = "hash:";
/// The longest text that a fixture can ask for, in bytes.
const LONGEST_TEXT: usize = 64 << 20;

/// The text of `x*8193`.
fn long_text(name: &str) -> Option<String> {
    let (unit, times) = name.rsplit_once('*')?;
    let times: usize = times.parse().ok().filter(|times| unit.len().saturating_mul(*times) <= LONGEST_TEXT)?;
    Some(unit.repeat(times))
}

/// How often what is to be in a list.
fn repeated(members: &serde_json::Map<String, Value>) -> Option<(u64, &Value)> {
    let (times, item) = (members.get("$times")?.as_u64()?, members.get("item")?);
    (members.len() == 2).then_some((times, item))
}

/// The item with its number.
fn numbered(item: &Value, number: u64) -> Value {
    match item {
        Value::String(text) if text == "${#}" => number.into(),
        Value::String(text) => text.replace("${#}", &number.to_string()).into(),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect())
        }
        other => other.clone(),
    }
}

fn whole_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains(['{', '}', '$'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_filled_and_put_back() {
        let names = Names::new("run 1".to_owned());
        names.save("seq", json!(4));
        let filled = names.fill(&json!({"seq": "${seq}", "text": "a ${fever} b", "list": ["${fever}"]}));
        assert_eq!(filled["seq"], json!(4));
        let id = filled["list"][0].as_str().unwrap().to_owned();
        assert_eq!(filled["text"], json!(format!("a {id} b")));
        assert_eq!(names.unfill(&json!([id])), json!(["${fever}"]));
        assert_ne!(Names::new("run 2".to_owned()).value("fever"), json!(id));
    }

    #[test]
    fn what_is_long_is_written_short() {
        let names = Names::new("run 1".to_owned());
        assert_eq!(names.fill(&json!(["${ab*3}", "<${x*2}>", {"${y*2}": 1}])), json!(["ababab", "<xx>", {"yy": 1}]));
        let hash = "sha256:38760eabb666e8e61ee628a17c4090cc50728e095ff24218119d51bd22475363";
        assert_eq!(names.fill(&json!("${hash:a*2+b*1}")), json!(hash), "of aab");
        let item = json!({"id": "${fever}-${#}", "n": "${#}"});
        let filled = names.fill(&json!({"all": {"$times": 2, "item": item}}));
        let fever = names.value("fever");
        let fever = fever.as_str().unwrap();
        let expected = json!([{"id": format!("{fever}-1"), "n": 1}, {"id": format!("{fever}-2"), "n": 2}]);
        assert_eq!(filled, json!({"all": expected}));
    }
}
