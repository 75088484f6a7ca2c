//! The ground on which everything in a worker stands: its settings, the lease table, the stream,
//! and what it has done so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::FleetConfig;
use crate::store::LeaseStore;
use crate::sync::listing::StreamShape;

/// The part of a worker's state that does not know which leases it holds.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) config: FleetConfig,
    pub(super) store: LeaseStore,
    pub(super) stream: Arc<dyn StreamShape>,
    pub(super) counters: Counters,
}

/// The deeds of a worker since its start.
#[derive(Debug, Default)]
pub struct Counters {
    taken: AtomicU64,
    lost: AtomicU64,
    renewals: AtomicU64,
    scans: AtomicU64,
    conflicts: AtomicU64,
    hand_overs: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    /// Returns how many leases were taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Returns how many leases were lost: taken by others, deleted, or not renewed in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Returns how many heartbeats were stored.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    /// Returns how often the lease table was read.
    #[must_use]
    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }

    /// Takes that another worker won.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// Returns how many leases another worker asked for, that are or were handed over.
    #[must_use]
    pub fn hand_overs(&self) -> u64 {
        self.hand_overs.load(Ordering::Relaxed)
    }

    /// Returns how many leases of other workers were asked for.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn count_taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_renewal(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_scan(&self) {
        self.scans.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_hand_over(&self) {
        self.hand_overs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}
