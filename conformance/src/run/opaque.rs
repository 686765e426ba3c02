//! Values that a server makes up, told by numbers: the first revision of a scenario is `${rev1}` in every run, so that two
//! runs with one seed are told alike.

use crate::replay::names::{unfill, unfill_text};
use fieldsync_schemas::event::{Exchange, Failure};
use serde_json::Value;
use std::collections::BTreeMap;

/// The members whose values are made up, and what they are called.
const MEMBERS: &[(&str, &str)] = &[
    ("rev", "rev"),
    ("base", "rev"),
    ("epoch", "epoch"),
    ("token", "token"),
    ("access_token", "token"),
    ("refresh_token", "token"),
    ("previous", "token"),
    ("session", "session"),
    ("cursor", "cursor"),
    ("from", "cursor"),
    ("request_id", "request"),
    ("mutation_id", "mutation"),
];
/// A shorter value is a word, or would stand in others.
const SHORTEST: usize = 8;

/// Numbers the made-up values of a scenario by their first appearance.
pub(super) fn number(exchanges: &mut [Exchange], failures: &mut [Failure]) {
    let mut seen = Seen::default();
    let mut order: Vec<usize> = (0..exchanges.len()).collect();
    order.sort_by_key(|index| exchanges[*index].began);
    for index in order {
        let one = &exchanges[index];
        seen.text(&one.request);
        seen.tree("", &one.sent);
        seen.tree("", &one.answered);
    }
    if seen.names.is_empty() {
        return;
    }
    // One value may begin another.
    let mut known: Vec<(String, String)> = seen.names.into_iter().collect();
    known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    for one in exchanges {
        one.request = unfill_text(&one.request, &known);
        one.sent = unfill(&one.sent, &known);
        one.answered = unfill(&one.answered, &known);
    }
    for failure in failures {
        failure.what = unfill_text(&failure.what, &known);
        failure.expected = unfill(&failure.expected, &known);
        failure.got = unfill(&failure.got, &known);
    }
}

/// The values so far, each with its name.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn tree(&mut self, member: &str, tree: &Value) {
        match tree {
            Value::String(text) => {
                if let Some((_, kind)) = MEMBERS.iter().find(|(name, _)| *name == member) {
                    self.value(kind, text);
                }
                if member == "id" && is_of_entry(text) {
                    self.value("conflict", text);
                }
                self.text(text);
            }
            // The list of feeds in an answer is none of cursors.
            Value::Array(items) => items.iter().for_each(|item| self.tree("", item)),
            Value::Object(members) => {
                // A pull names its types, and the cursor of each.
                for (name, value) in members {
                    let is_cursor = member == "feeds" && value.is_string();
                    self.tree(if is_cursor { "cursor" } else { name }, value);
                }
            }
            _ => {}
        }
    }

    /// What is made up in the middle of a text: a digest, and where a file goes.
    fn text(&mut self, text: &str) {
        for (mark, kind) in [("sha256:", "sha"), ("/uploads/", "upload")] {
            for (at, _) in text.match_indices(mark) {
                let rest = &text[at + mark.len()..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).unwrap_or(rest.len());
                self.value(kind, &rest[..end]);
            }
        }
    }

    fn value(&mut self, kind: &'static str, value: &str) {
        if value.len() < SHORTEST || value.contains("${") || self.names.contains_key(value) {
            return;
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.names.insert(value.to_owned(), format!("${{{kind}{count}}}"));
    }
}

/// Whether this is the id of a conflict entry, which is made of ids that are made up.
fn is_of_entry(id: &str) -> bool {
    id.strip_prefix("c-").is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldsync_schemas::event::Course;
    use serde_json::json;

    fn exchange(began: u64, request: &str, sent: Value, answered: Value) -> Exchange {
        Exchange {
            by: "tablet".to_owned(),
            request: request.to_owned(),
            sent,
            status: Some(200),
            answered,
            fault: None,
            course: Course::Whole,
            began,
            ended: Some(began + 1),
        }
    }

    #[test]
    fn what_is_made_up_is_numbered_by_its_first_appearance() {
        let rev =
            |rev: &str| json!({"feeds": [{"rev": rev, "feed": "case-of-a-disease"}], "epoch": "epoch-of-the-run"});
        let mut exchanges = vec![
            exchange(2, "POST /push", json!({"base": "revision-one"}), rev("revision-two")),
            exchange(
                0,
                "PUT /uploads/aGVsbG8td29ybGQ",
                json!({"feeds": {"case": "cursor-of-case"}}),
                rev("revision-one"),
            ),
        ];
        let mut failures = vec![Failure {
            rule: "push.retry.same-outcome".parse().unwrap(),
            line: 1,
            what: "the rev of fever".to_owned(),
            expected: json!("revision-one"),
            got: json!(["revision-two", "sha256:unknown"]),
            exchange: None,
        }];
        number(&mut exchanges, &mut failures);
        assert_eq!(exchanges[1].request, "PUT /uploads/${upload1}");
        assert_eq!(exchanges[1].sent, json!({"feeds": {"case": "${cursor1}"}}));
        assert_eq!(exchanges[0].sent, json!({"base": "${rev1}"}));
        assert_eq!(
            exchanges[0].answered,
            json!({"feeds": [{"rev": "${rev2}", "feed": "case-of-a-disease"}], "epoch": "${epoch1}"})
        );
        assert_eq!(
            (&failures[0].expected, &failures[0].got),
            (&json!("${rev1}"), &json!(["${rev2}", "sha256:unknown"]))
        );
    }

    #[test]
    fn words_and_names_stay() {
        let mut exchanges =
            vec![exchange(0, "POST /pull", json!({"from": "start", "rev": "${r2}"}), json!({"token": 7}))];
        let before = exchanges.clone();
        number(&mut exchanges, &mut []);
        assert_eq!(exchanges, before);
    }
}
