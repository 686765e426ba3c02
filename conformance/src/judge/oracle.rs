//! The oracle: what must hold after every scenario, whatever it was about.
//!
//! It reads only through the protocol: by a follower, which pulled after every sync of the scenario, and by a fresh
//! device, which pulls everything at the end. What the server acknowledged is taken from the wire.

use super::matching::same;
use super::overrides::what_was_saved_is_traced;
use super::{conduct, numbers};
use crate::replay::{Acted, Names};
use crate::subject::cast::Roles;
use crate::subject::device::{Device, Shown, Survey, SyncEnd};
use crate::tap::{Delivered, SeenExchange};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::event::{Actor, Failure};
use fieldsync_schemas::id::{Epoch, MutationId, RecordId, Rev, Version};
use fieldsync_schemas::pull::{PullAnswer, RecordRef};
use fieldsync_schemas::push::{Mutation, MutationOp, Outcome, OutcomeKind, PushAnswer, PushRequest};
use fieldsync_schemas::record::{AttachmentState, Record};
use fieldsync_schemas::scenario::{CallKind, ErrorCause, Status};
use fieldsync_schemas::telemetry::TELEMETRY_TYPE;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const ACKNOWLEDGED: &str = "push.durable.acknowledged-is-kept";
const APPLIED_ONCE: &str = "push.retry.applied-once";
const GAP_FREE: &str = "pull.cursor.gap-free";
const NEVER_FALLS: &str = "records.version.never-falls+2";
const EQUAL_STATES: &str = "cycles.converge.equal-states";
const EXACTLY_ONE: &str = "conflicts.entry.exactly-one";
/// What a device breaks that does not hold what it pulled.
pub const SHOWS: &str = "cycles.converge.shows-what-it-pulled+2";
const READABLE: &str = "attachments.download.bytes";
const OUTBOX: &str = "status.outbox.empty-or-reasoned";

/// The devices through which the oracle reads.
pub struct Readers {
    /// Pulled after every sync of the scenario, where a server is judged.
    pub follower: Option<Arc<dyn Device>>,
    /// Has pulled nothing yet.
    pub fresh: Arc<dyn Device>,
    /// The same for each account that does not see everything.
    pub of_scopes: BTreeMap<String, Arc<dyn Device>>,
}

/// One mutation that the server answered.
pub(super) struct Acknowledged {
    pub(super) mutation: Mutation,
    pub(super) outcome: Outcome,
    /// The epoch under which it was answered.
    pub(super) epoch: Epoch,
    exchange: u64,
}

/// What does not hold.
pub async fn examine(acted: &Acted, readers: &Readers, judged: &[Actor], roles: &Roles) -> Vec<Failure> {
    let mut found = Findings { names: &acted.names, failures: Vec::new() };
    let acknowledged = acknowledged(&acted.exchanges);
    applied_once(&acknowledged, &mut found);
    versions_never_fall(&acted.exchanges, &mut found);
    for breach in conduct::examine(&acted.exchanges) {
        if !roles.plays(&acted.exchanges[breach.exchange as usize].by) {
            continue;
        }
        found.add(breach.rule, Some(breach.exchange), breach.what, breach.expected, breach.got);
    }
    for breach in numbers::examine(&acted.exchanges) {
        found.add(breach.rule, Some(breach.exchange), breach.what, breach.expected, breach.got);
    }
    let quiet = quiesce(acted, &mut found).await;
    let follower = readers.follower.iter().map(|follower| ("follower", follower));
    let of_scopes = readers.of_scopes.iter().map(|(account, reader)| (account.as_str(), reader));
    for (name, reader) in follower.chain([("fresh device", &readers.fresh)]).chain(of_scopes) {
        match reader.sync().await {
            Ok(SyncEnd::Ok) => {}
            Ok(SyncEnd::Failed { cause, detail }) => {
                found.add(
                    GAP_FREE,
                    None,
                    format!("the pull of the {name}"),
                    json!("ok"),
                    json!({"fails": cause, "because": detail}),
                );
                return found.failures;
            }
            Err(error) => {
                found.add(GAP_FREE, None, format!("the pull of the {name}"), json!("ok"), json!(error.to_string()));
                return found.failures;
            }
        }
    }
    let log: BTreeMap<RecordId, ConflictEntry> =
        readers.fresh.conflicts().await.unwrap_or_default().into_iter().collect();
    let mut records: BTreeSet<RecordRef> = acted.names.records().into_iter().map(|(_, record)| record).collect();
    records.extend(acknowledged.iter().filter(|one| became_state(one)).map(|one| record_of(&one.mutation)));
    let mut current = HashMap::new();
    for record in &records {
        let fresh = readers.fresh.read(record).await.ok().and_then(|shown| shown.server);
        if let Some(follower) = &readers.follower {
            let followed = follower.read(record).await.ok().and_then(|shown| shown.server);
            if !alike(fresh.as_ref(), followed.as_ref()) {
                let what = format!("{}, as a device that pulled all along holds it", found.name(record));
                found.add(GAP_FREE, None, what, told(fresh.as_ref()), told(followed.as_ref()));
            }
        }
        if let Some(fresh) = fresh {
            current.insert(record.clone(), fresh);
        }
    }
    let epoch = last_epoch(acted);
    nothing_acknowledged_is_lost(&acknowledged, epoch.as_ref(), &current, &log, &mut found);
    overridden_once(&acknowledged, &log, &mut found);
    what_was_saved_is_traced(acted, &acknowledged, &log, &mut found).await;
    let unequal = if *judged == [Actor::Device] { SHOWS } else { EQUAL_STATES };
    let mut seen = Seen { everything: current, of_scopes: BTreeMap::new() };
    for (account, reader) in &readers.of_scopes {
        let mut part = HashMap::new();
        for record in &records {
            let state = reader.read(record).await.ok().and_then(|shown| shown.server);
            part.extend(state.map(|state| (record.clone(), state)));
        }
        seen.of_scopes.insert(account.clone(), part);
    }
    files_are_readable(readers, &seen, &mut found).await;
    devices_equal(acted, quiet, &seen, &records, &put_off(&acknowledged), unequal, &mut found).await;
    found.failures
}

