//! Several runs beside one another: how each rule fared in each, and what changed between two.

mod markdown;
mod text;

pub use markdown::render as markdown;
pub use text::render as text;

use super::run::name_of;
use super::summary::{self, RuleState, rule_states};
use super::verdict::{ExitStatus, judge};
use super::{IncompleteStream, Run};
use crate::spec::{Rule, Spec};
use fieldsync_schemas::event::{Event, ScenarioKey, Verdict};
use fieldsync_schemas::registry::Profile;
use std::collections::{BTreeMap, BTreeSet};

/// A run with a name to tell it from the others, such as that of its file.
#[derive(Debug, Clone, Copy)]
pub struct NamedRun<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its events.
    pub events: &'a [Event],
}

/// Runs beside one another.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The specification.
    pub spec: &'a Spec,
    /// The runs.
    pub columns: Vec<Column>,
    /// Every rule that binds the subject of a run, in the order of the specification.
    pub rows: Vec<Row<'a>>,
    /// What changed, where there are two.
    pub changes: Option<Changes>,
}

/// One run.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// The letter under which it stands in a table.
    pub letter: String,
    /// Its name.
    pub name: String,
    /// The subject, as it was named in the run.
    pub subject: String,
    /// The verdict, in a line.
    pub verdict: String,
    /// The exit status of the run.
    pub status: ExitStatus,
    /// How many rules fared how.
    pub rules: BTreeMap<RuleState, usize>,
}

/// One rule.
#[derive(Debug)]
pub struct Row<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// How it fared in each run; nothing where it does not bind the run's subject.
    pub states: Vec<Option<RuleState>>,
}

/// What changed from the first run to the second.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The rules that fared otherwise.
    pub rules: Vec<Change<RuleState>>,
    /// The scenarios that ended otherwise.
    pub scenarios: Vec<Change<Verdict>>,
    /// What is not the same in the two: the suite, the protocol, the seed, what the subject claims.
    pub about: Vec<String>,
}

/// Something that is not what it was. One of the two is absent where only one run knows of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// The rule or the scenario.
    pub name: String,
    /// What it was.
    pub before: Option<T>,
    /// What it is.
    pub after: Option<T>,
}

impl<T> Change<T> {
    /// What it was and what it is, in words.
    fn words(&self, word: impl Fn(&T) -> &'static str) -> String {
        let side = |side: &Option<T>| side.as_ref().map_or("not in the run", &word);
        format!("{} → {}", side(&self.before), side(&self.after))
    }
}

/// What a change means, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// It is broken now.
    Worse,
    /// It was broken, and is not any more.
    Better,
    /// It is not seen any more.
    Unseen,
    /// It was not seen before.
    New,
}

impl Meaning {
    /// All of them, the most urgent first.
    pub const ALL: [Meaning; 4] = [Meaning::Worse, Meaning::Better, Meaning::Unseen, Meaning::New];

    /// It in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Meaning::Worse => "for the worse",
            Meaning::Better => "for the better",
            Meaning::Unseen => "no longer looked at",
            Meaning::New => "looked at for the first time",
        }
    }

    /// Its sign, beside the words.
    pub fn sign(self) -> &'static str {
        match self {
            Meaning::Worse => "✘",
            Meaning::Better => "✔",
            Meaning::Unseen => "◌",
            Meaning::New => "●",
        }
    }

    /// Whether each such change counts by itself; of the others a few are named.
    pub fn is_told_whole(self) -> bool {
        matches!(self, Meaning::Worse | Meaning::Better)
    }
}

impl Change<RuleState> {
    /// What it means.
    pub fn meaning(&self) -> Meaning {
        match (self.before, self.after) {
            (_, Some(RuleState::Broken | RuleState::Advice)) => Meaning::Worse,
            (_, None | Some(RuleState::NotLookedAt)) => Meaning::Unseen,
            (Some(RuleState::Broken | RuleState::Advice), Some(RuleState::Held)) => Meaning::Better,
            (_, Some(RuleState::Held)) => Meaning::New,
        }
    }

    /// What the rule was and what it is.
    pub fn told(&self) -> String {
        self.words(|state| state.as_str())
    }
}

