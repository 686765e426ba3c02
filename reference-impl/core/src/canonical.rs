//! The canonical form of JSON (RFC 8785): one text for all spellings of one value.
//!
//! Chapter: records. Members stand in the order of their names as UTF-16, numbers are written as ECMAScript writes them.

use serde_json::{Number, Value};

/// Appends the canonical form of a value.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            out.push(b'{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::String(text) => string(text, out),
        Value::Number(number) => out.extend_from_slice(spelled(number).as_bytes()),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
    }
}

/// serde_json escapes what RFC 8785 escapes, in the same way.
fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a Vec takes every byte");
}

/// A number as `JSON.stringify` writes it (ECMA-262, Number::toString).
fn spelled(number: &Number) -> String {
    if let Some(whole) = number.as_i64().filter(|whole| whole.unsigned_abs() < 1 << 53) {
        return whole.to_string();
    }
    let double = number.as_f64().unwrap_or(f64::NAN);
    if double == 0.0 {
        return "0".to_owned();
    }
    // Rust gives the same shortest digits, in its own form: `-1.25e-7`.
    let text = format!("{:e}", double.abs());
    let (digits, exponent) = text.split_once('e').expect("this form has an exponent");
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let (count, point) = (digits.len() as i32, exponent.parse::<i32>().expect("it was written as one") + 1);
    let sign = if double < 0.0 { "-" } else { "" };
    match point {
        _ if count <= point && point <= 21 => format!("{sign}{digits}{}", "0".repeat((point - count) as usize)),
        1..=21 => format!("{sign}{}.{}", &digits[..point as usize], &digits[point as usize..]),
        -5..=0 => format!("{sign}0.{}{digits}", "0".repeat(-point as usize)),
        _ => {
            let rest = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
            format!("{sign}{}{rest}e{}{}", &digits[..1], if point > 0 { "+" } else { "-" }, (point - 1).abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write(&serde_json::from_str(text).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        for (text, wanted) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1e2", "100"),
            ("9007199254740991", "9007199254740991"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("38.1", "38.1"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.25e-7", "1.25e-7"),
            ("-123.456", "-123.456"),
            ("5e-324", "5e-324"),
            ("333333333.33333329", "333333333.3333333"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
        ] {
            assert_eq!(canonical(text), wanted, "{text}");
        }
    }

    #[test]
    fn members_stand_in_the_order_of_utf_16() {
        // The example of RFC 8785, section 3.2.3: an emoji sorts by its surrogates, before U+FB33.
        let text = "{\"\\ufb33\": 1, \"\\ud83d\\ude00\": 2, \"\\u20ac\": 3, \"1\": 4, \"\\r\": 5}";
        assert_eq!(canonical(text), "{\"\\r\":5,\"1\":4,\"€\":3,\"😀\":2,\"\u{fb33}\":1}");
        assert_eq!(
            canonical("{ \"b\" : [ null , true ] , \"a\" : \"\\u0041\\u001f\" }"),
            "{\"a\":\"A\\u001f\",\"b\":[null,true]}"
        );
    }
}
