//! What people and machines read of a run: every report is drawn from the one event stream, and from nothing else.
//!
//! [`jsonl`] is the stream itself. [`terminal`] and [`junit`] tell it, from the same [`findings`] and with the same words
//! for each. [`verdict`] turns it into an exit status. [`progress`] is what is seen meanwhile.

pub mod annotations;
pub mod badge;
pub mod bounds;
pub mod compare;
pub mod diagram;
mod diff;
pub mod drawn;
mod finding_text;
pub mod findings;
pub mod html;
pub mod jsonl;
pub mod junit;
pub mod markdown;
mod moments;
pub mod progress;
mod run;
mod summary;
pub mod terminal;
#[cfg(test)]
pub(crate) mod test_runs;
pub mod text;
pub mod verdict;

pub use finding_text::{of_scenario, quoted};
pub use run::{IncompleteStream, Run};
pub use summary::{RuleState, rule_states, verdict_line};

use crate::scenario::Case;
use crate::spec::Spec;
use std::collections::BTreeMap;

/// What a report knows besides the events.
#[derive(Debug, Clone)]
pub struct Background<'a> {
    /// The rules' sentences.
    pub spec: &'a Spec,
    /// What is known of each scenario, by its id without `[name=value]`.
    pub cases: BTreeMap<String, CaseNote>,
}

/// What a report says of a scenario besides its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseNote {
    /// Its file.
    pub file: String,
    /// What a failure means for the people whose data it is.
    pub harm: Option<String>,
    /// Its text, of which the step that failed is shown.
    pub source: std::sync::Arc<str>,
}

impl CaseNote {
    /// A line of its text, counted from 1.
    fn line(&self, number: u32) -> Option<&str> {
        self.source.lines().nth(number.checked_sub(1)? as usize).map(str::trim)
    }
}

/// What is known of these scenarios, by their ids without `[name=value]`.
pub fn case_notes(cases: &[Case]) -> BTreeMap<String, CaseNote> {
    let note = |case: &Case| CaseNote {
        file: case.file.clone(),
        harm: case.scenario.harm.clone(),
        source: case.source.clone(),
    };
    cases.iter().map(|case| (case.file_id().to_owned(), note(case))).collect()
}

impl Background<'_> {
    /// What is known of a scenario, expanded or not.
    fn case(&self, scenario: &str) -> Option<&CaseNote> {
        self.cases.get(unexpanded(scenario))
    }
}

/// The id of a scenario without `[name=value]`.
pub(crate) fn unexpanded(scenario: &str) -> &str {
    scenario.split_once('[').map_or(scenario, |(id, _)| id)
}

/// The chapter of a scenario: the folder that it stands in.
fn chapter_of(scenario: &str) -> &str {
    scenario.split_once('/').map_or("", |(chapter, _)| chapter)
}
