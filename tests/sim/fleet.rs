//! The epoch protocol under the fleet's real planner: leases are taken, asked for, stolen and
//! expire as `kinesis_fleet` decides, on clocks that disagree, while shards are split and merged.
//!
//! The planner and the comparison of shards and leases are the product's own. What the coordinator
//! does around them (scans, heartbeats, hand-overs, releases) is modeled here, step by step, with
//! a fault possible between any two.

mod member;
mod steps;
mod table;

use ivs_tests::rng::Rng;
use kinesis_fleet::FleetConfig;

use crate::Digest;
use crate::check;
use crate::log;
use crate::worker::{Hold, Holder};
use crate::world::{Marks, Variant, World};
use member::{Held, Member, Phase};
use table::Table;

/// Steps after which a run that has not come to rest is stuck.
const MAX_STEPS: u64 = 200_000;
/// World time that a step may take.
const STEP_MS: u64 = 60;

/// Rare branches that the seeds must reach.
pub(crate) const RARE: [&str; 25] = [
    "a child shard was finished",
    "a child's lease was created at the end of its parent",
    "a commit was refused",
    "a comparison was too old",
    "a finished lease was deleted",
    "a heartbeat was refused",
    "a heartbeat was stored, its reply lost",
    "a lease expired and was taken",
    "a lease was asked for",
    "a lease was given back and taken",
    "a lease was handed to the worker that asked for it",
    "a lease was stolen from a living owner (E10)",
    "a prepare was refused",
    "a prepared epoch was recovered",
    "a shard was given back with its epoch open",
    "a shard was given back with its epoch prepared",
    "a take was refused",
    "a take was stored, its reply lost",
    "a worker crashed",
    "a worker gave up between the children's leases and the end of the shard",
    "a worker left in order",
    "a worker slept longer than its leases live",
    "a zombie wrote",
    "an epoch found itself already applied",
    "two shards met in one row",
];

/// A fleet at work.
struct FleetWorld {
    world: World,
    table: Table,
    config: FleetConfig,
    members: Vec<Member>,
    /// Holds that were given up while a write of theirs was still under way.
    zombies: Vec<Holder>,
    now_ms: u64,
    next_number: usize,
    /// When shards that have children take their last record; then their children begin.
    reshard_ms: Vec<u64>,
    /// Workers answer requests; those of KCL do not.
    cooperative: bool,
    chaos: bool,
}

/// Runs one seed to rest.
pub(crate) fn run(seed: u64, variant: Variant) -> Result<(Marks, Digest), String> {
    let mut rng = Rng::new(seed);
    let mut fleet = FleetWorld::new(variant, &mut rng);
    let chaos_until = 500 + rng.below(4_000);
    for step in 0..MAX_STEPS {
        if fleet.is_at_rest() {
            check::at_rest(&fleet.world)?;
            let World { marks, metrics, .. } = fleet.world;
            return Ok((marks, Box::new(move || format!("{metrics:?}"))));
        }
        fleet.chaos = step < chaos_until;
        fleet.step(&mut rng)?;
    }
    Err("liveness: the fleet does not come to rest".to_owned())
}

impl FleetWorld {
    fn new(variant: Variant, rng: &mut Rng) -> Self {
        let mut world = World::new(variant, log::draw(rng));
        world.leases.iter_mut().for_each(|lease| lease.exists = false);
        world.closed.fill(false);
        // One generation after the other; the two sides of a merge at the same moment. A shard
        // lives longer than a failover, as `is_fresh` says.
        let mut generations = vec![];
        let first = 12_000 + rng.below(20_000);
        let times = [first, first + 12_000 + rng.below(20_000), u64::MAX];
        let mut reshard_ms = vec![];
        for shard in &world.log {
            let parents = shard.parents.iter();
            let generation = parents.map(|parent| generations[*parent] + 1).max().unwrap_or(0);
            generations.push(generation);
            reshard_ms.push(times[generation]);
        }
        // Cousins, too, are merged at one moment.
        for shard in &world.log {
            let latest = shard.parents.iter().map(|parent| reshard_ms[*parent]).max();
            for parent in &shard.parents {
                reshard_ms[*parent] = latest.expect("it has a parent");
            }
        }
        let mut fleet = Self {
            table: Table::new(&world.log),
            world,
            // Short, so that rows are created and deleted within a run.
            config: FleetConfig { sync_interval_ms: 10_000, ..FleetConfig::default() },
            members: vec![],
            zombies: vec![],
            now_ms: 0,
            next_number: 0,
            reshard_ms,
            cooperative: rng.chance(75),
            chaos: true,
        };
        for _ in 0..=rng.below(4) {
            fleet.join(rng);
        }
        fleet
    }

    fn join(&mut self, rng: &mut Rng) {
        self.members.push(Member::new(self.next_number, self.now_ms, rng));
        self.next_number += 1;
    }

    fn is_at_rest(&self) -> bool {
        let busy = self.members.iter().any(|member| member.held.values().any(Held::is_running));
        let comparing = self.members.iter().any(|member| member.comparing.is_some());
        let idle = !busy && !comparing && self.zombies.is_empty();
        idle && self.world.leases.iter().all(|lease| lease.done)
    }

