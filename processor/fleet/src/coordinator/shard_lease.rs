//! The lease as the application holds it while it works on a shard.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use kinesis_model::{EpochMs, HashRange, Position, ShardId};
use tokio_util::sync::CancellationToken;

use super::held::{Held, HolderWrite, Phase};
use super::shared::Shared;
use crate::lease::{Checkpoint, ChildShard, Lease, ResumePoint};
use crate::store::StoreError;
use crate::store::expressions::Change;
use crate::sync::child_lease;

/// Of an error kept on a lease: a row is read by every worker every second.
const ERROR_CHARS_MAX: usize = 300;
/// Machines' clocks may differ from the stream's, and retention is not exact.
const RETENTION_MARGIN_MS: u64 = 3_600_000;
/// The shortest retention there is.
const RETENTION_MIN_MS: u64 = 24 * 3_600_000;

/// The outcome of a write by the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LeaseOutcome {
    /// Stored.
    Done,
    /// The lease is somebody else's, or may be: nothing was stored; drop everything.
    Lost,
}

/// The right to work on one shard. Only a value of this type can move the shard's checkpoint.
///
/// Give it back by [`ShardLease::finish`] at the end of the shard or [`ShardLease::release`]
/// otherwise. Dropping it stops the renewals: the lease expires and then anyone, this worker
/// included, may take it.
#[derive(Debug)]
pub struct ShardLease {
    shared: Arc<Shared>,
    held: Arc<Held>,
    hash_range: Option<HashRange>,
    resume: ResumePoint,
    counter: u64,
}

impl ShardLease {
    pub(super) fn new(shared: Arc<Shared>, held: Arc<Held>, row: &Lease) -> Self {
        let pending = match row.pending {
            Some(Checkpoint::Sequence(position)) => Some(position),
            // A sentinel is another application's; there is no epoch to close at it.
            _ => None,
        };
        let resume = ResumePoint {
            checkpoint: row.checkpoint,
            pending,
            pending_state: row.pending_state.clone(),
            checkpoint_arrival: row.checkpoint_arrival,
            initial_time: row.initial_time,
            is_complete: is_complete(row, &shared),
        };
        Self { shared, held, hash_range: row.hash_range, resume, counter: row.counter }
    }

    /// Returns the shard.
    #[must_use]
    pub fn shard(&self) -> &ShardId {
        &self.held.shard
    }

    /// Returns its hash keys, inclusive; `None` if the worker that created the lease did not store
    /// them.
    #[must_use]
    pub fn hash_range(&self) -> Option<HashRange> {
        self.hash_range
    }

