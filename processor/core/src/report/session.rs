//! A session within a period.

use ivs_schemas::report::{Session, SessionStatus};

use super::bucket::{Bucket, mean};
use super::experience;
use super::period::Period;
use super::score::Spread;
use super::unnamed::{Unnamed, UnnamedRow};
use crate::fixed::FixedSum;
use crate::merge::Merge as _;
use crate::minute::MINUTE_MS;
use crate::session::{self, STALE_MS, SummaryAgg};
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
    /// Of a session without an end, when it can no longer be live, whatever else is known.
    overdue_at: Option<EpochMs>,
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
            overdue_at: summary.overdue_at(),
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

    /// Decides until when a session without an end counts. It is live up to now, unless it fell
    /// silent, is overdue, or the channel's next session began: then its end was not reported, and
    /// it counts up to its last record.
    fn settle(&mut self, now: EpochMs, next: Option<EpochMs>, unnamed: &Unnamed) {
        let Some(overdue_at) = self.overdue_at else { return };
        // One that sent records beside the next was not over by then.
        let is_over_by =
            |next: &EpochMs| self.heard_until.is_none_or(|heard| heard.0 - MINUTE_MS <= next.0);
        let over_at = next.filter(is_over_by).map_or(overdue_at, |next| next.min(overdue_at));
        let heard_until = self.heard_until.max(unnamed.heard_until(self.start, over_at));
        // Records of players and chat prove life; only where a session sent its own is silence odd.
        let is_silent = self.heard_until.is_some()
            && heard_until.is_some_and(|heard| heard.max(self.start).0 + STALE_MS <= now.0);
        if is_silent || over_at <= now {
            self.status = SessionStatus::Lost;
            self.until = heard_until.map_or(self.start, |heard| heard.min(over_at));
        } else {
            self.status = SessionStatus::Live;
            self.until = now;
        }
        self.until = self.until.max(self.start);
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

    /// Decides until when the session counts; `next` is when the channel's next one began.
    pub(super) fn settle(&mut self, now: EpochMs, next: Option<EpochMs>, unnamed: &Unnamed) {
        if let Some(digest) = &mut self.summary {
            digest.settle(now, next, unnamed);
        }
    }

    /// Takes a row of the channel that names no session, and was while this one was on air.
    pub(super) fn take(&mut self, row: &UnnamedRow) {
        self.rows.chat_counted.merge(&row.chat_counted);
        self.rows.seen.merge(&row.seen);
    }

    /// Returns when it began.
    pub(super) fn start(&self) -> Option<EpochMs> {
        self.interval().map(|(start, _)| start)
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
