//! A run, held against what is known to fail.
//!
//! A scenario is known to fail only where every failure of it is known. An entry that is of no use any more is a problem,
//! so that a baseline gets shorter by itself: what was mended, renamed or put off for too long turns a run red.

use super::{Baseline, Entry};
use crate::run::footer;
use crate::scenario::{Case, pattern};
use crate::spec::Spec;
use fieldsync_schemas::baseline::{Day, KnownKind};
use fieldsync_schemas::event::{
    BaselineProblem, BaselineUse, Event, Failure, Footer, Header, Known, ScenarioEnded, Verdict,
};
use std::collections::BTreeSet;

/// What entries may name.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'a> {
    /// The rules.
    pub spec: &'a Spec,
    /// Every scenario, selected or not.
    pub cases: &'a [Case],
}

/// Marks the failures of a run that are known, and tells in its footer what is wrong with the entries.
pub fn apply(events: &mut [Event], baseline: &Baseline, suite: Suite<'_>, today: Day) {
    forget(events);
    let mut used = BTreeSet::new();
    for ended in scenarios_mut(events) {
        let matching = |failure: &Failure| {
            let mut entries = baseline.entries.iter().filter(|entry| !entry.is_expired(today));
            entries.find(|entry| is_of(entry, ended) && is_about(entry, failure))
        };
        let all: Vec<(&Failure, Option<&Entry>)> =
            ended.failures.iter().map(|failure| (failure, matching(failure))).collect();
        used.extend(all.iter().filter_map(|(_, entry)| Some(entry.as_ref()?.line)));
        let counts = |failure: &Failure| failure_counts(failure, suite.spec);
        let known = match ended.verdict {
            Verdict::Fail if all.iter().all(|(failure, entry)| entry.is_some() || !counts(failure)) => {
                all.iter().find_map(|(_, entry)| entry.as_ref())
            }
            _ => None,
        };
        if let Some(entry) = known {
            ended.known = Some(told(entry));
            ended.verdict = Verdict::KnownFailure;
        }
    }
    let mut problems = inspect(baseline, suite, today);
    for entry in &baseline.entries {
        if problems.iter().any(|problem| problem.line == entry.line) || !is_stale(entry, events, suite) {
            continue;
        }
        let passed = scenarios_mut(events).filter(|ended| is_of(entry, ended) && ended.verdict == Verdict::Pass);
        for ended in passed.filter(|_| entry.known.scenario.is_some()) {
            ended.verdict = Verdict::UnexpectedPass;
            ended.known = Some(told(entry));
        }
        let what = match (&entry.known.scenario, &entry.known.rule) {
            (Some(scenario), Some(rule)) => format!("{scenario} does not break {rule} any more"),
            (Some(scenario), None) => format!("{scenario} does not fail any more"),
            (None, Some(rule)) => format!("{rule} is not broken any more"),
            (None, None) => "it does not fail any more".to_owned(),
        };
        let problem = format!("stale: {what}; take the entry out");
        problems.push(BaselineProblem { line: entry.line, problem });
    }
    problems.sort_by_key(|problem| problem.line);
    recount(events, suite.spec, BaselineUse { file: baseline.file.clone(), used: used.len() as u64, problems });
}

/// What is wrong with the entries, whatever a run shows: they are too old, or name what there is not.
pub fn inspect(baseline: &Baseline, suite: Suite<'_>, today: Day) -> Vec<BaselineProblem> {
    let mut problems = Vec::new();
    for entry in &baseline.entries {
        let known = &entry.known;
        let mut problem = |problem: String| problems.push(BaselineProblem { line: entry.line, problem });
        let is_named = |pattern: &String| suite.cases.iter().any(|case| pattern::names(pattern, &case.id));
        if let Some(pattern) = known.scenario.as_ref().filter(|pattern| !is_named(pattern)) {
            problem(format!("unmatched: the suite has no scenario {pattern:?}; mend its name, or take the entry out"));
        } else if let Some(rule) = known.rule.as_ref().filter(|rule| suite.spec.rule(rule.as_str()).is_none()) {
            problem(format!("unmatched: the specification has no rule {rule}; mend its name, or take the entry out"));
        } else if entry.is_expired(today) {
            let issue = &known.issue;
            problem(format!("expired on {}: mend the failure, or decide anew ({issue})", known.expires));
        }
    }
    problems
}

/// Takes back what a baseline said of a run.
pub fn forget(events: &mut [Event]) {
    for ended in scenarios_mut(events) {
        ended.known = None;
        ended.verdict = match ended.verdict {
            Verdict::KnownFailure => Verdict::Fail,
            Verdict::UnexpectedPass => Verdict::Pass,
            other => other,
        };
    }
}

