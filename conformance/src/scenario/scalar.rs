//! What a plain scalar means. Where YAML 1.1 and YAML 1.2 disagree it means nothing: the writer must choose.

use super::error::LoadErrorKind;
use serde_json::Value;

/// Words that YAML 1.1 takes for a boolean and YAML 1.2 for a string, or that only some parsers take for one.
const OLD_BOOLEANS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

/// Reads a scalar that stands in the file without quotes.
pub(super) fn plain(text: &str) -> Result<Value, LoadErrorKind> {
    let ambiguous = |remedy| Err(LoadErrorKind::Ambiguous { text: text.to_owned(), remedy });
    match text {
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        "null" | "~" => return Ok(Value::Null),
        "" => return ambiguous("write null, \"\", {} or []"),
        _ => {}
    }
    if OLD_BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return ambiguous("quote it, or write true or false");
    }
    if text.eq_ignore_ascii_case("null") {
        return ambiguous("quote it, or write null");
    }
    if !looks_like_a_number(text) {
        return Ok(Value::String(text.to_owned()));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(number) if is_whole(text) && number.is_f64() => ambiguous("quote it: 64 bits do not hold it"),
        Ok(number) => Ok(number),
        Err(_) => {
            ambiguous("quote it, or write it as JSON does: decimal, without leading zeros, plus sign or underscores")
        }
    }
}

fn is_whole(text: &str) -> bool {
    text != "-0" && text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether any version of YAML takes the text for a number.
fn looks_like_a_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(lower.as_str(), ".inf" | ".nan") {
        return true;
    }
    if let Some(digits) = ["0x", "0o", "0b"].iter().find_map(|prefix| lower.strip_prefix(prefix)) {
        return digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    if !lower.trim_start_matches('.').starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    lower.replace('_', "").parse::<f64>().is_ok() || is_sexagesimal(&lower)
}

/// `1:30` is 90 in YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first_is_digits = parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let mut rest = parts.peekable();
    first_is_digits
        && rest.peek().is_some()
        && rest.all(|part| {
            let whole = part.split_once('.').map_or(part, |(whole, _)| whole);
            matches!(whole.len(), 1 | 2) && whole.parse::<u8>().is_ok_and(|number| number < 60)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_scalars_and_words_are_taken() {
        for (text, value) in [
            ("true", json!(true)),
            ("null", json!(null)),
            ("38.1", json!(38.1)),
            ("-7", json!(-7)),
            ("0", json!(0)),
            ("1e3", json!(1e3)),
            ("9007199254740993", json!(9007199254740993_u64)),
            ("fever", json!("fever")),
            ("2026-12-01", json!("2026-12-01")),
            ("+1d", json!("+1d")),
            ("push.retry.same-outcome", json!("push.retry.same-outcome")),
            ("127.0.0.1:80", json!("127.0.0.1:80")),
            ("${page}", json!("${page}")),
            ("nothing", json!("nothing")),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_versions_of_yaml_read_differently_is_refused() {
        for text in [
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "True",
            "FALSE",
            "Null",
            "",
            "012",
            "-007",
            "00",
            "0o17",
            "0x1F",
            "0b1",
            "1_000",
            "+1",
            ".5",
            "1.",
            "1:30",
            ".inf",
            "-.NaN",
            "18446744073709551616",
        ] {
            assert!(matches!(plain(text), Err(LoadErrorKind::Ambiguous { .. })), "{text}");
        }
    }
}
