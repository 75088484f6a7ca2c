//! Which leases a stream's shards need: a pure comparison of the shard list and the lease table.
//!
//! Leases are created for shards that nobody will reach otherwise. In normal running that is the
//! first start only: who finishes a shard creates its children's leases. The comparison heals
//! what a crash or a deleted row left open.

pub mod listing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kinesis_model::{EpochMs, HashRange, ShardId};

use crate::clock::MonoMs;
use crate::config::InitialPosition;
use crate::lease::{Checkpoint, ChildShard, Lease};

/// One shard as ListShards describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its id.
    pub id: ShardId,
    /// `ParentShardId` and `AdjacentParentShardId`; they may be gone from the list.
    pub parents: Vec<ShardId>,
    /// Inclusive hash keys.
    pub hash_range: HashRange,
    /// It has an ending sequence number: no more records will come.
    pub closed: bool,
}

/// The changes that the lease table needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// Leases to create, parents before children.
    pub create: Vec<Lease>,
    /// Finished leases that nothing depends on any more.
    pub delete: Vec<ShardId>,
    /// Leases of shards that the stream no longer has and that were not finished: their unread
    /// records are lost. Their readers find out by themselves; this is for the log.
    pub vanished: Vec<ShardId>,
    /// Hash keys of leases that have none: KCL 1.x did not store them.
    pub complete: Vec<(ShardId, HashRange)>,
    /// Leases to create because a child that nobody has begun waits for them: their rows were
    /// deleted. Only while that child still stands as it was read here.
    pub awaited: Vec<Awaited>,
}

/// A parent without a lease, and the child that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The parent's lease.
    pub lease: Lease,
    /// The child.
    pub child: ShardId,
}

/// The shard list contradicts itself, as it may for a moment while shards are split or merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// A shard has a child although it is still open.
    #[error("shard `{child}` is listed although its parent `{parent}` is open")]
    ChildOfOpenShard {
        /// The child.
        child: ShardId,
        /// The parent.
        parent: ShardId,
    },
    /// The open shards leave hash keys out.
    #[error("no open shard has hash keys {start} to {end}", start = .0.start, end = .0.end)]
    Hole(HashRange),
}

/// Returns whether leases may still be created from a table that was read at `read`. A worker that
/// slept in between could bring back the lease of a shard that others have begun, finished and
/// deleted meanwhile, and all of it would be read and counted again. No shard lives as short as a
/// failover.
#[must_use]
pub fn is_fresh(read: MonoMs, now: MonoMs, failover_ms: u64) -> bool {
    now.since(read) < failover_ms
}

/// Compares `shards` (the whole list) with `leases`. `now` is the wall time to pin
/// [`InitialPosition::Latest`] to; the earliest time that was pinned before wins, so that a
/// half-made start leaves no gap.
///
/// # Errors
/// The list contradicts itself; list again.
pub fn plan_sync(
    shards: &[ShardInfo],
    leases: &[Lease],
    initial: InitialPosition,
    now: EpochMs,
) -> Result<SyncPlan, Inconsistent> {
    check(shards)?;
    let view = View::new(shards, leases, initial, now);
    let mut needed = Needed::default();
    for shard in shards {
        let wanted = match initial {
            InitialPosition::Latest => !shard.closed,
            _ if leases.is_empty() => !view.has_listed_parent(shard),
            _ => !shard.closed,
        };
        if wanted {
            view.need(shard, &mut needed);
        }
    }
    let awaited = view.awaited(&needed);
    // Shard ids count upwards, so their order puts parents before children.
    let create = needed.create.into_values().collect();
    let delete = leases.iter().filter(|lease| view.is_obsolete(lease));
    let gone = |lease: &&Lease| !lease.is_finished() && !view.shards.contains_key(&lease.key);
    Ok(SyncPlan {
        create,
        delete: delete.map(|lease| lease.key.clone()).collect(),
        vanished: leases.iter().filter(gone).map(|lease| lease.key.clone()).collect(),
        complete: view.without_hash_range(),
        awaited,
    })
}

/// Returns whether a shard with these parents may be read: each of them is finished, has left the
/// stream, or was closed before this application began at the tip. A parent that the stream lists
/// and that has no lease yet is not finished.
#[must_use]
pub fn parents_are_done(
    parents: &[ShardId],
    shards: &[ShardInfo],
    leases: &[Lease],
    initial: InitialPosition,
) -> bool {
    let view = View::new(shards, leases, initial, EpochMs(0));
    parents.iter().all(|parent| view.is_done(parent))
}

