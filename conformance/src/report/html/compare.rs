//! Several runs beside one another, as a page.

use super::frame::Frame;
use super::view::{RuleView, rule_view};
use crate::report::compare::{Changes, Column, Comparison, Meaning, ToldChange, counted};
use crate::report::summary::RuleState;
use crate::report::verdict::ExitStatus;
use askama::Template;

#[derive(Template)]
#[template(path = "html/compare.html")]
struct Page<'a> {
    frame: Frame,
    columns: &'a [Column],
    changes: Option<&'a Changes>,
    chapters: Vec<Chapter<'a>>,
    held: usize,
}

struct Chapter<'a> {
    name: &'a str,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    rule: RuleView<'a>,
    cells: Vec<Cell>,
}

struct Cell {
    class: &'static str,
    sign: &'static str,
    words: &'static str,
}

/// The comparison as a page.
pub fn render(comparison: &Comparison<'_>) -> Result<String, askama::Error> {
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    for row in &comparison.rows {
        if chapters.last().is_none_or(|last| last.name != row.rule.chapter) {
            chapters.push(Chapter { name: &row.rule.chapter, rows: Vec::new() });
        }
        let rule = rule_view(row.rule.id.as_str(), Some(row.rule), None, comparison.spec.link(row.rule));
        let cells = row.states.iter().map(|state| cell(*state)).collect();
        chapters.last_mut().expect("one was pushed").rows.push(Row { rule, cells });
    }
    let names: Vec<&str> = comparison.columns.iter().map(|column| column.name.as_str()).collect();
    let page = Page {
        frame: Frame::new(format!("Fieldsync: {}", names.join(", "))),
        columns: &comparison.columns,
        changes: comparison.changes.as_ref(),
        chapters,
        held: comparison.rows.iter().filter(|row| row.held_everywhere()).count(),
    };
    page.render()
}

fn cell(state: Option<RuleState>) -> Cell {
    match state {
        None => Cell { class: "idle", sign: "", words: "" },
        Some(state) => Cell { class: class_of(state), sign: state.sign(), words: state.as_str() },
    }
}

/// How many changes do not count by themselves.
fn others(all: &[ToldChange<'_>]) -> usize {
    all.iter().filter(|change| !change.meaning.is_told_whole()).count()
}

fn class_of(state: RuleState) -> &'static str {
    match state {
        RuleState::Held => "held",
        RuleState::Broken => "broken",
        RuleState::Advice => "advice",
        RuleState::NotLookedAt => "idle",
    }
}
