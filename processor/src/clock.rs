//! The one place where the program asks what time it is.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ivs_core::epoch::ElapsedMs;
use kinesis_model::EpochMs;

/// Returns now, by the system's clock; 0 before 1970.
#[must_use]
pub fn now() -> EpochMs {
    let since = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    EpochMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns how long ago somebody in this process first asked, by a clock that never goes back:
/// intervals are measured by it, and by no wall clock.
#[must_use]
pub fn elapsed() -> ElapsedMs {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = FIRST.get_or_init(instant).elapsed();
    ElapsedMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the system's wall clock, which may be set back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the monotonic clock, for stopwatches and waits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn instant() -> Instant {
    Instant::now()
}
