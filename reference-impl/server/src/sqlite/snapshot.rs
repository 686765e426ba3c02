//! A view of one data set: a reading transaction that is kept open while an answer is written.

use super::Failure;
use super::readers::{FEW, Lease, Readers, beside};
use super::rows;
use async_trait::async_trait;
use fieldsync_core::digest::{self, Buckets};
use fieldsync_core::store::{DataSetName, Head, Place, Row, Snapshot, StoreError};
use fieldsync_schemas::id::{FeedName, RecordId, Rev};
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

/// The view. Its connection goes back when it is dropped.
pub(super) struct SqliteSnapshot {
    /// Away only while a page is read.
    lease: Option<Lease>,
    feeds: HashMap<FeedName, (i64, Head)>,
}

impl SqliteSnapshot {
    pub(super) async fn begin(readers: &Readers, data_set: DataSetName) -> Result<Self, StoreError> {
        const DOING: &str = "begin a snapshot";
        let lease = readers.lend(DOING).await?;
        // SQLite fixes the view at the first read, which is that of the heads.
        let begun = lease.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(Failure::from);
        let feeds = begun.and_then(|_| feeds(&lease, &data_set));
        let feeds = feeds.map_err(|source| StoreError { doing: DOING, source })?;
        Ok(Self { lease: Some(lease), feeds })
    }
}

fn feeds(connection: &Connection, data_set: &DataSetName) -> Result<HashMap<FeedName, (i64, Head)>, Failure> {
    let data_set = rows::data_set(connection, data_set)?;
    let mut statement = connection.prepare_cached("SELECT id, name, last, horizon FROM feeds WHERE data_set = ?1")?;
    let mut found = statement.query([data_set])?;
    let mut feeds = HashMap::new();
    while let Some(row) = found.next()? {
        let head = Head { last: Place(row.get(2)?), horizon: Place(row.get(3)?) };
        feeds.insert(row.get::<_, String>(1)?.parse()?, (row.get(0)?, head));
    }
    Ok(feeds)
}

fn page(connection: &Connection, feed: i64, after: Place, limit: u64) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT place, deleted, json FROM rows WHERE feed = ?1 AND place > ?2 ORDER BY place LIMIT ?3",
    )?;
    let mut found = statement.query((feed, after.0, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut page = Vec::new();
    while let Some(row) = found.next()? {
        page.push(Row { place: Place(row.get(0)?), deleted: row.get(1)?, json: rows::text(row, 2)? });
    }
    Ok(page)
}

fn digest(connection: &Connection, feed: i64) -> Result<Buckets, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id, rev, content FROM rows WHERE feed = ?1 AND deleted = 0")?;
    let mut found = statement.query([feed])?;
    let mut buckets = Buckets::default();
    while let Some(row) = found.next()? {
        buckets.add(row.get_ref(0)?.as_str()?, &Rev::new(row.get::<_, String>(1)?)?, &row.get(2)?);
    }
    Ok(buckets)
}

/// A walk over all ids of the feed: comparing is rare, and needs no index of its own.
fn bucket(
    connection: &Connection,
    feed: i64,
    number: u8,
    after: Option<&RecordId>,
    limit: u64,
) -> Result<Vec<Arc<str>>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id, place FROM rows WHERE feed = ?1 AND deleted = 0 ORDER BY id")?;
    let mut json = connection.prepare_cached("SELECT json FROM rows WHERE place = ?1")?;
    let mut found = statement.query([feed])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()?.filter(|_| (records.len() as u64) < limit) {
        if digest::is_in(number, after, row.get_ref(0)?.as_str()?) {
            let place: i64 = row.get(1)?;
            records.push(json.query_row([place], |row| Ok(Arc::from(row.get_ref(0)?.as_str()?)))?);
        }
    }
    Ok(records)
}

