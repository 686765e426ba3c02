//! Scopes: what each user sees, and the shifts that a change of it writes.
//!
//! How shifts keep a feed gap-free is the story of [`fieldsync_core::scope`]. Here they are written: by the places that
//! were gained and lost, through the index of labels, so that what neither comes nor goes is not looked at.

use super::commit::Places;
use super::{Failure, rows};
use fieldsync_core::scope::Scope;
use fieldsync_core::store::{Assignment, DataSetName, Rescope};
use fieldsync_schemas::id::{Principal, RecordId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::session::RefetchOrder;
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeSet, HashSet};

/// A record, or an entry about it, that is at another place than before.
pub(super) struct Move<'a> {
    pub(super) data_set: i64,
    pub(super) feed: i64,
    pub(super) record: &'a RecordRef,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

pub(super) fn assignment(connection: &Connection, data_set: &DataSetName, user: &str) -> Result<Assignment, Failure> {
    let data_set = rows::data_set(connection, data_set)?;
    let places = given(connection, data_set, user)?.flatten();
    let mut statement =
        connection.prepare_cached("SELECT refetch FROM refetches WHERE data_set = ?1 AND user = ?2 ORDER BY number")?;
    let mut found = statement.query((data_set, user))?;
    let mut refetch = Vec::new();
    while let Some(row) = found.next()? {
        refetch.push(serde_json::from_str(row.get_ref(0)?.as_str()?)?);
    }
    Ok(Assignment { places, refetch })
}

pub(super) fn scoped(connection: &Connection) -> Result<HashSet<DataSetName>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT d.name FROM scopes s JOIN data_sets d ON d.id = s.data_set WHERE s.places IS NOT NULL",
    )?;
    let names = statement.query_map([], |row| row.get(0).map(DataSetName))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(super) fn scopes(connection: &Connection, data_set: &DataSetName) -> Result<Vec<(String, Vec<RecordId>)>, Failure> {
    let data_set = rows::data_set(connection, data_set)?;
    let mut statement = connection
        .prepare_cached("SELECT user, places FROM scopes WHERE data_set = ?1 AND places IS NOT NULL ORDER BY user")?;
    let mut found = statement.query([data_set])?;
    let mut scopes = Vec::new();
    while let Some(row) = found.next()? {
        scopes.push((row.get(0)?, serde_json::from_str(row.get_ref(1)?.as_str()?)?));
    }
    Ok(scopes)
}

/// What a user was given: nothing ever, everything again, or these places.
fn given(connection: &Connection, data_set: i64, user: &str) -> Result<Option<Option<Vec<RecordId>>>, Failure> {
    let text: Option<Option<String>> = connection
        .prepare_cached("SELECT places FROM scopes WHERE data_set = ?1 AND user = ?2")?
        .query_row((data_set, user), |row| row.get(0))
        .optional()?;
    text.map(|text| Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)).transpose()
}

/// Whether a principal does not see everything, or did not once.
pub(super) fn is_scoped(connection: &Connection, data_set: i64, principal: &Principal) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM scopes WHERE data_set = ?1 AND user = ?2")?
        .exists((data_set, principal.as_str()))?)
}

/// What a principal may write.
pub(super) fn scope(connection: &Connection, data_set: i64, principal: &Principal) -> Result<Scope, Failure> {
    match given(connection, data_set, principal.as_str())?.flatten() {
        None => Ok(Scope::All),
        Some(_) => {
            let labels = labels(connection, data_set, principal.as_str())?;
            Ok(Scope::Places(labels.into_iter().map(RecordId::new).collect::<Result<_, _>>()?))
        }
    }
}

/// The labels of the places that a user sees.
pub(super) fn labels(connection: &Connection, data_set: i64, user: &str) -> Result<BTreeSet<String>, Failure> {
    let mut statement = connection.prepare_cached("SELECT label FROM seen WHERE data_set = ?1 AND user = ?2")?;
    let labels = statement.query_map((data_set, user), |row| row.get(0))?;
    Ok(labels.collect::<Result<_, _>>()?)
}

