//! CloudWatch: validated datums, 20 a call or as many as a backlog needs, bisected when a call is
//! refused.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use ivs_core::emit::{
    Bisected, Datum, DatumBatch, MAX_BATCH_BYTES, Timeliness, batches, too_old_or_ahead, validate,
};
use kinesis_model::EpochMs;

use serde_json::json;

use super::calls::{CloudWatch, MetricCalls, NotTaken};
use super::patience::{Left, Patience, Refused};
use super::{Rate, SinkError};
use crate::config;
use crate::sink::stats::Stats;

/// Calls in flight for one epoch; the rate limit is the real bound.
const CONCURRENCY: usize = 8;

/// How long the worker's own figures are tried; they are of use only now.
const PATIENCE: Duration = Duration::from_secs(10);

/// The metric sender of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricSink {
    calls: Arc<dyn MetricCalls>,
    enabled: bool,
    /// Of a call, unless more are to be sent than a second's calls carry.
    max_datums: usize,
    calls_per_s: usize,
    rate: Rate,
    stats: Arc<Stats>,
}

impl MetricSink {
    /// Returns a sender with the configured batch size and rate.
    #[must_use]
    pub fn new(
        cloudwatch: aws_sdk_cloudwatch::Client,
        config: &config::CloudWatch,
        stats: Arc<Stats>,
    ) -> Self {
        Self::over(Arc::new(CloudWatch(cloudwatch)), config, stats)
    }

    /// Returns a sender to whoever plays CloudWatch.
    #[must_use]
    pub fn over(
        calls: Arc<dyn MetricCalls>,
        config: &config::CloudWatch,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            calls,
            enabled: config.enabled,
            max_datums: config.metrics_batch,
            calls_per_s: config.calls_per_s.max(1) as usize,
            rate: Rate::per_second(config.calls_per_s),
            stats,
        }
    }

    /// Sends datums; those that CloudWatch would refuse are counted and logged instead. Timeliness
    /// is judged against `arrival`, the latest of the records behind them (E9).
    ///
    /// # Errors
    /// When a call is not acknowledged within a few seconds; what it carried is given up.
    pub async fn send(&self, datums: Vec<Datum>, arrival: EpochMs) -> Result<(), SinkError> {
        let left = self.try_send(self.calls(datums, arrival), &Patience::of(PATIENCE)).await;
        left.error.map_or(Ok(()), Err)
    }

    /// Returns the calls that carry these datums, less those that CloudWatch would refuse.
    #[must_use]
    pub fn calls(&self, datums: Vec<Datum>, arrival: EpochMs) -> Vec<DatumBatch> {
        if !self.enabled {
            return Vec::new();
        }
        let is_sendable = |datum: &Datum| self.is_sendable(datum, arrival);
        let datums: Vec<Datum> = datums.into_iter().filter(is_sendable).collect();
        // The epoch waits for its metrics: those of a backlog must not take minutes.
        let in_a_second = datums.len().div_ceil(self.calls_per_s);
        batches(datums, self.max_datums.max(in_a_second), MAX_BATCH_BYTES)
    }

    /// Sends calls as long as patience lasts; returns what is left.
    pub async fn try_send(&self, calls: Vec<DatumBatch>, patience: &Patience) -> Left<DatumBatch> {
        stream::iter(calls)
            .map(|batch| self.send_batch(batch, patience))
            .buffered(CONCURRENCY)
            .fold(Left::default(), async |mut all, left| {
                all.add(left);
                all
            })
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

    /// Sends one call; one that is refused for its data is halved until only the culprit is left
    /// out. Bounded: a batch of n datums needs at most 2n - 1 calls.
    async fn send_batch(&self, batch: DatumBatch, patience: &Patience) -> Left<DatumBatch> {
        let mut left = Left::default();
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            match self.deliver(&batch, patience).await {
                Ok(()) => {
                    self.stats.metric_calls.fetch_add(1, Relaxed);
                    self.stats.datums.fetch_add(batch.datums.len() as u64, Relaxed);
                }
                Err(NotTaken::Away(reason)) => {
                    let target = batch.namespace.as_str().to_owned();
                    let error = SinkError::Aws { operation: "PutMetricData", target, reason };
                    left.error = Some(error);
                    left.waiting.push(batch);
                    left.waiting.extend(waiting.drain(..).rev());
                }
                Err(NotTaken::Refused(reason)) => match batch.bisect() {
                    Bisected::Halves(first, second) => waiting.extend([second, first]),
                    Bisected::Culprit(datum) => {
                        tracing::warn!(metric = datum.metric.name, reason, "datum refused");
                        self.stats.datums_dropped.fetch_add(1, Relaxed);
                        let what = json!({
                            "metric": datum.metric.name,
                            "dimension": datum.series.dimension(),
                            "timeMs": datum.time,
                            "value": format!("{:?}", datum.value),
                        });
                        left.refused.push(Refused { what, reason });
                    }
                },
            }
        }
        left
    }

    async fn deliver(&self, batch: &DatumBatch, patience: &Patience) -> Result<(), NotTaken> {
        let mut waits = Patience::waits();
        loop {
            if patience.is_over() {
                return Err(NotTaken::Away("CloudWatch does not answer".to_owned()));
            }
            self.rate.ready().await;
            match self.calls.put(batch).await {
                Err(NotTaken::Away(error)) if patience.failed() => {
                    self.stats.retries.fetch_add(1, Relaxed);
                    tracing::debug!(error, "trying again");
                    waits.wait().await;
                }
                Err(away @ NotTaken::Away(_)) => return Err(away),
                answer => {
                    patience.answered();
                    return answer;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
