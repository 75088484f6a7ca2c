//! A fact that EventBridge never brought, as an event in the shape of IVS's own.

use ivs_schemas::names::{INGEST_CONFIGURATION, RECONCILER_SOURCE};
use serde_json::{Map, Value, json};

use crate::decode::{IngestAudio, IngestConfiguration, IngestVideo};
use crate::fixed::Fixed;
use crate::session::Fingerprint;
use kinesis_model::EpochMs;

/// A fact to be put into the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostFact {
    pub(super) stream_id: String,
    pub(super) channel_arn: String,
    pub(super) time: EpochMs,
    pub(super) said: Said,
}

/// The content of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An event of IVS.
    Event {
        detail_type: &'static str,
        name: &'static str,
        /// Of its item in the timeline.
        event_type: &'static str,
        code: Option<String>,
    },
    /// The settings of the encoder.
    Ingest(IngestConfiguration),
}

impl LostFact {
    /// Returns its name, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.said {
            Said::Event { name, .. } => name,
            Said::Ingest(_) => INGEST_CONFIGURATION,
        }
    }

    /// Returns the event's id: the same whoever puts the fact, and however often, so that repetitions
    /// are told as such.
    #[must_use]
    pub fn id(&self) -> String {
        let print = Fingerprint::of(RECONCILER_SOURCE).text(&self.stream_id).number(self.time.0);
        let print = print.text(self.name()).text(&Value::Object(self.detail()).to_string());
        let digits: String = print.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{RECONCILER_SOURCE}-{digits}")
    }

    /// Returns the partition key, by which EventBridge's own event would have gone: all of a channel
    /// stays in one shard.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        &self.channel_arn
    }

    /// Returns the record to be put.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let detail_type = match self.said {
            Said::Event { detail_type, .. } => detail_type,
            Said::Ingest(_) => INGEST_CONFIGURATION,
        };
        let mut parts = self.channel_arn.split(':').skip(3);
        let (region, account) = (parts.next(), parts.next());
        let event = json!({
            "version": "0",
            "id": self.id(),
            "detail-type": detail_type,
            "source": RECONCILER_SOURCE,
            "account": account.unwrap_or_default(),
            "time": rfc3339(self.time),
            "region": region.unwrap_or_default(),
            "resources": [self.channel_arn],
            "detail": self.detail(),
        });
        event.to_string().into_bytes()
    }

    fn detail(&self) -> Map<String, Value> {
        let (stream_id, no_name) = (text(Some(&self.stream_id)), text(Some("")));
        let ids = [("channel_name", no_name), ("stream_id", stream_id)];
        let own = match &self.said {
            Said::Event { name, code, .. } => {
                [("event_name", text(Some(name))), ("code", text(code.as_deref()))]
            }
            Said::Ingest(told) => {
                let IngestConfiguration { video: pictures, audio: sound } = told;
                [("video", Some(video(pictures))), ("audio", Some(audio(sound)))]
            }
        };
        object(own.into_iter().chain(ids))
    }
}

/// Returns the pictures under the names of the API; what is unknown is absent.
fn video(told: &IngestVideo) -> Value {
    let IngestVideo { codec, encoder, profile, level, width, height, frame_rate, bitrate_bps } =
        told;
    Value::Object(object([
        ("codec", text(codec.as_deref())),
        ("encoder", text(encoder.as_deref())),
        ("avcProfile", text(profile.as_deref())),
        ("avcLevel", text(level.as_deref())),
        ("videoWidth", number(*width)),
        ("videoHeight", number(*height)),
        ("targetFramerate", number(*frame_rate)),
        ("targetBitrate", number(*bitrate_bps)),
    ]))
}

/// Returns the sound under the names of the API; what is unknown is absent.
fn audio(told: &IngestAudio) -> Value {
    let IngestAudio { codec, channels, sample_rate_hz, bitrate_bps } = told;
    Value::Object(object([
        ("codec", text(codec.as_deref())),
        ("channels", number(*channels)),
        ("sampleRate", number(*sample_rate_hz)),
        ("targetBitrate", number(*bitrate_bps)),
    ]))
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<Value>)>) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn text(value: Option<&str>) -> Option<Value> {
    value.map(Value::from)
}

/// Returns a number as JSON; those of the API are whole.
fn number(value: Option<Fixed>) -> Option<Value> {
    value.map(|number| Value::from(number.round()))
}

fn rfc3339(time: EpochMs) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0);
    time.map_or_else(|_| String::new(), |time| time.to_string())
}