/// Every file that a record has as `stored` comes down, with the hash that its id says: a device shows no other bytes.
async fn files_are_readable(readers: &Readers, seen: &Seen, found: &mut Findings<'_>) {
    let of_scopes =
        readers.of_scopes.iter().filter_map(|(account, reader)| Some((reader, seen.of_scopes.get(account)?)));
    for (reader, states) in [(&readers.fresh, &seen.everything)].into_iter().chain(of_scopes) {
        for (record, state) in states.iter().filter(|(_, state)| !state.attachments.is_empty()) {
            let shown = reader.files(record).await.unwrap_or_default();
            for (index, file) in state.attachments.iter().enumerate() {
                let is_here = shown.get(index).is_some_and(|shown| shown.content.is_some());
                if file.state == Some(AttachmentState::Stored) && !is_here {
                    let what = format!(
                        "file {index} of {}, which stands as stored, on a device that pulled it",
                        found.name(record)
                    );
                    let got = json!(shown.get(index).map(|shown| shown.status));
                    found.add(READABLE, None, what, json!("its bytes"), got);
                    return;
                }
            }
        }
    }
}

/// The states of the records, as a device sees them that has pulled nothing yet.
struct Seen {
    everything: HashMap<RecordRef, Record>,
    /// By the account that does not see everything.
    of_scopes: BTreeMap<String, HashMap<RecordRef, Record>>,
}

pub(super) struct Findings<'a> {
    names: &'a Names,
    failures: Vec<Failure>,
}

impl Findings<'_> {
    pub(super) fn add(&mut self, rule: &str, exchange: Option<u64>, what: String, expected: Value, got: Value) {
        self.failures.push(Failure {
            rule: rule.parse().expect("a constant that is a rule id"),
            line: 0,
            what,
            expected: self.names.unfill(&expected),
            got: self.names.unfill(&got),
            exchange,
        });
    }

    pub(super) fn name(&self, record: &RecordRef) -> String {
        self.names.alias_of(record.id.as_str()).unwrap_or_else(|| record.to_string())
    }
}

pub(super) fn record_of(mutation: &Mutation) -> RecordRef {
    RecordRef { type_name: mutation.type_name.clone(), id: mutation.id.clone() }
}

pub(super) fn became_state(one: &Acknowledged) -> bool {
    matches!(one.outcome.outcome, OutcomeKind::Applied | OutcomeKind::Merged)
}

/// What two readers must hold alike.
fn told(record: Option<&Record>) -> Value {
    match record {
        None => Value::Null,
        Some(record) => {
            let files: Vec<_> = record.attachments.iter().map(|file| &file.id).collect();
            let Record { version, deleted, data, rev, .. } = record;
            json!({"version": version, "deleted": deleted, "data": data, "rev": rev, "files": files})
        }
    }
}

