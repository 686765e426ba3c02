//! The suite that a command works on: specification and scenarios, embedded or from folders, and the part selected.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::scenario::{self, Case, LoadError, Loaded, id_of, pattern};
use fieldsync_conformance::spec::{CAPABILITIES, RuleRef, Spec, SpecFiles, is_of_clients};
use fieldsync_conformance::trace::{CaseInfo, references};
use fieldsync_schemas::id::RuleId;
use fieldsync_schemas::scenario::{Action, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where specification and scenarios come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The suite")]
pub struct SuiteOptions {
    /// Add the scenarios of this folder (`<chapter>/<name>.yaml`), or put them in place of the embedded ones.
    #[arg(long, value_name = "DIR", global = true)]
    pub fixtures: Option<PathBuf>,
    /// Read the specification from this mdBook instead of the embedded one.
    #[arg(long, value_name = "DIR", global = true)]
    pub spec: Option<PathBuf>,
}

/// Which scenarios are meant. Filters of one kind add up; of different kinds, each must fit.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which scenarios")]
pub struct Filters {
    /// Only the scenarios of this chapter.
    #[arg(long, value_name = "NAME", global = true)]
    pub chapter: Vec<String>,
    /// Only the scenarios that cover this rule.
    #[arg(long, value_name = "ID", global = true)]
    pub rule: Vec<String>,
    /// Only this scenario; `*` stands for any characters.
    #[arg(long, value_name = "CHAPTER/NAME", global = true)]
    pub scenario: Vec<String>,
    /// Only the scenarios that need this capability.
    #[arg(long, value_name = "NAME", global = true)]
    pub capability: Vec<String>,
}

impl Filters {
    /// Whether every scenario is meant.
    pub fn is_empty(&self) -> bool {
        let Self { chapter, rule, scenario, capability } = self;
        [chapter, rule, scenario, capability].iter().all(|filter| filter.is_empty())
    }
}

/// Specification and scenarios.
pub struct Suite {
    /// The specification.
    pub spec: Spec,
    /// Every scenario, expanded, in the order of the ids.
    pub cases: Vec<Case>,
    /// Why fixtures of this program could not be read.
    pub broken: Vec<LoadError>,
}

impl SuiteOptions {
    /// Reads specification and scenarios.
    pub fn load(&self) -> Result<Suite, CommandError> {
        let Loaded { cases, broken } = self.load_cases()?;
        for error in &broken {
            eprintln!("warning: a fixture of this program is left out: {error}");
        }
        Ok(Suite { spec: self.load_spec()?, cases, broken })
    }

    /// Reads the specification.
    pub fn load_spec(&self) -> Result<Spec, CommandError> {
        match &self.spec {
            None => Spec::embedded().map_err(CommandError::suite),
            Some(_) => Spec::read(&self.spec_files()?).map_err(CommandError::usage),
        }
    }

    /// The text of the specification.
    pub fn spec_files(&self) -> Result<SpecFiles, CommandError> {
        match &self.spec {
            None => Ok(SpecFiles::embedded()),
            Some(folder) => SpecFiles::in_folder(folder).map_err(CommandError::usage),
        }
    }

    /// A fixture of the user's that cannot be read is the user's to mend; one of the program's is told, and the others
    /// go on.
    fn load_cases(&self) -> Result<Loaded, CommandError> {
        let mut loaded = scenario::embedded();
        if let Some(folder) = &self.fixtures {
            let own = scenario::from_dir(folder).map_err(CommandError::usage)?;
            loaded.broken.retain(|error| !own.iter().any(|case| case.file_id() == id_of(&error.file)));
            loaded.cases = scenario::merge(loaded.cases, own);
        }
        Ok(loaded)
    }
}

impl Suite {
    /// What the trace looks at: one entry a file.
    pub fn case_infos(&self) -> Vec<CaseInfo> {
        let mut infos: BTreeMap<&str, CaseInfo> = BTreeMap::new();
        for case in &self.cases {
            infos.entry(case.file_id()).or_insert_with(|| CaseInfo {
                id: case.file_id().to_owned(),
                covers: references(&case.scenario.covers),
                step_rules: references(&step_rules(&case.scenario.steps)),
            });
        }
        infos.into_values().collect()
    }

    /// The capabilities that a scenario needs: those it names, and those of the rules that it covers.
    pub fn capabilities<'a>(&'a self, case: &'a Case) -> BTreeSet<&'a str> {
        let named = case.scenario.needs.capabilities.iter();
        let covered = case.scenario.covers.iter().filter_map(|rule| self.spec.rule(rule.as_str())?.capability.as_ref());
        named.chain(covered).map(|capability| capability.as_str()).collect()
    }

    /// The scenarios that the filters select. A filter that selects nothing is an error, not an empty run.
    pub fn select<'a>(&'a self, filters: &Filters) -> Result<Vec<&'a Case>, CommandError> {
        self.check_filters(filters)?;
        let fits =
            |wanted: &[String], has: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| has(one));
        let selected: Vec<&Case> = self
            .cases
            .iter()
            .filter(|case| {
                let capabilities = self.capabilities(case);
                fits(&filters.chapter, &|name| case.chapter == name)
                    && fits(&filters.rule, &|id| covers(case, id))
                    && fits(&filters.scenario, &|wanted| pattern::names(wanted, &case.id))
                    && fits(&filters.capability, &|name| capabilities.contains(name))
            })
            .collect();
        if selected.is_empty() && self.select_broken(filters).is_empty() {
            return Err(CommandError::usage(
                "the filters leave no scenario: `fieldsync list` with the same filters shows why",
            ));
        }
        Ok(selected)
    }

    /// The fixtures that cannot be read and that the filters select. What they cover is not known, so that filters by
    /// rule and capability leave them out.
    pub fn select_broken(&self, filters: &Filters) -> Vec<&LoadError> {
        let fits = |error: &&LoadError| {
            let id = id_of(&error.file);
            let chapter = id.split('/').next().unwrap_or_default();
            (filters.chapter.is_empty() || filters.chapter.iter().any(|name| name == chapter))
                && (filters.scenario.is_empty() || filters.scenario.iter().any(|wanted| pattern::names(wanted, &id)))
                && filters.rule.is_empty()
                && filters.capability.is_empty()
        };
        self.broken.iter().filter(fits).collect()
    }

    /// Refuses a filter that names what there is not.
    pub fn check_filters(&self, filters: &Filters) -> Result<(), CommandError> {
        for name in &filters.chapter {
            if self.spec.chapter(name).is_none() {
                let known = self.spec.chapters.iter().map(|chapter| chapter.name.as_str());
                return Err(CommandError::unknown("chapter", name, known));
            }
        }
        for id in &filters.rule {
            self.rule(id)?;
        }
        for wanted in &filters.scenario {
            let is_broken = self.broken.iter().any(|error| pattern::names(wanted, &id_of(&error.file)));
            if !is_broken && !self.cases.iter().any(|case| pattern::names(wanted, &case.id)) {
                return Err(self.unknown_scenario(wanted));
            }
        }
        for name in &filters.capability {
            if !CAPABILITIES.contains(&name.as_str()) && !is_of_clients(name) {
                return Err(CommandError::unknown("capability", name, CAPABILITIES.iter().copied()));
            }
        }
        Ok(())
    }

    /// The rule of this id, with or without its revision.
    pub fn rule(&self, id: &str) -> Result<&fieldsync_conformance::spec::Rule, CommandError> {
        self.spec
            .rule(id)
            .ok_or_else(|| CommandError::unknown("rule", id, self.spec.rules.iter().map(|rule| rule.id.as_str())))
    }

    /// There is no scenario of this name.
    pub fn unknown_scenario(&self, name: &str) -> CommandError {
        CommandError::unknown("scenario", name, self.cases.iter().map(Case::file_id))
    }
}