impl Change<Verdict> {
    /// What it means.
    pub fn meaning(&self) -> Meaning {
        match (self.before, self.after) {
            (_, Some(Verdict::Fail | Verdict::KnownFailure | Verdict::Error | Verdict::Warn)) => Meaning::Worse,
            (_, None | Some(Verdict::Unsupported | Verdict::NotTested)) => Meaning::Unseen,
            (Some(Verdict::Fail | Verdict::KnownFailure | Verdict::Error | Verdict::Warn), Some(_)) => Meaning::Better,
            (_, Some(Verdict::Pass | Verdict::UnexpectedPass)) => Meaning::New,
        }
    }

    /// How the scenario ended and how it ends.
    pub fn told(&self) -> String {
        self.words(|verdict| verdict.as_str())
    }
}

/// A change, told.
pub struct ToldChange<'a> {
    /// What it means.
    pub meaning: Meaning,
    /// The rule or the scenario.
    pub name: &'a str,
    /// What it was and what it is.
    pub told: String,
}

impl Changes {
    /// The rules that fared otherwise, the most urgent first.
    pub fn told_rules(&self) -> Vec<ToldChange<'_>> {
        let all = self.rules.iter();
        sorted(all.map(|one| ToldChange { meaning: one.meaning(), name: &one.name, told: one.told() }).collect())
    }

    /// The scenarios that ended otherwise, the most urgent first.
    pub fn told_scenarios(&self) -> Vec<ToldChange<'_>> {
        let all = self.scenarios.iter();
        sorted(all.map(|one| ToldChange { meaning: one.meaning(), name: &one.name, told: one.told() }).collect())
    }
}

fn sorted(mut all: Vec<ToldChange<'_>>) -> Vec<ToldChange<'_>> {
    all.sort_by_key(|one| one.meaning);
    all
}

/// How many changes mean what: `4 for the worse, 3 for the better`.
pub(super) fn counted(all: &[ToldChange<'_>]) -> String {
    let count = |meaning: Meaning| all.iter().filter(|one| one.meaning == meaning).count();
    let counts = Meaning::ALL.map(|meaning| (count(meaning), meaning.as_str()));
    let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}"));
    told.collect::<Vec<_>>().join(", ")
}

/// At most so many changes that count, and a few of the others; and how many there are besides.
fn picked<'a, 'b>(all: &'a [ToldChange<'b>], most: usize, few: usize) -> (Vec<&'a ToldChange<'b>>, usize) {
    let (urgent, others): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.meaning.is_told_whole());
    let picked: Vec<_> = urgent.into_iter().take(most).chain(others.into_iter().take(few)).collect();
    let more = all.len() - picked.len();
    (picked, more)
}

impl<'a> Comparison<'a> {
    /// Puts runs beside one another.
    pub fn of(runs: &[NamedRun<'_>], spec: &'a Spec) -> Result<Self, IncompleteStream> {
        let read: Vec<Run<'_>> = runs.iter().map(|run| Run::of(run.events)).collect::<Result<_, _>>()?;
        let states: Vec<BTreeMap<&str, RuleState>> = read
            .iter()
            .map(|run| rule_states(run, spec).into_iter().map(|(rule, state)| (rule.id.as_str(), state)).collect())
            .collect();
        let columns = runs.iter().zip(&read).zip(&states).enumerate();
        let columns = columns.map(|(index, ((named, run), states))| column(index, named.name, run, states, spec));
        let rows = spec.rules.iter().filter_map(|rule| {
            let states: Vec<_> = states.iter().map(|states| states.get(rule.id.as_str()).copied()).collect();
            states.iter().any(Option::is_some).then_some(Row { rule, states })
        });
        let rows: Vec<Row<'a>> = rows.collect();
        let changes = match &read[..] {
            [before, after] => Some(changes(before, after, &rows)),
            _ => None,
        };
        Ok(Self { spec, columns: columns.collect(), rows, changes })
    }
}

impl Row<'_> {
    /// Whether a run broke it.
    pub fn is_broken_somewhere(&self) -> bool {
        self.states.iter().flatten().any(|state| matches!(state, RuleState::Broken | RuleState::Advice))
    }

    /// Whether it held in every run that it binds.
    pub fn held_everywhere(&self) -> bool {
        self.states.iter().flatten().all(|state| *state == RuleState::Held)
    }
}

