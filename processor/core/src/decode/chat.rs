//! Records of an IVS Chat log.

use std::borrow::Cow;

use super::event::{CHAT_SESSION, ChatMessage};
use super::field::{Fields, optional_id, resource_id};
use super::flat::{no_kind, word};
use super::json::Value;
use super::reject::Rejection;
use super::slots::slots;
use crate::channel::SaidBy;

slots! {
    Chat {
        r#type: "type",
        time: "event_timestamp",
        room_arn: "room_arn",
        room_id: "room_id",
        payload: "payload",
        session_id: "sessionId",
        channel_id: "channelId",
    }
}

slots! {
    Payload {
        id: "Id" | "id",
        room_arn: "RoomArn" | "room_arn",
        room_id: "RoomId" | "room_id",
    }
}

/// Reads the type: `MESSAGE` or `EVENT`.
pub(super) fn message<'a>(line: &'a str, fields: Fields<'_>) -> Result<ChatMessage<'a>, Rejection> {
    let mut slots = Chat::EMPTY;
    slots.fill(line)?;
    let messages = match word("type", slots.r#type())?.as_deref() {
        Some("MESSAGE") => 1,
        Some("EVENT") => 0,
        Some(other) => return Err(no_kind("type", other)),
        None => return Err(fields.missing("type")),
    };
    // A review handler may have replaced the payload by text, so other types are let pass.
    let mut payload = Payload::EMPTY;
    if let Value::Object(text) = slots.payload() {
        payload.fill(text)?;
    }
    let rooms = [slots.room_arn(), slots.room_id(), payload.room_arn(), payload.room_id()];
    let room = rooms.into_iter().find(|room| *room != Value::Null).unwrap_or_default();
    let room_id = match fields.room {
        Some(named) if room == Value::Null => Cow::Owned(named.to_owned()),
        _ => fields.resource_id("room_arn", room)?,
    };
    let session_id = optional_id("sessionId", slots.session_id())?
        .unwrap_or_else(|| Cow::Owned(format!("{CHAT_SESSION}{room_id}")));
    let channel_id = optional_id("channelId", slots.channel_id())?.map(resource_id);
    let channel_said_by = if channel_id.is_some() { SaidBy::Backend } else { SaidBy::Guess };
    Ok(ChatMessage {
        session_id,
        channel_said_by,
        channel_id: channel_id.unwrap_or_else(|| room_id.clone()),
        room_id,
        event_id: optional_id("Id", payload.id())?,
        time: fields.time("event_timestamp", slots.time())?,
        messages,
    })
}