pub(super) fn rescope(
    connection: &Connection,
    data_set: i64,
    change: &Rescope,
    places: &mut Places,
) -> Result<(), Failure> {
    let user = change.user.as_str();
    let saw_all = given(connection, data_set, user)?.flatten().is_none();
    let before = labels(connection, data_set, user)?;
    let after: BTreeSet<String> = match &change.places {
        None => BTreeSet::new(),
        Some(_) => change.seen.iter().map(ToString::to_string).collect(),
    };
    let sees_all = change.places.is_none();
    for feed in feeds(connection, data_set)? {
        let there = if saw_all != sees_all { labels_in(connection, feed)? } else { BTreeSet::new() };
        let (had, has) = (if saw_all { &there } else { &before }, if sees_all { &there } else { &after });
        for (one_side, other, leaves) in [(had, has, true), (has, had, false)] {
            for label in one_side.difference(other) {
                shift(connection, (data_set, feed), user, label, leaves, places)?;
            }
        }
    }
    let text = change.places.as_ref().map(serde_json::to_string).transpose()?;
    connection.prepare_cached("INSERT OR REPLACE INTO scopes VALUES (?1, ?2, ?3)")?.execute((data_set, user, text))?;
    let mut forget = connection.prepare_cached("DELETE FROM seen WHERE data_set = ?1 AND user = ?2 AND label = ?3")?;
    for label in before.difference(&after) {
        forget.execute((data_set, user, label))?;
    }
    let mut learn = connection.prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3)")?;
    for label in after.difference(&before) {
        learn.execute((data_set, user, label))?;
    }
    Ok(())
}

fn feeds(connection: &Connection, data_set: i64) -> Result<Vec<i64>, Failure> {
    let mut statement = connection.prepare_cached("SELECT id FROM feeds WHERE data_set = ?1")?;
    let feeds = statement.query_map([data_set], |row| row.get(0))?;
    Ok(feeds.collect::<Result<_, _>>()?)
}

/// The places at which a feed has rows, each found by one step through the index.
fn labels_in(connection: &Connection, feed: i64) -> Result<BTreeSet<String>, Failure> {
    let mut first = connection.prepare_cached(
        "SELECT label FROM rows WHERE feed = ?1 AND label >= '' AND label < '~' ORDER BY label LIMIT 1",
    )?;
    let mut next = connection.prepare_cached(
        "SELECT label FROM rows WHERE feed = ?1 AND label > ?2 AND label < '~' ORDER BY label LIMIT 1",
    )?;
    let mut found = BTreeSet::new();
    let mut label: Option<String> = first.query_row([feed], |row| row.get(0)).optional()?;
    while let Some(this) = label {
        label = next.query_row((feed, &this), |row| row.get(0)).optional()?;
        found.insert(this);
    }
    Ok(found)
}

/// Everything in this feed at this place comes into the view of a user, or leaves it. What was deleted does not come.
fn shift(
    connection: &Connection,
    (data_set, feed): (i64, i64),
    user: &str,
    label: &str,
    leaves: bool,
    places: &mut Places,
) -> Result<(), Failure> {
    let written = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO shifts \
             SELECT ?1 + row_number() OVER (ORDER BY place), ?6, ?4, ?2, label, type, id, ?3 FROM rows \
             WHERE feed = ?4 AND label = ?5 AND (?3 OR NOT deleted)",
        )?
        .execute((places.last, user, leaves, feed, label, data_set))?;
    places.last += i64::try_from(written)?;
    Ok(())
}

