//! The processor's figures about itself: an epoch's figures with its shard, a worker's each minute.

use std::sync::Arc;

use ivs_schemas::catalogue::{Metric, metrics as catalogue};

use super::datum::{Datum, DatumValue, Series};
use crate::epoch::Counts;
use crate::minute::Minute;
use kinesis_model::{EpochMs, ShardId};

/// An epoch that is about to be committed.
#[derive(Clone, Debug)]
pub struct EpochFigures<'a> {
    /// Its shard.
    pub shard: &'a ShardId,
    /// The outcome of its records.
    pub counts: &'a Counts,
    /// Rows it put.
    pub rows_written: u64,
    /// Puts that were refused and merged again.
    pub row_conflicts: u64,
    /// From its prepare to now, milliseconds.
    pub duration_ms: u64,
    /// Whether it had been prepared by an earlier owner, who may have emitted it too.
    pub recovered: bool,
    /// Its latest arrival: the minute its figures count in.
    pub time: EpochMs,
    /// Now: the minute in which gaps count, and all of an epoch without records. Their latest arrival may
    /// lie days back, where no alarm looks, or be unknown.
    pub now: EpochMs,
}

/// A worker, once a minute.
#[derive(Clone, Debug, Default)]
pub struct WorkerFigures {
    /// Shards it holds.
    pub leases_held: u64,
    /// Leases that others took, since the last time.
    pub leases_lost: u64,
    /// Calls to AWS that were repeated, since the last time.
    pub retries: u64,
    /// PutMetricData calls, since the last time.
    pub metric_calls: u64,
    /// Datums that were not accepted, since the last time.
    pub datums_refused: u64,
    /// How long the oldest object waits in the outbox, milliseconds.
    pub outbox_age_ms: u64,
    /// Tasks of shards that failed, since the last time.
    pub failed_tasks: u64,
    /// Rounds of asking IVS that ended early, since the last time; none where nobody is to ask.
    pub reconcile_failures: Option<u64>,
    /// The age of each shard's oldest uncommitted record, milliseconds.
    pub lags_ms: Vec<(ShardId, u64)>,
    /// Now.
    pub time: EpochMs,
}

/// Returns the datums of an epoch, for its shard and for the fleet.
#[must_use]
pub fn epoch_datums(epoch: &EpochFigures<'_>) -> Vec<Datum> {
    let counts = epoch.counts;
    let time = if counts.read == 0 { epoch.now } else { epoch.time };
    let rejected = counts.rejected_total();
    let mut figures = vec![
        (&catalogue::RECORDS_READ, counts.read),
        (&catalogue::RECORDS_ACCEPTED, counts.accepted),
        (&catalogue::RECORDS_DUPLICATE, counts.duplicate),
        (&catalogue::RECORDS_REJECTED, rejected),
        (&catalogue::LATE_RECORDS, counts.late),
        (&catalogue::UNKNOWN_EVENTS, counts.unknown),
        (&catalogue::RETENTION_GAPS, counts.retention_gaps),
        (&catalogue::ROWS_WRITTEN, epoch.rows_written),
        (&catalogue::ROW_CONFLICTS, epoch.row_conflicts),
        (&catalogue::EPOCH_DURATION, epoch.duration_ms),
    ];
    figures.retain(|(_, value)| *value <= MAX_EXACT);
    let mut datums = Vec::new();
    let series = [Series::Shard(Arc::from(epoch.shard.as_str())), Series::Fleet];
    for series in series {
        for (metric, value) in &figures {
            let is_gap = *metric == &catalogue::RETENTION_GAPS && *value > 0;
            let time = if is_gap { epoch.now } else { time };
            datums.push(single(metric, &series, time, exact(*value)));
        }
        if counts.read > 0 {
            let percent = 100.0 * exact(rejected) / exact(counts.read);
            datums.push(single(&catalogue::REJECTED_PERCENT, &series, time, percent));
        }
    }
    let repeated = exact(u64::from(epoch.recovered));
    datums.push(single(&catalogue::REPEATED_EMISSIONS, &Series::Fleet, time, repeated));
    datums
}

