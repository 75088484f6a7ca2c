//! The minute: the window of every row.

use kinesis_model::EpochMs;
use serde::{Deserialize, Serialize};

/// Milliseconds of a minute.
pub const MINUTE_MS: i64 = 60_000;

/// Length of a window: the tutorial's alarms compare five minutes.
pub const WINDOW_MS: i64 = 300_000;

/// The start of a one-minute window, in seconds since the Unix epoch; a multiple of 60.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Minute(i64);

impl Minute {
    /// Returns the window that holds `time`. Floors, so times before 1970 fall into the right
    /// minute too.
    ///
    /// ```
    /// use ivs_core::minute::Minute;
    /// use kinesis_model::EpochMs;
    ///
    /// assert_eq!(Minute::of(EpochMs(119_999)).start(), EpochMs(60_000));
    /// ```
    #[must_use]
    #[inline]
    pub fn of(time: EpochMs) -> Self {
        Self(time.0.div_euclid(MINUTE_MS) * 60)
    }

    /// Returns the window's start in epoch seconds, as stored in `metricTimestamp`.
    #[must_use]
    #[inline]
    pub fn start_s(self) -> i64 {
        self.0
    }

    /// Returns the window's start as a time.
    #[must_use]
    pub fn start(self) -> EpochMs {
        EpochMs(self.0 * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_floor_before_1970_too() {
        assert_eq!(Minute::of(EpochMs(-1)).start_s(), -60);
        assert_eq!(Minute::of(EpochMs(119_999)).start_s(), 60);
    }
}
