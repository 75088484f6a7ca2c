//! What the application holds while it works on a shard.

use std::sync::Arc;

use bytes::Bytes;
use kinesis_model::{EpochMs, HashRange, Position, ShardId};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::held::{Held, HolderWrite, Phase};
use crate::lease::{Checkpoint, ChildShard, Lease, ResumePoint};
use crate::store::StoreError;
use crate::store::expressions::Change;
use crate::sync::child_lease;

/// What became of a write by the holder.
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
        };
        Self { shared, held, hash_range: row.hash_range, resume, counter: row.counter }
    }

    /// The shard.
    #[must_use]
    pub fn shard(&self) -> &ShardId {
        &self.held.shard
    }

    /// Its hash keys, inclusive; `None` if the worker that created the lease did not store them.
    #[must_use]
    pub fn hash_range(&self) -> Option<HashRange> {
        self.hash_range
    }

    /// Where the previous owner stopped, read consistently when the lease was taken.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        self.resume.clone()
    }

    /// The lease counter when the lease was handed out: grows with every owner of the shard.
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

    /// The shard is read to its end and all is committed: creates the leases of `children`, notes
    /// them on this lease, and moves its checkpoint to the end of the shard, in this order, so
    /// that a crash between leaves nothing unread.
    ///
    /// # Errors
    /// As [`ShardLease::prepare`]; every step may be repeated.
    pub async fn finish(&self, children: &[ChildShard]) -> Result<LeaseOutcome, StoreError> {
        let mut row = self.held.row().await;
        for child in children {
            // No counter fences this write: a worker that slept through the children's whole life
            // must not bring their leases back.
            if !self.held.is_surely_ours(&self.shared) {
                return Ok(LeaseOutcome::Lost);
            }
            self.shared.store.create(&child_lease(&row, child)).await?;
        }
        let ids: Vec<_> = children.iter().map(|child| child.shard.clone()).collect();
        if !self.shared.store.set_children(&self.held.shard, &ids).await? {
            self.held.lost.cancel();
            return Ok(LeaseOutcome::Lost);
        }
        let outcome = self.held.write(&self.shared, &mut row, &Change::Finish(ids)).await?;
        if let HolderWrite::Done = outcome {
            self.held.set_phase(Phase::Finished);
            self.shared.wake.notify_one();
        }
        Ok(outcome.into())
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
