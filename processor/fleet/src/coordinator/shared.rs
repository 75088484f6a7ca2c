//! The state that the loops of a worker share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinesis_model::{EpochMs, ShardId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use super::held::Held;
use super::parents::Listing;
use super::pulse::Pulses;
use crate::lease::Lease;
use crate::planner::Observations;
use crate::store::LeftOut;
use crate::sync::listing::StreamInfo;

/// Left-out rows that are remembered; a table with more is another application's.
const LEFT_OUT_MAX: usize = 1_000;

/// The state that the loops share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ground: Arc<Ground>,
    pub(super) stream_created: EpochMs,
    /// How long the stream keeps records, as last described.
    pub(super) retention_ms: AtomicU64,
    /// The shards as last listed.
    pub(super) listing: Listing,
    /// Rows that were left out of a reading of the table, each warned of once.
    left_out: Mutex<BTreeSet<String>>,
    /// Leases held, or still in the hands of the application after they were lost.
    held: Mutex<BTreeMap<ShardId, Arc<Held>>>,
    /// The table as last read.
    pub(super) table: Mutex<Vec<Lease>>,
    /// Since when its rows look as they do.
    pub(super) seen: Mutex<Observations>,
    pub(super) pulses: Pulses,
    /// Read the table now.
    pub(super) wake: Notify,
    /// A lease left `held`.
    pub(super) gone: Notify,
    /// No more taking.
    pub(super) stopping: CancellationToken,
    /// No more renewing.
    pub(super) stopped: CancellationToken,
}

impl Deref for Shared {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Shared {
    /// Returns the state of a worker that holds nothing yet.
    pub(super) fn new(ground: Ground, info: StreamInfo) -> Self {
        Self {
            stream_created: info.created,
            retention_ms: AtomicU64::new(info.retention_ms),
            listing: Listing::default(),
            left_out: Mutex::default(),
            held: Mutex::default(),
            table: Mutex::default(),
            seen: Mutex::default(),
            pulses: Pulses::new(ground.config.clock.mono()),
            wake: Notify::new(),
            gone: Notify::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            ground: Arc::new(ground),
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all_held(&self) -> Vec<Arc<Held>> {
        self.held().values().cloned().collect()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Warns of rows that were left out, once each.
    pub(super) fn note_left_out(&self, rows: &[LeftOut]) {
        let mut known = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if known.len() < LEFT_OUT_MAX && known.insert(row.key.clone()) {
                tracing::warn!(
                    key = row.key,
                    why = row.why,
                    "a row of the lease table is left out"
                );
            }
        }
    }

    /// Forgets a lease: it is released, or lost and not in use any more.
    pub(super) fn forget(&self, held: &Arc<Held>) {
        held.lost.cancel();
        let mut all = self.held();
        if all.get(&held.shard).is_some_and(|current| Arc::ptr_eq(current, held)) {
            all.remove(&held.shard);
        }
        drop(all);
        self.gone.notify_one();
    }
}
