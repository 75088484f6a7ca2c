//! Facts: what happened to a stream, from IVS or from the application.

use ivs_schemas::items::sessions::event_type;
use ivs_schemas::names;
use serde::{Deserialize, Serialize};

use super::ingest::IngestConfiguration;
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

/// A lifecycle event. Owned, since facts are few and outlive their line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its subject.
    pub scope: FactScope,
    /// When it happened (IVS: whole seconds).
    pub time: EpochMs,
    /// The event.
    pub kind: FactKind,
    /// The envelope's `id`, or the application's `eventId`.
    pub event_id: Option<String>,
    /// Who says so.
    pub origin: FactOrigin,
}

/// Who reports a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FactOrigin {
    /// Amazon IVS, through EventBridge.
    Ivs,
    /// The application's own backend (`eventType`).
    Application,
}

/// The subject of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactScope {
    /// One stream of a channel.
    Session {
        /// The IVS `stream_id`, or the application's `sessionId`.
        session_id: String,
        /// Last part of the channel ARN, or the application's `channelId`.
        channel_id: String,
    },
    /// A channel, in an event that names no stream.
    Channel {
        /// Last part of the channel ARN.
        channel_id: String,
    },
    /// The account in one region.
    Account {
        /// Twelve digits; empty if the envelope has none.
        account: String,
        /// Such as `eu-west-1`; empty if the envelope has none.
        region: String,
    },
    /// A real-time stage.
    Stage {
        /// Last part of the stage ARN.
        stage_id: String,
        /// The stage session, where the event names it.
        session_id: Option<String>,
    },
    /// A server-side composition of a stage.
    Composition {
        /// Last part of the composition ARN.
        composition_id: String,
    },
}

/// The event. Names and fields of IVS are those of its EventBridge events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// The stream key is accepted; nothing can be watched yet, and perhaps never will.
    SessionCreated,
    /// The encoder is gone; may come before `StreamEnd`.
    SessionEnded {
        /// Why IVS ended it (multitrack streams only).
        code: Option<String>,
    },
    /// Viewers can watch.
    StreamStart,
    /// There is nothing more to watch.
    StreamEnd,
    /// IVS could not process the stream.
    StreamFailure {
        /// Free text.
        reason: Option<String>,
    },
    /// An encoder of higher priority took over; the stream stays the same.
    Takeover,
    /// A takeover was refused.
    TakeoverFailure {
        /// Such as `StreamTakeoverInvalidPriority`.
        code: Option<String>,
    },
    /// The ingest began to starve. A `StreamEnd` may follow without a `StarvationEnd`.
    StarvationStart,
    /// The ingest recovered.
    StarvationEnd,
    /// A limit was exceeded, of the stream or of the account.
    LimitBreach(LimitBreach),
    /// A recording began, ended or failed.
    Recording(Recording),
    /// An ad break was inserted.
    AdBreak(AdBreak),
    /// The settings of the encoder, which IVS tells only whoever asks. A part of the summary, and of no
    /// timeline.
    Ingest(Box<IngestConfiguration>),
    /// Anything about a stage, a composition or the recording of a participant.
    Stage(StageEvent),
    /// The application's `stream_start`.
    AppStart(AppStart),
    /// The application's `stream_end`.
    AppEnd(AppEnd),
    /// An IVS event that this version does not know: to be counted and kept, not to be understood.
    Unknown {
        /// The envelope's `detail-type`.
        detail_type: String,
        /// `event_name` or `recording_status`, where it has one.
        name: Option<String>,
    },
    /// An API call seen by CloudTrail, which IVS reports under its own source, or CloudWatch Logs
    /// trying its destination: to be counted only.
    Ignored,
    /// A record of the QoS sample with another `metric_type` than those of playback, such as the
    /// answer to a quiz: to be counted as unknown.
    Foreign,
}

impl FactKind {
    /// Returns whether it says nothing that is folded: it is counted and no more.
    #[must_use]
    pub const fn is_counted_only(&self) -> bool {
        matches!(self, Self::Ignored | Self::Foreign)
    }

    /// Returns whether it is of a type that this version does not know.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Foreign)
    }

    /// Returns the `eventType` of a timeline item, as `ivs_schemas` lists them; `None` for what belongs
    /// into no timeline.
    #[must_use]
    pub fn event_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::SessionCreated => event_type::SESSION_CREATED,
            Self::SessionEnded { .. } => event_type::SESSION_ENDED,
            Self::StreamStart | Self::AppStart(_) => event_type::STREAM_START,
            Self::StreamEnd | Self::AppEnd(_) => event_type::STREAM_END,
            Self::StreamFailure { .. } => event_type::STREAM_FAILURE,
            Self::Takeover => event_type::STREAM_TAKEOVER,
            Self::TakeoverFailure { .. } => event_type::STREAM_TAKEOVER_FAILURE,
            Self::StarvationStart => event_type::STARVATION_START,
            Self::StarvationEnd => event_type::STARVATION_END,
            Self::LimitBreach(_) => event_type::LIMIT_BREACH,
            Self::Recording(recording) => recording.phase.event_type(),
            Self::AdBreak(_) => event_type::AD_BREAK_INSERTED,
            Self::Unknown { .. } => event_type::UNKNOWN,
            Self::Stage(stage) => stage.event_type(),
            Self::Ingest(_) | Self::Ignored | Self::Foreign => return None,
        })
    }
}

