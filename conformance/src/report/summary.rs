//! What every report says of a run as a whole, in the same words: the verdict in a line, the counts, the reasons, and how
//! each rule fared.

use super::findings::Finding;
use super::text::Tone;
use super::verdict::{ExitStatus, Judgement};
use super::{Run, chapter_of};
use crate::spec::{CAPABILITIES, CLIENT_CAPABILITIES, Rule, RuleRef, Spec};
use fieldsync_schemas::event::{Actor, BaselineProblem, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// A number of things.
pub(super) fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The verdict, in one line.
pub fn verdict_line(run: &Run<'_>, judgement: &Judgement) -> (Tone, String) {
    if let Some(blocked) = run.blocked {
        let word = if blocked.unreachable { "not reached" } else { "blocked" };
        return (Tone::Bad, format!("{word}: cannot {}: {}", blocked.doing, blocked.reason));
    }
    let mut levels = vec!["core".to_owned()];
    levels.extend(run.header.subject.profiles.iter().map(ToString::to_string));
    let all = if run.header.subject.judged == [Actor::Device] { CLIENT_CAPABILITIES } else { CAPABILITIES };
    let capabilities = format!("{} of {} capabilities", judgement.shown.len(), all.len());
    let part = match run.header.shard {
        Some(shard) => Some(format!("shard {} of {}", shard.index, shard.of)),
        None => run.header.filtered.then(|| "a part of the suite".to_owned()),
    };
    match judgement.status {
        ExitStatus::Conformant if judgement.known > 0 => {
            let part = part.map_or_else(String::new, |part| format!("; {part}"));
            (Tone::Careful, format!("no new failure; {} known{part}", judgement.known))
        }
        ExitStatus::Conformant if part.is_some() => {
            let (ran, part) = (plural(judgement.ran, "scenario"), part.unwrap_or_default());
            (Tone::Good, format!("no rule broken in {ran} that ran; {part}"))
        }
        ExitStatus::Conformant => (Tone::Good, format!("{}: conformant; {capabilities}", levels.join(" + "))),
        ExitStatus::NotConformant => (Tone::Bad, why_not(judgement)),
        ExitStatus::SuiteError => {
            (Tone::Bad, format!("suite error: {} could not be judged", plural(judgement.errors, "scenario")))
        }
        ExitStatus::NothingRan | ExitStatus::Usage => {
            let selected = run.header.selected;
            (Tone::Bad, format!("nothing ran: {selected} selected, none of them could be run against this subject"))
        }
    }
}

fn why_not(judgement: &Judgement) -> String {
    let mut reasons = Vec::new();
    if !judgement.broken.is_empty() {
        reasons.push(format!("{} broken", plural(judgement.broken.len(), "rule")));
    }
    if !judgement.empty_claims.is_empty() {
        reasons.push(format!("claimed but not offered: {}", judgement.empty_claims.join(", ")));
    }
    let to_mend = match judgement.stale {
        0 => None,
        1 => Some("the baseline is out of date: 1 entry to mend".to_owned()),
        count => Some(format!("the baseline is out of date: {count} entries to mend")),
    };
    if let Some(to_mend) = &to_mend
        && reasons.is_empty()
        && judgement.failed == 0
    {
        return to_mend.clone();
    }
    if reasons.is_empty() && judgement.not_tested > 0 {
        reasons.push(format!("{} not tested, and all are required", plural(judgement.not_tested, "scenario")));
    }
    if reasons.is_empty() {
        reasons.push("a scenario failed".to_owned());
    }
    reasons.extend(to_mend);
    match judgement.known {
        0 => {}
        1 => reasons.push("1 failure is known".to_owned()),
        count => reasons.push(format!("{count} failures are known")),
    }
    format!("not conformant: {}", reasons.join("; "))
}

/// A finding that was known, in a line: the rule, how many scenarios, and what the baseline says.
pub(super) fn known_line(finding: &Finding<'_>) -> String {
    let said = finding.known.map_or_else(String::new, |known| {
        format!(": {} ({}, until {}, line {})", known.reason, known.issue, known.expires, known.line)
    });
    format!("{} in {}{said}", finding.rule, plural(finding.scenarios.len(), "scenario"))
}

/// What is wrong with the baseline: file, line and problem.
pub(super) fn baseline_lines(run: &Run<'_>) -> Vec<String> {
    let Some(baseline) = &run.footer.baseline else { return Vec::new() };
    let line = |one: &BaselineProblem| format!("{}:{}: {}", baseline.file, one.line, one.problem);
    baseline.problems.iter().map(line).collect()
}

/// How many scenarios ended how.
pub(super) type Tally = BTreeMap<Verdict, usize>;

/// The chapters of a run in the order of the specification, each with its tally.
pub(super) fn chapters(run: &Run<'_>, spec: &Spec) -> Vec<(String, Tally)> {
    let mut counts: BTreeMap<&str, Tally> = BTreeMap::new();
    for scenario in &run.scenarios {
        *counts.entry(chapter_of(&scenario.id)).or_default().entry(scenario.verdict).or_default() += 1;
    }
    let order = |name: &str| spec.chapters.iter().position(|chapter| chapter.name == name).unwrap_or(usize::MAX);
    let mut chapters: Vec<_> = counts.into_iter().map(|(name, counts)| (name.to_owned(), counts)).collect();
    chapters.sort_by_key(|(name, _)| order(name));
    chapters
}

/// The profiles of a run, each with its tally.
pub(super) fn profiles(run: &Run<'_>) -> Vec<(String, Tally)> {
    let mut counts: BTreeMap<String, Tally> = BTreeMap::new();
    for scenario in &run.scenarios {
        *counts.entry(scenario.profile.to_string()).or_default().entry(scenario.verdict).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// The tally of the whole run.
pub(super) fn tally(run: &Run<'_>) -> Tally {
    let mut all = Tally::new();
    for scenario in &run.scenarios {
        *all.entry(scenario.verdict).or_default() += 1;
    }
    all
}

/// The verdicts that a table of these tallies has a column for.
pub(super) fn columns(all: &Tally) -> Vec<Verdict> {
    Verdict::ALL.into_iter().filter(|verdict| *verdict == Verdict::Pass || all.contains_key(verdict)).collect()
}

/// Why scenarios with this verdict did not run: each reason with its count, the most frequent first.
pub(super) fn reasons<'a>(run: &Run<'a>, verdict: Verdict) -> Vec<(&'a str, usize)> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for scenario in run.scenarios.iter().filter(|scenario| scenario.verdict == verdict) {
        *reasons.entry(scenario.reason.as_deref().unwrap_or("no reason was given")).or_default() += 1;
    }
    let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// How a rule fared in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleState {
    /// A scenario that covers it passed, and none shows that it is broken.
    Held,
    /// A scenario shows that it is broken.
    Broken,
    /// A scenario shows that it is broken, and it is advice.
    Advice,
    /// No scenario that covers it was run to a good end.
    NotLookedAt,
}

impl RuleState {
    /// The state in words.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleState::Held => "held",
            RuleState::Broken => "broken",
            RuleState::Advice => "advice not taken",
            RuleState::NotLookedAt => "not looked at",
        }
    }

    /// Its sign, beside the words.
    pub fn sign(self) -> &'static str {
        match self {
            RuleState::Held => "✔",
            RuleState::Broken => "✘",
            RuleState::Advice => "▲",
            RuleState::NotLookedAt => "◌",
        }
    }
}

