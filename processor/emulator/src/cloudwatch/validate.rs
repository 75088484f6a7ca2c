//! The checks of `PutMetricData`. One invalid datum refuses the whole request.

use super::model::{Dimension, MetricDatum, Number, PutMetricData, StatisticSet};
use super::stat::Totals;
use super::store::{Datum, MetricId, Samples, Unit};
use crate::service::AwsError;

/// The largest request, uncompressed.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

const DATA_MAX: usize = 1_000;
const VALUES_MAX: usize = 150;
const DIMENSIONS_MAX: usize = 30;
const NAME_BYTES_MAX: usize = 255;
const DIMENSION_VALUE_BYTES_MAX: usize = 1_024;
const TIME_BEHIND_MS_MAX: i64 = 14 * 86_400_000;
const TIME_AHEAD_MS_MAX: i64 = 2 * 3_600_000;

/// 2^360, the bound of values on both sides.
const VALUE_MAX: f64 = 2.348_542_582_773_833_3e108;

type Checked<T> = Result<T, AwsError>;

fn invalid(message: String) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", message)
}

fn invalid_value(value: &str, parameter: &str) -> AwsError {
    invalid(format!("The value {value} for parameter {parameter} is invalid."))
}

fn missing(parameter: &str) -> AwsError {
    AwsError::bad_request("MissingParameter", format!("The parameter {parameter} is required."))
}

fn at_most(length: usize, max: usize, collection: &str) -> Checked<()> {
    if length <= max {
        return Ok(());
    }
    Err(invalid(format!("The collection {collection} must not have a size greater than {max}.")))
}

/// Returns the data of a request, or the first refusal.
pub(super) fn check(input: &PutMetricData, now_ms: i64) -> Checked<Vec<Datum>> {
    namespace(&input.namespace)?;
    if input.metric_data.is_empty() {
        return Err(missing("MetricData"));
    }
    at_most(input.metric_data.len(), DATA_MAX, "MetricData")?;
    let mut data = Vec::with_capacity(input.metric_data.len());
    for (datum, at) in input.metric_data.iter().zip(1_usize..) {
        data.push(check_datum(
            &input.namespace,
            datum,
            &format!("MetricData.member.{at}"),
            now_ms,
        )?);
    }
    Ok(data)
}

fn namespace(name: &str) -> Checked<()> {
    if name.is_empty() {
        return Err(missing("Namespace"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte);
    let sound = name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed);
    if sound && !name.starts_with([':', ' ']) && !name.starts_with("AWS/") {
        return Ok(());
    }
    Err(invalid_value(name, "Namespace"))
}

/// Returns a name that is printable ASCII, not blank and of a bounded length.
fn printable(text: &str, bytes_max: usize, parameter: &str) -> Checked<()> {
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(invalid(format!(
            "The value {text} for parameter {parameter} contains non-ASCII characters."
        )));
    }
    if text.trim().is_empty() || text.len() > bytes_max {
        return Err(invalid_value(text, parameter));
    }
    Ok(())
}

fn check_datum(namespace: &str, datum: &MetricDatum, at: &str, now_ms: i64) -> Checked<Datum> {
    if datum.metric_name.is_empty() {
        return Err(missing(&format!("{at}.MetricName")));
    }
    printable(&datum.metric_name, NAME_BYTES_MAX, &format!("{at}.MetricName"))?;
    let dimensions = dimensions(&datum.dimensions, &format!("{at}.Dimensions"))?;
    let unit = match &datum.unit {
        None => Unit::NONE,
        Some(name) => {
            Unit::parse(name).ok_or_else(|| invalid_value(name, &format!("{at}.Unit")))?
        }
    };
    let time_ms = datum.timestamp.map_or(now_ms, |moment| moment.0);
    if time_ms < now_ms - TIME_BEHIND_MS_MAX {
        return Err(invalid(format!(
            "The parameter {at}.Timestamp must specify a time no more than two weeks in the past."
        )));
    }
    if time_ms > now_ms + TIME_AHEAD_MS_MAX {
        return Err(invalid(format!(
            "The parameter {at}.Timestamp must specify a time no more than two hours in the future."
        )));
    }
    let resolution_s = match datum.storage_resolution.map_or(60, |seconds| seconds.0) {
        sound @ (1 | 60) => sound,
        other => return Err(invalid_value(&other.to_string(), &format!("{at}.StorageResolution"))),
    };
    Ok(Datum {
        metric: MetricId {
            namespace: namespace.to_owned(),
            name: datum.metric_name.clone(),
            dimensions,
        },
        unit,
        at_s: time_ms.div_euclid(resolution_s * 1_000) * resolution_s,
        samples: samples(datum, at)?,
    })
}