    /// Returns whether a shard was split or merged by now.
    fn resharded(&self) -> Vec<bool> {
        let all = 0..self.world.log.len();
        all.map(|shard| self.has_child(shard) && self.now_ms >= self.reshard_ms[shard]).collect()
    }

    fn has_child(&self, shard: usize) -> bool {
        self.world.log.iter().any(|log| log.parents.contains(&shard))
    }

    /// Takes one step of one worker, chosen by chance.
    fn step(&mut self, rng: &mut Rng) -> Result<(), String> {
        self.now_ms += rng.below(STEP_MS);
        for (shard, is_resharded) in self.resharded().into_iter().enumerate() {
            // In the end the last shards end too, so that every record is accounted for.
            let last = !self.chaos && !self.has_child(shard);
            self.world.closed[shard] |= is_resharded || last;
        }
        if rng.chance(10) {
            self.table.age(&self.world, rng);
        }
        if !self.zombies.is_empty() && rng.chance(20) {
            return self.advance_zombie(rng);
        }
        let at = rng.index(self.members.len());
        if self.chaos && rng.chance(1) {
            self.misfortune(at, rng);
            return Ok(());
        }
        if self.chaos && self.now_ms < self.members[at].paused_until_ms {
            return Ok(());
        }
        self.give_up_expired(at, rng);
        self.regular(at, rng)
    }

    /// Does what a worker does when nothing happens to it.
    fn regular(&mut self, at: usize, rng: &mut Rng) -> Result<(), String> {
        let member = &self.members[at];
        let now = member.mono(self.now_ms);
        if member.leaves_by.is_some() && self.leave(at, rng) {
            return Ok(());
        }
        let member = &self.members[at];
        if member.comparing.is_some() || now >= member.next_comparison {
            self.compare(at, rng);
        } else if member.scan.is_some() {
            return self.plan_and_act(at, rng);
        } else if now >= member.next_scan && member.leaves_by.is_none() {
            self.scan(at, rng);
        } else if now >= member.next_renewal {
            self.renew(at, rng);
        } else if !(self.chaos && self.now_ms < member.stuck_until_ms)
            && let Some(shard) = member.some_running(rng)
        {
            return self.advance(at, shard, rng);
        }
        Ok(())
    }

    fn misfortune(&mut self, at: usize, rng: &mut Rng) {
        match rng.below(8) {
            0 | 1 => {
                self.world.mark("a worker crashed");
                let lost = self.members.swap_remove(at);
                self.world.crash(lost.number);
                for held in lost.held.into_values() {
                    self.dropped(held.phase);
                }
                self.join(rng);
            }
            2 | 3 | 5 => {
                let pause_ms = 1_000 + rng.below(45_000);
                self.members[at].paused_until_ms = self.now_ms + pause_ms;
            }
            4 => self.members[at].stuck_until_ms = self.now_ms + 5_000 + rng.below(60_000),
            6 => {
                let member = &mut self.members[at];
                let patience_ms = 1_000 + rng.below(20_000);
                let by = member.mono(self.now_ms).plus(patience_ms);
                member.leaves_by = member.leaves_by.or(Some(by));
            }
            _ if self.members.len() < 5 => self.join(rng),
            _ => {}
        }
    }

    /// Counts what E7 allows for a hold that ends here.
    fn dropped(&mut self, phase: Phase) {
        if let Phase::Running(holder) = phase {
            crate::forget(&mut self.world, &holder);
        }
    }

    /// As the product's watch over its own leases, which may be late by some steps.
    fn give_up_expired(&mut self, at: usize, rng: &mut Rng) {
        let member = &mut self.members[at];
        let now = member.mono(self.now_ms);
        let mut gone = vec![];
        for (shard, held) in &mut member.held {
            if now >= held.valid_until {
                if let Phase::Running(holder) = &mut held.phase {
                    holder.expired = true;
                }
                if rng.chance(50) {
                    gone.push(*shard);
                }
            }
        }
        for shard in gone {
            self.world.mark("a worker slept longer than its leases live");
            self.lose(at, shard, rng);
        }
    }

    /// The lease is lost, or may be. A write may still be under way.
    fn lose(&mut self, at: usize, shard: usize, rng: &mut Rng) {
        let Some(held) = self.members[at].held.remove(&shard) else { return };
        match held.phase {
            Phase::Running(mut holder) if rng.chance(30) => {
                holder.expired = true;
                self.zombies.push(*holder);
            }
            phase => self.dropped(phase),
        }
    }

    fn advance_zombie(&mut self, rng: &mut Rng) -> Result<(), String> {
        let at = rng.index(self.zombies.len());
        let ended = self.zombies[at].advance(None, &mut self.world, rng)? != Hold::Kept;
        if ended || rng.chance(20) {
            let zombie = self.zombies.swap_remove(at);
            crate::forget(&mut self.world, &zombie);
        }
        Ok(())
    }
}
