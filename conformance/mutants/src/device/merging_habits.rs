//! Faults that devices which merge are known to have: against the chapters `cycles`, `merge` and `pull`.

use crate::Mutant;
use crate::seam::device_wire::answers;
use crate::seam::effects::merges;
use fieldsync_core::merge::{Merged, Rules, merge};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "an-object-in-a-removed-item-stops-the-merge",
        "merge.field-merge.item-back-whole",
        "A device gives a merge up where an item comes back that has an object in it, and goes on with its own state.",
        |parts| merges(parts, stops_at_an_object),
    ),
    Mutant::device(
        "an-accepted-create-goes-again",
        "cycles.accept.record-by-record",
        "A device sends a new record with each sync, until it has pulled it.",
        |parts| {
            answers(parts, CallKind::Push, |sent, _, body| {
                let created: Vec<Value> = items(&sent["mutations"])
                    .filter(|mutation| mutation["op"] == "create")
                    .map(|mutation| mutation["mutation_id"].clone())
                    .collect();
                for outcome in body["outcomes"].as_array_mut().into_iter().flatten() {
                    if created.contains(&outcome["mutation_id"]) && outcome["outcome"] == "applied" {
                        outcome["outcome"] = json!("held");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "one-refusal-fails-the-sync",
        "cycles.accept.record-by-record",
        "A device takes an answer with one refused or stale mutation for a failure of the server.",
        |parts| {
            answers(parts, CallKind::Push, |_, answer, body| {
                if items(&body["outcomes"]).any(|one| one["outcome"] == "rejected" || one["outcome"] == "stale") {
                    answer.status = 500;
                    *body = json!("failed");
                }
            })
        },
    ),
    Mutant::device(
        "a-pull-goes-on-from-the-newest-time",
        "cycles.pull.goes-on-where-it-stands",
        "A device passes over what is not newer than all that it has.",
        |parts| {
            let newest = Mutex::new(String::new());
            answers(parts, CallKind::Pull, move |_, _, body| {
                let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
                let before = newest.clone();
                for page in body["feeds"].as_array_mut().into_iter().flatten() {
                    let time = |change: &Value| change["record"]["accepted_at"].as_str().unwrap_or("~").to_owned();
                    let times = items(&page["changes"]).map(time).filter(|time| time != "~");
                    if let Some(last) = times.max().filter(|last| *last > *newest) {
                        *newest = last;
                    }
                    if let Some(changes) = page["changes"].as_array_mut() {
                        changes.retain(|change| time(change) > before);
                    }
                }
            })
        },
    ),
    Mutant::device(
        "a-result-in-an-object-is-passed-over",
        "cycles.results.pulled-after-push",
        "A device looks only at the members at the top of what comes after its push.",
        |parts| {
            let pushed = Arc::new(AtomicBool::new(false));
            let just_pushed = pushed.clone();
            let known = Mutex::new(HashMap::<String, Data>::new());
            let parts = answers(parts, CallKind::Push, move |_, _, _| pushed.store(true, Ordering::Relaxed));
            answers(parts, CallKind::Pull, move |_, _, body| {
                let is_result = just_pushed.swap(false, Ordering::Relaxed);
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                for page in body["feeds"].as_array_mut().into_iter().flatten() {
                    let Some(changes) = page["changes"].as_array_mut() else { continue };
                    changes.retain(|change| {
                        let plain = |value: &Value| !value.is_object() && !value.is_array();
                        let data = change["record"]["data"].as_object();
                        let top: Map<String, Value> = data
                            .into_iter()
                            .flatten()
                            .filter(|(_, value)| plain(value))
                            .map(|(name, value)| (name.clone(), value.clone()))
                            .collect();
                        let before = known.insert(change["record"]["id"].to_string(), top.clone());
                        !(is_result && before == Some(top))
                    });
                }
            })
        },
    ),
];

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn stops_at_an_object(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let merged = merge(base, local.clone(), server, rules);
    let comes_back = |path: &str, kept: &Option<Value>| {
        let has_object =
            kept.as_ref().and_then(Value::as_object).is_some_and(|item| item.values().any(Value::is_object));
        path.matches('/').count() >= 2 && has_object
    };
    if merged.overridden.iter().any(|one| one.lost.is_none() && comes_back(&one.path, &one.kept)) {
        return Merged { data: local, overridden: Vec::new() };
    }
    merged
}
