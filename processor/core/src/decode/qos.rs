//! Player records of the public AWS IVS QoS dashboard sample, as its published clients send them.
//!
//! Fields: aws-samples/amazon-ivs-qos-dashboard-timed-metadata-sample. Its transport turns some
//! numbers into strings, so both are read. The clients know their channel but no stream id.

use std::borrow::Cow;

use super::event::{PlayerSample, PlayerState, QOS_SESSION};
use super::field::{Fields, loose_metric};
use super::flat::{no_kind, word};
use super::json::Value;
use super::reject::Rejection;
use super::slots::slots;
use crate::fixed::Fixed;

/// What the clients send for the latency of a recorded video.
const NOT_LIVE: Option<Fixed> = Fixed::from_int(-1);

slots! {
    Qos {
        metric_type: "metric_type",
        session_id: "session_id",
        channel_watched: "channel_watched",
        event_time: "event_time",
        startup_latency_ms: "startup_latency_ms",
        error_count: "error_count",
        playing_time_ms: "playing_time_ms",
        buffering_time_ms: "buffering_time_ms",
        buffering_count: "buffering_count",
        live_latency_ms: "live_latency_ms",
        to_bitrate: "to_bitrate" | "to_rendition_bitrate",
    }
}

/// `PLAY`, `PLAYBACK_SUMMARY`, `QUALITY_CHANGED` or `STOP`.
pub(super) fn sample<'a>(line: &'a str, fields: Fields<'_>) -> Result<PlayerSample<'a>, Rejection> {
    let mut slots = Qos::EMPTY;
    slots.fill(line)?;
    let metric_type =
        word("metric_type", slots.metric_type())?.ok_or_else(|| fields.missing("metric_type"))?;
    let state = match &*metric_type {
        "PLAY" | "PLAYBACK_SUMMARY" | "QUALITY_CHANGED" => PlayerState::Playing,
        "STOP" => PlayerState::Ended,
        other => return Err(no_kind("metric_type", other)),
    };
    let channel_id = fields.resource_id("channel_watched", slots.channel_watched())?;
    let latency = match slots.live_latency_ms() {
        Value::Number(number) if number == NOT_LIVE => Value::Null,
        given => given,
    };
    Ok(PlayerSample {
        session_id: Cow::Owned(format!("{QOS_SESSION}{channel_id}")),
        channel_id,
        player_id: fields.id("session_id", slots.session_id())?,
        event_id: None,
        time: fields.time_or_arrival("event_time", slots.event_time())?,
        state,
        bitrate_bps: loose_metric("to_bitrate", slots.to_bitrate())?,
        frame_rate: None,
        dropped_frames: None,
        buffering_ms: loose_metric("buffering_time_ms", slots.buffering_time_ms())?,
        latency_ms: loose_metric("live_latency_ms", latency)?,
        playing_ms: loose_metric("playing_time_ms", slots.playing_time_ms())?,
        rebuffer_count: loose_metric("buffering_count", slots.buffering_count())?,
        startup_ms: loose_metric("startup_latency_ms", slots.startup_latency_ms())?,
        error_code: None,
        error_count: loose_metric("error_count", slots.error_count())?,
    })
}
