//! The storage of the server in one SQLite database.
//!
//! One thread writes ([`writer`]): it takes every write that waits, runs them in one transaction and answers them once
//! that is on the disk. Reads run beside it on a few connections ([`readers`]), each seeing what was committed when it
//! began. Write-ahead logging with `synchronous=FULL` makes a commit survive the end of the process and of the machine.

mod account;
mod attachments;
pub mod backup;
mod commit;
mod forget;
mod links;
mod load;
mod moves;
mod readers;
mod record_links;
mod rows;
mod scope;
mod seen;
mod snapshot;
mod writer;

use async_trait::async_trait;
use fieldsync_core::store::{
    Assignment, Commit, DataSetName, DataSetRow, Grant, Loaded, Rescope, Snapshot, State, Store, StoreError, Touched,
};
use fieldsync_schemas::id::{Epoch, FeedName, Principal, RecordId};
use fieldsync_schemas::session::{RefetchOrder, Role};
use fieldsync_schemas::time::Timestamp;
use readers::{FEW, Readers};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use writer::Writer;

/// The name of the database within the directory.
const FILE: &str = "fieldsync.sqlite";
const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i64 = 4;
/// The writer's share of memory, in negative KiB: what one commit changes should fit.
const WRITER_CACHE: i64 = -65_536;
/// After so many pages the log is written back into the database. A page that changes again and again until then, such
/// as the end of an index, is written back once.
const CHECKPOINT: i64 = 8192;
const BUSY: Duration = Duration::from_secs(10);

/// Why something that was asked of the database failed, whatever said so.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to open the database {}: {source}", path.display())]
pub struct OpenError {
    path: PathBuf,
    #[source]
    source: Failure,
}

/// The storage of a server, in a directory.
pub struct SqliteStore {
    dir: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database in this directory, and makes both where they are missing.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, SAFE)
    }

    /// The same for a database that is thrown away in the end: what it commits survives the end of the process, not that
    /// of the machine.
    pub fn open_for_a_while(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, "OFF")
    }

    fn open_with(dir: &Path, synchronous: &str) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        Self::open_file(dir, &path, synchronous).map_err(|source| OpenError { path, source })
    }

    fn open_file(dir: &Path, path: &Path, synchronous: &str) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir)?;
        let mut connection = connect(path)?;
        connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
        prepare(&mut connection, synchronous)?;
        let readers = Readers::open(|| {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        })?;
        Ok(Self { dir: dir.to_owned(), writer: Writer::start(connection)?, readers })
    }

    /// Whether there is a database in this directory.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The backup of a data set that a control verb asked for.
    fn backup_of(&self, data_set: &DataSetName) -> PathBuf {
        self.dir.join("backups").join(format!("{}.sqlite", data_set.0))
    }
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Without it SQLite plans a statement anew for every value that is bound to its range or limit.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(connection)
}

/// What is committed survives the end of the machine.
const SAFE: &str = "FULL";

/// Makes a connection one that writes, and the tables where they are missing.
fn prepare(connection: &mut Connection, synchronous: &str) -> Result<(), Failure> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    prepare_schema(connection)
}

