//! Hears of the backups that another process makes of this server's database.

use crate::data_set::DataSets;
use fieldsync_core::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(10);

/// Looks again and again, for ever.
pub(crate) async fn watch(store: Arc<dyn Store>, data_sets: Arc<DataSets>) {
    let mut moments = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    loop {
        moments.tick().await;
        match store.data_sets().await {
            Err(error) => tracing::error!(%error, "the backups could not be looked at"),
            Ok(rows) => {
                for row in rows {
                    let Some(data_set) = data_sets.get(&row.name.0) else { continue };
                    // What was read before another epoch began says nothing about it.
                    let _gate = data_set.gate.read().await;
                    if *data_set.epochs() == row.epochs {
                        data_set.backed_up(row.backed_up_seq);
                    }
                }
            }
        }
    }
}
