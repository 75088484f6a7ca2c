//! Player telemetry: what a viewer's player saw since its last report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delay, Id, Latency, Measure, Open, Time, fixed_text};

fixed_text! {
    /// `type` of [`PlayerTelemetry`].
    PlayerTelemetryType = "player_telemetry";
}

/// State of the IVS player; letter case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum PlayerState {
    /// Stopped or paused.
    Idle,
    /// Loaded, not yet playing.
    Ready,
    /// Waiting for data.
    Buffering,
    /// Playing.
    Playing,
    /// The stream is over.
    Ended,
}

/// A step in the life of a view; letter case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ViewEvent {
    /// The viewer asked to play.
    Attempt,
    /// The first frame was shown.
    Start,
    /// The view could not start.
    Failure,
    /// The view had started, and broke off with an error.
    Error,
    /// The view is over, for whatever other reason.
    End,
}

/// Whose fault it is that a view could not start; letter case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FailureKind {
    /// Something broke.
    Technical,
    /// It worked as it should: no subscription, another country, nothing to watch yet.
    Business,
}

/// Player SDKs give numbers, applications often words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum ErrorCode {
    /// A number, as HTTP status codes are.
    Number(#[schemars(range(min = -1_000_000_000_000_i64, max = 1_000_000_000_000_i64))] f64),
    /// A word.
    Word(Id),
}

/// One report of one player, every ten seconds or so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PlayerTelemetry {
    /// Always `player_telemetry`.
    #[serde(rename = "type")]
    pub kind: PlayerTelemetryType,
    /// Version of the producer's format.
    pub schema_version: Option<Measure>,
    /// Id of the event, by which repeats are recognized.
    pub event_id: Option<Id>,
    /// Id of the session: the IVS `stream_id`.
    pub session_id: Id,
    /// Id of the channel: the last part of its ARN.
    pub channel_id: Id,
    /// Id of the player; a viewer with two devices is two players.
    pub player_id: Id,
    /// End of the reported interval.
    pub timestamp: Time,
    /// Id of the view: from one play request to its end.
    pub view_id: Option<Id>,
    /// The latest turn of the view; absent in the reports between.
    pub view_event: Option<Open<ViewEvent>>,
    /// Of a `failure`: whose fault it is. Technical if absent.
    pub failure_kind: Option<Open<FailureKind>>,
    /// Of an `end`: whether the first frame had been shown. `false` makes it an exit before start.
    pub view_started: Option<bool>,
    /// State of the player.
    pub state: Open<PlayerState>,
    /// Bitrate of the rendition, bits/s.
    pub bitrate: Option<Measure>,
    /// Frames shown a second.
    pub frame_rate: Option<Measure>,
    /// Frames dropped since the last report.
    pub dropped_frames: Option<Measure>,
    /// Time spent rebuffering since the last report, milliseconds.
    pub buffering_ms: Option<Measure>,
    /// Delay between camera and player, milliseconds. One below zero is left out: a clock is ahead.
    pub latency_ms: Option<Latency>,
    /// Time spent playing since the last report, milliseconds.
    pub playing_ms: Option<Measure>,
    /// Stalls since the last report.
    pub rebuffer_count: Option<Measure>,
    /// Time from the play request to the first frame, milliseconds; once per view.
    pub startup_ms: Option<Delay>,
    /// Code of an error since the last report, as a word or a number.
    pub error_code: Option<ErrorCode>,
    /// Errors since the last report.
    pub error_count: Option<Measure>,
    /// Count of the player's reports.
    pub sequence: Option<Measure>,
    /// Rendition, such as `720p`.
    pub resolution: Option<String>,
    /// Country code of ISO 3166-1, such as `JP`.
    pub country: Option<String>,
    /// Kind of device, such as `mobile`.
    pub device: Option<String>,
    /// Operating system, such as `android`.
    pub os: Option<String>,
    /// Version of the player.
    pub player_version: Option<String>,
    /// Who delivered the stream.
    pub cdn: Option<String>,
}
