//! An exchange as a report shows it: without secrets, and no longer than somebody reads.

use super::exchange::{Body, Delivered, SeenExchange};
use fieldsync_schemas::event::{Course, Exchange};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Members whose values are secrets, wherever they stand.
const SECRETS: [&str; 3] = ["password", "access_token", "refresh_token"];
/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// The most characters of a path.
const LONGEST_PATH: usize = 300;
/// The most characters of a body that is no JSON.
const LONGEST_TEXT: usize = 1000;

/// How much of a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most characters of a string.
    pub text: usize,
    /// The most items of an array, and members of an object.
    pub items: usize,
    /// The most values in all.
    pub values: usize,
}

impl Limits {
    /// Those of a body.
    pub const BODY: Self = Self { text: 200, items: 20, values: 500 };
    /// So many characters more are left, so that what was cut before is not cut again.
    pub const SLACK: usize = 40;
}

/// The exchange without headers, secrets and length. The answer is the one that the device got, or the one that the
/// server gave where the device got none.
pub fn exchange(seen: &SeenExchange) -> Exchange {
    let answer = match &seen.delivered {
        Delivered::Whole(answer) => Some(answer),
        _ => seen.upstream.as_ref(),
    };
    Exchange {
        sent: body(&seen.request_body),
        answered: answer.map_or(Value::Null, |answer| body(&answer.body)),
        ..outline(seen)
    }
}

/// The exchange without its bodies.
pub fn outline(seen: &SeenExchange) -> Exchange {
    let mut fault = seen.fault.clone();
    if seen.copy {
        fault = Some(format!("{} (second copy)", fault.unwrap_or_default()));
    }
    if let Some(trouble) = &seen.trouble {
        fault = Some(fault.map_or_else(|| trouble.to_string(), |fault| format!("{fault}; {trouble}")));
    }
    let shown = without_signature(&seen.path);
    let path = cut(if seen.path.is_empty() { "/" } else { &shown }, LONGEST_PATH);
    Exchange {
        by: seen.by.clone(),
        request: format!("{} {path}", seen.method),
        sent: Value::Null,
        status: seen.status().map(|status| status.as_u16()),
        answered: Value::Null,
        fault,
        course: course(seen),
        began: 0,
        ended: None,
    }
}

fn course(seen: &SeenExchange) -> Course {
    match (&seen.delivered, &seen.upstream) {
        (Delivered::Whole(_), Some(_)) => Course::Whole,
        (Delivered::Whole(_), None) => Course::MadeUp,
        (Delivered::Half { .. }, _) => Course::Cut,
        (Delivered::Closed, Some(_)) => Course::Lost,
        (Delivered::Closed, None) if seen.trouble.is_some() => Course::Unanswered,
        (Delivered::Closed, None) => Course::Unsent,
        (Delivered::Nothing, _) => Course::Copy,
        (Delivered::Pending, _) => Course::UnderWay,
    }
}

/// A value no longer than somebody reads, without secrets.
pub fn shortened(value: &Value, limits: Limits) -> Value {
    let mut left = limits.values;
    shown(value, limits, &mut left)
}

fn body(body: &Body) -> Value {
    if body.bytes.is_empty() {
        return Value::Null;
    }
    if let Some(reason) = &body.undecoded {
        return json!(format!("({} bytes; {reason})", body.length));
    }
    match serde_json::from_slice(&body.bytes) {
        Ok(json) => shortened(&json, Limits::BODY),
        Err(_) => json!(text(&body.bytes, body.length)),
    }
}

/// What is no JSON might still hold a secret, as a message cut in the middle does: then nothing of it is shown.
fn text(bytes: &[u8], length: u64) -> String {
    let text = String::from_utf8_lossy(bytes);
    if SECRETS.iter().any(|secret| text.contains(secret)) {
        return format!("({length} bytes with a secret)");
    }
    cut(&text, LONGEST_TEXT)
}

