//! The first look at a line: its kind, and the numbers of the two frequent kinds.

use std::borrow::Cow;

use fearless_simd::{Level, dispatch};

use super::event::{Gauge, PlayerSample, PlayerState};
use super::field::{Fields, delay, ill_typed, is_bounded, latency, metric, optional_id};
use super::json::{Fault, Value};
use super::keys::Tag;
use super::reject::{Reason, Rejection, excerpt};
use super::slots::slots;
use super::usual::Habits;

slots! {
    /// The members that tell the kinds apart, and those that `metrics_update` and
    /// `player_telemetry` carry.
    Flat {
        event_type: "eventType",
        r#type: "type",
        metric_type: "metric_type",
        detail_type: "detail-type",
        event_timestamp: "event_timestamp",
        session_id: "sessionId",
        channel_id: "channelId",
        event_id: "eventId",
        time: "timestamp",
        player_id: "playerId",
        state: "state",
        bitrate: "bitrate",
        frame_rate: "frameRate",
        dropped_frames: "droppedFrames",
        buffering_ms: "bufferingMs",
        latency_ms: "latencyMs",
        playing_ms: "playingMs",
        rebuffer_count: "rebufferCount",
        startup_ms: "startupMs",
        error_code: "errorCode",
        error_count: "errorCount",
        viewers: "currentViewers",
        chat_rate: "chatMessagesPerMinute",
        cpu: "cpuUsage",
        memory: "memoryUsage",
    }
}

/// The kinds of record, by the fields that tell them apart, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `detail-type`: an EventBridge envelope.
    Envelope,
    /// `eventType` `metrics_update`.
    Gauge,
    /// `eventType` `stream_start`.
    AppStart,
    /// `eventType` `stream_end`.
    AppEnd,
    /// `type` `player_telemetry`.
    Player,
    /// `metric_type`: a record of the IVS QoS sample.
    Qos,
    /// `event_timestamp`: a record of an IVS Chat log.
    Chat,
}

