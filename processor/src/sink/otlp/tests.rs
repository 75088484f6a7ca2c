//! The requests, and what is made of an answer. The whole way is in `tests/e2e`.

use ivs_core::emit::{Datum, DatumValue, Series};
use ivs_core::experience::Dimension;
use ivs_schemas::catalogue::Metric;
use ivs_schemas::catalogue::metrics::{
    CURRENT_VIEWERS, LIVE_LATENCY, REBUFFER_RATIO, STALLED_TIME,
};
use kinesis_model::EpochMs;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest,
};
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, metric::Data};

use super::*;

fn metrics_of(datums: &[(&'static Metric, DatumValue)]) -> Vec<otlp::Metric> {
    let namespace = datums[0].0.namespace;
    let datums = datums.iter().map(|(metric, value)| Datum {
        metric,
        series: Series::Channel("c1".into()),
        time: EpochMs(1_772_366_400_000),
        value: value.clone(),
    });
    let bytes =
        encode::request(&DatumBatch { namespace, datums: datums.collect() }).encode_to_vec();
    let mut back = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
    let mut resource = back.resource_metrics.remove(0);
    let scope = resource.scope_metrics.remove(0);
    assert_eq!(scope.scope.unwrap().name, namespace.as_str());
    scope.metrics
}

#[test]
fn a_set_of_statistics_is_a_delta_histogram_of_its_minute() {
    let value = DatumValue::Statistics { count: 3.0, sum: 12.5, min: 1.0, max: 9.0 };
    let metrics =
        metrics_of(&[(&CURRENT_VIEWERS, value), (&CURRENT_VIEWERS, DatumValue::Single(7.0))]);
    let [metric] = &metrics[..] else { panic!("{metrics:?}") };
    assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("CurrentViewers", "1"));
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(histogram.aggregation_temporality, otlp::AggregationTemporality::Delta as i32);
    let [set, single] = &histogram.data_points[..] else { panic!("{histogram:?}") };
    assert_eq!((set.count, set.sum), (3, Some(12.5)));
    assert_eq!((set.min, set.max), (Some(1.0), Some(9.0)));
    assert_eq!((single.count, single.sum, single.min), (1, Some(7.0), Some(7.0)));
    assert_eq!(set.attributes[0].key, "ChannelId");
    assert_eq!(set.start_time_unix_nano, 1_772_366_400_000_000_000);
    assert_eq!(set.time_unix_nano, 1_772_366_459_999_999_999, "in the same minute");
}

#[test]
fn viewers_with_one_value_have_the_attributes_of_their_two_dimensions() {
    let datum = Datum {
        metric: &STALLED_TIME,
        series: Series::Viewers {
            channel_id: "c1".into(),
            dimension: Dimension::Country,
            value: "JP".into(),
        },
        time: EpochMs(1_772_366_400_000),
        value: DatumValue::Statistics { count: 1_500.0, sum: 1_500.0, min: 1.0, max: 1.0 },
    };
    let batch = DatumBatch { namespace: STALLED_TIME.namespace, datums: vec![datum] };
    let bytes = encode::request(&batch).encode_to_vec();
    let back = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
    let metric = &back.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("StalledTime", "ms"));
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (1_500, Some(1_500.0)));
    let attributes: Vec<_> = point.attributes.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(attributes, ["ChannelId", "Country"]);
}

#[test]
fn seconds_of_watch_time_are_counted_in_milliseconds() {
    let value = DatumValue::Statistics { count: 2.5, sum: 25.0, min: 0.0, max: 50.0 };
    let metrics = metrics_of(&[(&REBUFFER_RATIO, value)]);
    let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("{metrics:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (2_500, Some(25_000.0)), "the average is 10 %");
}

#[test]
fn values_and_counts_are_an_exponential_histogram_whose_buckets_hold_them() {
    let values = vec![(0.0, 2.0), (0.5, 1.0), (1.0, 1.0), (1_000.0, 3.0), (30_000.0, 1.0)];
    let metrics = metrics_of(&[(&LIVE_LATENCY, DatumValue::Distribution(values.clone()))]);
    let Some(Data::ExponentialHistogram(histogram)) = &metrics[0].data else {
        panic!("{metrics:?}")
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.zero_count), (8, 2));
    assert_eq!(point.sum, Some(33_001.5));
    assert_eq!((point.min, point.max), (Some(0.0), Some(30_000.0)));
    assert_eq!(point.negative, None);
    let buckets = point.positive.as_ref().unwrap();
    assert!(buckets.bucket_counts.len() <= 160, "{}", buckets.bucket_counts.len());
    let base = 2_f64.powf(2_f64.powi(-point.scale));
    assert!(base < 1.1, "a bucket is at most a tenth wide: {base}");
    for (value, count) in values.into_iter().filter(|(value, _)| *value > 0.0) {
        let holds = (0..).zip(&buckets.bucket_counts).find(|(at, _)| {
            let (low, high) = (base.powi(buckets.offset + at), base.powi(buckets.offset + at + 1));
            low * (1.0 - 1e-9) < value && value <= high * (1.0 + 1e-9)
        });
        assert!(holds.is_some_and(|(_, found)| *found as f64 >= count), "{value}");
    }
    let total: u64 = buckets.bucket_counts.iter().sum();
    assert_eq!(total + point.zero_count, point.count);
}

#[test]
fn an_answer_decides_whether_data_is_to_blame() {
    let partial = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: 2,
            error_message: "too old".to_owned(),
        }),
    };
    let rejected = NotTaken::Partly { points: 2, reason: "too old".to_owned() };
    assert_eq!(judge(StatusCode::OK, None, &partial.encode_to_vec()), Err(rejected));
    assert_eq!(judge(StatusCode::OK, None, b"{}"), Ok(()));
    for (status, code, is_refused) in [
        (400, None, true),
        (413, None, true),
        (400, Some("ValidationException"), true),
        (400, Some("ExpiredTokenException"), false),
        (401, None, false),
        (403, None, false),
        (404, None, false),
        (429, None, false),
        (503, None, false),
    ] {
        let answer = judge(StatusCode::from_u16(status).unwrap(), code, b"why");
        assert_eq!(matches!(answer, Err(NotTaken::Refused(_))), is_refused, "{status} {code:?}");
    }
}

#[test]
fn headers_are_read_as_opentelemetry_writes_them_and_stay_secret() {
    let found = headers("authorization=Basic%20YWJj, x-tenant = t1,").unwrap();
    assert_eq!(found["authorization"], "Basic YWJj");
    assert_eq!(found["x-tenant"], "t1");
    assert!(found["authorization"].is_sensitive());
    let error = headers("secret").unwrap_err();
    assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("secret"), "{error}");
}
