//! IVS events of channels (low-latency streaming).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, Resources, ResourcesIfAny};
use super::{Id, Measure, Open, fixed_text};

fixed_text! {
    /// `detail-type` of [`StreamStateEvent`].
    StreamStateType = "IVS Stream State Change";
    /// `detail-type` of [`StreamHealthEvent`].
    StreamHealthType = "IVS Stream Health Change";
    /// `detail-type` of [`LimitBreachEvent`].
    LimitBreachType = "IVS Limit Breach";
    /// `detail-type` of [`RecordingStateEvent`].
    RecordingStateType = "IVS Recording State Change";
    /// `detail-type` of [`AdBreakEvent`].
    AdBreakType = "IVS Ad Break State Change";
}

/// The life of a stream.
pub type StreamStateEvent = Envelope<StreamStateType, StreamState, Resources>;
/// The ingest starves or recovers.
pub type StreamHealthEvent = Envelope<StreamHealthType, StreamHealth, Resources>;
/// A limit of the stream or of the account is exceeded.
pub type LimitBreachEvent = Envelope<LimitBreachType, LimitBreach, ResourcesIfAny>;
/// A recording begins, ends or fails.
pub type RecordingStateEvent = Envelope<RecordingStateType, RecordingState, Resources>;
/// An ad break was put into the stream.
pub type AdBreakEvent = Envelope<AdBreakType, AdBreak, Resources>;

/// Values of [`StreamState::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StreamStateName {
    /// The stream key is accepted; nothing to watch yet, and perhaps never.
    #[serde(rename = "Session Created")]
    SessionCreated,
    /// The encoder is gone; may come before `Stream End`.
    #[serde(rename = "Session Ended")]
    SessionEnded,
    /// The stream can be watched.
    #[serde(rename = "Stream Start")]
    StreamStart,
    /// Nothing more to watch.
    #[serde(rename = "Stream End")]
    StreamEnd,
    /// IVS could not process the stream.
    #[serde(rename = "Stream Failure")]
    StreamFailure,
    /// An encoder of higher priority took the same stream over.
    #[serde(rename = "Stream Takeover")]
    StreamTakeover,
    /// A takeover was refused.
    #[serde(rename = "Stream Takeover Failure")]
    StreamTakeoverFailure,
}

/// `detail` of [`StreamStateEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamState {
    /// The event.
    pub event_name: Open<StreamStateName>,
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream: new each time the channel goes live.
    pub stream_id: Option<Id>,
    /// Why the stream failed, free text.
    pub reason: Option<String>,
    /// Code of a forced end or of a refused takeover.
    pub code: Option<String>,
}

/// Values of [`StreamHealth::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StreamHealthName {
    /// Data arrives too slowly for playback without pauses.
    #[serde(rename = "Starvation Start")]
    StarvationStart,
    /// Data arrives fast enough again.
    #[serde(rename = "Starvation End")]
    StarvationEnd,
}

/// `detail` of [`StreamHealthEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamHealth {
    /// The event.
    pub event_name: Open<StreamHealthName>,
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream.
    pub stream_id: Option<Id>,
}

/// Values of [`LimitBreach::limit_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LimitName {
    /// Of a stream: bits per second.
    #[serde(rename = "Ingest Bitrate")]
    IngestBitrate,
    /// Of a stream: total pixels, or pixels of an edge.
    #[serde(rename = "Ingest Resolution")]
    IngestResolution,
    /// Of the account: active streams.
    #[serde(rename = "Concurrent Broadcasts")]
    ConcurrentBroadcasts,
    /// Of the account: viewers.
    #[serde(rename = "Concurrent Viewers")]
    ConcurrentViewers,
}

/// `detail` of [`LimitBreachEvent`]; breaches of the account name neither channel nor stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("anyOf" = [
    { "required": ["limit_name"], "properties": { "limit_name": { "type": "string" } } },
    { "required": ["limit"], "properties": { "limit": { "type": "string" } } }
]))]
pub struct LimitBreach {
    /// Which limit, in 1 to 256 characters.
    #[schemars(extend("minLength" = 1, "maxLength" = 256))]
    pub limit_name: Option<Open<LimitName>>,
    /// The same, as EventBridge's schema registry calls the field; read where the other is absent.
    #[schemars(extend("minLength" = 1, "maxLength" = 256))]
    pub limit: Option<Open<LimitName>>,
    /// The limit.
    pub limit_value: Option<Measure>,
    /// By how much it is exceeded.
    pub exceeded_by: Option<Measure>,
    /// Unit of both numbers.
    pub limit_unit: Option<String>,
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream.
    pub stream_id: Option<Id>,
}

/// Values of [`RecordingState::recording_status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RecordingStatus {
    /// A recording began.
    #[serde(rename = "Recording Start")]
    Start,
    /// A recording is complete; with a reconnect window, later than the stream's end.
    #[serde(rename = "Recording End")]
    End,
    /// A recording could not begin.
    #[serde(rename = "Recording Start Failure")]
    StartFailure,
    /// A recording could not be completed.
    #[serde(rename = "Recording End Failure")]
    EndFailure,
}

/// `detail` of [`RecordingStateEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingState {
    /// The event.
    pub recording_status: Open<RecordingStatus>,
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream.
    pub stream_id: Option<Id>,
    /// Empty, or the name of an exception.
    pub recording_status_reason: Option<String>,
    /// S3 bucket.
    pub recording_s3_bucket_name: Option<String>,
    /// S3 key prefix; empty when the start failed.
    pub recording_s3_key_prefix: Option<String>,
    /// Length of the recording, milliseconds.
    pub recording_duration_ms: Option<Measure>,
    /// Id of the recording.
    pub recording_session_id: Option<String>,
    /// Every stream merged into the recording, at its end.
    #[schemars(extend(
        "items" = { "type": "string", "minLength": 1, "maxLength": 256 },
        "maxItems" = 2_000
    ))]
    pub recording_session_stream_ids: Option<Vec<String>>,
}

/// Values of [`AdBreak::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AdBreakName {
    /// An ad break was inserted.
    #[serde(rename = "Ad Break Inserted")]
    AdBreakInserted,
}

/// `detail` of [`AdBreakEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdBreak {
    /// The event.
    pub event_name: Open<AdBreakName>,
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream.
    pub stream_id: Option<Id>,
    /// Id of the ad break.
    pub ad_break_id: Option<String>,
    /// Length of the break, seconds, 1 to 300.
    pub duration_seconds: Option<Measure>,
    /// When the break is expected to enter the playlist.
    pub target_start_time: Option<String>,
}
