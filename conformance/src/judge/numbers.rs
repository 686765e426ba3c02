//! Numbers that a server draws from sequences: one for each record, which stays, and none for two records.

use super::conduct::Misconduct;
use crate::tap::SeenExchange;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

const ONCE: &str = "merge.sequence.once";
const UNIQUE: &str = "merge.sequence.unique";
const CAPABILITY: &str = "derived-fields";

/// The first breach of each rule, in what the server said.
pub fn examine(exchanges: &[SeenExchange]) -> Vec<Misconduct> {
    let mut numbers = Numbers::default();
    for (index, seen) in exchanges.iter().enumerate() {
        let Some(answer) = seen.upstream.as_ref().filter(|answer| answer.status.is_success()) else { continue };
        match seen.kind {
            CallKind::Session => numbers.learn(answer.body.json().unwrap_or(&Value::Null)),
            CallKind::Pull if !numbers.drawn.is_empty() => {
                numbers.pulled(index as u64, &seen.by, answer.body.json().unwrap_or(&Value::Null));
            }
            _ => {}
        }
    }
    numbers.found
}

#[derive(Default)]
struct Numbers {
    /// Types, each with a member that is drawn.
    drawn: BTreeSet<(String, String)>,
    /// What a reader saw last of a record, in an epoch.
    last: HashMap<[String; 5], Value>,
    /// Whose a number is.
    owner: HashMap<[String; 4], String>,
    found: Vec<Misconduct>,
}

impl Numbers {
    fn learn(&mut self, session: &Value) {
        let claims = session["capabilities"].as_array().is_some_and(|claimed| claimed.contains(&json!(CAPABILITY)));
        for entry in session["registry"]["types"].as_array().into_iter().flatten().filter(|_| claims) {
            let fields = entry["merge"]["fields"].as_object().into_iter().flatten();
            let drawn = fields.filter(|(_, field)| field["value"]["sequence"].is_object());
            let name = entry["name"].as_str().unwrap_or_default();
            self.drawn.extend(drawn.map(|(pointer, _)| (name.to_owned(), pointer.clone())));
        }
    }

    fn pulled(&mut self, exchange: u64, by: &str, answer: &Value) {
        let epoch = answer["epoch"].as_str().unwrap_or_default();
        let pages = answer["feeds"].as_array().into_iter().flatten();
        for record in pages.flat_map(|page| page["changes"].as_array().into_iter().flatten()).map(|one| &one["record"])
        {
            let text = |member: &str| record[member].as_str().unwrap_or_default().to_owned();
            let (type_name, id) = (text("type"), text("id"));
            let of_type: Vec<String> =
                self.drawn.iter().filter(|(of, _)| *of == type_name).map(|(_, pointer)| pointer.clone()).collect();
            for pointer in of_type {
                let key = [by.to_owned(), epoch.to_owned(), type_name.clone(), id.clone(), pointer.clone()];
                let Some(data) = record.get("data") else {
                    // What is made again is given another number.
                    self.last.remove(&key);
                    continue;
                };
                let number = data.pointer(&pointer).cloned().unwrap_or(Value::Null);
                let before = self.last.entry(key).or_insert_with(|| number.clone()).clone();
                if before != number || number.is_null() {
                    self.add(ONCE, exchange, format!("{pointer} of {id}"), before, number.clone());
                }
                let drawn = [epoch.to_owned(), type_name.clone(), pointer.clone(), number.to_string()];
                let owner = self.owner.entry(drawn).or_insert_with(|| id.clone()).clone();
                if owner != id && !number.is_null() {
                    self.add(
                        UNIQUE,
                        exchange,
                        format!("the record that has {pointer} {number}"),
                        json!(owner),
                        json!(id),
                    );
                }
            }
        }
    }

    fn add(&mut self, rule: &'static str, exchange: u64, what: String, expected: Value, got: Value) {
        if self.found.iter().all(|other| other.rule != rule) {
            self.found.push(Misconduct { rule, exchange, what, expected, got });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(capabilities: &[&str]) -> Value {
        json!({"capabilities": capabilities, "registry": {"types": [
            {"name": "sample", "merge": {"fields": {"/number": {"rule": "server-set", "value": {"sequence": {"prefix": "S-"}}}}}},
            {"name": "case", "merge": {"fields": {"/number": {"rule": "server-set"}}}},
        ]}})
    }

    /// Types, ids and numbers, one page each; a tombstone where the number is absent.
    fn breaches(capabilities: &[&str], pages: &[(&str, &str, Option<Value>)]) -> Vec<&'static str> {
        let mut numbers = Numbers::default();
        numbers.learn(&session(capabilities));
        for (index, (of, id, number)) in pages.iter().enumerate() {
            let mut record = json!({"type": of, "id": id});
            if let Some(number) = number {
                record["data"] = json!({"number": number});
            }
            let answer = json!({"epoch": "e", "feeds": [{"changes": [{"op": "put", "record": record}]}]});
            numbers.pulled(index as u64, "tablet", &answer);
        }
        numbers.found.into_iter().map(|found| found.rule).collect()
    }

    #[test]
    fn a_record_has_one_number_and_a_number_one_record() {
        let (one, two) = (|| Some(json!("S-1")), || Some(json!("S-2")));
        let claimed: &[&str] = &[CAPABILITY];
        assert_eq!(
            breaches(claimed, &[("sample", "a", one()), ("sample", "b", two()), ("sample", "a", one())]),
            [""; 0]
        );
        assert_eq!(breaches(claimed, &[("sample", "a", one()), ("sample", "a", two())]), [ONCE]);
        assert_eq!(breaches(claimed, &[("sample", "a", Some(Value::Null))]), [ONCE]);
        assert_eq!(breaches(claimed, &[("sample", "a", one()), ("sample", "b", one())]), [UNIQUE]);
        assert_eq!(
            breaches(claimed, &[("sample", "a", one()), ("sample", "a", None), ("sample", "a", two())]),
            [""; 0]
        );
        assert_eq!(breaches(claimed, &[("case", "a", one()), ("case", "a", two()), ("case", "b", one())]), [""; 0]);
        assert_eq!(breaches(&[], &[("sample", "a", one()), ("sample", "a", two())]), [""; 0]);
    }
}