/// Whether two readers agree. A tombstone may have been purged, so that one who came later never heard of the record.
fn alike(one: Option<&Record>, other: Option<&Record>) -> bool {
    match (one, other) {
        (Some(record), None) | (None, Some(record)) => record.deleted,
        _ => told(one) == told(other),
    }
}

/// Every mutation that the server answered, whether or not the answer reached the device.
fn acknowledged(exchanges: &[SeenExchange]) -> Vec<Acknowledged> {
    let mut all = Vec::new();
    for (index, seen) in exchanges.iter().enumerate().filter(|(_, seen)| seen.kind == CallKind::Push) {
        let Some(answer) = seen.upstream.as_ref().filter(|answer| answer.status.is_success()) else { continue };
        let Ok(request) = serde_json::from_slice::<PushRequest<Value>>(&seen.request_body.bytes) else { continue };
        let Ok(answer) = serde_json::from_slice::<PushAnswer>(&answer.body.bytes) else { continue };
        let mutations: HashMap<MutationId, Mutation> = request
            .mutations
            .into_iter()
            .filter_map(|value| serde_json::from_str::<Mutation>(&value.to_string()).ok())
            .map(|mutation| (mutation.mutation_id.clone(), mutation))
            .collect();
        let epoch = answer.epoch;
        all.extend(answer.outcomes.into_iter().filter_map(|outcome| {
            let mutation = mutations.get(&outcome.mutation_id)?.clone();
            // Telemetry is data of the service, which no device pulls.
            let is_data = mutation.type_name.as_str() != TELEMETRY_TYPE;
            is_data.then(|| Acknowledged { mutation, outcome, epoch: epoch.clone(), exchange: index as u64 })
        }));
    }
    all
}

/// One mutation makes one state in an epoch, however often it is sent.
fn applied_once(acknowledged: &[Acknowledged], found: &mut Findings<'_>) {
    let mut first: HashMap<(&Epoch, &MutationId, &RecordId), &Acknowledged> = HashMap::new();
    for one in acknowledged.iter().filter(|one| became_state(one)) {
        let before = *first.entry((&one.epoch, &one.mutation.mutation_id, &one.mutation.id)).or_insert(one);
        if before.outcome.rev != one.outcome.rev {
            found.add(
                APPLIED_ONCE,
                Some(one.exchange),
                format!("the rev that mutation {} made", one.mutation.mutation_id),
                json!(before.outcome.rev),
                json!(one.outcome.rev),
            );
            return;
        }
    }
}

/// In the order in which one device got them, a record's versions never fall within an epoch.
fn versions_never_fall(exchanges: &[SeenExchange], found: &mut Findings<'_>) {
    let mut seen_versions: HashMap<(String, Epoch, RecordId), Version> = HashMap::new();
    for (index, seen) in exchanges.iter().enumerate().filter(|(_, seen)| seen.kind == CallKind::Pull) {
        let Some(answer) = seen.upstream.as_ref().filter(|answer| answer.status.is_success()) else { continue };
        let Ok(answer) = serde_json::from_slice::<PullAnswer>(&answer.body.bytes) else {
            continue;
        };
        for change in answer.feeds.iter().filter(|page| page.from.is_some()).flat_map(|page| &page.changes) {
            let Some(record) = change.record.as_ref().and_then(|raw| serde_json::from_str::<Record>(raw.get()).ok())
            else {
                continue;
            };
            let of = (seen.by.clone(), answer.epoch.clone(), record.id.clone());
            let before = seen_versions.entry(of).or_insert(record.version);
            if record.version < *before {
                let what = format!("the version of {} that {} pulls", record.id, seen.by);
                found.add(
                    NEVER_FALLS,
                    Some(index as u64),
                    what,
                    json!(format!("at least {before}")),
                    json!(record.version),
                );
                return;
            }
            *before = record.version;
        }
    }
}

/// Every device syncs, and once more where one of them had something to push, which the others may not have seen;
/// whether all have seen everything then. A device that cannot sync is none of the oracle's business: the scenario has
/// said so.
async fn quiesce(acted: &Acted, found: &mut Findings<'_>) -> bool {
    for _ in 0..2 {
        let mut quiet = true;
        for one in &acted.devices {
            let before = one.port.begun();
            match one.device.sync().await {
                Ok(end) => quiet &= end == SyncEnd::Ok && only_pulled(&one.port.exchanges_from(before)),
                Err(error) => {
                    quiet = false;
                    let what = format!("a sync of {}", one.name);
                    found.add(EQUAL_STATES, None, what, json!("ok"), json!(error.to_string()));
                }
            }
        }
        if quiet {
            return true;
        }
    }
    false
}

