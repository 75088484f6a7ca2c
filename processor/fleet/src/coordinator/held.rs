//! One lease that this worker holds: its row, how long it is surely ours, and who uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use kinesis_model::{EpochMs, ShardId};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::clock::MonoMs;
use crate::lease::Lease;
use crate::store::expressions::Change;
use crate::store::{StoreError, Write};

/// Who uses a held lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nobody yet: its parents are not finished, or the application has not fetched it.
    Idle = 0,
    /// The application.
    Running = 1,
    /// Nobody any more: the shard is done. Kept alive until the row is deleted, since Java workers
    /// would otherwise take it for nothing.
    Finished = 2,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) shard: ShardId,
    /// The row as last written. All writes go through this lock: each depends on the counter
    /// that the one before left.
    row: Mutex<Lease>,
    /// The lease is surely ours until then, on the monotonic clock.
    valid_until: AtomicU64,
    phase: AtomicU8,
    /// Everything that arrived up to then is done, epoch milliseconds; 0 until that is known.
    tip_seen_ms: AtomicI64,
    /// Fires when the lease is not, or not surely, ours any more.
    pub(super) lost: CancellationToken,
    /// Fires when another worker or a shutdown wants the lease.
    pub(super) hand_over: CancellationToken,
}

/// The result of a write by the holder.
#[derive(Debug)]
pub(super) enum HolderWrite {
    Done,
    Lost,
}

impl Held {
    /// Returns a lease whose taking was sent at `sent`.
    pub(super) fn new(row: Lease, sent: MonoMs, shared: &Shared) -> Self {
        let valid_until = sent.plus(shared.config.safe_hold_ms());
        Self {
            shard: row.key.clone(),
            phase: AtomicU8::new(
                if row.is_finished() { Phase::Finished } else { Phase::Idle } as u8
            ),
            row: Mutex::new(row),
            valid_until: AtomicU64::new(valid_until.0),
            tip_seen_ms: AtomicI64::new(0),
            lost: CancellationToken::new(),
            hand_over: CancellationToken::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Running,
            _ => Phase::Finished,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Everything that arrived up to `at` is done.
    pub(super) fn note_tip(&self, at: EpochMs) {
        self.tip_seen_ms.fetch_max(at.0, Ordering::AcqRel);
    }

    /// Returns the next heartbeat: it stores along what the row does not know yet.
    pub(super) fn heartbeat(&self, row: &Lease) -> Change {
        let seen = Some(EpochMs(self.tip_seen_ms.load(Ordering::Acquire)));
        match seen.filter(|seen| seen.0 > 0 && Some(*seen) > row.tip_seen) {
            Some(seen) => Change::RenewAtTip(seen),
            None => Change::Renew,
        }
    }

    pub(super) fn valid_until(&self) -> MonoMs {
        MonoMs(self.valid_until.load(Ordering::Acquire))
    }

    pub(super) async fn row(&self) -> MutexGuard<'_, Lease> {
        self.row.lock().await
    }

    /// Returns the row, unless a write is under way.
    pub(super) fn row_if_idle(&self) -> Option<MutexGuard<'_, Lease>> {
        self.row.try_lock().ok()
    }

    /// Notes a request in the row: somebody else wants the lease.
    pub(super) fn notice_request(&self, row: &Lease, shared: &Shared) {
        let asked = row.hand_over_to.as_ref().is_some_and(|to| *to != shared.config.worker_id);
        if asked && !self.hand_over.is_cancelled() {
            tracing::info!(shard = %self.shard, to = ?row.hand_over_to, "lease was asked for");
            shared.counters.count_hand_over();
            self.hand_over.cancel();
        }
    }

    /// Returns whether the lease cannot have expired by our own clock. Once it can have, it is
    /// lost.
    pub(super) fn is_surely_ours(&self, shared: &Shared) -> bool {
        if shared.config.clock.mono() >= self.valid_until() {
            self.lost.cancel();
        }
        !self.lost.is_cancelled()
    }

    /// Writes `change`, if the lease is surely ours when the write starts. The time of validity
    /// counts from before the first try is sent.
    pub(super) async fn write(
        &self,
        shared: &Shared,
        row: &mut MutexGuard<'_, Lease>,
        change: &Change,
    ) -> Result<HolderWrite, StoreError> {
        let sent = shared.config.clock.mono();
        if !self.is_surely_ours(shared) {
            return Ok(HolderWrite::Lost);
        }
        self.write_unchecked(shared, row, change, sent).await
    }

    /// As [`Held::write`], also when the lease may have expired: its condition is the fence.
    pub(super) async fn write_unchecked(
        &self,
        shared: &Shared,
        row: &mut MutexGuard<'_, Lease>,
        change: &Change,
        sent: MonoMs,
    ) -> Result<HolderWrite, StoreError> {
        match shared.store.apply(row, change).await? {
            Write::Done(stored) => {
                let until = sent.plus(shared.config.safe_hold_ms());
                self.valid_until.fetch_max(until.0, Ordering::AcqRel);
                self.notice_request(&stored, shared);
                **row = *stored;
                Ok(HolderWrite::Done)
            }
            Write::Lost(stored) => {
                if self.is_surely_ours(shared) {
                    restore(shared, row, stored.as_deref()).await;
                }
                let owner = stored.and_then(|row| row.owner);
                tracing::info!(shard = %self.shard, ?owner, "lease lost");
                shared.counters.count_lost();
                self.lost.cancel();
                Ok(HolderWrite::Lost)
            }
        }
    }
}

/// Puts a lease back where it stood when its row was deleted under its holder: its records would
/// be counted again from the beginning, and a prepared epoch would end elsewhere. While the lease
/// is surely ours no other worker can have read and finished the shard, so nothing is undone.
async fn restore(shared: &Shared, row: &Lease, stored: Option<&Lease>) {
    if row.is_finished() {
        return;
    }
    let lease = row.unowned();
    let result = match stored {
        None => shared.store.create(&lease).await.map(|_| ()),
        // Another worker's comparison was faster.
        Some(anew) if anew.owner.is_none() && anew.counter < row.counter && !anew.is_begun() => {
            let change = Change::Restore(Box::new(lease));
            shared.store.apply(anew, &change).await.map(|_| ())
        }
        Some(_) => return,
    };
    match result {
        Ok(()) => tracing::warn!(
            shard = %row.key, checkpoint = %row.checkpoint,
            "the lease was deleted under its holder and is put back where it stood; to read from \
             elsewhere, stop the workers and use `leases seek`"
        ),
        Err(error) => tracing::error!(
            shard = %row.key, checkpoint = %row.checkpoint, %error,
            "the lease was deleted under its holder and cannot be put back: records may be counted \
             again"
        ),
    }
}

/// Fires `lost` when the lease could have expired, even while a write hangs.
pub(super) async fn watch(held: Arc<Held>, shared: Arc<Shared>) {
    loop {
        let until = held.valid_until();
        tokio::select! {
            biased;
            () = held.lost.cancelled() => return,
            () = shared.config.clock.sleep_until(until) => {}
        }
        if shared.config.clock.mono() >= held.valid_until() {
            tracing::warn!(shard = %held.shard, "lease could have expired");
            shared.counters.count_lost();
            held.lost.cancel();
            return;
        }
    }
}
