//! Traceability: rules, scenarios, mutants and hazards held against one another, both ways.
//!
//! Every rule is shown by a scenario, every requirement is proven by a mutant, and whatever names a rule or a scenario
//! names one that exists. What is missing is a [`Gap`], and a gap is an error, other than in a chapter that is marked as
//! a draft: what its rules lack is listed apart.

mod text;

use crate::spec::{Rule, RuleRef, Spec, Strength};
use fieldsync_schemas::event::Actor;
use fieldsync_schemas::id::RuleId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Of all rules, at most one in this many may be without a scenario.
pub const UNTESTED_SHARE: usize = 10;

/// What a scenario says of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseInfo {
    /// Its path: `chapter/name`.
    pub id: String,
    /// The rules that it covers.
    pub covers: Vec<RuleRef>,
    /// The rules that its steps name.
    pub step_rules: Vec<RuleRef>,
}

/// What a mutant says of its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutantInfo {
    /// Its name.
    pub name: String,
    /// The rule that it breaks.
    pub rule: RuleRef,
    /// What it does wrong.
    pub sentence: String,
}

/// Something that is missing or names what does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// No scenario covers the rule, and no reason is given.
    NoScenario(RuleRef),
    /// A requirement may not go without a scenario, whatever the reason.
    RequiredUntested(RuleRef),
    /// The rule is said to be untested, and is covered.
    NeedlesslyExcluded {
        /// The rule.
        rule: RuleRef,
        /// A scenario that covers it.
        scenario: String,
    },
    /// More rules are untested than may be.
    TooManyUntested {
        /// How many are.
        untested: usize,
        /// Of how many.
        rules: usize,
    },
    /// No mutant breaks the requirement.
    NoMutant(RuleRef),
    /// What is named is no rule, or another wording of one.
    UnknownRule {
        /// What names it.
        by: String,
        /// The name.
        rule: RuleRef,
        /// The wording that the rule has now, if there is such a rule.
        now: Option<u32>,
    },
    /// What is named is no scenario.
    UnknownScenario {
        /// What names it.
        by: String,
        /// The name.
        scenario: String,
    },
    /// The folder of the scenario is no chapter.
    OutsideChapters {
        /// The scenario.
        scenario: String,
    },
    /// Two scenarios or two mutants have one name.
    SameName {
        /// `scenario` or `mutant`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The scenarios of a row are still to be written.
    Planned {
        /// The row.
        by: String,
    },
    /// A row of a table leads nowhere.
    EmptyRow {
        /// The row.
        by: String,
        /// What it lacks.
        lacks: &'static str,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::NoScenario(rule) => write!(f, "no scenario covers {rule}"),
            Gap::RequiredUntested(rule) => {
                write!(f, "{rule} is a requirement and untested: cover it, or make it a SHOULD")
            }
            Gap::NeedlesslyExcluded { rule, scenario } => {
                write!(f, "{rule} is said to be untested, but {scenario} covers it")
            }
            Gap::TooManyUntested { untested, rules } => {
                write!(f, "{untested} of {rules} rules are untested; at most one in {UNTESTED_SHARE} may be")
            }
            Gap::NoMutant(rule) => write!(f, "no mutant breaks {rule}"),
            Gap::UnknownRule { by, rule, now: None } => write!(f, "{by} names {rule}, which is no rule"),
            Gap::UnknownRule { by, rule, now: Some(revision) } => {
                let now = RuleRef { id: rule.id.clone(), revision: *revision };
                write!(f, "{by} names {rule}, but the rule reads {now} now: look whether it still fits")
            }
            Gap::UnknownScenario { by, scenario } => write!(f, "{by} names {scenario}, which is no scenario"),
            Gap::OutsideChapters { scenario } => write!(f, "{scenario} stands in a folder that is no chapter"),
            Gap::SameName { what, name } => write!(f, "two {what}s are called {name}"),
            Gap::Planned { by } => write!(f, "the scenarios of {by} are only planned, and no rule of it is a draft's"),
            Gap::EmptyRow { by, lacks } => write!(f, "{by} names no {lacks}"),
        }
    }
}

