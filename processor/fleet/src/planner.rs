//! Who should hold which lease: a pure function of what one worker sees.
//!
//! KCL 2.x semantics (take what is expired or unowned, else steal from the most loaded), with one
//! change: every worker works out the same moves for the whole fleet and then makes only its own.
//! Workers that look at the same table therefore do not collide, and a move is planned only if it
//! brings the two workers concerned closer together. Renewals are not part of the plan.
//!
//! A worker without a lease is invisible to the others, as in KCL; it sees itself.

mod observe;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use kinesis_model::ShardId;

use crate::clock::MonoMs;
use crate::lease::{Lease, WorkerId};
pub use observe::{Observations, Standing};

/// Bounds of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A lease whose counter stood still for this long is available.
    pub failover_ms: u64,
    /// A hand-over request older than this has failed.
    pub hand_over_timeout_ms: u64,
    /// This worker holds no more leases than this.
    pub max_leases: usize,
    /// One worker gets no more leases from others in one round than this.
    pub steals: usize,
}

/// The lease table as one worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The lease table.
    pub leases: &'a [Lease],
    /// Since when each row looks as it does, by this worker's own clock.
    pub seen: &'a Observations,
    /// Bounds.
    pub limits: Limits,
}

/// Something this worker should do now. Every action is conditional on the row as seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Become the owner of a lease that nobody renews, or that was assigned to us.
    Take(ShardId),
    /// Ask a worker of ours to hand its lease over.
    Request {
        /// The lease.
        shard: ShardId,
        /// Its holder.
        from: WorkerId,
    },
    /// Take a live lease abruptly: its holder does not know hand-overs, or did not answer.
    Steal {
        /// The lease.
        shard: ShardId,
        /// Its holder.
        from: WorkerId,
    },
}

impl Action {
    /// Returns the lease concerned.
    #[must_use]
    pub fn shard(&self) -> &ShardId {
        match self {
            Self::Take(shard) | Self::Request { shard, .. } | Self::Steal { shard, .. } => shard,
        }
    }
}

/// Returns what `me` should do at `now`. `now` must not be later than the moment the table was
/// read, so that no lease is thought older than it is.
#[must_use]
pub fn plan(snapshot: &Snapshot<'_>, me: &WorkerId, now: MonoMs) -> Vec<Action> {
    let mut fleet = Fleet::new(snapshot, me, now);
    let mut actions = fleet.take_available();
    if actions.is_empty() {
        actions = fleet.balance();
    }
    actions
}

/// The fleet as one worker sees it, while moves are worked out.
struct Fleet<'a> {
    me: &'a WorkerId,
    limits: Limits,
    now: MonoMs,
    /// Leases each live worker has or is about to get.
    load: BTreeMap<&'a WorkerId, usize>,
    /// Live leases that may be moved, by holder.
    movable: BTreeMap<&'a WorkerId, Vec<&'a Lease>>,
    /// Available leases with the time they have been so.
    available: Vec<(&'a Lease, u64)>,
    /// Leases that their holders have handed over to us.
    assigned: Vec<Action>,
    /// Workers that give their leases back. While they have some left they look less loaded than
    /// any other, and what was planned for them would be taken by nobody.
    leaving: BTreeSet<&'a WorkerId>,
}

impl<'a> Fleet<'a> {
    fn new(snapshot: &Snapshot<'a>, me: &'a WorkerId, now: MonoMs) -> Self {
        let mut fleet = Self {
            me,
            limits: snapshot.limits,
            now,
            load: BTreeMap::from([(me, 0)]),
            movable: BTreeMap::new(),
            available: Vec::new(),
            assigned: Vec::new(),
            leaving: BTreeSet::new(),
        };
        for lease in snapshot.leases {
            fleet.place(lease, snapshot.seen.standing(lease, &snapshot.limits, now));
        }
        fleet.available.sort_unstable_by(|a, b| a.0.key.cmp(&b.0.key));
        fleet
    }

