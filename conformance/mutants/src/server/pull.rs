//! Faults against the chapter `pull`.

use super::pull_cursors::{full_pages_come_again, page_number, wall_clock};
use crate::Mutant;
use crate::seam::effects::around_pull;
use crate::seam::storage::{StorageFault, faulty};
use async_trait::async_trait;
use fieldsync_core::problem::Trouble;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::store::{Head, Place, Row, Snapshot};
use fieldsync_schemas::id::{FeedName, Principal};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::session::Limits;
use fieldsync_server::{Parts, PullRule};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "time-is-the-key-of-a-feed",
        "pull.cursor.gap-free",
        "Of the changes of a page that were accepted in one millisecond only the last is given.",
        |parts| faulty(parts, TimeIsKey),
    ),
    Mutant::server(
        "a-cursor-is-a-page-number",
        "pull.cursor.gap-free",
        "A cursor counts the rows that were given; a row that moves to the end draws all others one place forward.",
        page_number,
    ),
    Mutant::server(
        "a-cursor-is-a-time",
        "pull.cursor.gap-free",
        "A cursor is the time of the answer, and gives what was accepted later.",
        |parts| wall_clock(parts, Duration::ZERO),
    ),
    Mutant::server(
        "a-cursor-is-a-time-with-a-guard",
        "pull.cursor.gap-free",
        "A cursor is the time of the answer less ten seconds, and gives what was accepted later.",
        |parts| wall_clock(parts, Duration::from_secs(10)),
    ),
    Mutant::server(
        "cursor-gives-its-changes-once",
        "pull.cursor.replayable",
        "A cursor that was used before gives nothing.",
        used_once,
    ),
    Mutant::server(
        "unreadable-cursor-is-null",
        "pull.cursor.bound-to-feed",
        "A cursor that the server did not make for the feed is taken for null.",
        |parts| {
            forgiving(parts, ProblemCode::InvalidCursor, |request, feed| {
                request.feeds.insert(feed, None);
            })
        },
    ),
    Mutant::server(
        "cursor-is-everybodys",
        "pull.cursor.bound-to-principal",
        "A cursor is good for every principal.",
        |mut parts| {
            let everybody = Principal::new("everybody").expect("a constant that is a principal");
            parts.rules.pull =
                Arc::new(OtherGround { inner: parts.rules.pull, principal: Some(everybody), page_changes: None });
            parts
        },
    ),
    Mutant::server(
        "limit-is-passed-over",
        "pull.page.limit-is-whole-answer",
        "The limit of the request is not looked at.",
        |parts| around_pull(parts, |request| request.limit = None, |_, _| {}),
    ),
    Mutant::server(
        "the-announced-limit-is-only-announced",
        "pull.page.limit-is-whole-answer",
        "A request gets as many changes as it asks for, also above the server's own limit.",
        |mut parts| {
            parts.rules.pull =
                Arc::new(OtherGround { inner: parts.rules.pull, principal: None, page_changes: Some(u32::MAX) });
            parts
        },
    ),
    Mutant::server(
        "change-comes-twice-in-a-page",
        "pull.page.at-most-one-change",
        "The last change of a page is in it twice.",
        |parts| pages(parts, |changes, _| changes.extend(changes.last().cloned())),
    ),
    Mutant::server(
        "more-wherever-there-was-something",
        "pull.page.more",
        "A page says that there is more wherever it has a change.",
        |parts| pages(parts, |changes, more| *more = json!(!changes.is_empty())),
    ),
    Mutant::server(
        "smallest-page-stays-empty",
        "pull.page.progress+2",
        "Where there is room for one change only, none is given, and the page says that there is more.",
        |parts| faulty(parts, EmptySmallPage),
    ),
    Mutant::server(
        "a-full-page-comes-again",
        "pull.page.progress+2",
        "A page behind which there is more has the cursor with which it was asked for, so that it comes again.",
        full_pages_come_again,
    ),
    Mutant::server(
        "feeds-are-read-one-after-another",
        "pull.page.one-snapshot",
        "The later feeds of an answer are read from a copy that has not got the newest batch yet.",
        later_feeds_lag,
    ),
    Mutant::server(
        "unmoved-feeds-are-in-the-answer",
        "pull.page.unmoved-left-out",
        "A feed without news gets an empty page.",
        empty_pages,
    ),
    Mutant::server(
        "empty-feed-gets-no-cursor",
        "pull.page.null-gets-cursor",
        "A feed that has no change is left out of the answer, even where it was asked for from null.",
        |parts| {
            around_pull(
                parts,
                |_| {},
                |_, answer| {
                    feeds(answer).retain(|page| page["changes"] != json!([]));
                },
            )
        },
    ),
    Mutant::server(
        "page-does-not-say-where-it-begins",
        "pull.echo.from",
        "The `from` of each page is null.",
        |parts| {
            around_pull(
                parts,
                |_| {},
                |_, answer| {
                    feeds(answer).iter_mut().for_each(|page| page["from"] = Value::Null);
                },
            )
        },
    ),
    Mutant::server(
        "new-feeds-are-not-named",
        "pull.feeds.new-are-named",
        "The answer speaks of the feeds that were asked for, and of no others.",
        |parts| {
            around_pull(
                parts,
                |_| {},
                |_, answer| {
                    answer.as_object_mut().expect("an answer is an object").remove("new_feeds");
                },
            )
        },
    ),
    Mutant::server(
        "unknown-feed-is-passed-over",
        "pull.feeds.unknown",
        "A feed that does not exist is left out of the answer without a word.",
        |parts| {
            forgiving(parts, ProblemCode::UnknownFeed, |request, feed| {
                request.feeds.remove(&feed);
            })
        },
    ),
    Mutant::server(
        "cursors-never-expire",
        "pull.horizon.expired",
        "A cursor from before a purge goes on as if nothing had been purged.",
        |parts| faulty(parts, NoHorizon),
    ),
    Mutant::server(
        "walk-from-null-expires",
        "pull.horizon.walk-from-null",
        "A cursor below a purged tombstone has expired, even where its walk began after the purge.",
        |mut parts| {
            parts.rules.pull = Arc::new(Impatient(parts.rules.pull));
            parts
        },
    ),
];

