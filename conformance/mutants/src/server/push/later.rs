//! Faults about when what was answered is stored.

use crate::seam::storage::StorageFault;
use fieldsync_core::store::{Commit, DataSetName, Loaded, State, Touched};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keeps the last of several states back until the data set's next commit.
#[derive(Default)]
pub(super) struct LastStateLater {
    kept_back: Mutex<HashMap<DataSetName, State>>,
}

impl StorageFault for LastStateLater {
    fn commits(&self, commits: &mut Vec<Commit>) {
        let mut kept_back = self.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            let late = kept_back.remove(&commit.data_set);
            if commit.states.len() > 1 {
                kept_back.extend(commit.states.pop().map(|state| (commit.data_set.clone(), state)));
            }
            commit.states.splice(0..0, late);
        }
    }
}

/// Writes a commit when the next one comes. What is decided meanwhile knows of it.
#[derive(Default)]
pub(super) struct WrittenLater {
    waiting: Mutex<Vec<Commit>>,
}

impl StorageFault for WrittenLater {
    fn loaded(&self, touched: &[Touched], loaded: &mut Vec<Loaded>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        touched.iter().zip(loaded.iter_mut()).for_each(|(touched, loaded)| loaded.absorb(touched, &waiting));
    }

    fn commits(&self, commits: &mut Vec<Commit>) {
        std::mem::swap(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), commits);
    }
}
