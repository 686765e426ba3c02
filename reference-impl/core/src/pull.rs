//! A pull: every change since the device's cursors, of all feeds, read at one snapshot.
//!
//! Chapter: pull.

use crate::cursor::{Binding, CursorKey, Point};
use crate::epoch::Epochs;
use crate::partition;
use crate::problem::Trouble;
use crate::scope::{self, Sight};
use crate::store::{DataSetName, Head, Place, Row, RowKind, Snapshot, StoreError};
use fieldsync_schemas::id::{Cursor, FeedName, Principal, SessionTag, TypeName};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::registry::{Profile, Registry, TypeClass, TypeEntry};
use fieldsync_schemas::session::{Limits, Role};
use fieldsync_schemas::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// What a pull is answered from, besides the snapshot.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The data set.
    pub data_set: &'a DataSetName,
    /// Its epochs.
    pub epochs: &'a Epochs,
    /// Who pulls.
    pub principal: &'a Principal,
    /// What they may do.
    pub role: &'a Role,
    /// The tag of the principal's session.
    pub session: &'a SessionTag,
    /// The types, in their order.
    pub registry: &'a Registry,
    /// The profile, whose cycle says which types come first.
    pub profile: &'a Profile,
    /// The sizes that the server enforces.
    pub limits: &'a Limits,
    /// Signs cursors.
    pub cursors: &'a CursorKey,
    /// The data set's clock.
    pub now: Timestamp,
}

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::large_enum_variant, reason = "it is made where a pull fails, and told at once")]
pub enum PullError {
    /// The request was at fault.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The storage was.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the body of a pull.
pub fn read(body: &[u8], limits: &Limits) -> Result<PullRequest, Trouble> {
    let request: PullRequest = serde_json::from_slice(body)
        .map_err(|error| Trouble::new(ProblemCode::Malformed, format!("the body is no pull: {error}")))?;
    if request.limit == Some(0) {
        return Err(Trouble::new(ProblemCode::Malformed, "limit must be at least 1"));
    }
    if request.feeds.len() > limits.pull_feeds as usize {
        let detail = format!("a pull names at most {} feeds; pull the others by further requests", limits.pull_feeds);
        return Err(Trouble::new(ProblemCode::Malformed, detail).with_limit("pull_feeds", u64::from(limits.pull_feeds)));
    }
    Ok(request)
}

/// One feed of the answer, before it is written.
struct Plan<'a> {
    feed: FeedName,
    from: Option<&'a Cursor>,
    rows: Vec<Row>,
    until: Point,
    more: bool,
}

/// Answers a pull; the answer comes as JSON, the stored records spliced in.
pub async fn answer(
    request: &PullRequest,
    ground: Ground<'_>,
    snapshot: &mut dyn Snapshot,
) -> Result<Vec<u8>, PullError> {
    ground.epochs.check(request.epoch.as_ref())?;
    let heads = snapshot.heads().await?;
    let points = points(request, ground, &heads, snapshot.is_scoped())?;
    let mut budget = request.limit.unwrap_or(u64::MAX).min(u64::from(ground.limits.page_changes));
    let mut waiting: HashSet<&TypeName> = HashSet::new();
    let mut plans = Vec::new();
    let mut new_feeds = Vec::new();
    let references_first = *ground.profile == Profile::EntityQueue;
    let is_reference = |entry: &TypeEntry| entry.class == TypeClass::Reference;
    let mut types: Vec<&TypeEntry> = ground.registry.types.iter().collect();
    if references_first {
        types.sort_by_key(|entry| !is_reference(entry));
    }
    let mut references_wait = false;
    for (entry, feed) in types.into_iter().flat_map(|entry| feeds_of(entry, &heads)) {
        let head = heads.get(&feed).copied().unwrap_or_default();
        let sight = scope::sight(entry, ground.role, snapshot.is_scoped());
        let Some(from) = request.feeds.get(&feed) else {
            if is_told(snapshot, entry, &feed, sight).await? {
                new_feeds.push(feed);
            }
            continue;
        };
        let after = points[&feed];
        if from.is_some() && head.last <= after.place {
            continue;
        }
        // A child never comes before its parent: while a feed of the parent's has more, the child's gets nothing.
        let held_back =
            entry.parents.iter().any(|parent| parent.type_name != entry.name && waiting.contains(&parent.type_name))
                || references_first && references_wait && !is_reference(entry);
        let room = if held_back { 0 } else { budget };
        let is_whole = sight == Sight::Everything && entry.partition.is_none();
        let mut rows = match room {
            _ if head.last <= after.place => Vec::new(),
            0 if is_whole => Vec::new(),
            // Where not everything is seen, or records have left, only a row tells whether there is one.
            room => rows(snapshot, entry, &feed, sight, after, if is_whole { room } else { room + 1 }).await?,
        };
        let is_longer = rows.len() as u64 > room;
        rows.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        budget -= rows.len() as u64;
        let reached = rows.last().map_or(after.place, |row| row.place);
        let more = if is_whole { reached < head.last } else { is_longer };
        if !is_whole && from.is_some() && rows.is_empty() && !more {
            continue;
        }
        if more {
            waiting.insert(&entry.name);
            references_wait |= is_reference(entry);
        }
        let seen_to = if is_whole { head.horizon } else { head.horizon.max(head.last) };
        let place = if more { reached } else { reached.max(seen_to) };
        plans.push(Plan { feed, from: from.as_ref(), rows, until: Point { place, cleared: after.cleared }, more });
    }
    Ok(write(&plans, &new_feeds, ground))
}