impl<'a> Flat<'a> {
    /// Fills the slots from the object that `text` begins with, as `fill_first` does, faster where
    /// it is a usual one; where it ends.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        text: &'a str,
        habits: &mut Habits,
        level: Level,
    ) -> Result<usize, Fault> {
        if let Some(end) = self.read_usual(text, habits, level) {
            return Ok(end);
        }
        *self = Self::EMPTY;
        self.fill_first(text)
    }

    /// Fills the slots from the object that `text` begins with, if it is a usual one; where it ends.
    #[inline(always)]
    pub(super) fn read_usual(
        &mut self,
        text: &'a str,
        habits: &mut Habits,
        level: Level,
    ) -> Option<usize> {
        dispatch!(level, simd => {
            let slot = |name: &[u8]| Self::slot(Tag::of(name), name);
            habits.walk(simd, text, slot, |slot, value| self.set(slot, value))
        })
    }

    #[inline(always)]
    pub(super) fn kind(&self) -> Result<Kind, Rejection> {
        // The frequent kinds first, each by all that tells it apart.
        let absent = |value: Value<'_>| value == Value::Null;
        if absent(self.detail_type()) {
            if self.event_type().is_text("metrics_update") {
                return Ok(Kind::Gauge);
            }
            let is_player = self.r#type().is_text("player_telemetry");
            let others = [self.event_type(), self.event_timestamp(), self.metric_type()];
            if is_player && others.into_iter().all(absent) {
                return Ok(Kind::Player);
            }
        }
        self.any_kind()
    }

    #[cold]
    fn any_kind(&self) -> Result<Kind, Rejection> {
        if self.detail_type() != Value::Null {
            return Ok(Kind::Envelope);
        }
        if let Some(name) = word("eventType", self.event_type())? {
            return match &*name {
                "metrics_update" => Ok(Kind::Gauge),
                "stream_start" => Ok(Kind::AppStart),
                "stream_end" => Ok(Kind::AppEnd),
                other => Err(no_kind("eventType", other)),
            };
        }
        if self.event_timestamp() != Value::Null {
            return Ok(Kind::Chat);
        }
        if self.metric_type() != Value::Null {
            return Ok(Kind::Qos);
        }
        match word("type", self.r#type())?.as_deref() {
            Some("player_telemetry") => Ok(Kind::Player),
            Some(other) => Err(no_kind("type", other)),
            None => {
                let detail = "none of detail-type, eventType, type, metric_type, event_timestamp";
                Err(Rejection::of_record(Reason::NoKind, detail))
            }
        }
    }

    #[inline(always)]
    pub(super) fn gauge(&self, fields: Fields<'_>) -> Result<Gauge<'a>, Rejection> {
        Ok(Gauge {
            session_id: fields.id("sessionId", self.session_id())?,
            channel_id: fields.resource_id("channelId", self.channel_id())?,
            event_id: optional_id("eventId", self.event_id())?,
            time: fields.time_or_arrival("timestamp", self.time())?,
            viewers: metric("currentViewers", self.viewers())?,
            bitrate_bps: metric("bitrate", self.bitrate())?,
            frame_rate: metric("frameRate", self.frame_rate())?,
            chat_rate: metric("chatMessagesPerMinute", self.chat_rate())?,
            cpu: metric("cpuUsage", self.cpu())?,
            memory: metric("memoryUsage", self.memory())?,
        })
    }

    #[inline(always)]
    pub(super) fn player(&self, fields: Fields<'_>) -> Result<PlayerSample<'a>, Rejection> {
        let (latency_ms, latency_below_zero) = latency("latencyMs", self.latency_ms())?;
        Ok(PlayerSample {
            session_id: fields.id("sessionId", self.session_id())?,
            channel_id: fields.resource_id("channelId", self.channel_id())?,
            player_id: fields.id("playerId", self.player_id())?,
            event_id: optional_id("eventId", self.event_id())?,
            time: fields.time("timestamp", self.time())?,
            state: state(fields, self.state())?,
            bitrate_bps: metric("bitrate", self.bitrate())?,
            frame_rate: metric("frameRate", self.frame_rate())?,
            dropped_frames: metric("droppedFrames", self.dropped_frames())?,
            buffering_ms: metric("bufferingMs", self.buffering_ms())?,
            latency_ms,
            latency_below_zero,
            playing_ms: metric("playingMs", self.playing_ms())?,
            rebuffer_count: metric("rebufferCount", self.rebuffer_count())?,
            startup_ms: delay("startupMs", self.startup_ms())?,
            error_code: error_code(self.error_code())?,
            error_count: metric("errorCount", self.error_count())?,
        })
    }
}

/// Returns a word that tells kinds apart.
pub(super) fn word<'a>(
    name: &'static str,
    value: Value<'a>,
) -> Result<Option<Cow<'a, str>>, Rejection> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text.get())),
        other => Err(ill_typed(name, "a string", other)),
    }
}

/// Returns the rejection of a record whose `name` is a word not known here.
pub(super) fn no_kind(name: &'static str, found: &str) -> Rejection {
    let detail = format!("{} names no kind of record known here", excerpt(found));
    Rejection::of_field(Reason::NoKind, name, detail)
}

#[inline(always)]
fn state(fields: Fields<'_>, value: Value<'_>) -> Result<PlayerState, Rejection> {
    if value.is_text("PLAYING") { Ok(PlayerState::Playing) } else { any_state(fields, value) }
}

fn any_state(fields: Fields<'_>, value: Value<'_>) -> Result<PlayerState, Rejection> {
    let state = word("state", value)?.ok_or_else(|| fields.missing("state"))?;
    let is = |word: &str| state.eq_ignore_ascii_case(word);
    Ok(if is("PLAYING") {
        PlayerState::Playing
    } else if is("BUFFERING") {
        PlayerState::Buffering
    } else if is("READY") {
        PlayerState::Ready
    } else if is("IDLE") {
        PlayerState::Idle
    } else if is("ENDED") {
        PlayerState::Ended
    } else {
        PlayerState::Other
    })
}

/// Player SDKs give numbers, applications often words.
#[inline(always)]
fn error_code(value: Value<'_>) -> Result<Option<Cow<'_, str>>, Rejection> {
    match value {
        Value::Null => Ok(None),
        Value::Number(Some(code)) if is_bounded(code) => Ok(Some(Cow::Owned(code.to_string()))),
        other => optional_id("errorCode", other),
    }
}