/// Returns the datums of a worker: each shard's lag, the largest for the fleet, and the worker's
/// counts.
#[must_use]
pub fn worker_datums(worker: &WorkerFigures) -> Vec<Datum> {
    let mut datums = Vec::new();
    for (shard, lag_ms) in &worker.lags_ms {
        let series = Series::Shard(Arc::from(shard.as_str()));
        datums.push(single(&catalogue::LAG, &series, worker.time, exact(*lag_ms)));
    }
    if let Some(lag_ms) = worker.lags_ms.iter().map(|(_, lag_ms)| *lag_ms).max() {
        datums.push(single(&catalogue::LAG, &Series::Fleet, worker.time, exact(lag_ms)));
    }
    for (metric, value) in [
        (&catalogue::LEASES_HELD, worker.leases_held),
        (&catalogue::LEASES_LOST, worker.leases_lost),
        (&catalogue::FAILED_TASKS, worker.failed_tasks),
        (&catalogue::RETRIES, worker.retries),
        (&catalogue::METRIC_BATCHES, worker.metric_calls),
        (&catalogue::DATUMS_REFUSED, worker.datums_refused),
        (&catalogue::OUTBOX_AGE, worker.outbox_age_ms),
    ] {
        datums.push(single(metric, &Series::Fleet, worker.time, exact(value)));
    }
    if let Some(failures) = worker.reconcile_failures {
        let metric = &catalogue::RECONCILE_FAILURES;
        datums.push(single(metric, &Series::Fleet, worker.time, exact(failures)));
    }
    datums
}

/// 2^53: counts above it are not exact doubles, and not counts either.
const MAX_EXACT: u64 = 1 << 53;

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn exact(count: u64) -> f64 {
    count.min(MAX_EXACT) as f64
}

fn single(metric: &'static Metric, series: &Series, time: EpochMs, value: f64) -> Datum {
    let time = Minute::of(time).start();
    Datum { metric, series: series.clone(), time, value: DatumValue::Single(value) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ivs_schemas::catalogue::{METRICS, Namespace};

    use super::*;
    use crate::emit::validate;

    fn all() -> Vec<Datum> {
        let shard = ShardId::new("shardId-000000000001");
        let counts = Counts { read: 4, accepted: 3, ..Counts::default() };
        let mut datums = epoch_datums(&EpochFigures {
            shard: &shard,
            counts: &counts,
            rows_written: 2,
            row_conflicts: 1,
            duration_ms: 30,
            recovered: true,
            time: EpochMs(61_000),
            now: EpochMs(185_000),
        });
        datums.extend(worker_datums(&WorkerFigures {
            lags_ms: vec![(shard, 7)],
            time: EpochMs(61_000),
            reconcile_failures: Some(0),
            ..WorkerFigures::default()
        }));
        datums
    }

    #[test]
    fn of_asking_ivs_nothing_is_sent_where_nobody_is_to_ask() {
        let sent = |reconcile_failures| {
            let worker = WorkerFigures { reconcile_failures, ..WorkerFigures::default() };
            let mut datums = worker_datums(&worker);
            datums.retain(|datum| *datum.metric == catalogue::RECONCILE_FAILURES);
            datums.into_iter().map(|datum| datum.value).collect::<Vec<_>>()
        };
        assert_eq!(sent(None), []);
        assert_eq!(sent(Some(2)), [DatumValue::Single(2.0)]);
    }

    /// The catalogue lists what is sent, and nothing is sent that it does not list.
    #[test]
    fn every_processor_metric_of_the_catalogue_is_sent_with_its_dimensions_and_no_other() {
        let dimension = |datum: &Datum| datum.series.dimensions().map(|(name, _)| name).next();
        let sent: BTreeSet<_> = all().iter().map(|d| (d.metric.name, dimension(d))).collect();
        let listed: BTreeSet<_> = METRICS
            .iter()
            .filter(|metric| metric.namespace == Namespace::Processor)
            .flat_map(|m| m.dimensions.iter().map(|set| (m.name, set.first().copied())))
            .collect();
        assert_eq!(sent, listed);
    }

    #[test]
    fn a_gap_counts_where_alarms_look() {
        for read in [0, 1] {
            let counts = Counts { retention_gaps: 1, read, ..Counts::default() };
            let datums = epoch_datums(&EpochFigures {
                shard: &ShardId::new("s"),
                counts: &counts,
                rows_written: 0,
                row_conflicts: 0,
                duration_ms: 0,
                recovered: false,
                time: EpochMs(61_000),
                now: EpochMs(185_000),
            });
            for datum in datums {
                let is_now = read == 0 || *datum.metric == catalogue::RETENTION_GAPS;
                assert_eq!(datum.time, EpochMs(if is_now { 180_000 } else { 60_000 }));
            }
        }
    }

    #[test]
    fn all_are_valid_and_count_in_their_minute() {
        for datum in all() {
            validate(&datum).unwrap();
            assert_eq!(datum.time, EpochMs(60_000));
        }
    }
}
