//! When this worker's epochs close, apart from those of others that write the same rows.
//!
//! Epochs close on a common tick, at a phase that comes from the worker's id. Two workers may have
//! nearly the same: then one of them loses the race for a row every time. Whoever loses moves on by a
//! part of the interval, with all its shards, until it meets nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ivs_core::epoch::ElapsedMs;

/// The loops of all shards of a process look at the time at its multiples, milliseconds.
pub const TICK_MS: u64 = 100;

/// How far it moves, in hundredths of the interval: some steps on it is not where it began.
const STEP_PERCENT: u64 = 23;

/// The time by which a worker's epochs close. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Phase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    interval_ms: u64,
    ahead_ms: AtomicU64,
    moved_at_ms: AtomicU64,
}

impl Phase {
    pub(super) fn new(interval_ms: u64) -> Self {
        let (ahead_ms, moved_at_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { interval_ms, ahead_ms, moved_at_ms }))
    }

    /// Returns the time that epochs go by: it only grows, as the clock behind it does.
    #[must_use]
    pub fn of(&self, elapsed: ElapsedMs) -> ElapsedMs {
        ElapsedMs(elapsed.0 + self.0.ahead_ms.load(Relaxed))
    }

    /// Notes a race for a row that was lost: moves on, once an interval.
    pub(super) fn collided(&self, elapsed: ElapsedMs) {
        let moved_at = self.0.moved_at_ms.load(Relaxed);
        let is_due = elapsed.0 >= moved_at + self.0.interval_ms;
        let moves =
            || self.0.moved_at_ms.compare_exchange(moved_at, elapsed.0, Relaxed, Relaxed).is_ok();
        if is_due && moves() {
            // By whole ticks: an epoch that is due as a tick comes would close in this one or in the next.
            let step_ms = (self.0.interval_ms * STEP_PERCENT / 100).next_multiple_of(TICK_MS);
            let ahead_ms = self.0.ahead_ms.fetch_add(step_ms, Relaxed) + step_ms;
            tracing::debug!(ahead_ms, "epochs close at another time: another worker was there");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_loses_moves_on_once_an_interval() {
        let phase = Phase::new(1_000);
        assert_eq!(phase.of(ElapsedMs(500)), ElapsedMs(500));
        phase.collided(ElapsedMs(1_500));
        phase.collided(ElapsedMs(1_501));
        assert_eq!(phase.clone().of(ElapsedMs(1_501)), ElapsedMs(1_801));
        phase.collided(ElapsedMs(2_500));
        assert_eq!(phase.of(ElapsedMs(2_500)), ElapsedMs(3_100));
    }
}
