//! The stored runs: what each says of the rules, and each as the page that `check --html` makes of it.

use super::frame::Frame;
use super::links::{World, chapter_page, run_page};
use super::{BuildSiteError, Sources};
use crate::report::verdict::{ExitStatus, judge};
use crate::report::{Background, RuleState, case_notes, html, verdict_line};
use crate::spec::Spec;
use askama::Template;

#[derive(Template)]
#[template(path = "runs.html")]
struct Page<'a> {
    frame: Frame,
    runs: Vec<Told<'a>>,
    chapters: Vec<Chapter<'a>>,
}

struct Told<'a> {
    name: &'a str,
    page: String,
    subject: &'a str,
    facts: String,
    verdict: String,
    is_good: bool,
}

struct Chapter<'a> {
    title: &'a str,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    rule: &'a str,
    page: String,
    cells: Vec<Option<RuleState>>,
}

/// The page of all runs, and one for each.
pub(super) fn render_all(world: &World<'_>) -> Result<Vec<(String, String)>, BuildSiteError> {
    let sources = world.sources;
    let mut pages = vec![("runs.html".to_owned(), overview(world)?)];
    // The pages of the rules stand one folder above.
    let spec = Spec { pages: Some("..".to_owned()), ..sources.spec.clone() };
    let background = Background { spec: &spec, cases: case_notes(sources.cases) };
    for run in sources.runs {
        pages.push((run_page(run.name), html::render(run.events, &background)?));
    }
    Ok(pages)
}

fn overview(world: &World<'_>) -> Result<String, askama::Error> {
    let Sources { spec, .. } = *world.sources;
    let runs = world.runs.iter().map(|(name, run)| {
        let judgement = judge(run, spec);
        let (_, verdict) = verdict_line(run, &judgement);
        Told {
            name,
            page: run_page(name),
            subject: &run.header.subject.name,
            facts: format!("suite {}, protocol {}", run.header.suite, run.header.protocol),
            verdict: verdict.lines().next().unwrap_or_default().to_owned(),
            is_good: judgement.status == ExitStatus::Conformant,
        }
    });
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    for chapter in &spec.chapters {
        let rules = spec.rules.iter().filter(|rule| rule.chapter == chapter.name);
        let rows = rules.filter_map(|rule| {
            let states = world.states(rule.id.as_str());
            let of = |name: &str| states.iter().find(|(run, _)| *run == name).map(|(_, state)| *state);
            let cells = world.runs.iter().map(|(name, _)| of(name)).collect();
            let page = format!("{}#r-{}", chapter_page(&rule.chapter), rule.id);
            (!states.is_empty()).then_some(Row { rule: rule.id.as_str(), page, cells })
        });
        let rows: Vec<Row<'_>> = rows.collect();
        if !rows.is_empty() {
            chapters.push(Chapter { title: &chapter.title, rows });
        }
    }
    Page { frame: Frame::new(world, "runs.html", "Runs"), runs: runs.collect(), chapters }.render()
}

/// The class of a state.
pub(super) fn class(state: &RuleState) -> &'static str {
    match state {
        RuleState::Held => "held",
        RuleState::Broken => "broken",
        RuleState::Advice => "advice",
        RuleState::NotLookedAt => "idle",
    }
}
