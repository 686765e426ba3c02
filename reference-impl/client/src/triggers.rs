//! Syncs that start by themselves: when the app is opened and a network is there, when a network comes back, after a
//! local change, and when an interval has passed.

use crate::device::Device;
use crate::world::Timer;
use fieldsync_core::clock::Clock;
use fieldsync_schemas::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// When a device starts a sync by itself.
#[derive(Debug, Clone)]
pub struct Triggers {
    /// The time from the end of one sync to the begin of the next, by the device's clock.
    pub interval: Duration,
    /// Whether there is a network when the device is opened.
    pub online: bool,
}

/// What the task that starts syncs listens to.
#[derive(Debug)]
pub(crate) struct Occasions {
    interval: Duration,
    online: watch::Sender<bool>,
    changed: Notify,
}

impl Occasions {
    pub(crate) fn new(triggers: &Triggers) -> Self {
        Self { interval: triggers.interval, online: watch::channel(triggers.online).0, changed: Notify::new() }
    }

    /// There is a network, or there is none.
    pub(crate) fn set_online(&self, online: bool) {
        self.online.send_replace(online);
    }

    /// The user changed something. A change during a sync starts another one after it.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }
}

/// Starts syncs for as long as somebody holds the device.
pub(crate) async fn start_syncs(
    occasions: Arc<Occasions>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    device: impl Fn() -> Option<Device>,
) {
    let mut online = occasions.online.subscribe();
    while online.wait_for(|online| *online).await.is_ok() {
        let Some(device) = device() else { return };
        device.sync().await;
        let ended = device.last_sync_ended().unwrap_or_else(|| clock.now());
        drop(device);
        let interval = i64::try_from(occasions.interval.as_millis()).unwrap_or(i64::MAX);
        let due = Timestamp::from_millis(ended.as_millis().saturating_add(interval));
        tokio::select! {
            () = occasions.changed.notified() => {}
            () = timer.reached(due) => {}
            _ = online.wait_for(|online| !*online) => {}
        }
    }
}
