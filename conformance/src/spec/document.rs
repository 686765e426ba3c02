//! A document that somebody else wrote about the protocol: its examples, held against the schemas, and the rules that it
//! names, held against the specification.
//!
//! A block `json` is JSON; with `message=push-request` it is that message, whole. A block `http` shows requests and
//! answers as the specification does, each as much of its message as matters there. A rule is named in a code span.

use super::Spec;
use super::exchange::{self, Begin, ShownMessage};
use super::flaw::Flaw;
use super::markdown::{BlockKind, blocks};
use super::message_schema::{Mistake, mistakes_in_part, whole_mistakes};
use super::rule::RuleRef;
use crate::scenario::line_of;
use fieldsync_schemas::catalog::Message;
use fieldsync_schemas::openapi;
use serde_json::Value;
use std::ops::Range;

/// What is wrong in a document, with the lines.
pub fn check_document(spec: &Spec, file: &str, text: &str) -> Vec<Flaw> {
    let mut checker = Checker { spec, file, flaws: Vec::new() };
    for block in blocks(text) {
        match &block.kind {
            BlockKind::Code { info } => {
                let mut words = info.split_whitespace();
                match words.next() {
                    Some("json") => {
                        let message = words.find_map(|word| word.strip_prefix("message="));
                        checker.json(message, &block.text, block.line + 1);
                    }
                    Some("http") => checker.http(&block.text, block.line + 1),
                    _ => {}
                }
            }
            _ => checker.names(&block.text, block.line),
        }
    }
    checker.flaws
}

struct Checker<'a> {
    spec: &'a Spec,
    file: &'a str,
    flaws: Vec<Flaw>,
}

impl Checker<'_> {
    fn flaw(&mut self, line: u32, problem: impl Into<String>) {
        self.flaws.push(Flaw::new(self.file, line, problem));
    }

    fn json(&mut self, message: Option<&str>, text: &str, line: u32) {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                let line = line + u32::try_from(error.line()).unwrap_or(1).saturating_sub(1);
                return self.flaw(line, format!("this is not JSON: {error}"));
            }
        };
        let Some(name) = message else { return };
        match Message::named(name) {
            Some(message) => {
                let mistakes = whole_mistakes(message, &value);
                self.mistakes(message, mistakes, text, line);
            }
            None => self.flaw(line - 1, format!("there is no message {name:?}: `fieldsync schemas` lists them")),
        }
    }

    fn mistakes(&mut self, message: &Message, mistakes: Vec<Mistake>, text: &str, first: u32) {
        for mistake in mistakes {
            let within = line_of(text, &mistake.place).unwrap_or(1);
            self.flaw(first + within - 1, format!("no valid {}: {mistake}", message.name));
        }
    }

    fn http(&mut self, text: &str, line: u32) {
        let messages = match exchange::messages(text, line) {
            Ok(messages) => messages,
            Err((line, problem)) => return self.flaw(line, problem),
        };
        let mut asked = None;
        for (index, (begin, shown)) in messages.iter().enumerate() {
            match begin {
                Begin::Request { method, target } => {
                    let path = target.strip_prefix("{base}").unwrap_or(target);
                    asked = openapi::messages_of(method, path);
                    // What is asked in vain is shown, too.
                    let is_not_found = matches!(messages.get(index + 1), Some((Begin::Answer { status: 404 }, _)));
                    match asked {
                        Some((body, _)) => self.body(body, shown, "the request"),
                        None if is_not_found => {}
                        None => self.flaw(
                            shown.line,
                            format!("{method} {target} is no request of the protocol: write `POST {{base}}/push`"),
                        ),
                    }
                }
                Begin::Answer { status } if *status >= 400 => self.body(Some("problem"), shown, "the answer"),
                Begin::Answer { .. } => {
                    if let Some((_, answer)) = asked.take() {
                        self.body(answer, shown, "the answer");
                    }
                }
            }
        }
    }

    fn body(&mut self, message: Option<&str>, shown: &ShownMessage, whose: &str) {
        let Some(body) = &shown.body else { return };
        match message.and_then(Message::named) {
            Some(message) => self.mistakes(message, mistakes_in_part(message, body), &shown.body_text, shown.body_line),
            None => self.flaw(shown.body_line, format!("{whose} has no body in the protocol")),
        }
    }

    /// Rules that are named in code spans.
    fn names(&mut self, text: &str, line: u32) {
        for span in code_spans(text) {
            let name = &text[span.clone()];
            let chapter = name.split('.').next().unwrap_or_default();
            if self.spec.chapter(chapter).is_none() || name.split('.').count() != 3 {
                continue;
            }
            let line = line + text[..span.start].matches('\n').count() as u32;
            let Ok(named) = name.parse::<RuleRef>() else { continue };
            match self.spec.rule(name) {
                None => self.flaw(line, format!("there is no rule {name}: `fieldsync list rules` lists them")),
                Some(rule) if rule.revision != named.revision => {
                    let now = rule.reference();
                    self.flaw(line, format!("{name} reads {now} now: look whether what you say of it still fits"));
                }
                Some(_) => {}
            }
        }
    }
}

/// The insides of the code spans of a block.
fn code_spans(text: &str) -> Vec<Range<usize>> {
    let ticks: Vec<usize> = text.match_indices('`').map(|(at, _)| at).collect();
    ticks.chunks_exact(2).map(|pair| pair[0] + 1..pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(text: &str) -> Vec<String> {
        let spec = Spec::embedded().unwrap();
        check_document(&spec, "page.md", text).iter().map(Flaw::to_string).collect()
    }

    #[test]
    fn a_sound_document_has_no_flaw() {
        let text = "See `push.retry.same-outcome` and `serde.json.value`.\n\n```json\n[1]\n```\n\n```http\nPOST {base}/push\n\n{\n  \"replica\": \"${tablet}\",\n  \"mutations\": [{\"op\": \"create\"}]\n}\n\nHTTP/1.1 409 Conflict\n\n{\"code\": \"replica-fenced\"}\n```\n\n```http\nHTTP/1.1 200 OK\n```\n";
        assert_eq!(flaws(text), [""; 0]);
    }

    #[test]
    fn each_mistake_has_its_line() {
        let only = |text: &str| {
            let all = flaws(text);
            assert_eq!(all.len(), 1, "{all:#?}");
            all.into_iter().next().unwrap()
        };
        assert!(only("One\nline, `push.retry.sane-outcome`.\n").starts_with("page.md:2: there is no rule"));
        assert!(only("`push.retry.same-outcome+7`\n").contains("reads push.retry.same-outcome now"));
        assert!(only("```json\n{\n  \"a\": 1,\n}\n```\n").starts_with("page.md:4: this is not JSON"));
        assert!(only("```json message=pul\n{}\n```\n").starts_with("page.md:1: there is no message"));
        let typo =
            "```json message=pull-request\n{\n  \"replica\": \"r\",\n  \"feeds\": {},\n  \"limit\":\n 0\n}\n```\n";
        assert!(only(typo).starts_with("page.md:5: no valid pull-request: /limit"), "{}", only(typo));
        assert!(only("```http\nPOST {base}/psh\n\n{}\n```\n").starts_with("page.md:2: POST {base}/psh is no request"));
        let wrong = "```http\nPOST {base}/push\n\n{\n  \"seq\": 0\n}\n```\n";
        assert!(only(wrong).starts_with("page.md:5: no valid push-request: /seq"), "{}", only(wrong));
        assert!(only("```http\nGET {base}/session\n\n{}\n```\n").contains("has no body in the protocol"));
    }
}
