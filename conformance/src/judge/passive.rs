//! Rules that recorded traffic alone can show to be broken: nobody acted, nothing was asked for, and what is not there is
//! no proof of anything.

use super::conduct;
use super::matching::same;
use crate::tap::wire::{self, Forms};
use crate::tap::{Delivered, SeenExchange};
use fieldsync_schemas::event::Failure;
use fieldsync_schemas::id::{Epoch, ReplicaId, Version};
use fieldsync_schemas::problem::Problem;
use fieldsync_schemas::pull::{PullAnswer, PullRequest};
use fieldsync_schemas::push::{Mutation, OutcomeKind, PushAnswer, PushRequest};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::scenario::CallKind;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

/// What the traffic shows of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The rule.
    pub rule: &'static str,
    /// How many messages show something of it.
    pub count: u64,
    /// Where it is broken.
    pub failures: Vec<Failure>,
}

/// The most failures of one rule that are told: the others are more of the same.
const MOST_FAILURES: usize = 5;

/// The rules that are looked at, and how.
const RULES: [(&str, Look); 23] = [
    ("transport.messages.valid-answers", Look::Wire(|seen| seen.upstream.is_some())),
    ("transport.messages.valid-requests", Look::Wire(|seen| !seen.request_body.bytes.is_empty())),
    ("transport.version.answered", Look::Wire(|seen| seen.upstream.is_some())),
    ("transport.version.sent", Look::Wire(|seen| seen.kind != CallKind::Discovery)),
    ("errors.request-id.named", Look::Wire(|seen| seen.upstream.is_some())),
    ("errors.problem.form", Look::Wire(is_error)),
    ("registry.types.in-order", Look::Wire(|seen| seen.kind == CallKind::Session && is_success(seen))),
    ("cycles.freeze.byte-for-byte", Look::Conduct(|seen| seen.kind == CallKind::Push && !is_success(seen))),
    ("cycles.batch.record-once", Look::Conduct(|seen| seen.kind == CallKind::Push)),
    ("cycles.patch.only-changes", Look::Conduct(has_patch)),
    ("cycles.login.goes-on", Look::Conduct(|seen| seen.status() == Some(StatusCode::UNAUTHORIZED))),
    ("telemetry.feed.not-pulled", Look::Conduct(|seen| seen.kind == CallKind::Pull)),
    ("transport.cache.no-store", Look::Each(no_store)),
    ("push.outcome.each-its-own", Look::Push(each_its_own)),
    ("push.outcome.names-the-state", Look::Push(names_the_state)),
    ("push.outcome.superseded-brings-winner", Look::Push(superseded_brings_winner)),
    ("push.outcome.stale-brings-current", Look::Push(stale_brings_current)),
    ("push.retry.same-outcome", Look::All(same_outcome)),
    ("pull.echo.from", Look::Pull(echoes_from)),
    ("pull.page.at-most-one-change", Look::Pull(one_change_a_record)),
    ("pull.page.limit-is-whole-answer", Look::Pull(within_the_limit)),
    ("pull.page.progress", Look::Pull(makes_progress)),
    ("records.version.never-falls", Look::All(versions_never_fall)),
];

/// How a rule is looked at.
#[derive(Clone, Copy)]
enum Look {
    /// By what every message is held against on the wire; it says which exchanges show something.
    Wire(fn(&SeenExchange) -> bool),
    /// By what the requests of one device show together; it says which of them show something.
    Conduct(fn(&SeenExchange) -> bool),
    /// Exchange by exchange: nothing where it shows nothing, else whether it is as it should be.
    Each(fn(&SeenExchange) -> Option<Seen>),
    /// Batch by batch, with its answer.
    Push(fn(&PushRequest, &PushAnswer) -> Vec<Seen>),
    /// Pull by pull, with its answer.
    Pull(fn(&PullRequest, &PullAnswer) -> Vec<Seen>),
    /// All of it together: each look with its exchange.
    All(fn(&[SeenExchange]) -> Vec<(usize, Seen)>),
}

/// One look: as it should be, or not.
type Seen = Result<(), Breach>;

