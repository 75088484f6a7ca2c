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

/// Sends a worker's figures every minute, until it is dropped; those of asking IVS where it `may_ask`.
pub(crate) async fn run(
    metrics: MetricSink,
    stats: Arc<Stats>,
    fleet: Observer,
    (shards, lags): (Arc<Shards>, LagBook),
    may_ask: bool,
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
            lags_ms: lag::of(&shards, &fleet, &lags)
                .into_iter()
                .map(|lag| (lag.shard, lag.lag_ms))
                .collect(),
            time,
            ..counted(&before.0, &after.0, may_ask)
        };
        before = after;
        if let Err(error) = metrics.send(worker_datums(&figures), time).await {
            tracing::warn!(%error, "the worker's own metrics were not sent");
            stats.note_error(format!("the worker's own metrics were not sent: {error}"));
        }
    }
}

/// Returns what was counted between two moments.
fn counted(before: &Snapshot, after: &Snapshot, may_ask: bool) -> WorkerFigures {
    WorkerFigures {
        retries: after.retries - before.retries,
        metric_calls: after.metric_calls - before.metric_calls,
        outbox_age_ms: after.outbox_age_ms,
        datums_refused: after.datums_dropped - before.datums_dropped,
        failed_tasks: after.failed_tasks - before.failed_tasks,
        reconcile_failures: may_ask.then(|| after.reconcile_failures - before.reconcile_failures),
        ..WorkerFigures::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_the_failed_rounds_of_that_minute_where_somebody_is_to_ask() {
        let before = Snapshot { reconcile_failures: 3, failed_tasks: 1, ..Snapshot::default() };
        let after = Snapshot { reconcile_failures: 5, failed_tasks: 1, ..Snapshot::default() };
        let figures = counted(&before, &after, true);
        assert_eq!((figures.reconcile_failures, figures.failed_tasks), (Some(2), 0));
        assert_eq!(
            counted(&after, &after, true).reconcile_failures,
            Some(0),
            "a round that is well"
        );
        assert_eq!(counted(&before, &after, false).reconcile_failures, None);
    }
}
