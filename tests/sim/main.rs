//! The epoch protocol under every misfortune: several workers, crashes at every step, zombies,
//! steals, lost replies after stored writes, throttles, reshards, duplicates, late records.
//!
//! Leases are given by chance, which meets every order of events soon, and, in [`fleet`], by the
//! product's planner on clocks that disagree, which meets those that a fleet makes.
//!
//! A run is a function of its seed. `SIM_SEEDS` says how many (default 20,000; a tenth as many of
//! the fleet's), `SIM_START` where to begin (any text, for instance a commit hash), `SIM_SEED`
//! replays one.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the oracle ranks a handful of values in floating point, as the definition does"
)]

mod check;
mod fleet;
mod log;
mod memory;
mod oracle;
mod shell;
mod worker;
mod world;
mod writers;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ivs_tests::rng::Rng;
use worker::{Hold, Holder, take};
use world::{Marks, Variant, World};

/// Steps after which a run that has not come to rest is stuck.
const MAX_STEPS: u64 = 400_000;

/// Everything that a run has come to, to compare it with another; told when it is asked for.
type Digest = Box<dyn FnOnce() -> String>;

/// Runs one seed to rest.
fn run(seed: u64, variant: Variant) -> Result<(Marks, Digest), String> {
    let mut rng = Rng::new(seed);
    let mut world = World::new(variant, log::draw(&mut rng));
    world.prepare_inside_aggregates(&mut rng);
    let of_root = |shard: &usize| world.log[*shard].parents.is_empty();
    if world
        .log
        .iter()
        .any(|shard| shard.parents.iter().map(of_root).collect::<BTreeSet<_>>().len() > 1)
    {
        world.mark("the sides of a merge were of two generations");
    }
    let workers = 1 + rng.index(4);
    let chaos_until = 200 + rng.below(1_500);
    let mut held: Vec<Holder> = vec![];
    for step in 0..MAX_STEPS {
        if world.leases.iter().all(|lease| lease.done) && held.is_empty() {
            check::at_rest(&world)?;
            let World { marks, metrics, leases, .. } = world;
            return Ok((marks, Box::new(move || format!("{metrics:?} {leases:?}"))));
        }
        act(&mut world, &mut held, workers, step < chaos_until, &mut rng)?;
    }
    Err("liveness: the world does not come to rest".to_owned())
}

/// Carries out one action of one worker, chosen by chance.
fn act(
    world: &mut World,
    held: &mut Vec<Holder>,
    workers: usize,
    chaos: bool,
    rng: &mut Rng,
) -> Result<(), String> {
    let worker = rng.index(workers);
    if chaos && rng.chance(1) {
        world.mark("a worker crashed");
        let (lost, kept) = std::mem::take(held).into_iter().partition(|h| h.worker == worker);
        *held = kept;
        world.crash(worker);
        let lost: Vec<Holder> = lost;
        lost.iter().for_each(|holder| forget(world, holder));
        return Ok(());
    }
    if rng.chance(3) {
        return world.write_step(worker, rng);
    }
    let shard = rng.index(world.log.len());
    let mine = held.iter().any(|h| h.worker == worker && h.shard == shard);
    let free = !held.iter().any(|h| h.shard == shard && h.counter == world.leases[shard].counter);
    if free && chaos && rng.chance(1) {
        world.expire(shard, rng);
    }
    if !mine && (free || chaos && rng.chance(4)) {
        if let Some(holder) = take(world, worker, shard, rng) {
            if !free {
                world.mark("a shard was stolen from a living owner (E10)");
            }
            held.push(holder);
        }
        return Ok(());
    }
    let own: Vec<usize> = (0..held.len()).filter(|&i| held[i].worker == worker).collect();
    if own.is_empty() {
        return Ok(());
    }
    let i = own[rng.index(own.len())];
    if rng.chance(1) {
        held[i].hand_over(world)?;
    }
    if held[i].advance(None, world, rng)? != Hold::Kept {
        let holder = held.swap_remove(i);
        forget(world, &holder);
    }
    Ok(())
}

fn forget(world: &mut World, holder: &Holder) {
    if holder.between_emit_and_commit() {
        world.dropped_after_emit += 1;
        world.mark("a hold was dropped between emission and commit");
    }
}