/// What was expected and not seen.
struct Breach {
    what: String,
    expected: Value,
    got: Value,
}

fn expect(holds: bool, what: impl Into<String>, expected: Value, got: Value) -> Seen {
    if holds { Ok(()) } else { Err(Breach { what: what.into(), expected, got }) }
}

/// The rules that traffic can be judged by.
pub fn rules() -> impl Iterator<Item = &'static str> {
    RULES.into_iter().map(|(rule, _)| rule)
}

/// What the traffic of one data set shows of each rule.
pub fn examine(exchanges: &[SeenExchange]) -> Vec<Looked> {
    let on_the_wire = wire::examine(exchanges, Forms::default());
    let conduct = conduct::examine(exchanges);
    RULES.iter().map(|(rule, look)| looked(rule, *look, exchanges, &on_the_wire, &conduct)).collect()
}

fn looked(
    rule: &'static str,
    look: Look,
    exchanges: &[SeenExchange],
    on_the_wire: &[wire::WireFinding],
    conduct: &[conduct::Misconduct],
) -> Looked {
    let of = |index: usize, breach: Breach| Failure {
        rule: rule.parse().expect("a constant that is a rule id"),
        line: 0,
        what: breach.what,
        expected: breach.expected,
        got: breach.got,
        exchange: Some(index as u64),
    };
    let tried: Vec<(usize, Seen)> = match look {
        Look::Wire(shows) => {
            let found = on_the_wire.iter().filter(|one| one.rule.as_str() == rule).map(|one| {
                let what = format!("a message on the wire, at {:?}", one.pointer);
                let breach = Breach { what, expected: json!("valid"), got: json!(one.message) };
                of(one.exchange, breach)
            });
            let failures = found.take(MOST_FAILURES).collect();
            return Looked { rule, count: exchanges.iter().filter(|seen| shows(seen)).count() as u64, failures };
        }
        Look::Conduct(shows) => {
            let found = conduct.iter().filter(|one| one.rule == rule).map(|one| {
                let breach = Breach { what: one.what.clone(), expected: one.expected.clone(), got: one.got.clone() };
                of(one.exchange as usize, breach)
            });
            let failures = found.take(MOST_FAILURES).collect();
            return Looked { rule, count: exchanges.iter().filter(|seen| shows(seen)).count() as u64, failures };
        }
        Look::Each(look) => {
            exchanges.iter().enumerate().filter_map(|(index, seen)| Some((index, look(seen)?))).collect()
        }
        Look::Push(look) => pushes(exchanges)
            .flat_map(|(index, request, answer)| look(&request, &answer).into_iter().map(move |one| (index, one)))
            .collect(),
        Look::Pull(look) => pulls(exchanges)
            .flat_map(|(index, request, answer)| look(&request, &answer).into_iter().map(move |one| (index, one)))
            .collect(),
        Look::All(look) => look(exchanges),
    };
    let count = tried.len() as u64;
    let breaches = tried.into_iter().filter_map(|(index, one)| one.err().map(|breach| of(index, breach)));
    Looked { rule, count, failures: breaches.take(MOST_FAILURES).collect() }
}

fn has_patch(seen: &SeenExchange) -> bool {
    let request = serde_json::from_slice::<PushRequest>(&seen.request_body.bytes);
    seen.kind == CallKind::Push && request.is_ok_and(|request| request.mutations.iter().any(|one| one.patch.is_some()))
}

fn is_success(seen: &SeenExchange) -> bool {
    seen.status().is_some_and(|status| status.is_success())
}

fn is_error(seen: &SeenExchange) -> bool {
    seen.status().is_some_and(|status| status.is_client_error() || status.is_server_error())
}

/// The body of a whole answer that is a success.
fn answered(seen: &SeenExchange) -> Option<&[u8]> {
    match &seen.delivered {
        Delivered::Whole(answer) if answer.status.is_success() => Some(&answer.body.bytes),
        _ => None,
    }
}

