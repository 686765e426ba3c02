//! The failures that are known: read from a file, told apart from the new ones in a run, and kept up to date.

mod apply;
mod update;

pub use apply::{Suite, apply, forget, inspect};
pub use update::{UpdateError, Updated, Why, update};

use fieldsync_schemas::baseline::{Day, KnownEntry};
use toml_edit::{Document, Item};

/// A baseline, as it stands in its file.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The file, for people.
    pub file: String,
    /// Its text.
    text: String,
    /// Its entries, in their order.
    pub entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its line, from 1.
    pub line: u32,
    /// What it says.
    pub known: KnownEntry,
}

/// Why a baseline cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct ReadBaselineError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Baseline {
    /// Reads a baseline.
    pub fn read(file: &str, text: &str) -> Result<Self, ReadBaselineError> {
        let wrong = |line: u32, problem: String| ReadBaselineError { file: file.to_owned(), line, problem };
        let at = |span: Option<std::ops::Range<usize>>| line_at(text, span.map_or(0, |span| span.start));
        let typed: fieldsync_schemas::baseline::Baseline =
            toml_edit::de::from_str(text).map_err(|error| wrong(at(error.span()), error.message().to_owned()))?;
        let document = Document::parse(text).map_err(|error| wrong(at(error.span()), error.message().to_owned()))?;
        let lines: Vec<u32> = match document.get("known") {
            Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| at(table.span())).collect(),
            Some(item) => item.as_array().into_iter().flatten().map(|value| at(value.span())).collect(),
            None => Vec::new(),
        };
        let entries: Vec<Entry> =
            lines.into_iter().zip(typed.known).map(|(line, known)| Entry { line, known }).collect();
        for Entry { line, known } in &entries {
            if known.scenario.is_none() && known.rule.is_none() {
                let words = "the entry names neither a scenario nor a rule: everything would be known to fail";
                return Err(wrong(*line, words.to_owned()));
            }
            let members = [
                ("scenario", known.scenario.as_deref(), "names the scenario"),
                ("as", known.roles.as_deref(), "names the device that the client plays"),
                ("reason", Some(&*known.reason), "says why it fails"),
                ("issue", Some(&*known.issue), "says where that is followed up"),
            ];
            for (name, value, purpose) in members {
                if value.is_some_and(|value| value.trim().is_empty()) {
                    return Err(wrong(*line, format!("`{name}` is empty; it {purpose}")));
                }
            }
        }
        Ok(Self { file: file.to_owned(), text: text.to_owned(), entries })
    }
}

impl Entry {
    fn is_expired(&self, today: Day) -> bool {
        self.known.expires < today
    }
}

fn line_at(text: &str, offset: usize) -> u32 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests;