/// Whether a sync pulled and pushed nothing, and all of it went well: then there is nothing in it for others.
fn only_pulled(exchanges: &[SeenExchange]) -> bool {
    let went_well = |seen: &SeenExchange| match &seen.delivered {
        Delivered::Whole(answer) => seen.kind != CallKind::Push && answer.status.is_success(),
        _ => false,
    };
    exchanges.iter().any(|seen| seen.kind == CallKind::Pull) && exchanges.iter().all(went_well)
}

/// The epoch of the last page that anybody got.
fn last_epoch(acted: &Acted) -> Option<Epoch> {
    let later: Vec<SeenExchange> = acted.devices.iter().flat_map(|one| one.port.exchanges_from(one.passed)).collect();
    let pulls = acted.exchanges.iter().chain(&later).filter(|seen| seen.kind == CallKind::Pull);
    let epoch = |seen: &SeenExchange| {
        let answer = seen.upstream.as_ref().filter(|answer| answer.status.is_success())?;
        Some((seen.started, serde_json::from_slice::<PullAnswer>(&answer.body.bytes).ok()?.epoch))
    };
    Some(pulls.filter_map(epoch).max_by_key(|(started, _)| *started)?.1)
}

/// What became a state is the current one, the base of an accepted one, or logged as overridden; what was superseded
/// is logged.
fn nothing_acknowledged_is_lost(
    acknowledged: &[Acknowledged],
    epoch: Option<&Epoch>,
    current: &HashMap<RecordRef, Record>,
    log: &BTreeMap<RecordId, ConflictEntry>,
    found: &mut Findings<'_>,
) {
    let bases: BTreeSet<&Rev> =
        acknowledged.iter().filter(|one| became_state(one)).filter_map(|one| one.mutation.base.as_ref()).collect();
    let logged_revs: BTreeSet<&Rev> = log.values().filter_map(|entry| entry.lost_by.rev.as_ref()).collect();
    let logged_mutations: BTreeSet<&MutationId> =
        log.values().filter_map(|entry| entry.lost_by.mutation_id.as_ref()).collect();
    // What was acknowledged in an earlier epoch ended with it; what is to come back is acknowledged once more.
    for one in acknowledged.iter().filter(|one| epoch.is_none_or(|epoch| one.epoch == *epoch)) {
        let mutation = &one.mutation;
        let record = record_of(mutation);
        let kept = match (&one.outcome.outcome, &one.outcome.rev) {
            (OutcomeKind::Applied | OutcomeKind::Merged, Some(rev)) => {
                let now = current.get(&record);
                now.is_some_and(|now| now.rev == *rev)
                    || bases.contains(rev)
                    || logged_revs.contains(rev)
                    || equal_content(mutation, now)
                    || merged_later(acknowledged, one)
                    || (mutation.op == MutationOp::Delete && (now.is_none() || made_again(acknowledged, one)))
            }
            (OutcomeKind::Superseded, _) => logged_mutations.contains(&mutation.mutation_id),
            _ => true,
        };
        if !kept {
            let what = format!("what the server acknowledged of {} ({})", found.name(&record), one.outcome.outcome);
            let got = json!({"state": told(current.get(&record)), "log": log.len()});
            found.add(
                ACKNOWLEDGED,
                Some(one.exchange),
                what,
                json!({"data": mutation.data, "rev": one.outcome.rev}),
                got,
            );
            return;
        }
    }
}

/// Whether the server itself merged a later change with this state: its values are in the result, or logged one by one.
fn merged_later(acknowledged: &[Acknowledged], state: &Acknowledged) -> bool {
    acknowledged.iter().any(|later| {
        let is_of_it = record_of(&later.mutation) == record_of(&state.mutation) && later.epoch == state.epoch;
        let merged = later.outcome.record.as_ref().filter(|_| later.outcome.outcome == OutcomeKind::Merged);
        let merged = merged.and_then(|raw| serde_json::from_str::<Record>(raw.get()).ok());
        is_of_it && merged.is_some_and(|record| Some(record.version) > state.outcome.version)
    })
}

/// Whether the record was made again on nothing after this delete of it: its tombstone was purged by then.
fn made_again(acknowledged: &[Acknowledged], delete: &Acknowledged) -> bool {
    acknowledged.iter().any(|later| {
        let Acknowledged { mutation, exchange, .. } = later;
        let is_made_on_nothing = mutation.op == MutationOp::Create && mutation.base.is_none();
        let is_of_it = record_of(mutation) == record_of(&delete.mutation) && *exchange > delete.exchange;
        is_of_it && is_made_on_nothing && mutation.replaces.is_some() && became_state(later)
    })
}

