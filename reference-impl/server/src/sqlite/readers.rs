//! A few connections that read beside the writer.

use super::Failure;
use fieldsync_core::store::StoreError;
use rusqlite::Connection;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const CONNECTIONS: usize = 8;

/// The most rows that are read on the spot. So few take some microseconds, less than another thread takes to begin.
pub(super) const FEW: usize = 64;

/// The reading connections.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    seats: Arc<Semaphore>,
}

/// A connection that is lent; it goes back when this is dropped, without any transaction.
pub(super) struct Lease {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _seat: OwnedSemaphorePermit,
}

impl Lease {
    /// All that is read from now on, until it is dropped, is of one moment: that of the first read.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.prepare_cached("BEGIN")?.execute([])?;
        Ok(())
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit()
                && let Err(error) = connection.prepare_cached("ROLLBACK").and_then(|mut back| back.execute([]))
            {
                tracing::error!(%error, "a reading transaction does not end");
            }
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

impl Readers {
    pub(super) fn open(connect: impl Fn() -> Result<Connection, Failure>) -> Result<Self, Failure> {
        let idle = (0..CONNECTIONS).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), seats: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    pub(super) async fn lend(&self, doing: &'static str) -> Result<Lease, StoreError> {
        let seat =
            self.seats.clone().acquire_owned().await.map_err(|error| StoreError { doing, source: error.into() })?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lease { connection, idle: self.idle.clone(), _seat: seat })
    }

    /// Reads a few rows, on the spot and as they are at one moment.
    pub(super) async fn few<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let lease = self.lend(doing).await?;
        lease.begin().and_then(|()| work(&lease)).map_err(|source| StoreError { doing, source })
    }

    /// Reads however many rows, where that harms nobody.
    pub(super) async fn many<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let lease = self.lend(doing).await?;
        beside(doing, move || work(&lease)).await
    }
}

/// Runs this where blocking harms nobody.
pub(super) async fn beside<T, F>(doing: &'static str, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|source| StoreError { doing, source })
}
