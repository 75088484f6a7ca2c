//! The planner against a model of the table: every small fleet, and one large one.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::lease::Checkpoint;

const FAILOVER_MS: u64 = 10_000;
const ROUND_MS: u64 = 1_000;

fn limits(leases: usize) -> Limits {
    Limits {
        failover_ms: FAILOVER_MS,
        hand_over_timeout_ms: 30_000,
        max_leases: usize::MAX,
        steals: leases.div_ceil(100).max(1),
    }
}

/// How a lease looks when a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Nobody has wanted it for long.
    Unowned,
    /// Released or created a moment ago.
    Released,
    /// Its owner is dead.
    Expired,
    /// Held by the worker with this number.
    Live(usize),
}

/// A lease table, and workers that renew what they hold, answer requests, and plan in turns.
struct World {
    leases: Vec<Lease>,
    workers: Vec<WorkerId>,
    seen: Vec<Observations>,
    now: u64,
    cooperative: bool,
}

impl World {
    fn new(starts: &[Start], workers: usize, cooperative: bool) -> Self {
        let workers: Vec<_> = (0..workers).map(|n| WorkerId::new(&format!("w{n}"))).collect();
        let row = |(n, start): (usize, &Start)| {
            let mut lease =
                Lease::new(ShardId::new(&format!("shardId-{n:012}")), Checkpoint::TrimHorizon);
            lease.owner = match start {
                Start::Unowned | Start::Released => None,
                Start::Expired => Some(WorkerId::new("dead")),
                Start::Live(worker) => Some(workers[*worker].clone()),
            };
            lease.cooperative_owner = lease.owner.clone().filter(|_| cooperative);
            lease
        };
        let leases = starts.iter().enumerate().map(row).collect();
        let seen = vec![Observations::default(); workers.len()];
        let mut world = Self { leases, workers, seen, now: 0, cooperative };
        world.observe();
        world.now = 2 * FAILOVER_MS;
        for (lease, start) in world.leases.iter_mut().zip(starts) {
            if matches!(start, Start::Released | Start::Live(_)) {
                lease.counter += 1;
            }
        }
        world.observe();
        world
    }

    /// Each worker has its own clock.
    fn clock(&self, worker: usize) -> MonoMs {
        MonoMs(self.now + 1_000_000 * u64::try_from(worker).unwrap())
    }

    fn observe(&mut self) {
        for worker in 0..self.workers.len() {
            let now = self.clock(worker);
            self.seen[worker].observe(&self.leases, now);
        }
    }

    fn plans(&self) -> Vec<Vec<Action>> {
        let limits = limits(self.leases.len());
        let plan_for = |worker: usize| {
            let snapshot = Snapshot { leases: &self.leases, seen: &self.seen[worker], limits };
            plan(&snapshot, &self.workers[worker], self.clock(worker))
        };
        (0..self.workers.len()).map(plan_for).collect()
    }

    /// Carries out all plans, made from the same table: the first of several takers wins.
    /// `interleaved`: every worker's first action, then every second one, and so on.
    fn apply(&mut self, plans: &[Vec<Action>], interleaved: bool) {
        let before: Vec<_> = self.leases.iter().map(|lease| lease.counter).collect();
        let longest = plans.iter().map(Vec::len).max().unwrap_or(0);
        let workers = 0..plans.len();
        let order: Vec<(usize, usize)> = if interleaved {
            (0..longest).flat_map(|n| workers.clone().map(move |w| (w, n))).collect()
        } else {
            workers.flat_map(|w| (0..longest).map(move |n| (w, n))).collect()
        };
        for (worker, n) in order {
            let Some(action) = plans[worker].get(n) else { continue };
            let at = self.leases.iter().position(|l| l.key == *action.shard()).unwrap();
            let me = self.workers[worker].clone();
            let lease = &mut self.leases[at];
            match action {
                Action::Request { from, .. } => {
                    if lease.owner.as_ref() == Some(from) && lease.hand_over_to.is_none() {
                        lease.hand_over_to = Some(me);
                    }
                }
                Action::Take(_) | Action::Steal { .. } if lease.counter == before[at] => {
                    lease.counter += 1;
                    lease.cooperative_owner = self.cooperative.then(|| me.clone());
                    lease.owner = Some(me);
                    lease.hand_over_to = None;
                }
                Action::Take(_) | Action::Steal { .. } => {}
            }
        }
    }

    /// Holders renew and answer requests; then everyone reads the table.
    fn pass_time(&mut self) {
        self.now += ROUND_MS;
        for lease in &mut self.leases {
            let live = lease.owner.as_ref().is_some_and(|owner| self.workers.contains(owner));
            if !live {
                continue;
            }
            lease.counter += 1;
            if lease.hand_over_to.is_some() && lease.hand_over_to != lease.owner {
                lease.owner = lease.hand_over_to.clone();
                lease.cooperative_owner = None;
            }
        }
        self.observe();
    }

