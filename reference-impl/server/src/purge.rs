//! Forgets tombstones whose days are over, and files that no record has referred to for the grace.

use crate::blobs::BlobError;
use crate::data_set::{DataSet, DataSets};
use crate::server::Parts;
use crate::writer::BatchWriter;
use fieldsync_core::store::{Store, StoreError};
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Purges every hour, for ever.
pub(crate) async fn purge_old(collector: Collector, data_sets: Arc<DataSets>) {
    if let Err(error) = collector.bury().await {
        tracing::error!(%error, "the bytes of old files were not deleted");
    }
    let mut hours = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    loop {
        hours.tick().await;
        for data_set in data_sets.all() {
            purge(&*collector.parts.store, &data_set).await;
            if let Err(error) = collector.collect(&data_set).await {
                tracing::error!(%error, data_set = data_set.name.0, "old files were not collected");
            }
        }
        if let Err(error) = collector.forget_direct().await {
            tracing::error!(%error, "old uploads were not deleted");
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

/// Deletes files.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) parts: Parts,
    pub(crate) writer: BatchWriter,
    /// How long a file is kept that no record refers to.
    pub(crate) grace: Duration,
    /// How long an upload can be gone on with.
    pub(crate) upload_life: Duration,
}

impl Collector {
    /// Deletes the files of a data set that no record has referred to for the grace, and what came of expired uploads.
    pub(crate) async fn collect(&self, data_set: &DataSet) -> Result<(), CollectError> {
        let Parts { attachments, blobs, .. } = &self.parts;
        let now = data_set.now();
        for upload in attachments.expire(&data_set.name, now).await? {
            blobs.uploads().forget(upload.as_str()).await?;
        }
        let grace = i64::try_from(self.grace.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(grace));
        let choose = || async { Ok::<_, CollectError>(self.writer.collect(&data_set.name, before).await?) };
        blobs.collect(choose, |gone| self.buried(gone)).await
    }

    /// Deletes what was condemned before the process ended.
    async fn bury(&self) -> Result<(), CollectError> {
        let choose = || async { Ok::<_, CollectError>(self.parts.attachments.condemned().await?) };
        self.parts.blobs.collect(choose, |gone| self.buried(gone)).await
    }

    /// Deletes what came straight into the object store, and whose end nobody tells any more.
    async fn forget_direct(&self) -> Result<(), CollectError> {
        let life = i64::try_from(self.upload_life.as_millis()).unwrap_or(i64::MAX);
        let before = self.parts.clock.now().as_millis().saturating_sub(life.saturating_mul(2));
        Ok(self.parts.blobs.forget_direct_before(Timestamp::from_millis(before)).await?)
    }

    async fn buried(&self, gone: Vec<AttachmentId>) -> Result<(), CollectError> {
        Ok(self.parts.attachments.buried(&gone).await?)
    }
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
    use crate::blobs::Finished;
    use crate::data_set::Hosted;
    use crate::machine::MachineClock;
    use crate::{SqliteStore, domain_from_yaml};
    use fieldsync_core::attachment::{AttachmentStore, Blob, GRACE, UPLOAD_LIFE};
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

    /// A server's parts in a folder, with one data set.
    struct Site {
        store: Arc<SqliteStore>,
        collector: Collector,
        data_set: Arc<DataSet>,
        _deciding: tokio::task::JoinHandle<()>,
    }

    impl Site {
        async fn new(folder: &std::path::Path) -> Self {
            let store = Arc::new(SqliteStore::open(folder).unwrap());
            let parts = Parts::standard(store.clone()).unwrap();
            let hosted = Hosted::new(domain_from_yaml(DOMAIN).unwrap(), &PolicyTable::standard()).unwrap();
            let name = DataSetName("version_wins".to_owned());
            let row = DataSetRow::new(name, (*hosted.domain).clone(), Epoch::new("e-1").unwrap());
            store.put_data_set(&row, Vec::new()).await.unwrap();
            let (writer, deciding) = BatchWriter::new(
                parts.store.clone(),
                parts.attachments.clone(),
                parts.rules.clone(),
                parts.policies.clone(),
                parts.ids.clone(),
            );
            let data_set = Arc::new(DataSet::new(&row, hosted, Arc::new(MachineClock)));
            let collector = Collector { parts, writer, grace: GRACE, upload_life: UPLOAD_LIFE };
            Self { store, collector, data_set, _deciding: tokio::spawn(deciding) }
        }

        /// Somebody uploads these bytes.
        async fn upload(&self, text: &'static str) -> AttachmentId {
            let blobs = &self.collector.parts.blobs;
            let id = crate::blobs::id_of(text.as_bytes());
            let blob = Blob { bytes: text.len() as u64, media_type: "text/plain".to_owned() };
            blobs.uploads().append("u-1", 0, blob.bytes, axum::body::Body::from(text)).await.unwrap();
            let enter = || async {
                self.offer(&id, &blob).await;
                Ok::<(), CollectError>(())
            };
            let upload =
                crate::blobs::upload("u-1", &id, blob.bytes, fieldsync_schemas::attachment::UploadProtocol::Tus);
            assert_eq!(blobs.finish(&upload, enter).await.unwrap(), Finished::Whole);
            id
        }

        async fn offer(&self, id: &AttachmentId, blob: &Blob) {
            self.collector.writer.arrive(&self.data_set, &"amina".parse().unwrap(), id, blob).await.unwrap();
        }

        async fn days_later(&self, days: i64) {
            self.data_set.move_clock(days * DAY_MS);
            self.collector.collect(&self.data_set).await.unwrap();
        }

        async fn has(&self, id: &AttachmentId) -> bool {
            let known = self.store.open_to(&self.data_set.name, &"amina".parse().unwrap(), id).await.unwrap().is_some();
            let is_there = self.collector.parts.blobs.read(id, 0..1).await.is_ok();
            assert_eq!(known, is_there, "what the database says is what is there");
            is_there
        }
    }

    #[tokio::test]
    async fn a_file_that_no_record_refers_to_goes_after_the_grace_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let (file, offered) = (site.upload("a file").await, site.upload("another file").await);
        site.days_later(6).await;
        assert!(site.has(&file).await && site.has(&offered).await);
        site.offer(&offered, &Blob { bytes: 12, media_type: "text/plain".to_owned() }).await;
        site.days_later(8).await;
        assert!(!site.has(&file).await);
        assert!(site.has(&offered).await, "it was offered again in time");
        site.days_later(14).await;
        assert!(!site.has(&offered).await);
        assert_eq!(site.upload("a file").await, file);
        assert!(site.has(&file).await, "it comes again like any other");
    }

    #[tokio::test]
    async fn what_was_condemned_before_the_process_ended_goes_afterwards_unless_it_came_again() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let (file, back) = (site.upload("a file").await, site.upload("another file").await);
        // The process ends between the database and the bytes.
        let condemned = site.store.collect(&site.data_set.name, Timestamp::from_millis(i64::MAX)).await.unwrap();
        assert_eq!(condemned.len(), 2);
        assert_eq!(site.upload("another file").await, back);
        let _gone = site;
        let site = Site::new(folder.path()).await;
        site.collector.bury().await.unwrap();
        assert!(!site.has(&file).await);
        assert!(site.has(&back).await);
        assert_eq!(site.store.condemned().await.unwrap(), []);
    }
}
