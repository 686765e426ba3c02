//! Faults against the chapter `records`.

use super::push::changed;
use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes, commits};
use crate::seam::wire::requests;
use fieldsync_core::data::{content_hash, tree};
use fieldsync_core::push::{Decision, ReadMutation};
use fieldsync_core::store::State;
use fieldsync_schemas::id::{MAX_SAFE_INTEGER, Rev, Version};
use fieldsync_schemas::record::{Data, Record};
use fieldsync_schemas::session::Limits;
use fieldsync_server::Parts;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-rev-is-the-hash-of-the-content",
        "records.rev.new-with-each-state",
        "A record that says again what it said before gets its old rev again.",
        a_rev_is_the_hash_of_the_content,
    ),
    Mutant::server(
        "a-new-life-begins-at-version-one",
        "records.version.never-falls+2",
        "A record that is made again after its deletion begins at version 1.",
        |parts| {
            after(parts, |before, record| {
                if before.deleted {
                    record.version = Version::FIRST;
                }
            })
        },
    ),
    Mutant::server(
        "the-first-writer-stays",
        "records.envelope.as-accepted",
        "Every state of a record names the replica that made the first one.",
        |parts| after(parts, |before, record| record.replica = before.replica.clone()),
    ),
    Mutant::server(
        "times-are-believed",
        "records.time.clamped",
        "A time far ahead is published as the device claims it.",
        |parts| {
            published(parts, |record| {
                if let Some(claimed) = record.claimed_at.take() {
                    record.modified_at = claimed;
                }
            })
        },
    ),
    Mutant::server(
        "empty-members-are-dropped",
        "records.data.whole",
        "Members that are empty texts, lists or objects are not stored.",
        |parts| {
            published_data(parts, |data| {
                data.retain(|_, value| !matches!(value.to_string().as_str(), "\"\"" | "[]" | "{}"));
            })
        },
    ),
    Mutant::server(
        "texts-are-normalised",
        "records.data.strings-unchanged",
        "The sign for ångström is stored as the letter, as NFC has it.",
        |parts| {
            published(parts, |record| {
                let composed = record.data.as_ref().map(|data| data.get().replace('\u{212b}', "\u{c5}"));
                record.data = composed.map(|text| RawValue::from_string(text).expect("it was JSON before"));
            })
        },
    ),
    Mutant::server(
        "an-update-is-laid-over-the-record",
        "records.data.update-replaces-whole",
        "A member that an update lacks stays in the record.",
        |parts| {
            after(parts, |before, record| {
                let earlier: Record = serde_json::from_str(&before.json).expect("the server wrote it");
                if let Some(data) = &mut record.data {
                    let mut merged = earlier.data_tree();
                    merged.extend(tree(data));
                    *data = raw(&merged);
                }
            })
        },
    ),
    Mutant::server(
        "null-is-stored-as-empty",
        "records.null.member-is-absent",
        "A member that is null is stored as an empty text.",
        |parts| pushed_data(parts, null_members_are_empty),
    ),
    Mutant::server(
        "nulls-fall-out-of-lists",
        "records.null.list-item-stays",
        "A null that is an item of a list is removed from it.",
        |parts| pushed_data(parts, lists_lose_nulls),
    ),
    Mutant::server(
        "great-numbers-are-rounded",
        "records.number.range",
        "A number beyond what every device holds is stored as the greatest one that they do.",
        |parts| pushed_data(parts, great_numbers_are_rounded),
    ),
    Mutant::server(
        "the-last-of-two-members-stays",
        "records.member.twice",
        "Of two members of one name the last one is taken.",
        |parts| requests(parts, "/push", |_| {}),
    ),
    Mutant::server(
        "contents-are-compared-as-text",
        "records.equality.rfc-8785",
        "Two contents are equal only where they are written alike.",
        contents_are_compared_as_text,
    ),
    Mutant::server(
        "limits-are-only-announced",
        "records.limits.named",
        "Data is taken in whatever size and depth it comes.",
        limits_are_only_announced,
    ),
];

