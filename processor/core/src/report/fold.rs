//! The fold of a channel's rows and sessions into a report.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use ivs_schemas::report::{
    ChatAnalytics, Highlights, Peak, PlayerExperience, QualityMetrics, Quantiles, REPORT_VERSION,
    Report, Summary,
};

use super::bucket::{Bucket, mean, rounded};
use super::experience;
use super::period::Period;
use super::score;
use super::session::{Clipped, SessionPart, seconds};
use super::slots::Slots;
use super::unnamed::Unnamed;
use crate::decode::is_made_up;
use crate::experience::Breakdown;
use crate::fixed::{Fixed, FixedSum};
use crate::merge::{Merge as _, Total};
use crate::minute::MINUTE_MS;
use crate::session::{SummaryAgg, over_from};
use crate::sketch;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// Most sessions kept apart, less than 1 KB each: one every four minutes of a month. Rows of
/// further ones count in every figure but those by session, and the report says so.
pub const MAX_SESSIONS: usize = 10_000;
/// Sessions that the report shows.
pub const LATEST_SESSIONS: usize = 10;

/// Sessions that may be on air at once when an unnamed row looks for its own: a channel has one
/// stream at a time, and an end that is not known yet seldom leaves two.
const MOST_AT_ONCE: usize = 8;

/// A report in the making.
#[derive(Debug)]
pub struct ReportFold {
    channel_id: String,
    period: Period,
    now: EpochMs,
    all: Bucket,
    hours: Slots,
    steps: Slots,
    players: Players,
    sessions: BTreeMap<Arc<str>, SessionPart>,
    unnamed: Unnamed,
    minute: Option<OpenMinute>,
    peak_at: Option<EpochMs>,
    /// Logged messages of minutes in which no session was on air.
    chat_off_air: u64,
    truncated: bool,
}

/// The minute that rows are being added to: of two sessions it is still one minute of the channel.
#[derive(Debug)]
struct OpenMinute {
    start: EpochMs,
    row: WindowAgg,
    bucket: Bucket,
}

/// The players' experience over the period.
#[derive(Debug, Default)]
struct Players {
    records: u64,
    distinct: sketch::Distinct,
    latency: sketch::Quantiles,
    startup: sketch::Quantiles,
    bitrate: Total,
    rebuffers: Total,
    dropped_frames: Total,
    errors: u64,
    breakdown: Breakdown,
}

impl ReportFold {
    /// Returns an empty report. `now` ends the sessions that are live.
    #[must_use]
    pub fn new(channel_id: &str, period: Period, now: EpochMs) -> Self {
        Self {
            channel_id: channel_id.to_owned(),
            all: Bucket::default(),
            hours: Slots::hours(&period),
            steps: Slots::steps(&period),
            players: Players::default(),
            sessions: BTreeMap::new(),
            unnamed: Unnamed::default(),
            minute: None,
            peak_at: None,
            chat_off_air: 0,
            truncated: false,
            period,
            now,
        }
    }

    /// Adds a row; rows come in ascending order of their minutes, those outside the period are left
    /// out. Rows of several sessions in one minute are one minute of the channel.
    pub fn add_row(&mut self, key: &WindowKey, row: WindowAgg) {
        let start = key.minute.start();
        if !self.period.contains(start) {
            return;
        }
        let bucket = Bucket::of(&row);
        if is_made_up(&key.session_id) {
            self.unnamed.add(start, &bucket);
        } else if let Some(session) = self.session(&key.session_id) {
            session.add(start, &bucket);
        }
        match &mut self.minute {
            Some(open) if open.start == start => {
                open.row.merge(&row);
                open.bucket = Bucket::of(&open.row);
            }
            _ => {
                let full = self.minute.replace(OpenMinute { start, row, bucket });
                self.close(full);
            }
        }
    }

    /// Counts a minute whose rows have all come.
    fn close(&mut self, minute: Option<OpenMinute>) {
        let Some(OpenMinute { start, row, bucket }) = minute else { return };
        if bucket.viewers_max > self.all.viewers_max {
            self.peak_at = Some(start);
        }
        self.all.merge(&bucket);
        self.hours.add(start, &bucket);
        self.steps.add(start, &bucket);
        self.players.add(&row);
    }

    /// Adds the summary of a session; sessions outside the period are left out in the end.
    pub fn add_session(&mut self, session_id: &Arc<str>, summary: &SummaryAgg) {
        if is_made_up(session_id) {
            return;
        }
        if let Some(session) = self.session(session_id) {
            session.know(summary);
        }
    }

