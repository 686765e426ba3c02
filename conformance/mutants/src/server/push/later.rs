//! Faults about when what was answered is stored.

use crate::seam::storage::StorageFault;
use fieldsync_core::store::{Commit, DataSetName, State};
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

/// Writes a commit only when something is read, so that nobody sees it missing unless the process ends before.
#[derive(Default)]
pub(super) struct WrittenBehind {
    waiting: Mutex<Vec<Commit>>,
}

impl StorageFault for WrittenBehind {
    fn commits(&self, commits: &mut Vec<Commit>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).append(commits);
    }

    fn overdue(&self) -> Vec<Commit> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
