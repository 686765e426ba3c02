//! The run as a page for a browser: one file that asks nobody for anything.
//!
//! Everything is in the page as it is written, the drawings of what passed packed; the script filters, unfolds and unpacks. Its policy lets nothing else run, and
//! [every value](escape) that is filled in is text. The page says what the events say and stays small whatever they say:
//! first the [scenarios that show findings](view) are told whole, the others as far as there is room.

mod compare;
pub(crate) mod escape;
mod frame;
mod view;

pub(crate) use view::{Piece, RuleView, pieces, rule_view};

use super::compare::Comparison;
use super::diagram::Mark;
use super::summary::{self, Tally};
use super::verdict::{ExitStatus, judge};
use super::{Background, IncompleteStream, Run};
use askama::Template;
use fieldsync_schemas::event::{Event, Verdict};
use frame::Frame;
use view::{ChapterView, FindingView, ScenarioView};

/// Why a page could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteHtmlError {
    /// The events are not a whole run.
    #[error(transparent)]
    Incomplete(#[from] IncompleteStream),
    /// The template could not be filled.
    #[error("cannot write the page: {0}")]
    Page(#[from] askama::Error),
}

/// The page.
#[derive(Template)]
#[template(path = "html/run.html")]
struct Page<'a> {
    frame: Frame,
    sign: &'static str,
    tone: &'static str,
    verdict: String,
    more: Option<String>,
    run: &'a Run<'a>,
    counts: String,
    found: usize,
    findings: Vec<FindingView<'a>>,
    empty_claims: &'a [String],
    columns: Vec<Verdict>,
    totals: Vec<usize>,
    tables: Vec<Table>,
    reasons: Vec<Reasons<'a>>,
    cleanup: Vec<String>,
    problems: Vec<String>,
    known: Vec<FindingView<'a>>,
    scenarios: Vec<ScenarioView<'a>>,
    /// The drawings of those that passed, packed.
    drawings: String,
    chapters: Vec<ChapterView<'a>>,
}

/// Verdicts by chapter or by profile.
struct Table {
    title: &'static str,
    /// What its rows are.
    of: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    is_sum: bool,
    counts: Vec<usize>,
    /// Where each count's part of the bar begins, and how wide it is, in parts of a hundred.
    bar: Vec<(Verdict, usize, usize)>,
}

struct Reasons<'a> {
    title: &'static str,
    all: Vec<(&'a str, usize)>,
}

/// The run as a page.
pub fn render(events: &[Event], background: &Background<'_>) -> Result<String, WriteHtmlError> {
    let run = Run::of(events)?;
    let judgement = judge(&run, background.spec);
    let (_, told) = summary::verdict_line(&run, &judgement);
    let (sign, tone) = match judgement.status {
        ExitStatus::Conformant if judgement.known > 0 => ("◐", "part"),
        ExitStatus::Conformant if run.header.filtered || run.header.shard.is_some() => ("◐", "part"),
        ExitStatus::Conformant => ("✔", "good"),
        _ => ("✘", "bad"),
    };
    let (verdict, more) = match told.split_once('\n') {
        Some((first, rest)) => (first.to_owned(), Some(rest.to_owned())),
        None => (told, None),
    };
    let all = summary::tally(&run);
    let columns = summary::columns(&all);
    let rows = |rows: Vec<(String, Tally)>| rows.into_iter().map(|(name, tally)| row(name, &tally, &columns)).collect();
    let mut chapters: Vec<Row> = rows(summary::chapters(&run, background.spec));
    let sum = Row { is_sum: true, ..row("all".to_owned(), &all, &columns) };
    let totals = sum.counts.clone();
    chapters.push(sum);
    let mut tables = vec![Table { title: "By chapter", of: "Chapter", rows: chapters }];
    tables.push(Table { title: "By profile", of: "Profile", rows: rows(summary::profiles(&run)) });
    let reasons = [
        (Verdict::Error, "Could not be judged, by the suite's own fault"),
        (Verdict::NotTested, "Not tested"),
        (Verdict::Unsupported, "Not claimed"),
    ];
    let reasons = reasons.map(|(verdict, title)| Reasons { title, all: summary::reasons(&run, verdict) });
    let view::Shown { found, findings, known, mut scenarios } = view::of(&run, background);
    let drawings = view::pack(&mut scenarios)?;
    let page = Page {
        frame: Frame::new(format!("{sign} {verdict} · {}", run.header.subject.name)),
        sign,
        tone,
        verdict,
        more,
        run: &run,
        counts: summary::counts(&run, background.spec),
        found,
        findings,
        empty_claims: &judgement.empty_claims,
        columns,
        totals,
        tables,
        reasons: reasons.into_iter().filter(|reasons| !reasons.all.is_empty()).collect(),
        cleanup: cleanup(&run),
        problems: summary::baseline_lines(&run),
        known,
        chapters: view::chapters(&run, background.spec),
        scenarios,
        drawings,
    };
    Ok(page.render()?)
}

/// Runs beside one another, as a page.
pub fn render_comparison(comparison: &Comparison<'_>) -> Result<String, WriteHtmlError> {
    Ok(compare::render(comparison)?)
}

fn row(name: String, tally: &Tally, columns: &[Verdict]) -> Row {
    let counts: Vec<usize> = columns.iter().map(|verdict| tally.get(verdict).copied().unwrap_or(0)).collect();
    let all: usize = counts.iter().sum::<usize>().max(1);
    let mut seen = 0;
    let mut bar = Vec::new();
    for (verdict, count) in columns.iter().zip(&counts) {
        let (start, end) = (seen * 100 / all, (seen + count) * 100 / all);
        // A failure among a thousand is seen, too.
        bar.push((*verdict, start.min(98), if *count > 0 { (end - start).max(2) } else { 0 }));
        seen += count;
    }
    Row { name, is_sum: false, counts, bar }
}

fn cleanup(run: &Run<'_>) -> Vec<String> {
    let Some(cleanup) = &run.footer.cleanup else { return Vec::new() };
    let deleted = summary::plural(usize::try_from(cleanup.deleted).unwrap_or(usize::MAX), "record");
    let left = cleanup.left.iter().map(|(reason, count)| format!("⚠ {count} left behind: {reason}"));
    [format!("Cleanup: {deleted} deleted.")].into_iter().chain(left).collect()
}

/// The sign of a verdict: none is known by its colour alone.
pub(crate) fn sign_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✔",
        Verdict::UnexpectedPass => "✓",
        Verdict::Warn => "▲",
        Verdict::KnownFailure => "✗",
        Verdict::Fail => "✘",
        Verdict::Error => "‼",
        Verdict::Unsupported => "○",
        Verdict::NotTested => "◌",
    }
}

#[cfg(test)]
mod tests;
