//! The fold behind a session's summary item.
//!
//! It has two halves that merge by different laws. [`Lifecycle`] is idempotent: events may come
//! twice, replayed and from two sources. [`Telemetry`] counts every accepted record once, which
//! the row's `applied` map guarantees. Both are commutative, associative and exact (E4). What the
//! halves mean together is derived at reading, in `derived.rs`, so no order of arrival can show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lattice::{Bounded, First, Latest};
use crate::channel::SaidBy;
use crate::decode::{
    AdBreak, AppEnd, AppStart, FactKind, FactOrigin, IngestConfiguration, LimitBreach, Recording,
    RecordingPhase,
};
use crate::experience::ViewTotals;
use crate::fixed::{Fixed, FixedSum};
use crate::merge::{Merge, Stat, Total};
use crate::minute::Minute;
use crate::sketch::Distinct;
use crate::window::WindowAgg;
use kinesis_model::EpochMs;

/// Most starts of starvation kept, and as many ends: a minute each for most of a working day, in
/// about 10 KB of the item's 400. Beyond it the earliest stay, and the figures are lower bounds.
pub const MAX_STARVATIONS: usize = 512;
/// Most takeovers, breaches and recordings kept of a session, each; IVS allows 100 takeovers of a
/// stream. Beyond it the earliest stay.
pub const MAX_INCIDENTS: usize = 128;
/// Most ad breaks kept of a session: one every six minutes for 48 hours. The earliest stay.
pub const MAX_AD_BREAKS: usize = 512;
/// Longest text of an event that the summary keeps, in bytes: with the bounds above the item stays
/// below DynamoDB's 400 KB. The timeline has the whole text.
pub const MAX_TEXT_BYTES: usize = 256;

/// The fold of a session's facts and telemetry: the state of the summary item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryAgg {
    /// The channel; where records disagree, [`crate::channel`] decides.
    pub channel_id: Arc<str>,
    /// Who says so.
    pub channel_said_by: SaidBy,
    /// The fold of lifecycle events.
    pub lifecycle: Lifecycle,
    /// The sum of windows.
    pub telemetry: Telemetry,
    /// The views. Apart from the telemetry: a release that does not know them keeps what it does not
    /// know beside its own attributes, and not inside them.
    pub views: ViewTotals,
    /// The settings of the encoder, as IVS said latest. Apart from the lifecycle for the same reason.
    pub ingest: Latest<IngestConfiguration>,
}

/// The facts known from lifecycle events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Earliest `Session Created`.
    pub created: First<()>,
    /// Earliest start, from IVS or the application.
    pub started: First<FactOrigin>,
    /// Latest `Stream End` or `stream_end`.
    pub stream_ended: Latest<FactOrigin>,
    /// Latest `Session Ended`, with its code.
    pub session_ended: Latest<Option<Arc<str>>>,
    /// Earliest `Stream Failure`, with its reason.
    pub failed: First<Option<Arc<str>>>,
    /// `streamerUserId` of the earliest `stream_start` that has one.
    pub streamer_user_id: First<Arc<str>>,
    /// `streamTitle` of the earliest `stream_start` that has one.
    pub stream_title: First<Arc<str>>,
    /// `streamQuality` of the earliest `stream_start` that has one.
    pub stream_quality: First<Arc<str>>,
    /// The application's report at the end.
    pub reported: Reported,
    /// Times of `Starvation Start`.
    pub starvation_starts: Bounded<EpochMs, MAX_STARVATIONS>,
    /// Times of `Starvation End`.
    pub starvation_ends: Bounded<EpochMs, MAX_STARVATIONS>,
    /// Times of `Stream Takeover`.
    pub takeovers: Bounded<EpochMs, MAX_INCIDENTS>,
    /// Limit breaches of the stream.
    pub limit_breaches: Bounded<BreachFact, MAX_INCIDENTS>,
    /// Steps of recordings.
    pub recordings: Bounded<RecordingFact, MAX_INCIDENTS>,
    /// Ad breaks.
    pub ad_breaks: Bounded<AdBreakFact, MAX_AD_BREAKS>,
    /// Events of a type this version does not know.
    pub unknown: Bounded<(EpochMs, Arc<str>), MAX_INCIDENTS>,
}

