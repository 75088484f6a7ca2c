//! Metrics: validated datums, 20 a call or as many as a backlog needs, shared between shards that
//! wait for their turn, bisected when a call is refused.
//! They go to CloudWatch as it has them, or as OTLP to whoever takes that.

mod pool;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use aws_calls::Failed;
use futures::stream::{self, StreamExt};
use ivs_core::emit::{
    Bisected, Datum, DatumBatch, MAX_BATCH_BYTES, Timeliness, batches, too_old_or_ahead, validate,
};
use kinesis_model::EpochMs;

use serde_json::json;

use super::calls::{CloudWatch, MetricCalls, NotTaken};
use super::patience::{Left, Patience, Refused, WITH_PATIENCE};
use super::{Rate, SinkError};
use crate::config;
use crate::sink::stats::Stats;
use pool::Pool;

/// Calls in flight for one epoch; the rate limit is the real bound.
const CONCURRENCY: usize = 8;

/// How long the worker's own figures are tried; they are of use only now.
const PATIENCE: Duration = Duration::from_secs(10);

/// The metric sender of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricSink {
    pool: Pool,
    enabled: bool,
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
        let sizes = (config.metrics_batch, config.calls_per_s.max(1) as usize);
        let rate = Rate::per_second(config.calls_per_s);
        let pool = Pool::new(calls, sizes, rate, Arc::clone(&stats));
        Self { pool, enabled: config.enabled, stats }
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
        let of_a_call = self.pool.datums_of_a_call(datums.len());
        batches(datums, of_a_call, MAX_BATCH_BYTES)
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
                Ok(()) => self.count(&batch, 0),
                Err(NotTaken::Partly { points, reason }) => {
                    self.count(&batch, points);
                    left.refused.push(self.partial(&batch, points, reason));
                }
                Err(NotTaken::Away(reason)) => {
                    let target = batch.namespace.as_str().to_owned();
                    let operation = self.pool.operation();
                    let error = SinkError::Aws { operation, target, reason };
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
                            "dimensions": datum.series.dimensions().collect::<Vec<_>>(),
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

    fn count(&self, batch: &DatumBatch, refused: u64) {
        self.stats.datums.fetch_add((batch.datums.len() as u64).saturating_sub(refused), Relaxed);
    }

    /// Counts points that were refused among others that were taken. Which they are is not said, and
    /// the call may not be sent again, so its outline is what is kept.
    fn partial(&self, batch: &DatumBatch, points: u64, reason: String) -> Refused {
        tracing::warn!(points, of = batch.datums.len(), reason, "points refused");
        self.stats.datums_dropped.fetch_add(points, Relaxed);
        let names: BTreeSet<&str> = batch.datums.iter().map(|datum| datum.metric.name).collect();
        let what = json!({
            "points": points,
            "of": batch.datums.len(),
            "namespace": batch.namespace.as_str(),
            "metrics": names,
        });
        Refused { what, reason }
    }

    async fn deliver(&self, batch: &DatumBatch, patience: &Patience) -> Result<(), NotTaken> {
        let sent = aws_calls::retry(WITH_PATIENCE, || async {
            if patience.is_over() {
                let reason = "it does not answer".to_owned();
                return Err(Failed::ForGood(NotTaken::Away(reason)));
            }
            match self.pool.put(batch).await {
                Ok(()) => {
                    patience.answered();
                    Ok(())
                }
                Err(refused @ NotTaken::Refused(_)) => {
                    patience.answered();
                    Err(Failed::ForGood(refused))
                }
                Err(away) => {
                    let failed = patience.failed(away);
                    if matches!(failed, Failed::ForNow(_)) {
                        self.stats.retries.fetch_add(1, Relaxed);
                    }
                    Err(failed)
                }
            }
        });
        sent.await.map_err(Failed::into_error)
    }
}

#[cfg(test)]
mod tests;
