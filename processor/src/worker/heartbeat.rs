//! A worker's figures about itself once a minute, whether or not records flow: an alarm on its
//! absence finds a worker that is gone.

use std::sync::Arc;
use std::time::Duration;

use ivs_core::emit::{WorkerFigures, worker_datums};
use kinesis_fleet::Observer;

use super::lag::{self, LagBook};
use super::shards::Shards;
use crate::clock::now;
use crate::sink::metrics::MetricSink;
use crate::sink::stats::{Snapshot, Stats};

/// CloudWatch's resolution.
const EVERY: Duration = Duration::from_secs(60);

/// Sends a worker's figures every minute, until it is dropped.
pub(crate) async fn run(
    metrics: MetricSink,
    stats: Arc<Stats>,
    fleet: Observer,
    (shards, lags): (Arc<Shards>, LagBook),
) {
    let mut before = (Snapshot::default(), 0);
    let mut every = tokio::time::interval_at(crate::clock::instant() + EVERY, EVERY);
    loop {
        every.tick().await;
        let after = (stats.snapshot(), fleet.leases_lost());
        let time = now();
        let figures = WorkerFigures {
            leases_held: fleet.leases_held() as u64,
            leases_lost: after.1 - before.1,
            retries: after.0.retries - before.0.retries,
            metric_calls: after.0.metric_calls - before.0.metric_calls,
            outbox_age_ms: after.0.outbox_age_ms,
            datums_refused: after.0.datums_dropped - before.0.datums_dropped,
            failed_tasks: after.0.failed_tasks - before.0.failed_tasks,
            lags_ms: lag::of(&shards, &fleet, &lags)
                .into_iter()
                .map(|lag| (lag.shard, lag.lag_ms))
                .collect(),
            time,
        };
        before = after;
        if let Err(error) = metrics.send(worker_datums(&figures), time).await {
            tracing::warn!(%error, "the worker's own metrics were not sent");
            stats.note_error(format!("the worker's own metrics were not sent: {error}"));
        }
    }
}