/// A record is at another place: who saw it there and does not here is told so, of its conflict entries, too. Those do
/// not change, so who sees them only from now on gets them as they are.
pub(super) fn moves(connection: &Connection, moved: &Move<'_>, places: &mut Places) -> Result<(), Failure> {
    relabel(connection, moved)?;
    cross(connection, moved, moved.from, moved.to, true, places)?;
    let mut entries = connection
        .prepare_cached("SELECT feed, type, id FROM rows WHERE data_set = ?1 AND about = ?2 AND label = ?3")?;
    let subject = rows::subject(moved.record);
    let entries: Vec<(i64, String, String)> = entries
        .query_map((moved.data_set, &subject, moved.from), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (feed, type_name, id) in entries {
        let record = RecordRef { type_name: type_name.parse()?, id: id.parse()? };
        let entry = Move { feed, record: &record, ..*moved };
        relabel(connection, &entry)?;
        cross(connection, &entry, moved.from, moved.to, true, places)?;
        cross(connection, &entry, moved.to, moved.from, false, places)?;
    }
    connection.prepare_cached("UPDATE rows SET label = ?3 WHERE data_set = ?1 AND about = ?2")?.execute((
        moved.data_set,
        &subject,
        moved.to,
    ))?;
    Ok(())
}

/// The shifts of a record have its label.
pub(super) fn relabel(connection: &Connection, moved: &Move<'_>) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE OR REPLACE shifts SET label = ?2 WHERE place IN (\
                 SELECT s.place FROM scopes c CROSS JOIN shifts s ON s.data_set = c.data_set AND s.user = c.user \
                 AND s.label = ?3 AND s.type = ?4 AND s.id = ?5 WHERE c.data_set = ?1)",
        )?
        .execute((moved.data_set, moved.to, moved.from, moved.record.type_name.as_str(), moved.record.id.as_str()))?;
    Ok(())
}

/// The record crosses the border of each user who sees the one place and not the other.
fn cross(
    connection: &Connection,
    moved: &Move<'_>,
    one: &str,
    other: &str,
    leaves: bool,
    places: &mut Places,
) -> Result<(), Failure> {
    let record = (moved.record.type_name.as_str(), moved.record.id.as_str());
    let written = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO shifts \
             SELECT ?1 + row_number() OVER (ORDER BY user), data_set, ?2, user, ?9, ?3, ?4, ?5 FROM seen \
             WHERE data_set = ?6 AND label = ?7 AND NOT EXISTS (\
                 SELECT 1 FROM seen other WHERE other.data_set = ?6 AND other.label = ?8 AND other.user = seen.user)",
        )?
        .execute((places.last, moved.feed, record.0, record.1, leaves, moved.data_set, one, other, moved.to))?;
    places.last += i64::try_from(written)?;
    Ok(())
}

/// Stores an order, and forgets those of which it orders everything: whoever did not carry them out carries out this one.
/// So there are never more than there are types, and one for all.
pub(super) fn put_refetch(
    connection: &Connection,
    data_set: &DataSetName,
    user: &str,
    order: &RefetchOrder,
) -> Result<(), Failure> {
    for earlier in assignment(connection, data_set, user)?.refetch {
        if is_covered(&earlier, order) {
            connection
                .prepare_cached("DELETE FROM refetches WHERE data_set = ?1 AND user = ?2 AND refetch = ?3")?
                .execute((rows::data_set(connection, data_set)?, user, serde_json::to_string(&earlier)?))?;
        }
    }
    connection.prepare_cached("INSERT INTO refetches (data_set, user, refetch) VALUES (?1, ?2, ?3)")?.execute((
        rows::data_set(connection, data_set)?,
        user,
        serde_json::to_string(order)?,
    ))?;
    Ok(())
}

/// Whether a later order has each type of an earlier one. Without types, an order is for all.
fn is_covered(earlier: &RefetchOrder, later: &RefetchOrder) -> bool {
    later.types.is_empty() || !earlier.types.is_empty() && earlier.types.iter().all(|name| later.types.contains(name))
}

#[cfg(test)]
mod tests;