impl SqliteSnapshot {
    /// Reads in the view, where that harms nobody.
    async fn read<T, F>(&mut self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let Some(lease) = self.lease.take() else {
            return Err(StoreError { doing, source: "an earlier page was given up".into() });
        };
        let (lease, read) = beside(doing, move || {
            let read = work(&lease)?;
            Ok((lease, read))
        })
        .await?;
        self.lease = Some(lease);
        Ok(read)
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn heads(&mut self) -> Result<HashMap<FeedName, Head>, StoreError> {
        Ok(self.feeds.iter().map(|(name, (_, head))| (name.clone(), *head)).collect())
    }

    async fn digest(&mut self, feed: &FeedName) -> Result<Buckets, StoreError> {
        let Some((feed, _)) = self.feeds.get(feed).copied() else { return Ok(Buckets::default()) };
        self.read("compare a feed", move |connection| digest(connection, feed)).await
    }

    async fn bucket(
        &mut self,
        feed: &FeedName,
        number: u8,
        after: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<Arc<str>>, StoreError> {
        let Some((feed, _)) = self.feeds.get(feed).copied() else { return Ok(Vec::new()) };
        let after = after.cloned();
        self.read("read a bucket", move |connection| bucket(connection, feed, number, after.as_ref(), limit)).await
    }

    async fn page(&mut self, feed: &FeedName, after: Place, limit: u64) -> Result<Vec<Row>, StoreError> {
        const DOING: &str = "read a page";
        let Some((feed, _)) = self.feeds.get(feed).copied() else { return Ok(Vec::new()) };
        let Some(lease) = self.lease.take() else {
            return Err(StoreError { doing: DOING, source: "an earlier page was given up".into() });
        };
        let failed = |source| StoreError { doing: DOING, source };
        let mut rows = page(&lease, feed, after, limit.min(FEW as u64)).map_err(failed)?;
        let read = rows.len() as u64;
        let lease = match rows.last().map(|row| row.place) {
            Some(last) if read == FEW as u64 && read < limit => {
                let (lease, more) = beside(DOING, move || {
                    let more = page(&lease, feed, last, limit - read)?;
                    Ok((lease, more))
                })
                .await?;
                rows.extend(more);
                lease
            }
            _ => lease,
        };
        self.lease = Some(lease);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::domain_from_yaml;
    use crate::sqlite::SqliteStore;
    use fieldsync_core::data::content_hash;
    use fieldsync_core::digest::bucket_of;
    use fieldsync_core::store::{DataSetName, DataSetRow, State, Store};
    use fieldsync_schemas::id::{Epoch, FeedName, RecordId};
    use fieldsync_schemas::record::Record;
    use serde_json::json;

    const DOMAIN: &str = include_str!("../../../../fixtures/domain/version-wins.yaml");

    fn state(number: u32) -> State {
        let record = json!({"type": "observation", "id": format!("r-{number}"), "rev": format!("rev-{number}"),
            "version": 1, "modified_at": "2026-11-20T08:00:00Z", "accepted_at": "2026-11-20T08:00:00Z",
            "deleted": number % 7 == 0, "data": {"number": number}});
        let record: Record = serde_json::from_str(&record.to_string()).unwrap();
        State::published(FeedName::new("observation").unwrap(), content_hash(record.data.as_deref(), &[]), record)
    }

    #[tokio::test]
    async fn a_bucket_in_parts_is_the_whole_bucket_and_no_tombstone() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let name = DataSetName("version_wins".to_owned());
        let row = DataSetRow::new(name.clone(), domain_from_yaml(DOMAIN).unwrap(), Epoch::new("e-1").unwrap());
        store.put_data_set(&row, (0..1500).map(state).collect()).await.unwrap();
        let mut wanted: Vec<String> =
            (0..1500).filter(|number| number % 7 != 0).map(|number| format!("r-{number}")).collect();
        wanted.retain(|id| bucket_of(id) == 7);
        wanted.sort();
        assert!(wanted.len() > 2, "there is something to walk through");

        let feed = FeedName::new("observation").unwrap();
        let mut snapshot = store.snapshot(&name).await.unwrap();
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map(|id| RecordId::new(id.clone()).unwrap());
            let part = snapshot.bucket(&feed, 7, after.as_ref(), 2).await.unwrap();
            if part.is_empty() {
                break;
            }
            found.extend(part.iter().map(|json| serde_json::from_str::<Record>(json).unwrap().id.to_string()));
        }
        assert_eq!(found, wanted);
    }
}
