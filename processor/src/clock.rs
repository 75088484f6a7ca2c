//! The one place where the program asks what time it is.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use ivs_core::epoch::ElapsedMs;
use kinesis_model::EpochMs;

/// Monotonic time, from tokio, so that a runtime whose time is simulated moves it.
pub use tokio::time::Instant;

thread_local! {
    /// Set where time is simulated: when that began, and what the wall clock said.
    static SIMULATED: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

/// Now, by the system's clock; 0 before 1970.
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
    let first = match SIMULATED.get() {
        Some((began, _)) => began,
        None => *FIRST.get_or_init(instant),
    };
    ElapsedMs(u64::try_from(first.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Returns the system's wall clock, which may be set back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn wall() -> SystemTime {
    match SIMULATED.get() {
        Some((began, wall)) => wall + began.elapsed(),
        None => SystemTime::now(),
    }
}

/// Returns the monotonic clock, for stopwatches and waits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Lets the clocks of this thread begin anew at `wall` and follow its runtime's time from here on.
/// For simulations, whose runtime has one thread.
#[cfg(feature = "chaos")]
pub fn simulate(wall: EpochMs) {
    let since = std::time::Duration::from_millis(u64::try_from(wall.0).unwrap_or(0));
    SIMULATED.set(Some((instant(), UNIX_EPOCH + since)));
}

/// Lets the simulated wall clock of this thread jump; the monotonic one does not notice.
#[cfg(feature = "chaos")]
pub fn jump(by_ms: i64) {
    let by = std::time::Duration::from_millis(by_ms.unsigned_abs());
    let moved = |wall: SystemTime| if by_ms < 0 { wall - by } else { wall + by };
    SIMULATED.set(SIMULATED.get().map(|(began, wall)| (began, moved(wall))));
}
