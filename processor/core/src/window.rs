//! One-minute windows of a session: what is folded of its records.

use std::sync::Arc;

use crate::channel::SaidBy;
use crate::experience::{Breakdown, Evidence, Score, Views, view_time_ms};
use crate::fixed::FixedSum;
use crate::merge::{Gauge, Merge, Range, Stat, Total};
use crate::minute::Minute;
use crate::sketch::{Distinct, Quantiles, ViewSketch};

mod fold;

pub use fold::WindowFold;

/// Which row a window is: one of table `StreamingMetrics`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// The session, that is the IVS stream id.
    pub session_id: Arc<str>,
    /// The minute of event time.
    pub minute: Minute,
}

/// The fold of a window's records. Times in milliseconds, rates in bits per second.
///
/// A figure that no record carried has count 0 and no mean; zeros that records carried count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowAgg {
    /// The channel. Where records disagree, [`crate::channel`] decides.
    pub channel_id: Arc<str>,
    /// Who says so.
    pub channel_said_by: SaidBy,
    /// Records folded, of every kind.
    pub records: u64,
    /// Of these, the `metrics_update` events of the stream's backend.
    pub gauges: u64,
    /// Of these, the records of players.
    pub player_records: u64,
    /// Viewers, as the backend reports them.
    pub viewers: Gauge,
    /// The stream's own bitrate.
    pub bitrate: Stat,
    /// The stream's own frames per second.
    pub frame_rate: Stat,
    /// Chat messages a minute, as the backend reports them.
    pub chat_rate: Stat,
    /// CPU use of the encoder in percent.
    pub cpu: Total,
    /// Memory use of the encoder in percent.
    pub memory: Total,
    /// The bitrate that players received.
    pub player_bitrate: Stat,
    /// The frames per second that players showed.
    pub player_frame_rate: Total,
    /// Frames that players dropped.
    pub dropped_frames: Stat,
    /// Time that players stalled.
    pub buffering_ms: Total,
    /// Time that players played.
    pub playing_ms: Total,
    /// The part of `buffering_ms` from records that tell `playing_ms` too: only these can enter a
    /// ratio, since many players report stalls alone.
    pub watch_buffering_ms: FixedSum,
    /// Of one record that tells both: the smallest and the largest share of its watch time that was
    /// stalled, percent, each rounded outwards to a millionth. `None` without watch time.
    pub stalled_percent: Option<Range>,
    /// Stalls.
    pub rebuffers: Total,
    /// Errors of players.
    pub player_errors: u64,
    /// The fewest and the most errors of one player record; `None` exactly if there was none.
    pub errors_range: Option<Range>,
    /// Chat messages that were logged.
    pub chat_messages: u64,
    /// Glass-to-glass latency of players.
    pub latency: Quantiles,
    /// Sum of the latencies as their sketch takes them, in whole milliseconds.
    pub latency_sum_ms: u64,
    /// Time to the first frame.
    pub startup: Quantiles,
    /// Sum of the times to the first frame as their sketch takes them, in whole milliseconds.
    pub startup_sum_ms: u64,
    /// The players that sent records.
    pub players: Distinct,
    /// The views that players told about.
    pub views: Views,
    /// The views that played in the minute.
    pub playing: ViewSketch,
    /// Figures by dimension.
    pub breakdown: Breakdown,
}

impl WindowAgg {
    /// Counts a statement about the channel in.
    pub fn see_channel(&mut self, channel_id: &Arc<str>, by: SaidBy) {
        self.channel_said_by.note(&mut self.channel_id, channel_id, by);
    }

    /// Returns how many players sent records; [`crate::sketch::distinct`] states the error.
    #[must_use]
    pub fn active_players(&self) -> u64 {
        self.players.estimate()
    }

    /// Returns stalled time over watch time (played and stalled), 0 to 1; `None` if no record tells
    /// both or there was no watch time.
    #[must_use]
    pub fn rebuffer_ratio(&self) -> Option<f64> {
        let mut watched = self.playing_ms.sum;
        watched += self.watch_buffering_ms;
        (!watched.is_zero()).then(|| self.watch_buffering_ms.to_f64() / watched.to_f64())
    }

    /// Returns how many views played in the minute; `None` if no record named one that did.
    /// [`crate::sketch::distinct`] states the error.
    #[must_use]
    pub fn concurrent_views(&self) -> Option<u64> {
        (!self.playing.is_empty()).then(|| self.playing.estimate())
    }

    /// Returns the time that viewers spent with the picture, milliseconds.
    #[must_use]
    pub fn view_time_ms(&self) -> Option<FixedSum> {
        view_time_ms(self.playing_ms.sum, self.watch_buffering_ms)
    }

    /// Returns the sums that the score is made of.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence {
            startups: self.startup.count(),
            startup_sum_ms: self.startup_sum_ms,
            playing_ms: self.playing_ms.sum,
            stalled_ms: self.watch_buffering_ms,
            views: self.views,
            bitrate: self.player_bitrate.total,
        }
    }

    /// Returns the score of the minute.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
        Score::of(&self.evidence())
    }
}

impl Merge for WindowAgg {
    fn merge(&mut self, other: &Self) {
        let Self {
            channel_id,
            channel_said_by,
            records,
            gauges,
            player_records,
            viewers,
            bitrate,
            frame_rate,
            chat_rate,
            cpu,
            memory,
            player_bitrate,
            player_frame_rate,
            dropped_frames,
            buffering_ms,
            playing_ms,
            watch_buffering_ms,
            stalled_percent,
            rebuffers,
            player_errors,
            errors_range,
            chat_messages,
            latency,
            latency_sum_ms,
            startup,
            startup_sum_ms,
            players,
            views,
            playing,
            breakdown,
        } = other;
        self.see_channel(channel_id, *channel_said_by);
        self.records.merge(records);
        self.gauges.merge(gauges);
        self.player_records.merge(player_records);
        self.viewers.merge(viewers);
        self.bitrate.merge(bitrate);
        self.frame_rate.merge(frame_rate);
        self.chat_rate.merge(chat_rate);
        self.cpu.merge(cpu);
        self.memory.merge(memory);
        self.player_bitrate.merge(player_bitrate);
        self.player_frame_rate.merge(player_frame_rate);
        self.dropped_frames.merge(dropped_frames);
        self.buffering_ms.merge(buffering_ms);
        self.playing_ms.merge(playing_ms);
        self.watch_buffering_ms += *watch_buffering_ms;
        self.stalled_percent.merge(stalled_percent);
        self.rebuffers.merge(rebuffers);
        self.player_errors.merge(player_errors);
        self.errors_range.merge(errors_range);
        self.chat_messages.merge(chat_messages);
        self.latency.merge(latency);
        self.latency_sum_ms.merge(latency_sum_ms);
        self.startup.merge(startup);
        self.startup_sum_ms.merge(startup_sum_ms);
        self.players.merge(players);
        self.views.merge(views);
        self.playing.merge(playing);
        self.breakdown.merge(breakdown);
    }
}

#[cfg(test)]
mod tests;
