//! The lease table as the fleet sees it, with the conditions of its writes.
//!
//! The part of a row that the protocol needs (counter, checkpoints) is the world's; who owns it is kept here.

use ivs_tests::rng::Rng;
use kinesis_fleet::sync::ShardInfo;
use kinesis_fleet::{Checkpoint, Lease, WorkerId};
use kinesis_model::ShardId;

use crate::log::ShardLog;
use crate::world::{self, World};

/// The columns of a row that say whose it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ownership {
    pub(crate) owner: Option<WorkerId>,
    pub(crate) cooperative_owner: Option<WorkerId>,
    pub(crate) hand_over_to: Option<WorkerId>,
}

/// The table beside the world's leases.
pub(crate) struct Table {
    pub(crate) rows: Vec<Ownership>,
    /// An earlier state: scans are not consistent, and may show it row by row.
    earlier: Vec<Option<Lease>>,
}

/// Returns the shard's number in the world.
pub(crate) fn number(shard: &ShardId) -> usize {
    let digits = shard.as_str().trim_start_matches("shardId-");
    digits.parse().expect("the world's own shard names")
}

impl Table {
    pub(crate) fn new(log: &[ShardLog]) -> Self {
        Self { rows: vec![Ownership::default(); log.len()], earlier: vec![None; log.len()] }
    }

    /// Returns the row as it is.
    pub(crate) fn get(&self, world: &World, shard: usize) -> Option<Lease> {
        let state = &world.leases[shard];
        if !state.exists {
            return None;
        }
        let checkpoint = match (state.done, state.checkpoint) {
            (true, _) => Checkpoint::ShardEnd,
            (false, None) => Checkpoint::TrimHorizon,
            (false, Some(position)) => Checkpoint::Sequence(position),
        };
        let row = &self.rows[shard];
        let ids = |of: &dyn Fn(usize) -> bool| {
            (0..world.log.len()).filter(|s| of(*s)).map(|s| world.log[s].id.clone()).collect()
        };
        let mut lease = Lease::new(world.log[shard].id.clone(), checkpoint);
        lease.counter = state.counter;
        lease.pending = state.pending.map(Checkpoint::Sequence);
        lease.checkpoint_arrival = state.arrival;
        lease.parents = ids(&|other| world.log[shard].parents.contains(&other));
        if state.done {
            lease.children = ids(&|other| world.log[other].parents.contains(&shard));
        }
        lease.hash_range = Some(world.log[shard].range);
        lease.owner.clone_from(&row.owner);
        lease.cooperative_owner.clone_from(&row.cooperative_owner);
        lease.hand_over_to.clone_from(&row.hand_over_to);
        Some(lease)
    }

    /// Returns the table as a scan shows it: a row in ten may be an earlier one.
    pub(crate) fn scan(&self, world: &World, rng: &mut Rng) -> Vec<Lease> {
        let mut row = |shard: usize| match &self.earlier[shard] {
            Some(earlier) if rng.chance(10) => Some(earlier.clone()),
            _ => self.get(world, shard),
        };
        (0..world.log.len()).filter_map(&mut row).collect()
    }

    /// Lets some of the past go.
    pub(crate) fn age(&mut self, world: &World, rng: &mut Rng) {
        let shard = rng.index(self.rows.len());
        self.earlier[shard] = self.get(world, shard);
    }

    /// Returns the stream's shards: those whose parents were split or merged, the others being not
    /// there yet. The last in line are open.
    pub(crate) fn shards(&self, world: &World, resharded: &[bool]) -> Vec<ShardInfo> {
        let listed = |shard: &usize| world.log[*shard].parents.iter().all(|p| resharded[*p]);
        let info = |shard: usize| ShardInfo {
            id: world.log[shard].id.clone(),
            parents: world.log[shard].parents.iter().map(|p| world.log[*p].id.clone()).collect(),
            hash_range: world.log[shard].range,
            closed: resharded[shard],
        };
        (0..world.log.len()).filter(listed).map(info).collect()
    }

    /// Creates a row unless it exists.
    pub(crate) fn create(&mut self, world: &mut World, shard: usize) {
        if !world.leases[shard].exists {
            world.leases[shard] = world::Lease { exists: true, ..world::Lease::default() };
            self.rows[shard] = Ownership::default();
        }
    }

    /// Deletes a row, unconditionally.
    pub(crate) fn delete(&mut self, world: &mut World, shard: usize) {
        if world.leases[shard].exists {
            world.mark("a finished lease was deleted");
        }
        world.leases[shard].exists = false;
        self.rows[shard] = Ownership::default();
    }

    /// Returns whether the row still has the counter that was seen.
    pub(crate) fn unchanged(&self, world: &World, shard: usize, counter: u64) -> bool {
        world.leases[shard].exists && world.leases[shard].counter == counter
    }

    /// `Change::Take`.
    pub(crate) fn take(
        &mut self,
        world: &mut World,
        seen: &Lease,
        me: &WorkerId,
        ours: bool,
    ) -> bool {
        let shard = number(&seen.key);
        if !self.unchanged(world, shard, seen.counter) {
            return false;
        }
        world.leases[shard].counter += 1;
        self.rows[shard] = Ownership {
            owner: Some(me.clone()),
            cooperative_owner: ours.then(|| me.clone()),
            hand_over_to: None,
        };
        true
    }

    /// Returns a request to hand over: on condition of owner and earlier request, not of the
    /// counter.
    pub(crate) fn request(&mut self, world: &World, seen: &Lease, me: &WorkerId) -> bool {
        let shard = number(&seen.key);
        let row = &mut self.rows[shard];
        let holds = world.leases[shard].exists
            && row.owner == seen.owner
            && row.hand_over_to == seen.hand_over_to;
        if holds {
            row.hand_over_to = Some(me.clone());
        }
        holds
    }

    /// `Change::Release`, to the worker that asked or to nobody.
    pub(crate) fn release(
        &mut self,
        world: &mut World,
        shard: usize,
        counter: u64,
        me: &WorkerId,
    ) -> bool {
        if !self.unchanged(world, shard, counter) {
            return false;
        }
        world.leases[shard].counter += 1;
        let row = &mut self.rows[shard];
        let next = row.hand_over_to.clone().filter(|to| to != me);
        if next.is_some() {
            world.mark("a lease was handed to the worker that asked for it");
            row.cooperative_owner = None;
            row.owner = next;
        } else {
            row.owner = None;
            row.hand_over_to = None;
        }
        true
    }
}
