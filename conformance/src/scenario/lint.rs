//! What a scenario's form cannot say: one action a step, names that are known before they are used, rules that are
//! looked at. Everything here is a mistake of the writer, found before anything runs.

use super::error::LoadError;
use super::lint_step;
use super::typed::ACTORS;
use super::yaml::{Document, Path};
use fieldsync_schemas::id::{RuleId, TypeName};
use fieldsync_schemas::scenario::{Action, Scenario, Step};
use std::collections::BTreeSet;

/// Looks at the whole scenario; the first mistake is the answer.
pub(super) fn check(document: &Document, scenario: &Scenario) -> Result<(), LoadError> {
    let lint = Lint { document, scenario };
    lint.head()?;
    lint.devices()?;
    let mut seen = Seen::default();
    lint.steps(&scenario.steps, &Path::default().key("steps"), &mut seen, false)?;
    lint.after(&seen)
}

/// What the steps so far have brought about.
#[derive(Default)]
pub(super) struct Seen {
    /// Records that have a name.
    pub(super) aliases: BTreeSet<String>,
    /// Devices that did something, or were copied.
    pub(super) devices: BTreeSet<String>,
    /// Devices of which something is held.
    pub(super) held: BTreeSet<String>,
    /// Devices that their next sync ends.
    pub(super) doomed: BTreeSet<String>,
    /// Devices that were ended and not started again.
    pub(super) killed: BTreeSet<String>,
    rules: BTreeSet<RuleId>,
}

/// A scenario and the document that it was read from.
pub(super) struct Lint<'a> {
    document: &'a Document,
    scenario: &'a Scenario,
}

impl Lint<'_> {
    /// An error at this place of the document.
    pub(super) fn wrong(&self, path: &Path, message: impl Into<String>) -> LoadError {
        self.document.nonsense(path, message)
    }

    /// Refuses a name that is no declared device, and remembers one that is.
    pub(super) fn use_device(&self, name: &str, path: &Path, seen: &mut Seen) -> Result<(), LoadError> {
        if !self.scenario.devices.settings().iter().any(|(declared, _)| declared == name) {
            return Err(self.wrong(path, format!("`{name}` is no device of this scenario: declare it under devices")));
        }
        seen.devices.insert(name.to_owned());
        Ok(())
    }

    /// Refuses the name of a record that nothing has made so far.
    pub(super) fn use_alias(&self, alias: &str, path: &Path, seen: &Seen) -> Result<(), LoadError> {
        // A record that raw requests made has no type of its own here: `household:hut` says it.
        if let Some((type_name, name)) = alias.split_once(':') {
            return match type_name.parse::<TypeName>() {
                Ok(_) => self.use_alias(name, path, seen),
                Err(error) => Err(self.wrong(path, format!("`{type_name}` is no type: {error}"))),
            };
        }
        if seen.aliases.contains(alias) {
            return Ok(());
        }
        Err(self.wrong(
            path,
            format!("no step before this one made the record `{alias}`: create it first, or mend the name"),
        ))
    }

    fn head(&self) -> Result<(), LoadError> {
        let scenario = self.scenario;
        let path = Path::default();
        let length = scenario.title.chars().count();
        if !(10..=120).contains(&length) {
            return Err(self.wrong(&path.key("title"), format!("has {length} characters: say the fact in 10 to 120")));
        }
        let covers = path.key("covers");
        if !(1..=3).contains(&scenario.covers.len()) {
            return Err(self.wrong(&covers, format!("names {} rules: name one to three", scenario.covers.len())));
        }
        for (index, rule) in scenario.covers.iter().enumerate() {
            if scenario.covers[..index].contains(rule) {
                return Err(self.wrong(&covers.index(index), format!("`{rule}` stands twice: take one out")));
            }
        }
        if scenario.steps.is_empty() {
            return Err(self.wrong(&path.key("steps"), "has no step: a scenario does something"));
        }
        Ok(())
    }

    fn devices(&self) -> Result<(), LoadError> {
        let path = Path::default().key("devices");
        let mut names = BTreeSet::new();
        for (name, settings) in self.scenario.devices.settings() {
            if name == "rule" || name == "nobody" || ACTORS.contains(&name.as_str()) {
                return Err(
                    self.wrong(&path, format!("`{name}` has a meaning of its own: give the device another name"))
                );
            }
            if settings.page == Some(0) || settings.batch == Some(0) {
                return Err(self.wrong(&path.key(&name), "a page or a batch of 0 holds nothing: write 1 or more"));
            }
            if !names.insert(name.clone()) {
                return Err(self.wrong(&path, format!("`{name}` is declared twice: take one out")));
            }
        }
        Ok(())
    }

    fn steps(&self, steps: &[Step], path: &Path, seen: &mut Seen, together: bool) -> Result<(), LoadError> {
        for (index, step) in steps.iter().enumerate() {
            let path = path.index(index);
            if let Some(rule) = &step.rule {
                if !self.scenario.covers.contains(rule) {
                    let message =
                        format!("`{rule}` is not one of the rules under covers: add it there, or name one of them");
                    return Err(self.wrong(&path.key("rule"), message));
                }
                seen.rules.insert(rule.clone());
            }
            match &step.action {
                Action::Together(_) if together => {
                    return Err(self.wrong(&path, "stands in a together already: write its steps beside the others"));
                }
                Action::Together(inner) if inner.len() < 2 => {
                    return Err(self.wrong(&path, "one step alone is not together: write two or more"));
                }
                Action::Together(inner) => self.steps(inner, &path.key("together"), seen, true)?,
                action => lint_step::check(self, action, &path, seen)?,
            }
        }
        Ok(())
    }

    fn after(&self, seen: &Seen) -> Result<(), LoadError> {
        let path = Path::default();
        for (name, _) in self.scenario.devices.settings() {
            if !seen.devices.contains(&name) {
                return Err(self
                    .wrong(&path.key("devices").key(&name), format!("`{name}` does nothing: use it, or take it out")));
            }
        }
        for (index, rule) in self.scenario.covers.iter().enumerate().skip(1) {
            if !seen.rules.contains(rule) {
                let message = format!(
                    "no step says `rule: {rule}`: put it beside the step that shows it, or take it out of covers"
                );
                return Err(self.wrong(&path.key("covers").index(index), message));
            }
        }
        Ok(())
    }
}
