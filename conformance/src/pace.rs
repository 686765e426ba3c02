//! At most so many requests a second to a server, for one that refuses more: whoever asks waits for a turn.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The turns of all that ask one server. Its clones are the same line.
#[derive(Debug, Clone)]
pub struct Pace {
    rate: NonZeroU32,
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    /// At most this many requests a second.
    pub fn new(rate: NonZeroU32) -> Self {
        Self { rate, next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Waits for a turn, in the order of those who wait; returns how long that took.
    ///
    /// The next turn is counted from the moment at which this one is taken, so that a late one never makes two close.
    pub async fn turn(&self) -> Duration {
        let began = Instant::now();
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        let now = Instant::now();
        *next = now + Duration::from_secs(1) / self.rate.get();
        now - began
    }

    /// How many may ask side by side so that nobody waits for much longer than a second.
    pub fn side_by_side(&self) -> usize {
        (self.rate.get() as usize / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as Shared;

    #[tokio::test(start_paused = true)]
    async fn two_turns_are_never_closer_than_the_rate_allows() {
        let pace = Pace::new(NonZeroU32::new(100).unwrap());
        let taken: Arc<Shared<Vec<Instant>>> = Arc::default();
        let asking = (0..20).map(|number| {
            let (pace, taken) = (pace.clone(), taken.clone());
            tokio::spawn(async move {
                // Some come late: what they did not use is not made up for.
                tokio::time::sleep(Duration::from_millis(number / 10 * 150)).await;
                let waited = pace.turn().await;
                taken.lock().unwrap().push(Instant::now());
                waited
            })
        });
        let mut longest = Duration::ZERO;
        for one in asking.collect::<Vec<_>>() {
            longest = longest.max(one.await.unwrap());
        }
        assert!(longest >= Duration::from_millis(90), "the last of ten in a line waited {longest:?}");
        let taken = taken.lock().unwrap();
        let spaced = |pair: &[Instant]| pair[1] - pair[0] >= Duration::from_millis(10);
        assert!(taken.len() == 20 && taken.windows(2).all(spaced), "{taken:?}");
    }
}