/// Returns how many seeds to run, and the first; of the slower runs only every `share`-th.
fn seeds(share: u64) -> std::ops::Range<u64> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let Some(seed) = variable("SIM_SEED") {
        let seed = seed.parse().expect("SIM_SEED is a number");
        return seed..seed + 1;
    }
    let count: u64 =
        variable("SIM_SEEDS").map_or(20_000, |text| text.parse().expect("SIM_SEEDS is a number"));
    // FNV-1a of the text, kept below 2^40 so that seeds stay readable.
    let start = variable("SIM_START").map_or(1, |text| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        }) >> 24
    });
    start..start + count.div_ceil(share)
}

const RARE: [&str; 29] = [
    "a part went along with a put that had been asked for",
    "a full epoch waited for those of other shards",
    "a batch was folded in two",
    "a child shard was finished",
    "a commit was refused",
    "a commit was stored, its reply lost",
    "a gap was counted",
    "a hold was dropped between emission and commit",
    "a prepare was refused",
    "a prepare was stored, its reply lost",
    "a prepared epoch was recovered",
    "a put was refused",
    "a put was stored, its reply lost, and sent again",
    "a put was stored, its reply lost, the shard given up",
    "a put was throttled",
    "a row that others kept writing was waited for",
    "a row that others write was read first",
    "a shard was given back with its epoch open",
    "a shard was given back with its epoch prepared",
    "a shard was handed over",
    "a shard was stolen from a living owner (E10)",
    "a worker crashed",
    "a zombie wrote",
    "an epoch found itself already applied",
    "partials of several shards went into one put",
    "an epoch was prepared to end inside an aggregate",
    "records expired unread",
    "the sides of a merge were of two generations",
    "two shards met in one row",
];

#[test]
fn every_seed_keeps_every_invariant_and_the_rare_branches_are_reached() {
    simulate(&seeds(1), run, &RARE);
}

#[test]
fn every_seed_of_a_fleet_keeps_every_invariant_and_the_rare_branches_are_reached() {
    simulate(&seeds(10), fleet::run, &fleet::RARE);
}

#[test]
fn every_seed_of_the_shell_keeps_every_invariant_and_the_rare_branches_are_reached() {
    simulate(&seeds(10), |seed, _| shell::run(seed), &shell::RARE);
}

#[test]
fn two_runs_of_the_shell_with_one_seed_are_identical() {
    for seed in 1..=20 {
        let [(first_marks, first), (second_marks, second)] =
            [(); 2].map(|()| shell::run(seed).map(|(marks, digest)| (marks, digest())).unwrap());
        assert_eq!(first_marks, second_marks, "seed {seed}");
        let same = first.chars().zip(second.chars()).take_while(|(a, b)| a == b).count();
        let from_there = |digest: &str| digest.chars().skip(same).take(200).collect::<String>();
        assert!(
            first == second,
            "seed {seed} goes on as {} and as {}",
            from_there(&first),
            from_there(&second)
        );
    }
}

/// A run of one seed: what it reached and how it ended, or the invariant it broke.
type Run = fn(u64, Variant) -> Result<(Marks, Digest), String>;

/// Seeds of a thread after which it says how far it is.
const PROGRESS: usize = 25_000;

fn simulate(seeds: &std::ops::Range<u64>, run: Run, rare: &[&str]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut marks = Marks::new();
    let has_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let own = seeds.clone().skip(thread as usize).step_by(threads as usize);
                let has_failed = &has_failed;
                scope.spawn(move || {
                    let mut marks = Marks::new();
                    for (done, seed) in own.enumerate() {
                        if has_failed.load(Relaxed) {
                            break;
                        }
                        if done > 0 && done % PROGRESS == 0 {
                            println!(
                                "a thread of {threads} has simulated {done} seeds, up to {seed}"
                            );
                        }
                        match run(seed, Variant::Full) {
                            Ok((more, _)) => marks.extend(more),
                            Err(e) => {
                                has_failed.store(true, Relaxed);
                                panic!("SIM_SEED={seed}: {e}");
                            }
                        }
                    }
                    marks
                })
            })
            .collect();
        for worker in workers {
            marks.extend(worker.join().expect("a seed failed; its number is above"));
        }
    });
    if seeds.end - seeds.start >= 1_000 {
        let missed: Vec<_> = rare.iter().filter(|mark| !marks.contains(**mark)).collect();
        assert!(missed.is_empty(), "branches that no seed reached: {missed:?}");
    }
    println!("simulated {} seeds from {}", seeds.end - seeds.start, seeds.start);
}

