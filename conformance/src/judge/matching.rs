//! Whether an answer has what a scenario expects of it.

use fieldsync_schemas::time::Timestamp;
use serde_json::{Value, json};

/// How far from this moment an instant may be that is `$now`.
const NOW_MILLIS: i64 = 300_000;

/// The first place where `got` lacks what `expected` asks for: a JSON Pointer, what was expected there, what was got.
///
/// An object may have more members than are named, an array has exactly the named items. `$any` stands for any value,
/// `$absent` for none, `$string` for a text, `$time` for an instant, `$now` for one within five minutes of this one,
/// `{"$some": ...}` for an array with such an item, `{"$most": 100}` for one with at most so many,
/// `{"$not": ...}` for any value but this, and `{"$lacks": "text"}` for a text in which this one does not stand.
pub fn mismatch(expected: &Value, got: Option<&Value>) -> Option<(String, Value, Value)> {
    at(expected, got, String::new())
}

fn at(expected: &Value, got: Option<&Value>, path: String) -> Option<(String, Value, Value)> {
    let differs = |path: String| Some((path, expected.clone(), got.cloned().unwrap_or_else(|| "$absent".into())));
    match (expected, got) {
        (Value::String(word), None) if word == "$absent" => None,
        (Value::String(word), Some(_)) if word == "$absent" => differs(path),
        (_, None) => differs(path),
        (Value::String(word), Some(_)) if word == "$any" => None,
        (Value::String(word), Some(got)) if word == "$string" => {
            if got.is_string() {
                None
            } else {
                differs(path)
            }
        }
        (Value::String(word), Some(got)) if word == "$time" => {
            let is_time = got.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok());
            if is_time { None } else { differs(path) }
        }
        (Value::String(word), Some(got)) if word == "$now" => {
            let now = Timestamp::now().as_millis();
            let time = got.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            if time.is_some_and(|time| (time.as_millis() - now).abs() <= NOW_MILLIS) { None } else { differs(path) }
        }
        (Value::Object(members), Some(got)) if members.len() == 1 && members.contains_key("$not") => {
            if at(&members["$not"], Some(got), String::new()).is_some() { None } else { differs(path) }
        }
        (Value::Object(members), Some(got)) if members.len() == 1 && members.contains_key("$lacks") => {
            let stands = |text: &str| members["$lacks"].as_str().is_none_or(|part| text.contains(part));
            if got.as_str().is_some_and(|text| !stands(text)) { None } else { differs(path) }
        }
        (Value::Object(members), Some(Value::Array(found))) if members.len() == 1 && members.contains_key("$most") => {
            let most = members["$most"].as_u64().unwrap_or(0);
            if found.len() as u64 <= most { None } else { Some((path, expected.clone(), json!(found.len()))) }
        }
        (Value::Object(members), Some(Value::Array(found))) if members.len() == 1 && members.contains_key("$some") => {
            let fits = |item: &Value| at(&members["$some"], Some(item), String::new()).is_none();
            if found.iter().any(fits) { None } else { differs(path) }
        }
        (Value::Object(members), Some(Value::Object(found))) => {
            members.iter().find_map(|(name, value)| at(value, found.get(name), format!("{path}/{}", escaped(name))))
        }
        (Value::Array(items), Some(Value::Array(found))) => {
            if items.len() != found.len() {
                return differs(path);
            }
            items
                .iter()
                .zip(found)
                .enumerate()
                .find_map(|(index, (item, found))| at(item, Some(found), format!("{path}/{index}")))
        }
        (Value::Number(wanted), Some(Value::Number(found))) => {
            if wanted == found || wanted.as_f64() == found.as_f64() {
                None
            } else {
                differs(path)
            }
        }
        (expected, Some(got)) => {
            if expected == got {
                None
            } else {
                differs(path)
            }
        }
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Whether two values are the same JSON, numbers compared as numbers.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_five_minutes_wide() {
        let at = |offset: i64| json!(Timestamp::from_millis(Timestamp::now().as_millis() + offset));
        for (offset, fits) in [(0, true), (-290_000, true), (290_000, true), (-310_000, false), (310_000, false)] {
            assert_eq!(mismatch(&json!("$now"), Some(&at(offset))).is_none(), fits, "{offset} ms");
        }
        assert!(mismatch(&json!("$now"), Some(&json!("soon"))).is_some());
    }

    #[test]
    fn a_text_can_be_searched_for_what_it_must_not_say() {
        let got = json!({"detail": "a record refers to it", "code": 4});
        for (expected, fits) in [
            (json!({"detail": {"$lacks": "r-17"}}), true),
            (json!({"detail": {"$lacks": "record"}}), false),
            (json!({"code": {"$lacks": "r-17"}}), false),
            (json!({"pointer": {"$lacks": "r-17"}}), false),
        ] {
            assert_eq!(mismatch(&expected, Some(&got)).is_none(), fits, "{expected}");
        }
    }

    #[test]
    fn an_array_can_be_bounded() {
        let got = json!({"changes": [1, 2, 3]});
        assert_eq!(mismatch(&json!({"changes": {"$most": 3}}), Some(&got)), None);
        let too_many = Some(("/changes".to_owned(), json!({"$most": 2}), json!(3)));
        assert_eq!(mismatch(&json!({"changes": {"$most": 2}}), Some(&got)), too_many);
    }

    #[test]
    fn objects_may_have_more_and_arrays_may_not() {
        let got = json!({"a": 1.0, "b": {"c": [1, 2]}, "t": "2026-12-01T08:30:00Z"});
        for expected in [
            json!({"a": 1}),
            json!({"b": {"c": ["$any", 2]}}),
            json!({"z": "$absent", "t": "$time"}),
            json!("$any"),
            json!({"b": {"c": {"$some": 2}}}),
            json!({"b": {"c": {"$not": 2}}}),
        ] {
            assert_eq!(mismatch(&expected, Some(&got)), None, "{expected}");
        }
        for (expected, path) in [
            (json!({"b": {"c": [1]}}), "/b/c"),
            (json!({"b": {"c": [1, 3]}}), "/b/c/1"),
            (json!({"b": {"c": {"$some": 3}}}), "/b/c"),
            (json!({"a": "$absent"}), "/a"),
            (json!({"a": "$time"}), "/a"),
            (json!({"x": "$any"}), "/x"),
        ] {
            assert_eq!(mismatch(&expected, Some(&got)).map(|found| found.0).as_deref(), Some(path), "{expected}");
        }
    }
}
