//! One CloudWatch datum, and the rules CloudWatch refuses it by.

use std::sync::Arc;

use ivs_schemas::catalogue::{self, Metric};

use crate::experience::Dimension;
use kinesis_model::EpochMs;

/// Most distinct values of one datum (`PutMetricData`: `Values`, `Counts`).
pub const MAX_VALUES: usize = 150;
/// Longest dimension value, in characters.
pub const MAX_DIMENSION_CHARS: usize = 1_024;
/// Largest magnitude CloudWatch takes: 2^360.
pub const MAX_MAGNITUDE: f64 = f64::from_bits((1023 + 360) << 52);
/// Smallest magnitude beside 0 that CloudWatch takes: 2^-360.
pub const MIN_MAGNITUDE: f64 = f64::from_bits((1023 - 360) << 52);
/// CloudWatch takes points up to two weeks old.
pub const OLDEST_MS: i64 = 14 * 24 * 3_600_000;
/// CloudWatch takes points up to two hours ahead.
pub const FARTHEST_AHEAD_MS: i64 = 2 * 3_600_000;

/// Which series of its metric a datum belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Series {
    /// The series without dimensions.
    Fleet,
    /// A channel's, dimension `ChannelId`.
    Channel(Arc<str>),
    /// A shard's, dimension `Shard`.
    Shard(Arc<str>),
    /// Of a channel's viewers with one value of a dimension: `ChannelId` and the dimension.
    Viewers {
        /// The channel.
        channel_id: Arc<str>,
        /// The dimension.
        dimension: Dimension,
        /// The value, one of the configured list or `other`.
        value: Arc<str>,
    },
}

impl Series {
    /// Returns names and values of the dimensions; none for the fleet.
    pub fn dimensions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (first, second) = match self {
            Self::Fleet => (None, None),
            Self::Channel(id) => (Some((catalogue::CHANNEL_ID, &**id)), None),
            Self::Shard(id) => (Some((catalogue::SHARD, &**id)), None),
            Self::Viewers { channel_id, dimension, value } => (
                Some((catalogue::CHANNEL_ID, &**channel_id)),
                Some((catalogue::VIEWER_DIMENSIONS[*dimension as usize], &**value)),
            ),
        };
        first.into_iter().chain(second)
    }
}

/// Samples of one series in one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    /// The metric, with its unit.
    pub metric: &'static Metric,
    /// The series.
    pub series: Series,
    /// Start of the minute.
    pub time: EpochMs,
    /// The samples.
    pub value: DatumValue,
}

/// Samples, in the metric's unit.
#[derive(Clone, Debug, PartialEq)]
pub enum DatumValue {
    /// One sample.
    Single(f64),
    /// Distinct values, ascending, each with how often it occurred: percentiles survive. At most
    /// [`MAX_VALUES`].
    Distribution(Vec<(f64, f64)>),
    /// A StatisticSet. Sets of one minute add up inside CloudWatch; percentiles are lost.
    Statistics {
        /// Weight of the samples; greater than 0.
        count: f64,
        /// Weighted sum of the samples.
        sum: f64,
        /// Smallest sample.
        min: f64,
        /// Largest sample.
        max: f64,
    },
}