    /// Returns where the previous owner stopped, read consistently when the lease was taken.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        self.resume.clone()
    }

    /// Returns the lease counter when the lease was handed out: grows with every owner of the
    /// shard.
    #[must_use]
    pub fn fencing_token(&self) -> u64 {
        self.counter
    }

    /// Stores `to` as pending checkpoint: the epoch that ends there is about to be written.
    ///
    /// # Errors
    /// See [`StoreError`]; after [`StoreError::Unreachable`] the write may or may not have been
    /// stored, and it is safe to call again.
    pub async fn prepare(&self, to: Position) -> Result<LeaseOutcome, StoreError> {
        self.prepare_with(to, Bytes::new()).await
    }

    /// As [`ShardLease::prepare`], with `state` beside it for whoever has to finish what begins:
    /// see [`ResumePoint::pending_state`].
    ///
    /// # Errors
    /// As [`ShardLease::prepare`].
    pub async fn prepare_with(
        &self,
        to: Position,
        state: Bytes,
    ) -> Result<LeaseOutcome, StoreError> {
        self.write(&Change::Prepare { to, state }).await
    }

    /// Stores `to` as checkpoint and removes the pending one. `arrival` is the arrival time of the
    /// record at `to`.
    ///
    /// # Errors
    /// As [`ShardLease::prepare`].
    pub async fn commit(&self, to: Position, arrival: EpochMs) -> Result<LeaseOutcome, StoreError> {
        self.write(&Change::Commit { to, arrival }).await
    }

    /// Finishes a shard that is read to its end and committed: creates the leases of `children`,
    /// notes them on this lease, and moves its checkpoint to the end of the shard, in this order,
    /// so that a crash between leaves nothing unread.
    ///
    /// The lease of a merged shard is created by whoever finishes the last of its parents.
    ///
    /// # Errors
    /// As [`ShardLease::prepare`]; every step may be repeated.
    pub async fn finish(&self, children: &[ChildShard]) -> Result<LeaseOutcome, StoreError> {
        let mut row = self.held.row().await;
        let mut waiting = Vec::new();
        for child in children {
            // No counter fences this write: a worker that slept through the children's whole life
            // must not bring their leases back.
            if !self.held.is_surely_ours(&self.shared) {
                return Ok(LeaseOutcome::Lost);
            }
            if self.other_parents_are_done(child).await {
                self.shared.store.create(&child_lease(&row, child)).await?;
            } else {
                waiting.push(child);
            }
        }
        let ids: Vec<_> = children.iter().map(|child| child.shard.clone()).collect();
        if !self.shared.store.set_children(&self.held.shard, &ids).await? {
            self.held.lost.cancel();
            return Ok(LeaseOutcome::Lost);
        }
        let begun = row.clone();
        let outcome = self.held.write(&self.shared, &mut row, &Change::Finish(ids)).await?;
        if let HolderWrite::Done = outcome {
            self.held.set_phase(Phase::Finished);
            self.create_late(&begun, &waiting).await;
            self.shared.wake.notify_one();
        }
        Ok(outcome.into())
    }

    /// Two parents that are finished at the same moment find each other unfinished. Each looks
    /// again when its own end is stored, so that one of them sees the other's. What fails here is
    /// made up for by the next comparison of shards and leases.
    async fn create_late(&self, parent: &Lease, children: &[&ChildShard]) {
        for child in children {
            let ready = self.other_parents_are_done(child).await;
            if !ready || !self.held.is_surely_ours(&self.shared) {
                continue;
            }
            if let Err(error) = self.shared.store.create(&child_lease(parent, child)).await {
                let (shard, parent) = (&child.shard, &parent.key);
                tracing::warn!(%shard, %parent, %error, "the lease of a child is not created yet");
            }
        }
    }

    /// Returns whether a child may begin as far as its parents beside this one are concerned.
    async fn other_parents_are_done(&self, child: &ChildShard) -> bool {
        let others: Vec<_> =
            child.parents.iter().filter(|parent| **parent != self.held.shard).cloned().collect();
        if others.is_empty() {
            return true;
        }
        let table = self.shared.table().clone();
        // The others' own rows are read again, consistently.
        let rows = table.iter().filter(|lease| !others.contains(&lease.key));
        let rows: HashMap<_, _> = rows.map(|lease| (&lease.key, lease)).collect();
        self.shared.listing.are_done(&self.shared, &rows, &others).await.unwrap_or_else(|error| {
            tracing::warn!(shard = %child.shard, %error, "its parents could not be looked up");
            false
        })
    }

    /// Returns a way to note on the lease how the work gets on, for whoever looks at the table and
    /// for the next owner. It outlives this value.
    #[must_use]
    pub fn notes(&self) -> LeaseNotes {
        LeaseNotes { shared: Arc::clone(&self.shared), held: Arc::clone(&self.held) }
    }

    /// Gives the lease up, to the worker that asked for it or to anyone, who starts at once. Call
    /// it when nothing of the shard is in progress any more.
    ///
    /// # Errors
    /// As [`ShardLease::prepare`]; the lease is given up in any case, and expires.
    pub async fn release(self) -> Result<LeaseOutcome, StoreError> {
        if self.held.phase() == Phase::Finished {
            return Ok(LeaseOutcome::Done);
        }
        let mut row = self.held.row().await;
        let me = &self.shared.config.worker_id;
        let next = row.hand_over_to.clone().filter(|to| to != me);
        let outcome = self.held.write(&self.shared, &mut row, &Change::Release(next)).await;
        drop(row);
        // `Drop` forgets the lease.
        outcome.map(Into::into)
    }

    /// Fires when the lease is lost, or could have expired by our own clock: stop at once, write
    /// nothing more.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.held.lost.clone()
    }

    /// Fires when the lease should be given to another worker, or this one shuts down: close the
    /// epoch, commit, release.
    #[must_use]
    pub fn hand_over(&self) -> CancellationToken {
        self.held.hand_over.clone()
    }

    async fn write(&self, change: &Change) -> Result<LeaseOutcome, StoreError> {
        let mut row = self.held.row().await;
        self.held.write(&self.shared, &mut row, change).await.map(Into::into)
    }
}

