//! The specification as pages: every rule with what shows and proves it, every scenario drawn as it happened, the messages
//! from their types, and what stored runs say of it all.
//!
//! Nothing in a page is written by hand that the program knows: a name of a rule or a scenario in the text becomes a link,
//! and one that leads nowhere is a [`Flaw`]. Pages ask nobody for anything, so they can be read from a folder. The same
//! sources make the same bytes.

mod frame;
mod links;
mod list;
mod message;
mod order;
mod page;
mod play;
mod rule;
mod runs;
mod scenario;

pub use play::{PlayError, play, play_one};

use crate::report::IncompleteStream;
use crate::report::compare::NamedRun;
use crate::report::html::WriteHtmlError;
use crate::scenario::Case;
use crate::spec::{Flaw, Spec, SpecFiles};
use crate::trace::{MutantInfo, Trace};
use fieldsync_schemas::catalog::MESSAGES;
use fieldsync_schemas::event::ScenarioEnded;
use links::World;
use std::collections::BTreeMap;

/// What the pages are made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The rules and tables.
    pub spec: &'a Spec,
    /// The text.
    pub files: &'a SpecFiles,
    /// Every scenario.
    pub cases: &'a [Case],
    /// What refers to what.
    pub trace: &'a Trace,
    /// The faulty implementations; none where they are left out.
    pub mutants: &'a [MutantInfo],
    /// Stored runs.
    pub runs: &'a [NamedRun<'a>],
    /// What happened in each scenario, by its id without `[name=value]`.
    pub played: &'a BTreeMap<String, ScenarioEnded>,
}

/// Why there are no pages.
#[derive(Debug, thiserror::Error)]
pub enum BuildSiteError {
    /// The text names what does not exist.
    #[error("{}", told(.0))]
    Flawed(Vec<Flaw>),
    /// A run is not whole.
    #[error("the run {name}: {source}")]
    Run {
        /// Its name.
        name: String,
        /// What is wrong.
        source: IncompleteStream,
    },
    /// The page of a run could not be written.
    #[error(transparent)]
    Report(#[from] WriteHtmlError),
    /// A template could not be filled.
    #[error("cannot write a page: {0}")]
    Page(#[from] askama::Error),
    /// A link that the pages themselves make leads nowhere: a fault of this program.
    #[error("{page} leads to {target}, which is not there")]
    DeadLink {
        /// The page.
        page: String,
        /// Where it leads.
        target: String,
    },
}

fn told(flaws: &[Flaw]) -> String {
    flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("\n")
}

/// Makes the pages: each by its path.
pub fn build(sources: &Sources<'_>) -> Result<BTreeMap<String, String>, BuildSiteError> {
    let world = World::of(sources)?;
    let mut flaws = Vec::new();
    let mut pages = BTreeMap::new();
    pages.insert("site.css".to_owned(), frame::style());
    pages.insert("site.js".to_owned(), frame::SCRIPT.to_owned());
    for (index, chapter) in sources.spec.chapters.iter().enumerate() {
        pages.insert(links::chapter_page(&chapter.name), page::render(&world, index, &mut flaws)?);
    }
    for id in world.cases.keys() {
        pages.insert(links::scenario_page(id), scenario::render(&world, id)?);
    }
    for message in MESSAGES {
        pages.insert(links::message_page(message.name), message::render(&world, message)?);
    }
    pages.extend(list::render_all(&world)?);
    if !sources.runs.is_empty() {
        pages.extend(runs::render_all(&world)?);
    }
    if !flaws.is_empty() {
        return Err(BuildSiteError::Flawed(flaws));
    }
    links::check_pages(&pages)?;
    Ok(pages)
}

#[cfg(test)]
mod tests;
