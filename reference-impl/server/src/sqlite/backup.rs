//! Backups: made beside the writer, put back data set by data set under a new epoch.
//!
//! Chapter: epoch. A backup is a database of the same form. What it has gets new places, because a place is never given
//! twice; revs and decided mutations come back as they were. Cursors are bound to their epoch, so that no horizon is
//! needed for those of before.

use super::attachments::{let_go, stand_anew};
use super::commit::{Places, put_seeds};
use super::{FILE, Failure, SAFE, connect, prepare, rows};
use crate::machine::RandomIds;
use fieldsync_core::clock::Ids;
use fieldsync_core::epoch::Epochs;
use fieldsync_core::store::{DataSetName, DataSetRow, State};
use fieldsync_schemas::id::{Epoch, FeedName};
use fieldsync_schemas::problem::EpochCause;
use fieldsync_schemas::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing} {}: {source}", path.display())]
pub struct BackupError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: Failure,
}

/// What became of a backup that was to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Its data are in the place of what was there, in a new epoch.
    Now,
    /// It was restored here before, and what came after it is kept: a server that starts again does not go back again.
    Before,
}

/// Makes a backup of everything in this directory, whether a server runs on it or not. What devices keep until it is in
/// a backup they forget from then on.
pub fn back_up(dir: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError { doing: "make the backup", path: to.to_owned(), source };
    let database = dir.join(FILE);
    let make = || -> Result<(), Failure> {
        if to.exists() {
            return Err("the file exists; every backup is a file of its own".into());
        }
        if !database.exists() {
            return Err(format!("there is no database in {}", dir.display()).into());
        }
        let part = to.with_extension("part");
        if part.exists() {
            std::fs::remove_file(&part)?;
        }
        let live = connect(&database)?;
        live.execute("VACUUM INTO ?1", [part.to_str().ok_or("the path is no Unicode")?])?;
        let copy = connect(&part)?;
        copy.execute_batch("DELETE FROM backups; UPDATE data_sets SET backed_up_seq = accepted_seq;")?;
        copy.execute("INSERT INTO backups VALUES (?1, 0)", [RandomIds.unique()])?;
        let covered = covered(&copy)?;
        copy.close().map_err(|(_, error)| error)?;
        std::fs::File::open(&part)?.sync_all()?;
        std::fs::rename(&part, to)?;
        // Only now: devices forget what they hear is in a backup.
        for (name, seq) in covered {
            announce(&live, &name, seq)?;
        }
        Ok(())
    };
    make().map_err(failed)
}

/// Puts what a backup has in the place of what is in this directory, each data set in an epoch of its own, before a
/// server starts on it. Accounts, grants, scopes and refetch orders that are there stay: they say what is allowed now.
pub fn restore(dir: &Path, backup: &Path) -> Result<Restored, BackupError> {
    let put_back = || -> Result<Restored, Failure> {
        let from = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let id: Option<String> =
            from.query_row("SELECT id FROM backups WHERE restored = 0", [], |row| row.get(0)).optional()?;
        let id = id.ok_or("it is no backup; `fieldsync backup` makes one")?;
        std::fs::create_dir_all(dir)?;
        let mut live = connect(&dir.join(FILE))?;
        prepare(&mut live, SAFE)?;
        let live = live.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = live.query_row("SELECT 1 FROM backups WHERE id = ?1", [&id], |_| Ok(())).optional()?;
        if known.is_some() {
            return Ok(Restored::Before);
        }
        for row in rows::data_sets(&from)? {
            restore_one(&live, &from, &row, new_epoch())?;
            copy_assignments(&from, &live, &row.name)?;
        }
        copy_missing(&from, &live, "accounts", "user, password_hash")?;
        copy_missing(&from, &live, "grants", "data_set, user, role")?;
        copy_missing(&from, &live, "secrets", "name, secret")?;
        live.execute("INSERT INTO backups VALUES (?1, 1)", [&id])?;
        live.commit()?;
        Ok(Restored::Now)
    };
    put_back().map_err(|source| BackupError { doing: "restore", path: backup.to_owned(), source })
}

/// Makes a backup of one data set alone.
pub(super) fn back_up_one(database: &Path, to: &Path, name: &DataSetName) -> Result<u64, Failure> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = to.with_extension("part");
    if part.exists() {
        std::fs::remove_file(&part)?;
    }
    let live = connect(database)?;
    let view = live.unchecked_transaction()?;
    let row = rows::data_set_row(&view, name)?;
    let mut copy = connect(&part)?;
    prepare(&mut copy, SAFE)?;
    let copied = copy.transaction()?;
    let row = DataSetRow { backed_up_seq: row.accepted_seq, ..row };
    super::commit::put_data_set(&copied, &row, &[])?;
    copy_data(&view, &copied, name)?;
    copied.commit()?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| error)?;
    std::fs::rename(&part, to)?;
    Ok(row.accepted_seq)
}

/// A backup has every batch of a data set up to this one.
pub(super) fn announce(connection: &Connection, name: &DataSetName, seq: u64) -> Result<(), Failure> {
    connection.prepare_cached("UPDATE data_sets SET backed_up_seq = ?2 WHERE name = ?1")?.execute((&name.0, seq))?;
    Ok(())
}

