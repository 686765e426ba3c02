//! Merge: how many records a second the policy `field-merge` brings together, on one thread.
//!
//! A record has 30 members, among them an object and two keyed lists of ten items. In *half edited* one side changed half
//! of them, both sides changed a tenth, each in its own way, and each list lost an item and gained one on either side. In
//! *nothing differs* all three states are equal. The rules are read once, as they are for a type; the states are trees
//! already, for reading JSON is no part of merging, and each merge has its own. The local state, which a merge takes, is freed
//! within the measured time, the result after it.
//!
//! Beside it stands what a bare loop takes to copy one of the three states, to compare with.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, rounds};
use fieldsync_core::merge::{Merged, Rules, merge};
use fieldsync_schemas::record::Data;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MERGES: usize = 20_000;
/// How many states are made ahead of the clock, few enough to stay in the processor's caches.
const AHEAD: usize = 10;
const VALUES: usize = 27;

fn main() -> Outcome {
    let rules = Rules::compile(&serde_json::from_value(json!({
        "policy": "field-merge",
        "fields": {"/contacts": {"rule": "keyed-set"}, "/exposures": {"rule": "keyed-set"}},
    }))?)?;
    let base = record();
    let (local, server) = edited(&base);
    let merged = merge(Some(&base), Some(local.clone()), Some(server.clone()), &rules);
    check(&merged)?;
    report::begin(&format!(
        "merge: a record of {} members and {} bytes, two of them lists of ten items",
        base.len(),
        serde_json::to_vec(&base)?.len()
    ));
    let (mut half, mut equal, mut copies) = (vec![], vec![], vec![]);
    for _ in 0..rounds() {
        half.push(measure(&base, &local, &server, &rules));
        equal.push(measure(&base, &base, &base, &rules));
        copies.push(copy(&base));
    }
    let note = format!("{} values overridden", merged.overridden.len());
    report::line("half edited", "merges/s", &half, Target::AtLeast(100_000.0), &note);
    report::line("nothing differs", "merges/s", &equal, Target::AtLeast(300_000.0), "");
    report::line("bare loop: a copy of one state", "copies/s", &copies, Target::None, "");
    Ok(())
}

fn record() -> Data {
    let mut data = Data::new();
    for index in 0..VALUES {
        let value = match index % 3 {
            0 => json!(format!("what was written in field {index}")),
            1 => json!(index),
            _ => json!(index % 2 == 0),
        };
        data.insert(format!("field_{index:02}"), value);
    }
    data.insert("address".to_owned(), json!({"street": "Main Street 1", "town": "North", "zip": "1001"}));
    for list in ["contacts", "exposures"] {
        let item = |index: usize| json!({"id": format!("0197c1f0-{list}-{index}"), "name": format!("Person {index}"), "place": "North", "days": index});
        data.insert(list.to_owned(), (0..10).map(item).collect());
    }
    data
}

fn edited(base: &Data) -> (Data, Data) {
    let (mut local, mut server) = (base.clone(), base.clone());
    for index in 0..VALUES {
        let name = format!("field_{index:02}");
        if index % 2 == 0 {
            local.insert(name.clone(), json!(format!("edited here, {index}")));
        }
        if index % 10 == 0 {
            server.insert(name, json!(format!("edited there, {index}")));
        }
    }
    local["address"]["street"] = "Side Street 2".into();
    server["address"]["town"] = "South".into();
    for list in ["contacts", "exposures"] {
        for (side, data) in [&mut local, &mut server].into_iter().enumerate() {
            let Some(Value::Array(items)) = data.get_mut(list) else { continue };
            items.remove(2 + side);
            items.push(json!({"id": format!("added-{side}"), "name": "Someone", "place": "South", "days": 1}));
            items[5 + side]["days"] = json!(99);
        }
    }
    (local, server)
}

/// What is measured is done.
fn check(merged: &Merged) -> Outcome {
    let paths: Vec<_> = merged.overridden.iter().map(|one| one.path.as_str()).collect();
    let items = |list: &str| merged.data.as_ref().and_then(|data| data.get(list)?.as_array()).map_or(0, Vec::len);
    if paths != ["/field_00", "/field_10", "/field_20"] || [items("contacts"), items("exposures")] != [10, 10] {
        return Err(format!("the merge came to something else: {paths:?}").into());
    }
    Ok(())
}

fn measure(base: &Data, local: &Data, server: &Data, rules: &Rules) -> f64 {
    let mut seconds = 0.0;
    for _ in 0..MERGES / AHEAD {
        let states: Vec<_> = (0..AHEAD).map(|_| (local.clone(), server.clone())).collect();
        let mut results = Vec::with_capacity(AHEAD);
        let began = Instant::now();
        for (local, server) in states {
            results.push(merge(Some(black_box(base)), Some(local), Some(server), rules));
        }
        seconds += began.elapsed().as_secs_f64();
        black_box(results);
    }
    MERGES as f64 / seconds
}

fn copy(state: &Data) -> f64 {
    let mut seconds = 0.0;
    for _ in 0..MERGES / AHEAD {
        let mut copies = Vec::with_capacity(AHEAD);
        let began = Instant::now();
        for _ in 0..AHEAD {
            copies.push(black_box(state).clone());
        }
        seconds += began.elapsed().as_secs_f64();
        black_box(copies);
    }
    MERGES as f64 / seconds
}
