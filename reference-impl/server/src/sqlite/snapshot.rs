//! A view of one data set: a reading transaction that is kept open while an answer is written.

use super::readers::{FEW, Lease, Readers, beside};
use super::seen::{View, What};
use super::{Failure, moves, rows, scope, seen};
use async_trait::async_trait;
use fieldsync_core::cursor::Point;
use fieldsync_core::digest::{self, Buckets};
use fieldsync_core::scope::{Label, Scope, Sight};
use fieldsync_core::store::{DataSetName, Head, Place, Row, RowKind, Snapshot, StoreError};
use fieldsync_schemas::id::{FeedName, Principal, RecordId, Rev};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The view. Its connection goes back when it is dropped.
pub(super) struct SqliteSnapshot {
    /// Away only while a page is read.
    lease: Option<Lease>,
    view: Viewer,
}

/// What the principal can see, and where it stands.
struct Viewer {
    data_set: i64,
    principal: Principal,
    /// The places that are seen; none for all of them. Only where it is, or was, not everything.
    scope: Option<Option<Arc<BTreeSet<String>>>>,
    feeds: HashMap<FeedName, (i64, Head)>,
}

impl SqliteSnapshot {
    pub(super) async fn begin(
        readers: &Readers,
        data_set: &DataSetName,
        principal: &Principal,
    ) -> Result<Self, StoreError> {
        const DOING: &str = "begin a snapshot";
        let lease = readers.lend(DOING).await?;
        // The first read is that of the heads.
        let view = lease.begin().and_then(|()| viewer(&lease, data_set, principal));
        let view = view.map_err(|source| StoreError { doing: DOING, source })?;
        Ok(Self { lease: Some(lease), view })
    }
}

fn viewer(connection: &Connection, name: &DataSetName, principal: &Principal) -> Result<Viewer, Failure> {
    let data_set = rows::data_set(connection, name)?;
    let scope = match scope::is_scoped(connection, data_set, principal)? {
        false => None,
        true => Some(match scope::scope(connection, data_set, principal)? {
            Scope::All => None,
            Scope::Places(places) => Some(Arc::new(places.iter().map(ToString::to_string).collect())),
        }),
    };
    let mut statement = connection.prepare_cached("SELECT id, name, last, horizon FROM feeds WHERE data_set = ?1")?;
    let mut last_shift =
        connection.prepare_cached("SELECT COALESCE(MAX(place), 0) FROM shifts WHERE feed = ?1 AND user = ?2")?;
    let mut found = statement.query([data_set])?;
    let mut feeds = HashMap::new();
    while let Some(row) = found.next()? {
        let feed: i64 = row.get(0)?;
        let mut last: u64 = row.get(2)?;
        if scope.is_some() {
            last = last.max(last_shift.query_row((feed, principal.as_str()), |row| row.get(0))?);
        }
        let head = Head { last: Place(last), horizon: Place(row.get(3)?) };
        feeds.insert(row.get::<_, String>(1)?.parse()?, (feed, head));
    }
    Ok(Viewer { data_set, principal: principal.clone(), scope, feeds })
}

fn page(connection: &Connection, feed: i64, after: Place, limit: u64) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT place, deleted, json FROM rows WHERE feed = ?1 AND place > ?2 ORDER BY place LIMIT ?3",
    )?;
    let mut found = statement.query((feed, after.0, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut page = Vec::new();
    while let Some(row) = found.next()? {
        let kind = if row.get(1)? { RowKind::Tombstone } else { RowKind::Put };
        page.push(Row { place: Place(row.get(0)?), kind, json: rows::text(row, 2)?, to: None });
    }
    Ok(page)
}

fn digest(connection: &Connection, feed: i64, part: Option<&View>) -> Result<Buckets, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id, rev, content, label FROM rows WHERE feed = ?1 AND deleted = 0")?;
    let mut found = statement.query([feed])?;
    let mut buckets = Buckets::default();
    while let Some(row) = found.next()? {
        let label = row.get_ref(3)?.as_str_or_null()?;
        if part.is_some_and(|view| !view.what.holds(label)) {
            continue;
        }
        buckets.add(row.get_ref(0)?.as_str()?, &Rev::new(row.get::<_, String>(1)?)?, &row.get(2)?);
    }
    Ok(buckets)
}

/// A walk over all ids of the feed: comparing is rare, and needs no index of its own.
fn bucket(
    connection: &Connection,
    feed: i64,
    part: Option<&View>,
    number: u8,
    after: Option<&RecordId>,
    limit: u64,
) -> Result<Vec<Arc<str>>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id, place, label FROM rows WHERE feed = ?1 AND deleted = 0 ORDER BY id")?;
    let mut json = connection.prepare_cached("SELECT json FROM rows WHERE place = ?1")?;
    let mut found = statement.query([feed])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()?.filter(|_| (records.len() as u64) < limit) {
        let label = row.get_ref(2)?.as_str_or_null()?;
        if part.is_none_or(|view| view.what.holds(label)) && digest::is_in(number, after, row.get_ref(0)?.as_str()?) {
            let place: i64 = row.get(1)?;
            records.push(json.query_row([place], |row| Ok(Arc::from(row.get_ref(0)?.as_str()?)))?);
        }
    }
    Ok(records)
}

