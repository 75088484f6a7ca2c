//! The state that outlives a worker: leases, tables, objects, and a ledger of what was emitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ivs_core::epoch::{Commit, Counts, Rejected};
use ivs_core::row::Row;
use ivs_core::session::{SummaryAgg, TimelineItem};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_tests::rng::Rng;
use kinesis_model::{EpochMs, Position, ShardId};

use crate::log::{HORIZON_MS, Line, ShardLog};
use crate::writers::Writers;

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
    /// A new owner takes the record of the checkpoint for done, and not only the part up to it.
    SubIgnored,
    /// A new owner does not ask whether the record of the checkpoint is still there.
    GapIgnored,
    /// Reading goes on while an epoch is in flight and the next is full.
    Greedy,
    /// A put moves `applied` for shards whose partials wait for the next one.
    AppliedUnmerged,
    /// A partial is answered when its put begins.
    AcknowledgesEarly,
    /// A shard submits its partials before its prepare.
    CombinesUnprepared,
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
    /// Records before this one have expired, by shard.
    pub(crate) trimmed: Vec<usize>,
    /// The record of the checkpoint has expired, and no commit has told of it yet.
    pub(crate) trimmed_at_checkpoint: Vec<bool>,
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
    /// The row writers of living workers.
    pub(crate) writers: BTreeMap<usize, Writers>,
    holds: u64,
}

impl World {
    pub(crate) fn new(variant: Variant, log: Vec<ShardLog>) -> Self {
        Self {
            variant,
            leases: vec![Lease { exists: true, ..Lease::default() }; log.len()],
            closed: vec![true; log.len()],
            trimmed: vec![0; log.len()],
            trimmed_at_checkpoint: vec![false; log.len()],
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
            writers: BTreeMap::new(),
            holds: 0,
        }
    }

    pub(crate) fn mark(&mut self, name: &'static str) {
        self.marks.insert(name);
    }

    /// Another application has prepared epochs that end inside an aggregate, and is gone.
    pub(crate) fn prepare_inside_aggregates(&mut self, rng: &mut Rng) {
        for shard in 0..self.log.len() {
            let inside: Vec<_> =
                self.log[shard].lines.iter().filter(|line| line.sub == 1).collect();
            if inside.is_empty() || !rng.chance(50) {
                continue;
            }
            let line = inside[rng.index(inside.len())];
            let to = Position { sub: 0, ..line.position() };
            self.leases[shard].pending = Some(to);
            self.prepared.insert((shard, to));
            self.mark("an epoch was prepared to end inside an aggregate");
        }
    }

    /// Lets records of a shard that nobody works on expire, some of them unread. What repeats one
    /// of them comes later than the horizon, so that it is not a duplicate for anybody.
    pub(crate) fn expire(&mut self, shard: usize, rng: &mut Rng) {
        let lease = &self.leases[shard];
        if lease.pending.is_some() || lease.done || !lease.exists {
            return;
        }
        let log = &mut self.log[shard];
        let mut latest = EpochMs(i64::MIN);
        let mut ends = vec![log.records.len()];
        for (number, record) in log.records.iter().enumerate() {
            let apart = record.arrival.0.saturating_sub(latest.0) > HORIZON_MS;
            if apart && number > self.trimmed[shard] {
                ends.push(number);
            }
            latest = latest.max(record.arrival);
        }
        let end = ends[rng.index(ends.len())];
        if end <= self.trimmed[shard] {
            return;
        }
        self.trimmed[shard] = end;
        let gone = log.records[end - 1].sequence;
        let lost = log.lines.iter().map(Line::position);
        let lost = lost.filter(|at| at.sequence <= gone && Some(*at) > lease.checkpoint);
        let before = log.lost.len();
        log.lost.extend(lost);
        let unread = log.lost.len() > before;
        self.trimmed_at_checkpoint[shard] |=
            lease.checkpoint.is_some_and(|checkpoint| checkpoint.sequence <= gone);
        if unread {
            self.mark("records expired unread");
        }
    }

    /// A gap is counted by the first epoch behind it, and only by that.
    pub(crate) fn settle_gap(&mut self, shard: usize, commit: &Commit) -> Result<(), String> {
        let expected = std::mem::take(&mut self.trimmed_at_checkpoint[shard]);
        let counted = commit.counts.retention_gaps;
        // A gap at the end of a shard moves no checkpoint: an owner that comes before the shard is
        // finished finds it again.
        if commit.counts.read == 0 && self.leases[shard].checkpoint == Some(commit.to) {
            self.mark("a gap at the end of a shard was counted");
            return Ok(());
        }
        if expected != (counted > 0) || counted != commit.gaps.len() as u64 {
            return Err(format!(
                "gap: {} of shard {shard} counts {counted} gaps, expired unread: {expected}",
                commit.to
            ));
        }
        if expected {
            self.mark("a gap was counted");
        }
        Ok(())
    }

    /// Returns a number for a hold that begins.
    pub(crate) fn next_hold(&mut self) -> u64 {
        self.holds += 1;
        self.holds
    }

    /// A worker's process is gone, and what its writer had with it.
    pub(crate) fn crash(&mut self, worker: usize) {
        self.writers.remove(&worker);
    }

    /// Takes a step of each lane of a worker's row writer.
    pub(crate) fn write_step(&mut self, worker: usize, rng: &mut Rng) -> Result<(), String> {
        let Some(mut writers) = self.writers.remove(&worker) else { return Ok(()) };
        let (log, prepared) = (&self.log, &self.prepared);
        let may_write = |id: &ShardId, to: Position| {
            log.iter().position(|log| log.id == *id).is_some_and(|at| prepared.contains(&(at, to)))
        };
        let faults = (self.variant, &mut *rng, &mut self.marks);
        let metrics = writers.metrics.step(&mut self.metrics, may_write, faults);
        let faults = (self.variant, &mut *rng, &mut self.marks);
        let summaries = writers.summaries.step(&mut self.summaries, may_write, faults);
        self.writers.insert(worker, writers);
        metrics.and(summaries)
    }

    /// Creates the leases of a shard's children whose other parents are finished; one that exists
    /// is left as it is.
    pub(crate) fn create_children(&mut self, parent: usize) {
        for child in 0..self.log.len() {
            let parents = &self.log[child].parents;
            let ready = parents.iter().all(|other| *other == parent || self.leases[*other].done);
            if parents.contains(&parent) && ready && !self.leases[child].exists {
                self.mark("a child's lease was created at the end of its parent");
                self.leases[child] = Lease { exists: true, ..Lease::default() };
            }
        }
    }

    /// Returns whether a child of this shard may start (E5).
    pub(crate) fn parents_done(&self, shard: usize) -> bool {
        self.log[shard].parents.iter().all(|&p| self.leases[p].done)
    }
}
