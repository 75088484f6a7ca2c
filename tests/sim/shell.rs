//! The shell itself in simulated time: the product's workers with their shard tasks, row writer,
//! outbox, coordinator, lease store, planner and readers, as they are, on a runtime whose time stands
//! still while anything can go on.
//!
//! Only the services are played, in memory and with AWS's semantics, behind the seams that the
//! product has for them. All chance comes from the seed: the services' answers and their delays decide
//! in which order tasks meet, so that a seed is a schedule. What is not simulated is the SDK and the
//! tries inside its calls, for which there are end-to-end tests.

mod budget;
mod judge;
mod leases;
mod members;
mod net;
mod objects;
mod panics;
mod plan;
mod rows;
mod senders;
mod state;
mod stream;
mod trace;

use std::sync::{Arc, Mutex};

use ivs_tests::rng::Rng;
use kinesis_fleet::EpochMs;
use object_store::memory::InMemory;

use crate::Digest;
use crate::world::Marks;
use members::Members;
use net::{LONGEST_CALL_MS, Service, sleep_ms};
use state::Shell;
use trace::Trace;

const METRICS: &str = "metrics";
const SESSIONS: &str = "sessions";

/// The wall clock at the start: later than any arrival.
const WALL: EpochMs = EpochMs(1_750_000_000_000 + 3_600_000);
/// So long after the last fault everything must be done: a comparison of shards and leases, sweeps of
/// the outbox, and its longest pause lie within.
const COMES_TO_REST_MS: u64 = 180_000;

/// So far the wall clock jumps at most: far more than the longest wait, and too little for a few jumps
/// to leave the day for which records and events are kept.
const LONGEST_JUMP_MS: u64 = 3 * 3_600_000;

/// Rare branches that the seeds must reach.
pub(crate) const RARE: [&str; 14] = [
    "a finished lease was deleted",
    "a put was refused",
    "a service was away",
    "a shard ended without a word of its children",
    "a worker left in order",
    "a worker of the same name took over",
    "a worker was cut off",
    "a worker was killed",
    "an event of a call was not taken",
    "a shard was opened anew by the rules of its new owner",
    "an iterator expired",
    "records expired unread",
    "the outbox was used",
    "the wall clock jumped",
];

/// Runs one seed to rest.
pub(crate) fn run(seed: u64) -> Result<(Marks, Digest), String> {
    in_simulated_time(seed, async |trace| {
        let mut rng = Rng::new(seed);
        let plan = plan::draw(&mut rng);
        Run::new(plan, &mut rng, trace).drive(rng).await
    })
}

/// Runs a world whose time stands still while anything can go on.
fn in_simulated_time<T>(seed: u64, world: impl AsyncFnOnce(Trace) -> T) -> T {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    let trace = Trace::default();
    let _listening = tracing::subscriber::set_default(trace.clone());
    runtime.block_on(async {
        ivs_processor::clock::simulate(WALL);
        world(trace).await
    })
}

struct Run {
    shell: Arc<Mutex<Shell>>,
    objects: Arc<InMemory>,
    trace: Trace,
}

impl Run {
    fn new(plan: plan::Plan, rng: &mut Rng, trace: Trace) -> Self {
        let shell = Shell::new(plan, Rng::new(rng.next_u64()));
        Self { shell: Arc::new(Mutex::new(shell)), objects: Arc::default(), trace }
    }

    async fn drive(&self, mut rng: Rng) -> Result<(Marks, Digest), String> {
        let mut members = Members::new(&self.shell, &self.objects, &mut rng);
        let ends_ms = self.lock().ends_ms;
        let chaos_until_ms = ends_ms / 2 + rng.below(ends_ms);
        while self.lock().now_ms() < chaos_until_ms {
            sleep_ms(100 + rng.below(1_200)).await;
            self.misfortune(&mut members, &mut rng);
            if rng.chance(2) {
                self.let_records_expire(&mut members, &mut rng).await;
            }
            self.look(&mut rng)?;
        }
        self.lock().chaos = false;
        members.calm(&mut rng);
        self.come_to_rest(chaos_until_ms.max(ends_ms), &mut rng).await?;
        let shell = &mut *self.lock();
        judge::at_rest(shell, &self.objects, &self.trace)?;
        let (of, trace) = (Arc::clone(&self.shell), self.trace.clone());
        let digest = move || judge::digest(&of.lock().expect("nobody panics with it"), &trace);
        Ok((std::mem::take(&mut shell.world.marks), Box::new(digest)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shell> {
        self.shell.lock().expect("nobody panics with it")
    }

    /// Something happens to a worker, a service or a clock.
    fn misfortune(&self, members: &mut Members, rng: &mut Rng) {
        match rng.below(100) {
            0..=6 => _ = members.kill(rng),
            7..=11 => members.restart(rng),
            12..=19 => members.leave(rng),
            20..=29 => members.cut_off(rng),
            30..=44 => members.join(rng),
            45..=54 => {
                let service = Service::ALL[rng.index(Service::ALL.len())];
                let shell = &mut *self.lock();
                shell.world.mark("a service was away");
                shell.away_until_ms[service as usize] = shell.now_ms() + rng.below(5_000);
            }
            55..=58 => {
                self.lock().world.mark("the wall clock jumped");
                let by_ms = rng.below(LONGEST_JUMP_MS).cast_signed();
                let is_back = rng.chance(50);
                ivs_processor::clock::jump(if is_back { -by_ms } else { by_ms });
            }
            _ => {}
        }
    }

    /// Every worker is away for long. Whatever they had sent has arrived or is lost by then, so that it
    /// is clear what nobody will ever read.
    async fn let_records_expire(&self, members: &mut Members, rng: &mut Rng) {
        while members.kill(rng) {}
        sleep_ms(LONGEST_CALL_MS).await;
        let shell = &mut *self.lock();
        (0..shell.world.log.len()).for_each(|shard| shell.expire(shard));
        members.join(rng);
    }

    /// Checks what must hold at any moment.
    fn look(&self, rng: &mut Rng) -> Result<(), String> {
        let shell = &mut *self.lock();
        if let Some(broken) = shell.broken.first() {
            return Err(broken.clone());
        }
        if rng.chance(10) { judge::rows(shell) } else { Ok(()) }
    }

    async fn come_to_rest(&self, from_ms: u64, rng: &mut Rng) -> Result<(), String> {
        loop {
            sleep_ms(400).await;
            self.look(rng)?;
            let shell = &*self.lock();
            if judge::is_at_rest(shell, &self.objects) {
                return Ok(());
            }
            if shell.now_ms() > from_ms + COMES_TO_REST_MS {
                let left_over = judge::left_over(shell, &self.objects, &self.trace);
                return Err(format!("liveness: {left_over}"));
            }
        }
    }
}
