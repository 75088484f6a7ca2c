//! A session within a period.

use ivs_schemas::report::{Session, SessionStatus};

use super::bucket::{Bucket, mean};
use super::experience;
use super::period::Period;
use super::score::Spread;
use super::unnamed::{Unnamed, UnnamedRow};
use crate::channel::SaidBy;
use crate::fixed::FixedSum;
use crate::merge::Merge as _;
use crate::minute::MINUTE_MS;
use crate::session::{self, Signs, SummaryAgg};
use kinesis_model::EpochMs;

/// The kept part of a session: its rows of the period, and what its summary says.
#[derive(Debug, Default)]
pub(super) struct SessionPart {
    pub(super) rows: Bucket,
    pub(super) bitrate: Spread,
    pub(super) frame_rate: Spread,
    /// First and last minute with a row.
    span: Option<(EpochMs, EpochMs)>,
    summary: Option<Digest>,
}

/// The parts of a summary that a report needs.
#[derive(Debug)]
struct Digest {
    status: SessionStatus,
    start: EpochMs,
    /// As stated.
    ended_at: Option<EpochMs>,
    /// Up to where it counts: the end. Of a session without one it is for [`Digest::settle`] to
    /// say.
    until: EpochMs,
    /// The end of its last minute with a record.
    heard_until: Option<EpochMs>,
    /// Whether its end is unknown, though it may be past.
    is_open: bool,
    /// Whether IVS speaks of it.
    is_ivs: bool,
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
    fn of(summary: &SummaryAgg) -> Option<Self> {
        let (mut start, mut ended_at) = (summary.started_at()?, summary.ended_at());
        let records = summary.telemetry.span;
        let heard_until = records.map(|span| EpochMs(span.last.start().0 + MINUTE_MS));
        let is_failed = summary.status() == session::SessionStatus::Failed;
        let mut until = ended_at.unwrap_or(start);
        // Start and end that contradict each other tell less than the records.
        if until < start {
            start = records.map_or(start, |span| span.first.start());
            ended_at = None;
            until = heard_until.unwrap_or(start);
        }
        let facts = &summary.lifecycle;
        let text = |text: Option<&std::sync::Arc<str>>| text.map(ToString::to_string);
        Some(Self {
            status: if is_failed { SessionStatus::Failed } else { SessionStatus::Ended },
            start,
            ended_at,
            until: until.max(start),
            heard_until,
            is_open: summary.ended_at().is_none(),
            is_ivs: summary.channel_said_by == SaidBy::Ivs,
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

    fn signs(&self) -> Signs {
        let heard_until = if self.is_open { self.heard_until } else { Some(self.until) };
        Signs { start: self.start, heard_until, is_ivs: self.is_ivs }
    }

    /// Decides until when a session without an end counts. It is live up to now, unless it is lost:
    /// then its end was not reported, and it counts up to its last record.
    fn settle(&mut self, now: EpochMs, over_from: EpochMs, unnamed: &Unnamed) {
        if !self.is_open {
            return;
        }
        let heard_until = self.heard_until.max(unnamed.heard_until(self.start, over_from));
        let lost_at = self.signs().lost_at(over_from, heard_until, now);
        (self.status, self.until) = match lost_at {
            Some(until) => (SessionStatus::Lost, until),
            None => (SessionStatus::Live, now.max(self.start)),
        };
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
    pub(super) fn know(&mut self, summary: &SummaryAgg) {
        self.summary = Digest::of(summary);
    }

    /// Returns by what it and the others of the channel are judged; by its rows, if there is no
    /// summary of it.
    pub(super) fn signs(&self) -> Option<Signs> {
        match &self.summary {
            Some(digest) => Some(digest.signs()),
            None => self.interval().map(|(start, until)| Signs {
                start,
                heard_until: Some(until),
                is_ivs: false,
            }),
        }
    }

    /// Decides until when the session counts; `over_from` is what the channel's others say.
    pub(super) fn settle(&mut self, now: EpochMs, over_from: EpochMs, unnamed: &Unnamed) {
        if let Some(digest) = &mut self.summary {
            digest.settle(now, over_from, unnamed);
        }
    }

    /// Takes a row of the channel that names no session, and was while this one was on air.
    pub(super) fn take(&mut self, row: &UnnamedRow) {
        self.rows.chat_counted.merge(&row.chat_counted);
        self.rows.seen.merge(&row.seen);
    }

    /// Returns until when it counts.
    pub(super) fn until(&self) -> Option<EpochMs> {
        self.interval().map(|(_, until)| until)
    }

    /// From where to where it was live; by its rows, if there is no summary of it.
    fn interval(&self) -> Option<(EpochMs, EpochMs)> {
        match &self.summary {
            Some(digest) => Some((digest.start, digest.until)),
            None => self.span.map(|(first, last)| (first, EpochMs(last.0 + MINUTE_MS))),
        }
    }

    /// Returns its part in the period; `None` if it was not live in it.
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

    /// Returns the messages of the rows: counted ones, else the reported rates, each standing for
    /// its minute.
    fn chat_of_rows(&self) -> Option<FixedSum> {
        let counted = self.rows.chat_counted;
        if counted > 0 {
            return Some(FixedSum(i128::from(counted) * 1_000_000));
        }
        (!self.rows.chat_rate.is_empty()).then_some(self.rows.chat_rate.sum)
    }

    /// Returns how the report shows it.
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
            views: experience::views(&self.rows.seen.views),
            experience_score: self.rows.score(),
            starvation_count: digest.map_or(0, |digest| digest.starvation_count),
        }
    }
}

/// Returns milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    FixedSum(i128::from(ms) * 1_000).to_f64()
}

/// Rounded half up; estimates of messages have fractions.
fn whole_number(value: FixedSum) -> u64 {
    u64::try_from((value.0.max(0) + 500_000) / 1_000_000).unwrap_or(u64::MAX)
}
