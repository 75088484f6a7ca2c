//! The one clock of the fleet: monotonic time for leases, wall time for pinning `LATEST`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kinesis_model::EpochMs;
use tokio::time::Instant;

/// Milliseconds on a worker's own monotonic clock, counted from its start. Never compared
/// between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoMs(pub u64);

impl MonoMs {
    /// Returns this time plus `ms`, saturating.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns milliseconds from `earlier` to this time; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Monotonic time from tokio (so that paused tests move it) and wall time from a function.
#[derive(Clone)]
pub struct Clock {
    origin: Instant,
    wall: Arc<dyn Fn() -> EpochMs + Send + Sync>,
}

impl Clock {
    /// Returns the system's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self::with_wall(|| {
            let since = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
            EpochMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// Takes Tokio's monotonic clock with `wall` as wall time, for tests and simulations.
    #[must_use]
    pub fn with_wall(wall: impl Fn() -> EpochMs + Send + Sync + 'static) -> Self {
        Self { origin: instant(), wall: Arc::new(wall) }
    }

    /// Returns monotonic time.
    #[must_use]
    pub fn mono(&self) -> MonoMs {
        MonoMs(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns wall time.
    #[must_use]
    pub fn wall(&self) -> EpochMs {
        (self.wall)()
    }

    /// Sleeps until `at`; returns at once when it has passed.
    pub async fn sleep_until(&self, at: MonoMs) {
        tokio::time::sleep_until(self.origin + Duration::from_millis(at.0)).await;
    }
}

/// Returns tokio's monotonic clock, which paused tests move.
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn wall() -> SystemTime {
    SystemTime::now()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("mono", &self.mono()).finish_non_exhaustive()
    }
}