/// `left` counts the values that may still be shown.
fn shown(json: &Value, limits: Limits, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    match json {
        Value::String(text) => Value::String(bounded(&without_signature(text), limits.text)),
        Value::Array(items) => {
            let mut told = Vec::new();
            for item in items.iter().take(most(items.len(), limits)) {
                if *left == 0 {
                    break;
                }
                told.push(shown(item, limits, left));
            }
            let left_out = items.len() - told.len();
            if left_out > 0 {
                told.push(json!(format!("… {left_out} more")));
            }
            Value::Array(told)
        }
        Value::Object(members) => {
            let mut told = serde_json::Map::new();
            for (name, value) in members.iter().take(most(members.len(), limits)) {
                if *left == 0 {
                    break;
                }
                let value = if SECRETS.contains(&name.as_str()) { json!(HIDDEN) } else { shown(value, limits, left) };
                told.insert(bounded(name, limits.text), value);
            }
            let left_out = members.len().saturating_sub(told.len());
            if left_out > 0 {
                told.insert("…".to_owned(), json!(format!("{left_out} more")));
            }
            Value::Object(told)
        }
        other => other.clone(),
    }
}

/// A signed URL without what lets everybody who reads it write.
fn without_signature(url: &str) -> Cow<'_, str> {
    match url.split_once('?') {
        Some((path, query)) if query.contains("X-Amz-Signature=") => Cow::Owned(format!("{path}?{HIDDEN}")),
        _ => Cow::Borrowed(url),
    }
}

/// How many of so many items are shown. The word on those left out takes the place of one.
fn most(length: usize, limits: Limits) -> usize {
    if length <= limits.items + 1 { length } else { limits.items }
}

/// At most so many characters of a text, or a few more, so that what was bounded before stays as it is.
pub fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().nth(most + Limits::SLACK) {
        Some(_) => cut(text, most),
        None => text.to_owned(),
    }
}

/// At most so many characters of a text, and how long it is where that is not all.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value {
        body(&Body::plain(text.to_owned().into()))
    }

    #[test]
    fn secrets_are_hidden_at_every_depth() {
        let got = of(
            r#"{"user": "ada", "password": "pw", "nested": [{"access_token": "at", "refresh_token": {"a": "rt"}}]}"#,
        );
        assert_eq!(
            got,
            json!({"user": "ada", "password": "***", "nested": [{"access_token": "***", "refresh_token": "***"}]})
        );
        assert_eq!(of(r#"{"password": "pw"#), json!("(16 bytes with a secret)"));
    }

    #[test]
    fn a_signed_url_is_shown_without_its_signature() {
        let got = of(r#"{"upload": {"url": "http://files/b/incoming/u-1?X-Amz-Expires=60&X-Amz-Signature=ab"}}"#);
        assert_eq!(got, json!({"upload": {"url": "http://files/b/incoming/u-1?***"}}));
        assert_eq!(without_signature("/pull?x=1"), "/pull?x=1");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc… (4 characters)");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let items: Vec<u32> = (0..25).collect();
        let got = of(&json!({"text": "ä".repeat(300), "items": items}).to_string());
        assert_eq!(got["items"].as_array().unwrap().len(), 21);
        assert_eq!(got["items"][20], "… 5 more");
        assert_eq!(got["text"].as_str().unwrap(), format!("{}… (300 characters)", "ä".repeat(200)));
        let many: serde_json::Map<String, Value> =
            (0..25).map(|n| (format!("{n:02}{}", "k".repeat(300)), json!(n))).collect();
        let got = of(&json!(many).to_string());
        assert_eq!((got.as_object().unwrap().len(), &got["…"]), (21, &json!("5 more")));
        assert!(got.as_object().unwrap().keys().all(|name| name.chars().count() < 230), "{got}");
        let mut wide = json!(1);
        for _ in 0..5 {
            wide = json!(vec![wide; 20]);
        }
        assert!(shortened(&wide, Limits::BODY).to_string().len() < 5000, "a tree is cut as a whole, too");
        assert_eq!(of("<html>"), json!("<html>"));
        assert_eq!(of(""), Value::Null);
    }
}