/// Each broken protocol must be caught, or the simulation could not catch it in the product.
fn is_caught(variant: Variant) {
    for (run, by) in [(run as Run, "chance"), (fleet::run, "the planner")] {
        let caught = (1..=2_000).find_map(|seed| run(seed, variant).err().map(|e| (seed, e)));
        let (seed, error) = caught.expect("no seed caught the broken variant");
        // E4 is where a wrong summary shows: E1 is checked on the metric rows.
        let known = ["E1", "E2", "E4", "E9"].iter().any(|id| error.starts_with(id));
        assert!(known, "seed {seed}: {error}");
        let error = &error[..error.len().min(90)];
        println!("{variant:?} with leases given by {by} is caught by seed {seed}: {error}");
    }
}

#[test]
fn writing_without_prepare_is_caught() {
    is_caught(Variant::NoPrepare);
}

#[test]
fn merging_without_applied_is_caught() {
    is_caught(Variant::NoApplied);
}

#[test]
fn ignoring_the_pending_checkpoint_is_caught() {
    is_caught(Variant::PendingIgnored);
}

#[test]
fn writing_a_cached_row_blindly_is_caught() {
    is_caught(Variant::StaleCacheBlind);
}

/// Checks that only the runs by chance can reach: the fleet's have no prepared epochs of others,
/// and no retention.
fn is_caught_by_chance(variant: Variant, ids: &[&str]) {
    let caught = (1..=10_000).find_map(|seed| run(seed, variant).err().map(|e| (seed, e)));
    let (seed, error) = caught.expect("no seed caught the broken variant");
    assert!(ids.iter().any(|id| error.starts_with(id)), "seed {seed}: {error}");
    println!("{variant:?} is caught by seed {seed}: {}", &error[..error.len().min(90)]);
}

#[test]
fn taking_the_rest_of_an_aggregate_for_done_is_caught() {
    is_caught_by_chance(Variant::SubIgnored, &["E1", "E4", "E6", "gap"]);
}

#[test]
fn a_silent_gap_is_caught() {
    is_caught_by_chance(Variant::GapIgnored, &["gap", "E6"]);
}

#[test]
fn moving_applied_for_a_partial_that_was_not_merged_is_caught() {
    is_caught(Variant::AppliedUnmerged);
}

#[test]
fn answering_before_the_put_is_caught() {
    is_caught(Variant::AcknowledgesEarly);
}

#[test]
fn combining_an_unprepared_epoch_is_caught() {
    is_caught(Variant::CombinesUnprepared);
}

/// One session over 350 shards and 8 workers.
#[test]
fn a_fleet_on_one_session_comes_to_rest_with_exact_rows() {
    let mut rng = Rng::new(1);
    let mut world = World::new(Variant::Full, log::hot(350, &mut rng));
    let mut held: Vec<Holder> = vec![];
    for step in 0..10 * MAX_STEPS {
        if world.leases.iter().all(|lease| lease.done) && held.is_empty() {
            check::at_rest(&world).unwrap();
            let most = world.metrics.values().map(|row| row.applied.len()).max();
            assert!(most.is_some_and(|most| most > 100), "{most:?} shards in one row");
            return;
        }
        act(&mut world, &mut held, 8, step < 20_000, &mut rng).unwrap();
    }
    panic!("the world does not come to rest");
}

#[test]
fn reading_on_beside_two_epochs_is_caught() {
    for (run, by) in [(run as Run, "chance"), (fleet::run, "the planner")] {
        let caught = (1..=2_000).find_map(|seed| run(seed, Variant::Greedy).err());
        let error = caught.expect("no seed caught the broken variant");
        assert!(error.starts_with("E8"), "leases given by {by}: {error}");
    }
}

/// A worker that reads the lease table, sleeps, and then creates what was missing.
#[test]
fn creating_leases_from_an_old_reading_is_caught() {
    let caught = (1..=40_000)
        .find_map(|seed| Some((seed, fleet::run(seed, Variant::StaleComparison).err()?)));
    let (seed, error) = caught.expect("no seed caught the broken variant");
    let known = ["E1", "E3", "E6"].iter().any(|id| error.starts_with(id));
    assert!(known, "seed {seed}: {error}");
    println!("StaleComparison is caught by seed {seed}: {}", &error[..error.len().min(90)]);
}

#[test]
fn two_runs_of_a_seed_are_identical() {
    for seed in 1..=50 {
        for run in [run as Run, fleet::run] {
            let told = |(marks, digest): (Marks, Digest)| (marks, digest());
            let [first, second] = [(); 2].map(|()| run(seed, Variant::Full).map(told));
            assert_eq!(first.unwrap(), second.unwrap(), "seed {seed}");
        }
    }
}
