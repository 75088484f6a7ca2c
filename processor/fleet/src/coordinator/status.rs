//! The state of a worker as it sees itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use kinesis_model::{EpochMs, ShardId};

use super::held::Phase;
use super::shared::Shared;
use crate::lease::{Checkpoint, Lease, WorkerId};

/// The relation of a lease to this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeasePhase {
    /// Nobody holds it.
    Unowned,
    /// Another worker holds it.
    Elsewhere,
    /// Held here; its parents are not finished, or the application has not fetched it.
    Waiting,
    /// Held here and with the application.
    Running,
    /// The shard is done.
    Finished,
    /// It was held here and is lost; the application has not let go, or nobody has taken it yet.
    Lost,
}

impl LeasePhase {
    /// Returns the name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unowned => "unowned",
            Self::Elsewhere => "elsewhere",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Lost => "lost",
        }
    }

    /// Returns whether the lease is held here, whatever for.
    #[must_use]
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::Lost)
    }
}

/// One lease as this worker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The shard.
    pub shard: ShardId,
    /// Its owner.
    pub owner: Option<WorkerId>,
    /// Whether the owner is one of our workers, and not of the KCL.
    pub is_cooperative: bool,
    /// Its relation to this worker.
    pub state: LeasePhase,
    /// The lease counter.
    pub counter: u64,
    /// The last position that is done.
    pub checkpoint: Checkpoint,
    /// The position that is prepared.
    pub pending: Option<Checkpoint>,
    /// Arrival time of the record at the checkpoint.
    pub checkpoint_arrival: Option<EpochMs>,
    /// Everything that arrived up to then is done, as far as it is known.
    pub tip_seen: Option<EpochMs>,
    /// How often work on the shard has failed since its last checkpoint.
    pub failures: u64,
    /// Why it failed last.
    pub last_error: Option<Arc<str>>,
    /// For how long this worker has seen the lease counter stand still; longer than a failover is
    /// a lease that nobody renews.
    pub still_ms: u64,
    /// How long the lease is surely ours without another heartbeat; `None` if it is not.
    pub valid_for_ms: Option<u64>,
}

/// Returns the table as last read, with what is held here as last written.
pub(super) fn of(shared: &Shared) -> Vec<LeaseStatus> {
    let now = shared.config.clock.mono();
    let me = &shared.config.worker_id;
    let still_ms = |row: &Lease| {
        let seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.changed(&row.key).map_or(0, |changed| now.since(changed))
    };
    let status = |row: &Lease| status(row, me, still_ms(row));
    let mut rows: HashMap<ShardId, LeaseStatus> =
        shared.table().iter().map(|row| (row.key.clone(), status(row))).collect();
    for held in shared.all_held() {
        // While a write is under way the row of the last scan has to do.
        let fresh = held.row_if_idle().map(|row| status(&row));
        let known = rows.remove(&held.shard);
        let Some(mut entry) = fresh.or(known) else { continue };
        let lost = held.lost.is_cancelled();
        entry.valid_for_ms = (!lost).then(|| held.valid_until().since(now));
        entry.state = match held.phase() {
            _ if lost => LeasePhase::Lost,
            Phase::Idle => LeasePhase::Waiting,
            Phase::Running => LeasePhase::Running,
            Phase::Finished => LeasePhase::Finished,
        };
        rows.insert(held.shard.clone(), entry);
    }
    let mut all: Vec<_> = rows.into_values().collect();
    all.sort_unstable_by(|a, b| a.shard.cmp(&b.shard));
    all
}

fn status(row: &Lease, me: &WorkerId, still_ms: u64) -> LeaseStatus {
    let state = match &row.owner {
        _ if row.is_finished() => LeasePhase::Finished,
        None => LeasePhase::Unowned,
        // Not renewed in time, and nobody has taken it yet.
        Some(owner) if owner == me => LeasePhase::Lost,
        Some(_) => LeasePhase::Elsewhere,
    };
    LeaseStatus {
        shard: row.key.clone(),
        owner: row.owner.clone(),
        is_cooperative: row.is_cooperative(),
        state,
        counter: row.counter,
        checkpoint: row.checkpoint,
        pending: row.pending,
        checkpoint_arrival: row.checkpoint_arrival,
        tip_seen: row.tip_seen,
        failures: row.failures,
        last_error: row.last_error.clone(),
        still_ms,
        valid_for_ms: None,
    }
}
