//! The score of an experience: 0 to 100, from exact sums, in whole millionths.
//!
//! Four parts, each 1 at its best and 0 at its worst, straight in between. The score is their mean by
//! weight over the parts that are known. `docs/metrics.md` says why these figures.

use super::Views;
use crate::fixed::FixedSum;
use crate::merge::{Merge, Total};

/// One, in millionths.
const ONE: i128 = 1_000_000;
/// A mean start within this time is a full part, milliseconds.
const GOOD_STARTUP_MS: i128 = 1_000;
/// A mean start of this time or more is worth nothing, milliseconds.
const BAD_STARTUP_MS: i128 = 8_000;
/// A share of stalled watch time from which it is worth nothing, millionths: 10 %.
const BAD_STALLS: i128 = 100_000;
/// A share of failed views from which it is worth nothing, millionths: 10 %.
const BAD_FAILURES: i128 = 100_000;
/// A mean bitrate from which it is a full part, bits/s.
const GOOD_BITRATE_BPS: i128 = 3_000_000;
/// The weights of start, stalls, failures and bitrate.
const WEIGHTS: [i128; 4] = [20, 40, 25, 15];

/// The sums that a score is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Times to the first frame.
    pub startups: u64,
    /// Their sum, milliseconds.
    pub startup_sum_ms: u64,
    /// Time played, milliseconds.
    pub playing_ms: FixedSum,
    /// Time stalled, of records that tell time played too, milliseconds.
    pub stalled_ms: FixedSum,
    /// The views.
    pub views: Views,
    /// The bitrate that players received, bits/s.
    pub bitrate: Total,
}

impl Merge for Evidence {
    fn merge(&mut self, other: &Self) {
        let Self { startups, startup_sum_ms, playing_ms, stalled_ms, views, bitrate } = other;
        self.startups.merge(startups);
        self.startup_sum_ms.merge(startup_sum_ms);
        self.playing_ms += *playing_ms;
        self.stalled_ms += *stalled_ms;
        self.views.merge(views);
        self.bitrate.merge(bitrate);
    }
}

/// A score and its parts, in millionths of their best: parts of 1, the score of 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// 0 to 100.
    pub score: FixedSum,
    /// 0 to 1, from the mean time to the first frame.
    pub startup: Option<FixedSum>,
    /// 0 to 1, from the share of watch time that was stalled.
    pub stalls: Option<FixedSum>,
    /// 0 to 1, from the share of views that failed.
    pub failures: Option<FixedSum>,
    /// 0 to 1, from the mean bitrate.
    pub bitrate: Option<FixedSum>,
}

impl Score {
    /// Returns the score of some views; `None` if neither watch time nor the outcome of a view is
    /// known, whatever else is.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Option<Self> {
        let Evidence { startups, startup_sum_ms, playing_ms, stalled_ms, views, bitrate } =
            evidence;
        let startup = ratio(i128::from(*startup_sum_ms) * ONE, i128::from(*startups))
            .map(|mean| falling(mean, GOOD_STARTUP_MS * ONE, BAD_STARTUP_MS * ONE));
        let watched = playing_ms.0.saturating_add(stalled_ms.0);
        let stalls = share(stalled_ms.0, watched).map(|share| falling(share, 0, BAD_STALLS));
        let failures = share(views.failures().into(), views.judged().into())
            .map(|share| falling(share, 0, BAD_FAILURES));
        let bitrate = ratio(bitrate.sum.0, i128::from(bitrate.count))
            .map(|mean| (mean / GOOD_BITRATE_BPS).clamp(0, ONE));
        if stalls.is_none() && failures.is_none() {
            return None;
        }
        let parts = [startup, stalls, failures, bitrate];
        let (mut points, mut weights) = (0, 0);
        for (part, weight) in parts.iter().zip(WEIGHTS) {
            if let Some(part) = part {
                points += part * weight;
                weights += weight;
            }
        }
        let [startup, stalls, failures, bitrate] = parts.map(|part| part.map(FixedSum));
        let score = FixedSum(points * 100 / weights);
        Some(Self { score, startup, stalls, failures, bitrate })
    }
}

impl Score {
    /// Returns the score and its parts by their names in rows and reports.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<FixedSum>); 5] {
        use ivs_schemas::items::metrics::experience as names;
        [
            (names::SCORE, Some(self.score)),
            (names::STARTUP, self.startup),
            (names::STALLS, self.stalls),
            (names::FAILURES, self.failures),
            (names::BITRATE, self.bitrate),
        ]
    }
}

/// Returns a quotient rounded down; `None` of nothing.
fn ratio(sum: i128, count: i128) -> Option<i128> {
    (count > 0).then(|| sum / count)
}

/// Returns what share of the whole a part is, in millionths.
fn share(part: i128, whole: i128) -> Option<i128> {
    (whole > 0).then(|| part.saturating_mul(ONE) / whole)
}

/// Returns 1 up to `good`, 0 from `bad` on, and a straight line between.
fn falling(value: i128, good: i128, bad: i128) -> i128 {
    ((bad - value) * ONE / (bad - good)).clamp(0, ONE)
}
