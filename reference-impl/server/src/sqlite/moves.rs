//! Records that left a feed for another one of their type, because the value changed by which the feeds are told apart.
//!
//! One row for each feed that a record was in and is not in now. It is given to whoever sees the record where it is; who
//! no longer sees it, but did, is told by it, too, unless the shift that says so is in the same feed.

use super::{Failure, rows, seen::View};
use fieldsync_core::cursor::Point;
use fieldsync_core::store::{Place, Row, RowKind};
use fieldsync_schemas::pull::RecordRef;
use rusqlite::Connection;

/// A record is no longer in this feed, from this place on.
pub(super) fn leave(
    connection: &Connection,
    data_set: i64,
    feed: i64,
    record: &RecordRef,
    place: i64,
) -> Result<(), Failure> {
    connection.prepare_cached("INSERT OR REPLACE INTO moves VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        place,
        data_set,
        feed,
        record.type_name.as_str(),
        record.id.as_str(),
    ))?;
    connection.prepare_cached("UPDATE feeds SET last = MAX(last, ?2) WHERE id = ?1")?.execute((feed, place))?;
    Ok(())
}

/// A record is in this feed again.
pub(super) fn come_back(connection: &Connection, data_set: i64, feed: i64, record: &RecordRef) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM moves WHERE data_set = ?1 AND type = ?2 AND id = ?3 AND feed = ?4")?
        .execute((data_set, record.type_name.as_str(), record.id.as_str(), feed))?;
    Ok(())
}

/// The next records that left a feed, after a point, at most `limit`.
pub(super) fn page(
    connection: &Connection,
    feed: i64,
    part: Option<&View>,
    after: Point,
    limit: u64,
) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT m.place, m.type, m.id, f.name, r.label, EXISTS (\
             SELECT 1 FROM shifts s WHERE s.data_set = m.data_set AND s.user = ?3 AND s.type = m.type AND s.id = m.id \
             AND s.leaves AND s.feed <> m.feed) \
         FROM moves m LEFT JOIN rows r ON r.data_set = m.data_set AND r.type = m.type AND r.id = m.id \
         LEFT JOIN feeds f ON f.id = r.feed WHERE m.feed = ?1 AND m.place > ?2 ORDER BY m.place",
    )?;
    let from = after.place.max(after.cleared);
    let mut found = statement.query((feed, from.0, part.map_or("", |view| view.user.as_str())))?;
    let mut page = Vec::new();
    while let Some(row) = found.next()?.filter(|_| (page.len() as u64) < limit) {
        let now: Option<String> = row.get(3)?;
        let label = row.get_ref(4)?.as_str_or_null()?;
        let is_seen = part.is_none_or(|view| now.is_some() && view.what.holds(label));
        let was_seen: bool = row.get(5)?;
        if !is_seen && !was_seen {
            continue;
        }
        let to = now.filter(|_| is_seen).map(|name| name.parse()).transpose()?;
        let record = RecordRef { type_name: row.get::<_, String>(1)?.parse()?, id: row.get::<_, String>(2)?.parse()? };
        let json = serde_json::to_string(&record)?.into();
        page.push(Row { place: Place(row.get(0)?), kind: RowKind::Remove, json, to });
    }
    Ok(page)
}

/// The keys of a feed and of the parts of it.
pub(super) fn family(connection: &Connection, data_set: i64, name: &str) -> Result<Vec<i64>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM feeds WHERE data_set = ?1 AND name >= ?2 || '/' AND name < ?2 || '0'")?;
    let parts = statement.query_map((data_set, name), |row| row.get(0))?;
    let mut family: Vec<i64> = parts.collect::<Result<_, _>>()?;
    family.push(rows::feed(connection, data_set, &name.parse()?)?);
    Ok(family)
}