    fn loads(&self) -> BTreeMap<&WorkerId, usize> {
        let mut loads: BTreeMap<_, _> = self.workers.iter().map(|worker| (worker, 0)).collect();
        for lease in &self.leases {
            if let Some(load) = lease.owner.as_ref().and_then(|owner| loads.get_mut(owner)) {
                *load += 1;
            }
        }
        loads
    }

    fn spread(&self) -> usize {
        let loads = self.loads();
        loads.values().max().unwrap() - loads.values().min().unwrap()
    }

    fn is_settled(&self) -> bool {
        let owned = |lease: &Lease| {
            let owner = lease.owner.as_ref();
            owner.is_some_and(|owner| self.workers.contains(owner)) && lease.hand_over_to.is_none()
        };
        self.leases.iter().all(owned) && self.spread() <= 1
    }
}

/// No live lease moves unless that narrows the difference between giver and receiver.
fn check_gain(world: &World, plans: &[Vec<Action>]) {
    let mut loads = world.loads();
    for lease in &world.leases {
        if let (Some(owner), Some(to)) = (&lease.owner, &lease.hand_over_to)
            && owner != to
        {
            *loads.get_mut(owner).unwrap() -= 1;
            *loads.get_mut(to).unwrap() += 1;
        }
    }
    for (worker, actions) in plans.iter().enumerate() {
        for action in actions {
            if let Action::Request { from, .. } | Action::Steal { from, .. } = action {
                let (gives, gets) = (loads[from], loads[&world.workers[worker]]);
                assert!(gives >= gets + 2, "{action:?}: {gives} to {gets}");
            }
        }
    }
}

/// Workers that see each other never want the same lease, unless it was left unclaimed.
fn check_disjoint(world: &World, plans: &[Vec<Action>], starts: &[Start]) {
    let all_visible = world.loads().values().all(|load| *load > 0);
    if !all_visible || starts.iter().any(|s| matches!(s, Start::Unowned | Start::Expired)) {
        return;
    }
    let wanted: Vec<_> = plans.iter().flatten().map(Action::shard).collect();
    let distinct: BTreeSet<_> = wanted.iter().collect();
    assert_eq!(wanted.len(), distinct.len(), "{plans:?}");
}

/// Runs until nobody plans anything; returns the rounds that took.
fn settle(world: &mut World, interleaved: bool, rounds_max: usize) -> usize {
    for round in 0..rounds_max {
        let plans = world.plans();
        check_gain(world, &plans);
        if plans.iter().all(Vec::is_empty) && world.is_settled() {
            return round;
        }
        world.apply(&plans, interleaved);
        world.pass_time();
    }
    panic!("not settled after {rounds_max} rounds: {:?}", world.loads());
}

/// Every assignment of `shards` leases to `workers` workers or to nobody.
fn all_starts(shards: usize, workers: usize, visit: &mut impl FnMut(&[Start])) {
    let kinds: Vec<_> = [Start::Unowned, Start::Released, Start::Expired]
        .into_iter()
        .chain((0..workers).map(Start::Live))
        .collect();
    let mut digits = vec![0; shards];
    loop {
        visit(&digits.iter().map(|d| kinds[*d]).collect::<Vec<_>>());
        let Some(low) = digits.iter().position(|d| *d + 1 < kinds.len()) else { return };
        digits[low] += 1;
        digits[..low].fill(0);
    }
}

fn exhaust(cooperative: bool, interleaved: bool) -> usize {
    let mut runs = 0;
    for workers in 1..=4 {
        for shards in 1..=6 {
            all_starts(shards, workers, &mut |starts| {
                let mut world = World::new(starts, workers, cooperative);
                check_disjoint(&world, &world.plans(), starts);
                settle(&mut world, interleaved, 40);
                runs += 1;
            });
        }
    }
    runs
}

#[test]
fn every_small_fleet_settles_evenly_by_asking() {
    assert_eq!(exhaust(true, true), 218_232);
}

#[test]
fn every_small_fleet_settles_evenly_by_taking() {
    assert_eq!(exhaust(false, false), 218_232);
}

fn rounds_for(starts: &[Start], workers: usize) -> Vec<usize> {
    let modes = [(true, true), (true, false), (false, true), (false, false)];
    let run = |(cooperative, interleaved)| {
        settle(&mut World::new(starts, workers, cooperative), interleaved, 30)
    };
    modes.into_iter().map(run).collect()
}

