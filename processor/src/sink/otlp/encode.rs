//! Datums as OTLP's messages.
//!
//! A datum is samples of one minute, and so is a point: a delta histogram over that minute with
//! count, sum, minimum and maximum. Where percentiles matter (values and counts) it is an
//! exponential histogram, whose buckets can be added up whoever made them. Points of one series and
//! minute come from several epochs, shards and workers, and add up as datums do.

use std::collections::BTreeMap;

use ivs_core::emit::{Datum, DatumBatch, DatumValue};
use ivs_core::minute::Minute;
use ivs_schemas::catalogue::metrics::REBUFFER_RATIO;
use ivs_schemas::catalogue::{Metric, Unit};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint,
    Histogram, HistogramDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

const DELTA: i32 = AggregationTemporality::Delta as i32;
const MINUTE_NS: u64 = 60_000_000_000;
/// Most buckets of a point, as many as OpenTelemetry's SDKs use.
const MAX_BUCKETS: i64 = 160;
/// The finest scale: a bucket is 2^(2^-20) times the one before.
const FINEST_SCALE: i32 = 20;

/// Returns the request that carries a batch.
pub(super) fn request(batch: &DatumBatch) -> ExportMetricsServiceRequest {
    let mut by_name: BTreeMap<&str, Vec<&Datum>> = BTreeMap::new();
    for datum in &batch.datums {
        by_name.entry(datum.metric.name).or_default().push(datum);
    }
    let scope = InstrumentationScope {
        name: batch.namespace.as_str().to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics = by_name.into_values().map(|datums| metric(&datums)).collect();
    let attributes = vec![
        attribute("service.name", "ivs-processor"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// Returns the metric of some datums, which are of one metric and so of one kind.
fn metric(datums: &[&Datum]) -> otlp::Metric {
    let metric = datums[0].metric;
    let (mut histograms, mut exponentials) = (vec![], vec![]);
    for datum in datums {
        let counts = |count: f64| whole(count * count_scale(datum.metric));
        match &datum.value {
            DatumValue::Single(value) => {
                histograms.push(histogram(datum, counts(1.0), *value, (*value, *value)));
            }
            DatumValue::Statistics { count, sum, min, max } => {
                // The sum goes with the count: their ratio is the average.
                let sum = sum * count_scale(datum.metric);
                histograms.push(histogram(datum, counts(*count), sum, (*min, *max)));
            }
            DatumValue::Distribution(values) => exponentials.push(exponential(datum, values)),
        }
    }
    let data = if exponentials.is_empty() {
        Data::Histogram(Histogram { data_points: histograms, aggregation_temporality: DELTA })
    } else {
        let aggregation_temporality = DELTA;
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: exponentials,
            aggregation_temporality,
        })
    };
    otlp::Metric {
        name: metric.name.to_owned(),
        description: metric.description.to_owned(),
        unit: unit(metric.unit).to_owned(),
        metadata: vec![],
        data: Some(data),
    }
}

fn histogram(datum: &Datum, count: u64, sum: f64, (min, max): (f64, f64)) -> HistogramDataPoint {
    let (start_time_unix_nano, time_unix_nano) = minute(datum);
    HistogramDataPoint {
        attributes: attributes(datum),
        start_time_unix_nano,
        time_unix_nano,
        count,
        sum: Some(sum),
        min: Some(min),
        max: Some(max),
        ..HistogramDataPoint::default()
    }
}

fn exponential(datum: &Datum, values: &[(f64, f64)]) -> ExponentialHistogramDataPoint {
    let (start_time_unix_nano, time_unix_nano) = minute(datum);
    let scale = scale_for(values);
    let of_sign = |sign: f64| buckets(values.iter().map(|(v, c)| (v * sign, *c)), scale);
    let total = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>();
    let zeros = values.iter().filter(|(value, _)| *value == 0.0);
    ExponentialHistogramDataPoint {
        attributes: attributes(datum),
        start_time_unix_nano,
        time_unix_nano,
        count: values.iter().map(|(_, count)| whole(*count)).sum(),
        sum: Some(total(|(value, count)| value * count)),
        scale,
        zero_count: zeros.map(|(_, count)| whole(*count)).sum(),
        positive: of_sign(1.0),
        negative: of_sign(-1.0),
        // Values ascend.
        min: values.first().map(|(value, _)| *value),
        max: values.last().map(|(value, _)| *value),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// Returns the finest scale by which the magnitudes of all values lie in so many buckets.
fn scale_for(values: &[(f64, f64)]) -> i32 {
    let magnitudes = || values.iter().map(|(value, _)| value.abs()).filter(|value| *value > 0.0);
    let (least, most) = (magnitudes().reduce(f64::min), magnitudes().reduce(f64::max));
    let (Some(least), Some(most)) = (least, most) else { return FINEST_SCALE };
    let mut scale = FINEST_SCALE;
    while index(most, scale) - index(least, scale) >= MAX_BUCKETS {
        scale -= 1;
    }
    scale
}

/// Returns the buckets of the values above 0; none if there are none.
fn buckets(values: impl Iterator<Item = (f64, f64)>, scale: i32) -> Option<Buckets> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for (value, count) in values.filter(|(value, _)| *value > 0.0) {
        *counts.entry(index(value, scale)).or_default() += whole(count);
    }
    let (first, last) = (*counts.keys().next()?, *counts.keys().next_back()?);
    let bucket_counts = (first..=last).map(|at| counts.get(&at).copied().unwrap_or(0)).collect();
    Some(Buckets { offset: i32::try_from(first).unwrap_or(i32::MIN), bucket_counts })
}

/// Returns the bucket of a value above 0: the values above base^index, up to base^(index + 1), where
/// base is 2^(2^-scale).
#[expect(clippy::cast_possible_truncation, reason = "2^20 times a logarithm of at most 1,075")]
fn index(value: f64, scale: i32) -> i64 {
    (value.log2() * 2_f64.powi(scale)).ceil() as i64 - 1
}

/// Returns a count of OTLP, which knows no fractions.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates at 0")]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

/// Returns by how much a metric's counts grow to be whole: those of the stalled share are seconds of
/// watch time, told in milliseconds here.
fn count_scale(metric: &Metric) -> f64 {
    if metric.name == REBUFFER_RATIO.name { 1_000.0 } else { 1.0 }
}

/// Returns the first and the last nanosecond of a datum's minute: whoever looks at the end of a point
/// alone finds the right minute.
fn minute(datum: &Datum) -> (u64, u64) {
    let start_ms = Minute::of(datum.time).start().0;
    let start_ns = u64::try_from(start_ms).unwrap_or(0).saturating_mul(1_000_000);
    (start_ns, start_ns.saturating_add(MINUTE_NS - 1))
}

fn attributes(datum: &Datum) -> Vec<KeyValue> {
    datum.series.dimensions().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Returns the unit's name in UCUM.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "1",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Percent => "%",
        Unit::BitsPerSecond => "bit/s",
        Unit::CountPerSecond => "1/s",
    }
}
