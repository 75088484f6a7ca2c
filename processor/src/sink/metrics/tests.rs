//! The sender against the embedded CloudWatch, which refuses what CloudWatch refuses.

use std::sync::Mutex;

use aws_sdk_cloudwatch::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_cloudwatch::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatch::error::BoxError;
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataInput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use ivs_core::emit::{DatumValue, MAX_VALUES, Series};
use ivs_emulator::Endpoint;
use ivs_schemas::catalogue::metrics::{
    CURRENT_VIEWERS, LIVE_LATENCY, STREAMS_STARTED, VIEW_STARTS,
};

use super::*;

/// Notes how many datums each call has, and how many bytes before they are compressed: by these
/// CloudWatch measures its 1 MB.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    datums: Vec<usize>,
    bytes: Vec<usize>,
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(input) = context.input().downcast_ref::<PutMetricDataInput>() {
            self.0.lock().unwrap().datums.push(input.metric_data().len());
        }
        Ok(())
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request().body().bytes().expect("a body in memory");
        self.0.lock().unwrap().bytes.push(body.len());
        Ok(())
    }
}

struct World {
    /// Dropping it ends it.
    _endpoint: Endpoint,
    client: aws_sdk_cloudwatch::Client,
    sink: MetricSink,
    stats: Arc<Stats>,
    calls: Calls,
}

async fn world(settings: config::CloudWatch) -> World {
    let endpoint = Endpoint::start(ivs_emulator::Config::default()).await.unwrap();
    let aws = config::Aws { endpoint_url: endpoint.url().to_owned(), ..config::Aws::default() };
    let client = crate::cloud::clients(&aws).await.cloudwatch;
    let calls = Calls::default();
    let counted = client.config().to_builder().interceptor(calls.clone()).build();
    let counted = aws_sdk_cloudwatch::Client::from_conf(counted);
    let stats = Arc::new(Stats::default());
    let sink = MetricSink::new(counted, &settings, Arc::clone(&stats));
    World { _endpoint: endpoint, client, sink, stats, calls }
}

impl World {
    fn dropped(&self) -> u64 {
        self.stats.datums_dropped.load(Relaxed)
    }

    /// Sum of all samples of a channel.
    async fn sum(&self, metric: &'static str, channel: &str) -> f64 {
        let channel = Dimension::builder().name("ChannelId").value(channel).build();
        self.sum_of(metric, vec![channel]).await
    }

    /// Sum of all samples of a series.
    async fn sum_of(&self, metric: &'static str, dimensions: Vec<Dimension>) -> f64 {
        let now_s = now().0 / 1_000;
        let answer = self
            .client
            .get_metric_statistics()
            .namespace("LiveStreaming/Metrics")
            .metric_name(metric)
            .set_dimensions(Some(dimensions))
            .start_time(DateTime::from_secs(now_s - 7_200))
            .end_time(DateTime::from_secs(now_s + 60))
            .period(86_400)
            .statistics(Statistic::Sum)
            .send()
            .await
            .unwrap();
        answer.datapoints().iter().filter_map(|point| point.sum).sum()
    }
}

fn now() -> EpochMs {
    crate::clock::now()
}

fn viewers(channel: &str, value: f64) -> Datum {
    Datum {
        metric: &CURRENT_VIEWERS,
        series: Series::Channel(channel.into()),
        time: EpochMs(now().0 - 60_000),
        value: DatumValue::Single(value),
    }
}

#[tokio::test]
async fn a_call_has_at_most_20_datums_by_default() {
    let world = world(config::CloudWatch::default()).await;
    let mut datums: Vec<Datum> = (0..45).map(|n| viewers("c", f64::from(n))).collect();
    datums.extend((0..7).map(|_| Datum { metric: &STREAMS_STARTED, ..viewers("c", 1.0) }));
    world.sink.send(datums, now()).await.unwrap();
    let mut sizes = world.calls.0.lock().unwrap().datums.clone();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 7, 20, 20], "a call has one namespace");
    assert_eq!(world.sum("CurrentViewers", "c").await, f64::from(44 * 45 / 2));
    assert_eq!((world.stats.datums.load(Relaxed), world.dropped()), (52, 0));
}

