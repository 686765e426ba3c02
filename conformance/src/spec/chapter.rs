//! One chapter: its rules and its executed examples.
//!
//! A rule stands as in the Rust Reference: a line `r[push.retry.same-outcome]`, then its sentence as a paragraph. Words
//! such as MUST stand nowhere else, so that no requirement escapes the index.
//!
//! A chapter whose first paragraph after the heading is `> **Draft.** …` is a draft: its rules bind, but what they lack
//! in scenarios and mutants is counted apart.

use super::flaw::Flaw;
use super::markdown::{Block, BlockKind, blocks};
use super::rule::{Rule, RuleRef};
use super::{Example, ExchangeExample, exchange, note, sentence};

/// What a chapter holds.
#[derive(Debug, Default)]
pub(super) struct Chapter {
    pub rules: Vec<Rule>,
    pub examples: Vec<Example>,
    pub exchanges: Vec<ExchangeExample>,
    pub is_draft: bool,
}

/// How the paragraph begins that marks a chapter as a draft.
const DRAFT: &str = "> **Draft.** ";

/// Reads a chapter. `name` is the stem of its file, `file` its path in messages.
pub(super) fn read(name: &str, file: &str, text: &str, flaws: &mut Vec<Flaw>) -> Chapter {
    let mut chapter = Chapter::default();
    let blocks = blocks(text);
    for (index, block) in blocks.iter().enumerate() {
        let source = text.lines().nth(block.line as usize - 1).unwrap_or_default();
        if block.kind != BlockKind::Paragraph || !source.starts_with(DRAFT) {
            continue;
        }
        if index == 1 && blocks[0].kind == BlockKind::Heading {
            chapter.is_draft = true;
        } else {
            flaws.push(Flaw::new(file, block.line, "the mark of a draft is the first paragraph after the heading"));
        }
    }
    let mut next = 0;
    while let Some(block) = blocks.get(next) {
        next += 1;
        match &block.kind {
            BlockKind::Code { info } => {
                if let Err((line, problem)) = read_code(info, block, file, &mut chapter) {
                    flaws.push(Flaw::new(file, line, problem));
                }
            }
            BlockKind::Paragraph if block.text.starts_with("r[") => {
                let (head, rest) = block.text.split_once('\n').unwrap_or((&block.text, ""));
                let mut words = rest.to_owned();
                if words.is_empty()
                    && let Some(following) = blocks.get(next)
                    && following.kind == BlockKind::Paragraph
                    && !following.text.starts_with("r[")
                {
                    words = following.text.clone();
                    next += 1;
                }
                match read_rule(name, file, block.line, head, &words) {
                    Ok(rule) => chapter.rules.push(rule),
                    Err(problem) => flaws.push(Flaw::new(file, block.line, problem)),
                }
            }
            _ => check_prose(file, block, flaws),
        }
    }
    chapter
}

fn read_rule(chapter: &str, file: &str, line: u32, head: &str, words: &str) -> Result<Rule, String> {
    let (reference, after) = head
        .strip_prefix("r[")
        .and_then(|head| head.split_once(']'))
        .ok_or_else(|| format!("a rule's id stands in brackets: `r[{chapter}.topic.fact]`"))?;
    let reference: RuleRef = reference.parse().map_err(|error| format!("r[{reference}]: {error}"))?;
    let named = reference.id.as_str().split('.').next().unwrap_or_default();
    if named != chapter {
        return Err(format!("{reference} begins with {named:?}, but its chapter is {chapter:?}"));
    }
    let note = note::read(after).map_err(|problem| format!("{reference}: {problem}"))?;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return Err(format!("{reference} has no sentence: write it as the next paragraph"));
    }
    let (actor, strength) = sentence::binding(&words).map_err(|problem| format!("{reference}: {problem}"))?;
    Ok(Rule {
        id: reference.id,
        revision: reference.revision,
        chapter: chapter.to_owned(),
        actor,
        strength,
        sentence: words,
        capability: note.capability,
        profiles: note.profiles,
        since: note.since,
        untested: note.untested,
        file: file.to_owned(),
        line,
    })
}

/// The paragraph that says what the normative words mean may use them.
fn defines_the_words(text: &str) -> bool {
    text.contains("BCP 14") || text.contains("RFC 2119")
}

pub(super) fn check_prose(file: &str, block: &Block, flaws: &mut Vec<Flaw>) {
    if sentence::is_normative(&block.text) && !defines_the_words(&block.text) {
        flaws.push(Flaw::new(
            file,
            block.line,
            "normative words outside a rule: give the sentence an id, or write the word in lower case",
        ));
    }
}

