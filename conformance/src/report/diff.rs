//! Expected against got: side by side where both fit on a line, else the first difference and a diff around it.

use super::findings::first_difference;
use super::text::{Text, Tone, visible};
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

/// What a failure expected and what it got, for whatever shows it.
pub(super) struct Told {
    /// The first place where they differ; empty where they are shown whole.
    pub first_at: String,
    /// What was expected there.
    pub expected: String,
    /// What was got there.
    pub got: String,
    /// The lines round what differs; none where both are shown whole.
    pub lines: Vec<Line>,
}

/// A line of a diff.
pub(super) struct Line {
    /// `-` for what was expected, `+` for what was got, a space for both, `…` for what is left out.
    pub sign: char,
    /// What it says, visible.
    pub words: String,
}

/// Tells what a failure expected and what it got, with room for so many characters on a line.
pub(super) fn tell(failure: &Failure, room: usize) -> Told {
    let fits = |value: &Value| value.to_string().chars().count() <= room;
    if (fits(&failure.expected) && fits(&failure.got)) || !(is_tree(&failure.expected) && is_tree(&failure.got)) {
        let (expected, got) = pair(Some(&failure.expected), Some(&failure.got), room);
        return Told { first_at: String::new(), expected, got, lines: Vec::new() };
    }
    let difference = first_difference(&failure.expected, &failure.got);
    let (expected, got) = pair(difference.expected, difference.got, room);
    Told { first_at: difference.path, expected, got, lines: lines(&failure.expected, &failure.got, room + 8) }
}

/// Writes what a failure expected and what it got.
pub(super) fn write(out: &mut Text, failure: &Failure, width: usize) {
    let told = tell(failure, width.saturating_sub(EXPECTED.len()));
    if !told.lines.is_empty() {
        out.wrapped(Tone::Plain, "    first at: ", &told.first_at, width);
    }
    out.folded(Tone::Good, EXPECTED, &told.expected, width);
    out.folded(Tone::Bad, GOT, &told.got, width);
    for line in told.lines {
        let tone = match line.sign {
            '-' => Tone::Good,
            '+' => Tone::Bad,
            _ => Tone::Faint,
        };
        out.line(tone, format!("    {} {}", line.sign, line.words));
    }
}

/// What a failure expected and what it got, as a unified diff.
pub(super) fn unified(failure: &Failure, width: usize) -> String {
    let told = tell(failure, width);
    if told.lines.is_empty() {
        return format!("- expected {}\n+ got      {}\n", visible(&told.expected), visible(&told.got));
    }
    let place = if told.first_at.is_empty() { String::new() } else { format!("@@ {} @@\n", visible(&told.first_at)) };
    let lines = told.lines.iter().map(|line| format!("{} {}\n", line.sign, line.words));
    place + &lines.collect::<String>()
}

fn is_tree(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn pair(expected: Option<&Value>, got: Option<&Value>, room: usize) -> (String, String) {
    let (expected, got) = (shown(expected), shown(got));
    // Of long texts the part round their first difference is shown.
    let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
    let room = room.max(20) * 4;
    (around(&expected, same, room), around(&got, same, room))
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

fn lines(expected: &Value, got: &Value, room: usize) -> Vec<Line> {
    let (expected, got) = (pretty(expected), pretty(got));
    let diff = TextDiff::from_lines(&expected, &got);
    let mut lines = Vec::new();
    let mut more = 0;
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 && lines.len() < MOST_LINES {
            lines.push(Line { sign: '…', words: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if lines.len() >= MOST_LINES {
                more += 1;
                continue;
            }
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let words = visible(change.value().trim_end_matches('\n'));
            let words = if words.chars().count() > room { cut(&words, room.saturating_sub(20)) } else { words };
            lines.push(Line { sign, words });
        }
    }
    if more > 0 {
        lines.push(Line { sign: '…', words: format!("{more} more lines") });
    }
    lines
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