/// Whether a scenario covers the rule of this id.
pub fn covers(case: &Case, id: &str) -> bool {
    let wanted = id.split('+').next().unwrap_or(id);
    case.scenario.covers.iter().any(|rule| RuleRef::from(rule).id.as_str() == wanted)
}

fn step_rules(steps: &[Step]) -> Vec<RuleId> {
    let mut rules = Vec::new();
    for step in steps {
        rules.extend(step.rule.clone());
        if let Action::Together(inner) = &step.action {
            rules.extend(step_rules(inner));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_that_cannot_be_read_is_selected_by_its_name() {
        let broken = |file: &str| scenario::parse(file, "title: [").unwrap_err();
        let suite = Suite {
            spec: Spec::default(),
            cases: Vec::new(),
            broken: vec![broken("fixtures/scenarios/push/odd.yaml"), broken("fixtures/scenarios/pull/odd.yaml")],
        };
        let by = |pattern: &str| Filters { scenario: vec![pattern.to_owned()], ..Filters::default() };
        assert_eq!(suite.select_broken(&Filters::default()).len(), 2);
        assert_eq!(suite.select_broken(&by("push/*")).len(), 1);
        assert_eq!(suite.select(&by("pull/odd")).unwrap().len(), 0, "it is named, so it is no mistake of the user");
        assert!(suite.select(&by("merge/odd")).is_err());
        let rule = Filters { rule: vec!["push.a.b".to_owned()], ..Filters::default() };
        assert!(suite.select_broken(&rule).is_empty());
    }
}
