//! The report that people read: a verdict in one line, then the findings, then the counts.

use super::findings::findings;
use super::text::{Text, Tone};
use super::verdict::{ExitStatus, Judgement, judge};
use super::{Background, IncompleteStream, Run, chapter_of, finding_text};
use crate::spec::{CAPABILITIES, CLIENT_CAPABILITIES, Rule, RuleRef};
use fieldsync_schemas::event::{Actor, Event, ScenarioEnded, Verdict};
use std::collections::BTreeMap;

/// Tells a whole run in lines of at most `width` columns.
pub fn render(events: &[Event], background: &Background<'_>, width: usize) -> Result<Text, IncompleteStream> {
    let run = Run::of(events)?;
    let judgement = judge(&run, background.spec, background.require_all);
    let mut out = Text::default();
    write_verdict(&mut out, &run, &judgement, background, width);
    write_subject(&mut out, &run, width);
    write_findings(&mut out, &run, background, width);
    write_empty_claims(&mut out, &judgement, width);
    if run.scenarios.is_empty() {
        return Ok(out);
    }
    out.blank();
    write_table(&mut out, &run, background);
    write_reasons(&mut out, &run, Verdict::Error, "could not be judged, by the suite's own fault", width);
    write_reasons(&mut out, &run, Verdict::NotTested, "not tested", width);
    write_reasons(&mut out, &run, Verdict::Unsupported, "not claimed", width);
    out.blank();
    write_counts(&mut out, &run, background, width);
    write_cleanup(&mut out, &run, width);
    Ok(out)
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

fn write_verdict(out: &mut Text, run: &Run<'_>, judgement: &Judgement, background: &Background<'_>, width: usize) {
    let (tone, line) = verdict_line(run, judgement, background);
    // A reason may hold the last lines of a log.
    line.lines().for_each(|line| out.wrapped(tone, "", line, width));
}

fn verdict_line(run: &Run<'_>, judgement: &Judgement, background: &Background<'_>) -> (Tone, String) {
    if let Some(blocked) = run.blocked {
        let word = if blocked.unreachable { "not reached" } else { "blocked" };
        return (Tone::Bad, format!("{word} while {}: {}", blocked.doing, blocked.reason));
    }
    let mut levels = vec!["core".to_owned()];
    levels.extend(run.header.subject.profiles.iter().map(ToString::to_string));
    let all = if run.header.subject.judged == [Actor::Device] { CLIENT_CAPABILITIES } else { CAPABILITIES };
    let capabilities = format!("{} of {} capabilities", judgement.shown.len(), all.len());
    match judgement.status {
        ExitStatus::Conformant if background.filtered => (
            Tone::Good,
            format!("no rule broken in {} that ran; a part of the suite", plural(judgement.ran, "scenario")),
        ),
        ExitStatus::Conformant => (Tone::Good, format!("{}: conformant; {capabilities}", levels.join(" + "))),
        ExitStatus::NotConformant => (Tone::Bad, format!("not conformant: {}", why_not(judgement))),
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
    if reasons.is_empty() && judgement.not_tested > 0 {
        reasons.push(format!("{} not tested, and all are required", plural(judgement.not_tested, "scenario")));
    }
    if reasons.is_empty() {
        reasons.push("a scenario failed".to_owned());
    }
    reasons.join("; ")
}

fn write_subject(out: &mut Text, run: &Run<'_>, width: usize) {
    let header = run.header;
    let words =
        format!("{}; suite {}, protocol {}, seed {}", header.subject.name, header.suite, header.protocol, header.seed);
    out.wrapped(Tone::Faint, "", &words, width);
}

fn write_findings(out: &mut Text, run: &Run<'_>, background: &Background<'_>, width: usize) {
    let findings = findings(run, background.spec);
    if findings.is_empty() {
        return;
    }
    out.blank();
    out.line(Tone::Strong, format!("FINDINGS ({})", findings.len()));
    for finding in &findings {
        out.blank();
        out.append(finding_text::tell(finding, run, background, width));
    }
}

fn write_empty_claims(out: &mut Text, judgement: &Judgement, width: usize) {
    for capability in &judgement.empty_claims {
        out.blank();
        let words = format!(
            "The session lists the capability {capability}, but every scenario of it was skipped as not offered. Offer it, or take it out of the session."
        );
        out.wrapped(Tone::Bad, "", &words, width);
    }
}

/// The chapters of a run in the order of the specification, each with its counts by verdict.
fn chapters(run: &Run<'_>, background: &Background<'_>) -> Vec<(String, BTreeMap<Verdict, usize>)> {
    let mut counts: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    for scenario in &run.scenarios {
        *counts.entry(chapter_of(&scenario.id)).or_default().entry(scenario.verdict).or_default() += 1;
    }
    let order =
        |name: &str| background.spec.chapters.iter().position(|chapter| chapter.name == name).unwrap_or(usize::MAX);
    let mut chapters: Vec<_> = counts.into_iter().map(|(name, counts)| (name.to_owned(), counts)).collect();
    chapters.sort_by_key(|(name, _)| order(name));
    chapters
}

fn write_table(out: &mut Text, run: &Run<'_>, background: &Background<'_>) {
    let mut rows = chapters(run, background);
    let mut all: BTreeMap<Verdict, usize> = BTreeMap::new();
    for (verdict, count) in rows.iter().flat_map(|(_, counts)| counts) {
        *all.entry(*verdict).or_default() += count;
    }
    let columns: Vec<Verdict> =
        Verdict::ALL.into_iter().filter(|verdict| *verdict == Verdict::Pass || all.contains_key(verdict)).collect();
    rows.push(("all".to_owned(), all));
    let first = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("chapter".len());
    let head: String = columns.iter().map(|verdict| format!("  {}", verdict.as_str())).collect();
    out.line(Tone::Strong, format!("{:first$}{head}", "chapter"));
    for (name, counts) in &rows {
        let mut spans = vec![(Tone::Plain, format!("{name:first$}"))];
        for verdict in &columns {
            let width = verdict.as_str().len();
            let count = counts.get(verdict).copied().unwrap_or(0);
            let cell = if count == 0 { "-".to_owned() } else { count.to_string() };
            spans.push((if count == 0 { Tone::Faint } else { tone_of(*verdict) }, format!("  {cell:>width$}")));
        }
        out.spans(spans.iter().map(|(tone, text)| (*tone, text.as_str())));
    }
}

fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Fail | Verdict::Error => Tone::Bad,
        Verdict::Warn | Verdict::NotTested => Tone::Careful,
        Verdict::Unsupported => Tone::Plain,
    }
}

