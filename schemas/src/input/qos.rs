//! Player records of AWS's public QoS sample (`amazon-ivs-qos-dashboard-sample`), as its clients send
//! them, so that those players work unchanged.
//!
//! The clients send no time and no id: the time of receipt stands in. Some of the sample's mapping
//! templates turn numbers into text, and what is absent into an empty one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delay, Id, Latency, Measure, Time, fixed_text};

fixed_text! {
    /// `metric_type` of [`Play`].
    PlayType = "PLAY";
    /// `metric_type` of [`PlaybackSummary`].
    PlaybackSummaryType = "PLAYBACK_SUMMARY";
    /// `metric_type` of [`QualityChanged`].
    QualityChangedType = "QUALITY_CHANGED";
    /// `metric_type` of [`Stop`].
    StopType = "STOP";
}

/// A measurement as a number or as decimal text; an empty one is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum LooseMeasure {
    /// A number.
    Number(Measure),
    /// Its decimal text.
    Text(
        #[schemars(extend(
            "pattern" = r"^((0|[1-9]\d{0,11})(\.\d+)?|-0(\.0+)?|1000000000000(\.0+)?|)$"
        ))]
        String,
    ),
}

/// A delay in milliseconds, as a number or as decimal text; an empty one is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum LooseDelay {
    /// A number.
    Number(Delay),
    /// Its decimal text.
    Text(#[schemars(extend("pattern" = r"^((0|[1-9]\d{0,8})(\.\d+)?|-0(\.0+)?|)$"))] String),
}

/// A latency, or `-1` where it does not apply. Another one below zero says that the viewer's clock is
/// ahead: it is left out, and the rest of the record counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum LiveMeasure {
    /// A number.
    Number(Latency),
    /// Its decimal text.
    Text(#[schemars(extend("pattern" = r"^(-?(0|[1-9]\d{0,8})(\.\d+)?|)$"))] String),
}

/// A yes or no, which the sample's API turns into text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum LooseFlag {
    /// A JSON boolean.
    Flag(bool),
    /// Its text.
    Text(#[schemars(extend("pattern" = r"^(true|false|)$"))] String),
}

/// A latency in seconds, as [`LiveMeasure`] has it in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum LiveSeconds {
    /// A number.
    Number(#[schemars(range(min = -1_000_000_000_000_i64, max = 4_294_967))] f64),
    /// Its decimal text.
    Text(#[schemars(extend("pattern" = r"^(-?(0|[1-9]\d{0,5})(\.\d+)?|)$"))] String),
}

/// A time, or an empty text where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum ReceiptTime {
    /// A time.
    Time(Time),
    /// None.
    Absent(#[schemars(length(max = 0))] String),
}

/// The members of every record of the sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// Id of the player's session.
    pub session_id: Id,
    /// Id of the channel: what follows `channel.` in the playback URL.
    pub channel_watched: Id,
    /// Id of the viewer.
    pub user_id: Option<String>,
    /// `web`, `android` or `ios`.
    pub client_platform: Option<String>,
    /// Whether the source is live.
    pub is_live: Option<LooseFlag>,
    /// Time of receipt at the API, added in transit.
    pub event_time: Option<ReceiptTime>,
}

/// Playback began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Play {
    /// Always `PLAY`.
    pub metric_type: PlayType,
    /// Who and what.
    #[serde(flatten)]
    pub common: Common,
    /// Time to the first frame, milliseconds.
    pub startup_latency_ms: Option<LooseDelay>,
    /// Position at the start, seconds.
    pub start_playback_position_sec: Option<LooseMeasure>,
}

/// The events of the last minute or so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PlaybackSummary {
    /// Always `PLAYBACK_SUMMARY`.
    pub metric_type: PlaybackSummaryType,
    /// Who and what.
    #[serde(flatten)]
    pub common: Common,
    /// Errors.
    pub error_count: Option<LooseMeasure>,
    /// Time spent playing, milliseconds.
    pub playing_time_ms: Option<LooseMeasure>,
    /// Time spent rebuffering, milliseconds.
    pub buffering_time_ms: Option<LooseMeasure>,
    /// Stalls.
    pub buffering_count: Option<LooseMeasure>,
    /// Rendition at the time of the report.
    pub rendition_name: Option<String>,
    /// Its height, pixels.
    pub rendition_height: Option<LooseMeasure>,
    /// Delay between camera and player, milliseconds; `-1` where the source is not live.
    pub live_latency_ms: Option<LiveMeasure>,
    /// The same in seconds, read where the other is absent; `-1` where the source is not live.
    pub live_latency_sec: Option<LiveSeconds>,
}

/// The player changed its rendition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct QualityChanged {
    /// Always `QUALITY_CHANGED`.
    pub metric_type: QualityChangedType,
    /// Who and what.
    #[serde(flatten)]
    pub common: Common,
    /// Rendition before.
    pub from_rendition_name: Option<String>,
    /// Rendition after.
    pub to_rendition_name: Option<String>,
    /// Bitrate before, bits/s.
    pub from_bitrate: Option<LooseMeasure>,
    /// Bitrate after, bits/s.
    pub to_bitrate: Option<LooseMeasure>,
    /// `UP` or `DOWN`.
    pub step_direction: Option<String>,
}

/// Playback ended because another source was loaded; players that are closed send nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Stop {
    /// Always `STOP`.
    pub metric_type: StopType,
    /// Who and what.
    #[serde(flatten)]
    pub common: Common,
    /// Position at the end, seconds.
    pub end_playback_position_sec: Option<LooseMeasure>,
}
