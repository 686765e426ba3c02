//! The index of the specification: its rules, and the tables that lead to them.
//!
//! The specification is an mdBook. Every normative sentence stands under an id (see [`chapter`]), and this module reads
//! them all, with file and line, so that scenarios, mutants, hazards and reports can be held against the text. Chapter
//! by chapter it is strict: a sentence that binds without an id is an error, as is an id without a sentence.

mod capability;
mod chapter;
mod document;
mod exchange;
mod files;
mod flaw;
mod links;
pub(crate) mod markdown;
pub mod message_schema;
mod note;
mod rule;
mod sentence;
mod table;
mod tutorial;

pub use capability::{CAPABILITIES, CLIENT_CAPABILITIES, CORE, is_of_clients};
pub use document::check_document;
pub use exchange::{ShownExchange, ShownMessage};
pub use files::SpecFiles;
pub use flaw::{Flaw, ReadSpecError, ReadSpecErrorKind};
pub use links::check_links;
pub(crate) use links::is_absolute;
pub use rule::{InvalidRuleRef, Rule, RuleRef, Strength};
pub use table::{Ambiguity, Hazard, Origin};
pub use tutorial::{Command, Tutorial, TutorialStep};

use fieldsync_schemas::catalog::{Form, Message};
use std::collections::BTreeMap;

const SUMMARY: &str = "SUMMARY.md";
const HAZARDS: &str = "hazards.md";
/// The files that lead from another system's document to the rules.
const ORIGINS: &str = "from-";
/// The files that lead somebody through a piece of work.
const TUTORIALS: &str = "tutorial-";
const AMBIGUITIES: &str = "ambiguities.md";

/// The specification, read.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Every rule, in the order of the text.
    pub rules: Vec<Rule>,
    /// The chapters, in the order of the table of contents.
    pub chapters: Vec<Chapter>,
    /// The known hazards.
    pub hazards: Vec<Hazard>,
    /// The sentences of ODE's document.
    pub origins: Vec<Origin>,
    /// The questions that were settled.
    pub ambiguities: Vec<Ambiguity>,
    /// The messages shown in the text.
    pub examples: Vec<Example>,
    /// The message exchanges shown in the text.
    pub exchanges: Vec<ExchangeExample>,
    /// The tutorials, as what is done in them.
    pub tutorials: Vec<Tutorial>,
    /// Where its pages are, as `fieldsync spec build` makes them; the repository where absent.
    pub pages: Option<String>,
}

/// One chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// The stem of its file, and the first word of its rules' ids.
    pub name: String,
    /// Its title in the table of contents.
    pub title: String,
    /// Whether it is marked as a draft: its rules bind, but need no scenario and no mutant yet.
    pub is_draft: bool,
}

/// A message shown in the text: a block `json message=push-request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The message that it should be.
    pub message: String,
    /// What stands in the block.
    pub text: String,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

/// Message exchanges shown in the text: a block `http scenario=push/lost-answer`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeExample {
    /// The scenario in which they happen.
    pub scenario: String,
    /// What stands in the block, in order.
    pub exchanges: Vec<ShownExchange>,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

impl Spec {
    /// Reads the copy inside this program.
    pub fn embedded() -> Result<Self, ReadSpecError> {
        Self::read(&SpecFiles::embedded())
    }

    /// Reads these files.
    pub fn read(files: &SpecFiles) -> Result<Self, ReadSpecError> {
        let mut flaws = Vec::new();
        let spec = read_all(files, &mut flaws);
        if flaws.is_empty() {
            return Ok(spec);
        }
        Err(ReadSpecError { place: files.place.clone(), kind: ReadSpecErrorKind::Flawed(flaws) })
    }

    /// The rule of this id, whatever the wording that is meant.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        let id = id.split_once('+').map_or(id, |(id, _)| id);
        self.rules.iter().find(|rule| rule.id.as_str() == id)
    }

    /// Where a rule can be read: in the pages, or in the repository. One that was read from elsewhere has no address.
    pub fn link(&self, rule: &Rule) -> Option<String> {
        if let Some(pages) = &self.pages {
            return Some(format!("{}/{}.html#r-{}", pages.trim_end_matches('/'), rule.chapter, rule.id));
        }
        let repository = env!("CARGO_PKG_REPOSITORY");
        rule.file
            .starts_with("spec/src/")
            .then(|| format!("{repository}/blob/main/{}?plain=1#L{}", rule.file, rule.line))
    }

    /// Whether a rule stands in a chapter that is marked as a draft.
    pub fn is_draft(&self, rule: &str) -> bool {
        self.rule(rule).and_then(|rule| self.chapter(&rule.chapter)).is_some_and(|chapter| chapter.is_draft)
    }

    /// The chapter of this name.
    pub fn chapter(&self, name: &str) -> Option<&Chapter> {
        self.chapters.iter().find(|chapter| chapter.name == name)
    }
}

