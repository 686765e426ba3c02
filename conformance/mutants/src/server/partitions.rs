//! Faults against the chapter `partitions`.

use crate::Mutant;
use crate::seam::effects::around_pull;
use crate::seam::storage::{StorageFault, faulty};
use crate::seam::wire;
use async_trait::async_trait;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::store::{Commit, Row, Snapshot, State};
use fieldsync_schemas::id::{FeedName, TypeName};
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::registry::TypeEntry;
use fieldsync_server::{Parts, PullRule};
use std::sync::Arc;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-partition-requires-nothing",
        "partitions.type.requires",
        "A type with a partition is left to devices that know nothing of partitions.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                for entry in body["registry"]["types"].as_array_mut().into_iter().flatten() {
                    if entry["partition"].is_string() {
                        drop(entry.as_object_mut().map(|entry| entry.remove("requires")));
                    }
                }
            })
        },
    ),
    Mutant::server(
        "all-values-are-in-one-feed",
        "partitions.feed.by-value",
        "A type has one feed, whatever its partition is.",
        |parts| faulty(parts, Feeds(|state| is_part(&state.feed).then(|| whole(&state.feed)))),
    ),
    Mutant::server(
        "no-value-is-a-value",
        "partitions.feed.without-value",
        "Records without a value are in a partition of their own.",
        |parts| {
            faulty(
                parts,
                Feeds(|state| {
                    let is_without = state.record.type_name.as_str() == "encounter" && !is_part(&state.feed);
                    is_without.then(|| format!("{}/none", state.feed).parse().expect("a name with a value"))
                }),
            )
        },
    ),
    Mutant::server(
        "new-partitions-are-not-named",
        "partitions.feed.named-to-who-sees-it",
        "Only feeds of whole types are named as new.",
        |parts| {
            let is_part = |feed: &serde_json::Value| feed.as_str().is_some_and(|feed| feed.contains('/'));
            let named = move |_: &PullRequest, answer: &mut serde_json::Value| {
                if let Some(feeds) = answer["new_feeds"].as_array_mut() {
                    feeds.retain(|feed| !is_part(feed));
                }
            };
            around_pull(parts, |_| {}, named)
        },
    ),
    Mutant::server(
        "a-tombstone-has-no-value",
        "partitions.feed.tombstone-stays",
        "A tombstone has no data, so it goes to the feed without a value.",
        |parts| faulty(parts, Feeds(|state| state.deleted.then(|| whole(&state.feed)))),
    ),
    Mutant::server(
        "what-moved-is-left-behind",
        "partitions.move.leaves-the-old-feed",
        "A record that moved comes in its new feed, and the old one says nothing.",
        |parts| faulty(parts, Left),
    ),
    Mutant::server(
        "parents-are-in-whole-feeds",
        "partitions.parents.all-feeds-first",
        "Children do not wait for the partitions of their parents, and come before them.",
        |mut parts: Parts| {
            parts.rules.pull = Arc::new(WholeFeeds(parts.rules.pull));
            parts
        },
    ),
];

fn is_part(feed: &FeedName) -> bool {
    feed.as_str().contains('/')
}

fn whole(feed: &FeedName) -> FeedName {
    feed.as_str().split('/').next().and_then(|whole| whole.parse().ok()).expect("a feed has a name without a value")
}

/// The feed of a state, where it is another one than the rules say.
struct Feeds(fn(&State) -> Option<FeedName>);

impl StorageFault for Feeds {
    fn commits(&self, commits: &mut Vec<Commit>) {
        for state in commits.iter_mut().flat_map(|commit| &mut commit.states) {
            if let Some(feed) = (self.0)(state) {
                state.feed = feed;
            }
        }
    }
}

struct Left;

impl StorageFault for Left {
    fn rows(&self, _: &FeedName, rows: &mut Vec<Row>) {
        rows.retain(|row| row.to.is_none());
    }
}

struct WholeFeeds(Arc<dyn PullRule>);

#[async_trait]
impl PullRule for WholeFeeds {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let mut registry = ground.registry.clone();
        let has_parts = |name: &TypeName| ground.registry.entry(name).is_some_and(|entry| entry.partition.is_some());
        let waits = |entry: &TypeEntry| entry.parents.iter().any(|parent| has_parts(&parent.type_name));
        registry.types.sort_by_key(|entry| !waits(entry));
        registry.types.iter_mut().for_each(|entry| entry.parents.retain(|parent| !has_parts(&parent.type_name)));
        self.0.answer(request, Ground { registry: &registry, ..ground }, snapshot).await
    }
}
