//! What a fixture says: YAML on disk or in the program to typed scenarios, each with its id and the lines of its steps.
//!
//! A file is read in four goes: YAML to a tree with lines (`yaml`), the tree to one tree a combination (`each`), each of
//! them to types (`typed`), and a look at what types cannot say (`lint`). Every mistake is found here, before anything
//! runs, and is told with file, line and place.

mod each;
mod error;
mod lint;
mod lint_step;
mod load;
pub mod pattern;
mod scalar;
pub mod storm;
mod typed;
mod yaml;

pub use error::{LoadError, LoadErrorKind};
pub use load::{Loaded, embedded, from_dir, id_of, merge};

use fieldsync_schemas::control::Verb;
use fieldsync_schemas::scenario::{Action, Scenario, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The line of the deepest part of a JSON text that this pointer leads to, from 1; nothing where the text is no JSON.
pub(crate) fn line_of(text: &str, pointer: &str) -> Option<u32> {
    yaml::line_of(text, pointer)
}

/// One scenario that can run: a fixture, or one combination of its `each`.
#[derive(Debug, Clone)]
pub struct Case {
    /// `chapter/what-it-shows`, with `[name=value]` where it was expanded.
    pub id: String,
    /// The chapter of the spec, by its folder.
    pub chapter: String,
    /// The file, for people.
    pub file: String,
    /// The text of the file.
    pub source: Arc<str>,
    /// What it says.
    pub scenario: Scenario,
}

impl Case {
    /// The id without what the expansion added: the same for all scenarios of one file.
    pub fn file_id(&self) -> &str {
        self.id.split_once('[').map_or(self.id.as_str(), |(id, _)| id)
    }

    /// Whether a device of the scenario ends and goes on. Then all of them must be able to: they may share a process.
    pub fn restarts_a_device(&self) -> bool {
        let mut restarts = false;
        each_step(&self.scenario.steps, &mut |step| {
            restarts |= match &step.action {
                Action::Device(_, what) => what.restart.is_some() || what.clone_of.is_some(),
                Action::Network(what) => what.kill.is_some(),
                _ => false,
            };
        });
        restarts
    }

    /// The control verbs that the scenario needs: those it names, and those its steps imply.
    pub fn needed_verbs(&self) -> BTreeSet<Verb> {
        let mut verbs: BTreeSet<Verb> = self.scenario.needs.control.iter().cloned().collect();
        each_step(&self.scenario.steps, &mut |step| {
            let Action::Server(server) = &step.action else { return };
            let implied = [
                (server.kill.is_some(), Verb::Kill),
                (server.clock.is_some(), Verb::Clock),
                (server.horizon.is_some(), Verb::Horizon),
                (server.hold_commit.is_some(), Verb::HoldCommit),
                (server.release_commit.is_some(), Verb::ReleaseCommit),
                (server.scope.is_some(), Verb::Scope),
                (server.reference.is_some(), Verb::Reference),
                (server.refetch.is_some(), Verb::Refetch),
                (server.backup.is_some(), Verb::Backup),
                (server.restore.is_some(), Verb::Restore),
                (server.wipe.is_some(), Verb::Wipe),
            ];
            verbs.extend(implied.into_iter().filter(|(needed, _)| *needed).map(|(_, verb)| verb));
        });
        verbs
    }

    /// The accounts that the scenario needs: those of its devices, of who logs in there, and of its raw requests.
    pub fn accounts(&self) -> BTreeSet<String> {
        let mut accounts: BTreeSet<String> =
            self.scenario.devices.settings().into_iter().map(|(_, device)| device.account).collect();
        each_step(&self.scenario.steps, &mut |step| match &step.action {
            Action::Request(request) => match request.account.as_deref() {
                Some("nobody") => {}
                account => _ = accounts.insert(account.unwrap_or("worker").to_owned()),
            },
            Action::Device(_, what) => accounts.extend(what.log_in.clone()),
            Action::Server(server) => {
                accounts.extend(server.scope.iter().flat_map(BTreeMap::keys).cloned());
                accounts.extend(server.refetch.iter().flat_map(BTreeMap::keys).cloned());
            }
            _ => {}
        });
        accounts
    }
}

impl Case {
    /// The accounts whose scope the scenario changes.
    pub fn scoped_accounts(&self) -> BTreeSet<String> {
        let mut scoped = BTreeSet::new();
        each_step(&self.scenario.steps, &mut |step| {
            if let Action::Server(server) = &step.action {
                scoped.extend(server.scope.iter().flat_map(BTreeMap::keys).cloned());
            }
        });
        scoped
    }
}

/// Looks at every step, those within others among them.
pub fn each_step(steps: &[Step], look: &mut impl FnMut(&Step)) {
    for step in steps {
        look(step);
        if let Action::Together(inner) = &step.action {
            each_step(inner, look);
        }
    }
}

/// Reads one fixture: one scenario, or one for each combination of its `each`. The file's name gives the id, by its
/// last folder and its stem.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, LoadError> {
    let misplaced = || LoadError::of_file(file, LoadErrorKind::Misplaced);
    let path = Path::new(file);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).ok_or_else(misplaced)?;
    let chapter = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).ok_or_else(misplaced)?;
    if chapter == "scenarios" || stem.contains('[') {
        return Err(misplaced());
    }
    let source: Arc<str> = text.into();
    let mut cases = Vec::new();
    for expanded in each::expand(yaml::read(file, text)?)? {
        let scenario = typed::scenario(&expanded.document)?;
        lint::check(&expanded.document, &scenario)?;
        cases.push(Case {
            id: format!("{chapter}/{stem}{}", expanded.suffix),
            chapter: chapter.to_owned(),
            file: file.to_owned(),
            source: source.clone(),
            scenario,
        });
    }
    Ok(cases)
}

#[cfg(test)]
mod tests;
