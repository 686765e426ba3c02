//! Hears of the backups that another process makes of this server's database.

use crate::data_set::DataSets;
use fieldsync_core::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

const EVERY: Duration = Duration::from_secs(10);

/// Looks again and again, for ever.
pub(crate) async fn watch(store: Arc<dyn Store>, data_sets: Arc<DataSets>) {
    let mut moments = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        moments.tick().await;
        match store.backed_up().await {
            Err(error) => tracing::error!(%error, "the backups could not be looked at"),
            Ok(rows) => {
                for (name, epoch, backed_up) in rows {
                    let Some(data_set) = data_sets.get(&name.0) else { continue };
                    // What was read before another epoch began says nothing about it.
                    let _gate = data_set.gate.read().await;
                    if *data_set.epochs().current() == epoch {
                        data_set.backed_up(backed_up);
                    }
                }
            }
        }
    }
}
