//! Forgets tombstones whose days are over.

use crate::data_set::DataSets;
use fieldsync_core::store::Store;
use fieldsync_schemas::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Purges every hour, for ever.
pub(crate) async fn purge_old(store: Arc<dyn Store>, data_sets: Arc<DataSets>) {
    let mut hours = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    loop {
        hours.tick().await;
        for data_set in data_sets.all() {
            for entry in &data_set.hosted.registry.types {
                let Some(days) = entry.tombstone_days else { continue };
                let before = Timestamp::from_millis(data_set.now().as_millis() - i64::from(days) * DAY_MS);
                if let Err(error) = store.forget(&data_set.name, &entry.feed_name(), before).await {
                    tracing::error!(%error, data_set = data_set.name.0, "old tombstones were not purged");
                }
            }
        }
    }
}
