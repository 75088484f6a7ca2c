//! Records of the IVS Chat log.
//!
//! IVS names the room in the log's file or stream name only, so whoever forwards the records adds
//! it; without it a message belongs to nothing and is refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Id, Time};

/// Values of [`ChatLogRecord::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum ChatKind {
    /// A message; counted.
    Message,
    /// A moderation or custom event; not counted.
    Event,
}

/// One line of the chat log, with the room added by the forwarder, here or inside the payload.
///
/// A room without `sessionId` and `channelId` is counted as a channel of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(
    inline,
    extend("anyOf" = [
        { "required": ["room_arn"], "properties": { "room_arn": { "type": "string" } } },
        { "required": ["room_id"], "properties": { "room_id": { "type": "string" } } },
        { "required": ["payload"], "properties": { "payload": { "type": "object", "anyOf": [
            { "required": ["RoomArn"] },
            { "required": ["RoomId"] },
            { "required": ["room_arn"] },
            { "required": ["room_id"] }
        ] } } }
    ])
)]
pub struct ChatLogRecord {
    /// When IVS Chat received the message.
    pub event_timestamp: Time,
    /// Message or event.
    #[serde(rename = "type")]
    pub kind: ChatKind,
    /// Version of the log's format.
    pub version: Option<String>,
    /// The message as clients receive it; only its id, by which repeats are recognized, and a room
    /// are read.
    pub payload: Option<ChatPayload>,
    /// ARN of the room.
    pub room_arn: Option<Id>,
    /// Id of the room.
    pub room_id: Option<Id>,
    /// Id of the session the room belongs to, if the forwarder knows it.
    #[serde(rename = "sessionId")]
    pub session_id: Option<Id>,
    /// Id of the channel the room belongs to, if the forwarder knows it.
    #[serde(rename = "channelId")]
    pub channel_id: Option<Id>,
}

/// `payload` of [`ChatLogRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatPayload {
    /// Id of the message.
    #[serde(rename = "Id")]
    pub id: Option<Id>,
}
