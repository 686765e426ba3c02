//! What users wrote under `field-merge`, and what became of it: it was in a state that the server took, or it is in the
//! conflict log, once.
//!
//! Looked at are members without a rule of their own at the top of a record, each of which is one whole value. What a user
//! saved last before a sync that ended well has been taken, or overridden, once the sync has ended. What was saved before it
//! may have gone into the same mutation, and so needs no trace.

use super::matching::same;
use super::oracle::{Acknowledged, Findings, became_state, record_of};
use crate::replay::{Acted, Deed};
use crate::tap::{Delivered, SeenExchange};
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{Epoch, RecordId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{MutationOp, OutcomeKind};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::{MergePolicy, Profile};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const EACH_OVERRIDE: &str = "conflicts.device.each-override";
const ALL_READERS: &str = "conflicts.feed.all-readers";

/// What a user saved under `field-merge` was in a state, or is logged as overridden, once. Where an answer was altered on
/// its way, or the data began anew, nobody can say.
pub(super) async fn what_was_saved_is_traced(
    acted: &Acted,
    acknowledged: &[Acknowledged],
    log: &BTreeMap<RecordId, ConflictEntry>,
    found: &mut Findings<'_>,
) {
    let session = &acted.stage.session;
    let epochs: BTreeSet<&Epoch> = acknowledged.iter().map(|one| &one.epoch).collect();
    let is_beyond = acted.deeds.contains(&Deed::Meddled) || acted.exchanges.iter().any(was_altered);
    if session.profile != Profile::FieldMerge || epochs.len() > 1 || is_beyond {
        return;
    }
    // What was refused is mended by what the user saves next, and what was deleted, also with its parent, is lost whole.
    let is_settled = |one: &Acknowledged| {
        became_state(one) || matches!(one.outcome.outcome, OutcomeKind::Duplicate | OutcomeKind::Stale)
    };
    let beyond = acknowledged.iter().filter(|one| one.mutation.op == MutationOp::Delete || !is_settled(one));
    let mut beyond: BTreeSet<RecordRef> = beyond.map(|one| record_of(&one.mutation)).collect();
    beyond.extend(log.values().filter(|entry| entry.path.is_empty()).map(|entry| entry.record.clone()));
    let mut writers: BTreeMap<&RecordRef, BTreeSet<&str>> = BTreeMap::new();
    for deed in &acted.deeds {
        if let Deed::Saved(device, record, _) = deed {
            writers.entry(record).or_default().insert(device);
        }
    }
    beyond.extend(writers.iter().filter(|(_, devices)| devices.len() < 2).map(|(record, _)| (*record).clone()));
    let is_looked_at = |record: &RecordRef, member: &str| {
        let entry = session.registry.entry(&record.type_name).filter(|_| !beyond.contains(record));
        let rules = entry.map(|entry| &entry.merge).filter(|rules| rules.policy == MergePolicy::FieldMerge);
        rules.is_some_and(|rules| {
            let is_ruled = |pointer: &String| pointer.split('/').nth(1) == Some(member);
            rules.on_stale.is_none() && !rules.fields.keys().any(is_ruled)
        })
    };
    let mut states: HashMap<RecordRef, Vec<Data>> = HashMap::new();
    let is_there = |one: &&Acknowledged| became_state(one) || one.outcome.outcome == OutcomeKind::Duplicate;
    for one in acknowledged.iter().filter(is_there) {
        let pushed = one.mutation.data.iter().chain(&one.mutation.patch);
        let pushed = pushed.filter_map(|raw| serde_json::from_str::<Data>(raw.get()).ok());
        states.entry(record_of(&one.mutation)).or_default().extend(pushed);
    }
    let astray = astray(&acted.deeds, is_looked_at, &states, log.values());
    if astray.is_empty() {
        return;
    }
    let records: Vec<RecordRef> = astray.iter().map(|one| one.record.clone()).collect();
    let mut waiting = BTreeSet::new();
    for one in &acted.devices {
        let Ok(survey) = one.device.survey(&records).await else { return };
        waiting.extend(survey.outbox);
        waiting.extend(survey.quarantine.into_iter().map(|one| one.record));
    }
    let Some(one) = astray.iter().find(|one| !waiting.contains(&one.record)) else { return };
    let is_pushed = acknowledged.iter().any(|entry| is_entry_for(entry, one));
    let rule = if one.entries == 0 && is_pushed { ALL_READERS } else { EACH_OVERRIDE };
    let what = format!(
        "the entries for {} in {} of {}, as it was saved on {}, which is in no state of the server's",
        one.value,
        one.member,
        found.name(&one.record),
        one.device
    );
    found.add(rule, None, what, json!(one.saved), json!(one.entries));
}

/// Whether the device got something else than the server said.
fn was_altered(seen: &SeenExchange) -> bool {
    match (&seen.upstream, &seen.delivered) {
        (Some(upstream), Delivered::Whole(answer)) => upstream.body.bytes != answer.body.bytes,
        (None, Delivered::Whole(_)) => true,
        _ => false,
    }
}

/// Whether this is the create of an entry that says that a value was overridden.
fn is_entry_for(create: &Acknowledged, lost: &Astray) -> bool {
    let data = create.mutation.data.as_deref().filter(|_| create.mutation.type_name.as_str() == CONFLICT_TYPE);
    let entry = data.and_then(|data| serde_json::from_str::<ConflictEntry>(data.get()).ok());
    let is_taken = matches!(create.outcome.outcome, OutcomeKind::Applied | OutcomeKind::Duplicate);
    is_taken
        && entry.is_some_and(|entry| {
            entry.record == lost.record && lost_of(&entry, &lost.member).is_some_and(|value| same(value, &lost.value))
        })
}

/// A value with less or more traces than it may have.
#[derive(Debug, Clone, PartialEq)]
struct Astray {
    /// On which device it was saved.
    device: String,
    /// In which record.
    record: RecordRef,
    /// In which member.
    member: String,
    /// The value.
    value: Value,
    /// The entries by which it was overridden.
    entries: usize,
    /// How many there are to be at most: as many as it was saved.
    saved: usize,
}

/// The values that are in no state and no entry, and those with more entries than they were saved. `states` has what each
/// record ever was on the server.
fn astray<'a>(
    deeds: &[Deed],
    is_looked_at: impl Fn(&RecordRef, &str) -> bool,
    states: &HashMap<RecordRef, Vec<Data>>,
    log: impl Iterator<Item = &'a ConflictEntry>,
) -> Vec<Astray> {
    let given_up: BTreeSet<&RecordRef> = deeds.iter().filter_map(gave_up).collect();
    let mut saved: Vec<(Astray, bool)> = Vec::new();
    // Which of them is the last one of each member, on each device.
    let mut last: BTreeMap<(&str, &RecordRef, &str), usize> = BTreeMap::new();
    for deed in deeds {
        match deed {
            Deed::Saved(device, record, data) if !given_up.contains(record) => {
                for (member, value) in
                    data.iter().filter(|(member, value)| is_looked_at(record, member) && is_whole(value))
                {
                    last.insert((device, record, member), saved.len());
                    let (device, member, value) = (device.clone(), member.clone(), value.clone());
                    saved.push((Astray { device, record: record.clone(), member, value, entries: 0, saved: 1 }, false));
                }
            }
            Deed::Synced(device) => {
                let settled = last.extract_if(.., |(on, ..), _| *on == device.as_str());
                settled.for_each(|(_, index)| saved[index].1 = true);
            }
            _ => {}
        }
    }
    for entry in log {
        let of_record = saved.iter_mut().filter(|(one, _)| one.record == entry.record);
        for (one, _) in
            of_record.filter(|(one, _)| lost_of(entry, &one.member).is_some_and(|lost| same(lost, &one.value)))
        {
            one.entries += 1;
        }
    }
    let alike = |one: &Astray, other: &Astray| {
        (&one.record, &one.member) == (&other.record, &other.member) && same(&one.value, &other.value)
    };
    for index in 0..saved.len() {
        saved[index].0.saved = saved.iter().filter(|(other, _)| alike(&saved[index].0, other)).count();
    }
    let was_there = |one: &Astray| {
        let states = states.get(&one.record).into_iter().flatten();
        states.filter_map(|data| data.get(&one.member)).any(|value| same(value, &one.value))
    };
    let is_astray =
        |one: &Astray, is_settled: bool| one.entries > one.saved || is_settled && one.entries == 0 && !was_there(one);
    saved.into_iter().filter(|(one, is_settled)| is_astray(one, *is_settled)).map(|(one, _)| one).collect()
}