/// `IVS Limit Breach`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitBreach {
    /// `limit_name` (also `limit`): `Ingest Bitrate`, `Concurrent Viewers` and so on.
    pub limit: String,
    /// `limit_value`, in `unit`.
    pub value: Option<Fixed>,
    /// `exceeded_by`: the amount over the limit, in `unit`.
    pub exceeded_by: Option<Fixed>,
    /// `limit_unit`: `bits per second`, `viewers` and so on.
    pub unit: Option<String>,
}

/// The stages of a recording (`recording_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordingPhase {
    /// `Recording Start`.
    Start,
    /// `Recording End`; with a reconnect window, that much after the stream's end.
    End,
    /// `Recording Start Failure`.
    StartFailure,
    /// `Recording End Failure`.
    EndFailure,
}

impl RecordingPhase {
    const fn event_type(self) -> &'static str {
        match self {
            Self::Start => event_type::RECORDING_START,
            Self::End => event_type::RECORDING_END,
            Self::StartFailure => event_type::RECORDING_START_FAILURE,
            Self::EndFailure => event_type::RECORDING_END_FAILURE,
        }
    }
}

/// `IVS Recording State Change`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// `recording_status`.
    pub phase: RecordingPhase,
    /// `recording_status_reason`: an exception's name, on failures.
    pub reason: Option<String>,
    /// `recording_s3_bucket_name`.
    pub bucket: Option<String>,
    /// `recording_s3_key_prefix`.
    pub key_prefix: Option<String>,
    /// `recording_duration_ms`.
    pub duration_ms: Option<Fixed>,
    /// `recording_session_id`.
    pub recording_id: Option<String>,
    /// `recording_session_stream_ids`: every stream merged into the recording.
    pub stream_ids: Vec<String>,
}

/// `IVS Ad Break State Change`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdBreak {
    /// `ad_break_id`.
    pub ad_break_id: Option<String>,
    /// `duration_seconds`.
    pub duration_s: Option<Fixed>,
    /// `target_start_time`, as IVS wrote it: an estimate.
    pub target_start: Option<String>,
}

/// An event of IVS Real-Time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEvent {
    /// The envelope's `detail-type`.
    pub detail_type: String,
    /// `event_name`.
    pub name: Option<String>,
    /// `participant_id`.
    pub participant_id: Option<String>,
    /// Last part of `stage_arn`: the stage that is composed.
    pub stage_id: Option<String>,
    /// `id`: a destination of a composition.
    pub destination_id: Option<String>,
    /// `error_code`.
    pub error_code: Option<String>,
    /// `reason`: free text.
    pub reason: Option<String>,
}

impl StageEvent {
    fn event_type(&self) -> &'static str {
        match (self.detail_type.as_str(), self.name.as_deref().unwrap_or_default()) {
            (names::STAGE_UPDATE, "Participant Publish Error") => {
                event_type::PARTICIPANT_PUBLISH_ERROR
            }
            (names::COMPOSITION_STATE_CHANGE, "Session Failure") => event_type::COMPOSITION_FAILURE,
            (names::COMPOSITION_STATE_CHANGE, "Destination Failure") => {
                event_type::COMPOSITION_DESTINATION_FAILURE
            }
            (names::COMPOSITION_STATE_CHANGE, _) => event_type::COMPOSITION_UPDATE,
            (
                names::PARTICIPANT_RECORDING_STATE_CHANGE,
                "Recording Start Failure" | "Recording End Failure",
            ) => event_type::PARTICIPANT_RECORDING_FAILURE,
            (names::PARTICIPANT_RECORDING_STATE_CHANGE, _) => event_type::PARTICIPANT_RECORDING,
            _ => event_type::STAGE_UPDATE,
        }
    }
}

/// The application's words about a stream that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppStart {
    /// `streamerUserId`.
    pub streamer_user_id: Option<String>,
    /// `streamTitle`.
    pub title: Option<String>,
    /// `streamQuality`, such as `720p`.
    pub quality: Option<String>,
}

/// The application's words about a stream that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEnd {
    /// `duration`, seconds.
    pub duration_s: Option<Fixed>,
    /// `peakViewers`.
    pub peak_viewers: Option<Fixed>,
    /// `totalChatMessages`.
    pub total_chat_messages: Option<Fixed>,
    /// `avgBitrate`, bits/s.
    pub avg_bitrate_bps: Option<Fixed>,
}