fn feeds(answer: &mut Value) -> &mut Vec<Value> {
    answer["feeds"].as_array_mut().expect("an answer has feeds")
}

/// Changes the changes and the `more` of every page.
fn pages(parts: Parts, change: fn(&mut Vec<Value>, &mut Value)) -> Parts {
    around_pull(
        parts,
        |_| {},
        move |_, answer| {
            for page in feeds(answer) {
                let mut more = page["more"].take();
                change(page["changes"].as_array_mut().expect("a page has changes"), &mut more);
                page["more"] = more;
            }
        },
    )
}

struct TimeIsKey;

impl StorageFault for TimeIsKey {
    fn rows(&self, _feed: &FeedName, rows: &mut Vec<Row>) {
        let time = |row: &Row| {
            let record: Value = serde_json::from_str(&row.json).expect("the server wrote it");
            record["accepted_at"].clone()
        };
        // What is left out must lie before the page's end, or the next page would bring it.
        rows.reverse();
        rows.dedup_by(|row, after| time(row) == time(after));
        rows.reverse();
    }
}

struct EmptySmallPage;

impl StorageFault for EmptySmallPage {
    fn page(&self, _feed: &FeedName, _after: &mut Place, limit: &mut u64) {
        if *limit == 1 {
            *limit = 0;
        }
    }
}

struct NoHorizon;

impl StorageFault for NoHorizon {
    fn heads(&self, heads: &mut HashMap<FeedName, Head>) {
        heads.values_mut().for_each(|head| head.horizon = Place(0));
    }
}

fn used_once(parts: Parts) -> Parts {
    let used = Mutex::new(HashSet::new());
    around_pull(
        parts,
        |_| {},
        move |_, answer| {
            let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
            for page in feeds(answer).iter_mut().filter(|page| page["from"].is_string()) {
                if !used.insert(page["from"].to_string()) {
                    page["changes"] = json!([]);
                }
            }
        },
    )
}

fn later_feeds_lag(parts: Parts) -> Parts {
    around_pull(
        parts,
        |_| {},
        |_, answer| {
            let mut seen = 0;
            feeds(answer).retain(|page| {
                seen += 1;
                seen == 1 || page["from"].is_null()
            });
        },
    )
}

fn empty_pages(parts: Parts) -> Parts {
    around_pull(
        parts,
        |_| {},
        |request, answer| {
            let pages = feeds(answer);
            for (feed, cursor) in &request.feeds {
                if !pages.iter().any(|page| page["feed"] == feed.as_str()) {
                    pages.push(json!({"feed": feed, "from": cursor, "changes": [], "cursor": cursor, "more": false}));
                }
            }
        },
    )
}

/// Asks once more, without what was wrong, where the answer would be this problem.
fn forgiving(mut parts: Parts, code: ProblemCode, mend: fn(&mut PullRequest, FeedName)) -> Parts {
    parts.rules.pull = Arc::new(Forgiving { inner: parts.rules.pull.clone(), code, mend });
    parts
}

struct Forgiving {
    inner: Arc<dyn PullRule>,
    code: ProblemCode,
    mend: fn(&mut PullRequest, FeedName),
}

#[async_trait]
impl PullRule for Forgiving {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        match self.inner.answer(request, ground, snapshot).await {
            Err(PullError::Trouble(trouble)) if trouble.code == self.code => {
                let mut request = request.clone();
                trouble.feeds.into_iter().for_each(|feed| (self.mend)(&mut request, feed));
                self.inner.answer(&request, ground, snapshot).await
            }
            answer => answer,
        }
    }
}

/// Answers as if the request came from this principal, or as if this many changes fitted a page.
struct OtherGround {
    inner: Arc<dyn PullRule>,
    principal: Option<Principal>,
    page_changes: Option<u32>,
}

#[async_trait]
impl PullRule for OtherGround {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let principal = self.principal.as_ref().unwrap_or(ground.principal);
        let page_changes = self.page_changes.unwrap_or(ground.limits.page_changes);
        let limits = Limits { page_changes, ..*ground.limits };
        self.inner.answer(request, Ground { principal, limits: &limits, ..ground }, snapshot).await
    }
}

/// Takes every cursor for expired that is below the horizon; those of a walk from null say so by a second number.
struct Impatient(Arc<dyn PullRule>);

#[async_trait]
impl PullRule for Impatient {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let is_below = |text: &str| text.split_once('.').is_some_and(|(places, _)| places.contains('-'));
        for (feed, cursor) in &request.feeds {
            if cursor.as_ref().is_some_and(|cursor| is_below(cursor.as_str())) {
                let trouble = Trouble::new(ProblemCode::CursorExpired, "a tombstone after the cursor was purged");
                return Err(trouble.with_feeds(vec![feed.clone()]).into());
            }
        }
        self.0.answer(request, ground, snapshot).await
    }
}