impl SqliteSnapshot {
    /// What of a feed is seen, where that is not everything.
    fn part(&self, feed: i64, sight: Sight) -> Option<View> {
        let what = match (sight, &self.view.scope) {
            (Sight::Everything, _) | (Sight::Scoped | Sight::ScopedLog, None) => return None,
            (Sight::Own, _) => What::Own(Label::Of(self.view.principal.clone()).to_text()),
            (Sight::Scoped | Sight::ScopedLog, Some(None)) => What::Everything,
            (Sight::Scoped, Some(Some(places))) => What::Places(places.clone()),
            (Sight::ScopedLog, Some(Some(places))) => What::PlacesAndOpen(places.clone()),
        };
        Some(View { data_set: self.view.data_set, feed, user: self.view.principal.to_string(), what })
    }

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
    fn is_scoped(&self) -> bool {
        self.view.scope.is_some()
    }

    async fn heads(&mut self) -> Result<HashMap<FeedName, Head>, StoreError> {
        Ok(self.view.feeds.iter().map(|(name, (_, head))| (name.clone(), *head)).collect())
    }

    async fn digest(&mut self, feed: &FeedName, sight: Sight) -> Result<Buckets, StoreError> {
        let Some((feed, _)) = self.view.feeds.get(feed).copied() else { return Ok(Buckets::default()) };
        let part = self.part(feed, sight);
        self.read("compare a feed", move |connection| digest(connection, feed, part.as_ref())).await
    }

    async fn bucket(
        &mut self,
        feed: &FeedName,
        sight: Sight,
        number: u8,
        after: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<Arc<str>>, StoreError> {
        let Some((feed, _)) = self.view.feeds.get(feed).copied() else { return Ok(Vec::new()) };
        let (part, after) = (self.part(feed, sight), after.cloned());
        self.read("read a bucket", move |connection| {
            bucket(connection, feed, part.as_ref(), number, after.as_ref(), limit)
        })
        .await
    }

    async fn page(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError> {
        const DOING: &str = "read a page";
        let Some((feed, _)) = self.view.feeds.get(feed).copied() else { return Ok(Vec::new()) };
        let Some(lease) = self.lease.take() else {
            return Err(StoreError { doing: DOING, source: "an earlier page was given up".into() });
        };
        let failed = |source| StoreError { doing: DOING, source };
        if let Some(view) = self.part(feed, sight) {
            let read = move || {
                let rows = seen::page(&lease, &view, after, limit)?;
                Ok((lease, rows))
            };
            let (lease, rows) = if limit <= FEW as u64 { read().map_err(failed)? } else { beside(DOING, read).await? };
            self.lease = Some(lease);
            return Ok(rows);
        }
        let after = after.place;
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

    async fn moved(&mut self, feed: &FeedName, sight: Sight, after: Point, limit: u64) -> Result<Vec<Row>, StoreError> {
        let Some((feed, _)) = self.view.feeds.get(feed).copied() else { return Ok(Vec::new()) };
        let part = self.part(feed, sight);
        self.read("read what left a feed", move |connection| moves::page(connection, feed, part.as_ref(), after, limit))
            .await
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::domain_from_yaml;
    use crate::sqlite::SqliteStore;
    use fieldsync_core::data::content_hash;
    use fieldsync_core::digest::bucket_of;
    use fieldsync_core::scope::Sight;
    use fieldsync_core::store::{DataSetName, DataSetRow, State, Store};
    use fieldsync_schemas::id::{Epoch, FeedName, Principal, RecordId};
    use fieldsync_schemas::record::Record;
    use serde_json::json;

    const DOMAIN: &str = include_str!("../../../../fixtures/domain/version-wins.yaml");

    fn state(number: u32) -> State {
        let record = json!({"type": "observation", "id": format!("r-{number}"), "rev": format!("rev-{number}"),
            "version": 1, "modified_at": "2026-11-20T08:00:00Z", "accepted_at": "2026-11-20T08:00:00Z",
            "deleted": number.is_multiple_of(7), "data": {"number": number}});
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
            (0..1500).filter(|number: &u32| !number.is_multiple_of(7)).map(|number| format!("r-{number}")).collect();
        wanted.retain(|id| bucket_of(id) == 7);
        wanted.sort();
        assert!(wanted.len() > 2, "there is something to walk through");

        let feed = FeedName::new("observation").unwrap();
        let mut snapshot = store.snapshot(&name, &Principal::new("amina").unwrap()).await.unwrap();
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map(|id| RecordId::new(id.clone()).unwrap());
            let part = snapshot.bucket(&feed, Sight::Everything, 7, after.as_ref(), 2).await.unwrap();
            if part.is_empty() {
                break;
            }
            found.extend(part.iter().map(|json| serde_json::from_str::<Record>(json).unwrap().id.to_string()));
        }
        assert_eq!(found, wanted);
    }
}
