//! The deeds of this process so far, for the summary, the status page and `/metrics`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ivs_core::epoch::{Counts, Rejected};
use kinesis_model::{EpochMs, ShardId};
use serde::{Deserialize, Serialize};

use super::channels::ChannelFigures;
use crate::clock::now;

/// Counters of one process. Shared by all shard tasks.
#[derive(Debug, Default)]
pub struct Stats {
    committed: Mutex<Counts>,
    last_error: Mutex<Option<LastError>>,
    rejects: Mutex<BTreeMap<&'static str, VecDeque<RejectExample>>>,
    /// The latest figures of each channel.
    pub channels: ChannelFigures,
    /// Epochs committed.
    pub epochs: AtomicU64,
    /// From prepare to commit, summed over all epochs, in microseconds.
    epoch_us: AtomicU64,
    /// Conditional puts that were stored.
    pub rows_written: AtomicU64,
    /// Rows found to hold the epoch already.
    pub rows_already: AtomicU64,
    /// Rows that could never be written, whose epoch's share was kept beside the rejects.
    pub rows_set_aside: AtomicU64,
    /// Conditional puts that were refused because another worker wrote in between.
    pub conflicts: AtomicU64,
    /// Rows that were read before they were put, because others write them too.
    pub row_reads: AtomicU64,
    /// Puts of merged rows that failed: no answer in all tries, or refused for good.
    pub puts_failed: AtomicU64,
    /// Puts of merged rows that were stored.
    pub merged_puts: AtomicU64,
    /// Partials of shards in them.
    pub partials_merged: AtomicU64,
    /// Partials that wait for their row to be written.
    pub partials_waiting: AtomicU64,
    /// Write units of stored puts, by the size of their items.
    pub write_units: AtomicU64,
    /// Write units of refused puts, which AWS bills as well.
    pub write_units_refused: AtomicU64,
    /// Calls that write several rows or facts at once.
    pub batch_write_calls: AtomicU64,
    /// Items in them.
    pub batch_writes: AtomicU64,
    /// Calls that read several rows at once.
    pub batch_read_calls: AtomicU64,
    /// Rows asked for in them.
    pub batch_reads: AtomicU64,
    /// Of both, those that a shared call left to one of their own.
    pub batch_left: AtomicU64,
    /// Calls to AWS tried again after a passing failure.
    pub retries: AtomicU64,
    /// PutMetricData calls that were accepted.
    pub metric_calls: AtomicU64,
    /// Datums in them.
    pub datums: AtomicU64,
    /// Datums that CloudWatch refuses: too old, too far ahead, or invalid.
    pub datums_dropped: AtomicU64,
    /// Domain events accepted by the bus.
    pub domain_events: AtomicU64,
    /// Objects stored: rejects and archive segments.
    pub objects: AtomicU64,
    /// Shard tasks that failed; their epochs are done again.
    pub failed_tasks: AtomicU64,
    /// Objects put into the outbox.
    pub outbox_spilled: AtomicU64,
    /// Objects of the outbox that were sent.
    pub outbox_sent: AtomicU64,
    /// Objects of the outbox that were given up: too old, or beyond its size.
    pub outbox_expired: AtomicU64,
    /// Objects that wait in the outbox.
    pub outbox_objects: AtomicU64,
    /// Bytes of them.
    pub outbox_bytes: AtomicU64,
    /// When the oldest of them was put there, in epoch milliseconds; 0 without any.
    pub outbox_oldest_ms: AtomicU64,
    /// Rounds in which IVS was asked for events that never came.
    pub reconcile_rounds: AtomicU64,
    /// Rounds that ended early, since somebody did not answer.
    pub reconcile_failures: AtomicU64,
    /// Events that had never come and were put into the stream.
    pub reconciled_events: AtomicU64,
}

/// Something that went wrong and was got over, or ended a shard's task.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When, in epoch milliseconds.
    pub time_ms: EpochMs,
    /// Its text.
    pub error: String,
}

/// Examples kept of each reason, and bytes of each.
const MAX_EXAMPLES: usize = 3;
const MAX_EXAMPLE_BYTES: usize = 1_500;

/// A refused record, for who asks why.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RejectExample {
    /// When it arrived, in epoch milliseconds.
    pub at_ms: EpochMs,
    /// The shard it came from.
    pub shard: String,
    /// The problem with it beyond the reason's name.
    pub detail: String,
    /// Its beginning, as text.
    pub text: String,
}