    fn place(&mut self, lease: &'a Lease, standing: Standing) {
        let (Some(owner), Standing::Held { request_failed }) = (&lease.owner, standing) else {
            let since = if let Standing::Available { since } = standing { since } else { self.now };
            if lease.owner.is_none() {
                self.leaving.extend(lease.cooperative_owner.as_ref());
            }
            self.available.push((lease, self.now.since(since)));
            return;
        };
        let asked = lease.hand_over_to.as_ref();
        let pending = lease.is_cooperative() && !request_failed;
        if let Some(to) = asked.filter(|_| pending) {
            *self.load.entry(to).or_default() += 1;
            return;
        }
        *self.load.entry(owner).or_default() += 1;
        if asked != Some(owner) {
            self.movable.entry(owner).or_default().push(lease);
        } else if owner == self.me {
            self.assigned.push(Action::Take(lease.key.clone()));
        }
    }

    /// Gives each available lease to the least loaded worker. One that its worker has left for a
    /// whole failover time is anybody's: that worker may be full, stuck or gone.
    fn take_available(&mut self) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.assigned);
        let mut taken = Vec::new();
        for (lease, age_ms) in std::mem::take(&mut self.available) {
            let mine = self.load[self.me];
            let unclaimed = age_ms >= self.limits.failover_ms && mine < self.limits.max_leases;
            let worker = if unclaimed { Some(self.me) } else { self.least_loaded(&lease.key) };
            let Some(worker) = worker else { continue };
            *self.load.entry(worker).or_default() += 1;
            if worker == self.me {
                taken.push(&lease.key);
            }
        }
        // Workers that do not see each other start with different leases.
        taken.sort_by_key(|shard| affinity(self.me, shard));
        actions.extend(taken.into_iter().cloned().map(Action::Take));
        actions
    }

    fn least_loaded(&self, shard: &ShardId) -> Option<&'a WorkerId> {
        let with_room = self.load.iter().filter(|(worker, load)| self.has_room(worker, **load));
        let least = with_room.min_by_key(|(worker, load)| (**load, affinity(worker, shard)));
        least.map(|(worker, _)| *worker)
    }

    /// Others' limits are not known here.
    fn has_room(&self, worker: &WorkerId, load: usize) -> bool {
        if worker == self.me {
            load < self.limits.max_leases
        } else {
            !self.leaving.contains(worker)
        }
    }

    /// Moves leases one by one from the most to the least loaded worker while that narrows the
    /// difference between them, and returns the moves to us.
    fn balance(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut got: BTreeMap<&WorkerId, usize> = BTreeMap::new();
        while let Some((donor, receiver)) = self.widest_pair(&got) {
            let leases = self.movable.get_mut(donor).expect("a donor has movable leases");
            let nearest = (0..leases.len()).min_by_key(|&i| affinity(receiver, &leases[i].key));
            let lease = leases.swap_remove(nearest.expect("a donor has movable leases"));
            *self.load.entry(donor).or_default() -= 1;
            *self.load.entry(receiver).or_default() += 1;
            *got.entry(receiver).or_default() += 1;
            if receiver == self.me {
                let (shard, from) = (lease.key.clone(), donor.clone());
                // Ask once; who was asked in vain is not asked again.
                let in_vain = lease.hand_over_to.as_ref() == Some(self.me);
                actions.push(if lease.is_cooperative() && !in_vain {
                    Action::Request { shard, from }
                } else {
                    Action::Steal { shard, from }
                });
            }
        }
        actions
    }

    /// Returns the most loaded worker with something to give and the least loaded one that may
    /// still get something, if a move gains anything.
    fn widest_pair(
        &self,
        got: &BTreeMap<&'a WorkerId, usize>,
    ) -> Option<(&'a WorkerId, &'a WorkerId)> {
        let gives = |worker: &WorkerId| self.movable.get(worker).is_some_and(|l| !l.is_empty());
        let gets = |worker: &WorkerId, load: usize| {
            got.get(worker).is_none_or(|n| *n < self.limits.steals) && self.has_room(worker, load)
        };
        let donors = self.load.iter().filter(|(worker, _)| gives(worker));
        let receivers = self.load.iter().filter(|(worker, load)| gets(worker, **load));
        let (donor, most) = donors.max_by_key(|(_, load)| **load)?;
        let (receiver, least) = receivers.min_by_key(|(_, load)| **load)?;
        (*most >= *least + 2).then_some((*donor, *receiver))
    }
}

/// Returns a pseudo-random but fixed liking of a worker for a shard (rendezvous hashing).
fn affinity(worker: &WorkerId, shard: &ShardId) -> u64 {
    let mut hasher = DefaultHasher::new();
    worker.hash(&mut hasher);
    shard.hash(&mut hasher);
    hasher.finish()
}