/// Figures of the application's `stream_end`, each from the latest that has it. Kept apart from
/// what is derived, which is preferred.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// `duration`, seconds.
    pub duration_s: Latest<Fixed>,
    /// `peakViewers`.
    pub peak_viewers: Latest<Fixed>,
    /// `totalChatMessages`.
    pub total_chat_messages: Latest<Fixed>,
    /// `avgBitrate`, bits/s.
    pub avg_bitrate_bps: Latest<Fixed>,
}

/// A limit breach. Field order is sort order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BreachFact {
    /// When.
    pub time: EpochMs,
    /// Which limit, such as `Ingest Bitrate`.
    pub limit: Arc<str>,
    /// Its unit.
    pub unit: Option<Arc<str>>,
    /// The limit.
    pub value: Option<Fixed>,
    /// The amount over it.
    pub exceeded_by: Option<Fixed>,
}

/// A step of a recording. Field order is sort order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordingFact {
    /// When.
    pub time: EpochMs,
    /// Which step.
    pub phase: RecordingPhase,
    /// Id of the recording session.
    pub recording_id: Option<Arc<str>>,
    /// S3 bucket.
    pub bucket: Option<Arc<str>>,
    /// S3 key prefix.
    pub key_prefix: Option<Arc<str>>,
    /// Length, milliseconds.
    pub duration_ms: Option<Fixed>,
    /// Why it failed.
    pub reason: Option<Arc<str>>,
}

/// An ad break. Field order is sort order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdBreakFact {
    /// When it was inserted.
    pub time: EpochMs,
    /// Its id.
    pub ad_break_id: Option<Arc<str>>,
    /// Its length, seconds.
    pub duration_s: Option<Fixed>,
}

/// The sum of a session's windows. Absent figures have count 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Accepted telemetry records.
    pub records: u64,
    /// First and last minute of event time with a record.
    pub span: Option<Span>,
    /// Viewers, as the backend reports them.
    pub viewers: Stat,
    /// The stream's own bitrate, bits/s.
    pub bitrate: Total,
    /// The stream's own frame rate, frames/s.
    pub frame_rate: Total,
    /// Chat messages a minute, as the backend reports them.
    pub chat_rate: Total,
    /// Chat messages counted from the chat log.
    pub chat_messages: u64,
    /// Records of players.
    pub player_records: u64,
    /// The players. Stored beside the rest, as a sketch that others can read.
    #[serde(skip)]
    pub players: Distinct,
    /// The bitrate that players received, bits/s.
    pub player_bitrate: Total,
    /// Time that players played, milliseconds.
    pub playing_ms: Total,
    /// Time that players stalled, milliseconds.
    pub buffering_ms: Total,
    /// The part of `buffering_ms` from records that tell `playing_ms` too.
    pub watch_buffering_ms: FixedSum,
    /// Stalls.
    pub rebuffers: Total,
    /// Playbacks whose time to the first frame was reported.
    pub startups: u64,
    /// Errors of players.
    pub player_errors: u64,
    /// Frames that players dropped.
    pub dropped_frames: Total,
}

/// First and last minute with telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The earliest.
    pub first: Minute,
    /// The latest.
    pub last: Minute,
}

impl SummaryAgg {
    /// Counts a statement about the channel in.
    pub fn see_channel(&mut self, channel_id: &Arc<str>, by: SaidBy) {
        self.channel_said_by.note(&mut self.channel_id, channel_id, by);
    }

    /// Folds a fact of the session. Folding it again changes nothing.
    pub fn add(&mut self, time: EpochMs, kind: &FactKind, origin: FactOrigin) {
        match kind {
            FactKind::Ingest(told) => self.ingest.note(time, IngestConfiguration::clone(told)),
            kind => self.lifecycle.add(time, kind, origin),
        }
    }

