//! What outlives a worker: leases, tables, objects, and a ledger of what was emitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ivs_core::epoch::{Counts, Rejected};
use ivs_core::merge::Merge;
use ivs_core::row::{Applied, Row, apply};
use ivs_core::session::{SummaryAgg, TimelineItem};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_tests::rng::Rng;
use kinesis_model::{EpochMs, Position, ShardId};

use crate::log::ShardLog;

/// The protocol, or a way to break it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    /// As designed.
    Full,
    /// Rows are written without `pendingCheckpoint` on the lease.
    NoPrepare,
    /// Rows are merged without a look at `applied`.
    NoApplied,
    /// A new owner ignores `pendingCheckpoint`.
    PendingIgnored,
    /// A cached row is written without the version condition.
    StaleCacheBlind,
    /// Leases are created from a table that was read any time ago.
    StaleComparison,
    /// Reading goes on while an epoch is in flight and the next is full.
    Greedy,
}

/// A lease row, as far as the protocol needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    pub(crate) counter: u64,
    pub(crate) checkpoint: Option<Position>,
    pub(crate) pending: Option<Position>,
    pub(crate) arrival: Option<EpochMs>,
    pub(crate) done: bool,
    /// The table has the row.
    pub(crate) exists: bool,
}

/// Rare branches that the seeds must reach, or the simulation proves little.
pub(crate) type Marks = BTreeSet<&'static str>;

/// An epoch's identity.
pub(crate) type EpochId = (usize, Position);

/// Everything durable.
pub(crate) struct World {
    pub(crate) variant: Variant,
    pub(crate) log: Vec<ShardLog>,
    pub(crate) leases: Vec<Lease>,
    /// Shards that take no more records: reading them comes to an end.
    pub(crate) closed: Vec<bool>,
    pub(crate) metrics: BTreeMap<WindowKey, Row<WindowAgg>>,
    pub(crate) summaries: BTreeMap<Arc<str>, Row<SummaryAgg>>,
    pub(crate) timeline: BTreeMap<(Arc<str>, i64), TimelineItem>,
    pub(crate) rejected: BTreeMap<EpochId, Vec<Rejected>>,
    pub(crate) prepared: BTreeSet<EpochId>,
    pub(crate) emitted: BTreeMap<EpochId, u32>,
    pub(crate) committed: BTreeMap<EpochId, Counts>,
    /// Holds dropped between an emission and its commit: each allows one emission twice (E7).
    pub(crate) dropped_after_emit: u32,
    pub(crate) marks: Marks,
}

/// What became of one conditional put.
pub(crate) enum Put<A> {
    /// The row holds the epoch; here is its image.
    Done(Row<A>),
    /// Refused: try again with this image.
    Retry(Option<Row<A>>),
    /// Stored, but the reply was lost and the worker gave the shard up.
    GivenUp,
}

impl World {
    pub(crate) fn new(variant: Variant, log: Vec<ShardLog>) -> Self {
        Self {
            variant,
            leases: vec![Lease { exists: true, ..Lease::default() }; log.len()],
            closed: vec![true; log.len()],
            log,
            metrics: BTreeMap::new(),
            summaries: BTreeMap::new(),
            timeline: BTreeMap::new(),
            rejected: BTreeMap::new(),
            prepared: BTreeSet::new(),
            emitted: BTreeMap::new(),
            committed: BTreeMap::new(),
            dropped_after_emit: 0,
            marks: Marks::new(),
        }
    }

    pub(crate) fn mark(&mut self, name: &'static str) {
        self.marks.insert(name);
    }

    /// Creates the leases of a shard's children; one that exists is left as it is.
    pub(crate) fn create_children(&mut self, parent: usize) {
        for child in 0..self.log.len() {
            if self.log[child].parents.contains(&parent) && !self.leases[child].exists {
                self.mark("a child's lease was created at the end of its parent");
                self.leases[child] = Lease { exists: true, ..Lease::default() };
            }
        }
    }

    /// Whether a child of this shard may start (E5).
    pub(crate) fn parents_done(&self, shard: usize) -> bool {
        self.log[shard].parents.iter().all(|&p| self.leases[p].done)
    }
}

/// The condition of a put as DynamoDB checks it: the version that was seen, or absence.
fn holds<A>(stored: Option<&Row<A>>, seen: Option<u64>) -> bool {
    stored.map(|row| row.version) == seen
}

/// One conditional put of a delta into a table, with faults. `image` is what the worker believes
/// is stored: its cache, or the row that the last refusal returned.
pub(crate) fn put<K: Ord + Clone, A: Merge + Clone>(
    table: &mut BTreeMap<K, Row<A>>,
    (key, delta): (&K, &A),
    image: Option<&Row<A>>,
    (shard, to): (&ShardId, Position),
    (variant, rng, marks): (Variant, &mut Rng, &mut Marks),
) -> Put<A> {
    let mut believed = image.cloned();
    if variant == Variant::NoApplied
        && let Some(row) = &mut believed
    {
        row.applied.remove(shard);
    }
    let (row, seen) = match apply(believed.as_ref(), delta, shard, to) {
        Applied::Already => {
            marks.insert("an epoch found itself already applied");
            return Put::Done(believed.expect("only a stored row holds an epoch"));
        }
        Applied::Put { row, seen } => (row, seen),
    };
    if rng.chance(2) {
        marks.insert("a put was throttled");
        return Put::Retry(image.cloned());
    }
    let stored = table.get(key);
    let blind = variant == Variant::StaleCacheBlind && image.is_some();
    if !blind && !holds(stored, seen) {
        marks.insert("a put was refused");
        if stored.is_some_and(|row| row.applied.keys().any(|s| s != shard)) {
            marks.insert("two shards met in one row");
        }
        return Put::Retry(stored.cloned());
    }
    table.insert(key.clone(), row.clone());
    match rng.below(100) {
        0..=2 => {
            marks.insert("a put was stored, its reply lost, the shard given up");
            Put::GivenUp
        }
        3..=7 => {
            marks.insert("a put was stored, its reply lost, and sent again");
            Put::Retry(image.cloned())
        }
        _ => Put::Done(row),
    }
}
