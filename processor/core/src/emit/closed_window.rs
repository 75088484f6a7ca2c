//! Closed five-minute windows of a session: what is judged by comparing one with the one before.
//!
//! A window is judged when records of a later one arrive, by the minutes they touch alone (E9), so
//! every worker judges the same. A window can be judged more than once while minutes of the next
//! one come in: its metric is read with Maximum, and its events have deterministic ids.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::channel::SaidBy;
use crate::experience::Evidence;
use crate::fixed::FixedSum;
use crate::merge::{Merge, Total};
use crate::minute::Minute;
use crate::quality::Rule;
use crate::session::SummaryAgg;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

pub use crate::minute::WINDOW_MS;

/// A window closes when a minute that begins this long after its end is touched: what is on its way
/// through producers and shards has that long.
pub const GRACE_MS: i64 = 60_000;
/// Smallest mean audience before a drop that is judged: below it one person is more than 10 %.
pub const AUDIENCE_FLOOR: FixedSum = FixedSum(10_000_000);

/// The figures of a session in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedSpan {
    /// The session.
    pub session_id: Arc<str>,
    /// Its channel; empty if no record names it.
    pub channel_id: Arc<str>,
    /// Who says so.
    pub channel_said_by: SaidBy,
    /// Start of the window, a multiple of five minutes.
    pub start: EpochMs,
    /// Viewers as reported.
    pub viewers: Total,
    /// Chat messages a minute as reported.
    pub chat_rate: Total,
    /// Chat messages counted from the log.
    pub chat_messages: u64,
    /// The experience of viewers.
    pub seen: Evidence,
}

/// Returns the window that holds `time`, by its start.
fn window_of(time: EpochMs) -> EpochMs {
    EpochMs(time.0.div_euclid(WINDOW_MS) * WINDOW_MS)
}

/// Returns the windows to judge after an epoch with these partials: for each session the last
/// window before one whose minutes past the grace were touched. Ascending.
pub fn windows_to_judge<'a>(
    keys: impl IntoIterator<Item = &'a WindowKey>,
) -> BTreeSet<(Arc<str>, EpochMs)> {
    let judged = |key: &WindowKey| {
        let minute = key.minute.start();
        let window = window_of(minute);
        let past_grace = minute.0 - window.0 >= GRACE_MS;
        past_grace.then(|| (Arc::clone(&key.session_id), EpochMs(window.0 - WINDOW_MS)))
    };
    keys.into_iter().filter_map(judged).collect()
}

/// Returns the minutes whose rows are needed to judge the window that starts at `start`: its own, and
/// those of the windows before that [`ComparedSpan::pair`] compares and `rules` look back to.
/// Half-open.
#[must_use]
pub fn minutes_needed(start: EpochMs, rules: &[Rule]) -> std::ops::Range<Minute> {
    let look_back = rules.iter().filter(|rule| rule.enabled).map(Rule::look_back).max();
    let before_ms = i64::from(look_back.unwrap_or(1).max(1)) * WINDOW_MS;
    Minute::of(EpochMs(start.0 - before_ms))..Minute::of(EpochMs(start.0 + WINDOW_MS))
}

impl ComparedSpan {
    /// Returns the window that starts at `start` and the one before, from the stored rows of their
    /// minutes; rows of other sessions and minutes are ignored.
    #[must_use]
    pub fn pair<'a>(
        session_id: &Arc<str>,
        start: EpochMs,
        rows: impl IntoIterator<Item = (&'a WindowKey, &'a WindowAgg)>,
    ) -> (Self, Self) {
        let mut previous = Self::empty(session_id, EpochMs(start.0 - WINDOW_MS));
        let mut current = Self::empty(session_id, start);
        for (key, row) in rows.into_iter().filter(|(key, _)| key.session_id == *session_id) {
            let window = window_of(key.minute.start());
            for side in [&mut previous, &mut current] {
                if side.start == window {
                    side.add(row);
                }
            }
        }
        (previous, current)
    }

    fn empty(session_id: &Arc<str>, start: EpochMs) -> Self {
        Self {
            session_id: Arc::clone(session_id),
            channel_id: Arc::default(),
            channel_said_by: SaidBy::default(),
            start,
            viewers: Total::default(),
            chat_rate: Total::default(),
            chat_messages: 0,
            seen: Evidence::default(),
        }
    }

    fn add(&mut self, row: &WindowAgg) {
        self.channel_said_by.note(&mut self.channel_id, &row.channel_id, row.channel_said_by);
        self.viewers.merge(&row.viewers.stat.total);
        self.chat_rate.merge(&row.chat_rate.total);
        self.chat_messages.merge(&row.chat_messages);
        self.seen.merge(&row.evidence());
    }

    /// Returns the end of the window, exclusive.
    #[must_use]
    pub fn end(&self) -> EpochMs {
        EpochMs(self.start.0 + WINDOW_MS)
    }

    /// Returns the start of the window's last minute, the time of its datum.
    #[must_use]
    pub fn last_minute(&self) -> EpochMs {
        EpochMs(self.end().0 - 60_000)
    }

    /// Returns chat messages a minute: the mean of the reported rates, or else the log's count over
    /// the window's five minutes.
    #[must_use]
    pub fn chat_per_minute(&self) -> Option<FixedSum> {
        let counted = || FixedSum(i128::from(self.chat_messages) * 1_000_000).mean_fixed(5);
        self.chat_rate.mean().or_else(|| (self.chat_messages > 0).then(counted).flatten())
    }
}

/// Returns the loss of viewers from one window to the next: 100 × (before − now) / before, 0 if
/// there are more now, rounded down to a millionth of a percent.
///
/// `None` unless both windows have viewer samples, the mean before reaches [`AUDIENCE_FLOOR`], and
/// the stream was live to the end of the window: the end of a stream is not a drop.
#[must_use]
pub fn viewer_drop_percent(
    previous: &ComparedSpan,
    current: &ComparedSpan,
    summary: &SummaryAgg,
) -> Option<FixedSum> {
    let (before, now) = (previous.viewers.mean()?, current.viewers.mean()?);
    if before < AUDIENCE_FLOOR || !summary.was_live_at(current.end()) {
        return None;
    }
    Some(FixedSum((before.0 - now.0).max(0) * 100_000_000 / before.0))
}
