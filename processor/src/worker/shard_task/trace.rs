//! One structured line for each step of an epoch, from which `check-trace` judges a fleet's logs.
//! They are at level `debug`: `IVS_LOG=info,ivs_processor::worker::shard_task=debug`.
//!
//! `holder` is the lease's counter when the shard was handed out: it grows with every owner.

use ivs_core::epoch::{Commit, Counts, Emission, Objects, Resume};
use kinesis_fleet::{ChildShard, LeaseOutcome, ShardLease};
use kinesis_model::{Position, ShardId};

/// A shard in the hands of one owner.
pub(super) struct Trace<'a>(pub(super) &'a ShardLease);

impl Trace<'_> {
    /// The owner begins here.
    pub(super) fn started(&self, resume: &Resume) {
        let (shard, holder) = self.of();
        let text = |at: Option<Position>| at.map(|at| at.to_string());
        let (checkpoint, pending) = (text(resume.checkpoint), text(resume.pending));
        tracing::debug!(%shard, holder, checkpoint, pending, "started");
    }

    /// The lease knows the epoch's end.
    pub(super) fn prepared(&self, to: Position) {
        let (shard, holder) = self.of();
        tracing::debug!(%shard, holder, %to, "prepared");
    }

    /// All rows hold the epoch.
    pub(super) fn written(&self, to: Position, rows: u64) {
        let (shard, holder) = self.of();
        tracing::debug!(%shard, holder, %to, rows, "written");
    }

    /// Rejects and segment of the epoch are kept.
    pub(super) fn stored(&self, objects: &Objects) {
        let (shard, holder) = self.of();
        let from = objects.from.map(|at| at.to_string());
        tracing::debug!(%shard, holder, to = %objects.to, from, "stored");
    }

    /// Metrics and events are acknowledged, or in the outbox. Every committed epoch has this line,
    /// whatever crashes. One that is written again has the same figures again.
    pub(super) fn emitted(&self, emission: &Emission) {
        let (shard, holder) = self.of();
        let Counts { read, accepted, duplicate, late, .. } = emission.counts;
        let rejected = emission.counts.rejected_total();
        let to = emission.to;
        tracing::debug!(%shard, holder, %to, read, accepted, duplicate, rejected, late, "emitted");
    }

    /// The checkpoint has moved.
    pub(super) fn committed(&self, step: &Commit) {
        let (shard, holder) = self.of();
        let (to, gaps) = (step.to, step.counts.retention_gaps);
        tracing::debug!(%shard, holder, %to, gaps, "committed");
    }

    /// The shard is done; its children may be read.
    pub(super) fn finished(&self, children: &[ChildShard], outcome: LeaseOutcome) {
        let (shard, holder) = self.of();
        let children: Vec<&str> = children.iter().map(|child| child.shard.as_str()).collect();
        let children = children.join(" ");
        let is_done = outcome == LeaseOutcome::Done;
        tracing::debug!(%shard, holder, children, is_done, "finished");
    }

    fn of(&self) -> (&ShardId, u64) {
        (self.0.shard(), self.0.fencing_token())
    }
}