fn prepare_schema(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        SCHEMA_VERSION => {}
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        other => {
            return Err(format!(
                "its schema is version {other}, and this program knows {SCHEMA_VERSION}: use the program that made it, or \
                 begin with an empty folder"
            )
            .into());
        }
    }
    transaction.execute_batch(attachments::TABLES)?;
    Ok(transaction.commit()?)
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, touched: &[Touched]) -> Result<Vec<Loaded>, StoreError> {
        const DOING: &str = "load what a batch touches";
        let rows = |one: &Touched| {
            let named = one.records.len() + one.bases.len() + one.mutations.len() + one.parents.len();
            named + one.attachments.len() + one.families.heads.len() * FEW
        };
        if touched.iter().map(rows).sum::<usize>() <= FEW {
            return self.readers.few(DOING, |connection| load::load(connection, touched)).await;
        }
        let touched = touched.to_vec();
        // On the writing connection, whose cache still holds what it wrote last.
        self.writer.run(DOING, move |connection| load::load(connection, &touched)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
        self.writer.run("commit batches", move |connection| commit::commit(connection, &commits)).await
    }

    async fn snapshot(&self, data_set: &DataSetName, principal: &Principal) -> Result<Box<dyn Snapshot>, StoreError> {
        let snapshot = snapshot::SqliteSnapshot::begin(&self.readers, data_set, principal).await?;
        Ok(Box::new(snapshot))
    }

    async fn forget(&self, data_set: &DataSetName, feed: &FeedName, before: Timestamp) -> Result<(), StoreError> {
        let (data_set, feed) = (data_set.clone(), feed.clone());
        self.writer
            .run("purge tombstones", move |connection| forget::forget(connection, &data_set, &feed, before))
            .await
    }

    async fn back_up(&self, data_set: &DataSetName) -> Result<u64, StoreError> {
        const DOING: &str = "make a backup";
        let (name, database, to) = (data_set.clone(), self.dir.join(FILE), self.backup_of(data_set));
        let covered = readers::beside(DOING, move || backup::back_up_one(&database, &to, &name)).await?;
        let name = data_set.clone();
        self.writer.run(DOING, move |connection| backup::announce(connection, &name, covered)).await?;
        Ok(covered)
    }

    async fn backed_up(&self) -> Result<Vec<(DataSetName, Epoch, u64)>, StoreError> {
        self.readers.many("look at the backups", rows::backed_up).await
    }

    async fn restore(&self, data_set: &DataSetName, epoch: &Epoch) -> Result<Option<DataSetRow>, StoreError> {
        let (name, epoch, from) = (data_set.clone(), epoch.clone(), self.backup_of(data_set));
        self.writer
            .run("restore a backup", move |connection| backup::restore_from(connection, &from, &name, epoch))
            .await
    }

    async fn wipe(&self, data_set: &DataSetName, epoch: &Epoch, seeds: Vec<State>) -> Result<DataSetRow, StoreError> {
        let (name, epoch) = (data_set.clone(), epoch.clone());
        self.writer.run("wipe a data set", move |connection| backup::wipe(connection, &name, epoch, &seeds)).await
    }

    async fn data_sets(&self) -> Result<Vec<DataSetRow>, StoreError> {
        self.readers.many("list the data sets", rows::data_sets).await
    }

    async fn put_data_set(&self, row: &DataSetRow, seeds: Vec<State>) -> Result<(), StoreError> {
        let row = row.clone();
        self.writer.run("store a data set", move |connection| commit::put_data_set(connection, &row, &seeds)).await
    }

    async fn account(&self, user: &str) -> Result<Option<String>, StoreError> {
        self.readers.few("read an account", |connection| account::account(connection, user)).await
    }

    async fn put_account(&self, user: &str, password_hash: &str) -> Result<(), StoreError> {
        let (user, hash) = (user.to_owned(), password_hash.to_owned());
        self.writer.run("store an account", move |connection| account::put_account(connection, &user, &hash)).await
    }

    async fn grant(&self, data_set: &DataSetName, user: &str) -> Result<Option<Role>, StoreError> {
        self.readers.few("read a grant", |connection| account::grant(connection, data_set, user)).await
    }

    async fn put_grants(&self, grants: Vec<Grant>) -> Result<(), StoreError> {
        self.writer.run("store grants", move |connection| account::put_grants(connection, &grants)).await
    }

    async fn assignment(&self, data_set: &DataSetName, user: &str) -> Result<Assignment, StoreError> {
        self.readers.few("read an assignment", |connection| scope::assignment(connection, data_set, user)).await
    }

    async fn scoped(&self) -> Result<HashSet<DataSetName>, StoreError> {
        self.readers.many("list the data sets with scopes", scope::scoped).await
    }

    async fn scopes(&self, data_set: &DataSetName) -> Result<Vec<(String, Vec<RecordId>)>, StoreError> {
        let data_set = data_set.clone();
        self.readers.many("list the scopes", move |connection| scope::scopes(connection, &data_set)).await
    }

    async fn rescope(
        &self,
        data_set: &DataSetName,
        states: Vec<State>,
        scopes: Vec<Rescope>,
    ) -> Result<(), StoreError> {
        let data_set = data_set.clone();
        self.writer
            .run("store scopes", move |connection| commit::rescope(connection, &data_set, &states, &scopes))
            .await
    }

    async fn put_refetch(&self, data_set: &DataSetName, user: &str, order: &RefetchOrder) -> Result<(), StoreError> {
        let (data_set, user, order) = (data_set.clone(), user.to_owned(), order.clone());
        self.writer
            .run("store a refetch order", move |connection| scope::put_refetch(connection, &data_set, &user, &order))
            .await
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError> {
        let found = self.readers.few("read a secret", |connection| account::secret(connection, name)).await?;
        if let Some(secret) = found {
            return Ok(secret);
        }
        let name = name.to_owned();
        self.writer.run("make a secret", move |connection| account::make_secret(connection, &name)).await
    }
}