fn read_all(files: &SpecFiles, flaws: &mut Vec<Flaw>) -> Spec {
    let mut spec = Spec { chapters: read_summary(files, flaws), ..Spec::default() };
    for chapter in &mut spec.chapters {
        let path = format!("{}.md", chapter.name);
        let (Some(text), file) = (files.texts.get(&path), files.shown(&path)) else { continue };
        match path.as_str() {
            HAZARDS => spec.hazards = table::hazards(&file, text, flaws),
            path if path.starts_with(ORIGINS) => spec.origins.extend(table::origins(&file, text, flaws)),
            path if path.starts_with(TUTORIALS) => {
                spec.tutorials.push(tutorial::read(&chapter.name, &file, text, flaws))
            }
            AMBIGUITIES => spec.ambiguities = table::ambiguities(&file, text, flaws),
            _ => {
                let read = chapter::read(&chapter.name, &file, text, flaws);
                chapter.is_draft = read.is_draft;
                spec.rules.extend(read.rules);
                spec.examples.extend(read.examples);
                spec.exchanges.extend(read.exchanges);
            }
        }
    }
    check_duplicates(&spec.rules, flaws);
    spec
}

/// The chapters in the order of the table of contents. A file that it leaves out is never read, so that is a flaw.
fn read_summary(files: &SpecFiles, flaws: &mut Vec<Flaw>) -> Vec<Chapter> {
    let file = files.shown(SUMMARY);
    let Some(summary) = files.texts.get(SUMMARY) else {
        flaws.push(Flaw::new(
            &file,
            1,
            "the table of contents is missing: list every chapter as `- [Title](chapter.md)`",
        ));
        return Vec::new();
    };
    let mut chapters: Vec<Chapter> = Vec::new();
    for link in markdown::links(summary) {
        let target = link.target.trim_start_matches("./");
        let Some(name) = target.strip_suffix(".md").filter(|_| files.texts.contains_key(target)) else {
            flaws.push(Flaw::new(
                &file,
                link.line,
                format!("{:?} leads to {target:?}, which is no chapter", link.title),
            ));
            continue;
        };
        chapters.push(Chapter { name: name.to_owned(), title: link.title, is_draft: false });
    }
    for path in files.texts.keys().filter(|path| *path != SUMMARY) {
        if !chapters.iter().any(|chapter| path.strip_suffix(".md") == Some(&chapter.name)) {
            flaws.push(Flaw::new(&files.shown(path), 1, format!("{SUMMARY} does not list this file")));
        }
    }
    chapters
}

fn check_duplicates(rules: &[Rule], flaws: &mut Vec<Flaw>) {
    let mut first: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in rules {
        if let Some(other) = first.insert(rule.id.as_str(), rule) {
            let problem = format!("the id {} stands already in {}:{}", rule.id, other.file, other.line);
            flaws.push(Flaw::new(&rule.file, rule.line, problem));
        }
    }
}

/// Holds every message shown in the text against the closed schema of what it says it is.
pub fn check_examples(spec: &Spec) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for example in &spec.examples {
        let mut flaw = |problem: String| flaws.push(Flaw::new(&example.file, example.line, problem));
        let Some(message) = Message::named(&example.message) else {
            flaw(format!("there is no message {:?}: `fieldsync schemas` lists them", example.message));
            continue;
        };
        match serde_json::from_str(&example.text) {
            Err(error) => flaw(format!("this example of {} is not JSON: {error}", message.name)),
            Ok(value) => {
                for mistake in message_schema::mistakes(message, Form::Closed, &value) {
                    flaw(format!("this example of {} is not valid: {mistake}", message.name));
                }
                if let Err(error) = message.round_trip(&example.text) {
                    flaw(format!("this example of {} cannot be read: {error}", message.name));
                }
            }
        }
    }
    flaws
}

#[cfg(test)]
mod tests;
