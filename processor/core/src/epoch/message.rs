//! The machine's vocabulary: its settings, and what its messages hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Counts, Rows};
use crate::decode::{DecodeLimits, Reason, Rejection};
use crate::experience::Dimensions;
use crate::session::{SummaryAgg, TimelineItem};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::{EpochMs, HashRange, Position, Record};

/// The version of what decoding, folding and merging make of a record. Raise it with every change
/// by which the same records give other rows, other duplicates or other rejects.
pub const LOGIC: u32 = 3;

/// How a shard is processed. The limits bound memory (E8); all are per epoch.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The version of the processing rules that epochs are prepared under: [`LOGIC`], if this is
    /// not to pose as another release.
    pub logic: u32,
    /// An epoch closes this long after its first record was read, or sooner: see `phase_ms`.
    pub interval_ms: i64,
    /// Epochs close when the driver's time is a multiple of the interval plus this, so that those
    /// of one worker close together; `None`: by their own age alone.
    pub phase_ms: Option<u64>,
    /// Most rows an epoch may touch. The summary of a session of which it only has minutes comes on
    /// top: one for each of its minutes at the very most.
    pub max_rows: usize,
    /// Most records an epoch may hold.
    pub max_records: u64,
    /// Most payload an epoch may hold.
    pub max_bytes: u64,
    /// How long an epoch that is full waits to go with those of other shards, see
    /// [`Input::Company`](super::Input::Company).
    pub company_ms: u64,
    /// How long an event id is remembered, by arrival; 0 turns duplicates off.
    pub dedupe_horizon_ms: i64,
    /// Most event ids remembered. A shard takes 1 MB/s, about 4,000 small records: the default
    /// holds more than a minute of them, and some 70 MB at the very most.
    pub dedupe_max_ids: usize,
    /// Whether the epoch's records are kept for an archive segment.
    pub archive: bool,
    /// The limits that decode applies.
    pub decode: DecodeLimits,
    /// The dimensions by which views are broken down; `None` leaves views and breakdowns out, as the version of the
    /// logic before did.
    pub dimensions: Option<Arc<Dimensions>>,
}

impl ShardConfig {
    /// Returns when an epoch is due whose first record was read at `opened`.
    #[must_use]
    pub fn due(&self, opened: ElapsedMs) -> ElapsedMs {
        let interval_ms = u64::try_from(self.interval_ms).unwrap_or_default().max(1);
        let into_interval_ms = self
            .phase_ms
            .map_or(0, |phase_ms| (opened.0 + interval_ms - phase_ms % interval_ms) % interval_ms);
        ElapsedMs(opened.0 + interval_ms - into_interval_ms)
    }
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            logic: LOGIC,
            interval_ms: 60_000,
            phase_ms: None,
            max_rows: 20_000,
            max_records: 500_000,
            max_bytes: 64 << 20,
            company_ms: 10_000,
            dedupe_horizon_ms: 60_000,
            dedupe_max_ids: 1_000_000,
            archive: false,
            decode: DecodeLimits::default(),
            dimensions: Some(Dimensions::shared()),
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
    /// The rules that made that epoch, as stored with it; `None` if its owner stored nothing, as
    /// workers of KCL and releases before 0.2 do. It is then closed by the rules of this worker.
    pub pending_rules: Option<Bytes>,
    /// The latest arrival up to the checkpoint, as committed with it.
    pub checkpoint_arrival: Option<EpochMs>,
    /// The stream is known to hold all that follows the checkpoint, even if the checkpoint's own
    /// record has expired.
    pub is_complete: bool,
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

/// Milliseconds since the driver began, by a clock that never goes back. Wall time is data and
/// closes no epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElapsedMs(pub u64);

/// About what a machine takes in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The open epoch.
    pub open_bytes: u64,
    /// The epoch in flight.
    pub flight_bytes: u64,
    /// Event ids that are remembered.
    pub ids_bytes: u64,
}

/// The rows as they stand after the epoch was merged into them.
#[derive(Clone, Debug, Default)]
pub struct StoredRows {
    /// The metric rows touched for which this epoch speaks: a row that was written for several
    /// shards at once is spoken for by one of them.
    pub metrics: Vec<(WindowKey, Arc<WindowAgg>)>,
    /// The summaries touched.
    pub summaries: Vec<(Arc<str>, Arc<SummaryAgg>)>,
    /// The timeline items that this epoch was the first to write.
    pub inserted: Vec<TimelineItem>,
}

/// The objects that an epoch leaves beside its rows.
#[derive(Debug, Default)]
pub struct Objects {
    /// Every record after this position is in the epoch; `None` at the beginning of the shard.
    /// Behind a gap it lies just before the first record, so that the archive shows the hole.
    pub from: Option<Position>,
    /// The epoch's end.
    pub to: Position,
    /// Arrival of the epoch's first record, or of the last one before an epoch without any: names the
    /// archive folder, so that a second write of the same epoch is the same write.
    pub first_arrival: EpochMs,
    /// Records of which something was refused, in order.
    pub rejected: Vec<Rejected>,
    /// The epoch's records, when an archive is wanted.
    pub segment: Vec<Record>,
    /// The shard's hash keys, which a replay of the segment needs to judge aggregates.
    pub hash_range: Option<HashRange>,
    /// Whatever the shard held after the epoch's end is gone unread, and the shard with it: no later
    /// segment will show that hole.
    pub end_is_lost: bool,
}

/// A record of which something was refused: kept whole and once, whatever the number of its lines,
/// so that nothing is lost and what is kept is bounded by what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stands in the shard.
    pub position: Position,
    /// The producer's partition key.
    pub partition_key: Arc<str>,
    /// When it arrived.
    pub arrival: EpochMs,
    /// The first refused one among its events and refusals, from 0.
    pub line: u64,
    /// Why that was refused.
    pub rejection: Rejection,
    /// How many refusals it holds, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Its bytes, those of accepted lines included: of an aggregate those of the user record, or
    /// of all of it where it could not be taken apart.
    pub data: Bytes,
}

impl Rejected {
    /// Returns how many of its lines were refused.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The source of metrics and domain events.
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

/// How a shard's processing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is committed: write SHARD_END.
    ShardEnd,
    /// Everything folded is committed, or an unfinished recovery was dropped: release the lease.
    HandOver,
    /// An epoch that was prepared by other rules is committed: go on by our own, from there.
    Reopen,
}
