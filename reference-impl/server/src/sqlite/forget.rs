//! Purges what is old: tombstones, earlier states, outcomes.

use super::{Failure, moves, record_links, rows};
use fieldsync_core::store::DataSetName;
use fieldsync_schemas::id::FeedName;
use fieldsync_schemas::time::Timestamp;
use rusqlite::Connection;

pub(super) fn forget(
    connection: &Connection,
    data_set: &DataSetName,
    feed: &FeedName,
    before: Timestamp,
) -> Result<(), Failure> {
    let data_set = rows::data_set(connection, data_set)?;
    let before = before.as_millis();
    for one in moves::family(connection, data_set, feed.as_str())? {
        forget_one(connection, one, before)?;
    }
    let feed = rows::feed(connection, data_set, feed)?;
    connection
        .prepare_cached("DELETE FROM decided WHERE data_set = ?1 AND feed IN (0, ?2) AND decided_at < ?3")?
        .execute((data_set, feed, before))?;
    record_links::forget(connection, data_set)
}

fn forget_one(connection: &Connection, feed: i64, before: i64) -> Result<(), Failure> {
    let highest: Option<i64> = connection
        .prepare_cached("SELECT MAX(place) FROM rows WHERE feed = ?1 AND deleted = 1 AND accepted_at < ?2")?
        .query_row((feed, before), |row| row.get(0))?;
    if let Some(highest) = highest {
        forget_moves(connection, feed, before)?;
        connection
            .prepare_cached("DELETE FROM rows WHERE feed = ?1 AND deleted = 1 AND accepted_at < ?2")?
            .execute((feed, before))?;
        raise_horizon(connection, feed, highest)?;
    }
    connection.prepare_cached("DELETE FROM history WHERE feed = ?1 AND accepted_at < ?2")?.execute((feed, before))?;
    Ok(())
}

/// Forgets that records whose tombstones are purged from this feed were once in others. What they left says so no longer,
/// so whoever has not heard of it begins that feed anew.
fn forget_moves(connection: &Connection, feed: i64, before: i64) -> Result<(), Failure> {
    const GONE: &str = "FROM moves m JOIN rows r ON r.data_set = m.data_set AND r.type = m.type AND r.id = m.id \
        WHERE r.feed = ?1 AND r.deleted AND r.accepted_at < ?2";
    let mut left = connection.prepare_cached(&format!("SELECT m.feed, MAX(m.place) {GONE} GROUP BY m.feed"))?;
    let left: Vec<(i64, i64)> =
        left.query_map((feed, before), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    connection
        .prepare_cached(&format!("DELETE FROM moves WHERE place IN (SELECT m.place {GONE})"))?
        .execute((feed, before))?;
    for (feed, highest) in left {
        raise_horizon(connection, feed, highest)?;
    }
    Ok(())
}

/// What is at this place and before it is no longer told of. The head is the last row that is still there: a pull that waited
/// for a purged one would never end.
fn raise_horizon(connection: &Connection, feed: i64, highest: i64) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE feeds SET horizon = MAX(horizon, ?2), \
             last = MAX((SELECT COALESCE(MAX(place), 0) FROM rows WHERE feed = ?1), \
             (SELECT COALESCE(MAX(place), 0) FROM moves WHERE feed = ?1)) WHERE id = ?1",
        )?
        .execute((feed, highest))?;
    Ok(())
}