/// The feeds of a type, with their type.
pub(crate) fn feeds_of<'a>(
    entry: &'a TypeEntry,
    heads: &HashMap<FeedName, Head>,
) -> impl Iterator<Item = (&'a TypeEntry, FeedName)> + use<'a> {
    partition::feeds_of(entry, heads.keys()).into_iter().map(move |feed| (entry, feed))
}

/// The next rows of a feed, those of records that left it for another one of their type among them.
pub(crate) async fn rows(
    snapshot: &mut dyn Snapshot,
    entry: &TypeEntry,
    feed: &FeedName,
    sight: Sight,
    after: Point,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = snapshot.page(feed, sight, after, limit).await?;
    if entry.partition.is_some() {
        rows.extend(snapshot.moved(feed, sight, after, limit).await?);
        rows.sort_by_key(|row| row.place);
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(rows)
}

/// Whether a feed is named to a principal who did not ask for it. A value is data: who sees no record that has it is not
/// told that there is one.
async fn is_told(
    snapshot: &mut dyn Snapshot,
    entry: &TypeEntry,
    feed: &FeedName,
    sight: Sight,
) -> Result<bool, StoreError> {
    let begin = Point { place: Place(0), cleared: Place(0) };
    let is_open = !partition::is_part(feed) || sight == Sight::Everything;
    Ok(is_open || !rows(snapshot, entry, feed, sight, begin, 1).await?.is_empty())
}

/// Where each named feed goes on, or why it cannot.
pub(crate) fn points(
    request: &PullRequest,
    ground: Ground<'_>,
    heads: &HashMap<FeedName, Head>,
    is_scoped: bool,
) -> Result<HashMap<FeedName, Point>, Trouble> {
    let mut points = HashMap::new();
    let (mut unknown, mut invalid, mut expired) = (Vec::new(), Vec::new(), Vec::new());
    for (feed, from) in &request.feeds {
        let entry = partition::entry_of(ground.registry, feed);
        let Some(entry) = entry.filter(|_| !partition::is_part(feed) || heads.contains_key(feed)) else {
            unknown.push(feed.clone());
            continue;
        };
        let head = heads.get(feed).copied().unwrap_or_default();
        let horizon = head.horizon;
        // Who begins has nothing that could have left the scope or the feed so far.
        let leaves = is_scoped || entry.partition.is_some();
        let cleared = if leaves { horizon.max(head.last) } else { horizon };
        let point = match from {
            None => Some(Point { place: Place(0), cleared }),
            Some(cursor) => ground.cursors.read(cursor, binding(ground, feed)),
        };
        match point {
            None => invalid.push(feed.clone()),
            Some(point) if point.expired(horizon) => expired.push(feed.clone()),
            Some(point) => {
                points.insert(feed.clone(), point);
            }
        }
    }
    let trouble = |code, detail: &str, feeds| Err(Trouble::new(code, detail).with_feeds(feeds));
    if !unknown.is_empty() {
        return trouble(ProblemCode::UnknownFeed, "the registry has no such feed; fetch the session again", unknown);
    }
    if !invalid.is_empty() {
        return trouble(
            ProblemCode::InvalidCursor,
            "the cursor is not one of this feed, principal and epoch; pull the feed from null",
            invalid,
        );
    }
    if !expired.is_empty() {
        return trouble(
            ProblemCode::CursorExpired,
            "a tombstone after the cursor was purged; pull the feed from null",
            expired,
        );
    }
    Ok(points)
}

fn binding<'a>(ground: Ground<'a>, feed: &'a FeedName) -> Binding<'a> {
    Binding { data_set: ground.data_set, epoch: ground.epochs.current(), principal: ground.principal, feed }
}

fn write(plans: &[Plan<'_>], new_feeds: &[FeedName], ground: Ground<'_>) -> Vec<u8> {
    let records: usize = plans.iter().flat_map(|plan| &plan.rows).map(|row| row.json.len() + 32).sum();
    let mut out = Vec::with_capacity(records + 512);
    let text = |out: &mut Vec<u8>, text: &str| serde_json::to_writer(out, text).expect("a Vec takes every byte");
    out.extend_from_slice(b"{\"epoch\":");
    text(&mut out, ground.epochs.current().as_str());
    out.extend_from_slice(b",\"session\":");
    text(&mut out, ground.session.as_str());
    out.extend_from_slice(b",\"server_time\":");
    text(&mut out, &ground.now.to_string());
    out.extend_from_slice(b",\"feeds\":[");
    for (index, plan) in plans.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"feed\":" } else { b",{\"feed\":" });
        text(&mut out, plan.feed.as_str());
        out.extend_from_slice(b",\"from\":");
        match plan.from {
            Some(cursor) => text(&mut out, cursor.as_str()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"changes\":[");
        for (index, row) in plan.rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(match row.kind {
                RowKind::Put => b"{\"op\":\"put\",\"record\":",
                RowKind::Tombstone => b"{\"op\":\"tombstone\",\"record\":",
                RowKind::Remove => b"{\"op\":\"remove\",\"removed\":",
            });
            out.extend_from_slice(row.json.as_bytes());
            if let Some(to) = &row.to {
                out.extend_from_slice(b",\"to\":");
                text(&mut out, to.as_str());
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"cursor\":");
        text(&mut out, ground.cursors.sign(plan.until, binding(ground, &plan.feed)).as_str());
        out.extend_from_slice(if plan.more { b",\"more\":true}" } else { b",\"more\":false}" });
    }
    out.push(b']');
    if !new_feeds.is_empty() {
        out.extend_from_slice(b",\"new_feeds\":");
        serde_json::to_writer(&mut out, new_feeds).expect("a Vec takes every byte");
    }
    out.push(b'}');
    out
}
