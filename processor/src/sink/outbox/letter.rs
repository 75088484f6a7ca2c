//! A letter of the outbox, as JSON: one object holds what one or a few calls carry.

use ivs_core::emit::{Datum, DatumValue, Series};
use ivs_core::experience::Dimension;
use ivs_schemas::catalogue::{BY_DIMENSION, METRICS, Metric};
use kinesis_model::EpochMs;
use serde::{Deserialize, Serialize};

use crate::sink::entry::Entry;

/// Layout of the object.
const VERSION: u32 = 1;
/// The same with datums by dimension, which a release without them would take for the channel's own.
const WITH_DIMENSIONS: u32 = 2;

/// An object of the outbox.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    version: u32,
    /// When it was written.
    pub(super) made_ms: EpochMs,
    /// The stored content.
    pub(super) content: Content,
}

/// The content of an object.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// Datums of one namespace.
    Metrics(Vec<StoredDatum>),
    /// Entries for the bus, in their order.
    Events(Vec<Entry>),
}

/// A datum whose metric is named.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredDatum {
    namespace: String,
    metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    /// The dimension of viewers beside the channel, by its name in rows, and its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    viewers: Option<(String, String)>,
    time_ms: EpochMs,
    /// Value and count of each; numbers as texts, because JSON readers round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<(String, String)>,
    /// Count, sum, smallest and largest of a StatisticSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statistics: Option<[String; 4]>,
}

/// Why an object cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LetterError {
    /// It is not the JSON that this program writes.
    #[error("is not readable: {0}")]
    Json(String),
    /// A later release wrote it.
    #[error("has layout {0}, which a later release writes")]
    Version(u32),
    /// The catalogue of this release has no such metric, or a number is none.
    #[error("has a datum of `{0}` that this release cannot read")]
    Datum(String),
}

impl Letter {
    /// Returns a letter of now.
    #[must_use]
    pub(super) fn new(made_ms: EpochMs, content: Content) -> Self {
        let by_dimension = matches!(&content, Content::Metrics(datums)
            if datums.iter().any(|datum| datum.viewers.is_some()));
        let version = if by_dimension { WITH_DIMENSIONS } else { VERSION };
        Self { version, made_ms, content }
    }

    /// Returns its bytes.
    #[must_use]
    pub(super) fn to_bytes(&self) -> bytes::Bytes {
        serde_json::to_vec(self).expect("texts and numbers").into()
    }

    /// Returns the letter of some bytes.
    ///
    /// # Errors
    /// See [`LetterError`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, LetterError> {
        let letter: Self =
            serde_json::from_slice(bytes).map_err(|error| LetterError::Json(error.to_string()))?;
        if [VERSION, WITH_DIMENSIONS].contains(&letter.version) {
            Ok(letter)
        } else {
            Err(LetterError::Version(letter.version))
        }
    }
}

impl From<&Datum> for StoredDatum {
    fn from(datum: &Datum) -> Self {
        let (mut channel, mut shard, mut viewers) = (None, None, None);
        match &datum.series {
            Series::Fleet => {}
            Series::Channel(id) => channel = Some(id.to_string()),
            Series::Shard(id) => shard = Some(id.to_string()),
            Series::Viewers { channel_id, dimension, value } => {
                channel = Some(channel_id.to_string());
                viewers = Some((dimension.as_str().to_owned(), value.to_string()));
            }
        }
        let text = |value: f64| value.to_string();
        let (mut values, mut statistics) = (Vec::new(), None);
        match &datum.value {
            DatumValue::Single(value) => values.push((text(*value), String::new())),
            DatumValue::Distribution(pairs) => {
                values = pairs.iter().map(|(value, count)| (text(*value), text(*count))).collect();
            }
            DatumValue::Statistics { count, sum, min, max } => {
                statistics = Some([*count, *sum, *min, *max].map(text));
            }
        }
        Self {
            namespace: datum.metric.namespace.as_str().to_owned(),
            metric: datum.metric.name.to_owned(),
            channel,
            shard,
            viewers,
            time_ms: datum.time,
            values,
            statistics,
        }
    }
}