/// Notes on a lease; see [`ShardLease::notes`].
#[derive(Clone, Debug)]
pub struct LeaseNotes {
    shared: Arc<Shared>,
    held: Arc<Held>,
}

impl LeaseNotes {
    /// Notes that everything that arrived up to `at` is done; the next heartbeat stores it. A
    /// successor then knows that nothing is missing after the checkpoint even when the record
    /// there has expired.
    pub fn tip(&self, at: EpochMs) {
        self.held.note_tip(at);
    }

    /// Notes that work on the shard has failed and why. Call it once the lease is dropped: it
    /// lapses, which spaces the tries.
    ///
    /// # Errors
    /// As [`ShardLease::prepare`].
    pub async fn failed(&self, why: &str) -> Result<LeaseOutcome, StoreError> {
        let why: String = why.chars().take(ERROR_CHARS_MAX).collect();
        let mut row = self.held.row().await;
        let (now, change) = (self.shared.config.clock.mono(), Change::Fail(why.into()));
        let written = self.held.write_unchecked(&self.shared, &mut row, &change, now).await;
        written.map(Into::into)
    }
}

/// See [`ResumePoint::is_complete`].
fn is_complete(row: &Lease, shared: &Shared) -> bool {
    let retention_ms = shared.retention_ms.load(Ordering::Relaxed).max(RETENTION_MIN_MS);
    is_complete_at(row, shared.config.clock.wall(), retention_ms)
}

/// Returns whether all records behind the checkpoint were seen while its own may have expired: one
/// that cannot have expired must be met, whatever was seen.
fn is_complete_at(row: &Lease, now: EpochMs, retention_ms: u64) -> bool {
    let is_kept = |at: EpochMs| now.0.abs_diff(at.0) < retention_ms - RETENTION_MARGIN_MS;
    row.tip_seen.is_some_and(is_kept) && !row.checkpoint_arrival.is_some_and(is_kept)
}

impl From<HolderWrite> for LeaseOutcome {
    fn from(write: HolderWrite) -> Self {
        match write {
            HolderWrite::Done => Self::Done,
            HolderWrite::Lost => Self::Lost,
        }
    }
}

impl Drop for ShardLease {
    fn drop(&mut self) {
        if self.held.phase() != Phase::Finished {
            self.shared.forget(&self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_seen_excuses_only_a_checkpoint_that_may_have_expired() {
        const HOUR_MS: i64 = 3_600_000;
        let complete = |arrival_h: Option<i64>, seen_h: Option<i64>| {
            let mut row = Lease::new(ShardId::new("0"), Checkpoint::TrimHorizon);
            row.checkpoint_arrival = arrival_h.map(|hours| EpochMs(hours * HOUR_MS));
            row.tip_seen = seen_h.map(|hours| EpochMs(hours * HOUR_MS));
            is_complete_at(&row, EpochMs(100 * HOUR_MS), 24 * 3_600_000)
        };
        assert!(complete(Some(50), Some(99)), "silent for two days, watched until an hour ago");
        assert!(!complete(Some(50), None), "silent for two days, or not");
        assert!(!complete(Some(50), Some(70)), "what came since may have expired");
        assert!(!complete(Some(99), Some(99)), "its record is there, or something is wrong");
    }
}
