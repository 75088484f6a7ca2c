//! One worker of the simulated fleet: a clock of its own, what it has seen, and what it holds.

use std::collections::BTreeMap;

use ivs_tests::rng::Rng;
use kinesis_fleet::clock::MonoMs;
use kinesis_fleet::planner::Observations;
use kinesis_fleet::{Lease, WorkerId};
use kinesis_model::ShardId;

use crate::worker::Holder;
use crate::world;

/// Who uses a held lease, as in the product.
pub(crate) enum Phase {
    Idle,
    Running(Box<Holder>),
    Finished,
}

/// A lease in a worker's hands.
pub(crate) struct Held {
    /// The row as the worker last wrote it.
    pub(crate) row: world::Lease,
    pub(crate) valid_until: MonoMs,
    pub(crate) hand_over: bool,
    pub(crate) phase: Phase,
}

impl Held {
    pub(crate) fn counter(&self) -> u64 {
        match &self.phase {
            Phase::Running(holder) => holder.counter,
            Phase::Idle | Phase::Finished => self.row.counter,
        }
    }

    pub(crate) fn set_counter(&mut self, counter: u64) {
        match &mut self.phase {
            Phase::Running(holder) => holder.counter = counter,
            Phase::Idle | Phase::Finished => self.row.counter = counter,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }
}

/// The scan that a worker has read and not acted on yet.
pub(crate) struct Scan {
    pub(crate) rows: Vec<Lease>,
    pub(crate) begun: MonoMs,
}

/// A worker of the fleet. Its number is never used again after it is gone.
pub(crate) struct Member {
    pub(crate) number: usize,
    pub(crate) id: WorkerId,
    pub(crate) seen: Observations,
    pub(crate) held: BTreeMap<usize, Held>,
    pub(crate) scan: Option<Scan>,
    pub(crate) next_scan: MonoMs,
    pub(crate) next_renewal: MonoMs,
    /// The leases as read for a comparison with the shards, and when.
    pub(crate) comparing: Option<(Vec<Lease>, MonoMs)>,
    pub(crate) next_comparison: MonoMs,
    /// World times.
    pub(crate) paused_until_ms: u64,
    pub(crate) stuck_until_ms: u64,
    /// It leaves in order, and takes by force what is not given back by then.
    pub(crate) leaves_by: Option<MonoMs>,
    offset_ms: u64,
    speed_permille: u64,
}

impl Member {
    pub(crate) fn new(number: usize, now_ms: u64, rng: &mut Rng) -> Self {
        let mut member = Self {
            number,
            id: WorkerId::new(&format!("w{number}")),
            seen: Observations::default(),
            held: BTreeMap::new(),
            scan: None,
            next_scan: MonoMs(0),
            next_renewal: MonoMs(0),
            comparing: None,
            next_comparison: MonoMs(0),
            paused_until_ms: 0,
            stuck_until_ms: 0,
            leaves_by: None,
            offset_ms: rng.below(10_000_000),
            speed_permille: 970 + rng.below(61),
        };
        let now = member.mono(now_ms);
        member.next_renewal = now;
        member
    }

    /// Returns its monotonic clock: an origin of its own, and up to 3 % fast or slow.
    pub(crate) fn mono(&self, now_ms: u64) -> MonoMs {
        MonoMs(self.offset_ms + now_ms * self.speed_permille / 1_000)
    }

    /// Returns a shard it is working on, if any.
    pub(crate) fn some_running(&self, rng: &mut Rng) -> Option<usize> {
        let running: Vec<usize> =
            self.held.iter().filter(|(_, held)| held.is_running()).map(|(s, _)| *s).collect();
        (!running.is_empty()).then(|| running[rng.index(running.len())])
    }

    /// Returns whether the scan shows that this shard is finished; `None` if the scan does not show
    /// it.
    pub(crate) fn scanned_end(rows: &[Lease], shard: &ShardId) -> Option<bool> {
        rows.iter().find(|row| row.key == *shard).map(Lease::is_finished)
    }
}