/// One rule and all that refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedRule {
    /// The rule.
    pub rule: RuleRef,
    /// Its chapter.
    pub chapter: String,
    /// Whom it binds.
    pub actor: Actor,
    /// How strongly.
    pub strength: Strength,
    /// The scenarios that cover it.
    pub scenarios: Vec<String>,
    /// The mutants that break it.
    pub mutants: Vec<String>,
    /// The hazards that it answers.
    pub hazards: Vec<String>,
    /// Why no scenario shows it.
    pub untested: Option<String>,
}

/// The whole picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// What is missing in drafts, which is no error.
    pub draft_gaps: Vec<Gap>,
    /// Every rule, in the order of the specification.
    pub rows: Vec<TracedRule>,
}

impl Trace {
    /// Holds everything against everything.
    pub fn of(spec: &Spec, cases: &[CaseInfo], mutants: &[MutantInfo]) -> Self {
        let rows = spec.rules.iter().map(|rule| traced(rule, spec, cases, mutants)).collect();
        let mut trace = Self { rows, ..Self::default() };
        trace.check_rules(spec);
        let mut names = Names {
            spec,
            cases: cases.iter().map(|case| case.id.as_str()).collect(),
            gaps: &mut trace.gaps,
            draft_gaps: &mut trace.draft_gaps,
        };
        names.check_cases(cases);
        names.check_mutants(mutants);
        names.check_tables();
        trace
    }

    /// The rules that no scenario shows, each with its reason.
    pub fn exclusions(&self) -> impl Iterator<Item = (&TracedRule, &str)> {
        self.rows.iter().filter_map(|row| Some((row, row.untested.as_deref()?)))
    }

    fn check_rules(&mut self, spec: &Spec) {
        for row in &self.rows {
            let rule = || row.rule.clone();
            let is_draft = spec.chapter(&row.chapter).is_some_and(|chapter| chapter.is_draft);
            let gaps = if is_draft { &mut self.draft_gaps } else { &mut self.gaps };
            match (&row.untested, row.scenarios.first()) {
                (None, None) => gaps.push(Gap::NoScenario(rule())),
                (Some(_), Some(scenario)) => {
                    gaps.push(Gap::NeedlesslyExcluded { rule: rule(), scenario: scenario.clone() });
                }
                (Some(_), None) if row.strength.is_required() => gaps.push(Gap::RequiredUntested(rule())),
                _ => {}
            }
            if row.strength.is_required() && row.mutants.is_empty() {
                gaps.push(Gap::NoMutant(rule()));
            }
        }
        let untested = self.exclusions().count();
        if untested * UNTESTED_SHARE > self.rows.len() {
            self.gaps.push(Gap::TooManyUntested { untested, rules: self.rows.len() });
        }
    }
}

fn traced(rule: &Rule, spec: &Spec, cases: &[CaseInfo], mutants: &[MutantInfo]) -> TracedRule {
    let is_this = |reference: &RuleRef| reference.id == rule.id;
    TracedRule {
        rule: rule.reference(),
        chapter: rule.chapter.clone(),
        actor: rule.actor,
        strength: rule.strength,
        scenarios: cases.iter().filter(|case| case.covers.iter().any(is_this)).map(|case| case.id.clone()).collect(),
        mutants: mutants.iter().filter(|mutant| is_this(&mutant.rule)).map(|mutant| mutant.name.clone()).collect(),
        hazards: spec
            .hazards
            .iter()
            .filter(|hazard| hazard.rules.iter().any(is_this))
            .map(|hazard| hazard.id.clone())
            .collect(),
        untested: rule.untested.clone(),
    }
}

/// Looks up every name that stands somewhere.
struct Names<'a> {
    spec: &'a Spec,
    cases: BTreeSet<&'a str>,
    gaps: &'a mut Vec<Gap>,
    draft_gaps: &'a mut Vec<Gap>,
}

