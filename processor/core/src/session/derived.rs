//! The meaning of a summary: status, times and figures derived from its fold.

use ivs_schemas::items::sessions::status;

use super::starvation::{self, Interval, Starvation};
use super::summary::{Lifecycle, Span, SummaryAgg};
use crate::experience::{Evidence, Score, view_time_ms};
use crate::fixed::FixedSum;
use crate::minute::MINUTE_MS;
use kinesis_model::EpochMs;

/// The longest stream: IVS ends a stream after 48 hours; reconnecting starts another.
pub const LONGEST_STREAM_MS: i64 = 48 * 3_600_000;

/// How long a live stream may go without telemetry before it looks stale: backends and players
/// report every few seconds, and the longest usual epoch and outage of a producer fit in many
/// times.
pub const STALE_MS: i64 = 10 * MINUTE_MS;

/// Where a session stands, by what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionStatus {
    /// It exists, and nothing has been watchable yet.
    Pending,
    /// It can be watched.
    Live,
    /// It is over.
    Ended,
    /// IVS gave it up, or it ended without ever having been watchable.
    Failed,
}

impl SessionStatus {
    /// Returns the value of `status` in the summary item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => status::PENDING,
            Self::Live => status::LIVE,
            Self::Ended => status::ENDED,
            Self::Failed => status::FAILED,
        }
    }
}

