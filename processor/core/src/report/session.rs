//! A session within a period.

use ivs_schemas::report::{Session, SessionStatus};

use super::bucket::{Bucket, mean};
use super::period::Period;
use super::score::Spread;
use crate::fixed::FixedSum;
use crate::merge::Merge as _;
use crate::session::{self, SummaryAgg};
use kinesis_model::EpochMs;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// What is kept of a session: its rows of the period, and what its summary says.
#[derive(Debug, Default)]
pub(super) struct SessionPart {
    pub(super) rows: Bucket,
    pub(super) bitrate: Spread,
    pub(super) frame_rate: Spread,
    /// First and last minute with a row.
    span: Option<(EpochMs, EpochMs)>,
    summary: Option<Digest>,
}

/// What a report needs of a summary.
#[derive(Debug)]
struct Digest {
    status: SessionStatus,
    start: EpochMs,
    /// As stated.
    ended_at: Option<EpochMs>,
    /// Up to where it counts: the end; now, if it is live.
    until: EpochMs,
    title: Option<String>,
    quality: Option<String>,
    streamer: Option<String>,
    duration_s: Option<FixedSum>,
    peak_viewers: Option<FixedSum>,
    chat_messages: Option<FixedSum>,
    avg_bitrate_bps: Option<FixedSum>,
    starvation_count: u64,
}

impl Digest {
    /// `None` of a session that was never live.
    fn of(summary: &SummaryAgg, now: EpochMs) -> Option<Self> {
        let (mut start, mut ended_at) = (summary.started_at()?, summary.ended_at());
        let records = summary.telemetry.span;
        let after_records = records.map(|span| EpochMs(span.last.start().0 + MINUTE_MS));
        let last_sign = after_records.unwrap_or(start);
        let (status, until) = match (ended_at, summary.overdue_at()) {
            (Some(end), _) => {
                let is_failed = summary.status() == session::SessionStatus::Failed;
                let status = if is_failed { SessionStatus::Failed } else { SessionStatus::Ended };
                // Start and end that contradict each other tell less than the records.
                let is_contradiction = end < start;
                if is_contradiction {
                    start = records.map_or(start, |span| span.first.start());
                    ended_at = None;
                }
                (status, if is_contradiction { last_sign } else { end })
            }
            (None, Some(overdue)) if overdue <= now => (SessionStatus::Lost, last_sign),
            (None, _) => (SessionStatus::Live, now),
        };
        let facts = &summary.lifecycle;
        let text = |text: Option<&std::sync::Arc<str>>| text.map(ToString::to_string);
        Some(Self {
            status,
            start,
            ended_at,
            until: until.max(start),
            title: text(facts.stream_title.value()),
            quality: text(facts.stream_quality.value()),
            streamer: text(facts.streamer_user_id.value()),
            duration_s: summary.duration_s(),
            peak_viewers: summary.peak_viewers(),
            chat_messages: summary.total_chat_messages(),
            avg_bitrate_bps: summary.avg_bitrate_bps(),
            starvation_count: summary.starvation().count,
        })
    }
}

/// A session's figures within the period.
#[derive(Debug)]
pub(super) struct Clipped {
    pub(super) start: EpochMs,
    pub(super) length_ms: i64,
    pub(super) peak_viewers: Option<f64>,
    pub(super) chat_messages: Option<u64>,
}

impl SessionPart {
    /// Adds a row of the period.
    pub(super) fn add(&mut self, minute: EpochMs, row: &Bucket) {
        self.rows.merge(row);
        self.bitrate.add(mean(&row.bitrate));
        self.frame_rate.add(mean(&row.frame_rate));
        let (first, last) = self.span.unwrap_or((minute, minute));
        self.span = Some((first.min(minute), last.max(minute)));
    }

    /// Notes the summary.
    pub(super) fn know(&mut self, summary: &SummaryAgg, now: EpochMs) {
        self.summary = Digest::of(summary, now);
    }

    /// From where to where it was live; by its rows, if there is no summary of it.
    fn interval(&self) -> Option<(EpochMs, EpochMs)> {
        match &self.summary {
            Some(digest) => Some((digest.start, digest.until)),
            None => self.span.map(|(first, last)| (first, EpochMs(last.0 + MINUTE_MS))),
        }
    }

    /// Its part in the period; `None` if it was not live in it.
    pub(super) fn clip(&self, period: &Period) -> Option<Clipped> {
        let (start, until) = self.interval()?;
        let touches = period.contains(start) || (start < period.start() && until > period.start());
        if !touches {
            return None;
        }
        let length_ms = until.min(period.end()).0 - start.max(period.start()).0;
        // What the summary says of the whole session holds for the part if that is the whole.
        let whole = self
            .summary
            .as_ref()
            .filter(|digest| digest.start >= period.start() && digest.until <= period.end());
        let whole_peak = || whole.and_then(|digest| digest.peak_viewers);
        let whole_chat = whole.and_then(|digest| digest.chat_messages);
        Some(Clipped {
            start,
            length_ms,
            peak_viewers: self
                .rows
                .viewers_max
                .map(FixedSum::from)
                .or_else(whole_peak)
                .map(FixedSum::to_f64),
            chat_messages: whole_chat.or_else(|| self.chat_of_rows()).map(whole_number),
        })
    }

    /// Messages of the rows: counted ones, else the reported rates, each standing for its minute.
    fn chat_of_rows(&self) -> Option<FixedSum> {
        let counted = self.rows.chat_counted;
        if counted > 0 {
            return Some(FixedSum(i128::from(counted) * 1_000_000));
        }
        (!self.rows.chat_rate.is_empty()).then_some(self.rows.chat_rate.sum)
    }

    /// How the report shows it.
    pub(super) fn describe(&self, id: &str, clipped: &Clipped, period: &Period) -> Session {
        let digest = self.summary.as_ref();
        let whole_s = |digest: &Digest| digest.duration_s.filter(|_| digest.ended_at.is_some());
        Session {
            session_id: id.to_owned(),
            status: digest.map_or(SessionStatus::Lost, |digest| digest.status),
            started_at: period.rfc3339(clipped.start),
            ended_at: digest.and_then(|digest| digest.ended_at).map(|end| period.rfc3339(end)),
            duration: digest.and_then(whole_s).map(FixedSum::to_f64),
            duration_in_period: seconds(clipped.length_ms),
            stream_title: digest.and_then(|digest| digest.title.clone()),
            stream_quality: digest.and_then(|digest| digest.quality.clone()),
            streamer_user_id: digest.and_then(|digest| digest.streamer.clone()),
            peak_viewers: clipped.peak_viewers,
            avg_viewers: mean(&self.rows.viewers),
            viewer_minutes: self.rows.viewer_minutes(),
            total_chat_messages: clipped.chat_messages,
            avg_bitrate: mean(&self.rows.bitrate)
                .or_else(|| digest.and_then(|digest| digest.avg_bitrate_bps).map(FixedSum::to_f64)),
            avg_frame_rate: mean(&self.rows.frame_rate),
            rebuffer_ratio: self.rows.rebuffer_ratio(),
            starvation_count: digest.map_or(0, |digest| digest.starvation_count),
        }
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    FixedSum(i128::from(ms) * 1_000).to_f64()
}

/// Rounded half up; estimates of messages have fractions.
fn whole_number(value: FixedSum) -> u64 {
    u64::try_from((value.0.max(0) + 500_000) / 1_000_000).unwrap_or(u64::MAX)
}