impl Names<'_> {
    fn rules(&mut self, by: &str, rules: &[RuleRef]) {
        for rule in rules {
            let now = self.spec.rule(rule.id.as_str()).map(|found| found.revision);
            if now != Some(rule.revision) {
                self.gaps.push(Gap::UnknownRule { by: by.to_owned(), rule: rule.clone(), now });
            }
        }
    }

    fn scenarios(&mut self, by: &str, scenarios: &[String]) {
        for scenario in scenarios {
            if !self.cases.contains(scenario.as_str()) {
                self.gaps.push(Gap::UnknownScenario { by: by.to_owned(), scenario: scenario.clone() });
            }
        }
    }

    /// Scenarios may be planned only as long as one of the row's rules stands in a draft.
    fn planned(&mut self, by: &str, planned: bool, rules: &[RuleRef]) {
        if planned {
            let is_draft = rules.iter().any(|rule| self.spec.is_draft(rule.id.as_str()));
            let gaps = if is_draft { &mut *self.draft_gaps } else { &mut *self.gaps };
            gaps.push(Gap::Planned { by: by.to_owned() });
        }
    }

    fn not_empty(&mut self, by: &str, lacks: &'static str, is_empty: bool) {
        if is_empty {
            self.gaps.push(Gap::EmptyRow { by: by.to_owned(), lacks });
        }
    }

    fn unique<'n>(&mut self, what: &'static str, names: impl Iterator<Item = &'n str>) {
        let mut counts = BTreeMap::new();
        names.for_each(|name| *counts.entry(name).or_insert(0) += 1);
        for (name, _) in counts.into_iter().filter(|(_, count)| *count > 1) {
            self.gaps.push(Gap::SameName { what, name: name.to_owned() });
        }
    }

    fn check_cases(&mut self, cases: &[CaseInfo]) {
        self.unique("scenario", cases.iter().map(|case| case.id.as_str()));
        for case in cases {
            let by = format!("scenario {}", case.id);
            self.rules(&by, &case.covers);
            let others: Vec<RuleRef> =
                case.step_rules.iter().filter(|rule| !case.covers.contains(rule)).cloned().collect();
            self.rules(&by, &others);
            self.not_empty(&by, "rule", case.covers.is_empty());
            let chapter = case.id.split('/').next().filter(|_| case.id.contains('/'));
            if chapter.is_none_or(|chapter| self.spec.chapter(chapter).is_none()) {
                self.gaps.push(Gap::OutsideChapters { scenario: case.id.clone() });
            }
        }
    }

    fn check_mutants(&mut self, mutants: &[MutantInfo]) {
        self.unique("mutant", mutants.iter().map(|mutant| mutant.name.as_str()));
        for mutant in mutants {
            self.rules(&format!("mutant {}", mutant.name), std::slice::from_ref(&mutant.rule));
        }
    }

    fn check_tables(&mut self) {
        let spec = self.spec;
        for hazard in &spec.hazards {
            let by = format!("hazard {}", hazard.id);
            self.rules(&by, &hazard.rules);
            self.scenarios(&by, &hazard.scenarios);
            self.not_empty(&by, "rule", hazard.rules.is_empty());
            self.planned(&by, hazard.planned, &hazard.rules);
            self.not_empty(&by, "scenario", hazard.scenarios.is_empty() && !hazard.planned);
        }
        for origin in &spec.origins {
            let by = format!("{}:{}", origin.file, origin.line);
            self.rules(&by, &origin.rules);
            self.scenarios(&by, &origin.scenarios);
            self.planned(&by, origin.planned, &origin.rules);
            // A sentence that Fieldsync leaves has no rule, and says so.
            if origin.deviation.is_empty() {
                self.not_empty(&by, "rule", origin.rules.is_empty());
                self.not_empty(&by, "scenario", origin.scenarios.is_empty() && !origin.planned);
            }
        }
        for ambiguity in &spec.ambiguities {
            let by = format!("{}:{}", ambiguity.file, ambiguity.line);
            self.rules(&by, &ambiguity.rules);
            self.not_empty(&by, "rule", ambiguity.rules.is_empty());
        }
        for exchange in &spec.exchanges {
            self.scenarios(&format!("{}:{}", exchange.file, exchange.line), std::slice::from_ref(&exchange.scenario));
        }
    }
}

/// The rules that a fixture names, as references.
pub fn references(rules: &[RuleId]) -> Vec<RuleRef> {
    rules.iter().map(RuleRef::from).collect()
}

#[cfg(test)]
mod tests;