/// The batches that can be read, with their answers.
fn pushes(exchanges: &[SeenExchange]) -> impl Iterator<Item = (usize, PushRequest, PushAnswer)> + '_ {
    exchanges.iter().enumerate().filter(|(_, seen)| seen.kind == CallKind::Push).filter_map(|(index, seen)| {
        let request = serde_json::from_slice(&seen.request_body.bytes).ok()?;
        Some((index, request, serde_json::from_slice(answered(seen)?).ok()?))
    })
}

/// The pulls that can be read, with their answers.
fn pulls(exchanges: &[SeenExchange]) -> impl Iterator<Item = (usize, PullRequest, PullAnswer)> + '_ {
    exchanges.iter().enumerate().filter(|(_, seen)| seen.kind == CallKind::Pull).filter_map(|(index, seen)| {
        let request = serde_json::from_slice(&seen.request_body.bytes).ok()?;
        Some((index, request, serde_json::from_slice(answered(seen)?).ok()?))
    })
}

fn no_store(seen: &SeenExchange) -> Option<Seen> {
    let named = matches!(seen.kind, CallKind::Push | CallKind::Pull | CallKind::Login | CallKind::Refresh);
    let answer = seen.upstream.as_ref()?;
    let is_problem = is_error(seen) && serde_json::from_slice::<Problem>(&answer.body.bytes).is_ok();
    if !named && !is_problem {
        return None;
    }
    let got: Vec<&str> = answer.headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).collect();
    let holds = got.iter().flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("no-store"));
    Some(expect(holds, "the header Cache-Control", json!("no-store"), json!(got)))
}

fn each_its_own(request: &PushRequest, answer: &PushAnswer) -> Vec<Seen> {
    let ids = |ids: Vec<&str>| {
        let mut ids = ids;
        ids.sort_unstable();
        json!(ids)
    };
    let asked = ids(request.mutations.iter().map(|one| one.mutation_id.as_str()).collect());
    let told = ids(answer.outcomes.iter().map(|one| one.mutation_id.as_str()).collect());
    vec![expect(asked == told, "the mutations that have an outcome", asked, told)]
}

fn names_the_state(_: &PushRequest, answer: &PushAnswer) -> Vec<Seen> {
    let states =
        answer.outcomes.iter().filter(|one| matches!(one.outcome, OutcomeKind::Applied | OutcomeKind::Duplicate));
    states
        .map(|one| {
            let what = format!("rev and version of the outcome of {}", one.mutation_id);
            let got = json!({"rev": one.rev, "version": one.version});
            expect(one.rev.is_some() && one.version.is_some(), what, json!("both"), got)
        })
        .collect()
}

fn superseded_brings_winner(request: &PushRequest, answer: &PushAnswer) -> Vec<Seen> {
    brings_its_record(request, answer, &OutcomeKind::Superseded)
}

fn stale_brings_current(request: &PushRequest, answer: &PushAnswer) -> Vec<Seen> {
    brings_its_record(request, answer, &OutcomeKind::Stale)
}

/// Whether each outcome of this kind brings the record that its mutation is of.
fn brings_its_record(request: &PushRequest, answer: &PushAnswer, kind: &OutcomeKind) -> Vec<Seen> {
    let of: HashMap<&str, &Mutation> =
        request.mutations.iter().map(|mutation| (mutation.mutation_id.as_str(), mutation)).collect();
    let outcomes = answer.outcomes.iter().filter(|one| one.outcome == *kind);
    outcomes
        .filter_map(|one| {
            let mutation = of.get(one.mutation_id.as_str())?;
            let record = one.record.as_ref().and_then(|raw| serde_json::from_str::<Record>(raw.get()).ok());
            let got = record.as_ref().map(|record| json!({"type": record.type_name, "id": record.id}));
            let expected = json!({"type": mutation.type_name, "id": mutation.id});
            let what = format!("the record of the outcome {kind} of {}", one.mutation_id);
            Some(expect(got.as_ref() == Some(&expected), what, expected, got.unwrap_or_default()))
        })
        .collect()
}

