//! An exchange as a report shows it: without secrets, and no longer than somebody reads.

use super::exchange::{Body, Delivered, SeenExchange};
use fieldsync_schemas::event::Exchange;
use serde_json::{Value, json};

/// Members whose values are secrets, wherever they stand.
const SECRETS: [&str; 3] = ["password", "access_token", "refresh_token"];
/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// The most characters of a string in a body.
const LONGEST_STRING: usize = 200;
/// The most items of an array.
const MOST_ITEMS: usize = 20;
/// The most characters of a body that is no JSON.
const LONGEST_TEXT: usize = 1000;

/// The exchange without headers, secrets and length. The answer is the one that the device got, or the one that the
/// server gave where the device got none.
pub fn exchange(seen: &SeenExchange) -> Exchange {
    let answer = match &seen.delivered {
        Delivered::Whole(answer) => Some(answer),
        _ => seen.upstream.as_ref(),
    };
    let mut fault = seen.fault.clone();
    if seen.copy {
        fault = Some(format!("{} (second copy)", fault.unwrap_or_default()));
    }
    if let Some(trouble) = &seen.trouble {
        fault = Some(fault.map_or_else(|| trouble.to_string(), |fault| format!("{fault}; {trouble}")));
    }
    Exchange {
        by: seen.by.clone(),
        request: format!("{} {}", seen.method, if seen.path.is_empty() { "/" } else { &seen.path }),
        sent: body(&seen.request_body),
        status: seen.status().map(|status| status.as_u16()),
        answered: answer.map_or(Value::Null, |answer| body(&answer.body)),
        fault,
    }
}

fn body(body: &Body) -> Value {
    if body.bytes.is_empty() {
        return Value::Null;
    }
    if let Some(reason) = &body.undecoded {
        return json!(format!("({} bytes; {reason})", body.length));
    }
    match serde_json::from_slice(&body.bytes) {
        Ok(json) => shown(json),
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

fn shown(json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(cut(&text, LONGEST_STRING)),
        Value::Array(items) => {
            let left_out = items.len().saturating_sub(MOST_ITEMS);
            let mut items: Vec<Value> = items.into_iter().take(MOST_ITEMS).map(shown).collect();
            if left_out > 0 {
                items.push(json!(format!("… {left_out} more")));
            }
            Value::Array(items)
        }
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = if SECRETS.contains(&name.as_str()) { json!(HIDDEN) } else { shown(value) };
                    (name, value)
                })
                .collect(),
        ),
        other => other,
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
        assert_eq!(of("<html>"), json!("<html>"));
        assert_eq!(of(""), Value::Null);
    }
}
