//! The trace as text: gaps first, then counts for each chapter, what is not tested and why, and what drafts lack.

use super::{Gap, Trace, TracedRule};
use crate::spec::{RuleRef, Spec};
use fieldsync_schemas::event::Actor;
use std::fmt::Write;

impl Trace {
    /// The trace as text of this width.
    pub fn text(&self, spec: &Spec, width: usize) -> String {
        let mut out = String::new();
        self.write_gaps(&mut out, width);
        self.write_chapters(spec, &mut out);
        self.write_exclusions(&mut out, width);
        self.write_drafts(&mut out, width);
        out
    }

    /// Every rule as a line: whom it binds, how strongly, and by how many scenarios, mutants and hazards.
    pub fn rules_text(&self) -> String {
        let id_width = self.rows.iter().map(|row| row.rule.to_string().len()).max().unwrap_or(4);
        let mut out = format!("{:id_width$}  side    strength    scenarios  mutants  hazards\n", "rule");
        for row in &self.rows {
            line(
                &mut out,
                format_args!(
                    "{:id_width$}  {:6}  {:10}  {:>9}  {:>7}  {:>7}",
                    row.rule.to_string(),
                    side(row.actor),
                    row.strength.as_str(),
                    row.scenarios.len(),
                    row.mutants.len(),
                    row.hazards.len(),
                ),
            );
        }
        out
    }

    fn write_gaps(&self, out: &mut String, width: usize) {
        match self.gaps.len() {
            0 => out.push_str("no gap\n"),
            1 => out.push_str("1 gap\n"),
            count => line(out, format_args!("{count} gaps")),
        }
        for gap in &self.gaps {
            wrapped(out, &gap.to_string(), "  - ", "    ", width);
        }
        out.push('\n');
    }

    fn write_chapters(&self, spec: &Spec, out: &mut String) {
        let names: Vec<&str> = spec.chapters.iter().map(|chapter| chapter.name.as_str()).collect();
        let first = names.iter().map(|name| name.len()).max().unwrap_or(0).max("chapter".len());
        line(out, format_args!("{:first$}  rules  MUST  scenarios  mutants  untested", "chapter"));
        let mut write_row = |name: &str, rows: &[&TracedRule]| {
            let count = |of: fn(&TracedRule) -> &Vec<String>| {
                let mut all: Vec<&String> = rows.iter().flat_map(|row| of(row)).collect();
                all.sort();
                all.dedup();
                all.len()
            };
            line(
                out,
                format_args!(
                    "{name:first$}  {:>5}  {:>4}  {:>9}  {:>7}  {:>8}{}",
                    rows.len(),
                    rows.iter().filter(|row| row.strength.is_required()).count(),
                    count(|row| &row.scenarios),
                    count(|row| &row.mutants),
                    rows.iter().filter(|row| row.untested.is_some()).count(),
                    if spec.chapter(name).is_some_and(|chapter| chapter.is_draft) { "  draft" } else { "" },
                ),
            );
        };
        for name in names {
            let rows: Vec<&TracedRule> = self.rows.iter().filter(|row| row.chapter == name).collect();
            if !rows.is_empty() {
                write_row(name, &rows);
            }
        }
        write_row("all", &self.rows.iter().collect::<Vec<_>>());
    }

    /// What drafts lack, one paragraph a kind: there is much of it, and none of it is an error.
    fn write_drafts(&self, out: &mut String, width: usize) {
        if self.draft_gaps.is_empty() {
            return;
        }
        line(out, format_args!("\nin drafts, and no error: {} gaps", self.draft_gaps.len()));
        let mut write_kind = |words: &str, names: &[String]| {
            if !names.is_empty() {
                line(out, format_args!("  {words}: {}", names.len()));
                wrapped(out, &names.join(" "), "    ", "    ", width);
            }
        };
        let of = |rule: fn(&Gap) -> Option<&RuleRef>| {
            self.draft_gaps.iter().filter_map(rule).map(RuleRef::to_string).collect::<Vec<_>>()
        };
        let no_scenario = of(|gap| match gap {
            Gap::NoScenario(rule) | Gap::RequiredUntested(rule) => Some(rule),
            _ => None,
        });
        let no_mutant = of(|gap| match gap {
            Gap::NoMutant(rule) => Some(rule),
            _ => None,
        });
        let excluded = of(|gap| match gap {
            Gap::NeedlesslyExcluded { rule, .. } => Some(rule),
            _ => None,
        });
        let planned = self.draft_gaps.iter().filter_map(|gap| match gap {
            Gap::Planned { by } => Some(by.trim_start_matches("hazard ").to_owned()),
            _ => None,
        });
        let (neither, only_no_scenario): (Vec<_>, Vec<_>) =
            no_scenario.into_iter().partition(|rule| no_mutant.contains(rule));
        let only_no_mutant: Vec<_> = no_mutant.into_iter().filter(|rule| !neither.contains(rule)).collect();
        write_kind("rules without a scenario and a mutant", &neither);
        write_kind("rules without a scenario", &only_no_scenario);
        write_kind("rules without a mutant", &only_no_mutant);
        write_kind("rules that are said to be untested, and are covered", &excluded);
        write_kind("rows whose scenarios are planned", &planned.collect::<Vec<_>>());
    }

    fn write_exclusions(&self, out: &mut String, width: usize) {
        for (index, (row, reason)) in self.exclusions().enumerate() {
            if index == 0 {
                out.push_str("\nnot tested, and why\n");
            }
            line(out, format_args!("  {} ({})", row.rule, row.strength));
            wrapped(out, reason, "    ", "    ", width);
        }
    }
}

fn side(actor: Actor) -> &'static str {
    match actor {
        Actor::Server => "server",
        Actor::Device => "device",
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn wrapped(out: &mut String, text: &str, first: &str, next: &str, width: usize) {
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(next)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    out.push_str(&textwrap::fill(text, options));
    out.push('\n');
}
