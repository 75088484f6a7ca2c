//! CloudWatch: validated datums, 20 a call, bisected when a call is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::{explain, is_transient};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use futures::stream::{self, StreamExt, TryStreamExt};
use ivs_core::emit::{
    Batch, Bisected, Datum, DatumValue, MAX_BATCH_BYTES, Timeliness, batches, too_old_or_ahead,
    validate,
};
use kinesis_model::EpochMs;

use super::{Rate, SinkError, persist};
use crate::config;
use crate::sink::stats::Stats;

/// Calls in flight for one epoch; the rate limit is the real bound.
const CONCURRENCY: usize = 8;

/// The metric sender of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricSink {
    cloudwatch: aws_sdk_cloudwatch::Client,
    enabled: bool,
    max_datums: usize,
    rate: Rate,
    stats: Arc<Stats>,
}

impl MetricSink {
    /// A sender with the configured batch size and rate.
    #[must_use]
    pub fn new(
        cloudwatch: aws_sdk_cloudwatch::Client,
        config: &config::CloudWatch,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            cloudwatch,
            enabled: config.enabled,
            max_datums: config.metrics_batch,
            rate: Rate::per_second(config.calls_per_s),
            stats,
        }
    }

    /// Sends datums; those that CloudWatch would refuse are counted and logged instead. Timeliness
    /// is judged against `arrival`, the latest of the records behind them (E9).
    ///
    /// # Errors
    /// When a call is not acknowledged in all tries.
    pub async fn send(&self, datums: Vec<Datum>, arrival: EpochMs) -> Result<(), SinkError> {
        if !self.enabled {
            return Ok(());
        }
        let datums = datums.into_iter().filter(|datum| self.is_sendable(datum, arrival)).collect();
        stream::iter(batches(datums, self.max_datums, MAX_BATCH_BYTES))
            .map(|batch| self.send_batch(batch))
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    fn is_sendable(&self, datum: &Datum, arrival: EpochMs) -> bool {
        let problem = match (validate(datum), too_old_or_ahead(datum, arrival)) {
            (Err(error), _) => error.to_string(),
            (Ok(()), Timeliness::InRange) => return true,
            (Ok(()), Timeliness::TooOld) => "is older than two weeks".to_owned(),
            (Ok(()), Timeliness::TooFarAhead) => "lies more than two hours ahead".to_owned(),
        };
        tracing::debug!(metric = datum.metric.name, problem, "datum not sent");
        self.stats.datums_dropped.fetch_add(1, Relaxed);
        false
    }

    /// Sends one call; a refused one is halved until only the culprit is left out. Bounded: a
    /// batch of n datums needs at most 2n - 1 calls.
    async fn send_batch(&self, batch: Batch) -> Result<(), SinkError> {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            self.rate.ready().await;
            let data: Vec<MetricDatum> = batch.datums.iter().map(to_sdk).collect();
            let count = data.len() as u64;
            let request = self
                .cloudwatch
                .put_metric_data()
                .namespace(batch.namespace.as_str())
                .set_metric_data(Some(data));
            match persist(&self.stats, || request.clone().send()).await {
                Ok(_) => {
                    self.stats.metric_calls.fetch_add(1, Relaxed);
                    self.stats.datums.fetch_add(count, Relaxed);
                }
                Err(error) if is_transient(&error) || error.as_service_error().is_none() => {
                    return Err(SinkError::Aws {
                        operation: "PutMetricData",
                        target: batch.namespace.as_str().to_owned(),
                        reason: explain(&error),
                    });
                }
                Err(error) => match batch.bisect() {
                    Bisected::Halves(first, second) => waiting.extend([second, first]),
                    Bisected::Culprit(datum) => {
                        let reason = explain(&error);
                        tracing::warn!(metric = datum.metric.name, reason, "datum refused");
                        self.stats.datums_dropped.fetch_add(1, Relaxed);
                    }
                },
            }
        }
        Ok(())
    }
}

fn to_sdk(datum: &Datum) -> MetricDatum {
    let dimension = datum
        .series
        .dimension()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let builder = MetricDatum::builder()
        .metric_name(datum.metric.name)
        .timestamp(DateTime::from_millis(datum.time.0))
        .unit(StandardUnit::from(datum.metric.unit.as_str()))
        .set_dimensions(dimension.map(|d| vec![d]));
    match &datum.value {
        DatumValue::Single(value) => builder.value(*value),
        DatumValue::Distribution(values) => {
            let (values, counts) = values.iter().copied().unzip();
            builder.set_values(Some(values)).set_counts(Some(counts))
        }
        DatumValue::Statistics { count, sum, min, max } => builder.statistic_values(
            StatisticSet::builder()
                .sample_count(*count)
                .sum(*sum)
                .minimum(*min)
                .maximum(*max)
                .build(),
        ),
    }
    .build()
}

#[cfg(test)]
mod tests;
