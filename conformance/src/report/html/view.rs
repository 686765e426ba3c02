//! What the page shows of findings, scenarios and rules.

use super::Diagram;
use super::diagram::{self, failed_step};
use crate::report::findings::{Finding, findings};
use crate::report::summary::{RuleState, rule_states};
use crate::report::text::cut;
use crate::report::{Background, Run, diff, finding_text, unexpanded};
use crate::spec::{Rule, Spec};
use fieldsync_schemas::event::{Exchange, Failure, ScenarioEnded, Verdict};
use serde_json::Value;

/// The bytes that the bodies of all exchanges may take. A page is to stay under five megabytes.
const BODIES: usize = 1_600_000;
/// The bytes that the drawings of all scenarios may take.
const DRAWINGS: usize = 1_800_000;
/// The findings that are drawn; the others are where their scenarios stand.
const MOST_DRAWN: usize = 30;
/// The most bytes of one body.
const BODY: usize = 6_000;
/// The characters of a value that stand on one line of a diff.
const ROOM: usize = 90;
/// The scenarios that are named besides the one that shows a finding.
const MOST_NAMES: usize = 12;

/// A finding.
pub(super) struct FindingView<'a> {
    pub rule: RuleView<'a>,
    pub is_required: bool,
    pub failure: FailureView<'a>,
    pub harm: Option<&'a str>,
    /// The scenario that shows it.
    pub shown: Place<'a>,
    pub exchange: Option<ExchangeView<'a>>,
    pub diagram: Option<Diagram>,
    pub count: usize,
    pub others: Vec<Place<'a>>,
    pub more: usize,
    pub reproduce: String,
}

/// A rule as it is referred to.
pub(super) struct RuleView<'a> {
    pub id: &'a str,
    pub strength: &'static str,
    pub sentence: Vec<Piece<'a>>,
    pub link: Option<String>,
    pub state: Option<RuleState>,
}

/// A part of a sentence.
pub(super) struct Piece<'a> {
    pub text: &'a str,
    pub is_code: bool,
}

/// A sentence of the specification, in which code stands between backticks.
fn pieces(sentence: &str) -> Vec<Piece<'_>> {
    let parts = sentence.split('`').enumerate();
    parts.map(|(index, text)| Piece { text, is_code: index % 2 == 1 }).filter(|piece| !piece.text.is_empty()).collect()
}

/// A scenario as it is referred to.
pub(super) struct Place<'a> {
    pub number: usize,
    pub name: String,
    pub title: &'a str,
    /// File and line.
    pub file: String,
}

/// What was expected and not seen.
pub(super) struct FailureView<'a> {
    pub rule: &'a str,
    pub what: &'a str,
    pub diff: diff::Told,
}

/// A scenario.
pub(super) struct ScenarioView<'a> {
    pub number: usize,
    pub ended: &'a ScenarioEnded,
    pub name: String,
    pub rules: Vec<&'a str>,
    pub failures: Vec<FailureView<'a>>,
    pub diagram: Option<Diagram>,
    pub exchanges: Vec<ExchangeView<'a>>,
    /// There was no room for what is not shown.
    pub is_cut: bool,
    pub reproduce: Option<String>,
}

/// An exchange, unfolded.
pub(super) struct ExchangeView<'a> {
    pub number: usize,
    pub exchange: &'a Exchange,
    pub sent: String,
    pub answered: String,
    pub is_shown: bool,
}

impl ExchangeView<'_> {
    /// The status in words.
    pub fn status(&self) -> String {
        self.exchange.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
    }
}

/// A chapter's rules.
pub(super) struct ChapterView<'a> {
    pub title: &'a str,
    pub rules: Vec<RuleView<'a>>,
}

