//! Expected against got: side by side where both fit on a line, else the first difference and a diff around it.

use super::findings::first_difference;
use super::text::{Text, Tone};
use crate::tap::redact::cut;
use fieldsync_schemas::event::Failure;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// The most lines of a diff that are shown.
const MOST_LINES: usize = 40;
/// The equal lines that are shown round a changed one.
const CONTEXT: usize = 2;

const EXPECTED: &str = "    expected: ";
const GOT: &str = "    got:      ";

/// Writes what a failure expected and what it got.
pub(super) fn write(out: &mut Text, failure: &Failure, width: usize) {
    let room = width.saturating_sub(EXPECTED.len());
    let fits = |value: &Value| value.to_string().chars().count() <= room;
    if (fits(&failure.expected) && fits(&failure.got)) || !(is_tree(&failure.expected) && is_tree(&failure.got)) {
        return write_pair(out, Some(&failure.expected), Some(&failure.got), width);
    }
    let difference = first_difference(&failure.expected, &failure.got);
    out.wrapped(Tone::Plain, "    first at: ", &difference.path, width);
    write_pair(out, difference.expected, difference.got, width);
    write_diff(out, &failure.expected, &failure.got, width);
}

fn is_tree(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn write_pair(out: &mut Text, expected: Option<&Value>, got: Option<&Value>, width: usize) {
    let (expected, got) = (shown(expected), shown(got));
    // Of long texts the part round their first difference is shown.
    let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
    let room = width.saturating_sub(EXPECTED.len()).max(20) * 4;
    out.folded(Tone::Good, EXPECTED, &around(&expected, same, room), width);
    out.folded(Tone::Bad, GOT, &around(&got, same, room), width);
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// At most `most` characters of a text, with the one at `place` among them.
fn around(text: &str, place: usize, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let start = place.saturating_sub(most / 2).min(length);
    let tail: String = text.chars().skip(start).collect();
    let tail = cut(&tail, most);
    if start == 0 { tail } else { format!("…{tail}") }
}

fn write_diff(out: &mut Text, expected: &Value, got: &Value, width: usize) {
    let (expected, got) = (pretty(expected), pretty(got));
    let diff = TextDiff::from_lines(&expected, &got);
    let mut left = MOST_LINES;
    let mut more = 0;
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 && left > 0 {
            out.line(Tone::Faint, "      …");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if left == 0 {
                more += 1;
                continue;
            }
            left -= 1;
            let (sign, tone) = match change.tag() {
                ChangeTag::Delete => ("-", Tone::Good),
                ChangeTag::Insert => ("+", Tone::Bad),
                ChangeTag::Equal => (" ", Tone::Faint),
            };
            let words = change.value().trim_end_matches('\n');
            let room = width.saturating_sub("    + ".len());
            let words =
                if words.chars().count() > room { cut(words, room.saturating_sub(20)) } else { words.to_owned() };
            out.line(tone, format!("    {sign} {words}"));
        }
    }
    if more > 0 {
        out.line(Tone::Faint, format!("      … {more} more lines"));
    }
}

fn pretty(value: &Value) -> String {
    // A tree of JSON can always be printed.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(expected: Value, got: Value) -> String {
        let failure =
            Failure { rule: "a.b.c".parse().unwrap(), line: 1, what: "x".to_owned(), expected, got, exchange: None };
        let mut out = Text::default();
        write(&mut out, &failure, 60);
        out.plain()
    }

    #[test]
    fn short_values_stand_side_by_side() {
        insta::assert_snapshot!(told(json!(1), json!({"a": "b"})), @r#"
        expected: 1
        got:      {"a":"b"}
        "#);
    }

    #[test]
    fn long_texts_show_where_they_differ() {
        let text = |end: &str| json!(format!("{}{end}", "x".repeat(1000)));
        let told = told(text("one"), text("two"));
        assert!(told.contains("one") && told.contains("two") && told.contains('…'), "{told}");
        assert!(told.lines().count() < 12, "{told}");
    }

    #[test]
    fn trees_are_diffed() {
        let tree = |temp: f64| json!({"data": {"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "temp": temp, "z": [1, 2, 3]}, "version": 1});
        insta::assert_snapshot!(told(tree(38.1), tree(39.0)), @r#"
        first at: /data/temp
        expected: 38.1
        got:      39.0
            "data": {
              "a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        -     "temp": 38.1,
        +     "temp": 39.0,
              "z": [
                1,
        "#);
    }

    #[test]
    fn a_long_diff_is_cut() {
        let many = |from: i32| json!((from..from + 100).map(|n| format!("number {n}")).collect::<Vec<_>>());
        let told = told(many(0), many(1000));
        assert!(told.contains("more lines"), "{told}");
        assert!(told.lines().count() < 50, "{told}");
    }
}