/// Restores one data set from the backup of it alone, where there is one.
pub(super) fn restore_from(
    connection: &Connection,
    backup: &Path,
    name: &DataSetName,
    epoch: Epoch,
) -> Result<Option<DataSetRow>, Failure> {
    if !backup.try_exists()? {
        return Ok(None);
    }
    let from = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let row = rows::data_set_row(&from, name)?;
    restore_one(connection, &from, &row, epoch)?;
    Ok(Some(rows::data_set_row(connection, name)?))
}

/// Empties a data set.
pub(super) fn wipe(
    connection: &Connection,
    name: &DataSetName,
    epoch: Epoch,
    seeds: &[State],
) -> Result<DataSetRow, Failure> {
    let row = rows::data_set_row(connection, name)?;
    let data_set = rows::data_set(connection, name)?;
    clear(connection, data_set)?;
    put_seeds(connection, data_set, seeds)?;
    begin(connection, data_set, &row.epochs.then(epoch, EpochCause::Wiped), 0)?;
    rows::data_set_row(connection, name)
}

fn new_epoch() -> Epoch {
    Epoch::new(RandomIds.unique()).expect("ids are visible ASCII")
}

fn restore_one(live: &Connection, from: &Connection, row: &DataSetRow, epoch: Epoch) -> Result<(), Failure> {
    let known = live.query_row("SELECT 1 FROM data_sets WHERE name = ?1", [&row.name.0], |_| Ok(())).optional()?;
    if known.is_none() {
        super::commit::put_data_set(live, row, &[])?;
    }
    let data_set = rows::data_set(live, &row.name)?;
    clear(live, data_set)?;
    copy_data(from, live, &row.name)?;
    stand_anew(live, data_set)?;
    begin(live, data_set, &row.epochs.clone().then(epoch, EpochCause::Restored), row.accepted_seq)
}

/// A new epoch, which begins with so many batches, all of them in a backup.
fn begin(connection: &Connection, data_set: i64, epochs: &Epochs, accepted_seq: u64) -> Result<(), Failure> {
    rows::put_epochs(connection, data_set, epochs)?;
    connection
        .prepare_cached("UPDATE data_sets SET accepted_seq = ?2, backed_up_seq = ?2 WHERE id = ?1")?
        .execute((data_set, accepted_seq))?;
    Ok(())
}