/// The refused records of one reason.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RejectExamples {
    /// Why.
    pub reason: &'static str,
    /// How many this process has committed.
    pub count: u64,
    /// The latest ones, the newest first.
    pub examples: Vec<RejectExample>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Records read and committed: accepted + duplicate + rejected.
    pub read: u64,
    /// Records folded into rows.
    pub accepted: u64,
    /// Repeated records.
    pub duplicate: u64,
    /// Refused records, kept beside the archive.
    pub rejected: u64,
    /// Refused records by reason.
    pub rejected_by_reason: Vec<(String, u64)>,
    /// Accepted records too old for CloudWatch.
    pub late: u64,
    /// Latencies below zero, of viewers whose clocks are ahead: left out of their accepted records.
    #[serde(default)]
    pub negative_latency: u64,
    /// Times that records expired from the stream unread.
    pub retention_gaps: u64,
    /// See [`Stats`].
    pub epochs: u64,
    /// From prepare to commit, summed over all epochs, in microseconds.
    pub epoch_us: u64,
    /// See [`Stats`].
    pub rows_written: u64,
    /// See [`Stats`].
    pub rows_already: u64,
    /// See [`Stats`].
    pub rows_set_aside: u64,
    /// See [`Stats`].
    pub conflicts: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub row_reads: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub puts_failed: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub merged_puts: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub partials_merged: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub partials_waiting: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub write_units: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub write_units_refused: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub batch_write_calls: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub batch_writes: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub batch_read_calls: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub batch_reads: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub batch_left: u64,
    /// See [`Stats`].
    pub retries: u64,
    /// See [`Stats`].
    pub metric_calls: u64,
    /// See [`Stats`].
    pub datums: u64,
    /// See [`Stats`].
    pub datums_dropped: u64,
    /// See [`Stats`].
    pub domain_events: u64,
    /// See [`Stats`].
    pub objects: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub failed_tasks: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub outbox_spilled: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub outbox_sent: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub outbox_expired: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub outbox_objects: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub outbox_bytes: u64,
    /// How long the oldest object waits in the outbox, in milliseconds; 0 without any.
    #[serde(default)]
    pub outbox_age_ms: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub reconcile_rounds: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub reconcile_failures: u64,
    /// See [`Stats`].
    #[serde(default)]
    pub reconciled_events: u64,
}

impl Stats {
    /// Counts a committed epoch, which took this long from its prepare.
    pub fn commit(&self, counts: &Counts, took: Duration) {
        self.epochs.fetch_add(1, Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.epoch_us.fetch_add(took_us, Relaxed);
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).add(counts);
    }

    /// Keeps an error for who asks what went wrong last.
    pub fn note_error(&self, error: String) {
        let last = LastError { time_ms: now(), error };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Keeps the latest refused records of an epoch as examples.
    pub fn note_rejects(&self, shard: &ShardId, rejected: &[Rejected]) {
        let mut kept = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        for reject in rejected {
            let end = reject.data.len().min(MAX_EXAMPLE_BYTES);
            let examples = kept.entry(reject.rejection.reason.as_str()).or_default();
            examples.push_front(RejectExample {
                at_ms: reject.arrival,
                shard: shard.to_string(),
                detail: reject.rejection.detail.clone(),
                text: String::from_utf8_lossy(&reject.data[..end]).into_owned(),
            });
            examples.truncate(MAX_EXAMPLES);
        }
    }

    /// Returns the refused records by reason, the most frequent reason first.
    #[must_use]
    pub fn rejects(&self) -> Vec<RejectExamples> {
        let counts = self.committed.lock().unwrap_or_else(PoisonError::into_inner).rejected.clone();
        let kept = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(reason, count): (ivs_core::decode::Reason, u64)| RejectExamples {
            reason: reason.as_str(),
            count,
            examples: kept
                .get(reason.as_str())
                .map(|all| all.iter().cloned().collect())
                .unwrap_or_default(),
        };
        let mut all: Vec<_> = counts.into_iter().map(of).collect();
        all.sort_by_key(|examples| std::cmp::Reverse(examples.count));
        all
    }

    /// Returns the last error that was noted.
    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Snapshot {
            read: counts.read,
            accepted: counts.accepted,
            duplicate: counts.duplicate,
            rejected: counts.rejected_total(),
            rejected_by_reason: counts
                .rejected
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), *count))
                .collect(),
            late: counts.late,
            negative_latency: counts.negative_latency,
            retention_gaps: counts.retention_gaps,
            epochs: get(&self.epochs),
            epoch_us: get(&self.epoch_us),
            rows_written: get(&self.rows_written),
            rows_already: get(&self.rows_already),
            rows_set_aside: get(&self.rows_set_aside),
            conflicts: get(&self.conflicts),
            row_reads: get(&self.row_reads),
            puts_failed: get(&self.puts_failed),
            merged_puts: get(&self.merged_puts),
            partials_merged: get(&self.partials_merged),
            partials_waiting: get(&self.partials_waiting),
            write_units: get(&self.write_units),
            write_units_refused: get(&self.write_units_refused),
            batch_write_calls: get(&self.batch_write_calls),
            batch_writes: get(&self.batch_writes),
            batch_read_calls: get(&self.batch_read_calls),
            batch_reads: get(&self.batch_reads),
            batch_left: get(&self.batch_left),
            retries: get(&self.retries),
            metric_calls: get(&self.metric_calls),
            datums: get(&self.datums),
            datums_dropped: get(&self.datums_dropped),
            domain_events: get(&self.domain_events),
            objects: get(&self.objects),
            failed_tasks: get(&self.failed_tasks),
            outbox_spilled: get(&self.outbox_spilled),
            outbox_sent: get(&self.outbox_sent),
            outbox_expired: get(&self.outbox_expired),
            outbox_objects: get(&self.outbox_objects),
            outbox_bytes: get(&self.outbox_bytes),
            outbox_age_ms: match get(&self.outbox_oldest_ms) {
                0 => 0,
                oldest_ms => u64::try_from(now().0).unwrap_or(0).saturating_sub(oldest_ms),
            },
            reconcile_rounds: get(&self.reconcile_rounds),
            reconcile_failures: get(&self.reconcile_failures),
            reconciled_events: get(&self.reconciled_events),
        }
    }
}