/// Why scenarios with this verdict did not run, each reason once with its count.
fn write_reasons(out: &mut Text, run: &Run<'_>, verdict: Verdict, title: &str, width: usize) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for scenario in run.scenarios.iter().filter(|scenario| scenario.verdict == verdict) {
        *reasons.entry(scenario.reason.as_deref().unwrap_or("no reason was given")).or_default() += 1;
    }
    if reasons.is_empty() {
        return;
    }
    out.blank();
    out.line(Tone::Strong, title);
    let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons {
        out.wrapped(Tone::Plain, &format!("  {count:>4}  "), reason, width);
    }
}

/// The names of the rules that no scenario looked at, where they are few.
fn not_looked_at(run: &Run<'_>, background: &Background<'_>) -> String {
    let looked_at = |rule: &Rule| {
        let covered = |one: &&&ScenarioEnded| {
            matches!(one.verdict, Verdict::Pass | Verdict::Warn | Verdict::Fail)
                && one.covers.iter().any(|covered| RuleRef::from(covered).id.as_str() == rule.id.as_str())
        };
        run.scenarios.iter().any(|one| covered(&one))
    };
    let judged = &run.header.subject.judged;
    let rules = background.spec.rules.iter().filter(|rule| judged.contains(&rule.actor) && !looked_at(rule));
    let names: Vec<&str> = rules.map(|rule| rule.id.as_str()).collect();
    match names.len() {
        1..=3 if names.len() as u64 == run.footer.rules_untested => format!(" ({})", names.join(", ")),
        _ => String::new(),
    }
}

fn write_counts(out: &mut Text, run: &Run<'_>, background: &Background<'_>, width: usize) {
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict, run.scenarios.iter().filter(|scenario| scenario.verdict == verdict).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.as_str()))
        .collect();
    let footer = run.footer;
    let line = format!(
        "{}: {}. Rules: {} held, {} broken, {} not looked at{}. {:.1} s.",
        plural(run.scenarios.len(), "scenario"),
        counts.join(", "),
        footer.rules_passed,
        footer.rules_failed,
        footer.rules_untested,
        not_looked_at(run, background),
        footer.millis as f64 / 1000.0,
    );
    out.wrapped(Tone::Plain, "", &line, width);
}

/// What is left is no verdict on the subject, but somebody has to look after it.
fn write_cleanup(out: &mut Text, run: &Run<'_>, width: usize) {
    let Some(cleanup) = &run.footer.cleanup else { return };
    out.wrapped(Tone::Plain, "", &format!("Cleanup: {} deleted.", plural(cleanup.deleted as usize, "record")), width);
    for (reason, count) in &cleanup.left {
        let words = format!("warning: {} of this run left behind: {reason}", plural(*count as usize, "record"));
        out.wrapped(Tone::Careful, "", &words, width);
    }
}

#[cfg(test)]
mod tests;
