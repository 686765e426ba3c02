//! Runs beside one another, in Markdown.

use super::{Comparison, Meaning, RuleState, ToldChange, counted, picked, rest};
use crate::report::markdown::{code, line, text};
use crate::report::verdict::ExitStatus;
use std::fmt::Write;

/// The most changes of a kind that are listed.
const MOST_CHANGES: usize = 100;
/// Of those that do not count by themselves.
const FEW: usize = 10;

/// Tells a comparison in Markdown.
pub fn render(comparison: &Comparison<'_>) -> String {
    let mut out = String::from("## Runs compared\n\n| | run | verdict | subject |\n|---|---|---|---|\n");
    for column in &comparison.columns {
        let sign = if column.status == ExitStatus::Conformant { "✅" } else { "❌" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {sign} {} | {} |",
            column.letter,
            code(&column.name),
            text(&column.verdict),
            code(&column.subject)
        );
    }
    out.push('\n');
    if let Some(changes) = &comparison.changes {
        line(&mut out, format_args!("### Changes from A to B"));
        list(&mut out, "Rules", &changes.told_rules());
        list(&mut out, "Scenarios", &changes.told_scenarios());
        for about in &changes.about {
            let _ = writeln!(out, "- {}", code(about));
        }
        if !changes.about.is_empty() {
            out.push('\n');
        }
        if changes.rules.is_empty() && changes.scenarios.is_empty() {
            line(&mut out, format_args!("No rule and no scenario fared otherwise."));
        }
    }
    write_matrix(&mut out, comparison);
    out
}

fn list(out: &mut String, what: &str, all: &[ToldChange<'_>]) {
    if all.is_empty() {
        return;
    }
    line(out, format_args!("**{what}:** {}", counted(all)));
    let (picked, more) = picked(all, MOST_CHANGES, FEW);
    for one in picked {
        let sign = match one.meaning {
            Meaning::Worse => "❌ ",
            Meaning::Better => "✅ ",
            Meaning::Unseen | Meaning::New => "",
        };
        let _ = writeln!(out, "- {sign}{} {}", code(one.name), one.told);
    }
    if more > 0 {
        let _ = writeln!(out, "- … {more} more");
    }
    out.push('\n');
}

fn write_matrix(out: &mut String, comparison: &Comparison<'_>) {
    let rows: Vec<_> = comparison.rows.iter().filter(|row| row.is_broken_somewhere()).collect();
    if !rows.is_empty() {
        let head: String = comparison.columns.iter().map(|column| format!(" {} |", column.letter)).collect();
        let _ = writeln!(out, "| rule |{head}\n|---|{}", "---|".repeat(comparison.columns.len()));
        for row in &rows {
            let cells: String = row.states.iter().map(|state| format!(" {} |", cell(*state))).collect();
            let _ = writeln!(out, "| `{}` |{cells}", row.rule.id);
        }
        out.push('\n');
    }
    line(out, format_args!("{}", rest(&comparison.rows)));
}

fn cell(state: Option<RuleState>) -> String {
    match state {
        None => String::new(),
        Some(RuleState::Held) => "✅ held".to_owned(),
        Some(RuleState::Broken) => "❌ broken".to_owned(),
        Some(RuleState::Advice) => "⚠️ advice not taken".to_owned(),
        Some(RuleState::NotLookedAt) => "not looked at".to_owned(),
    }
}
