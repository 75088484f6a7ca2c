//! Player records of the public AWS IVS QoS dashboard sample, as its published clients send them.
//!
//! Fields: aws-samples/amazon-ivs-qos-dashboard-timed-metadata-sample. Its transport turns some
//! numbers into strings, and what is absent into empty ones, so all are read. The clients know their
//! channel but no stream id.

use std::borrow::Cow;

use super::event::{Event, Labels, PlayerSample, PlayerState, QOS_SESSION, ViewEvent};
use super::fact::{Fact, FactKind, FactOrigin, FactScope};
use super::field::{Fields, absent_if_empty, delay, loose_delay, loose_latency, loose_metric};
use super::flat::word;
use super::json::Value;
use super::reject::Rejection;
use super::slots::slots;
use super::view::label;
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

/// The latency that clients send for a recorded video.
const NOT_LIVE: Option<Fixed> = Fixed::from_int(-1);

/// The same as text.
const NOT_LIVE_TEXT: &str = "-1";

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
        live_latency_sec: "live_latency_sec",
        to_bitrate: "to_bitrate" | "to_rendition_bitrate",
        client_platform: "client_platform",
        rendition_name: "rendition_name" | "to_rendition_name",
        country: "CloudFront-Viewer-Country",
        is_desktop: "CloudFront-Is-Desktop-Viewer",
        is_mobile: "CloudFront-Is-Mobile-Viewer",
        is_tablet: "CloudFront-Is-Tablet-Viewer",
        is_tv: "CloudFront-Is-SmartTV-Viewer",
    }
}

/// Returns a sample of a player, or a record of another type of the same endpoint.
pub(super) fn event<'a>(line: &'a str, fields: Fields<'_>) -> Result<Event<'a>, Rejection> {
    let mut slots = Qos::EMPTY;
    slots.fill(line)?;
    let metric_type =
        word("metric_type", slots.metric_type())?.ok_or_else(|| fields.missing("metric_type"))?;
    let state = match &*metric_type {
        "PLAY" | "PLAYBACK_SUMMARY" | "QUALITY_CHANGED" => PlayerState::Playing,
        "STOP" => PlayerState::Ended,
        _ => return other(&slots, fields),
    };
    Ok(Event::Player(sample(&slots, &metric_type, state, fields)?))
}

/// Returns a record that tells nothing of playback: the answer to a quiz, or what the sample's
/// backend makes of IVS's events. New types come with new versions of the sample.
fn other(slots: &Qos<'_>, fields: Fields<'_>) -> Result<Event<'static>, Rejection> {
    Ok(Event::Fact(Box::new(Fact {
        scope: FactScope::Account { account: String::new(), region: String::new() },
        time: time(slots, fields)?,
        kind: FactKind::Foreign,
        event_id: None,
        origin: FactOrigin::Application,
    })))
}

/// `PLAY`, `PLAYBACK_SUMMARY`, `QUALITY_CHANGED` or `STOP`.
fn sample<'a>(
    slots: &Qos<'a>,
    metric_type: &str,
    state: PlayerState,
    fields: Fields<'_>,
) -> Result<PlayerSample<'a>, Rejection> {
    let channel_id = fields.resource_id("channel_watched", slots.channel_watched())?;
    let startup = match metric_type {
        // Summaries repeat it, or say 0.
        "PLAYBACK_SUMMARY" | "QUALITY_CHANGED" => Value::Null,
        _ => slots.startup_latency_ms(),
    };
    let (latency_ms, latency_below_zero) = latency(slots)?;
    let player_id = fields.id("session_id", slots.session_id())?;
    let startup_ms = loose_delay("startup_latency_ms", startup)?;
    let view_event = match metric_type {
        "PLAY" => Some(ViewEvent::Start),
        // A published client sends what is a `PLAY` under this name.
        "STOP" if startup_ms.is_some() => Some(ViewEvent::Start),
        "STOP" => Some(ViewEvent::End),
        _ => None,
    };
    Ok(PlayerSample {
        session_id: Cow::Owned(format!("{QOS_SESSION}{channel_id}")),
        channel_id,
        view_id: Some(player_id.clone()),
        player_id,
        event_id: None,
        time: time(slots, fields)?,
        state,
        bitrate_bps: loose_metric("to_bitrate", slots.to_bitrate())?,
        frame_rate: None,
        dropped_frames: None,
        buffering_ms: loose_metric("buffering_time_ms", slots.buffering_time_ms())?,
        latency_ms,
        latency_below_zero,
        playing_ms: loose_metric("playing_time_ms", slots.playing_time_ms())?,
        rebuffer_count: loose_metric("buffering_count", slots.buffering_count())?,
        startup_ms,
        error_code: None,
        error_count: loose_metric("error_count", slots.error_count())?,
        view_event,
        labels: labels(slots),
    })
}

/// Returns what is known of the viewer. The platforms `android` and `ios` are operating systems,
/// `web` is not.
fn labels<'a>(slots: &Qos<'a>) -> Labels<'a> {
    let is_set = |value: Value<'_>| value == Value::Bool(true) || value.is_text("true");
    let device = [
        (slots.is_tv(), "tv"),
        (slots.is_tablet(), "tablet"),
        (slots.is_mobile(), "mobile"),
        (slots.is_desktop(), "desktop"),
    ];
    let device = device.into_iter().find(|(flag, _)| is_set(*flag));
    let os = label(slots.client_platform()).filter(|os| !os.eq_ignore_ascii_case("web"));
    [
        device.map(|(_, name)| Cow::Borrowed(name)),
        os,
        label(slots.country()),
        None,
        None,
        label(slots.rendition_name()),
    ]
}

/// Returns the time of receipt at the sample's API, or else here.
fn time(slots: &Qos<'_>, fields: Fields<'_>) -> Result<EpochMs, Rejection> {
    fields.time_or_arrival("event_time", absent_if_empty(slots.event_time()))
}

/// Returns the latency of a live stream, of milliseconds or else of seconds, and whether it was
/// below zero.
fn latency(slots: &Qos<'_>) -> Result<(Option<Fixed>, bool), Rejection> {
    match (if_live(slots.live_latency_ms()), if_live(slots.live_latency_sec())) {
        (Value::Null, seconds) => {
            const NAME: &str = "live_latency_sec";
            let (seconds, is_below_zero) = loose_latency(NAME, seconds)?;
            let ms = |seconds: Fixed| Fixed::from_micros(seconds.micros().saturating_mul(1_000));
            let ms = seconds.map_or(Value::Null, |seconds| Value::Number(Some(ms(seconds))));
            Ok((delay(NAME, ms)?, is_below_zero))
        }
        (ms, _) => loose_latency("live_latency_ms", ms),
    }
}

/// Returns a value that says more than that the source is not live.
fn if_live(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Number(number) if number == NOT_LIVE => Value::Null,
        value if value.is_text(NOT_LIVE_TEXT) => Value::Null,
        value => absent_if_empty(value),
    }
}