/// The findings and the scenarios.
pub(super) fn of<'a>(run: &Run<'a>, background: &'a Background<'_>) -> (Vec<FindingView<'a>>, Vec<ScenarioView<'a>>) {
    let found = findings(run, background.spec);
    let room = Room::for_the_findings_first(run, &found);
    let scenarios: Vec<ScenarioView<'a>> = run
        .scenarios
        .iter()
        .enumerate()
        .map(|(index, ended)| scenario(index, ended, run, room.bodies[index], room.drawings[index]))
        .collect();
    let drawn = |index: usize| index < MOST_DRAWN;
    let findings = found.iter().enumerate().map(|(index, finding)| view(finding, run, background, drawn(index)));
    (findings.collect(), scenarios)
}

/// Which scenarios are told whole.
struct Room {
    bodies: Vec<bool>,
    drawings: Vec<bool>,
}

impl Room {
    fn for_the_findings_first(run: &Run<'_>, found: &[Finding<'_>]) -> Self {
        let number = |ended: &ScenarioEnded| number_of(run, ended);
        let shown: Vec<usize> = found.iter().map(|finding| number(finding.shown)).collect();
        let failed = (0..run.scenarios.len()).filter(|index| run.scenarios[*index].verdict != Verdict::Pass);
        let mut order: Vec<usize> = shown.into_iter().chain(failed).chain(0..run.scenarios.len()).collect();
        let mut seen = vec![false; run.scenarios.len()];
        order.retain(|index| !std::mem::replace(&mut seen[*index], true));
        let mut room = Self { bodies: vec![false; seen.len()], drawings: vec![false; seen.len()] };
        let (mut bodies, mut drawings) = (BODIES, DRAWINGS);
        for index in order {
            let ended = run.scenarios[index];
            // Indented, a body is about twice as long.
            let size: usize =
                ended.exchanges.iter().map(|one| 2 * (length(&one.sent) + length(&one.answered)) + 300).sum();
            take(&mut bodies, size, &mut room.bodies[index]);
            let size = 400 + 130 * ended.steps.len() + 260 * ended.exchanges.len();
            take(&mut drawings, size, &mut room.drawings[index]);
        }
        room
    }
}

fn take(left: &mut usize, size: usize, fits: &mut bool) {
    if size <= *left {
        *left -= size;
        *fits = true;
    }
}

fn length(body: &Value) -> usize {
    if body.is_null() { 0 } else { body.to_string().len().min(BODY / 2) }
}

fn number_of(run: &Run<'_>, ended: &ScenarioEnded) -> usize {
    run.scenarios.iter().position(|one| std::ptr::eq(*one, ended)).unwrap_or_default()
}

fn scenario<'a>(
    index: usize,
    ended: &'a ScenarioEnded,
    run: &Run<'a>,
    has_bodies: bool,
    is_drawn: bool,
) -> ScenarioView<'a> {
    let shown: Vec<u64> = ended.failures.iter().filter_map(|failure| failure.exchange).collect();
    let tells = has_bodies && ended.verdict != Verdict::Pass;
    let exchanges = ended.exchanges.iter().enumerate().filter(|_| tells);
    let exchanges: Vec<_> =
        exchanges.map(|(index, one)| exchange(index, one, shown.contains(&(index as u64)))).collect();
    ScenarioView {
        number: index + 1,
        ended,
        name: run.name_of(ended),
        rules: ended.covers.iter().map(|rule| id_of(rule.as_str())).collect(),
        failures: ended.failures.iter().map(failure).collect(),
        diagram: if is_drawn { diagram::draw(ended) } else { None },
        is_cut: !is_drawn || (ended.verdict != Verdict::Pass && !tells),
        exchanges,
        reproduce: matches!(ended.verdict, Verdict::Fail | Verdict::Warn | Verdict::Error)
            .then(|| finding_text::reproduce(run, ended)),
    }
}