fn covered(connection: &Connection) -> Result<Vec<(DataSetName, u64)>, Failure> {
    let mut statement = connection.prepare("SELECT name, accepted_seq FROM data_sets")?;
    let rows = statement.query_map([], |row| Ok((DataSetName(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Nothing but the bytes of files stays, for what comes next may refer to them.
fn clear(connection: &Connection, data_set: i64) -> Result<(), Failure> {
    let offset_ms: i64 =
        connection.query_row("SELECT clock_offset_ms FROM data_sets WHERE id = ?1", [data_set], |row| row.get(0))?;
    let_go(connection, data_set, Timestamp::from_millis(Timestamp::now().as_millis().saturating_add(offset_ms)))?;
    for table in
        ["rows", "history", "links", "file_links", "record_links", "replicas", "decided", "shifts", "moves", "feeds"]
    {
        connection.execute(&format!("DELETE FROM {table} WHERE data_set = ?1"), [data_set])?;
    }
    Ok(())
}

/// Copies what a data set has and had into the data set of this name, which is empty.
fn copy_data(from: &Connection, to: &Connection, name: &DataSetName) -> Result<(), Failure> {
    let (source, target) = (rows::data_set(from, name)?, rows::data_set(to, name)?);
    let mut feeds: HashMap<i64, i64> = HashMap::from([(0, 0)]);
    let mut known = from.prepare("SELECT id, name FROM feeds WHERE data_set = ?1")?;
    let mut found = known.query([source])?;
    while let Some(row) = found.next()? {
        let feed = FeedName::new(row.get::<_, String>(1)?)?;
        feeds.insert(row.get(0)?, rows::feed(to, target, &feed)?);
    }
    let mut places = Places::take_up(to)?;
    let mut moved = |at: usize, value: rusqlite::types::Value| match (at, value) {
        (0, _) => Ok(places.next().into()),
        (2, rusqlite::types::Value::Integer(feed)) => new_feed(&feeds, feed),
        (_, value) => Ok(value),
    };
    copy_rows(
        from,
        to,
        "SELECT * FROM rows WHERE data_set = ?1 ORDER BY place",
        source,
        "rows",
        (1, target),
        &mut moved,
    )?;
    places.lay_down(to)?;
    let mut fed = |at: usize, value: rusqlite::types::Value| match (at, value) {
        (1, rusqlite::types::Value::Integer(feed)) => new_feed(&feeds, feed),
        (_, value) => Ok(value),
    };
    copy_rows(from, to, "SELECT * FROM history WHERE data_set = ?1", source, "history", (0, target), &mut fed)?;
    let mut fed = |at: usize, value: rusqlite::types::Value| match (at, value) {
        (3, rusqlite::types::Value::Integer(feed)) => new_feed(&feeds, feed),
        (_, value) => Ok(value),
    };
    copy_rows(from, to, "SELECT * FROM decided WHERE data_set = ?1", source, "decided", (0, target), &mut fed)?;
    let mut same = |_: usize, value| Ok(value);
    copy_rows(from, to, "SELECT * FROM replicas WHERE data_set = ?1", source, "replicas", (0, target), &mut same)?;
    copy_rows(from, to, "SELECT * FROM links WHERE data_set = ?1", source, "links", (0, target), &mut same)?;
    // What was given out since the backup is written on paper somewhere.
    let mut drawn = from.prepare("SELECT type, member, last FROM sequences WHERE data_set = ?1")?;
    let mut found = drawn.query([source])?;
    while let Some(row) = found.next()? {
        let (of, member, last): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        to.execute(
            "INSERT INTO sequences VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (data_set, type, member) DO UPDATE SET last = max(last, excluded.last)",
            (target, of, member, last),
        )?;
    }
    let files = "SELECT * FROM file_links WHERE data_set = ?1";
    copy_rows(from, to, files, source, "file_links", (0, target), &mut same)?;
    let urls = "SELECT * FROM record_links WHERE data_set = ?1";
    copy_rows(from, to, urls, source, "record_links", (0, target), &mut same)?;
    to.execute(
        "UPDATE feeds SET last = (SELECT COALESCE(MAX(place), 0) FROM rows WHERE rows.feed = feeds.id) WHERE data_set = ?1",
        [target],
    )?;
    Ok(())
}

fn new_feed(feeds: &HashMap<i64, i64>, feed: i64) -> Result<rusqlite::types::Value, Failure> {
    let feed = feeds.get(&feed).ok_or("the backup has a row of a feed that it does not have")?;
    Ok((*feed).into())
}

/// Copies the rows of a selection, each value changed by its column.
fn copy_rows(
    from: &Connection,
    to: &Connection,
    select: &str,
    source: i64,
    table: &str,
    (data_set, target): (usize, i64),
    change: &mut dyn FnMut(usize, rusqlite::types::Value) -> Result<rusqlite::types::Value, Failure>,
) -> Result<(), Failure> {
    let mut read = from.prepare(select)?;
    let columns = read.column_count();
    let marks: Vec<String> = (1..=columns).map(|number| format!("?{number}")).collect();
    let mut write = to.prepare(&format!("INSERT INTO {table} VALUES ({})", marks.join(", ")))?;
    let mut found = read.query([source])?;
    while let Some(row) = found.next()? {
        let mut values = Vec::with_capacity(columns);
        for at in 0..columns {
            let value = if at == data_set { target.into() } else { change(at, row.get(at)?)? };
            values.push(value);
        }
        write.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

/// Copies the scopes of the users who have none here, and the refetch orders that are not here. Whoever has no scope sees
/// everything, so one that is lost opens what it closed.
fn copy_assignments(from: &Connection, to: &Connection, name: &DataSetName) -> Result<(), Failure> {
    let (source, target) = (rows::data_set(from, name)?, rows::data_set(to, name)?);
    let mut scopes = from.prepare("SELECT user, places FROM scopes WHERE data_set = ?1")?;
    let mut seen = from.prepare("SELECT label FROM seen WHERE data_set = ?1 AND user = ?2")?;
    let mut found = scopes.query([source])?;
    while let Some(row) = found.next()? {
        let (user, places): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        if to.execute("INSERT OR IGNORE INTO scopes VALUES (?1, ?2, ?3)", (target, &user, places))? == 1 {
            for label in seen.query_map((source, &user), |row| row.get::<_, String>(0))? {
                to.execute("INSERT INTO seen VALUES (?1, ?2, ?3)", (target, &user, label?))?;
            }
        }
    }
    let mut orders = from.prepare("SELECT user, refetch FROM refetches WHERE data_set = ?1 ORDER BY number")?;
    let mut found = orders.query([source])?;
    while let Some(row) = found.next()? {
        let (user, refetch): (String, String) = (row.get(0)?, row.get(1)?);
        to.execute(
            "INSERT INTO refetches (data_set, user, refetch) SELECT ?1, ?2, ?3 WHERE NOT EXISTS \
             (SELECT 1 FROM refetches WHERE data_set = ?1 AND user = ?2 AND refetch = ?3)",
            (target, user, refetch),
        )?;
    }
    Ok(())
}

/// Copies the rows of a table whose key is not there.
fn copy_missing(from: &Connection, to: &Connection, table: &str, columns: &str) -> Result<(), Failure> {
    let mut read = from.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let count = read.column_count();
    let marks: Vec<String> = (1..=count).map(|number| format!("?{number}")).collect();
    let mut write = to.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({})", marks.join(", ")))?;
    let mut found = read.query([])?;
    while let Some(row) = found.next()? {
        let values = (0..count).map(|at| row.get(at)).collect::<Result<Vec<rusqlite::types::Value>, _>>()?;
        write.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