/// Whether the scenarios of an entry ran, and none failed as it says. One that was not selected, or could not be run, may
/// fail yet.
pub(super) fn is_stale(entry: &Entry, events: &[Event], suite: Suite<'_>) -> bool {
    let Some(Event::Header(header)) = events.first() else { return false };
    let of_entry: Vec<&ScenarioEnded> = scenarios(events).filter(|ended| is_of(entry, ended)).collect();
    let is_open = |ended: &&ScenarioEnded| matches!(ended.verdict, Verdict::NotTested | Verdict::Error);
    let fails = |ended: &&ScenarioEnded| ended.failures.iter().any(|failure| is_about(entry, failure));
    entry.known.kind == KnownKind::Failure
        && of_entry.iter().any(|ended| ended.verdict.has_run())
        && !of_entry.iter().any(is_open)
        && !of_entry.iter().any(fails)
        && was_selected_whole(entry, header, &of_entry, suite)
}

/// Whether everything that an entry speaks of was selected.
fn was_selected_whole(entry: &Entry, header: &Header, of_entry: &[&ScenarioEnded], suite: Suite<'_>) -> bool {
    if !header.filtered && header.shard.is_none() {
        return true;
    }
    let is_meant = |case: &&Case| match (&entry.known.scenario, &entry.known.rule) {
        (Some(pattern), _) => pattern::names(pattern, &case.id),
        (None, Some(rule)) => case.scenario.covers.iter().any(|covered| is_same(covered.as_str(), rule.as_str())),
        (None, None) => true,
    };
    suite.cases.iter().filter(is_meant).all(|case| of_entry.iter().any(|ended| ended.id == case.id))
}

/// Whether an entry speaks of a scenario.
pub(super) fn is_of(entry: &Entry, ended: &ScenarioEnded) -> bool {
    let known = &entry.known;
    let by_name = match (&known.scenario, &known.rule) {
        (Some(pattern), _) => pattern::names(pattern, &ended.id),
        // A rule is also broken by scenarios that show another.
        (None, Some(rule)) => {
            let of_failures = ended.failures.iter().map(|failure| &failure.rule);
            ended.covers.iter().chain(of_failures).any(|one| is_same(one.as_str(), rule.as_str()))
        }
        (None, None) => false,
    };
    by_name
        && known.profile.as_ref().is_none_or(|profile| *profile == ended.profile)
        && known.roles.as_ref().is_none_or(|roles| Some(roles) == ended.roles.as_ref())
}

/// Whether an entry speaks of a failure of its scenarios.
pub(super) fn is_about(entry: &Entry, failure: &Failure) -> bool {
    entry.known.rule.as_ref().is_none_or(|rule| is_same(failure.rule.as_str(), rule.as_str()))
}

/// Whether a failure, rather than advice that was not taken, makes a scenario fail.
pub(super) fn failure_counts(failure: &Failure, spec: &Spec) -> bool {
    spec.rule(failure.rule.as_str()).is_none_or(|rule| rule.strength.is_required())
}

/// Whether two references are to one rule, however it is worded.
fn is_same(one: &str, other: &str) -> bool {
    let id = |reference: &str| reference.split('+').next().unwrap_or_default().to_owned();
    id(one) == id(other)
}

fn told(entry: &Entry) -> Known {
    let known = &entry.known;
    Known {
        line: entry.line,
        reason: known.reason.clone(),
        issue: known.issue.clone(),
        expires: known.expires.to_string(),
    }
}

/// Counts anew.
fn recount(events: &mut [Event], spec: &Spec, baseline: BaselineUse) {
    let Some(Event::Header(header)) = events.first() else { return };
    let Some(Event::Footer(old)) = events.last() else { return };
    // A subject that could not be used has nothing to count.
    let new = match events.iter().any(|event| matches!(event, Event::Blocked(_))) {
        true => old.clone(),
        false => footer(scenarios(events), spec, &header.subject.judged, old.millis),
    };
    let new = Footer { cleanup: old.cleanup.clone(), baseline: Some(baseline), ..new };
    if let Some(Event::Footer(footer)) = events.last_mut() {
        *footer = new;
    }
}

pub(super) fn scenarios(events: &[Event]) -> impl Iterator<Item = &ScenarioEnded> {
    events.iter().filter_map(|event| match event {
        Event::Scenario(ended) => Some(&**ended),
        _ => None,
    })
}

fn scenarios_mut(events: &mut [Event]) -> impl Iterator<Item = &mut ScenarioEnded> {
    events.iter_mut().filter_map(|event| match event {
        Event::Scenario(ended) => Some(&mut **ended),
        _ => None,
    })
}