impl TryFrom<&StoredDatum> for Datum {
    type Error = LetterError;

    fn try_from(stored: &StoredDatum) -> Result<Self, LetterError> {
        let error = || LetterError::Datum(stored.metric.clone());
        let is_it = |metric: &&Metric| {
            metric.name == stored.metric && metric.namespace.as_str() == stored.namespace
        };
        let metric = METRICS.iter().chain(BY_DIMENSION).find(is_it).ok_or_else(error)?;
        let series = match (&stored.channel, &stored.shard, &stored.viewers) {
            (Some(channel), _, Some((dimension, value))) => Series::Viewers {
                channel_id: channel.as_str().into(),
                dimension: Dimension::of_name(dimension).ok_or_else(error)?,
                value: value.as_str().into(),
            },
            (Some(channel), _, None) => Series::Channel(channel.as_str().into()),
            (None, Some(shard), _) => Series::Shard(shard.as_str().into()),
            (None, None, _) => Series::Fleet,
        };
        let number = |text: &String| text.parse::<f64>().map_err(|_| error());
        let value = match (&stored.statistics, stored.values.as_slice()) {
            (Some([count, sum, min, max]), _) => DatumValue::Statistics {
                count: number(count)?,
                sum: number(sum)?,
                min: number(min)?,
                max: number(max)?,
            },
            (None, [(value, count)]) if count.is_empty() => DatumValue::Single(number(value)?),
            (None, pairs) => DatumValue::Distribution(
                pairs
                    .iter()
                    .map(|(value, count)| Ok((number(value)?, number(count)?)))
                    .collect::<Result<_, LetterError>>()?,
            ),
        };
        Ok(Self { metric, series, time: stored.time_ms, value })
    }
}

#[cfg(test)]
mod tests {
    use ivs_schemas::catalogue::metrics::{
        CURRENT_VIEWERS, LAG, LIVE_LATENCY, STALLED_TIME, STREAMS_STARTED,
    };

    use super::*;

    fn datums() -> Vec<Datum> {
        let channel = || Series::Channel("c1".into());
        let datum = |metric, series, value| Datum { metric, series, time: EpochMs(60_000), value };
        vec![
            datum(&STREAMS_STARTED, Series::Fleet, DatumValue::Single(1.0)),
            datum(&LAG, Series::Shard("s".into()), DatumValue::Single(0.1 + 0.2)),
            datum(
                &LIVE_LATENCY,
                channel(),
                DatumValue::Distribution(vec![(2_100.25, 3.0), (1e300, 1.0)]),
            ),
            datum(
                &CURRENT_VIEWERS,
                channel(),
                DatumValue::Statistics { count: 2.0, sum: 0.3, min: -1e-9, max: 7.0 },
            ),
            datum(
                &STALLED_TIME,
                Series::Viewers {
                    channel_id: "c1".into(),
                    dimension: Dimension::PlayerVersion,
                    value: "1.56.1".into(),
                },
                DatumValue::Statistics { count: 1_500.0, sum: 1_500.0, min: 1.0, max: 1.0 },
            ),
        ]
    }

    #[test]
    fn datums_come_back_to_the_last_bit() {
        let stored = datums().iter().map(StoredDatum::from).collect();
        let letter = Letter::new(EpochMs(5), Content::Metrics(stored));
        let back = Letter::from_bytes(&letter.to_bytes()).unwrap();
        assert_eq!(back, letter);
        let Content::Metrics(stored) = &back.content else { panic!("{back:?}") };
        let back: Vec<Datum> = stored.iter().map(|datum| datum.try_into().unwrap()).collect();
        assert_eq!(back, datums());
    }

    #[test]
    fn a_letter_of_a_later_release_is_refused_in_words() {
        let letter = Letter::new(EpochMs(5), Content::Events(vec![]));
        let text = String::from_utf8(letter.to_bytes().to_vec()).unwrap();
        let later = text.replace(r#""version":1"#, r#""version":3"#);
        assert_eq!(Letter::from_bytes(later.as_bytes()), Err(LetterError::Version(3)));
        assert!(matches!(Letter::from_bytes(b"{"), Err(LetterError::Json(_))));
    }
}
