//! Reading metrics back, as a dashboard does.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, Statistic,
};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::names;

use super::Oracle;
use super::by_dimension::Point;
use crate::process::PATIENCE;

pub(super) const METRICS: &str = "LiveStreaming/Metrics";
pub(super) const SESSIONS: &str = "LiveStreaming/Sessions";
const PROCESSOR: &str = "LiveStreaming/Processor";

/// Minutes of one GetMetricStatistics call.
const PAGE_S: i64 = 1_440 * 60;

/// Statistics of a period.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// A reader of an endpoint's metrics over the time of an input, and until now.
pub(super) struct Readback {
    clients: Clients,
    start_s: i64,
    started_s: i64,
}

impl Readback {
    pub(super) async fn new(url: &str, oracle: &Oracle) -> Self {
        let aws = Aws { endpoint_url: url.to_owned(), ..Aws::default() };
        let first_s = oracle.points.keys().map(|(_, _, minute_s)| *minute_s).min().unwrap();
        // A stream may have started a while before its first report.
        Self { clients: clients(&aws).await, start_s: first_s - 3_600, started_s: now_s() }
    }

    /// Waits until the shards belong to this many workers.
    pub(super) async fn wait_for_owners(&self, workers: usize) {
        let since = std::time::Instant::now();
        loop {
            assert!(since.elapsed() < PATIENCE, "{workers} workers never share the shards");
            let owners = self.owners().await;
            if owners.len() == workers {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// Returns who owns shards, by the lease table.
    pub(super) async fn owners(&self) -> BTreeSet<String> {
        let leases = self.clients.dynamodb.scan().table_name(names::LEASE_TABLE);
        // The table is made by the first worker.
        let items = leases.send().await.map(|page| page.items.unwrap_or_default());
        let owner = |item: &std::collections::HashMap<String, _>| item.get("leaseOwner").cloned();
        let items = items.unwrap_or_default();
        items.iter().filter_map(owner).map(|owner| format!("{owner:?}")).collect()
    }

    /// Records of all committed or emitted epochs.
    pub(super) async fn records_read(&self) -> u64 {
        let from_s = self.started_s - 120;
        let found = self.read(PROCESSOR, "RecordsRead", vec![], (from_s, now_s() + 60)).await;
        // Not `sum()`: that of nothing is -0, which is not a `u64`.
        let sum = found.values().fold(0.0, |sum, stats| sum + stats.sum);
        format!("{sum}").parse().unwrap()
    }

    /// Returns every plain series of a namespace: metric and channel.
    pub(super) async fn listed(&self, namespace: &str) -> BTreeSet<(String, Option<String>)> {
        let series = self.series(namespace).await;
        let plain = series.iter().filter(|metric| metric.dimensions().len() <= 1);
        let channel = |metric: &Metric| {
            let dimension = metric.dimensions().first()?;
            assert_eq!(dimension.name(), Some("ChannelId"), "{metric:?}");
            dimension.value().map(str::to_owned)
        };
        plain.map(|metric| (metric.metric_name().unwrap().to_owned(), channel(metric))).collect()
    }

    /// Returns the sum of each minute of every series that tells viewers of a channel apart.
    pub(super) async fn viewers(&self) -> BTreeMap<Point, f64> {
        let mut found = BTreeMap::new();
        let mut series = self.series(METRICS).await;
        series.retain(|metric| metric.dimensions().len() > 1);
        for metric in series {
            let [channel, by] = metric.dimensions() else { panic!("{metric:?}") };
            assert_eq!(channel.name(), Some("ChannelId"), "{metric:?}");
            let texts = [metric.metric_name(), channel.value(), by.name(), by.value()];
            let [name, channel, dimension, value] = texts.map(|text| text.unwrap().to_owned());
            let dimensions = metric.dimensions().to_vec();
            for (minute, stats) in self.read(METRICS, &name, dimensions, self.span()).await {
                let [name, channel] = [&name, &channel].map(Clone::clone);
                found.insert((name, channel, dimension.clone(), value.clone(), minute), stats.sum);
            }
        }
        found
    }

    async fn series(&self, namespace: &str) -> Vec<Metric> {
        let pages = self.clients.cloudwatch.list_metrics().namespace(namespace).into_paginator();
        let pages: Vec<_> = pages.send().collect::<Result<_, _>>().await.unwrap();
        pages.into_iter().flat_map(|page| page.metrics.unwrap_or_default()).collect()
    }

    fn span(&self) -> (i64, i64) {
        (self.start_s, (self.start_s + PAGE_S).min(now_s() + 3_600))
    }

    /// Returns the statistics of each minute of a series.
    pub(super) async fn minutes(
        &self,
        namespace: &str,
        metric: &str,
        channel: Option<&str>,
    ) -> BTreeMap<i64, Stats> {
        self.read(namespace, metric, dimensions(channel), self.span()).await
    }

    /// Returns the statistics of all minutes of a series together.
    pub(super) async fn total(
        &self,
        namespace: &str,
        metric: &str,
        channel: Option<&str>,
    ) -> Stats {
        let minutes = self.minutes(namespace, metric, channel).await;
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        minutes.values().fold(Stats { count: 0.0, sum: 0.0, min, max }, |all, one| Stats {
            count: all.count + one.count,
            sum: all.sum + one.sum,
            min: all.min.min(one.min),
            max: all.max.max(one.max),
        })
    }

    async fn read(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: Vec<Dimension>,
        (from_s, until_s): (i64, i64),
    ) -> BTreeMap<i64, Stats> {
        let answer = self
            .clients
            .cloudwatch
            .get_metric_statistics()
            .namespace(namespace)
            .metric_name(metric)
            .set_dimensions(Some(dimensions))
            .period(60)
            .start_time(DateTime::from_secs(from_s))
            .end_time(DateTime::from_secs(until_s))
            .statistics(Statistic::SampleCount)
            .statistics(Statistic::Sum)
            .statistics(Statistic::Minimum)
            .statistics(Statistic::Maximum)
            .send()
            .await
            .unwrap();
        let points = answer.datapoints.unwrap_or_default();
        let stats = |point: &aws_sdk_cloudwatch::types::Datapoint| Stats {
            count: point.sample_count.unwrap(),
            sum: point.sum.unwrap(),
            min: point.minimum.unwrap(),
            max: point.maximum.unwrap(),
        };
        points.iter().map(|point| (point.timestamp.unwrap().secs(), stats(point))).collect()
    }

    /// Returns the median of each minute of a stream metric, through GetMetricData.
    pub(super) async fn medians(&self, metric: &str, channel: Option<&str>) -> BTreeMap<i64, f64> {
        let metric = Metric::builder()
            .namespace(METRICS)
            .metric_name(metric)
            .set_dimensions(Some(dimensions(channel)))
            .build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("p50").build();
        let query = MetricDataQuery::builder().id("median").metric_stat(stat).build();
        let mut found = BTreeMap::new();
        let mut next = None;
        loop {
            let page = self
                .clients
                .cloudwatch
                .get_metric_data()
                .metric_data_queries(query.clone())
                .start_time(DateTime::from_secs(self.start_s))
                .end_time(DateTime::from_secs(now_s() + 3_600))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(next)
                .send()
                .await
                .unwrap();
            for result in page.metric_data_results() {
                let times = result.timestamps().iter().map(DateTime::secs);
                found.extend(times.zip(result.values().iter().copied()));
            }
            next = page.next_token;
            if next.is_none() {
                return found;
            }
        }
    }
}

fn dimensions(channel: Option<&str>) -> Vec<Dimension> {
    let dimension = |id| Dimension::builder().name("ChannelId").value(id).build();
    channel.map(dimension).into_iter().collect()
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