fn read_code(info: &str, block: &Block, file: &str, chapter: &mut Chapter) -> Result<(), (u32, String)> {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default();
    for word in words {
        let Some((key, value)) = word.split_once('=') else { continue };
        let place = (file.to_owned(), block.line);
        match (language, key) {
            ("json", "message") => chapter.examples.push(Example {
                message: value.to_owned(),
                text: block.text.clone(),
                file: place.0,
                line: place.1,
            }),
            ("http", "scenario") => chapter.exchanges.push(ExchangeExample {
                scenario: value.to_owned(),
                exchanges: exchange::read(&block.text, block.line + 1)?,
                file: place.0,
                line: place.1,
            }),
            _ => {
                let problem = format!(
                    "a block {info:?} is not executed: use `json message=<name>` or `http scenario=<chapter/name>`"
                );
                return Err((block.line, problem));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Strength;
    use fieldsync_schemas::event::Actor;

    fn problems(text: &str) -> Vec<String> {
        let mut flaws = Vec::new();
        read("push", "push.md", text, &mut flaws);
        flaws.iter().map(Flaw::to_string).collect()
    }

    fn only_problem(text: &str) -> String {
        let all = problems(text);
        assert_eq!(all.len(), 1, "{all:#?}");
        all.into_iter().next().unwrap()
    }

    #[test]
    fn a_rule_stands_above_its_sentence() {
        let text = "# Push\n\nr[push.retry.same-outcome+2] (groups; untested: rare)\n\nA server MUST answer\na `batch` again.\n";
        let mut flaws = Vec::new();
        let chapter = read("push", "push.md", text, &mut flaws);
        assert_eq!(flaws, []);
        let [rule] = &chapter.rules[..] else { panic!("{:?}", chapter.rules) };
        assert_eq!(rule.reference().to_string(), "push.retry.same-outcome+2");
        assert_eq!((rule.actor, rule.strength, rule.line), (Actor::Server, Strength::Must, 3));
        assert_eq!(rule.sentence, "A server MUST answer a `batch` again.");
        assert_eq!(rule.untested.as_deref(), Some("rare"));
    }

    #[test]
    fn the_sentence_may_follow_on_the_next_line() {
        let text = "r[push.a.b]\nA device MAY wait.\n\nr[push.a.c]\nA device SHOULD wait.\n";
        let chapter = read("push", "push.md", text, &mut Vec::new());
        assert_eq!(
            chapter.rules.iter().map(|rule| rule.strength).collect::<Vec<_>>(),
            [Strength::May, Strength::Should]
        );
    }

    #[test]
    fn each_mistake_has_its_line() {
        assert!(only_problem("r[pull.a.b]\n\nA server MUST x.\n").starts_with("push.md:1: pull.a.b begins with"));
        assert!(only_problem("\nr[push.a.b]\n\n# Next\n").starts_with("push.md:2: push.a.b has no sentence"));
        assert!(only_problem("r[push.a.b]\n\nr[push.a.c]\n\nA server MUST x.\n").contains("push.a.b has no sentence"));
        assert!(only_problem("r[push.a]\n\nA server MUST x.\n").contains("r[push.a]: a rule id must match"));
        assert!(only_problem("r[push.a.b] (what)\n\nA server MUST x.\n").contains("no part of a note"));
        assert!(only_problem("It MUST be so.\n").starts_with("push.md:1: normative words outside a rule"));
        assert!(only_problem("- It MUST be so.\n").contains("normative words outside a rule"));
        assert!(only_problem("| a |\n|---|\n| SHOULD NOT |\n").starts_with("push.md:3: normative words"));
    }

    #[test]
    fn what_explains_is_free() {
        assert_eq!(problems("It must be so; `MUST`.\n\n```text\nMUST\n```\n"), [""; 0]);
        assert_eq!(problems("MUST and MAY are read as in BCP 14.\n"), [""; 0]);
    }

    #[test]
    fn a_draft_says_so_first() {
        let is_draft = |text: &str| {
            let mut flaws = Vec::new();
            let chapter = read("push", "push.md", text, &mut flaws);
            (chapter.is_draft, flaws.len())
        };
        assert_eq!(is_draft("# Push\n\n> **Draft.** Not all is shown.\n\nMore.\n"), (true, 0));
        assert_eq!(is_draft("# Push\n\nMore.\n"), (false, 0));
        assert_eq!(is_draft("# Push\n\nDraft. Not a mark.\n"), (false, 0));
        assert_eq!(is_draft("# Push\n\nMore.\n\n> **Draft.** Too late.\n"), (false, 1));
    }

    #[test]
    fn executed_blocks_are_found() {
        let text = "```json message=push-request\n{}\n```\n\n```http scenario=push/lost-answer\nPOST {base}/push\n\nHTTP/1.1 200 OK\n```\n\n```json\n1\n```\n";
        let chapter = read("push", "push.md", text, &mut Vec::new());
        assert_eq!((chapter.examples[0].message.as_str(), chapter.examples[0].line), ("push-request", 1));
        assert_eq!((chapter.exchanges[0].scenario.as_str(), chapter.exchanges[0].line), ("push/lost-answer", 5));
        assert!(only_problem("```json mesage=push-request\n{}\n```\n").contains("not executed"));
    }
}
