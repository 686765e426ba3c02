//! What the page shows of findings, scenarios and rules.

use crate::report::diagram::{self, Diagram, failed_step};
use crate::report::findings::{Finding, new_and_known};
use crate::report::moments::answer;
use crate::report::summary::{RuleState, rule_states};
use crate::report::{Background, Run, diff, drawn, finding_text, unexpanded};
use crate::spec::{Rule, Spec};
use crate::tap::redact::cut;
use base64::Engine;
use fieldsync_schemas::event::{Exchange, Failure, Known, ScenarioEnded, Verdict};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write;

/// The bytes that the exchanges and diffs of all scenarios may take. A page is to stay under five megabytes.
const BODIES: usize = 1_300_000;
/// The bytes that the drawings of the scenarios that did not pass may take.
const DRAWINGS: usize = 1_300_000;
/// The bytes that the drawings of those that passed may take before they are packed, to a tenth or less.
const PACKED_DRAWINGS: usize = 16_000_000;
/// The findings that are told; the others are where their scenarios stand.
const MOST_FINDINGS: usize = 200;
/// The findings that have a drawing and an exchange of their own.
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
    /// What the baseline says.
    pub known: Option<&'a Known>,
    pub failure: FailureView<'a>,
    pub harm: Option<&'a str>,
    pub blame: Option<&'static str>,
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
pub(crate) struct RuleView<'a> {
    pub id: &'a str,
    pub strength: &'static str,
    pub sentence: Vec<Piece<'a>>,
    pub link: Option<String>,
    pub state: Option<RuleState>,
}

/// A part of a sentence.
pub(crate) struct Piece<'a> {
    pub text: &'a str,
    pub is_code: bool,
}

/// A sentence of the specification, in which code stands between backticks.
pub(crate) fn pieces(sentence: &str) -> Vec<Piece<'_>> {
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
    pub rule: RuleView<'a>,
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
    /// The place of its drawing among those that are packed.
    pub packed: Option<usize>,
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
        answer(self.exchange)
    }
}

/// A chapter's rules.
pub(super) struct ChapterView<'a> {
    pub title: &'a str,
    pub rules: Vec<RuleView<'a>>,
}

/// What a page shows of a run.
pub(super) struct Shown<'a> {
    /// How many findings there are.
    pub found: usize,
    /// Those that are told.
    pub findings: Vec<FindingView<'a>>,
    /// Those that were known.
    pub known: Vec<FindingView<'a>>,
    pub scenarios: Vec<ScenarioView<'a>>,
}

/// What a page shows of a run.
pub(super) fn of<'a>(run: &Run<'a>, background: &'a Background<'_>) -> Shown<'a> {
    let (found, known) = new_and_known(run, background.spec);
    let all = run.scenarios.iter().enumerate();
    let mut scenarios: Vec<ScenarioView<'a>> =
        all.map(|(index, ended)| scenario(index, ended, run, background.spec)).collect();
    fit(&mut scenarios, found.iter().map(|finding| number_of(run, finding.shown)));
    let drawn = |index: usize| index < MOST_DRAWN;
    let findings = found
        .iter()
        .take(MOST_FINDINGS)
        .enumerate()
        .map(|(index, finding)| view(finding, run, background, drawn(index)));
    let known = known.iter().take(MOST_FINDINGS).map(|finding| view(finding, run, background, false));
    Shown { found: found.len(), findings: findings.collect(), known: known.collect(), scenarios }
}

