//! The tables that lead from elsewhere to rules and scenarios: hazards, the seed's sentences, ambiguities.

use super::flaw::Flaw;
use super::markdown::{BlockKind, blocks};
use super::rule::RuleRef;

/// A known way in which a sync goes wrong, and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hazard {
    /// Its id, such as `H21` or `S06`.
    pub id: String,
    /// What goes wrong.
    pub hazard: String,
    /// The rules that forbid it.
    pub rules: Vec<RuleRef>,
    /// The scenarios that show that it does not happen.
    pub scenarios: Vec<String>,
    /// Whether scenarios are still to be written: the cell says `planned`, without backticks.
    pub planned: bool,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

/// A sentence of an earlier system's document, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// What the document says.
    pub sentence: String,
    /// The rules that it became.
    pub rules: Vec<RuleRef>,
    /// The scenarios that show them.
    pub scenarios: Vec<String>,
    /// Whether scenarios are still to be written: the cell says `planned`, without backticks.
    pub planned: bool,
    /// Where Fieldsync differs; empty where it does not.
    pub deviation: String,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

/// A question that the text left open, and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Ambiguity {
    /// The question.
    pub question: String,
    /// The answer.
    pub ruling: String,
    /// The rules that say so.
    pub rules: Vec<RuleRef>,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

/// One row of a table, without its head.
struct Row {
    cells: Vec<String>,
    line: u32,
}

/// The rows of every table in a text. A row with another number of cells than `columns` names is a flaw.
fn rows(file: &str, text: &str, columns: &[&str], flaws: &mut Vec<Flaw>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut current = None;
    for block in blocks(text) {
        let BlockKind::Cell { row, column } = block.kind else { continue };
        if row == 0 {
            check_head(file, &block.text, column, columns, block.line, flaws);
        } else if current == Some((row, block.line)) {
            rows.last_mut().expect("a row was begun").cells.push(block.text);
        } else {
            current = Some((row, block.line));
            rows.push(Row { cells: vec![block.text], line: block.line });
        }
    }
    rows.retain(|row| {
        let whole = row.cells.len() == columns.len();
        if !whole {
            let problem = format!("a row of this table has {} cells: {}", columns.len(), columns.join(" | "));
            flaws.push(Flaw::new(file, row.line, problem));
        }
        whole
    });
    rows
}

fn check_head(file: &str, text: &str, column: usize, columns: &[&str], line: u32, flaws: &mut Vec<Flaw>) {
    if columns.get(column).is_none_or(|name| !text.trim().eq_ignore_ascii_case(name)) {
        let problem = format!("the columns of this table are {}; got {text:?}", columns.join(" | "));
        flaws.push(Flaw::new(file, line, problem));
    }
}

/// The names in a cell: its code spans, separated by commas or spaces.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).flat_map(|span| span.split([',', ' '])).filter(|name| !name.is_empty()).collect()
}

fn rule_refs(file: &str, line: u32, cell: &str, flaws: &mut Vec<Flaw>) -> Vec<RuleRef> {
    let mut found = Vec::new();
    for name in names(cell) {
        match name.parse() {
            Ok(reference) => found.push(reference),
            Err(error) => flaws.push(Flaw::new(file, line, format!("{name}: {error}"))),
        }
    }
    found
}

fn scenario_ids(cell: &str) -> Vec<String> {
    names(cell).into_iter().map(str::to_owned).collect()
}

/// Whether a cell says outside its code spans that more is planned.
fn is_planned(cell: &str) -> bool {
    cell.split('`').step_by(2).flat_map(|part| part.split([',', ' '])).any(|word| word == "planned")
}

