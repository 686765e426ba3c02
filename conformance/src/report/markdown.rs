//! The run as a summary in Markdown, for the page of a CI job: the verdict, the findings, the counts.
//!
//! Whatever a subject said stands in code, whose fence is longer than any run of backticks in it; names and titles are
//! escaped. Nothing of it links, mentions, embeds or draws; the rules lead to the specification.

use super::findings::{Finding, new_and_known};
use super::html::pieces;
use super::summary::{self, Tally, plural};
use super::text::{Tone, visible};
use super::verdict::judge;
use super::{Background, IncompleteStream, Run, diff, finding_text, unexpanded};
use crate::tap::redact::cut;
use fieldsync_schemas::event::{Event, Verdict};
use std::fmt::Write;

/// The findings that are told whole; a job's page takes a megabyte.
const MOST_FINDINGS: usize = 20;
/// The width of the text in code.
const WIDTH: usize = 100;
/// The most reasons of a kind.
const MOST_REASONS: usize = 20;

/// The run as a summary.
pub fn render(events: &[Event], background: &Background<'_>) -> Result<String, IncompleteStream> {
    let run = Run::of(events)?;
    let judgement = judge(&run, background.spec);
    let (tone, verdict) = summary::verdict_line(&run, &judgement);
    let mut out = String::new();
    let sign = match tone {
        Tone::Good => "✅",
        Tone::Careful => "☑️",
        _ => "❌",
    };
    let mut lines = verdict.lines();
    line(&mut out, format_args!("## {sign} {}", text(&cut(lines.next().unwrap_or_default(), 300))));
    let rest: Vec<&str> = lines.collect();
    if !rest.is_empty() {
        fenced(&mut out, "", &rest.join("\n"));
    }
    let header = run.header;
    line(
        &mut out,
        format_args!(
            "{} · suite {} · protocol {} · seed {}",
            code(&header.subject.name),
            text(&header.suite),
            text(&header.protocol),
            header.seed
        ),
    );
    let (found, known) = new_and_known(&run, background.spec);
    if !found.is_empty() {
        line(&mut out, format_args!("### Findings ({})", found.len()));
    }
    for finding in found.iter().take(MOST_FINDINGS) {
        write_finding(&mut out, finding, &run, background);
    }
    if found.len() > MOST_FINDINGS {
        let more = plural(found.len() - MOST_FINDINGS, "more finding");
        line(&mut out, format_args!("… and {more}: the other reports have them all."));
    }
    let problems = summary::baseline_lines(&run);
    if !problems.is_empty() {
        line(&mut out, format_args!("### The baseline is out of date ({})", problems.len()));
        fenced(&mut out, "", &visible_lines(&problems));
    }
    if !known.is_empty() {
        line(&mut out, format_args!("<details><summary>Known failures: {}</summary>", judgement.known));
        let told: Vec<String> = known.iter().take(MOST_REASONS).map(summary::known_line).collect();
        fenced(&mut out, "", &visible_lines(&told));
        if known.len() > MOST_REASONS {
            line(&mut out, format_args!("… {}", plural(known.len() - MOST_REASONS, "more finding")));
        }
        line(&mut out, format_args!("</details>"));
    }
    for capability in &judgement.empty_claims {
        let words = "is claimed, but every scenario of it was skipped as not offered";
        line(&mut out, format_args!("The capability {} {words}.", code(capability)));
    }
    if run.scenarios.is_empty() {
        return Ok(out);
    }
    write_tables(&mut out, &run, background);
    line(&mut out, format_args!("{}", text(&summary::counts(&run, background.spec))));
    write_reasons(&mut out, &run, Verdict::Error, "Could not be judged, by the suite's own fault");
    write_reasons(&mut out, &run, Verdict::NotTested, "Not tested");
    write_reasons(&mut out, &run, Verdict::Unsupported, "Not claimed");
    if let Some(cleanup) = &run.footer.cleanup {
        line(&mut out, format_args!("Cleanup: {} deleted.", plural(cleanup.deleted as usize, "record")));
        for (reason, count) in &cleanup.left {
            line(&mut out, format_args!("⚠️ {} left behind: {}", plural(*count as usize, "record"), code(reason)));
        }
    }
    Ok(out)
}

fn visible_lines(lines: &[String]) -> String {
    lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}

/// A sentence of this project, in which code stands between backticks.
fn coded(sentence: &str) -> String {
    pieces(sentence).iter().map(|piece| if piece.is_code { code(piece.text) } else { text(piece.text) }).collect()
}

/// A paragraph.
pub(super) fn line(out: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{words}\n");
}

