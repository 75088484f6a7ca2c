//! The sum of the rows of some time: of one row, an hour, a session or the whole period.

use ivs_schemas::report::Figures;

use crate::experience::{Evidence, Score, view_time_ms};
use crate::fixed::{Fixed, FixedSum};
use crate::merge::{Merge, Range, Total};
use crate::window::WindowAgg;

/// Sums over rows. A [`Total`] here sums the rows' means, so that every minute weighs the same,
/// however many samples it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Rows: minutes of the channel, or of a session.
    pub(super) rows: u64,
    pub(super) viewers: Total,
    pub(super) viewers_max: Option<Fixed>,
    pub(super) players: Total,
    pub(super) bitrate: Total,
    pub(super) bitrate_range: Option<Range>,
    pub(super) frame_rate: Total,
    pub(super) chat_rate: Total,
    pub(super) chat_rate_max: Option<FixedSum>,
    /// Messages counted from the chat log.
    pub(super) chat_counted: u64,
    /// Distinct views that played, of each minute.
    pub(super) concurrent_views: Total,
    /// The experience of players.
    pub(super) seen: Evidence,
}

impl Bucket {
    /// Returns the bucket of one row.
    pub(super) fn of(row: &WindowAgg) -> Self {
        let logged = (row.chat_messages > 0).then(|| whole(row.chat_messages));
        let players = (!row.players.is_empty()).then(|| whole(row.active_players()));
        Self {
            rows: 1,
            viewers: one(row.viewers.stat.total.mean()),
            viewers_max: row.viewers.stat.max(),
            players: one(players),
            bitrate: one(row.bitrate.total.mean()),
            bitrate_range: row.bitrate.range,
            frame_rate: one(row.frame_rate.total.mean()),
            // What was counted is known better than what was reported.
            chat_rate: one(logged.or_else(|| row.chat_rate.total.mean())),
            chat_rate_max: logged.or_else(|| row.chat_rate.max().map(FixedSum::from)),
            chat_counted: row.chat_messages,
            concurrent_views: one(row.concurrent_views().map(whole)),
            seen: row.evidence(),
        }
    }

    /// Returns stalled time over watch time.
    pub(super) fn rebuffer_ratio(&self) -> Option<f64> {
        let Evidence { playing_ms, stalled_ms, .. } = self.seen;
        let watched = view_time_ms(playing_ms, stalled_ms)?;
        Some(rounded(stalled_ms.to_f64() / watched.to_f64()))
    }

    /// Returns the score of the viewers' experience.
    pub(super) fn score(&self) -> Option<f64> {
        Score::of(&self.seen).map(|score| score.score.to_f64())
    }

    /// Returns the viewers, summed over minutes.
    pub(super) fn viewer_minutes(&self) -> Option<f64> {
        (!self.viewers.is_empty()).then(|| self.viewers.sum.to_f64())
    }

    /// Returns the mean chat rate. A minute without a message and without a reported rate is
    /// unknown; if there is a chat log, it had none.
    pub(super) fn mean_chat_rate(&self, has_chat_log: bool) -> Option<f64> {
        let minutes = if has_chat_log { self.rows } else { self.chat_rate.count };
        self.chat_rate.sum.mean_fixed(minutes).map(FixedSum::to_f64)
    }

    /// Returns the report's figures.
    pub(super) fn figures(&self, has_chat_log: bool) -> Figures {
        Figures {
            minutes: self.rows,
            avg_viewers: mean(&self.viewers),
            max_viewers: self.viewers_max.map(Fixed::to_f64),
            avg_active_players: mean(&self.players),
            avg_bitrate: mean(&self.bitrate),
            avg_frame_rate: mean(&self.frame_rate),
            avg_chat_activity: self.mean_chat_rate(has_chat_log),
            rebuffer_ratio: self.rebuffer_ratio(),
            avg_concurrent_views: mean(&self.concurrent_views),
            experience_score: self.score(),
        }
    }
}

impl Merge for Bucket {
    fn merge(&mut self, other: &Self) {
        let Self {
            rows,
            viewers,
            viewers_max,
            players,
            bitrate,
            bitrate_range,
            frame_rate,
            chat_rate,
            chat_rate_max,
            chat_counted,
            concurrent_views,
            seen,
        } = other;
        self.rows.merge(rows);
        self.viewers.merge(viewers);
        self.viewers_max = self.viewers_max.max(*viewers_max);
        self.players.merge(players);
        self.bitrate.merge(bitrate);
        self.bitrate_range.merge(bitrate_range);
        self.frame_rate.merge(frame_rate);
        self.chat_rate.merge(chat_rate);
        self.chat_rate_max = self.chat_rate_max.max(*chat_rate_max);
        self.chat_counted.merge(chat_counted);
        self.concurrent_views.merge(concurrent_views);
        self.seen.merge(seen);
    }
}

/// Returns the mean, to a millionth.
pub(super) fn mean(total: &Total) -> Option<f64> {
    total.mean().map(FixedSum::to_f64)
}

/// Rounds to a millionth: further digits are noise of floating point.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Returns a total of one mean, or of none.
fn one(mean: Option<FixedSum>) -> Total {
    Total { sum: mean.unwrap_or_default(), count: u64::from(mean.is_some()) }
}

fn whole(count: u64) -> FixedSum {
    FixedSum(i128::from(count) * 1_000_000)
}