    /// Adds the partial of one window of an epoch; each exactly once.
    pub fn absorb(&mut self, minute: Minute, window: &WindowAgg) {
        self.telemetry.absorb(minute, window);
        self.views.merge(&ViewTotals {
            views: window.views,
            startups: window.startup.count(),
            startup_sum_ms: window.startup_sum_ms,
        });
    }
}

impl Lifecycle {
    /// Folds a fact of the session. Folding it again changes nothing.
    pub fn add(&mut self, time: EpochMs, kind: &FactKind, origin: FactOrigin) {
        match kind {
            FactKind::SessionCreated => self.created.note(time, ()),
            FactKind::SessionEnded { code } => self.session_ended.note(time, clip(code.as_deref())),
            FactKind::StreamStart => self.started.note(time, origin),
            FactKind::StreamEnd => self.stream_ended.note(time, origin),
            FactKind::StreamFailure { reason } => self.failed.note(time, clip(reason.as_deref())),
            FactKind::Takeover => self.takeovers.insert(time),
            FactKind::StarvationStart => self.starvation_starts.insert(time),
            FactKind::StarvationEnd => self.starvation_ends.insert(time),
            FactKind::LimitBreach(breach) => self.limit_breaches.insert(breach_fact(time, breach)),
            FactKind::Recording(step) => self.recordings.insert(recording_fact(time, step)),
            FactKind::AdBreak(ad) => self.ad_breaks.insert(ad_break_fact(time, ad)),
            FactKind::AppStart(start) => self.add_app_start(time, start, origin),
            FactKind::AppEnd(end) => self.add_app_end(time, end, origin),
            FactKind::Unknown { detail_type, .. } => {
                self.unknown.insert((time, clip_text(detail_type)));
            }
            // The encoder's settings stand beside the lifecycle. The rest is of the timeline only: the
            // stream goes on as it was, or it is not a stream.
            FactKind::TakeoverFailure { .. }
            | FactKind::Ingest(_)
            | FactKind::Stage(_)
            | FactKind::Ignored
            | FactKind::Foreign => {}
        }
    }

    fn add_app_start(&mut self, time: EpochMs, start: &AppStart, origin: FactOrigin) {
        self.started.note(time, origin);
        for (kept, stated) in [
            (&mut self.streamer_user_id, &start.streamer_user_id),
            (&mut self.stream_title, &start.title),
            (&mut self.stream_quality, &start.quality),
        ] {
            if let Some(text) = stated {
                kept.note(time, clip_text(text));
            }
        }
    }

    fn add_app_end(&mut self, time: EpochMs, end: &AppEnd, origin: FactOrigin) {
        self.stream_ended.note(time, origin);
        for (kept, stated) in [
            (&mut self.reported.duration_s, end.duration_s),
            (&mut self.reported.peak_viewers, end.peak_viewers),
            (&mut self.reported.total_chat_messages, end.total_chat_messages),
            (&mut self.reported.avg_bitrate_bps, end.avg_bitrate_bps),
        ] {
            if let Some(number) = stated {
                kept.note(time, number);
            }
        }
    }
}

impl Telemetry {
    fn absorb(&mut self, minute: Minute, window: &WindowAgg) {
        self.records.merge(&window.records);
        self.span.merge(&Some(Span { first: minute, last: minute }));
        self.viewers.merge(&window.viewers.stat);
        self.bitrate.merge(&window.bitrate.total);
        self.frame_rate.merge(&window.frame_rate.total);
        self.chat_rate.merge(&window.chat_rate.total);
        self.chat_messages.merge(&window.chat_messages);
        self.player_records.merge(&window.player_records);
        self.players.merge(&window.players);
        self.player_bitrate.merge(&window.player_bitrate.total);
        self.playing_ms.merge(&window.playing_ms);
        self.buffering_ms.merge(&window.buffering_ms);
        self.watch_buffering_ms += window.watch_buffering_ms;
        self.rebuffers.merge(&window.rebuffers);
        self.startups.merge(&window.startup.count());
        self.player_errors.merge(&window.player_errors);
        self.dropped_frames.merge(&window.dropped_frames.total);
    }
}