/// How the rules of the subject's side fared, in the order of the specification.
pub fn rule_states<'s>(run: &Run<'_>, spec: &'s Spec) -> Vec<(&'s Rule, RuleState)> {
    let (mut broken, mut held) = (BTreeSet::new(), BTreeSet::new());
    for scenario in &run.scenarios {
        broken.extend(scenario.failures.iter().map(|failure| RuleRef::from(&failure.rule).id));
        if scenario.verdict.has_passed() {
            held.extend(scenario.covers.iter().map(|rule| RuleRef::from(rule).id));
        }
    }
    let state = |rule: &Rule| match () {
        () if broken.contains(&rule.id) && rule.strength.is_required() => RuleState::Broken,
        () if broken.contains(&rule.id) => RuleState::Advice,
        () if held.contains(&rule.id) => RuleState::Held,
        () => RuleState::NotLookedAt,
    };
    let judged = &run.header.subject.judged;
    spec.rules.iter().filter(|rule| judged.contains(&rule.actor)).map(|rule| (rule, state(rule))).collect()
}

/// The names of the rules that no scenario looked at, where they are few.
fn not_looked_at(run: &Run<'_>, spec: &Spec) -> String {
    let names: Vec<&str> = rule_states(run, spec)
        .into_iter()
        .filter(|(_, state)| *state == RuleState::NotLookedAt)
        .map(|(rule, _)| rule.id.as_str())
        .collect();
    match names.len() {
        1..=3 if names.len() as u64 == run.footer.rules_untested => format!(" ({})", names.join(", ")),
        _ => String::new(),
    }
}

/// The counts of the run, in a sentence or two.
pub(super) fn counts(run: &Run<'_>, spec: &Spec) -> String {
    let tally = tally(run);
    let told = |verdict: Verdict| Some(format!("{} {}", tally.get(&verdict)?, verdict.as_str()));
    let counts: Vec<String> = Verdict::ALL.into_iter().filter_map(told).collect();
    let footer = run.footer;
    format!(
        "{}: {}. Rules: {} held, {} broken, {} not looked at{}. {:.1} s.",
        plural(run.scenarios.len(), "scenario"),
        counts.join(", "),
        footer.rules_passed,
        footer.rules_failed,
        footer.rules_untested,
        not_looked_at(run, spec),
        footer.millis as f64 / 1000.0,
    )
}

/// The tone of a verdict.
pub(super) fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass | Verdict::UnexpectedPass => Tone::Good,
        Verdict::Fail | Verdict::Error => Tone::Bad,
        Verdict::Warn | Verdict::KnownFailure | Verdict::NotTested => Tone::Careful,
        Verdict::Unsupported => Tone::Plain,
    }
}
