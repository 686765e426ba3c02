//! A scenario as a page: the rules that it covers, what happened when it was run, and its source.

use super::frame::Frame;
use super::links::{World, chapter_page, scenario_page};
use crate::report::diagram::{Diagram, Mark, draw};
use crate::report::html::{RuleView, rule_view, sign_of};
use crate::report::unexpanded;
use crate::scenario::Case;
use askama::Template;
use fieldsync_schemas::event::{ScenarioEnded, Verdict};

#[derive(Template)]
#[template(path = "scenario.html")]
struct Page<'a> {
    frame: Frame,
    id: &'a str,
    case: &'a Case,
    chapter: &'a str,
    chapter_page: String,
    rules: Vec<(RuleView<'a>, String)>,
    played: Option<&'a ScenarioEnded>,
    variants: Vec<&'a str>,
    diagram: Option<Diagram>,
    runs: Vec<(&'a str, Verdict)>,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

/// The page of a scenario.
pub(super) fn render(world: &World<'_>, id: &str) -> Result<String, askama::Error> {
    let sources = world.sources;
    let cases = &world.cases[id];
    let case = cases[0];
    let rules = case.scenario.covers.iter().map(|rule| {
        let page = world.rule(rule.as_str()).unwrap_or_default();
        (rule_view(rule.as_str(), sources.spec.rule(rule.as_str()), None, None), page)
    });
    let ids: Vec<&str> = world.cases.keys().copied().filter(|other| chapter_of(other) == chapter_of(id)).collect();
    let here = ids.iter().position(|other| *other == id).unwrap_or_default();
    let played = sources.played.get(id);
    let worst = |scenarios: &[&ScenarioEnded]| {
        scenarios.iter().filter(|ended| unexpanded(&ended.id) == id).map(|ended| ended.verdict).max_by_key(badness)
    };
    let page = Page {
        frame: Frame::new(world, &scenario_page(id), &*case.scenario.title),
        id,
        case,
        chapter: sources.spec.chapter(&case.chapter).map_or(&case.chapter, |chapter| &chapter.title),
        chapter_page: chapter_page(&case.chapter),
        rules: rules.collect(),
        played,
        variants: cases.iter().filter_map(|case| case.id.strip_prefix(id)).filter(|end| !end.is_empty()).collect(),
        diagram: played.and_then(draw),
        runs: world.runs.iter().filter_map(|(name, run)| Some((*name, worst(&run.scenarios)?))).collect(),
        before: here.checked_sub(1).map(|index| ids[index]),
        after: ids.get(here + 1).copied(),
    };
    page.render()
}

fn chapter_of(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// Of several verdicts on one file, the one that is told.
fn badness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 7,
        Verdict::Error => 6,
        Verdict::KnownFailure => 5,
        Verdict::Warn => 4,
        Verdict::UnexpectedPass => 3,
        Verdict::Pass => 2,
        Verdict::NotTested => 1,
        Verdict::Unsupported => 0,
    }
}
