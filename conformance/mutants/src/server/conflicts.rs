//! Faults against the chapter `conflicts`.

use crate::Mutant;
use crate::seam::effects::{around_pull, change_outcomes, commits, outcomes};
use crate::seam::policy::instead_of;
use fieldsync_core::policy::{Contest, Ruling, version_wins};
use fieldsync_core::store::State;
use fieldsync_schemas::conflict::{CONFLICT_FEED, CONFLICT_TYPE};
use fieldsync_schemas::push::OutcomeKind;
use fieldsync_schemas::registry::MergePolicy::VersionWins;
use fieldsync_server::Parts;
use serde_json::{Value, json};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "replaced-state-is-not-logged",
        "conflicts.entry.exactly-one",
        "Only a pushed state that loses is logged; an accepted one that is replaced unseen is not.",
        only_superseded,
    ),
    Mutant::server(
        "agreement-is-logged",
        "conflicts.entry.equal-is-none",
        "A mutation that says what is there already loses the contest, and is logged.",
        |parts| instead_of(VersionWins, agreement_loses, parts),
    ),
    Mutant::server(
        "entry-mixes-up-the-writers",
        "conflicts.entry.both-sides",
        "The entry names the winner as the loser, and the loser as the winner.",
        |parts| {
            entries(parts, |entry| {
                let lost_by = entry["lost_by"].take();
                entry["lost_by"] = entry["kept_by"].take();
                entry["kept_by"] = lost_by;
            })
        },
    ),
    Mutant::server(
        "entry-leaves-out-the-base",
        "conflicts.entry.base-where-known",
        "The entry does not say what the loser was made on.",
        |parts| {
            entries(parts, |entry| {
                entry.as_object_mut().expect("an entry is an object").remove("base");
            })
        },
    ),
    Mutant::server(
        "entry-comes-by-the-feed-only",
        "conflicts.entry.with-the-outcome",
        "Outcomes do not bring the entries that they caused.",
        |parts| outcomes(parts, |outcomes| outcomes.iter_mut().for_each(|outcome| outcome.conflicts.clear())),
    ),
    Mutant::server(
        "entry-goes-to-its-writers-only",
        "conflicts.feed.all-readers",
        "An entry is given to the two replicas that it names, and to nobody else.",
        only_writers,
    ),
];

fn is_entry(state: &State) -> bool {
    state.record.type_name.as_str() == CONFLICT_TYPE
}

fn only_superseded(parts: Parts) -> Parts {
    commits(parts, |_, commit| {
        let lost_by =
            |state: &State| serde_json::from_str::<Value>(&state.json).map(|tree| tree["data"]["lost_by"].clone());
        commit.states.retain(|state| !is_entry(state) || lost_by(state).is_ok_and(|writer| writer["rev"].is_null()));
        change_outcomes(commit, |outcomes| {
            let applied = outcomes.iter_mut().filter(|outcome| outcome.outcome == OutcomeKind::Applied);
            applied.for_each(|outcome| outcome.conflicts.clear());
        });
    })
}

fn agreement_loses(contest: &Contest) -> Ruling {
    match version_wins(contest) {
        Ruling::Duplicate => Ruling::Supersede,
        ruling => ruling,
    }
}

/// Changes the data of every entry, as it is stored and as it comes with the outcome.
fn entries(parts: Parts, change: fn(&mut Value)) -> Parts {
    let changed = move |json: &str| {
        let mut tree: Value = serde_json::from_str(json).expect("the core wrote it");
        change(&mut tree["data"]);
        serde_json::value::to_raw_value(&tree).expect("a tree is plain JSON")
    };
    commits(parts, move |_, commit| {
        for state in commit.states.iter_mut().filter(|state| is_entry(state)) {
            state.json = Arc::from(changed(&state.json).get());
        }
        change_outcomes(commit, |outcomes| {
            let conflicts = outcomes.iter_mut().flat_map(|outcome| &mut outcome.conflicts);
            conflicts.for_each(|entry| *entry = changed(entry.get()));
        });
    })
}

fn only_writers(parts: Parts) -> Parts {
    around_pull(
        parts,
        |_| {},
        |request, answer| {
            let replica = json!(request.replica);
            let pages = answer["feeds"].as_array_mut().expect("an answer has feeds");
            for page in pages.iter_mut().filter(|page| page["feed"] == CONFLICT_FEED) {
                let changes = page["changes"].as_array_mut().expect("a page has changes");
                changes.retain(|change| {
                    ["lost_by", "kept_by"].iter().any(|side| change["record"]["data"][side]["replica"] == replica)
                });
            }
        },
    )
}
