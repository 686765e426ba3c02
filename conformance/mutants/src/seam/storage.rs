//! The storage trait: what is loaded, committed and paged, changed on its way.

use async_trait::async_trait;
use fieldsync_core::cursor::Point;
use fieldsync_core::digest::Buckets;
use fieldsync_core::scope::Sight;
use fieldsync_core::store::{
    Assignment, Commit, DataSetName, DataSetRow, Grant, Head, Loaded, Place, Rescope, Row, Snapshot, State, Store,
    StoreError, Touched,
};
use fieldsync_schemas::id::{Epoch, FeedName, Principal, RecordId};
use fieldsync_schemas::problem::EpochCause;
use fieldsync_schemas::session::{RefetchOrder, Role};
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::Parts;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What happens to what passes between the rules and the storage. Each member does nothing by default.
pub trait StorageFault: Send + Sync + 'static {
    /// After a load.
    fn loaded(&self, _touched: &[Touched], _loaded: &mut Vec<Loaded>) {}
    /// Before a commit.
    fn commits(&self, _commits: &mut Vec<Commit>) {}
    /// Commits that were held back and are due, because something is about to be read.
    fn overdue(&self) -> Vec<Commit> {
        Vec::new()
    }
    /// After the heads of the feeds were read.
    fn heads(&self, _heads: &mut HashMap<FeedName, Head>) {}
    /// Before a page is read: it may begin elsewhere or be of another length.
    fn page(&self, _feed: &FeedName, _after: &mut Place, _limit: &mut u64) {}
    /// After a page was read.
    fn rows(&self, _feed: &FeedName, _rows: &mut Vec<Row>) {}
    /// After it was told what is in a backup: every batch up to this one.
    fn backed_up(&self, _covered: &mut u64) {}
    /// Before an epoch begins.
    fn begins(&self, _data_set: &DataSetName, _cause: &EpochCause) {}
    /// After the role of a user was looked up.
    fn grant(&self, _role: &mut Option<Role>) {}
    /// After what a user was given was looked up.
    fn assignment(&self, _assignment: &mut Assignment) {}
    /// Before a scope is stored.
    fn rescope(&self, _scopes: &mut Vec<Rescope>) {}
    /// How much of a feed is seen.
    fn sight(&self, _feed: &FeedName, _sight: &mut Sight) {}
    /// How much of it is seen where it is compared.
    fn sight_of_digest(&self, _sight: &mut Sight) {}
    /// How much of it is seen where a bucket of it is read.
    fn sight_of_bucket(&self, _sight: &mut Sight) {}
    /// Whether purges are carried out.
    fn forgets(&self) -> bool {
        true
    }
}

/// The same server over a faulty storage.
pub fn faulty(mut parts: Parts, fault: impl StorageFault) -> Parts {
    parts.store = Arc::new(Faulty { inner: parts.store.clone(), fault: Arc::new(fault) });
    parts
}

struct Faulty<F> {
    inner: Arc<dyn Store>,
    fault: Arc<F>,
}

impl<F: StorageFault> Faulty<F> {
    async fn catch_up(&self) -> Result<(), StoreError> {
        match self.fault.overdue() {
            overdue if overdue.is_empty() => Ok(()),
            overdue => self.inner.commit(overdue).await,
        }
    }
}

#[async_trait]
impl<F: StorageFault> Store for Faulty<F> {
    async fn load(&self, touched: &[Touched]) -> Result<Vec<Loaded>, StoreError> {
        self.catch_up().await?;
        let mut loaded = self.inner.load(touched).await?;
        self.fault.loaded(touched, &mut loaded);
        Ok(loaded)
    }

    async fn commit(&self, mut commits: Vec<Commit>) -> Result<(), StoreError> {
        self.fault.commits(&mut commits);
        self.inner.commit(commits).await
    }

    async fn snapshot(&self, data_set: &DataSetName, principal: &Principal) -> Result<Box<dyn Snapshot>, StoreError> {
        self.catch_up().await?;
        let inner = self.inner.snapshot(data_set, principal).await?;
        Ok(Box::new(FaultySnapshot { inner, fault: self.fault.clone() }))
    }

    async fn forget(&self, data_set: &DataSetName, feed: &FeedName, before: Timestamp) -> Result<(), StoreError> {
        if self.fault.forgets() { self.inner.forget(data_set, feed, before).await } else { Ok(()) }
    }

    async fn back_up(&self, data_set: &DataSetName) -> Result<u64, StoreError> {
        self.catch_up().await?;
        let mut covered = self.inner.back_up(data_set).await?;
        self.fault.backed_up(&mut covered);
        Ok(covered)
    }