fn raw(data: &Data) -> Box<RawValue> {
    to_raw_value(data).expect("a tree is plain JSON")
}

/// Changes every record that is about to be published, other than conflict entries.
fn published(parts: Parts, change: impl Fn(&mut Record) + Send + Sync + 'static) -> Parts {
    commits(parts, move |_, commit| {
        for state in commit.states.iter_mut().filter(|state| state.replica.is_some()) {
            *state = changed(state, &change);
        }
    })
}

/// Changes the data of every record that is about to be published.
fn published_data(parts: Parts, change: impl Fn(&mut Data) + Send + Sync + 'static) -> Parts {
    published(parts, move |record| {
        if let Some(data) = &mut record.data {
            let mut members = tree(data);
            change(&mut members);
            *data = raw(&members);
        }
    })
}

/// Changes every record that is about to be published, with the state that it had before.
fn after(parts: Parts, change: impl Fn(&State, &mut Record) + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, loaded, ground, decide| {
        let earlier = loaded.states.clone();
        let mut decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &mut decision {
            for state in &mut commit.states {
                if let Some(before) = earlier.get(&state.record) {
                    *state = changed(state, |record| change(before, record));
                }
            }
        }
        Ok(decision)
    })
}

/// Changes the data of every mutation before the server sees it.
fn pushed_data(parts: Parts, change: fn(&mut Value)) -> Parts {
    requests(parts, "/push", move |push| {
        for mutation in push.get_mut("mutations").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(data) = mutation.get_mut("data") {
                change(data);
            }
        }
    })
}

fn null_members_are_empty(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            members.values_mut().filter(|value| value.is_null()).for_each(|value| *value = "".into());
            members.values_mut().for_each(null_members_are_empty);
        }
        Value::Array(items) => items.iter_mut().for_each(null_members_are_empty),
        _ => {}
    }
}

fn lists_lose_nulls(tree: &mut Value) {
    match tree {
        Value::Object(members) => members.values_mut().for_each(lists_lose_nulls),
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(lists_lose_nulls);
        }
        _ => {}
    }
}

fn great_numbers_are_rounded(tree: &mut Value) {
    match tree {
        Value::Object(members) => members.values_mut().for_each(great_numbers_are_rounded),
        Value::Array(items) => items.iter_mut().for_each(great_numbers_are_rounded),
        Value::Number(number) if number.as_f64().is_some_and(|number| number.abs() > MAX_SAFE_INTEGER as f64) => {
            *tree = MAX_SAFE_INTEGER.into();
        }
        _ => {}
    }
}

fn a_rev_is_the_hash_of_the_content(parts: Parts) -> Parts {
    commits(parts, |_, commit| {
        for place in 0..commit.states.len() {
            let state = &commit.states[place];
            let hash: String = state.content[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            let (old, new) = (state.rev.clone(), Rev::new(hash).expect("hexadecimal is a rev"));
            commit.states[place] = changed(state, |record| record.rev = new.clone());
            change_outcomes(commit, |outcomes| {
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.rev.as_ref() == Some(&old)) {
                    outcome.rev = Some(new.clone());
                }
            });
        }
    })
}

fn contents_are_compared_as_text(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, limits, registry)?;
        for asked in batch.mutations.iter_mut().filter_map(ReadMutation::change_mut) {
            let text = asked.data.as_ref().map(|data| to_raw_value(data.get()).expect("a text is plain JSON"));
            asked.content = content_hash(text.as_deref(), &asked.attachments);
        }
        Ok(batch)
    });
    parts
}

fn limits_are_only_announced(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let none = Limits { record_bytes: u64::MAX, string_bytes: u64::MAX, nesting: u32::MAX, ..*limits };
        read(body, &none, registry)
    });
    parts
}
