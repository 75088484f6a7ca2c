//! The encoder's settings, as IVS tells them when it is asked (`GetStreamSession`): an event of a worker's
//! own, in the shape of those of IVS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, Resources};
use super::{Id, Measure, fixed_text};

fixed_text! {
    /// `detail-type` of [`IngestConfigurationEvent`].
    IngestConfigurationType = "IVS Ingest Configuration";
}

/// The settings of a stream's encoder.
pub type IngestConfigurationEvent =
    Envelope<IngestConfigurationType, IngestConfiguration, Resources>;

/// `detail` of [`IngestConfigurationEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngestConfiguration {
    /// Name of the channel, often empty.
    pub channel_name: Option<String>,
    /// Id of the stream.
    pub stream_id: Id,
    /// The pictures.
    pub video: Option<IngestVideo>,
    /// The sound.
    pub audio: Option<IngestAudio>,
}

/// The pictures in [`IngestConfiguration`], under the names of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestVideo {
    /// Codec, such as `avc1.4D401F`.
    pub codec: Option<String>,
    /// The encoder, as it calls itself.
    pub encoder: Option<String>,
    /// Profile of the codec.
    pub avc_profile: Option<String>,
    /// Level of the codec.
    pub avc_level: Option<String>,
    /// Width, pixels.
    pub video_width: Option<Measure>,
    /// Height, pixels.
    pub video_height: Option<Measure>,
    /// Frames a second that the encoder aims at.
    pub target_framerate: Option<Measure>,
    /// Bits a second that the encoder aims at.
    pub target_bitrate: Option<Measure>,
}

/// The sound in [`IngestConfiguration`], under the names of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestAudio {
    /// Codec, such as `mp4a.40.2`.
    pub codec: Option<String>,
    /// Channels.
    pub channels: Option<Measure>,
    /// Samples a second.
    pub sample_rate: Option<Measure>,
    /// Bits a second that the encoder aims at.
    pub target_bitrate: Option<Measure>,
}
