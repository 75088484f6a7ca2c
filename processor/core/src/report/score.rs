//! Stability and scores. The weights and steps are the tutorial's; `docs/reports.md` explains them.

use ivs_schemas::report::QualityScoreParts;

use super::bucket::rounded;

/// Bitrate that earns the full part of the score, bits/s.
const GOOD_BITRATE_BPS: f64 = 5_000_000.0;
/// Frame rate that earns the full part of the score, frames/s.
const GOOD_FRAME_RATE: f64 = 30.0;
/// Largest parts of the quality score; they add up to 100.
const BITRATE_PART: f64 = 40.0;
const FRAME_RATE_PART: f64 = 30.0;
const STABILITY_PART: f64 = 15.0;

/// Messages per minute from which on an engagement score is reached, highest first.
const ENGAGEMENT: [(f64, u8); 5] = [(50.0, 10), (20.0, 8), (10.0, 6), (5.0, 4), (1.0, 2)];

/// Mean and variance in one pass (Welford), so that no value must be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    count: u32,
    mean: f64,
    squares: f64,
}

impl Spread {
    /// Adds a value, if there is one.
    pub(super) fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        self.count = self.count.saturating_add(1);
        let off = value - self.mean;
        self.mean += off / f64::from(self.count);
        self.squares += off * (value - self.mean);
    }

    /// 1 - standard deviation of the sample over mean, at least 0; `None` of less than two values,
    /// and if all are 0.
    fn stability(&self) -> Option<f64> {
        if self.count < 2 || self.mean <= 0.0 {
            return None;
        }
        let deviation = (self.squares / f64::from(self.count - 1)).sqrt();
        Some((1.0 - deviation / self.mean).max(0.0))
    }
}

/// Returns the stabilities of sessions, weighted by their minutes; `None` if none is known.
pub(super) fn stability<'a>(sessions: impl Iterator<Item = &'a Spread>) -> Option<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for spread in sessions {
        if let Some(stability) = spread.stability() {
            sum += stability * f64::from(spread.count);
            weight += f64::from(spread.count);
        }
    }
    (weight > 0.0).then(|| rounded(sum / weight))
}

/// Returns the parts of the quality score, each capped.
pub(super) fn quality(
    bitrate_bps: Option<f64>,
    frame_rate: Option<f64>,
    stabilities: (Option<f64>, Option<f64>),
) -> QualityScoreParts {
    let part = |value: f64, good: f64, most: f64| rounded(most * (value / good).min(1.0));
    QualityScoreParts {
        bitrate: bitrate_bps.map(|value| part(value, GOOD_BITRATE_BPS, BITRATE_PART)),
        frame_rate: frame_rate.map(|value| part(value, GOOD_FRAME_RATE, FRAME_RATE_PART)),
        stability: stabilities
            .0
            .zip(stabilities.1)
            .map(|(bitrate, frames)| rounded(STABILITY_PART * (bitrate + frames))),
    }
}

/// Returns the sum of the parts, 0 to 100; `None` if one is unknown.
pub(super) fn total(parts: &QualityScoreParts) -> Option<f64> {
    Some(rounded(parts.bitrate? + parts.frame_rate? + parts.stability?))
}

/// Scores messages per minute from 0 to 10: 0 only if there was none, 1 below one a minute.
pub(super) fn engagement(messages_per_minute: f64) -> u8 {
    let reached = ENGAGEMENT.iter().find(|(from, _)| messages_per_minute >= *from);
    let least = u8::from(messages_per_minute > 0.0);
    reached.map_or(least, |(_, score)| *score)
}