    /// Returns the sessions seen in rows so far.
    pub fn session_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sessions.keys()
    }

    fn session(&mut self, id: &Arc<str>) -> Option<&mut SessionPart> {
        if !self.sessions.contains_key(id) {
            if self.sessions.len() >= MAX_SESSIONS {
                self.truncated = true;
                return None;
            }
            self.sessions.insert(Arc::clone(id), SessionPart::default());
        }
        self.sessions.get_mut(id)
    }

    /// Returns the report; comparison with the period before is left to who can read it.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let last = self.minute.take();
        self.close(last);
        self.settle();
        let period = &self.period;
        let clipped = |(id, part): (&'_ Arc<str>, &'_ SessionPart)| {
            Some((Arc::clone(id), part.clip(period)?))
        };
        let mut live: Vec<_> = self.sessions.iter().filter_map(clipped).collect();
        live.sort_by_key(|(_, clipped)| Reverse(clipped.start));
        let shown = live.iter().take(LATEST_SESSIONS);
        let has_chat_log = self.all.chat_counted > 0;
        Report {
            report_type: period.kind(),
            channel_id: self.channel_id.clone(),
            period: period.describe(),
            summary: self.summary(&live),
            sessions: shown
                .map(|(id, clipped)| self.sessions[id].describe(id, clipped, period))
                .collect(),
            hourly_breakdown: self.hours.breakdown(period, has_chat_log),
            quality_metrics: self.quality(),
            chat_analytics: self.chat(&live),
            player_experience: self.players.describe(&self.all),
            series: self.steps.series(period, has_chat_log),
            highlights: self.highlights(&live),
            previous: None,
            schema_version: REPORT_VERSION,
            as_of: period.rfc3339(self.now),
            truncated: self.truncated,
        }
    }

    /// Decides of each session until when it was on air, and which unnamed rows are its own.
    fn settle(&mut self) {
        let mut known: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(id, part)| Some((part.signs()?, Arc::clone(id))))
            .collect();
        known.sort_by(|(a, a_id), (b, b_id)| a.start.cmp(&b.start).then_with(|| a_id.cmp(b_id)));
        let signs: Vec<_> = known.iter().map(|(signs, _)| *signs).collect();
        for ((_, id), over_from) in known.iter().zip(over_from(&signs, self.now)) {
            if let Some(part) = self.sessions.get_mut(id) {
                part.settle(self.now, over_from, &self.unnamed);
            }
        }
        for (minute, row) in std::mem::take(&mut self.unnamed).minutes() {
            let before = known.partition_point(|(signs, _)| signs.start.0 < minute.0 + MINUTE_MS);
            let covers =
                |id: &&Arc<str>| self.sessions[*id].until().is_some_and(|until| until > minute);
            let mut latest = known[..before].iter().rev().take(MOST_AT_ONCE).map(|(_, id)| id);
            match latest.find(covers).map(Arc::clone) {
                Some(id) => {
                    if let Some(part) = self.sessions.get_mut(&id) {
                        part.take(&row);
                    }
                }
                None => self.chat_off_air.merge(&row.chat_counted),
            }
        }
    }

    fn highlights(&self, live: &[(Arc<str>, Clipped)]) -> Highlights {
        let (period, max) = (&self.period, self.all.viewers_max);
        let peak = self.peak_at.zip(max).map(|(at, viewers)| Peak {
            viewers: viewers.to_f64(),
            at: period.rfc3339(at),
            // The peak is the first of equal ones, so is its session; the latest comes first here.
            session_id: live
                .iter()
                .rev()
                .map(|(id, _)| id)
                .find(|id| self.sessions[*id].rows.viewers_max == max)
                .map(ToString::to_string),
        });
        // Watched longest in all; without a number of viewers, the longest.
        let worth = |(id, clipped): &&(Arc<str>, Clipped)| {
            (self.sessions[id].rows.viewers.sum, clipped.length_ms, Reverse(clipped.start))
        };
        let best = live.iter().filter(|_| live.len() > 1).max_by_key(worth);
        Highlights {
            peak,
            best_session: best.map(|(id, clipped)| self.sessions[id].describe(id, clipped, period)),
        }
    }

    fn summary(&self, live: &[(Arc<str>, Clipped)]) -> Summary {
        let lengths_ms = live.iter().map(|(_, clipped)| clipped.length_ms).filter(|ms| *ms > 0);
        let (total_ms, count) = lengths_ms.fold((0, 0), |(sum, count), ms| (sum + ms, count + 1));
        let total = FixedSum(i128::from(total_ms) * 1_000);
        let reported = live.iter().filter_map(|(_, clipped)| clipped.peak_viewers);
        Summary {
            total_sessions: live.len() as u64,
            total_stream_time: seconds(total_ms),
            avg_session_duration: total.mean_fixed(count).map(FixedSum::to_f64),
            max_concurrent_viewers: self
                .all
                .viewers_max
                .map(Fixed::to_f64)
                .into_iter()
                .chain(reported)
                .reduce(f64::max),
            total_chat_messages: messages(live) + self.chat_off_air,
            viewer_minutes: self.all.viewer_minutes(),
            avg_viewers: mean(&self.all.viewers),
        }
    }

    fn quality(&self) -> QualityMetrics {
        let parts = || self.sessions.values();
        let bitrate_stability = score::stability(parts().map(|part| &part.bitrate));
        let frame_rate_stability = score::stability(parts().map(|part| &part.frame_rate));
        let (avg_bitrate, avg_frame_rate) = (mean(&self.all.bitrate), mean(&self.all.frame_rate));
        let stabilities = (bitrate_stability, frame_rate_stability);
        let quality_score_parts = score::quality(avg_bitrate, avg_frame_rate, stabilities);
        QualityMetrics {
            avg_bitrate,
            min_bitrate: self.all.bitrate_range.map(|range| range.min.to_f64()),
            max_bitrate: self.all.bitrate_range.map(|range| range.max.to_f64()),
            avg_frame_rate,
            bitrate_stability,
            frame_rate_stability,
            quality_score: score::total(&quality_score_parts),
            quality_score_parts,
        }
    }

    fn chat(&self, live: &[(Arc<str>, Clipped)]) -> ChatAnalytics {
        // Time and messages of the same sessions, or the rate would mean nothing.
        let known = live.iter().filter(|(_, clipped)| clipped.chat_messages.is_some());
        let known_ms: i64 = known.map(|(_, clipped)| clipped.length_ms).sum();
        let on_air = messages(live);
        let messages_per_minute =
            (known_ms > 0).then(|| rounded(on_air as f64 * 60.0 / seconds(known_ms)));
        ChatAnalytics {
            total_messages: on_air + self.chat_off_air,
            messages_per_minute,
            peak_chat_rate: self.all.chat_rate_max.map(FixedSum::to_f64),
            avg_chat_rate: self.all.mean_chat_rate(self.all.chat_counted > 0),
            chat_engagement_score: messages_per_minute.map(score::engagement),
        }
    }
}