/// How many rules held everywhere, and how many did not although none broke them.
fn rest(rows: &[Row<'_>]) -> String {
    let held = rows.iter().filter(|row| row.held_everywhere()).count();
    let unseen = rows.iter().filter(|row| !row.held_everywhere() && !row.is_broken_somewhere()).count();
    let held = summary::plural(held, "rule");
    match unseen {
        0 => format!("{held} held in every run."),
        1 => format!("{held} held in every run; no run broke the other one, and some did not look at it."),
        unseen => format!("{held} held in every run; no run broke the other {unseen}, and some did not look at them."),
    }
}

fn column(index: usize, name: &str, run: &Run<'_>, states: &BTreeMap<&str, RuleState>, spec: &Spec) -> Column {
    let judgement = judge(run, spec);
    let (_, verdict) = summary::verdict_line(run, &judgement);
    let mut rules = BTreeMap::new();
    for state in states.values() {
        *rules.entry(*state).or_default() += 1;
    }
    let letter = match u8::try_from(index) {
        Ok(index @ 0..26) => char::from(b'A' + index).to_string(),
        _ => (index + 1).to_string(),
    };
    Column {
        letter,
        name: name.to_owned(),
        subject: run.header.subject.name.clone(),
        verdict: verdict.lines().next().unwrap_or_default().to_owned(),
        status: judgement.status,
        rules,
    }
}

fn changes(before: &Run<'_>, after: &Run<'_>, rows: &[Row<'_>]) -> Changes {
    let rules = rows.iter().filter(|row| row.states[0] != row.states[1]);
    let rules = rules.map(|row| Change { name: row.rule.id.to_string(), before: row.states[0], after: row.states[1] });
    let (was, is) = (verdicts(before), verdicts(after));
    let keys: BTreeSet<&ScenarioKey> = was.keys().chain(is.keys()).collect();
    let profiles: BTreeSet<&Profile> = keys.iter().map(|key| &key.profile).collect();
    let scenarios = keys.iter().filter(|key| was.get(**key) != is.get(**key)).map(|key| Change {
        name: name_of(key, profiles.len() > 1),
        before: was.get(*key).copied(),
        after: is.get(*key).copied(),
    });
    Changes { rules: rules.collect(), scenarios: scenarios.collect(), about: about(before, after) }
}

/// How each scenario ended; the worst of several ends where it was repeated. What a baseline says of it is left out: it
/// changes nothing of the subject.
fn verdicts(run: &Run<'_>) -> BTreeMap<ScenarioKey, Verdict> {
    const WORSE: [Verdict; 6] =
        [Verdict::Unsupported, Verdict::NotTested, Verdict::Pass, Verdict::Warn, Verdict::Error, Verdict::Fail];
    let rank = |verdict: Verdict| WORSE.iter().position(|one| *one == verdict);
    let mut verdicts: BTreeMap<ScenarioKey, Verdict> = BTreeMap::new();
    for scenario in &run.scenarios {
        let seen = match scenario.verdict {
            Verdict::KnownFailure => Verdict::Fail,
            Verdict::UnexpectedPass => Verdict::Pass,
            other => other,
        };
        let verdict = verdicts.entry(scenario.key()).or_insert(seen);
        if rank(seen) > rank(*verdict) {
            *verdict = seen;
        }
    }
    verdicts
}

fn about(before: &Run<'_>, after: &Run<'_>) -> Vec<String> {
    let (was, is) = (before.header, after.header);
    let words = [
        ("subject", was.subject.name.clone(), is.subject.name.clone()),
        ("suite", was.suite.clone(), is.suite.clone()),
        ("protocol", was.protocol.clone(), is.protocol.clone()),
        ("seed", was.seed.to_string(), is.seed.to_string()),
        ("capabilities", was.subject.capabilities.join(", "), is.subject.capabilities.join(", ")),
        ("control verbs", was.subject.control.join(", "), is.subject.control.join(", ")),
    ];
    let differ = words.into_iter().filter(|(_, was, is)| was != is);
    let none = |words: String| if words.is_empty() { "none".to_owned() } else { words };
    differ.map(|(what, was, is)| format!("{what}: {} → {}", none(was), none(is))).collect()
}

#[cfg(test)]
mod tests;