/// Leaves out what there is no room for: of the scenarios that show findings last, before them of others that failed, and
/// of those that passed first.
fn fit(scenarios: &mut [ScenarioView<'_>], shown: impl Iterator<Item = usize>) {
    let failed = |index: &usize| scenarios[*index].ended.verdict != Verdict::Pass;
    let all = 0..scenarios.len();
    let mut order: Vec<usize> = shown.chain(all.clone().filter(failed)).chain(all).collect();
    let mut seen = vec![false; scenarios.len()];
    order.retain(|index| !std::mem::replace(&mut seen[*index], true));
    let (mut bodies, mut drawings, mut packed) = (BODIES, DRAWINGS, PACKED_DRAWINGS);
    for index in order {
        let scenario = &mut scenarios[index];
        if !take(&mut bodies, scenario.size_of_bodies()) {
            scenario.exchanges.clear();
            scenario.failures.iter_mut().for_each(|failure| failure.diff.lines.clear());
            scenario.is_cut = true;
        }
        let room = if scenario.ended.verdict == Verdict::Pass { &mut packed } else { &mut drawings };
        if !take(room, scenario.diagram.as_ref().map_or(0, Diagram::size)) {
            scenario.diagram = None;
            scenario.is_cut = true;
        }
    }
}

/// Takes the drawings of the scenarios that passed out of the page, into one packed text: most of them nobody unfolds.
pub(super) fn pack(scenarios: &mut [ScenarioView<'_>]) -> Result<String, askama::Error> {
    let mut drawings = Vec::new();
    for scenario in scenarios.iter_mut().filter(|scenario| scenario.ended.verdict == Verdict::Pass) {
        if let Some(diagram) = scenario.diagram.take() {
            scenario.packed = Some(drawings.len());
            drawings.push(drawn::markup(diagram)?);
        }
    }
    if drawings.is_empty() {
        return Ok(String::new());
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // No character that is not seen stands in a drawing, so this one keeps them apart. Writing to memory cannot fail.
    packer.write_all(drawings.join("\u{1e}").as_bytes()).expect("memory takes what is written");
    let packed = packer.finish().expect("memory takes what is written");
    Ok(base64::engine::general_purpose::STANDARD.encode(packed))
}

fn take(left: &mut usize, size: usize) -> bool {
    let fits = size <= *left;
    if fits {
        *left -= size;
    }
    fits
}

/// The bytes of a text in a page, where some characters are written as several.
fn size(text: &str) -> usize {
    text.len() + 5 * text.bytes().filter(|byte| b"\"'&<>".contains(byte)).count()
}

fn number_of(run: &Run<'_>, ended: &ScenarioEnded) -> usize {
    run.scenarios.iter().position(|one| std::ptr::eq(*one, ended)).unwrap_or_default()
}

fn scenario<'a>(index: usize, ended: &'a ScenarioEnded, run: &Run<'a>, spec: &'a Spec) -> ScenarioView<'a> {
    let shown: Vec<u64> = ended.failures.iter().filter_map(|failure| failure.exchange).collect();
    let exchanges = ended.exchanges.iter().enumerate().filter(|_| ended.verdict != Verdict::Pass);
    let exchanges: Vec<_> =
        exchanges.map(|(index, one)| exchange(index, one, shown.contains(&(index as u64)))).collect();
    ScenarioView {
        number: index + 1,
        ended,
        name: run.name_of(ended),
        rules: ended.covers.iter().map(|rule| id_of(rule.as_str())).collect(),
        failures: ended.failures.iter().map(|one| failure(one, spec)).collect(),
        diagram: diagram::draw(ended),
        packed: None,
        is_cut: false,
        exchanges,
        reproduce: matches!(ended.verdict, Verdict::Fail | Verdict::KnownFailure | Verdict::Warn | Verdict::Error)
            .then(|| finding_text::reproduce(run, ended)),
    }
}

fn view<'a>(finding: &Finding<'a>, run: &Run<'a>, background: &'a Background<'_>, is_drawn: bool) -> FindingView<'a> {
    let shown = finding.shown;
    let exchange_index = finding.failure.exchange.and_then(|index| usize::try_from(index).ok());
    let one = exchange_index.and_then(|index| Some((index, shown.exchanges.get(index)?)));
    let others = finding.scenarios.iter().skip(1);
    FindingView {
        rule: named_rule(finding.rule.as_str(), background.spec),
        is_required: finding.is_required,
        known: finding.known,
        failure: failure(finding.failure, background.spec),
        harm: background.case(&shown.id).and_then(|case| case.harm.as_deref()),
        blame: finding.blame(),
        shown: place(shown, Some(finding.failure), run, background),
        exchange: one.filter(|_| is_drawn).map(|(index, one)| exchange(index, one, true)),
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

fn failure<'a>(failure: &'a Failure, spec: &'a Spec) -> FailureView<'a> {
    let rule = named_rule(failure.rule.as_str(), spec);
    FailureView { rule, what: &failure.what, diff: diff::tell(failure, ROOM) }
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
        let rules: Vec<_> =
            rules.map(|(rule, state)| rule_view(rule.id.as_str(), Some(rule), Some(*state), spec.link(rule))).collect();
        if !rules.is_empty() {
            chapters.push(ChapterView { title: &chapter.title, rules });
        }
    }
    chapters
}

/// A rule, or what is to be said of one that is not known.
pub(crate) fn rule_view<'a>(
    id: &'a str,
    rule: Option<&'a Rule>,
    state: Option<RuleState>,
    link: Option<String>,
) -> RuleView<'a> {
    RuleView {
        id: id_of(id),
        strength: rule.map_or("", |rule| rule.strength.as_str()),
        sentence: pieces(rule.map_or("This rule is not in the specification that was read.", |rule| &rule.sentence)),
        link,
        state,
    }
}

/// A rule that an event names, with where it stands.
fn named_rule<'a>(id: &'a str, spec: &'a Spec) -> RuleView<'a> {
    let rule = spec.rule(id);
    rule_view(id, rule, None, rule.and_then(|rule| spec.link(rule)))
}

/// The id of a rule, without its revision.
fn id_of(rule: &str) -> &str {
    rule.split_once('+').map_or(rule, |(id, _)| id)
}

impl ScenarioView<'_> {
    /// The bytes that its exchanges and diffs take.
    fn size_of_bodies(&self) -> usize {
        let exchanges = self.exchanges.iter().map(|one| {
            300 + size(&one.sent) + size(&one.answered) + size(&one.exchange.request) + size(&one.exchange.by)
        });
        let diffs = self.failures.iter().flat_map(|failure| &failure.diff.lines).map(|line| 25 + size(&line.words));
        exchanges.chain(diffs).sum()
    }

    /// The step at which it failed, in words.
    pub fn failed_at(&self) -> Option<String> {
        let step = failed_step(self.ended)?;
        Some(format!("line {}: {}: {}", step.line, step.actor, step.what))
    }
}