impl Lifecycle {
    /// Returns whether no fact is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SummaryAgg {
    /// Returns the status. Terminal facts win, whatever else is known: a failure over an end, an
    /// end over a start.
    ///
    /// `Session Ended` alone ends a stream that is known to have been live, and means failure of
    /// one that is not. Telemetry counts as a sign of life, so a lost start does not matter.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        let facts = &self.lifecycle;
        if facts.failed.0.is_some() {
            SessionStatus::Failed
        } else if facts.stream_ended.0.is_some() {
            SessionStatus::Ended
        } else if facts.session_ended.0.is_some() {
            if self.was_live() { SessionStatus::Ended } else { SessionStatus::Failed }
        } else if self.was_live() {
            SessionStatus::Live
        } else {
            SessionStatus::Pending
        }
    }

    fn was_live(&self) -> bool {
        self.lifecycle.started.0.is_some() || self.telemetry.records > 0
    }

    /// Returns the earliest start that an event states; where none does, the first minute of
    /// telemetry, by which the stream was live.
    #[must_use]
    pub fn started_at(&self) -> Option<EpochMs> {
        let observed = || self.telemetry.span.map(|span| span.first.start());
        self.lifecycle.started.time().or_else(observed)
    }

    /// Returns the end as events state it; never guessed.
    ///
    /// The latest `Stream End`; without one, the latest `Session Ended`, or the failure. No stream
    /// outlives its stated start by more than [`LONGEST_STREAM_MS`]: a later end was stated late.
    #[must_use]
    pub fn ended_at(&self) -> Option<EpochMs> {
        let facts = &self.lifecycle;
        let stated = facts.stream_ended.time();
        let end = stated.or_else(|| facts.session_ended.time()).or_else(|| facts.failed.time())?;
        let start = facts.started.time();
        Some(start.map_or(end, |start| end.min(EpochMs(start.0.saturating_add(LONGEST_STREAM_MS)))))
    }

    /// Returns when a session without an end can no longer be live: 48 hours after its start. Its
    /// end stays unknown.
    #[must_use]
    pub fn overdue_at(&self) -> Option<EpochMs> {
        let start = self.started_at().filter(|_| self.ended_at().is_none())?;
        Some(EpochMs(start.0.saturating_add(LONGEST_STREAM_MS)))
    }

    /// Returns from when on a session that looks live is stale, if nothing more of it comes:
    /// [`STALE_MS`] after its last minute with telemetry, or its start if that is later. One that
    /// never had any telemetry cannot fall silent; it is stale when it is overdue.
    ///
    /// Whether that time has come is for a reader with a clock to say: the fold knows none, so the
    /// same records give the same item.
    #[must_use]
    pub fn stale_after(&self) -> Option<EpochMs> {
        let start = self.started_at().filter(|_| self.status() == SessionStatus::Live)?;
        let silent = |span: Span| {
            let heard_ms = span.last.start().0 + MINUTE_MS;
            EpochMs(heard_ms.max(start.0) + STALE_MS)
        };
        self.telemetry.span.map(silent).or_else(|| self.overdue_at())
    }

    /// Returns seconds from start to end: between stated times if both are known, else as the
    /// application reported it, else from the first telemetry. `None` while unknown, and if the end
    /// was stated to be before the start.
    #[must_use]
    pub fn duration_s(&self) -> Option<FixedSum> {
        let facts = &self.lifecycle;
        let since = |start: EpochMs| {
            let length_ms = self.ended_at()?.0 - start.0;
            (length_ms >= 0).then(|| FixedSum(i128::from(length_ms) * 1_000))
        };
        let reported = || facts.reported.duration_s.value().map(|s| FixedSum::from(*s));
        match facts.started.time() {
            Some(start) => since(start).or_else(reported),
            None => reported().or_else(|| self.started_at().and_then(since)),
        }
    }

    /// Returns milliseconds of the session that telemetry describes: from the start to the end, or
    /// to the end of the last minute with telemetry if it has not ended.
    fn observed_ms(&self) -> Option<i64> {
        let last = || self.telemetry.span.map(|span| EpochMs(span.last.start().0 + MINUTE_MS));
        let length_ms = self.ended_at().or_else(last)?.0 - self.started_at()?.0;
        (length_ms > 0).then_some(length_ms)
    }

    /// Returns the largest number of viewers in the windows, or else as reported at the end.
    #[must_use]
    pub fn peak_viewers(&self) -> Option<FixedSum> {
        let reported = || self.lifecycle.reported.peak_viewers.value().copied();
        self.telemetry.viewers.max().or_else(reported).map(FixedSum::from)
    }

    /// Returns the mean of the viewer samples.
    #[must_use]
    pub fn avg_viewers(&self) -> Option<FixedSum> {
        self.telemetry.viewers.total.mean()
    }

    /// Returns the minutes watched by all viewers together: mean of the viewer samples × observed
    /// minutes.
    ///
    /// Sums and counts merge exactly in any split, and a product of per-minute means would not.
    /// The figure is the time-weighted one as far as samples come at an even rate; reports compute
    /// it minute by minute from the metric rows.
    #[must_use]
    pub fn viewer_minutes(&self) -> Option<FixedSum> {
        let viewers = &self.telemetry.viewers.total;
        per_minute(viewers.sum, viewers.count, self.observed_ms()?)
    }

    /// Returns the chat messages: counted from the chat log; else as reported at the end; else the
    /// mean of the reported rates × observed minutes, an estimate.
    #[must_use]
    pub fn total_chat_messages(&self) -> Option<FixedSum> {
        let counted = self.telemetry.chat_messages;
        if counted > 0 {
            return Some(FixedSum(i128::from(counted) * 1_000_000));
        }
        let reported = self.lifecycle.reported.total_chat_messages.value();
        let rate = &self.telemetry.chat_rate;
        reported
            .map(|total| FixedSum::from(*total))
            .or_else(|| per_minute(rate.sum, rate.count, self.observed_ms()?))
    }

    /// Returns the mean ingest bitrate of the windows in bits/s, or else as reported at the end.
    #[must_use]
    pub fn avg_bitrate_bps(&self) -> Option<FixedSum> {
        let reported = || self.lifecycle.reported.avg_bitrate_bps.value().map(|b| (*b).into());
        self.telemetry.bitrate.mean().or_else(reported)
    }

    /// Returns stalled time over watch time of all players, 0 to 1, rounded to a millionth; `None`
    /// if no record tells both or there was no watch time.
    #[must_use]
    pub fn rebuffer_ratio(&self) -> Option<FixedSum> {
        let stalled = self.telemetry.watch_buffering_ms.0;
        let watched = self.telemetry.playing_ms.sum.0.saturating_add(stalled);
        // Both are not negative: decode refuses negative numbers.
        (watched > 0).then(|| FixedSum((stalled.saturating_mul(1_000_000) + watched / 2) / watched))
    }

    /// Returns the time that viewers spent with the picture, milliseconds.
    #[must_use]
    pub fn view_time_ms(&self) -> Option<FixedSum> {
        view_time_ms(self.telemetry.playing_ms.sum, self.telemetry.watch_buffering_ms)
    }

    /// Returns the exits before start: of play requests that are told, those that came to nothing,
    /// else the exits that were told.
    #[must_use]
    pub fn exits_before_start(&self) -> Option<u64> {
        let views = &self.views.views;
        let told = || (views.exits_before_start > 0).then_some(views.exits_before_start);
        views.unstarted().or_else(told)
    }

    /// Returns the score of the session.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
        Score::of(&Evidence {
            startups: self.views.startups,
            startup_sum_ms: self.views.startup_sum_ms,
            playing_ms: self.telemetry.playing_ms.sum,
            stalled_ms: self.telemetry.watch_buffering_ms,
            views: self.views.views,
            bitrate: self.telemetry.player_bitrate,
        })
    }

    /// Returns when the ingest starved; an interval open at the end of the stream closes there.
    #[must_use]
    pub fn starvation_intervals(&self) -> Vec<Interval> {
        let facts = &self.lifecycle;
        starvation::pair(
            facts.starvation_starts.iter().copied(),
            facts.starvation_ends.iter().copied(),
            self.ended_at(),
        )
    }

    /// Returns count and length of [`Self::starvation_intervals`].
    #[must_use]
    pub fn starvation(&self) -> Starvation {
        self.starvation_intervals().into_iter().collect()
    }

    /// Returns whether the stream was live at a time, as events and telemetry have it by now.
    #[must_use]
    pub fn was_live_at(&self, time: EpochMs) -> bool {
        self.was_live()
            && self.started_at().is_some_and(|start| start <= time)
            && self.ended_at().is_none_or(|end| time <= end)
    }

    /// Returns whether a set of facts reached its bound, so that counts are lower bounds.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        let facts = &self.lifecycle;
        facts.starvation_starts.is_truncated()
            || facts.starvation_ends.is_truncated()
            || facts.takeovers.is_truncated()
            || facts.limit_breaches.is_truncated()
            || facts.recordings.is_truncated()
            || facts.ad_breaks.is_truncated()
            || facts.unknown.is_truncated()
    }
}

/// Returns a mean times minutes, in integers: `sum / count × ms / 60,000`, rounded down to a
/// millionth.
fn per_minute(sum: FixedSum, count: u64, length_ms: i64) -> Option<FixedSum> {
    let divisor = i128::from(count) * i128::from(MINUTE_MS);
    (count > 0).then(|| FixedSum(sum.0.saturating_mul(i128::from(length_ms)) / divisor))
}