fn gave_up(deed: &Deed) -> Option<&RecordRef> {
    match deed {
        Deed::GaveUp(record) => Some(record),
        _ => None,
    }
}

/// Whether a value is never merged in parts, and is one.
fn is_whole(value: &Value) -> bool {
    !value.is_null() && !value.is_object()
}

/// What an entry says was lost of a member, by itself or with the whole record.
fn lost_of<'a>(entry: &'a ConflictEntry, member: &str) -> Option<&'a Value> {
    match entry.path.strip_prefix('/') {
        Some(step) if step == member.replace('~', "~0").replace('/', "~1") => entry.lost.as_ref(),
        None => entry.lost.as_ref()?.get(member),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> RecordRef {
        RecordRef { type_name: "observation".parse().unwrap(), id: "fever".parse().unwrap() }
    }

    fn saved(device: &str, round: u32) -> Deed {
        Deed::Saved(device.to_owned(), record(), json!({"round": round}).as_object().unwrap().clone())
    }

    fn synced(device: &str) -> Deed {
        Deed::Synced(device.to_owned())
    }

    fn entry(round: u32, mutation: &str) -> ConflictEntry {
        let entry = json!({
            "record": record(), "path": "/round", "base": 0, "lost": round, "kept": 1, "time": "2026-11-20T08:00:00Z",
            "lost_by": {"replica": "r1", "mutation_id": mutation}, "kept_by": {"replica": "r2", "rev": "e1.2"},
        });
        serde_json::from_str(&entry.to_string()).unwrap()
    }

    /// The rounds that are astray, with their entries; the server had the rounds 0 and 1.
    fn found(deeds: &[Deed], log: &[ConflictEntry]) -> Vec<(Value, usize)> {
        let states = [0, 1].map(|round| json!({"round": round}).as_object().unwrap().clone());
        let states = HashMap::from([(record(), states.to_vec())]);
        let astray = astray(deeds, |_, _| true, &states, log.iter());
        astray.into_iter().map(|one| (one.value, one.entries)).collect()
    }

    #[test]
    fn what_was_saved_was_a_state_or_is_logged_once() {
        let deeds = [saved("phone", 1), synced("phone"), saved("tablet", 2), saved("tablet", 3), synced("tablet")];
        assert_eq!(found(&deeds, &[entry(3, "m1")]), []);
        assert_eq!(found(&deeds, &[]), [(json!(3), 0)], "what came before it may have gone along");
        assert_eq!(found(&deeds, &[entry(3, "m1"), entry(3, "m2")]), [(json!(3), 2)]);
        let twice = [saved("tablet", 2), synced("tablet"), saved("tablet", 2), synced("tablet")];
        assert_eq!(found(&twice, &[entry(2, "m1"), entry(2, "m2")]), []);
    }

    #[test]
    fn what_waits_or_was_given_up_has_no_trace() {
        assert_eq!(found(&[saved("tablet", 2), synced("phone")], &[]), []);
        assert_eq!(found(&[saved("tablet", 2), synced("tablet"), Deed::GaveUp(record())], &[]), []);
    }
}
