//! The machine's vocabulary: its settings, what it is told, and what it asks for.

use std::sync::Arc;

use super::open::{Counts, Rejected};
use crate::decode::{DecodeLimits, Fact};
use crate::row::Row;
use crate::session::{SummaryAgg, TimelineItem};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::{EpochMs, HashRange, Position, Record};

/// How a shard is processed. The limits bound memory (E8); all are per epoch.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// An epoch closes this long after its first record was read.
    pub interval_ms: i64,
    /// Most rows an epoch may touch. The summary of a session of which it only has minutes comes on
    /// top: one for each of its minutes at the very most.
    pub max_rows: usize,
    /// Most records an epoch may hold.
    pub max_records: u64,
    /// Most payload an epoch may hold.
    pub max_bytes: u64,
    /// How long an event id is remembered, by arrival; 0 turns duplicates off.
    pub dedupe_horizon_ms: i64,
    /// Most event ids remembered. A shard takes 1 MB/s, about 4,000 small records: the default
    /// holds more than a minute of them, and some 70 MB at the very most.
    pub dedupe_max_ids: usize,
    /// Whether the epoch's records are kept for an archive segment.
    pub archive: bool,
    /// What decode accepts.
    pub decode: DecodeLimits,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            max_rows: 20_000,
            max_records: 500_000,
            max_bytes: 64 << 20,
            dedupe_horizon_ms: 60_000,
            dedupe_max_ids: 1_000_000,
            archive: false,
            decode: DecodeLimits::default(),
        }
    }
}

/// Where the lease says a shard stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// The last committed position; `None` before the first commit.
    pub checkpoint: Option<Position>,
    /// The end of an epoch that was prepared and never committed.
    pub pending: Option<Position>,
    /// The latest arrival up to the checkpoint, as committed with it.
    pub checkpoint_arrival: Option<EpochMs>,
}

/// Where the reader has to start so that the machine can resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// Where the lease's initial position says: nothing was ever committed.
    Beginning,
    /// At the first record that arrived at this time or later; what lies up to the checkpoint
    /// only warms up the duplicate filter.
    Arrival(EpochMs),
    /// At this position; the checkpoint itself is skipped.
    At(Position),
}

/// What the driver tells the machine.
#[derive(Debug)]
pub enum Input {
    /// The next records of the shard, in order.
    Records(Vec<Record>),
    /// The time, by the driver's clock; closes epochs that are due.
    Tick(EpochMs),
    /// The lease holds `pendingCheckpoint`.
    Prepared,
    /// Every row holds the epoch.
    RowsStored(StoredRows),
    /// Rejects and archive segment are stored.
    ObjectsStored,
    /// Metrics and events were acknowledged.
    Emitted,
    /// The lease holds the checkpoint.
    Committed,
    /// The shard is closed and was read to its end.
    ShardEnd,
    /// Shutdown or a cooperative hand-over: close, commit, release.
    HandOver,
}

/// What the machine asks the driver to do.
#[derive(Debug)]
pub enum Effect {
    /// Write `pendingCheckpoint` on the condition that the lease is ours; answer `Prepared`.
    Prepare(Position),
    /// Merge these partials into their rows; answer `RowsStored`.
    PutRows {
        /// The epoch's partials.
        rows: Arc<Rows>,
        /// The epoch's end, to be set as `applied[shard]`.
        to: Position,
    },
    /// Store rejects and archive under names derived from the epoch; answer `ObjectsStored`.
    Store(Objects),
    /// Send metrics and domain events; answer `Emitted`.
    Emit(Emission),
    /// Write `checkpoint` and remove `pendingCheckpoint`; answer `Committed`.
    Commit(Commit),
    /// The shard is done with; the machine takes no more input.
    Finish(Ending),
}

/// An epoch's partial aggregates, one per row, sorted by key.
#[derive(Debug, Default)]
pub struct Rows {
    /// Per (session, minute).
    pub metrics: Vec<(WindowKey, WindowAgg)>,
    /// Per session.
    pub summaries: Vec<(Arc<str>, SummaryAgg)>,
    /// Immutable facts.
    pub timeline: Vec<TimelineItem>,
    /// Facts that belong to no session, and so to no row: metrics and domain events only.
    pub account_facts: Vec<Fact>,
}

impl Rows {
    /// How many rows the epoch touches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.metrics.len() + self.summaries.len() + self.timeline.len()
    }

    /// Whether the epoch touches no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The rows as they stand after the epoch was merged into them.
#[derive(Clone, Debug, Default)]
pub struct StoredRows {
    /// The metric rows touched.
    pub metrics: Vec<(WindowKey, Arc<Row<WindowAgg>>)>,
    /// The summaries touched.
    pub summaries: Vec<(Arc<str>, Arc<Row<SummaryAgg>>)>,
    /// The timeline items that this epoch was the first to write.
    pub inserted: Vec<TimelineItem>,
}

/// What an epoch leaves beside its rows.
#[derive(Debug, Default)]
pub struct Objects {
    /// The position before the epoch's first record, if there is one.
    pub from: Option<Position>,
    /// The epoch's end.
    pub to: Position,
    /// Arrival of the epoch's first record: names the archive folder, so that a second write of
    /// the same epoch is the same write.
    pub first_arrival: EpochMs,
    /// Rejected records, in order.
    pub rejected: Vec<Rejected>,
    /// The epoch's records, when an archive is wanted.
    pub segment: Vec<Record>,
    /// The shard's hash keys, which a replay of the segment needs to judge aggregates.
    pub hash_range: Option<HashRange>,
}

/// What metrics and domain events are made of.
#[derive(Debug)]
pub struct Emission {
    /// The epoch's partials: they add up inside CloudWatch.
    pub partials: Arc<Rows>,
    /// The merged rows: gauges to be read with Maximum.
    pub stored: StoredRows,
    /// The epoch's record counts.
    pub counts: Counts,
    /// The latest arrival of the epoch, against which lateness is judged (E9).
    pub arrival: EpochMs,
    /// The epoch's end.
    pub to: Position,
}

/// A checkpoint to be written.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The epoch's end.
    pub to: Position,
    /// The latest arrival up to it.
    pub arrival: Option<EpochMs>,
    /// The epoch's record counts.
    pub counts: Counts,
}

/// How a shard's processing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is committed: write SHARD_END.
    ShardEnd,
    /// Everything read is committed, or an unfinished recovery was dropped: release the lease.
    HandOver,
}
