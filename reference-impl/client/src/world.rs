//! What a device has of the machine that it runs on: the clock, ids that nobody guesses, and a timer.

use async_trait::async_trait;
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_schemas::time::Timestamp;
use std::time::Duration;

/// Waits; a test replaces it by one that does not.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Comes back after this time.
    async fn wait(&self, time: Duration);
    /// Comes back once the device's clock shows this time.
    async fn reached(&self, time: Timestamp);
}

/// The timer of the runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTimer;

#[async_trait]
impl Timer for SystemTimer {
    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn reached(&self, time: Timestamp) {
        // The machine's clock may be set while this sleeps, so it is looked at again.
        while let Some(left) =
            u64::try_from(time.as_millis() - Timestamp::now().as_millis()).ok().filter(|left| *left > 0)
        {
            tokio::time::sleep(Duration::from_millis(left.min(60_000))).await;
        }
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Ids in the order of time: 48 bits of milliseconds, then 80 random bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn unique(&self) -> String {
        let millis = Timestamp::now().as_millis() & 0xffff_ffff_ffff;
        let chance: u128 = rand::random::<u128>() >> 48;
        format!("{millis:012x}{chance:020x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_have_the_form_of_an_id() {
        let (one, other) = (RandomIds.unique(), RandomIds.unique());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
