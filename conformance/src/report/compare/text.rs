//! Runs beside one another, on a terminal.

use super::{Changes, Column, Comparison, Meaning, RuleState, ToldChange, counted, picked, rest};
use crate::report::text::{Text, Tone};
use crate::report::verdict::ExitStatus;
use crate::tap::redact::cut;

/// The most changes of a kind that are listed.
const MOST_CHANGES: usize = 60;
/// Of those that do not count by themselves.
const FEW: usize = 8;

/// Tells a comparison in lines of at most `width` columns.
pub fn render(comparison: &Comparison<'_>, width: usize) -> Text {
    let mut out = Text::default();
    for column in &comparison.columns {
        write_column(&mut out, column, width);
    }
    if let Some(changes) = &comparison.changes {
        write_changes(&mut out, changes, width);
    }
    write_matrix(&mut out, comparison, width);
    out
}

fn write_column(out: &mut Text, column: &Column, width: usize) {
    let tone = if column.status == ExitStatus::Conformant { Tone::Good } else { Tone::Bad };
    let label = format!("{}  ", column.letter);
    out.wrapped(tone, &label, &format!("{}: {}", column.name, column.verdict), width);
    out.wrapped(Tone::Faint, &" ".repeat(label.len()), &column.subject, width);
}

fn write_changes(out: &mut Text, changes: &Changes, width: usize) {
    out.blank();
    if *changes == Changes::default() {
        out.line(Tone::Plain, "nothing changed from A to B");
        return;
    }
    out.line(Tone::Strong, "CHANGES FROM A TO B");
    for line in &changes.about {
        out.wrapped(Tone::Plain, "  ", line, width);
    }
    list(out, "rules", &changes.told_rules(), width);
    list(out, "scenarios", &changes.told_scenarios(), width);
}

fn list(out: &mut Text, what: &str, all: &[ToldChange<'_>], width: usize) {
    if all.is_empty() {
        return;
    }
    out.blank();
    out.wrapped(Tone::Plain, "  ", &format!("{what}: {}", counted(all)), width);
    let (picked, more) = picked(all, MOST_CHANGES, FEW);
    for one in picked {
        let (tone, sign) = match one.meaning {
            Meaning::Worse => (Tone::Bad, "X"),
            Meaning::Better => (Tone::Good, "+"),
            Meaning::Unseen | Meaning::New => (Tone::Faint, "."),
        };
        out.wrapped(tone, &format!("  {sign} "), &format!("{}  {}", one.name, one.told), width);
    }
    if more > 0 {
        out.line(Tone::Faint, format!("    … {more} more"));
    }
}

/// The rules that a run broke; how the others fared is a line.
fn write_matrix(out: &mut Text, comparison: &Comparison<'_>, width: usize) {
    let rows: Vec<_> = comparison.rows.iter().filter(|row| row.is_broken_somewhere()).collect();
    out.blank();
    if rows.is_empty() {
        out.wrapped(Tone::Plain, "", &rest(&comparison.rows), width);
        return;
    }
    let cells = 4 * comparison.columns.len();
    let most = width.saturating_sub(cells).max(20);
    let first = rows.iter().map(|row| row.rule.id.as_str().len()).max().unwrap_or(0).min(most);
    let head: String = comparison.columns.iter().map(|column| format!("  {:>2}", column.letter)).collect();
    out.line(Tone::Strong, format!("{:first$}{head}", "rule"));
    for row in rows {
        let name = cut(row.rule.id.as_str(), first);
        let mut spans = vec![(Tone::Plain, format!("{name:first$}"))];
        spans.extend(row.states.iter().map(|state| (tone_of(*state), format!("  {:>2}", sign_of(*state)))));
        out.spans(spans.iter().map(|(tone, text)| (*tone, text.as_str())));
    }
    out.blank();
    out.wrapped(Tone::Faint, "", "+ held, X broken, ! advice not taken, . not looked at, blank: binds others", width);
    out.wrapped(Tone::Plain, "", &rest(&comparison.rows), width);
}

fn sign_of(state: Option<RuleState>) -> &'static str {
    match state {
        None => "",
        Some(RuleState::Held) => "+",
        Some(RuleState::Broken) => "X",
        Some(RuleState::Advice) => "!",
        Some(RuleState::NotLookedAt) => ".",
    }
}

fn tone_of(state: Option<RuleState>) -> Tone {
    match state {
        Some(RuleState::Held) => Tone::Good,
        Some(RuleState::Broken) => Tone::Bad,
        Some(RuleState::Advice) => Tone::Careful,
        Some(RuleState::NotLookedAt) | None => Tone::Faint,
    }
}
