//! What whoever runs the server does to its data from beside it: scopes, refetch orders, and a wipe.
//!
//! A server that runs reads scopes and orders anew for each request, so these are given while it serves. The epoch of its
//! data it keeps in memory, and would go on in the old one: so a wipe needs the folder to itself, as a restore does.

use crate::data_set::{DataSet, Hosted};
use crate::domain::DomainFileError;
use crate::machine::{MachineClock, RandomIds};
use crate::scope::{self, ChangeError};
use crate::sqlite::{OpenError, SqliteStore};
use fieldsync_core::clock::Ids;
use fieldsync_core::policy::PolicyTable;
use fieldsync_core::store::{Store, StoreError};
use fieldsync_schemas::id::{Epoch, RecordId, RefetchId, TypeName};
use fieldsync_schemas::session::RefetchOrder;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that is locked while a server runs on the folder. It is never removed: a lock is on the file, not on its name.
const LOCK: &str = "serving.lock";

/// A folder of data that nobody else serves, until this is dropped or the process ends.
pub struct Claim(#[expect(dead_code, reason = "the lock goes with it")] File);

/// Why a folder cannot be had alone.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Somebody has it.
    #[error("a server runs on {}; stop it first", .0.display())]
    Serving(PathBuf),
    /// The system does not lock it.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Claim {
    /// Has the folder alone, and makes it where it is missing.
    pub fn take(dir: &Path) -> Result<Self, ClaimError> {
        let path = dir.join(LOCK);
        let failed = |source| ClaimError::Lock { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(ClaimError::Serving(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Why something was not done to a data set.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// There is nothing in the folder.
    #[error("there is no database in {}; `fieldsync serve` makes one", .0.display())]
    NoDatabase(PathBuf),
    /// There is no such data set.
    #[error("there is no data set {name:?} in {}; there is {known}", dir.display())]
    NoDataSet {
        /// What was asked for.
        name: String,
        /// Where.
        dir: PathBuf,
        /// What there is.
        known: String,
    },
    /// A server runs on it.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is stored cannot be served.
    #[error(transparent)]
    Domain(#[from] DomainFileError),
    /// It makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError> for OperateError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Trouble(trouble) => Self::Refused(trouble.detail),
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// Gives a user a scope: these places and all below them, or everything.
pub async fn give_scope(
    dir: &Path,
    data_set: &str,
    user: &str,
    places: Option<Vec<RecordId>>,
) -> Result<(), OperateError> {
    let (store, data_set) = open(dir, data_set).await?;
    Ok(scope::give(&store, &data_set, user.to_owned(), places).await?)
}

/// Orders the devices of a user to pull these types once more; all where there are none.
pub async fn order_refetch(dir: &Path, data_set: &str, user: &str, types: Vec<TypeName>) -> Result<(), OperateError> {
    let (store, data_set) = open(dir, data_set).await?;
    let id = RefetchId::new(RandomIds.unique()).expect("ids have the form of an order's id");
    Ok(scope::order(&store, &data_set, user, RefetchOrder { id, types }).await?)
}

/// Empties a data set on purpose, down to its reference records, in a new epoch.
pub async fn wipe(dir: &Path, data_set: &str) -> Result<(), OperateError> {
    let _claim = Claim::take(dir)?;
    let (store, data_set) = open(dir, data_set).await?;
    let epoch = Epoch::new(RandomIds.unique()).expect("ids are visible ASCII");
    store.wipe(&data_set.name, &epoch, data_set.hosted.seeds(&RandomIds, data_set.now())).await?;
    Ok(scope::work_out(&store, &data_set).await?)
}

async fn open(dir: &Path, name: &str) -> Result<(Arc<dyn Store>, DataSet), OperateError> {
    if !SqliteStore::is_in(dir) {
        return Err(OperateError::NoDatabase(dir.to_owned()));
    }
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir)?);
    let mut known = store.data_sets().await?;
    let Some(at) = known.iter().position(|row| row.name.0 == name) else {
        let names: Vec<&str> = known.iter().map(|row| row.name.0.as_str()).collect();
        let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        return Err(OperateError::NoDataSet { name: name.to_owned(), dir: dir.to_owned(), known });
    };
    let row = known.swap_remove(at);
    let hosted = Hosted::new(row.domain.clone(), &PolicyTable::standard())?;
    Ok((store, DataSet::new(&row, hosted, Arc::new(MachineClock))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_served_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let claim = Claim::take(&dir).unwrap();
        let refused = Claim::take(&dir).err().unwrap().to_string();
        assert!(refused.contains("a server runs on") && refused.contains("stop it first"), "{refused}");
        drop(claim);
        assert!(Claim::take(&dir).is_ok());
    }
}
