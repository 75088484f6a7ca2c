//! Application events: what the streaming application's own backend reports.
//!
//! `timestamp` may be absent, as it is in the tutorial's events; then the arrival time stands in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Id, Measure, Time, fixed_text};

fixed_text! {
    /// `eventType` of [`StreamStart`].
    StreamStartType = "stream_start";
    /// `eventType` of [`StreamEnd`].
    StreamEndType = "stream_end";
    /// `eventType` of [`MetricsUpdate`].
    MetricsUpdateType = "metrics_update";
}

/// A stream went live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct StreamStart {
    /// Always `stream_start`.
    pub event_type: StreamStartType,
    /// Id of the session: the IVS `stream_id` where it is known.
    pub session_id: Id,
    /// Id of the channel: the last part of its ARN.
    pub channel_id: Id,
    /// When it happened.
    pub timestamp: Option<Time>,
    /// Id of the event, by which repeats are recognized.
    pub event_id: Option<Id>,
    /// The broadcaster.
    pub streamer_user_id: Option<String>,
    /// Title.
    pub stream_title: Option<String>,
    /// Nominal quality such as `720p`.
    pub stream_quality: Option<String>,
}

/// A stream is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct StreamEnd {
    /// Always `stream_end`.
    pub event_type: StreamEndType,
    /// Id of the session: the IVS `stream_id` where it is known.
    pub session_id: Id,
    /// Id of the channel: the last part of its ARN.
    pub channel_id: Id,
    /// When it happened.
    pub timestamp: Option<Time>,
    /// Id of the event, by which repeats are recognized.
    pub event_id: Option<Id>,
    /// Length of the stream, seconds.
    pub duration: Option<Measure>,
    /// Largest number of viewers.
    pub peak_viewers: Option<Measure>,
    /// Chat messages of the whole stream.
    pub total_chat_messages: Option<Measure>,
    /// Mean ingest bitrate, bits/s.
    pub avg_bitrate: Option<Measure>,
}

/// The state of a live stream, every few seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct MetricsUpdate {
    /// Always `metrics_update`.
    pub event_type: MetricsUpdateType,
    /// Id of the session: the IVS `stream_id` where it is known.
    pub session_id: Id,
    /// Id of the channel: the last part of its ARN.
    pub channel_id: Id,
    /// When it was measured.
    pub timestamp: Option<Time>,
    /// Id of the event, by which repeats are recognized.
    pub event_id: Option<Id>,
    /// Viewers now.
    pub current_viewers: Option<Measure>,
    /// Ingest bitrate, bits/s.
    pub bitrate: Option<Measure>,
    /// Ingest frame rate, frames/s.
    pub frame_rate: Option<Measure>,
    /// Chat messages in the last minute.
    pub chat_messages_per_minute: Option<Measure>,
    /// CPU use of the encoder, percent.
    pub cpu_usage: Option<Measure>,
    /// Memory use of the encoder, percent.
    pub memory_usage: Option<Measure>,
}