#[tokio::test]
async fn viewers_by_dimension_are_series_of_their_own_beside_the_channel_s() {
    let world = world(config::CloudWatch::default()).await;
    let of = |country: &str, starts| Datum {
        metric: &VIEW_STARTS,
        series: Series::Viewers {
            channel_id: "c".into(),
            dimension: ivs_core::experience::Dimension::Country,
            value: country.into(),
        },
        ..viewers("c", starts)
    };
    let channel = Datum { metric: &VIEW_STARTS, ..viewers("c", 5.0) };
    let datums = vec![of("JP", 2.0), of("other", 1.0), channel, of("JP", 0.5)];
    world.sink.send(datums, now()).await.unwrap();
    let dimensions = |pairs: &[(&str, &str)]| {
        let one =
            |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
        pairs.iter().map(one).collect::<Vec<_>>()
    };
    let (jp, other) =
        ([("ChannelId", "c"), ("Country", "JP")], [("ChannelId", "c"), ("Country", "other")]);
    assert_eq!(world.sum_of("ViewStarts", dimensions(&jp)).await, 2.5);
    assert_eq!(world.sum_of("ViewStarts", dimensions(&other)).await, 1.0);
    assert_eq!(world.sum("ViewStarts", "c").await, 5.0);
    assert_eq!(world.dropped(), 0);
}

#[tokio::test]
async fn a_backlog_goes_in_calls_as_large_as_a_second_needs() {
    let world = world(config::CloudWatch { calls_per_s: 2, ..config::CloudWatch::default() }).await;
    let datums = (0..101).map(|n| viewers("c", f64::from(n))).collect();
    let sizes =
        |calls: Vec<DatumBatch>| calls.iter().map(|call| call.datums.len()).collect::<Vec<_>>();
    assert_eq!(sizes(world.sink.calls(datums, now())), [51, 50]);
    let datums = (0..41).map(|n| viewers("c", f64::from(n))).collect();
    assert_eq!(sizes(world.sink.calls(datums, now())), [21, 20]);
}

#[tokio::test]
async fn a_call_has_at_most_one_megabyte_however_large_its_datums_are() {
    let settings = config::CloudWatch { metrics_batch: 1_000, ..config::CloudWatch::default() };
    let world = world(settings).await;
    // Values as long as they come, and the longest names: 900 of these are some 3 MB.
    let values: Vec<(f64, f64)> =
        (0..MAX_VALUES).map(|n| (0.1 + n as f64 / 3.0, 1.0 + n as f64 / 7.0)).collect();
    let channel = "c".repeat(1_000);
    let datum = Datum { metric: &LIVE_LATENCY, ..viewers(&channel, 0.0) };
    let datum = Datum { value: DatumValue::Distribution(values.clone()), ..datum };
    world.sink.send(vec![datum; 900], now()).await.unwrap();
    let bytes = world.calls.0.lock().unwrap().bytes.clone();
    assert!(bytes.iter().sum::<usize>() > 2_000_000, "{bytes:?}");
    assert!(bytes.iter().all(|bytes| *bytes <= 1_000_000), "{bytes:?}");
    let one: f64 = values.iter().map(|(value, count)| value * count).sum();
    let sum = world.sum("LiveLatency", &channel).await;
    assert!((sum / (900.0 * one) - 1.0).abs() < 1e-9, "{sum}");
    assert_eq!(world.dropped(), 0);
}

#[tokio::test]
async fn a_poisoned_datum_costs_only_itself_and_is_counted() {
    let world = world(config::CloudWatch::default()).await;
    let good: Vec<Datum> = (0..50).map(|n| viewers("c", f64::from(n))).collect();
    // All but the last are seen before they are sent: it has become too old in the hour since its
    // arrival, so that CloudWatch refuses the call that carries it.
    let an_hour_ago = EpochMs(now().0 - 3_600_000);
    let two_weeks_before = an_hour_ago.0 - 14 * 24 * 3_600_000;
    let at = |time_ms: i64| Datum { time: EpochMs(time_ms), ..viewers("c", 1_000_000.0) };
    let poison = [
        viewers("c", f64::NAN),
        viewers("c", f64::INFINITY),
        viewers("チャンネル", 1.0),
        at(two_weeks_before - 60_000),
        at(an_hour_ago.0 + 2 * 3_600_000 + 60_000),
        at(two_weeks_before + 1_800_000),
    ];
    for (lost, poisoned) in (1..).zip(poison) {
        let mut datums = good.clone();
        datums.insert(17, poisoned);
        world.sink.send(datums, an_hour_ago).await.unwrap();
        assert_eq!(world.dropped(), lost);
        let expected = f64::from(u32::try_from(lost).unwrap() * (49 * 50 / 2));
        assert_eq!(world.sum("CurrentViewers", "c").await, expected, "after poison {lost}");
    }
}
