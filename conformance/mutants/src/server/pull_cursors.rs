//! Servers whose cursor is something else than a place in the order of commits: a count of what was given, or a time.
//!
//! Chapter: pull. They pull everything from the real server and cut their own pages out of it.

use crate::seam::effects::around_pull;
use async_trait::async_trait;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::store::Snapshot;
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::{Parts, PullRule};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a cursor of such a server says.
#[derive(Clone, Copy)]
enum CursorOf {
    /// How many rows were given: a page is counted from the start of what there is now.
    Count,
    /// When the answer was given, less this time.
    Clock(Duration),
}

/// The cursor is the number of rows that were given.
pub(super) fn page_number(parts: Parts) -> Parts {
    with(parts, CursorOf::Count)
}

/// The cursor is the time of the answer.
pub(super) fn wall_clock(parts: Parts, guard: Duration) -> Parts {
    with(parts, CursorOf::Clock(guard))
}

/// The first page after a cursor, where there is more behind it, gives that cursor back. Only the first, so that a walk
/// comes to an end.
pub(super) fn full_pages_come_again(parts: Parts) -> Parts {
    let given = Mutex::new(HashSet::new());
    let again = move |_: &PullRequest, answer: &mut Value| {
        for page in answer["feeds"].as_array_mut().into_iter().flatten() {
            let from = page["from"].as_str().map(str::to_owned).filter(|_| page["more"] == true);
            let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(from) = from.filter(|from| given.insert(from.clone())) {
                page["cursor"] = json!(from);
            }
        }
    };
    around_pull(parts, |_| {}, again)
}

fn with(mut parts: Parts, what: CursorOf) -> Parts {
    parts.rules.pull = Arc::new(OtherCursors { inner: parts.rules.pull.clone(), what });
    parts
}

struct OtherCursors {
    inner: Arc<dyn PullRule>,
    what: CursorOf,
}

/// Before the cursor of such a server, so that no other text is taken for one.
const MARK: &str = "n.";

#[async_trait]
impl PullRule for OtherCursors {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let mut whole = request.clone();
        let is_own = |text: &str| text.starts_with(MARK);
        let from_start = |from: &mut Option<_>| {
            *from = from.take().filter(|one: &fieldsync_schemas::id::Cursor| !is_own(one.as_str()))
        };
        whole.feeds.values_mut().for_each(from_start);
        whole.limit = None;
        let limits = Limits { page_changes: u32::MAX, ..*ground.limits };
        let answer = self.inner.answer(&whole, Ground { limits: &limits, ..ground }, snapshot).await?;
        let mut answer: Value = serde_json::from_slice(&answer).expect("the core wrote it");
        let mut room = request.limit.unwrap_or(u64::MAX).min(u64::from(ground.limits.page_changes)) as usize;
        if let Some(pages) = answer["feeds"].as_array_mut() {
            pages.retain_mut(|page| self.cut(page, request, ground.now, &mut room));
        }
        Ok(serde_json::to_vec(&answer).expect("a tree is plain JSON"))
    }
}

impl OtherCursors {
    /// Cuts a page out of all that there is; whether it has anything, or its feed is asked for from null.
    fn cut(&self, page: &mut Value, request: &PullRequest, now: Timestamp, room: &mut usize) -> bool {
        let from = page["feed"].as_str().and_then(|feed| request.feeds.get(feed)).cloned().flatten();
        let known = from.as_ref().and_then(|from| from.as_str().strip_prefix(MARK)?.parse::<i64>().ok()).unwrap_or(0);
        let all = page["changes"].as_array().cloned().unwrap_or_default();
        let new: Vec<Value> = match self.what {
            CursorOf::Count => all.into_iter().skip(known.max(0) as usize).collect(),
            CursorOf::Clock(_) => all.into_iter().filter(|change| accepted_at(change) > known).collect(),
        };
        let more = new.len() > *room;
        let changes: Vec<Value> = new.into_iter().take(*room).collect();
        *room -= changes.len();
        let next = match self.what {
            CursorOf::Count => known + changes.len() as i64,
            CursorOf::Clock(_) if more => changes.last().map_or(known, accepted_at),
            CursorOf::Clock(guard) => (now.as_millis() - guard.as_millis() as i64).max(known),
        };
        let is_kept = !changes.is_empty() || more || from.is_none();
        page["from"] = json!(from);
        page["changes"] = json!(changes);
        page["more"] = json!(more);
        page["cursor"] = json!(format!("{MARK}{next}"));
        is_kept
    }
}

fn accepted_at(change: &Value) -> i64 {
    let at = change["record"]["accepted_at"].as_str().and_then(|text| serde_json::from_value(json!(text)).ok());
    at.map_or(i64::MAX, |at: Timestamp| at.as_millis())
}
