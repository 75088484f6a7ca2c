//! The epoch that is being written, and what its writes have come to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use kinesis_model::{Position, ShardId};

use super::super::SetAside;

/// An epoch of a shard on its way into the tables.
#[derive(Debug)]
pub struct EpochWrite<'a> {
    pub(super) shard: &'a ShardId,
    pub(super) to: Position,
    written: AtomicU64,
    conflicts: AtomicU64,
    set_aside: Mutex<Vec<SetAside>>,
}

impl<'a> EpochWrite<'a> {
    /// Returns an epoch of which nothing is written yet.
    #[must_use]
    pub fn new(shard: &'a ShardId, to: Position) -> Self {
        Self {
            shard,
            to,
            written: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            set_aside: Mutex::default(),
        }
    }

    /// Notes a put that was stored after so many refusals.
    pub(super) fn note_put(&self, refusals: u32) {
        self.written.fetch_add(1, Relaxed);
        self.conflicts.fetch_add(u64::from(refusals), Relaxed);
    }

    pub(super) fn push_set_aside(&self, aside: SetAside) {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner).push(aside);
    }

    /// Takes out what could never be written and was set aside.
    #[must_use]
    pub fn take_set_aside(&self) -> Vec<SetAside> {
        std::mem::take(&mut *self.set_aside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts that were stored and that this epoch speaks for.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Puts that were refused before them.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Relaxed)
    }
}