/// Dimensions sorted by name.
fn dimensions(dimensions: &[Dimension], at: &str) -> Checked<Vec<(String, String)>> {
    at_most(dimensions.len(), DIMENSIONS_MAX, at)?;
    let mut sorted = Vec::with_capacity(dimensions.len());
    for (dimension, number) in dimensions.iter().zip(1_usize..) {
        let value = dimension.value.clone().unwrap_or_default();
        let name_at = format!("{at}.member.{number}.Name");
        printable(&dimension.name, NAME_BYTES_MAX, &name_at)?;
        if dimension.name.starts_with(':') {
            return Err(invalid_value(&dimension.name, &name_at));
        }
        let value_at = format!("{at}.member.{number}.Value");
        printable(&value, DIMENSION_VALUE_BYTES_MAX, &value_at)?;
        sorted.push((dimension.name.clone(), value));
    }
    sorted.sort();
    if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(invalid(format!("The collection {at} names a dimension twice.")));
    }
    Ok(sorted)
}

fn samples(datum: &MetricDatum, at: &str) -> Checked<Samples> {
    let given = [
        ("Value", datum.value.is_some()),
        ("Values", datum.values.is_some()),
        ("StatisticValues", datum.statistic_values.is_some()),
    ];
    let mut given = given.into_iter().filter_map(|(name, given)| given.then_some(name));
    match (given.next(), given.next()) {
        (Some(one), Some(other)) => {
            return Err(AwsError::bad_request(
                "InvalidParameterCombination",
                format!(
                    "The parameters {at}.{one} and {at}.{other} are mutually exclusive and you \
                     have specified both."
                ),
            ));
        }
        (None, _) => {
            return Err(AwsError::bad_request(
                "MissingParameter",
                format!(
                    "One of the parameters {at}.Value, {at}.Values and {at}.StatisticValues is required."
                ),
            ));
        }
        (Some(_), None) => {}
    }
    if let Some(set) = &datum.statistic_values {
        return statistic_set(set, &format!("{at}.StatisticValues")).map(Samples::Set);
    }
    if let Some(Number(value)) = datum.value {
        return Ok(Samples::Values(vec![(in_range(value, &format!("{at}.Value"))?, 1.0)]));
    }
    values(datum, at).map(Samples::Values)
}

fn in_range(value: f64, parameter: &str) -> Checked<f64> {
    if value.abs() <= VALUE_MAX {
        Ok(value)
    } else {
        Err(invalid_value(&value.to_string(), parameter))
    }
}

fn values(datum: &MetricDatum, at: &str) -> Checked<Vec<(f64, f64)>> {
    let values = datum.values.as_deref().unwrap_or_default();
    if values.is_empty() {
        return Err(missing(&format!("{at}.Values")));
    }
    at_most(values.len(), VALUES_MAX, &format!("{at}.Values"))?;
    let ones;
    let counts = match &datum.counts {
        Some(counts) => counts.as_slice(),
        None => {
            ones = vec![Number(1.0); values.len()];
            &ones
        }
    };
    if counts.len() != values.len() {
        return Err(invalid(format!(
            "The parameters {at}.Values and {at}.Counts must be of the same size."
        )));
    }
    let mut pairs = Vec::with_capacity(values.len());
    for ((value, count), number) in values.iter().zip(counts).zip(1_usize..) {
        let value = in_range(value.0, &format!("{at}.Values.member.{number}"))?;
        let count_at = format!("{at}.Counts.member.{number}");
        let count = in_range(count.0, &count_at)?;
        if count <= 0.0 {
            return Err(invalid_value(&count.to_string(), &count_at));
        }
        pairs.push((value, count));
    }
    Ok(pairs)
}

fn statistic_set(set: &StatisticSet, at: &str) -> Checked<Totals> {
    let member = |value: Option<Number>, name: &str| {
        let parameter = format!("{at}.{name}");
        match value {
            None => Err(missing(&parameter)),
            Some(Number(value)) => in_range(value, &parameter),
        }
    };
    let totals = Totals {
        count: member(set.sample_count, "SampleCount")?,
        sum: member(set.sum, "Sum")?,
        min: member(set.minimum, "Minimum")?,
        max: member(set.maximum, "Maximum")?,
    };
    if totals.count <= 0.0 {
        return Err(invalid_value(&totals.count.to_string(), &format!("{at}.SampleCount")));
    }
    if totals.min > totals.max {
        return Err(invalid(format!(
            "The parameter {at}.Maximum must be greater than or equal to {at}.Minimum."
        )));
    }
    // A sum of doubles may stray from its bounds by rounding.
    let slack = 1e-9 * totals.count * totals.min.abs().max(totals.max.abs());
    let (low, high) = (totals.min * totals.count - slack, totals.max * totals.count + slack);
    if totals.sum < low || totals.sum > high {
        return Err(invalid(format!(
            "The parameter {at}.Sum must lie between Minimum and Maximum times SampleCount."
        )));
    }
    Ok(totals)
}