fn is_hazard_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.trim_start_matches(|c: char| c.is_ascii_uppercase()).bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads `hazards.md`: id, hazard, rules, scenarios.
pub(super) fn hazards(file: &str, text: &str, flaws: &mut Vec<Flaw>) -> Vec<Hazard> {
    let mut found: Vec<Hazard> = Vec::new();
    for Row { cells, line } in rows(file, text, &["id", "hazard", "rules", "scenarios"], flaws) {
        let id = cells[0].trim().trim_matches('`').to_owned();
        if !is_hazard_id(&id) {
            flaws.push(Flaw::new(
                file,
                line,
                format!("a hazard's id is letters and a number, such as H21; got {id:?}"),
            ));
            continue;
        }
        if found.iter().any(|hazard| hazard.id == id) {
            flaws.push(Flaw::new(file, line, format!("the hazard {id} has a row already")));
        }
        found.push(Hazard {
            id,
            hazard: cells[1].trim().to_owned(),
            rules: rule_refs(file, line, &cells[2], flaws),
            scenarios: scenario_ids(&cells[3]),
            planned: is_planned(&cells[3]),
            file: file.to_owned(),
            line,
        });
    }
    found
}

/// Reads `from-ode.md`: sentence, rules, scenarios, deviation.
pub(super) fn origins(file: &str, text: &str, flaws: &mut Vec<Flaw>) -> Vec<Origin> {
    let rows = rows(file, text, &["sentence", "rules", "scenarios", "deviation"], flaws);
    rows.into_iter()
        .map(|Row { cells, line }| Origin {
            sentence: cells[0].trim().to_owned(),
            rules: rule_refs(file, line, &cells[1], flaws),
            scenarios: scenario_ids(&cells[2]),
            planned: is_planned(&cells[2]),
            deviation: cells[3].trim().to_owned(),
            file: file.to_owned(),
            line,
        })
        .collect()
}

/// Reads `ambiguities.md`: question, ruling, rules.
pub(super) fn ambiguities(file: &str, text: &str, flaws: &mut Vec<Flaw>) -> Vec<Ambiguity> {
    let rows = rows(file, text, &["question", "ruling", "rules"], flaws);
    rows.into_iter()
        .map(|Row { cells, line }| Ambiguity {
            question: cells[0].trim().to_owned(),
            ruling: cells[1].trim().to_owned(),
            rules: rule_refs(file, line, &cells[2], flaws),
            file: file.to_owned(),
            line,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "| id | hazard | rules | scenarios |\n|---|---|---|---|\n";

    #[test]
    fn a_hazard_names_rules_and_scenarios() {
        let text =
            format!("{HEAD}| H21 | Twice | `push.a.b`, `push.a.c+2` | `push/x` `push/y` |\n| `S06` | None | | |\n");
        let mut flaws = Vec::new();
        let found = hazards("hazards.md", &text, &mut flaws);
        assert_eq!(flaws, []);
        assert_eq!(found[0].rules.iter().map(RuleRef::to_string).collect::<Vec<_>>(), ["push.a.b", "push.a.c+2"]);
        assert_eq!(found[0].scenarios, ["push/x", "push/y"]);
        assert_eq!((found[1].id.as_str(), found[1].line, found[1].rules.len()), ("S06", 4, 0));
    }

    #[test]
    fn what_is_planned_is_no_scenario() {
        let text =
            format!("{HEAD}| H1 | x | | planned |\n| H2 | x | | `push/x`, planned |\n| H3 | x | | `planned` |\n");
        let found = hazards("hazards.md", &text, &mut Vec::new());
        let seen: Vec<_> = found.iter().map(|hazard| (hazard.planned, hazard.scenarios.len())).collect();
        assert_eq!(seen, [(true, 0), (true, 1), (false, 1)]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named() {
        let text = format!("{HEAD}| H1 | x | `push.a` | |\n| soon | x | | |\n| H1 | x | | |\n");
        let mut flaws = Vec::new();
        hazards("hazards.md", &text, &mut flaws);
        let lines: Vec<u32> = flaws.iter().map(|flaw| flaw.line).collect();
        assert_eq!(lines, [3, 4, 5], "{flaws:#?}");
    }

    #[test]
    fn two_tables_are_one_list() {
        let text = format!("{HEAD}| H1 | x | | |\n\n{HEAD}| H2 | x | | |\n");
        assert_eq!(hazards("hazards.md", &text, &mut Vec::new()).len(), 2);
    }

    #[test]
    fn another_table_is_a_flaw() {
        let mut flaws = Vec::new();
        ambiguities("ambiguities.md", "| question | rules |\n|---|---|\n| a | b |\n", &mut flaws);
        assert!(!flaws.is_empty());
    }
}
