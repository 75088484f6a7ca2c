//! The application's `stream_start` and `stream_end`.

use super::fact::{AppEnd, AppStart, Fact, FactKind, FactOrigin, FactScope};
use super::field::{Fields, metric, optional_id, text};
use super::reject::Rejection;
use super::slots::slots;

slots! {
    Application {
        session_id: "sessionId",
        channel_id: "channelId",
        event_id: "eventId",
        time: "timestamp",
        streamer_user_id: "streamerUserId",
        title: "streamTitle",
        quality: "streamQuality",
        duration: "duration",
        peak_viewers: "peakViewers",
        total_chat_messages: "totalChatMessages",
        avg_bitrate: "avgBitrate",
    }
}

pub(super) fn start(line: &str, fields: Fields<'_>) -> Result<Fact, Rejection> {
    let mut slots = Application::EMPTY;
    slots.fill(line)?;
    let kind = FactKind::AppStart(AppStart {
        streamer_user_id: text("streamerUserId", slots.streamer_user_id())?,
        title: text("streamTitle", slots.title())?,
        quality: text("streamQuality", slots.quality())?,
    });
    fact(&slots, fields, kind)
}

pub(super) fn end(line: &str, fields: Fields<'_>) -> Result<Fact, Rejection> {
    let mut slots = Application::EMPTY;
    slots.fill(line)?;
    let kind = FactKind::AppEnd(AppEnd {
        duration_s: metric("duration", slots.duration())?,
        peak_viewers: metric("peakViewers", slots.peak_viewers())?,
        total_chat_messages: metric("totalChatMessages", slots.total_chat_messages())?,
        avg_bitrate_bps: metric("avgBitrate", slots.avg_bitrate())?,
    });
    fact(&slots, fields, kind)
}

fn fact(slots: &Application<'_>, fields: Fields<'_>, kind: FactKind) -> Result<Fact, Rejection> {
    Ok(Fact {
        scope: FactScope::Session {
            session_id: fields.id("sessionId", slots.session_id())?.into_owned(),
            channel_id: fields.resource_id("channelId", slots.channel_id())?.into_owned(),
        },
        time: fields.time_or_arrival("timestamp", slots.time())?,
        kind,
        event_id: optional_id("eventId", slots.event_id())?.map(Into::into),
        origin: FactOrigin::Application,
    })
}
