//! Faults against the chapter `security`.

use crate::Mutant;
use crate::seam::storage::{self, StorageFault};
use crate::seam::wire;
use fieldsync_core::store::{Commit, Row, RowKind};
use fieldsync_schemas::id::FeedName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-feed-is-one-for-all-data-sets",
        "security.data-set.apart",
        "A page has what was pushed to the feed of that name in any data set.",
        |parts| storage::faulty(parts, OneFeedForAll::default()),
    ),
    Mutant::server(
        "only-what-is-understood-counts",
        "security.body.limit",
        "The members that the server ignores do not count against the limit of a body.",
        |parts| {
            wire::requests(parts, "/push", |body| {
                let known = ["replica", "seq", "previous", "epoch", "mutations"];
                if let Some(body) = body.as_object_mut() {
                    body.retain(|name, _| known.contains(&name.as_str()));
                }
            })
        },
    ),
];

/// Keeps what was pushed, by feed, and forgets to which data set.
#[derive(Default)]
struct OneFeedForAll(Mutex<HashMap<FeedName, Vec<Arc<str>>>>);

impl StorageFault for OneFeedForAll {
    fn commits(&self, commits: &mut Vec<Commit>) {
        let mut kept = self.0.lock().expect("nobody panics with it");
        for state in commits.iter().flat_map(|commit| &commit.states) {
            kept.entry(state.feed.clone()).or_default().push(state.json.clone());
        }
    }

    fn rows(&self, feed: &FeedName, rows: &mut Vec<Row>) {
        let Some(place) = rows.last().map(|row| row.place) else { return };
        for json in self.0.lock().expect("nobody panics with it").get(feed).into_iter().flatten() {
            if rows.iter().all(|row| row.json != *json) {
                rows.push(Row { place, kind: RowKind::Put, json: json.clone(), to: None });
            }
        }
    }
}