/// An overridden value that equals the one that stayed was no conflict.
fn equal_content(mutation: &Mutation, now: Option<&Record>) -> bool {
    now.is_some_and(|now| {
        let pushed = mutation.data.as_ref().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let held = now.data.as_ref().map(|_| Value::Object(now.data_tree()));
        match (pushed, held) {
            (Some(pushed), Some(held)) => same(&pushed, &held),
            (None, None) => mutation.op == MutationOp::Delete && now.deleted,
            _ => false,
        }
    })
}

/// No value is logged twice.
fn overridden_once(acknowledged: &[Acknowledged], log: &BTreeMap<RecordId, ConflictEntry>, found: &mut Findings<'_>) {
    let own: BTreeSet<RecordRef> = acknowledged.iter().map(|one| record_of(&one.mutation)).collect();
    let mut losers = BTreeSet::new();
    for entry in log.values().filter(|entry| own.contains(&entry.record)) {
        let loser = json!([entry.record, entry.path, entry.lost_by.mutation_id, entry.lost_by.rev]).to_string();
        if !losers.insert(loser) {
            let what = format!("the entries for one overridden value of {}", found.name(&entry.record));
            found.add(EXACTLY_ONE, None, what, json!(1), json!(2));
            return;
        }
    }
}

/// The records whose last mutation the server put off: they wait for something else.
fn put_off(acknowledged: &[Acknowledged]) -> BTreeSet<RecordRef> {
    let last: HashMap<RecordRef, &OutcomeKind> =
        acknowledged.iter().map(|one| (record_of(&one.mutation), &one.outcome.outcome)).collect();
    let is_put_off = |outcome: &OutcomeKind| matches!(outcome, OutcomeKind::Held | OutcomeKind::Skipped);
    last.into_iter().filter(|(_, outcome)| is_put_off(outcome)).map(|(record, _)| record).collect()
}

/// Whether a record names another one of whose work the device is not rid either.
fn waits_for_another(shown: &Shown, survey: &Survey) -> bool {
    let named: Vec<&str> = shown.data.iter().flat_map(|data| data.values()).filter_map(Value::as_str).collect();
    let unsettled = survey.outbox.iter().chain(survey.quarantine.iter().map(|one| &one.record));
    unsettled.into_iter().any(|record| named.contains(&record.id.as_str()))
}

/// Devices without unsettled work hold what a fresh device holds, and an outbox that is not empty has its reasons. Where
/// it was quiet before, every device has seen everything already.
async fn devices_equal(
    acted: &Acted,
    quiet: bool,
    seen: &Seen,
    records: &BTreeSet<RecordRef>,
    put_off: &BTreeSet<RecordRef>,
    unequal: &str,
    found: &mut Findings<'_>,
) {
    let records: Vec<RecordRef> = records.iter().cloned().collect();
    for one in &acted.devices {
        let current = seen.of_scopes.get(&one.account).unwrap_or(&seen.everything);
        if !quiet && !matches!(one.device.sync().await, Ok(SyncEnd::Ok)) {
            continue;
        }
        let survey = match one.device.survey(&records).await {
            Ok(survey) => survey,
            Err(error) => {
                let what = format!("what {} shows after everything was synced", one.name);
                found.add(unequal, None, what, json!("an answer"), json!(error.to_string()));
                continue;
            }
        };
        for record in &survey.outbox {
            let status = one.device.status(record).await.ok().flatten();
            let shown = one.device.read(record).await.unwrap_or_default();
            let waits = put_off.contains(record) || waits_for_another(&shown, &survey);
            if !matches!(status, Some(Status::Error(ErrorCause::Server | ErrorCause::Rejected))) && !waits {
                let what = format!("the outbox of {} after everything was synced", one.name);
                found.add(OUTBOX, None, what, json!([]), json!(survey.outbox));
                break;
            }
        }
        for (record, shown) in records.iter().zip(survey.records) {
            if survey.outbox.contains(record) || survey.quarantine.iter().any(|one| one.record == *record) {
                continue;
            }
            let held = shown.server;
            if !alike(held.as_ref(), current.get(record)) {
                let what = format!("{} on {} after everything was synced", found.name(record), one.name);
                found.add(unequal, None, what, told(current.get(record)), told(held.as_ref()));
            }
        }
    }
}
