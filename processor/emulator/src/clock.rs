//! The one source of time of the embedded services: the system's, or a test's.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Milliseconds since the Unix epoch, and waits in the same time. Clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<watch::Sender<u64>>),
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that stands at `start_ms` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start_ms))))
    }

    /// Moves a manual clock on by `step_ms` and wakes whoever waits. A system clock is left alone.
    pub fn advance(&self, step_ms: u64) {
        if let Source::Manual(now) = &self.0 {
            now.send_modify(|at| *at = at.saturating_add(step_ms));
        }
    }

    /// Returns now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => system_now_ms(),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Returns once the clock shows `at_ms` or later.
    pub async fn sleep_until(&self, at_ms: u64) {
        match &self.0 {
            Source::System => {
                let wait_ms = at_ms.saturating_sub(system_now_ms());
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
            Source::Manual(now) => {
                // The sender lives in this very clock, so waiting cannot fail.
                drop(now.subscribe().wait_for(|now| *now >= at_ms).await);
            }
        }
    }

    /// Returns once `wait_ms` milliseconds have passed on this clock.
    pub async fn sleep(&self, wait_ms: u64) {
        self.sleep_until(self.now_ms().saturating_add(wait_ms)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn system_now_ms() -> u64 {
    // A clock before 1970 or after the year 584 million is a broken machine: stand still at 0.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_their_time_has_come() {
        let clock = Clock::manual(1_000);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(3_000).await;
                clock.now_ms()
            }
        });
        clock.advance(1_000);
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(5_000);
        assert_eq!(sleeper.await.unwrap(), 7_000);
    }
}