/// Returns whether a lease that is still being worked on leads to this shard.
#[must_use]
pub fn has_unfinished_ancestor(shard: &ShardInfo, shards: &[ShardInfo], leases: &[Lease]) -> bool {
    let view = View::new(shards, leases, InitialPosition::TrimHorizon, EpochMs(0));
    view.any_ancestor(shard, |parent| view.leases.get(parent).is_some_and(|l| !l.is_finished()))
}

fn check(shards: &[ShardInfo]) -> Result<(), Inconsistent> {
    let open: BTreeSet<_> = shards.iter().filter(|s| !s.closed).map(|s| &s.id).collect();
    for shard in shards {
        if let Some(parent) = shard.parents.iter().find(|parent| open.contains(parent)) {
            let (child, parent) = (shard.id.clone(), parent.clone());
            return Err(Inconsistent::ChildOfOpenShard { child, parent });
        }
    }
    let ranges = shards.iter().filter(|s| !s.closed).map(|s| s.hash_range);
    match holes(ranges).first() {
        Some(hole) => Err(Inconsistent::Hole(*hole)),
        None => Ok(()),
    }
}

/// Returns the parts of the key space that no range holds, in order. Overlaps are fine.
///
/// ```
/// use kinesis_fleet::HashRange;
/// use kinesis_fleet::sync::holes;
///
/// let below = HashRange { start: 0, end: 99 };
/// let above = HashRange { start: 200, end: u128::MAX };
/// assert_eq!(holes([above, below]), [HashRange { start: 100, end: 199 }]);
/// ```
#[must_use]
pub fn holes(ranges: impl IntoIterator<Item = HashRange>) -> Vec<HashRange> {
    let mut ranges: Vec<_> = ranges.into_iter().collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut holes = Vec::new();
    // The first key not yet covered; `None` once the last key is.
    let mut next = Some(0_u128);
    for range in ranges {
        let Some(first) = next else { break };
        if range.start > first {
            holes.push(HashRange { start: first, end: range.start - 1 });
        }
        if range.end >= first {
            next = range.end.checked_add(1);
        }
    }
    holes.extend(next.map(|first| HashRange { start: first, end: u128::MAX }));
    holes
}

/// Returns the lease of a child of `parent`, unowned. A parent that never read anything because it
/// starts at a time hands that time down: its child may begin before it.
#[must_use]
pub fn child_lease(parent: &Lease, child: &ChildShard) -> Lease {
    let unread = parent.checkpoint == Checkpoint::AtTimestamp;
    let start = if unread { Checkpoint::AtTimestamp } else { Checkpoint::TrimHorizon };
    let mut lease = Lease::new(child.shard.clone(), start);
    lease.initial_time = parent.initial_time.filter(|_| unread);
    lease.parents.clone_from(&child.parents);
    lease.hash_range = Some(child.hash_range);
    lease.stream_created = parent.stream_created;
    lease
}

/// Leases to create, by shard, and the shards looked at already.
#[derive(Default)]
struct Needed<'a> {
    create: BTreeMap<&'a ShardId, Lease>,
    visited: BTreeSet<&'a ShardId>,
}

/// Both sides by id.
struct View<'a> {
    shards: HashMap<&'a ShardId, &'a ShardInfo>,
    leases: HashMap<&'a ShardId, &'a Lease>,
    children: HashMap<&'a ShardId, Vec<&'a ShardId>>,
    initial: InitialPosition,
    pin: EpochMs,
}

impl<'a> View<'a> {
    fn new(
        shards: &'a [ShardInfo],
        leases: &'a [Lease],
        initial: InitialPosition,
        now: EpochMs,
    ) -> Self {
        let mut children: HashMap<_, Vec<_>> = HashMap::new();
        for shard in shards {
            for parent in &shard.parents {
                children.entry(parent).or_default().push(&shard.id);
            }
        }
        Self {
            shards: shards.iter().map(|shard| (&shard.id, shard)).collect(),
            leases: leases.iter().map(|lease| (&lease.key, lease)).collect(),
            children,
            initial,
            pin: leases.iter().filter_map(|lease| lease.initial_time).min().unwrap_or(now),
        }
    }