/// A batch that comes again gets what it got.
fn same_outcome(exchanges: &[SeenExchange]) -> Vec<(usize, Seen)> {
    let mut last: HashMap<ReplicaId, (Value, Value)> = HashMap::new();
    let mut tried = Vec::new();
    for (index, request, answer) in pushes(exchanges) {
        let body: Value = serde_json::from_slice(&exchanges[index].request_body.bytes).unwrap_or_default();
        let got = json!({"token": answer.token, "outcomes": answer.outcomes});
        if let Some((before, first)) = last.get(&request.replica)
            && *before == body
        {
            let what = format!("token and outcomes of batch {} of {}, which came again", request.seq, request.replica);
            tried.push((index, expect(same(first, &got) && answer.replayed, what, first.clone(), got.clone())));
        }
        last.insert(request.replica, (body, got));
    }
    tried
}

fn echoes_from(request: &PullRequest, answer: &PullAnswer) -> Vec<Seen> {
    let pages = answer.feeds.iter().filter_map(|page| Some((page, request.feeds.get(&page.feed)?)));
    pages
        .map(|(page, asked)| {
            let what = format!("`from` of the page of {}", page.feed);
            expect(page.from == *asked, what, json!(asked), json!(page.from))
        })
        .collect()
}

fn one_change_a_record(_: &PullRequest, answer: &PullAnswer) -> Vec<Seen> {
    let pages = answer.feeds.iter().filter(|page| !page.changes.is_empty());
    pages
        .map(|page| {
            let mut seen = BTreeSet::new();
            let twice = page.changes.iter().filter_map(changed).find(|record| !seen.insert(record.clone()));
            let what = format!("the changes of one record in the page of {}", page.feed);
            expect(twice.is_none(), what, json!(1), json!({"more than one": twice}))
        })
        .collect()
}

/// The record that a change is of: its type and its id.
fn changed(change: &fieldsync_schemas::pull::Change) -> Option<(String, String)> {
    match (&change.record, &change.removed) {
        (Some(raw), _) => {
            let record: Record = serde_json::from_str(raw.get()).ok()?;
            Some((record.type_name.to_string(), record.id.to_string()))
        }
        (None, Some(removed)) => Some((removed.type_name.to_string(), removed.id.to_string())),
        (None, None) => None,
    }
}

fn within_the_limit(request: &PullRequest, answer: &PullAnswer) -> Vec<Seen> {
    let Some(limit) = request.limit else { return Vec::new() };
    let count: usize = answer.feeds.iter().map(|page| page.changes.len()).sum();
    vec![expect(count as u64 <= limit, "the changes of one answer", json!({"at most": limit}), json!(count))]
}

fn makes_progress(_: &PullRequest, answer: &PullAnswer) -> Vec<Seen> {
    if answer.feeds.iter().all(|page| !page.more) {
        return Vec::new();
    }
    let count: usize = answer.feeds.iter().map(|page| page.changes.len()).sum();
    vec![expect(count > 0, "the changes of an answer that says `more`", json!("at least one"), json!(0))]
}

/// A state that was published after another one has no lower version. Two answers that were under way at once may come in
/// any order.
fn versions_never_fall(exchanges: &[SeenExchange]) -> Vec<(usize, Seen)> {
    type Published = Vec<(Instant, Version)>;
    let mut published: BTreeMap<(Epoch, String, String), Published> = BTreeMap::new();
    let mut tried = Vec::new();
    for (index, _, answer) in pulls(exchanges) {
        let seen = &exchanges[index];
        let changes = answer.feeds.iter().flat_map(|page| &page.changes);
        for record in changes.filter_map(|change| change.record.as_ref()) {
            let Ok(record) = serde_json::from_str::<Record>(record.get()) else { continue };
            let key = (answer.epoch.clone(), record.type_name.to_string(), record.id.to_string());
            let before = published.entry(key).or_default();
            let known = before.iter().filter(|(ended, _)| *ended <= seen.started).map(|(_, version)| *version).max();
            if let Some(known) = known {
                let what = format!("the version of {} {} in a later answer", record.type_name, record.id);
                let expected = json!({"at least": known});
                tried.push((index, expect(record.version >= known, what, expected, json!(record.version))));
            }
            if let Some(ended) = seen.ended {
                before.push((ended, record.version));
            }
        }
    }
    tried
}
