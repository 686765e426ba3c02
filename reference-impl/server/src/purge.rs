//! Forgets tombstones whose days are over.

use crate::blobs::BlobError;
use crate::data_set::{DataSet, DataSets};
use crate::server::Parts;
use fieldsync_core::attachment::GRACE;
use fieldsync_core::store::{Store, StoreError};
use fieldsync_schemas::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Purges every hour, for ever.
pub(crate) async fn purge_old(parts: Parts, data_sets: Arc<DataSets>) {
    let mut hours = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    loop {
        hours.tick().await;
        for data_set in data_sets.all() {
            purge(&*parts.store, &data_set).await;
            if let Err(error) = collect_files(&parts, &data_set).await {
                tracing::error!(%error, data_set = data_set.name.0, "old files were not collected");
            }
        }
    }
}

/// Why old files were not collected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Deletes the files of a data set that no record has referred to for the grace, and what came of expired uploads.
pub(crate) async fn collect_files(parts: &Parts, data_set: &DataSet) -> Result<(), CollectError> {
    let now = data_set.now();
    let grace = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(grace));
    for upload in parts.attachments.expire(&data_set.name, now).await? {
        parts.blobs.uploads().forget(upload.as_str()).await?;
    }
    let choose = || async { Ok::<_, CollectError>(parts.attachments.collect(&data_set.name, before).await?) };
    parts.blobs.collect(choose).await
}

/// Purges one data set: of each type whose tombstones have a life, those that are older, by the data set's clock.
async fn purge(store: &dyn Store, data_set: &DataSet) {
    for entry in &data_set.hosted.registry.types {
        let Some(days) = entry.tombstone_days else { continue };
        let before = Timestamp::from_millis(data_set.now().as_millis() - i64::from(days) * DAY_MS);
        if let Err(error) = store.forget(&data_set.name, &entry.feed_name(), before).await {
            tracing::error!(%error, data_set = data_set.name.0, "old tombstones were not purged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_set::Hosted;
    use crate::machine::MachineClock;
    use crate::{SqliteStore, domain_from_yaml};
    use fieldsync_core::cursor::Point;
    use fieldsync_core::data::content_hash;
    use fieldsync_core::policy::PolicyTable;
    use fieldsync_core::scope::Sight;
    use fieldsync_core::store::{DataSetName, DataSetRow, Place, State};
    use fieldsync_schemas::id::{Epoch, FeedName};
    use fieldsync_schemas::record::Record;
    use serde_json::json;

    const DOMAIN: &str = include_str!("../../../fixtures/domain/version-wins.yaml");

    /// A state that was accepted so many days ago.
    fn state(type_name: &str, id: &str, days_ago: i64, deleted: bool) -> State {
        let at = Timestamp::from_millis(Timestamp::now().as_millis() - days_ago * DAY_MS);
        let data = if deleted { json!(null) } else { json!({"temp": 38.1}) };
        let record = json!({"type": type_name, "id": id, "rev": format!("rev-{id}"), "version": 1, "modified_at": at,
            "accepted_at": at, "deleted": deleted, "data": data});
        let record: Record = serde_json::from_str(&record.to_string()).unwrap();
        let content = content_hash(record.data.as_deref(), &[]);
        State::published(FeedName::new(type_name).unwrap(), content, record)
    }

    async fn ids(store: &SqliteStore, name: &DataSetName, feed: &str) -> (Vec<String>, Place) {
        let feed = FeedName::new(feed).unwrap();
        let mut snapshot = store.snapshot(name, &"amina".parse().unwrap()).await.unwrap();
        let rows =
            snapshot.page(&feed, Sight::Everything, Point { place: Place(0), cleared: Place(0) }, 100).await.unwrap();
        let id = |json: &str| serde_json::from_str::<Record>(json).unwrap().id.to_string();
        let horizon = snapshot.heads().await.unwrap()[&feed].horizon;
        (rows.iter().map(|row| id(&row.json)).collect(), horizon)
    }

    #[tokio::test]
    async fn each_type_keeps_its_tombstones_for_its_own_days() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let hosted = Hosted::new(domain_from_yaml(DOMAIN).unwrap(), &PolicyTable::standard()).unwrap();
        let life =
            |name: &str| hosted.registry.types.iter().find(|one| one.name.as_str() == name).unwrap().tombstone_days;
        assert_eq!((life("observation"), life("household")), (Some(90), None), "what the days below stand for");
        let name = DataSetName("version_wins".to_owned());
        let domain = (*hosted.domain).clone();
        let row = DataSetRow::new(name.clone(), domain, Epoch::new("e-1").unwrap());
        let states = vec![
            state("observation", "deleted-91-days-ago", 91, true),
            state("observation", "written-200-days-ago", 200, false),
            state("observation", "deleted-89-days-ago", 89, true),
            state("household", "deleted-200-days-ago", 200, true),
        ];
        store.put_data_set(&row, states).await.unwrap();
        let data_set = DataSet::new(&row, hosted, Arc::new(MachineClock));

        purge(&store, &data_set).await;
        let (kept, horizon) = ids(&store, &name, "observation").await;
        assert_eq!(kept, ["written-200-days-ago", "deleted-89-days-ago"]);
        assert!(horizon > Place(0), "a cursor from before has expired");
        assert_eq!(ids(&store, &name, "household").await, (vec!["deleted-200-days-ago".to_owned()], Place(0)));

        data_set.move_clock(2 * DAY_MS);
        purge(&store, &data_set).await;
        assert_eq!(ids(&store, &name, "observation").await.0, ["written-200-days-ago"], "by the data set's own clock");
    }
}
