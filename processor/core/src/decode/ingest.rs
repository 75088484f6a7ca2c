//! The settings of an encoder: the detail of the event by which a worker puts them into the stream, under
//! the names that the API of IVS has for them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::field::{ill_typed, metric, text};
use super::json::Value;
use super::reject::Rejection;
use super::slots::slots;
use crate::fixed::Fixed;

/// Longest text of it that is kept, in bytes: a codec has some ten, and an encoder says of itself what it
/// likes.
const MAX_TEXT_BYTES: usize = 256;

slots! {
    Video {
        codec: "codec",
        encoder: "encoder",
        profile: "avcProfile",
        level: "avcLevel",
        width: "videoWidth",
        height: "videoHeight",
        frame_rate: "targetFramerate",
        bitrate: "targetBitrate",
    }
}

slots! {
    Audio {
        codec: "codec",
        channels: "channels",
        sample_rate: "sampleRate",
        bitrate: "targetBitrate",
    }
}

/// The settings of an encoder. Field order is sort order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IngestConfiguration {
    /// The pictures.
    pub video: IngestVideo,
    /// The sound.
    pub audio: IngestAudio,
}

/// The pictures that an encoder sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IngestVideo {
    /// Such as `avc1.4D401F`.
    pub codec: Option<Arc<str>>,
    /// The encoder, as it calls itself.
    pub encoder: Option<Arc<str>>,
    /// Profile of the codec.
    pub profile: Option<Arc<str>>,
    /// Level of the codec.
    pub level: Option<Arc<str>>,
    /// Pixels.
    pub width: Option<Fixed>,
    /// Pixels.
    pub height: Option<Fixed>,
    /// Frames a second that it aims at.
    pub frame_rate: Option<Fixed>,
    /// Bits a second that it aims at.
    pub bitrate_bps: Option<Fixed>,
}

/// The sound that an encoder sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IngestAudio {
    /// Such as `mp4a.40.2`.
    pub codec: Option<Arc<str>>,
    /// Channels.
    pub channels: Option<Fixed>,
    /// Samples a second.
    pub sample_rate_hz: Option<Fixed>,
    /// Bits a second that it aims at.
    pub bitrate_bps: Option<Fixed>,
}

impl IngestConfiguration {
    /// Returns a text of it as it is kept: an empty one is none, and of a long one the beginning stays.
    #[must_use]
    pub fn kept(text: &str) -> Option<Arc<str>> {
        let kept = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
        (!kept.is_empty()).then(|| Arc::from(kept))
    }

    /// Returns a number of it as it is kept: the API has 0 for what it does not know.
    #[must_use]
    pub fn known(number: i64) -> Option<Fixed> {
        Some(number).filter(|number| *number > 0).and_then(Fixed::from_int)
    }
}

/// Reads both parts, each of which may be absent.
pub(super) fn configuration(
    video: Value<'_>,
    audio: Value<'_>,
) -> Result<IngestConfiguration, Rejection> {
    Ok(IngestConfiguration { video: pictures(video)?, audio: sound(audio)? })
}

fn pictures(value: Value<'_>) -> Result<IngestVideo, Rejection> {
    let mut found = Video::EMPTY;
    if let Some(object) = object("video", value)? {
        found.fill(object)?;
    }
    Ok(IngestVideo {
        codec: kept("codec", found.codec())?,
        encoder: kept("encoder", found.encoder())?,
        profile: kept("avcProfile", found.profile())?,
        level: kept("avcLevel", found.level())?,
        width: metric("videoWidth", found.width())?,
        height: metric("videoHeight", found.height())?,
        frame_rate: metric("targetFramerate", found.frame_rate())?,
        bitrate_bps: metric("targetBitrate", found.bitrate())?,
    })
}

fn sound(value: Value<'_>) -> Result<IngestAudio, Rejection> {
    let mut found = Audio::EMPTY;
    if let Some(object) = object("audio", value)? {
        found.fill(object)?;
    }
    Ok(IngestAudio {
        codec: kept("codec", found.codec())?,
        channels: metric("channels", found.channels())?,
        sample_rate_hz: metric("sampleRate", found.sample_rate())?,
        bitrate_bps: metric("targetBitrate", found.bitrate())?,
    })
}

fn object<'a>(name: &'static str, value: Value<'a>) -> Result<Option<&'a str>, Rejection> {
    match value {
        Value::Object(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        other => Err(ill_typed(name, "an object", other)),
    }
}

fn kept(name: &'static str, value: Value<'_>) -> Result<Option<Arc<str>>, Rejection> {
    Ok(text(name, value)?.as_deref().and_then(IngestConfiguration::kept))
}