#[test]
fn a_thousand_shards_and_fifty_workers_settle_within_ten_rounds() {
    let all = |start| vec![start; 1_000];
    let by = |held_by: usize| (0..1_000).map(|n| Start::Live(n % held_by)).collect::<Vec<_>>();
    let starts = [
        ("new table", all(Start::Released)),
        ("abandoned table", all(Start::Unowned)),
        ("dead fleet", all(Start::Expired)),
        ("one worker, 49 more", by(1)),
        ("25 workers, 25 more", by(25)),
        ("49 workers, one more", by(49)),
    ];
    for (name, starts) in starts {
        let rounds = rounds_for(&starts, 50);
        assert!(rounds.iter().all(|n| *n <= 10), "{name}: {rounds:?}");
    }
}

fn one_world(starts: &[Start], workers: usize) -> World {
    World::new(starts, workers, true)
}

#[test]
fn a_full_worker_takes_nothing_and_others_take_what_it_leaves() {
    let mut world = one_world(&[Start::Live(0), Start::Live(1), Start::Released], 2);
    let plan_of = |world: &World, worker: usize, max_leases| {
        let limits = Limits { max_leases, ..limits(3) };
        let snapshot = Snapshot { leases: &world.leases, seen: &world.seen[worker], limits };
        plan(&snapshot, &world.workers[worker], world.clock(worker))
    };
    assert!((0..2).all(|worker| plan_of(&world, worker, 1).is_empty()));
    // One of the two is meant to take it. If that one does not, the other does after a while.
    let meant = (0..2).find(|worker| !plan_of(&world, *worker, 9).is_empty()).unwrap();
    assert!(plan_of(&world, 1 - meant, 9).is_empty());
    for _ in 0..FAILOVER_MS / ROUND_MS {
        world.pass_time();
    }
    assert_eq!(plan_of(&world, 1 - meant, 9), [Action::Take(world.leases[2].key.clone())]);
}

#[test]
fn what_a_leaving_worker_has_given_back_is_not_kept_for_it() {
    let mut world =
        one_world(&[Start::Live(0), Start::Live(1), Start::Live(1), Start::Released], 2);
    assert_eq!(world.plans()[0], [Action::Take(world.leases[3].key.clone())]);
    world.leases[3].cooperative_owner = Some(world.workers[0].clone());
    assert_eq!(world.plans()[1], [Action::Take(world.leases[3].key.clone())]);
}

#[test]
fn a_request_that_is_not_answered_ends_in_a_steal_by_the_asker_only() {
    let mut world = one_world(&[Start::Live(0), Start::Live(0)], 2);
    let plans = world.plans();
    let [Action::Request { shard, from }] = plans[1].as_slice() else { panic!("{plans:?}") };
    let (shard, from) = (shard.clone(), from.clone());
    world.apply(&plans, true);
    let mut stolen_after_ms = None;
    for _ in 0..40 {
        // The holder renews and answers nothing.
        world.now += ROUND_MS;
        world.leases.iter_mut().for_each(|lease| lease.counter += 1);
        world.observe();
        let plans = world.plans();
        assert!(plans[0].is_empty(), "{plans:?}");
        if plans[1].contains(&Action::Steal { shard: shard.clone(), from: from.clone() }) {
            stolen_after_ms = Some(world.now - 2 * FAILOVER_MS);
            break;
        }
        assert!(plans[1].is_empty(), "a request counts as granted: {plans:?}");
    }
    assert_eq!(stolen_after_ms, Some(31_000));
}

#[test]
fn a_lease_handed_to_us_is_taken_at_once_and_by_nobody_else() {
    let mut world = one_world(&[Start::Live(0), Start::Live(1), Start::Live(2)], 3);
    world.leases[0].owner = Some(world.workers[1].clone());
    world.leases[0].hand_over_to = Some(world.workers[1].clone());
    world.leases[0].cooperative_owner = None;
    let plans = world.plans();
    assert_eq!(plans[1], [Action::Take(world.leases[0].key.clone())]);
    assert!(plans[2].is_empty(), "{plans:?}");
}

#[test]
fn an_owned_lease_seen_for_the_first_time_counts_as_just_renewed() {
    let world = one_world(&[Start::Expired], 1);
    let mut seen = Observations::default();
    let now = world.clock(0);
    seen.observe(&world.leases, now);
    let plan_at = |now| {
        let snapshot = Snapshot { leases: &world.leases, seen: &seen, limits: limits(1) };
        plan(&snapshot, &world.workers[0], now)
    };
    assert!(plan_at(now.plus(FAILOVER_MS - 1)).is_empty());
    assert_eq!(plan_at(now.plus(FAILOVER_MS)).len(), 1);
}