fn write_finding(out: &mut String, finding: &Finding<'_>, run: &Run<'_>, background: &Background<'_>) {
    let rule = background.spec.rule(finding.rule.as_str());
    let sign = if finding.is_required { "❌" } else { "⚠️" };
    let strength = rule.map_or("", |rule| rule.strength.as_str());
    let count = plural(finding.scenarios.len(), "scenario");
    let name = match rule.and_then(|rule| background.spec.link(rule)) {
        Some(link) => format!("[`{}`](<{link}>)", finding.rule),
        None => format!("`{}`", finding.rule),
    };
    line(out, format_args!("#### {sign} {name} · {strength} · {count}"));
    let sentence = rule.map_or("This rule is not in the specification that was read.", |rule| &rule.sentence);
    line(out, format_args!("> {}", coded(sentence)));
    let case = background.case(&finding.shown.id);
    if let Some(harm) = case.and_then(|case| case.harm.as_ref()) {
        line(out, format_args!("**What it means:** {}", coded(harm)));
    }
    if let Some(blame) = finding.blame() {
        line(out, format_args!("**Whose fault:** {blame}"));
    }
    line(out, format_args!("Checked: {}", code(&finding.failure.what)));
    fenced(out, "diff", &diff::unified(finding.failure, WIDTH));
    let exchange = finding_text::exchange(finding, WIDTH).plain();
    if !exchange.is_empty() {
        line(out, format_args!("<details><summary>What passed on the wire</summary>"));
        fenced(out, "", &exchange);
        line(out, format_args!("</details>"));
    }
    let name = run.name_of(finding.shown);
    let file = case
        .map_or_else(|| format!("fixtures/scenarios/{}.yaml", unexpanded(&finding.shown.id)), |case| case.file.clone());
    let place = if finding.failure.line > 0 { format!("{file}:{}", finding.failure.line) } else { file };
    line(out, format_args!("Scenario {}: {} ({})", code(&name), text(&finding.shown.title), code(&place)));
    fenced(out, "sh", &visible(&finding_text::reproduce(run, finding.shown)));
}

fn write_tables(out: &mut String, run: &Run<'_>, background: &Background<'_>) {
    let all = summary::tally(run);
    let mut rows = summary::chapters(run, background.spec);
    let profiles = summary::profiles(run);
    if profiles.len() > 1 {
        rows.extend(profiles);
    }
    rows.push(("all".to_owned(), all.clone()));
    let columns = summary::columns(&all);
    let head: String = columns.iter().map(|verdict| format!(" {} |", verdict.as_str())).collect();
    let _ = writeln!(out, "| |{head}\n|---|{}", "--:|".repeat(columns.len()));
    for (name, counts) in &rows {
        let _ = writeln!(out, "| {} |{}", text(name), cells(counts, &columns));
    }
    out.push('\n');
}

fn cells(counts: &Tally, columns: &[Verdict]) -> String {
    let cell = |verdict: &Verdict| match counts.get(verdict) {
        None => " - |".to_owned(),
        Some(count) => format!(" {count} |"),
    };
    columns.iter().map(cell).collect()
}

fn write_reasons(out: &mut String, run: &Run<'_>, verdict: Verdict, title: &str) {
    let reasons = summary::reasons(run, verdict);
    if reasons.is_empty() {
        return;
    }
    let count: usize = reasons.iter().map(|(_, count)| count).sum();
    line(out, format_args!("<details><summary>{title}: {count}</summary>"));
    for (reason, count) in reasons.iter().take(MOST_REASONS) {
        let _ = writeln!(out, "- {count} × {}", code(&cut(reason, 300)));
    }
    if reasons.len() > MOST_REASONS {
        let _ = writeln!(out, "- … {}", plural(reasons.len() - MOST_REASONS, "more reason"));
    }
    out.push('\n');
    line(out, format_args!("</details>"));
}

/// A text in a line: nothing in it is Markdown, HTML, a link or a mention.
pub(super) fn text(words: &str) -> String {
    let mut out = String::new();
    for character in visible(words).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => out.extend(['\\', character]),
            // A space of no width keeps names from being mentions, and addresses from being links.
            '@' => out.push_str("@\u{2060}"),
            ':' => out.push_str(":\u{2060}"),
            _ => out.push(character),
        }
    }
    out.replace(":\u{2060} ", ": ").replace("www.", "www\u{2060}.")
}

/// Code in a line of a table or of text.
pub(super) fn code(words: &str) -> String {
    // A bar would end the cell of a table, in code, too.
    let words = visible(words).replace('|', "¦");
    let fence = "`".repeat(longest_run(&words) + 1);
    let room = if words.starts_with('`') || words.ends_with('`') || words.is_empty() { " " } else { "" };
    format!("{fence}{room}{words}{room}{fence}")
}

/// A block of code. Its lines are visible already.
pub(super) fn fenced(out: &mut String, language: &str, words: &str) {
    let fence = "`".repeat(longest_run(words).max(2) + 1);
    let _ = writeln!(out, "{fence}{language}\n{}\n{fence}\n", words.trim_end_matches('\n'));
}

/// The longest run of backticks.
fn longest_run(words: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for character in words.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests;