    fn listed_parents(&self, shard: &'a ShardInfo) -> impl Iterator<Item = &'a ShardInfo> {
        shard.parents.iter().filter_map(|parent| self.shards.get(parent).copied())
    }

    fn has_listed_parent(&self, shard: &'a ShardInfo) -> bool {
        self.listed_parents(shard).next().is_some()
    }

    fn has_leased_ancestor(&self, shard: &'a ShardInfo) -> bool {
        self.any_ancestor(shard, |parent| self.leases.contains_key(parent))
    }

    fn any_ancestor(&self, shard: &'a ShardInfo, is_it: impl Fn(&ShardId) -> bool) -> bool {
        let mut visited = BTreeSet::new();
        let mut open = vec![shard];
        while let Some(shard) = open.pop() {
            if shard.parents.iter().any(&is_it) {
                return true;
            }
            open.extend(self.listed_parents(shard).filter(|parent| visited.insert(&parent.id)));
        }
        false
    }

    /// Nobody will read it: it was closed, with all before it, when this application began at the
    /// tip.
    fn is_before_the_start(&self, shard: &'a ShardInfo) -> bool {
        self.initial == InitialPosition::Latest && shard.closed && !self.has_leased_ancestor(shard)
    }

    fn is_done(&self, parent: &ShardId) -> bool {
        match (self.leases.get(parent), self.shards.get(parent).copied()) {
            (Some(lease), _) => lease.is_finished(),
            (None, Some(shard)) => self.is_before_the_start(shard),
            (None, None) => true,
        }
    }

    fn without_hash_range(&self) -> Vec<(ShardId, HashRange)> {
        let bare = self.leases.values().filter(|lease| lease.hash_range.is_none());
        let found = bare.filter_map(|lease| {
            let shard = self.shards.get(&lease.key)?;
            Some((lease.key.clone(), shard.hash_range))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Returns the leases that children nobody has begun wait for in vain.
    fn awaited(&self, needed: &Needed<'a>) -> Vec<Awaited> {
        let mut all = BTreeMap::new();
        // Those that start at the tip or at a time were never to wait for older shards.
        let waiting = self.leases.values().filter(|l| l.checkpoint == Checkpoint::TrimHorizon);
        for child in waiting {
            let Some(shard) = self.shards.get(&child.key).copied() else { continue };
            let mut own = Needed::default();
            for parent in self.listed_parents(shard) {
                if !self.is_before_the_start(parent) {
                    self.need(parent, &mut own);
                }
            }
            for (id, lease) in own.create {
                if !needed.create.contains_key(id) {
                    all.entry(id).or_insert_with(|| Awaited { lease, child: child.key.clone() });
                }
            }
        }
        all.into_values().collect()
    }

    /// Adds the lease of `shard`, or of those ancestors that must be read before it. Nothing is
    /// added below a lease that is still being worked on: who finishes it creates the children.
    fn need(&self, shard: &'a ShardInfo, needed: &mut Needed<'a>) {
        if self.leases.contains_key(&shard.id) || !needed.visited.insert(&shard.id) {
            return;
        }
        let mut blocked = false;
        for parent in self.listed_parents(shard) {
            match self.leases.get(&parent.id) {
                Some(lease) => blocked |= !lease.is_finished(),
                None if self.is_before_the_start(parent) => {}
                None => {
                    self.need(parent, needed);
                    blocked = true;
                }
            }
        }
        if !blocked {
            needed.create.insert(&shard.id, self.new_lease(shard));
        }
    }

    fn new_lease(&self, shard: &ShardInfo) -> Lease {
        let continues = shard.parents.iter().any(|parent| self.leases.contains_key(parent));
        let (checkpoint, initial_time) = match self.initial {
            _ if continues => (Checkpoint::TrimHorizon, None),
            InitialPosition::TrimHorizon => (Checkpoint::TrimHorizon, None),
            InitialPosition::Latest => (Checkpoint::AtTimestamp, Some(self.pin)),
            InitialPosition::AtTimestamp(time) => (Checkpoint::AtTimestamp, Some(time)),
        };
        let mut lease = Lease::new(shard.id.clone(), checkpoint);
        lease.initial_time = initial_time;
        lease.parents.clone_from(&shard.parents);
        lease.hash_range = Some(shard.hash_range);
        lease
    }

    /// Applies KCL's rule: finished, all children under way, and no parent lease left (so that a
    /// line of descent is deleted from its old end).
    fn is_obsolete(&self, lease: &Lease) -> bool {
        if !lease.is_finished() || lease.parents.iter().any(|p| self.leases.contains_key(p)) {
            return false;
        }
        let listed = self.children.get(&lease.key).cloned().unwrap_or_default();
        let known: BTreeSet<_> = lease.children.iter().chain(listed).collect();
        let under_way =
            |child: &&ShardId| self.leases.get(*child).is_some_and(|lease| lease.is_begun());
        if known.is_empty() {
            return !self.shards.contains_key(&lease.key);
        }
        known.iter().all(under_way)
    }
}