fn view<'a>(finding: &Finding<'a>, run: &Run<'a>, background: &'a Background<'_>, is_drawn: bool) -> FindingView<'a> {
    let shown = finding.shown;
    let exchange_index = finding.failure.exchange.and_then(|index| usize::try_from(index).ok());
    let one = exchange_index.and_then(|index| Some((index, shown.exchanges.get(index)?)));
    let others = finding.scenarios.iter().skip(1);
    FindingView {
        rule: rule_view(finding.rule.as_str(), background.spec.rule(finding.rule.as_str()), None),
        is_required: finding.is_required,
        failure: failure(finding.failure),
        harm: background.case(&shown.id).and_then(|case| case.harm.as_deref()),
        shown: place(shown, Some(finding.failure), run, background),
        exchange: one.map(|(index, one)| exchange(index, one, false)),
        diagram: if is_drawn { diagram::draw(shown) } else { None },
        count: finding.scenarios.len(),
        others: others.clone().take(MOST_NAMES).map(|one| place(one, None, run, background)).collect(),
        more: others.len().saturating_sub(MOST_NAMES),
        reproduce: finding_text::reproduce(run, shown),
    }
}

fn place<'a>(
    ended: &'a ScenarioEnded,
    failure: Option<&Failure>,
    run: &Run<'a>,
    background: &Background<'_>,
) -> Place<'a> {
    let case = background.case(&ended.id);
    let file =
        case.map_or_else(|| format!("fixtures/scenarios/{}.yaml", unexpanded(&ended.id)), |case| case.file.clone());
    let line = failure.map(|failure| failure.line).filter(|line| *line > 0);
    Place {
        number: number_of(run, ended) + 1,
        name: run.name_of(ended),
        title: &ended.title,
        file: line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")),
    }
}

fn failure(failure: &Failure) -> FailureView<'_> {
    FailureView { rule: id_of(failure.rule.as_str()), what: &failure.what, diff: diff::tell(failure, ROOM) }
}

fn exchange(index: usize, exchange: &Exchange, is_shown: bool) -> ExchangeView<'_> {
    ExchangeView {
        number: index + 1,
        exchange,
        sent: pretty(&exchange.sent),
        answered: pretty(&exchange.answered),
        is_shown,
    }
}

fn pretty(body: &Value) -> String {
    let text = match body {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        // A tree of JSON can always be printed.
        tree => serde_json::to_string_pretty(tree).unwrap_or_default(),
    };
    cut(&text, BODY)
}

/// The rules of the subject's side, by chapter.
pub(super) fn chapters<'a>(run: &Run<'_>, spec: &'a Spec) -> Vec<ChapterView<'a>> {
    let states = rule_states(run, spec);
    let mut chapters = Vec::new();
    for chapter in &spec.chapters {
        let rules = states.iter().filter(|(rule, _)| rule.chapter == chapter.name);
        let rules: Vec<_> = rules.map(|(rule, state)| rule_view(rule.id.as_str(), Some(rule), Some(*state))).collect();
        if !rules.is_empty() {
            chapters.push(ChapterView { title: &chapter.title, rules });
        }
    }
    chapters
}

fn rule_view<'a>(id: &'a str, rule: Option<&'a Rule>, state: Option<RuleState>) -> RuleView<'a> {
    RuleView {
        id: id_of(id),
        strength: rule.map_or("", |rule| rule.strength.as_str()),
        sentence: pieces(rule.map_or("This rule is not in the specification that was read.", |rule| &rule.sentence)),
        link: rule.and_then(link),
        state,
    }
}

/// Where a rule of the published specification stands. One that was read from elsewhere has no address.
fn link(rule: &Rule) -> Option<String> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    rule.file.starts_with("spec/src/").then(|| format!("{repository}/blob/main/{}?plain=1#L{}", rule.file, rule.line))
}

/// The id of a rule, without its revision.
fn id_of(rule: &str) -> &str {
    rule.split_once('+').map_or(rule, |(id, _)| id)
}

impl ScenarioView<'_> {
    /// The step at which it failed, in words.
    pub fn failed_at(&self) -> Option<String> {
        let step = failed_step(self.ended)?;
        Some(format!("line {}: {}: {}", step.line, step.actor, step.what))
    }
}