impl Players {
    fn add(&mut self, row: &WindowAgg) {
        self.records.merge(&row.player_records);
        self.distinct.merge(&row.players);
        self.latency.merge(&row.latency);
        self.startup.merge(&row.startup);
        if let Some(mean) = row.player_bitrate.total.mean() {
            self.bitrate.merge(&Total { sum: mean, count: 1 });
        }
        self.rebuffers.merge(&row.rebuffers);
        self.dropped_frames.merge(&row.dropped_frames.total);
        self.errors.merge(&row.player_errors);
        self.breakdown.merge(&row.breakdown);
    }

    fn describe(&self, all: &Bucket) -> PlayerExperience {
        let sum = |total: &Total| (!total.is_empty()).then(|| total.sum.to_f64());
        let any = self.records > 0;
        let playing_ms = all.seen.playing_ms;
        let watch_minutes = || rounded(playing_ms.to_f64() / 60_000.0);
        PlayerExperience {
            unique_players: any.then(|| self.distinct.estimate()),
            watch_minutes: (!playing_ms.is_zero()).then(watch_minutes),
            rebuffer_ratio: all.rebuffer_ratio(),
            rebuffer_count: sum(&self.rebuffers),
            player_errors: any.then_some(self.errors),
            dropped_frames: sum(&self.dropped_frames),
            avg_bitrate: mean(&self.bitrate),
            latency_ms: quantiles(&self.latency),
            startup_ms: quantiles(&self.startup),
            views: experience::views(&all.seen.views),
            avg_concurrent_views: mean(&all.concurrent_views),
            score: experience::score(&all.seen),
            breakdowns: experience::breakdowns(&self.breakdown),
        }
    }
}

fn quantiles(sketch: &sketch::Quantiles) -> Option<Quantiles> {
    Some(Quantiles {
        p50: sketch.quantile_ms(0.5)?,
        p95: sketch.quantile_ms(0.95)?,
        p99: sketch.quantile_ms(0.99)?,
        max: sketch.max_ms()?,
    })
}

fn messages(live: &[(Arc<str>, Clipped)]) -> u64 {
    live.iter().filter_map(|(_, clipped)| clipped.chat_messages).sum()
}
