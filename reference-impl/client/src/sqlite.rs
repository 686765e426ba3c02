//! A store in one SQLite file. The small state is kept as JSON beside the records, one row for each thing that changes
//! on its own.

use fieldsync_core::device::DeviceStore;
use fieldsync_core::device::store::{Progress, Saved, ServerCopy, StoreError, Upload, Write};
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{AttachmentId, Cursor, FeedName, RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS single (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (place INTEGER PRIMARY KEY, entry TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS cursors (feed TEXT PRIMARY KEY, cursor TEXT) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS resyncs (feed TEXT PRIMARY KEY, resync TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS quarantine (
        type TEXT NOT NULL, id TEXT NOT NULL, one TEXT NOT NULL, PRIMARY KEY (type, id)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS uploads (
        type TEXT NOT NULL, id TEXT NOT NULL, file TEXT NOT NULL, upload TEXT NOT NULL,
        PRIMARY KEY (type, id, file)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS links (
        type TEXT NOT NULL, id TEXT NOT NULL, file TEXT NOT NULL, link TEXT NOT NULL,
        PRIMARY KEY (type, id, file)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wanted (file TEXT PRIMARY KEY, attachment TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS loose (file TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS kept (number INTEGER PRIMARY KEY, one TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS conflicts (id TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS records (
        type TEXT NOT NULL, id TEXT NOT NULL, feed TEXT NOT NULL, mark INTEGER NOT NULL, server TEXT NOT NULL,
        PRIMARY KEY (type, id)) WITHOUT ROWID;";

/// What makes a store of the version before, which has no number, one of this version: what a record was shown as stood
/// beside the server's state, in a row that was there without one, too.
const FROM_BEFORE: &str = "
    DELETE FROM records WHERE server IS NULL;
    ALTER TABLE records DROP COLUMN own;";

/// The version of the tables and of what is in them.
const VERSION: i64 = 1;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore(Mutex<Connection>);

impl SqliteStore {
    /// Opens the file, and makes it where it is missing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path).map_err(failed("opening the file"))?;
        prepare(&mut connection).map_err(failed("making the tables"))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self(Mutex::new(connection)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic broke off was rolled back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tables where they are missing, and what an earlier version made of them what they are now.
fn prepare(connection: &mut Connection) -> RowResult<()> {
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..=VERSION).contains(&version) {
        let path = transaction.path().unwrap_or_default();
        return Err(format!(
            "{path} is of version {version}, and this program knows {VERSION}: open it with the program that made it, \
             which can also push what waits in it, or begin with an empty folder"
        )
        .into());
    }
    if version == 0 && transaction.table_exists(None, "records")? {
        transaction.execute_batch(FROM_BEFORE)?;
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Whether a loss of power may take it, though not the end of the process: how far a file came is asked for again, and
/// nothing of the user's is in it. Among ten thousand photos that wait for the disk it is what waits longest.
fn is_found_out_again(write: &Write) -> bool {
    match write {
        Write::Upload(upload) => matches!(upload.progress, Progress::Uploading { .. } | Progress::Sent),
        Write::WantedGone(_) => true,
        _ => false,
    }
}

/// What goes wrong with one row.
type RowResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError { doing, source: source.into() }
}

fn json<T: Serialize>(value: &T) -> RowResult<String> {
    Ok(serde_json::to_string(value)?)
}

impl DeviceStore for SqliteStore {
    fn load(&self) -> Result<Saved, StoreError> {
        let connection = self.connection();
        let load = || -> RowResult<Saved> {
            Ok(Saved {
                replica: single(&connection, "replica")?,
                outbox: all(&connection, "SELECT entry FROM outbox ORDER BY place")?,
                batch: single(&connection, "batch")?,
                cursors: pairs(&connection, "SELECT feed, cursor FROM cursors")?
                    .into_iter()
                    .map(|(feed, cursor)| Ok((FeedName::new(feed)?, cursor.map(Cursor::new).transpose()?)))
                    .collect::<RowResult<_>>()?,
                resyncs: pairs(&connection, "SELECT feed, resync FROM resyncs")?
                    .into_iter()
                    .map(|(feed, resync)| {
                        Ok((FeedName::new(feed)?, serde_json::from_str(&resync.unwrap_or_default())?))
                    })
                    .collect::<RowResult<_>>()?,
                session: single(&connection, "session")?,
                marks: single(&connection, "marks")?.unwrap_or_default(),
                quarantine: all(&connection, "SELECT one FROM quarantine ORDER BY type, id")?,
                uploads: all(&connection, "SELECT upload FROM uploads ORDER BY type, id, file")?,
                links: all(&connection, "SELECT link FROM links ORDER BY type, id, file")?,
                wanted: all(&connection, "SELECT attachment FROM wanted ORDER BY file")?,
                loose: ids(&connection, "SELECT file FROM loose")?,
                diary: single(&connection, "diary")?.unwrap_or_default(),
                kept: all(&connection, "SELECT one FROM kept ORDER BY number")?,
            })
        };
        load().map_err(failed("loading the state"))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let mut commit = || -> RowResult<()> {
            let synchronous = if writes.iter().all(is_found_out_again) { "NORMAL" } else { "FULL" };
            connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction = connection.transaction()?;
            for write in writes {
                take(&transaction, write)?;
            }
            Ok(transaction.commit()?)
        };
        commit().map_err(failed("committing a reaction"))
    }

    fn record(&self, record: &RecordRef) -> Result<Option<ServerCopy>, StoreError> {
        let connection = self.connection();
        let read = || -> RowResult<Option<ServerCopy>> {
            let mut statement =
                connection.prepare_cached("SELECT feed, mark, server FROM records WHERE type = ?1 AND id = ?2")?;
            let row =
                statement.query_row(params![record.type_name.as_str(), record.id.as_str()], columns).optional()?;
            row.map(server_copy).transpose()
        };
        read().map_err(failed("reading a record"))
    }

    fn records(&self, type_name: &TypeName) -> Result<Vec<ServerCopy>, StoreError> {
        let connection = self.connection();
        let read = || -> RowResult<Vec<ServerCopy>> {
            let mut statement =
                connection.prepare_cached("SELECT feed, mark, server FROM records WHERE type = ?1 ORDER BY id")?;
            let rows = statement.query_map([type_name.as_str()], columns)?.collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(server_copy).collect()
        };
        read().map_err(failed("reading the records of a type"))
    }

    fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError> {
        let connection = self.connection();
        let read = || -> RowResult<Vec<(RecordId, ConflictEntry)>> {
            let mut entries = Vec::new();
            for (id, entry) in pairs(&connection, "SELECT id, entry FROM conflicts ORDER BY id")? {
                // An entry that a later version wrote otherwise is kept, but not shown.
                if let Ok(entry) = serde_json::from_str(&entry.unwrap_or_default()) {
                    entries.push((RecordId::new(id)?, entry));
                }
            }
            Ok(entries)
        };
        read().map_err(failed("reading the conflict log"))
    }
}

fn take(transaction: &Transaction<'_>, write: &Write) -> RowResult<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> RowResult<()> {
        transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    let put_single = |name: &str, value: String| {
        run("INSERT OR REPLACE INTO single (name, value) VALUES (?1, ?2)", &[&name, &value])
    };
    match write {
        Write::Replica(replica) => put_single("replica", json(replica)?),
        Write::Entry(entry) => {
            run("INSERT OR REPLACE INTO outbox (place, entry) VALUES (?1, ?2)", &[&(entry.place as i64), &json(entry)?])
        }
        Write::EntryGone(place) => run("DELETE FROM outbox WHERE place = ?1", &[&(*place as i64)]),
        Write::Batch(Some(batch)) => put_single("batch", json(batch)?),
        Write::Batch(None) => run("DELETE FROM single WHERE name = 'batch'", &[]),
        Write::Cursor(feed, cursor) => run(
            "INSERT OR REPLACE INTO cursors (feed, cursor) VALUES (?1, ?2)",
            &[&feed.as_str(), &cursor.as_ref().map(Cursor::as_str)],
        ),
        Write::CursorGone(feed) => run("DELETE FROM cursors WHERE feed = ?1", &[&feed.as_str()]),
        Write::Resync(feed, Some(resync)) => {
            run("INSERT OR REPLACE INTO resyncs (feed, resync) VALUES (?1, ?2)", &[&feed.as_str(), &json(resync)?])
        }
        Write::Resync(feed, None) => run("DELETE FROM resyncs WHERE feed = ?1", &[&feed.as_str()]),
        Write::Session(session) => put_single("session", json(session)?),
        Write::Marks(marks) => put_single("marks", json(marks)?),
        Write::Server(copy) => {
            let ServerCopy { record, feed, mark } = &**copy;
            run(
                "INSERT OR REPLACE INTO records (type, id, feed, mark, server) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&record.type_name.as_str(), &record.id.as_str(), &feed.as_str(), &(*mark as i64), &json(record)?],
            )
        }
        Write::ServerGone(record) => {
            run("DELETE FROM records WHERE type = ?1 AND id = ?2", &[&record.type_name.as_str(), &record.id.as_str()])
        }
        Write::Quarantine(one) => {
            let record = one.record();
            run(
                "INSERT OR REPLACE INTO quarantine (type, id, one) VALUES (?1, ?2, ?3)",
                &[&record.type_name.as_str(), &record.id.as_str(), &json(one)?],
            )
        }
        Write::QuarantineGone(record) => run(
            "DELETE FROM quarantine WHERE type = ?1 AND id = ?2",
            &[&record.type_name.as_str(), &record.id.as_str()],
        ),
        Write::ConflictGone(id) => run("DELETE FROM conflicts WHERE id = ?1", &[&id.as_str()]),
        Write::Diary(diary) => put_single("diary", json(diary)?),
        Write::Conflict(id, entry) => {
            run("INSERT OR IGNORE INTO conflicts (id, entry) VALUES (?1, ?2)", &[&id.as_str(), &entry.get()])
        }
        Write::Upload(upload) => {
            let Upload { record, attachment, .. } = &**upload;
            run(
                "INSERT OR REPLACE INTO uploads (type, id, file, upload) VALUES (?1, ?2, ?3, ?4)",
                &[&record.type_name.as_str(), &record.id.as_str(), &attachment.id.as_str(), &json(upload)?],
            )
        }
        Write::UploadGone((record, file)) => run(
            "DELETE FROM uploads WHERE type = ?1 AND id = ?2 AND file = ?3",
            &[&record.type_name.as_str(), &record.id.as_str(), &file.as_str()],
        ),
        Write::Link(link) => run(
            "INSERT OR REPLACE INTO links (type, id, file, link) VALUES (?1, ?2, ?3, ?4)",
            &[&link.record.type_name.as_str(), &link.record.id.as_str(), &link.attachment.as_str(), &json(link)?],
        ),
        Write::LinkGone((record, file)) => run(
            "DELETE FROM links WHERE type = ?1 AND id = ?2 AND file = ?3",
            &[&record.type_name.as_str(), &record.id.as_str(), &file.as_str()],
        ),
        Write::Wanted(file) => {
            run("INSERT OR REPLACE INTO wanted (file, attachment) VALUES (?1, ?2)", &[&file.id.as_str(), &json(file)?])
        }
        Write::WantedGone(file) => run("DELETE FROM wanted WHERE file = ?1", &[&file.as_str()]),
        Write::Loose(file) => run("INSERT OR IGNORE INTO loose (file) VALUES (?1)", &[&file.as_str()]),
        Write::LooseGone(file) => run("DELETE FROM loose WHERE file = ?1", &[&file.as_str()]),
        Write::Kept(kept) => {
            run("INSERT OR REPLACE INTO kept (number, one) VALUES (?1, ?2)", &[&(kept.number as i64), &json(kept)?])
        }
        Write::KeptGone(number) => run("DELETE FROM kept WHERE number = ?1", &[&(*number as i64)]),
        Write::SweepConflicts => {
            run("DELETE FROM conflicts WHERE id NOT IN (SELECT id FROM records WHERE type = ?1)", &[&CONFLICT_TYPE])
        }
        Write::Sweep { feeds, below } => run(
            "DELETE FROM records WHERE mark < ?1 AND feed IN (SELECT value FROM json_each(?2))",
            &[&(*below as i64), &json(feeds)?],
        ),
    }
}

/// A record's row: feed, mark, server's state.
type Columns = (String, i64, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn server_copy((feed, mark, server): Columns) -> RowResult<ServerCopy> {
    let record = serde_json::from_str(&server)?;
    Ok(ServerCopy { record, feed: FeedName::new(feed)?, mark: mark.unsigned_abs() })
}

fn single<T: DeserializeOwned>(connection: &Connection, name: &str) -> RowResult<Option<T>> {
    let text: Option<String> =
        connection.query_row("SELECT value FROM single WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

fn all<T: DeserializeOwned>(connection: &Connection, sql: &str) -> RowResult<Vec<T>> {
    let mut statement = connection.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    texts.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

fn ids(connection: &Connection, sql: &str) -> RowResult<Vec<AttachmentId>> {
    let mut statement = connection.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    texts.into_iter().map(|text| Ok(AttachmentId::new(text)?)).collect()
}

fn pairs(connection: &Connection, sql: &str) -> RowResult<Vec<(String, Option<String>)>> {
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests;
