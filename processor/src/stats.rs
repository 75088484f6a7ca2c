//! What this process has done so far, for the summary, the status page and `/metrics`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ivs_core::epoch::Counts;
use serde::Serialize;

/// Counters of one process. Shared by all shard tasks.
#[derive(Debug, Default)]
pub struct Stats {
    committed: Mutex<Counts>,
    /// Epochs committed.
    pub epochs: AtomicU64,
    /// Conditional puts that were stored.
    pub rows_written: AtomicU64,
    /// Rows found to hold the epoch already.
    pub rows_already: AtomicU64,
    /// Rows that could never be written, whose epoch's share was kept beside the rejects.
    pub rows_set_aside: AtomicU64,
    /// Conditional puts that were refused because another shard or owner wrote in between.
    pub conflicts: AtomicU64,
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
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
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
    /// Prepared epochs whose end the stream no longer held.
    pub retention_gaps: u64,
    /// See [`Stats`].
    pub epochs: u64,
    /// See [`Stats`].
    pub rows_written: u64,
    /// See [`Stats`].
    pub rows_already: u64,
    /// See [`Stats`].
    pub rows_set_aside: u64,
    /// See [`Stats`].
    pub conflicts: u64,
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
}

impl Stats {
    /// Counts a committed epoch.
    pub fn commit(&self, counts: &Counts) {
        self.epochs.fetch_add(1, Relaxed);
        self.committed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(counts);
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts =
            self.committed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
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
            retention_gaps: counts.retention_gaps,
            epochs: get(&self.epochs),
            rows_written: get(&self.rows_written),
            rows_already: get(&self.rows_already),
            rows_set_aside: get(&self.rows_set_aside),
            conflicts: get(&self.conflicts),
            retries: get(&self.retries),
            metric_calls: get(&self.metric_calls),
            datums: get(&self.datums),
            datums_dropped: get(&self.datums_dropped),
            domain_events: get(&self.domain_events),
            objects: get(&self.objects),
        }
    }
}