    async fn backed_up(&self) -> Result<Vec<(DataSetName, Epoch, u64)>, StoreError> {
        let mut told = self.inner.backed_up().await?;
        told.iter_mut().for_each(|(_, _, covered)| self.fault.backed_up(covered));
        Ok(told)
    }

    async fn restore(&self, data_set: &DataSetName, epoch: &Epoch) -> Result<Option<DataSetRow>, StoreError> {
        self.fault.begins(data_set, &EpochCause::Restored);
        self.inner.restore(data_set, epoch).await
    }

    async fn wipe(&self, data_set: &DataSetName, epoch: &Epoch, seeds: Vec<State>) -> Result<DataSetRow, StoreError> {
        self.fault.begins(data_set, &EpochCause::Wiped);
        self.inner.wipe(data_set, epoch, seeds).await
    }

    async fn data_sets(&self) -> Result<Vec<DataSetRow>, StoreError> {
        self.inner.data_sets().await
    }

    async fn put_data_set(&self, row: &DataSetRow, seeds: Vec<State>) -> Result<(), StoreError> {
        self.inner.put_data_set(row, seeds).await
    }

    async fn account(&self, user: &str) -> Result<Option<String>, StoreError> {
        self.inner.account(user).await
    }

    async fn put_account(&self, user: &str, password_hash: &str) -> Result<(), StoreError> {
        self.inner.put_account(user, password_hash).await
    }

    async fn grant(&self, data_set: &DataSetName, user: &str) -> Result<Option<Role>, StoreError> {
        let mut role = self.inner.grant(data_set, user).await?;
        self.fault.grant(&mut role);
        Ok(role)
    }

    async fn put_grants(&self, grants: Vec<Grant>) -> Result<(), StoreError> {
        self.inner.put_grants(grants).await
    }

    async fn assignment(&self, data_set: &DataSetName, user: &str) -> Result<Assignment, StoreError> {
        let mut assignment = self.inner.assignment(data_set, user).await?;
        self.fault.assignment(&mut assignment);
        Ok(assignment)
    }

    async fn scoped(&self) -> Result<HashSet<DataSetName>, StoreError> {
        self.inner.scoped().await
    }

    async fn scopes(&self, data_set: &DataSetName) -> Result<Vec<(String, Vec<RecordId>)>, StoreError> {
        self.inner.scopes(data_set).await
    }

    async fn rescope(
        &self,
        data_set: &DataSetName,
        states: Vec<State>,
        mut scopes: Vec<Rescope>,
    ) -> Result<(), StoreError> {
        self.fault.rescope(&mut scopes);
        self.inner.rescope(data_set, states, scopes).await
    }

    async fn put_refetch(&self, data_set: &DataSetName, user: &str, order: &RefetchOrder) -> Result<(), StoreError> {
        self.inner.put_refetch(data_set, user, order).await
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError> {
        self.inner.secret(name).await
    }
}

struct FaultySnapshot<F> {
    inner: Box<dyn Snapshot>,
    fault: Arc<F>,
}

#[async_trait]
impl<F: StorageFault> Snapshot for FaultySnapshot<F> {
    fn is_scoped(&self) -> bool {
        self.inner.is_scoped()
    }

    async fn heads(&mut self) -> Result<HashMap<FeedName, Head>, StoreError> {
        let mut heads = self.inner.heads().await?;
        self.fault.heads(&mut heads);
        Ok(heads)
    }

    async fn digest(&mut self, feed: &FeedName, sight: Sight) -> Result<Buckets, StoreError> {
        let mut sight = sight;
        self.fault.sight_of_digest(&mut sight);
        self.inner.digest(feed, sight).await
    }

    async fn bucket(
        &mut self,
        feed: &FeedName,
        sight: Sight,
        bucket: u8,
        after: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<Arc<str>>, StoreError> {
        let mut sight = sight;
        self.fault.sight_of_bucket(&mut sight);
        self.inner.bucket(feed, sight, bucket, after, limit).await
    }

    async fn page(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError> {
        let (mut after, mut limit, mut sight) = (after, limit, sight);
        self.fault.page(feed, &mut after.place, &mut limit);
        self.fault.sight(feed, &mut sight);
        let mut rows = self.inner.page(feed, sight, after, limit).await?;
        self.fault.rows(feed, &mut rows);
        Ok(rows)
    }

    async fn moved(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError> {
        let mut sight = sight;
        self.fault.sight(feed, &mut sight);
        let mut rows = self.inner.moved(feed, sight, after, limit).await?;
        self.fault.rows(feed, &mut rows);
        Ok(rows)
    }
}
