//! From folds to datums.
//!
//! CloudWatch adds datums of one series and minute up: sample counts and sums add, minima and
//! maxima combine, distributions unite. So the partials of a minute, sent by several epochs and
//! shards, give the statistics of the whole minute, whatever the split: every sample is a record's.
//! Figures that cannot be taken apart (distinct players, a minute's chat messages) is sent from the merged
//! row, and read with Maximum.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ivs_schemas::catalogue::{Metric, metrics as catalogue};
use ivs_schemas::items::sessions::event_type;

use super::datum::{Datum, Series};
use super::events::real_time_issue;
use super::samples::Samples;
use crate::decode::{Fact, FactKind};
use crate::emit::closed_window::ComparedSpan;
use crate::experience::{Dimension, Score};
use crate::fixed::FixedSum;
use crate::minute::Minute;
use crate::session::{Milestone, SummaryAgg, TimelineItem};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// Namespace and metric, series, minute: the order in which datums are sent.
type Slot = ((&'static str, &'static str), Series, EpochMs);

/// Datums under construction.
#[derive(Debug, Default)]
struct Builder(BTreeMap<Slot, (&'static Metric, Samples)>);

impl Builder {
    /// Adds samples to a channel's series and to the fleet's. Without a channel they count in the
    /// fleet only.
    fn add(
        &mut self,
        metric: &'static Metric,
        channel_id: &Arc<str>,
        time: EpochMs,
        samples: Option<Samples>,
    ) {
        let Some(samples) = samples else { return };
        if !channel_id.is_empty() {
            self.add_to(metric, Series::Channel(Arc::clone(channel_id)), time, samples.clone());
        }
        self.add_to(metric, Series::Fleet, time, samples);
    }

    fn add_to(&mut self, metric: &'static Metric, series: Series, time: EpochMs, samples: Samples) {
        let name = (metric.namespace.as_str(), metric.name);
        match self.0.entry((name, series, Minute::of(time).start())) {
            Entry::Vacant(free) => {
                free.insert((metric, samples));
            }
            Entry::Occupied(mut slot) => slot.get_mut().1.add(&samples),
        }
    }

    /// Adds the viewers of a channel by each value of the chosen dimensions that a record told.
    fn add_viewers(&mut self, window: &WindowAgg, time: EpochMs, chosen: &[Dimension]) {
        let channel_id = &window.channel_id;
        if channel_id.is_empty() {
            return;
        }
        for (dimension, value, slice) in window.breakdown.iter() {
            if !chosen.contains(&dimension) {
                continue;
            }
            for (metric, samples) in [
                (&catalogue::VIEW_STARTS, Samples::of_events(slice.starts)),
                (&catalogue::VIEW_FAILURES, Samples::of_events(slice.failures)),
                (&catalogue::VIEW_TIME, Samples::of_time(slice.watched_ms())),
                (&catalogue::STALLED_TIME, Samples::of_time(slice.stalled_ms)),
            ] {
                let Some(samples) = samples else { continue };
                let (channel_id, value) = (Arc::clone(channel_id), Arc::clone(value));
                let series = Series::Viewers { channel_id, dimension, value };
                self.add_to(metric, series, time, samples);
            }
        }
    }

    fn finish(self) -> Vec<Datum> {
        let datum = |((_, series, time), (metric, samples)): (Slot, (&'static Metric, Samples))| {
            Datum { metric, series, time, value: samples.value() }
        };
        self.0.into_iter().map(datum).collect()
    }
}

fn single(value: impl Into<FixedSum>) -> Option<Samples> {
    Some(Samples::single(value.into()))
}

fn one() -> Option<Samples> {
    single(FixedSum(1_000_000))
}

/// Returns the datums of an epoch's partials: everything that adds up inside CloudWatch, per
/// channel and for the fleet, and of the viewers with each value of the `chosen` dimensions; ascending by
/// metric, series and time.
#[must_use]
pub fn window_datums(partials: &[(WindowKey, WindowAgg)], chosen: &[Dimension]) -> Vec<Datum> {
    let mut builder = Builder::default();
    for (key, window) in partials {
        let time = key.minute.start();
        let mut watch_ms = window.playing_ms.sum;
        watch_ms += window.watch_buffering_ms;
        let stalled =
            Samples::of_shares(window.watch_buffering_ms, watch_ms, window.stalled_percent);
        let errors =
            Samples::of_counts(window.player_errors, window.player_records, window.errors_range);
        let startup = Samples::of_sketch(&window.startup, window.startup_sum_ms);
        let latency = Samples::of_sketch(&window.latency, window.latency_sum_ms);
        for (metric, samples) in [
            (&catalogue::CURRENT_VIEWERS, Samples::of_stat(&window.viewers.stat)),
            (&catalogue::STREAM_BITRATE, Samples::of_stat(&window.bitrate)),
            (&catalogue::FRAME_RATE, Samples::of_stat(&window.frame_rate)),
            (&catalogue::CHAT_ACTIVITY, Samples::of_stat(&window.chat_rate)),
            (&catalogue::REBUFFER_RATIO, stalled),
            (&catalogue::STARTUP_TIME, startup),
            (&catalogue::LIVE_LATENCY, latency),
            (&catalogue::PLAYER_ERRORS, errors),
            (&catalogue::DROPPED_FRAMES, Samples::of_stat(&window.dropped_frames)),
            (&catalogue::VIEW_ATTEMPTS, Samples::of_events(window.views.attempts)),
            (&catalogue::VIEW_STARTS, Samples::of_events(window.views.starts)),
            (&catalogue::VIEW_FAILURES, Samples::of_events(window.views.failures())),
            (&catalogue::EXITS_BEFORE_START, Samples::of_events(window.views.exits_before_start)),
        ] {
            builder.add(metric, &window.channel_id, time, samples);
        }
        builder.add_viewers(window, time, chosen);
    }
    builder.finish()
}

/// Returns the datums of the merged rows that an epoch touched: gauges that grow while a minute
/// fills, to be read with Maximum. The fleet's series is the largest channel's.
///
/// Players are distinct players; chat is counted from the log where no rate is reported.
#[must_use]
pub fn stored_datums<'a>(
    rows: impl IntoIterator<Item = (&'a WindowKey, &'a WindowAgg)>,
) -> Vec<Datum> {
    let mut builder = Builder::default();
    for (key, row) in rows {
        let (channel_id, time) = (&row.channel_id, key.minute.start());
        let count = |count: u64| single(FixedSum(i128::from(count) * 1_000_000));
        if row.player_records > 0 {
            builder.add(&catalogue::ACTIVE_PLAYERS, channel_id, time, count(row.active_players()));
        }
        if let Some(views) = row.concurrent_views() {
            builder.add(&catalogue::VIEWS_PLAYING, channel_id, time, count(views));
        }
        if row.chat_messages > 0 && row.chat_rate.total.is_empty() {
            builder.add(&catalogue::CHAT_ACTIVITY, channel_id, time, count(row.chat_messages));
        }
    }
    builder.finish()
}

/// Returns the datums of the timeline items that an epoch was the first to insert, milestones
/// included.
///
/// `summary_of` gives the merged summary of a session the epoch touched. Starts, ends and failures
/// hang on milestones, so each counts once per session. Starvation counts when the second of an
/// interval's two ends is inserted; one that the end of the stream closes, with that milestone.
#[must_use]
pub fn session_datums<'a>(
    inserted: &[TimelineItem],
    summary_of: impl Fn(&str) -> Option<&'a SummaryAgg>,
) -> Vec<Datum> {
    let mut builder = Builder::default();
    for item in inserted {
        if real_time_issue(item).is_some() {
            let metric = &catalogue::REAL_TIME_FAILURES;
            let sample = Samples::single(FixedSum(1_000_000));
            builder.add_to(metric, Series::Fleet, item.second(), sample);
        }
        let Some(summary) = summary_of(&item.session_id) else { continue };
        if let Some(milestone) = Milestone::of(item) {
            milestone_datums(milestone, summary, &mut builder);
        } else if item.event_type == event_type::LIMIT_BREACH {
            let channel_id = &summary.channel_id;
            builder.add(&catalogue::LIMIT_BREACHES, channel_id, item.second(), one());
        }
    }
    for (session_id, own) in &by_session(inserted) {
        if let Some(summary) = summary_of(session_id) {
            starvation_datums(own, summary, &mut builder);
        }
    }
    builder.finish()
}

fn by_session(inserted: &[TimelineItem]) -> BTreeMap<&str, Vec<&TimelineItem>> {
    let mut sessions: BTreeMap<&str, Vec<&TimelineItem>> = BTreeMap::new();
    for item in inserted {
        sessions.entry(&item.session_id).or_default().push(item);
    }
    sessions
}

fn milestone_datums(milestone: Milestone, summary: &SummaryAgg, builder: &mut Builder) {
    let channel_id = &summary.channel_id;
    let started = summary.lifecycle.started.time();
    let ended = summary.ended_at();
    match (milestone, started, ended) {
        (Milestone::Started, Some(time), _) => {
            builder.add(&catalogue::STREAMS_STARTED, channel_id, time, one());
        }
        (Milestone::Failed, _, Some(time)) => {
            builder.add(&catalogue::STREAMS_FAILED, channel_id, time, one());
        }
        (Milestone::Ended, _, Some(time)) => {
            let duration = summary.duration_s().and_then(single);
            let peak = summary.peak_viewers().and_then(single);
            builder.add(&catalogue::STREAMS_ENDED, channel_id, time, one());
            builder.add(&catalogue::STREAM_DURATION, channel_id, time, duration);
            builder.add(&catalogue::PEAK_VIEWERS, channel_id, time, peak);
        }
        // No fact, no milestone: the summary was stored before the item was inserted.
        (Milestone::Started, None, _) | (Milestone::Ended | Milestone::Failed, _, None) => {}
    }
}

fn starvation_datums(inserted: &[&TimelineItem], summary: &SummaryAgg, builder: &mut Builder) {
    let has = |kind: &str, time: EpochMs| {
        let second = time.0.div_euclid(1_000) * 1_000;
        inserted.iter().any(|item| item.event_type == kind && item.second().0 == second)
    };
    let ended = inserted
        .iter()
        .any(|item| matches!(Milestone::of(item), Some(Milestone::Ended | Milestone::Failed)));
    for interval in summary.starvation_intervals() {
        let Some(end) = interval.end else { continue };
        let closed_now = if interval.ends_with_stream {
            ended
        } else {
            has(event_type::STARVATION_START, interval.start)
                || has(event_type::STARVATION_END, end)
        };
        if closed_now {
            let seconds = FixedSum(i128::from(end.0 - interval.start.0) * 1_000);
            let samples = single(seconds);
            builder.add(&catalogue::STARVATION_SECONDS, &summary.channel_id, end, samples);
        }
    }
}

/// Returns the datums of facts that belong to no session: an account's limit breaches, in the
/// fleet's series.
#[must_use]
pub fn account_datums(facts: &[Fact]) -> Vec<Datum> {
    let mut builder = Builder::default();
    for fact in facts.iter().filter(|fact| matches!(fact.kind, FactKind::LimitBreach(_))) {
        builder.add(&catalogue::LIMIT_BREACHES, &Arc::default(), fact.time, one());
    }
    builder.finish()
}

/// Returns the datums of a closed window, at its last minute: the loss of viewers since the window
/// before, and the score of the viewers' experience.
#[must_use]
pub fn closed_window_datums(
    previous: &ComparedSpan,
    current: &ComparedSpan,
    summary: &SummaryAgg,
) -> Vec<Datum> {
    let mut builder = Builder::default();
    if let Some(percent) =
        crate::emit::closed_window::viewer_drop_percent(previous, current, summary)
    {
        let metric = &catalogue::VIEWER_DROP_PERCENT;
        builder.add(metric, &current.channel_id, current.last_minute(), single(percent));
    }
    if let Some(score) = Score::of(&current.seen) {
        let (metric, time) = (&catalogue::EXPERIENCE_SCORE, current.last_minute());
        builder.add(metric, &current.channel_id, time, single(score.score));
    }
    builder.finish()
}