/// Why CloudWatch would refuse a datum, and with it the whole call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DatumError {
    /// NaN, infinite, or beyond ±2^360, or nearer to 0 than 2^-360 without being 0.
    #[error("metric `{0}` has the value {1}, outside CloudWatch's range")]
    Value(&'static str, f64),
    /// A count that is not a finite number above 0.
    #[error("metric `{0}` has a count of {1}")]
    Count(&'static str, f64),
    /// No value, or more than [`MAX_VALUES`].
    #[error("metric `{0}` has {1} distinct values, not 1 to {MAX_VALUES}")]
    Values(&'static str, usize),
    /// A minimum above the maximum.
    #[error("metric `{0}` has a minimum above its maximum")]
    Range(&'static str),
    /// A dimension value that is blank, too long, not ASCII or has control characters.
    #[error("metric `{metric}` has a `{dimension}` that is blank, too long or not printable ascii")]
    Dimension {
        /// The metric's name.
        metric: &'static str,
        /// The dimension's name.
        dimension: &'static str,
    },
}

/// Whether CloudWatch takes a datum's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// It does.
    InRange,
    /// More than two weeks old: to be counted as late, not sent.
    TooOld,
    /// More than two hours ahead: to be counted, not sent.
    TooFarAhead,
}

/// Checks everything for which CloudWatch would refuse the call that carries `datum`.
///
/// # Errors
/// The first rule broken.
pub fn validate(datum: &Datum) -> Result<(), DatumError> {
    let metric = datum.metric.name;
    for (dimension, value) in datum.series.dimensions() {
        let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let blank = value.trim().is_empty();
        if !printable || blank || value.len() > MAX_DIMENSION_CHARS {
            return Err(DatumError::Dimension { metric, dimension });
        }
    }
    let value = |value: f64| {
        let magnitude = value.abs();
        let fits = value == 0.0 || (MIN_MAGNITUDE..=MAX_MAGNITUDE).contains(&magnitude);
        if fits { Ok(()) } else { Err(DatumError::Value(metric, value)) }
    };
    let count = |count: f64| {
        let fits = count > 0.0 && (MIN_MAGNITUDE..=MAX_MAGNITUDE).contains(&count);
        if fits { Ok(()) } else { Err(DatumError::Count(metric, count)) }
    };
    match &datum.value {
        DatumValue::Single(single) => value(*single),
        DatumValue::Distribution(values) => {
            if values.is_empty() || values.len() > MAX_VALUES {
                return Err(DatumError::Values(metric, values.len()));
            }
            values.iter().try_for_each(|(v, c)| value(*v).and_then(|()| count(*c)))
        }
        DatumValue::Statistics { count: samples, sum, min, max } => {
            count(*samples)?;
            value(*sum)?;
            value(*min)?;
            value(*max)?;
            if min > max { Err(DatumError::Range(metric)) } else { Ok(()) }
        }
    }
}

/// Places `datum` on CloudWatch's clock as of `arrival`, the latest arrival of its epoch: the
/// answer is the same for every worker that sends the epoch (E9).
///
/// A worker that is far behind may still send a point that has become too old since: CloudWatch
/// refuses the call, and bisecting it costs that point only. Figures of the processor itself have the
/// worker's time.
#[must_use]
pub fn too_old_or_ahead(datum: &Datum, arrival: EpochMs) -> Timeliness {
    let age_ms = arrival.0.saturating_sub(datum.time.0);
    if datum.metric.namespace == catalogue::Namespace::Processor {
        Timeliness::InRange
    } else if age_ms > OLDEST_MS {
        Timeliness::TooOld
    } else if age_ms < -FARTHEST_AHEAD_MS {
        Timeliness::TooFarAhead
    } else {
        Timeliness::InRange
    }
}

#[cfg(test)]
mod tests {
    use ivs_schemas::catalogue::metrics::CURRENT_VIEWERS;

    use super::*;

    fn datum(channel: &str, value: DatumValue) -> Datum {
        let series = Series::Channel(channel.into());
        Datum { metric: &CURRENT_VIEWERS, series, time: EpochMs(60_000), value }
    }

    fn statistics(count: f64, sum: f64, min: f64, max: f64) -> DatumValue {
        DatumValue::Statistics { count, sum, min, max }
    }

    #[test]
    fn sound_datums_pass() {
        for value in [
            DatumValue::Single(0.0),
            DatumValue::Single(-MAX_MAGNITUDE),
            DatumValue::Distribution(vec![(1.0, 2.0); MAX_VALUES]),
            statistics(0.5, 2.0, 4.0, 4.0),
        ] {
            assert_eq!(validate(&datum("Qw3 rTy", value.clone())), Ok(()), "{value:?}");
        }
        let fleet = Datum { series: Series::Fleet, ..datum("", DatumValue::Single(1.0)) };
        assert_eq!(validate(&fleet), Ok(()));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for poison in [f64::NAN, f64::INFINITY, 2.0 * MAX_MAGNITUDE, MIN_MAGNITUDE / 2.0] {
            for value in [
                DatumValue::Single(poison),
                DatumValue::Distribution(vec![(1.0, 1.0), (poison, 1.0)]),
                statistics(1.0, poison, 1.0, 1.0),
                statistics(1.0, 1.0, 1.0, poison),
            ] {
                let found = validate(&datum("c", value));
                assert!(matches!(found, Err(DatumError::Value(..))), "{poison}: {found:?}");
            }
        }
    }

    #[test]
    fn counts_ranges_and_lengths_are_checked() {
        for count in [0.0, -1.0, f64::NAN] {
            for value in
                [DatumValue::Distribution(vec![(1.0, count)]), statistics(count, 1.0, 1.0, 1.0)]
            {
                let found = validate(&datum("c", value));
                assert!(matches!(found, Err(DatumError::Count(..))), "{count}: {found:?}");
            }
        }
        for length in [0, MAX_VALUES + 1] {
            let found = validate(&datum("c", DatumValue::Distribution(vec![(1.0, 1.0); length])));
            assert_eq!(found, Err(DatumError::Values("CurrentViewers", length)));
        }
        let found = validate(&datum("c", statistics(2.0, 3.0, 2.0, 1.0)));
        assert_eq!(found, Err(DatumError::Range("CurrentViewers")));
    }

    #[test]
    fn dimensions_must_be_printable_ascii_and_not_blank() {
        for channel in ["", "  ", "チャンネル", "a\tb", &"x".repeat(MAX_DIMENSION_CHARS + 1)] {
            let found = validate(&datum(channel, DatumValue::Single(1.0)));
            let metric = "CurrentViewers";
            assert_eq!(found, Err(DatumError::Dimension { metric, dimension: "ChannelId" }));
        }
    }

    #[test]
    fn time_is_judged_against_arrival() {
        let datum = datum("c", DatumValue::Single(1.0));
        for (arrival_ms, expected) in [
            (60_000 + OLDEST_MS, Timeliness::InRange),
            (60_001 + OLDEST_MS, Timeliness::TooOld),
            (60_000 - FARTHEST_AHEAD_MS, Timeliness::InRange),
            (59_999 - FARTHEST_AHEAD_MS, Timeliness::TooFarAhead),
        ] {
            assert_eq!(too_old_or_ahead(&datum, EpochMs(arrival_ms)), expected, "{arrival_ms}");
        }
    }
}
