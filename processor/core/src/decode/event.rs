//! The events that a line can hold.

use std::borrow::Cow;

use super::fact::Fact;
use crate::channel::SaidBy;
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

/// Begins the session id of a record of the QoS sample, whose clients know their channel alone.
pub(super) const QOS_SESSION: &str = "qos:";
/// Begins the session id of a chat log's record that tells its room alone.
pub(super) const CHAT_SESSION: &str = "chat:";

/// Returns whether a session id was made up here from a channel or a room. Those of IVS begin with
/// `st-`.
///
/// Such a session has rows, minute by minute, and no beginning or end: nothing that a summary could
/// tell.
#[must_use]
pub fn is_made_up(session_id: &str) -> bool {
    session_id.starts_with(QOS_SESSION) || session_id.starts_with(CHAT_SESSION)
}

/// One accepted line. Texts borrow from the line unless they have escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A report of a broadcaster's backend about its stream (`metrics_update`).
    Gauge(Gauge<'a>),
    /// A report of one player about itself.
    Player(PlayerSample<'a>),
    /// A record of an IVS Chat log.
    Chat(ChatMessage<'a>),
    /// Something that happened to a stream, an account or a stage.
    Fact(Box<Fact>),
}

impl Event<'_> {
    /// Returns the event time.
    #[must_use]
    #[inline]
    pub fn time(&self) -> EpochMs {
        match self {
            Self::Gauge(gauge) => gauge.time,
            Self::Player(sample) => sample.time,
            Self::Chat(message) => message.time,
            Self::Fact(fact) => fact.time,
        }
    }

    /// Returns the id by which a repeated event is known, where it has one.
    #[must_use]
    #[inline]
    pub fn event_id(&self) -> Option<&str> {
        match self {
            Self::Gauge(gauge) => gauge.event_id.as_deref(),
            Self::Player(sample) => sample.event_id.as_deref(),
            Self::Chat(message) => message.event_id.as_deref(),
            Self::Fact(fact) => fact.event_id.as_deref(),
        }
    }
}

/// The stream as its own backend sees it, at one moment. Absent numbers are `None`, never 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge<'a> {
    /// The session (`sessionId`), an IVS `stream_id` or the application's own.
    pub session_id: Cow<'a, str>,
    /// The channel (`channelId`); of an ARN the last part.
    pub channel_id: Cow<'a, str>,
    /// `eventId`.
    pub event_id: Option<Cow<'a, str>>,
    /// `timestamp`, or else the arrival time.
    pub time: EpochMs,
    /// `currentViewers`.
    pub viewers: Option<Fixed>,
    /// `bitrate` of the ingest, bits/s.
    pub bitrate_bps: Option<Fixed>,
    /// `frameRate` of the ingest, frames/s.
    pub frame_rate: Option<Fixed>,
    /// `chatMessagesPerMinute`, a rate.
    pub chat_rate: Option<Fixed>,
    /// `cpuUsage` of the encoder, per cent.
    pub cpu: Option<Fixed>,
    /// `memoryUsage` of the encoder, per cent.
    pub memory: Option<Fixed>,
}

/// The activity of a player. Words are compared without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlayerState {
    /// `IDLE`: not loaded, or paused.
    Idle,
    /// `READY`: loaded, about to play.
    Ready,
    /// `BUFFERING`: waiting for data.
    Buffering,
    /// `PLAYING`.
    Playing,
    /// `ENDED`: at the end of the stream.
    Ended,
    /// A word that no IVS player SDK uses today; the sample's numbers count all the same.
    Other,
}

/// One player's report. Absent numbers are `None`, never 0.
///
/// Counts and durations are those since the player's previous report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerSample<'a> {
    /// The session watched. The public QoS sample's players do not know it: `qos:` + channel then,
    /// which no IVS stream id can equal.
    pub session_id: Cow<'a, str>,
    /// The channel watched; of an ARN the last part.
    pub channel_id: Cow<'a, str>,
    /// The player (`playerId`; QoS sample: its `session_id`, one for each page load).
    pub player_id: Cow<'a, str>,
    /// `eventId`; the QoS sample has none.
    pub event_id: Option<Cow<'a, str>>,
    /// `timestamp`; QoS sample: `event_time`, or else the arrival time.
    pub time: EpochMs,
    /// `state`.
    pub state: PlayerState,
    /// `bitrate` of the rendition played, bits/s (QoS sample: `to_bitrate`).
    pub bitrate_bps: Option<Fixed>,
    /// `frameRate`, frames/s.
    pub frame_rate: Option<Fixed>,
    /// `droppedFrames`.
    pub dropped_frames: Option<Fixed>,
    /// `bufferingMs`, time spent rebuffering (QoS sample: `buffering_time_ms`).
    pub buffering_ms: Option<Fixed>,
    /// `latencyMs`, from server to player (QoS sample: `live_latency_ms` or `live_latency_sec`).
    pub latency_ms: Option<Fixed>,
    /// Whether a latency was given that is below zero, because the viewer's clock is ahead. It is
    /// left out, and the rest of the record counts.
    pub latency_below_zero: bool,
    /// `playingMs`, time spent playing (QoS sample: `playing_time_ms`).
    pub playing_ms: Option<Fixed>,
    /// `rebufferCount` (QoS sample: `buffering_count`).
    pub rebuffer_count: Option<Fixed>,
    /// `startupMs`, from load to first frame (QoS sample: `startup_latency_ms`
    /// of `PLAY` and `STOP`; the others repeat it).
    pub startup_ms: Option<Fixed>,
    /// `errorCode`, a string or a number.
    pub error_code: Option<Cow<'a, str>>,
    /// `errorCount` (QoS sample: `error_count`).
    pub error_count: Option<Fixed>,
}

/// A record of an IVS Chat log.
///
/// IVS writes neither room nor session into the record. The room is in the name of the log stream or
/// object, or whoever forwards the log adds it, and may add the other two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage<'a> {
    /// The room, `room_arn` or `room_id` (of the record or of its payload), or else as the source
    /// names it; of an ARN the last part.
    pub room_id: Cow<'a, str>,
    /// `sessionId`, or else `chat:` + room, which no IVS stream id can equal.
    pub session_id: Cow<'a, str>,
    /// `channelId` (of an ARN the last part), or else the room.
    pub channel_id: Cow<'a, str>,
    /// Who says so: whoever forwards the log, or nobody.
    pub channel_said_by: SaidBy,
    /// The payload's `Id`.
    pub event_id: Option<Cow<'a, str>>,
    /// `event_timestamp`.
    pub time: EpochMs,
    /// 1 for a `MESSAGE`, 0 for an `EVENT` (a deletion, a disconnection).
    pub messages: u32,
}
