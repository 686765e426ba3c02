//! A store that ends with its device, at once or at a write that was named beforehand.
//!
//! A process that is killed writes nothing more. Within this process the task of a device that is stopped may be in the
//! middle of a step, and its write could follow the next life of the device; so a life has a store of its own, which
//! refuses everything once it is over.

use fieldsync_core::device::DeviceStore;
use fieldsync_core::device::store::{Saved, ServerCopy, StoreError, Write};
use fieldsync_schemas::conflict::ConflictEntry;
use fieldsync_schemas::id::{RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store for one life of a device.
pub struct MortalStore {
    inner: Arc<dyn DeviceStore>,
    life: Mutex<Life>,
}

enum Life {
    /// It goes on.
    Going,
    /// It ends with this write, counted from 1, which is made or not.
    Until { write: u64, is_made: bool },
    /// It is over.
    Over,
}

/// The device has ended.
#[derive(Debug, thiserror::Error)]
#[error("the device was ended")]
struct Ended;

fn ended(doing: &'static str) -> StoreError {
    StoreError { doing, source: Box::new(Ended) }
}

impl MortalStore {
    /// A life on this store, with no end set.
    pub fn new(inner: Arc<dyn DeviceStore>) -> Self {
        Self { inner, life: Mutex::new(Life::Going) }
    }

    /// Ends the life with the write of this number from now on, which is made or not.
    pub fn end_at(&self, write: u64, is_made: bool) {
        *self.life() = Life::Until { write, is_made };
    }

    /// Ends the life. A write that is being made is made.
    pub fn end(&self) {
        *self.life() = Life::Over;
    }

    /// Whether the life is over.
    pub fn is_over(&self) -> bool {
        matches!(*self.life(), Life::Over)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self, doing: &'static str) -> Result<&dyn DeviceStore, StoreError> {
        if self.is_over() { Err(ended(doing)) } else { Ok(self.inner.as_ref()) }
    }
}

impl DeviceStore for MortalStore {
    fn load(&self) -> Result<Saved, StoreError> {
        self.living("loading")?.load()
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        // Held over the write, so that none is under way once the life is over.
        let mut life = self.life();
        match &mut *life {
            Life::Going => self.inner.commit(writes),
            Life::Until { write, .. } if *write > 1 => {
                *write -= 1;
                self.inner.commit(writes)
            }
            Life::Until { is_made, .. } => {
                let is_made = *is_made;
                *life = Life::Over;
                if is_made {
                    self.inner.commit(writes)?;
                }
                Err(ended("writing"))
            }
            Life::Over => Err(ended("writing")),
        }
    }

    fn record(&self, record: &RecordRef) -> Result<Option<ServerCopy>, StoreError> {
        self.living("reading a record")?.record(record)
    }

    fn records(&self, type_name: &TypeName) -> Result<Vec<ServerCopy>, StoreError> {
        self.living("reading records")?.records(type_name)
    }

    fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError> {
        self.living("reading the conflict log")?.conflicts()
    }
}
