//! The report that people read: a verdict in one line, then the findings, then the counts.

use super::findings::new_and_known;
use super::summary::{self, Tally, plural, tone_of};
use super::text::{Text, Tone};
use super::verdict::{Judgement, judge};
use super::{Background, IncompleteStream, Run, finding_text};
use fieldsync_schemas::event::{Event, Verdict};

/// Tells a whole run in lines of at most `width` columns.
pub fn render(events: &[Event], background: &Background<'_>, width: usize) -> Result<Text, IncompleteStream> {
    let run = Run::of(events)?;
    let judgement = judge(&run, background.spec);
    let mut out = Text::default();
    write_verdict(&mut out, &run, &judgement, width);
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

fn write_verdict(out: &mut Text, run: &Run<'_>, judgement: &Judgement, width: usize) {
    let (tone, line) = summary::verdict_line(run, judgement);
    // A reason may hold the last lines of a log.
    line.lines().for_each(|line| out.wrapped(tone, "", line, width));
}

fn write_subject(out: &mut Text, run: &Run<'_>, width: usize) {
    let header = run.header;
    let words =
        format!("{}; suite {}, protocol {}, seed {}", header.subject.name, header.suite, header.protocol, header.seed);
    out.wrapped(Tone::Faint, "", &words, width);
}

fn write_findings(out: &mut Text, run: &Run<'_>, background: &Background<'_>, width: usize) {
    let (findings, known) = new_and_known(run, background.spec);
    if !findings.is_empty() {
        out.blank();
        out.line(Tone::Strong, format!("FINDINGS ({})", findings.len()));
    }
    for finding in &findings {
        out.blank();
        out.append(finding_text::tell(finding, run, background, width));
    }
    let problems = summary::baseline_lines(run);
    for (title, tone, lines) in
        [("BASELINE", Tone::Bad, problems), ("KNOWN", Tone::Plain, known.iter().map(summary::known_line).collect())]
    {
        if !lines.is_empty() {
            out.blank();
            out.line(Tone::Strong, format!("{title} ({})", lines.len()));
            lines.iter().for_each(|line| out.wrapped(tone, "  ", line, width));
        }
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

fn write_table(out: &mut Text, run: &Run<'_>, background: &Background<'_>) {
    let mut rows = summary::chapters(run, background.spec);
    let all: Tally = summary::tally(run);
    let columns = summary::columns(&all);
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

/// Why scenarios with this verdict did not run, each reason once with its count.
fn write_reasons(out: &mut Text, run: &Run<'_>, verdict: Verdict, title: &str, width: usize) {
    let reasons = summary::reasons(run, verdict);
    if reasons.is_empty() {
        return;
    }
    out.blank();
    out.line(Tone::Strong, title);
    for (reason, count) in reasons {
        out.wrapped(Tone::Plain, &format!("  {count:>4}  "), reason, width);
    }
}

fn write_counts(out: &mut Text, run: &Run<'_>, background: &Background<'_>, width: usize) {
    out.wrapped(Tone::Plain, "", &summary::counts(run, background.spec), width);
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