/// Returns the beginning of a text, at most [`MAX_TEXT_BYTES`].
fn clip_text(text: &str) -> Arc<str> {
    Arc::from(&text[..text.floor_char_boundary(MAX_TEXT_BYTES)])
}

fn clip(text: Option<&str>) -> Option<Arc<str>> {
    text.map(clip_text)
}

fn breach_fact(time: EpochMs, breach: &LimitBreach) -> BreachFact {
    BreachFact {
        time,
        limit: clip_text(&breach.limit),
        unit: clip(breach.unit.as_deref()),
        value: breach.value,
        exceeded_by: breach.exceeded_by,
    }
}

fn recording_fact(time: EpochMs, step: &Recording) -> RecordingFact {
    RecordingFact {
        time,
        phase: step.phase,
        recording_id: clip(step.recording_id.as_deref()),
        bucket: clip(step.bucket.as_deref()),
        key_prefix: clip(step.key_prefix.as_deref()),
        duration_ms: step.duration_ms,
        reason: clip(step.reason.as_deref()),
    }
}

fn ad_break_fact(time: EpochMs, ad: &AdBreak) -> AdBreakFact {
    let ad_break_id = clip(ad.ad_break_id.as_deref());
    AdBreakFact { time, ad_break_id, duration_s: ad.duration_s }
}

impl Merge for Span {
    fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Merge for SummaryAgg {
    fn merge(&mut self, other: &Self) {
        let Self { channel_id, channel_said_by, lifecycle, telemetry, views, ingest } = other;
        self.see_channel(channel_id, *channel_said_by);
        self.lifecycle.merge(lifecycle);
        self.telemetry.merge(telemetry);
        self.views.merge(views);
        self.ingest.merge(ingest);
    }
}

/// Merges every field; a field left out does not compile.
macro_rules! merge_fields {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl Merge for $type {
            fn merge(&mut self, other: &Self) {
                let Self { $($field),+ } = other;
                $(self.$field.merge($field);)+
            }
        }
    };
}

merge_fields!(Lifecycle {
    created,
    started,
    stream_ended,
    session_ended,
    failed,
    streamer_user_id,
    stream_title,
    stream_quality,
    reported,
    starvation_starts,
    starvation_ends,
    takeovers,
    limit_breaches,
    recordings,
    ad_breaks,
    unknown,
});

merge_fields!(Reported { duration_s, peak_viewers, total_chat_messages, avg_bitrate_bps });

impl Merge for Telemetry {
    fn merge(&mut self, other: &Self) {
        let Self {
            records,
            span,
            viewers,
            bitrate,
            frame_rate,
            chat_rate,
            chat_messages,
            player_records,
            players,
            player_bitrate,
            playing_ms,
            buffering_ms,
            watch_buffering_ms,
            rebuffers,
            startups,
            player_errors,
            dropped_frames,
        } = other;
        self.watch_buffering_ms += *watch_buffering_ms;
        self.records.merge(records);
        self.span.merge(span);
        self.viewers.merge(viewers);
        self.bitrate.merge(bitrate);
        self.frame_rate.merge(frame_rate);
        self.chat_rate.merge(chat_rate);
        self.chat_messages.merge(chat_messages);
        self.player_records.merge(player_records);
        self.players.merge(players);
        self.player_bitrate.merge(player_bitrate);
        self.playing_ms.merge(playing_ms);
        self.buffering_ms.merge(buffering_ms);
        self.rebuffers.merge(rebuffers);
        self.startups.merge(startups);
        self.player_errors.merge(player_errors);
        self.dropped_frames.merge(dropped_frames);
    }
}
