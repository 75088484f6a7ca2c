//! The workers: the product's own, and what happens to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivs_processor::cloud::store_url::StoreUrl;
use ivs_processor::config::Config;
use ivs_processor::sink::Backends;
use ivs_processor::worker::{Outside, Worker};
use ivs_tests::rng::Rng;
use kinesis_fleet::LeaseStore;
use object_store::memory::InMemory;
use tokio_util::task::AbortOnDropHandle;

use super::net::{Life, Net, sleep_ms};
use super::objects::Objects;
use super::state::Shell;
use super::{METRICS, SESSIONS};
use crate::log::HORIZON_MS;

/// Leaving in order takes so long at most.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// A worker that does not start is started again after so long.
const STARTS_AGAIN_MS: u64 = 500;

/// A running worker, or one that tries to start. Dropping it ends it.
struct Member {
    name: String,
    life: Arc<Life>,
    worker: Arc<Mutex<Option<Worker>>>,
    _starting: AbortOnDropHandle<()>,
}

/// All workers of a run.
pub(crate) struct Members {
    shell: Arc<Mutex<Shell>>,
    objects: Arc<InMemory>,
    most: usize,
    started: usize,
    archives: bool,
    running: Vec<Member>,
}

impl Members {
    /// Starts the first workers.
    pub(crate) fn new(shell: &Arc<Mutex<Shell>>, objects: &Arc<InMemory>, rng: &mut Rng) -> Self {
        let shards = shell.lock().expect("fresh").world.log.len();
        let most = 1 + rng.index(if shards > 12 { 8 } else { 3 });
        let mut members = Self {
            shell: Arc::clone(shell),
            objects: Arc::clone(objects),
            most,
            started: 0,
            archives: rng.chance(50),
            running: vec![],
        };
        for _ in 0..=rng.index(most) {
            members.join(rng);
        }
        members
    }

    /// Starts another worker, unless there are enough.
    pub(crate) fn join(&mut self, rng: &mut Rng) {
        if self.running.len() < self.most {
            self.started += 1;
            let name = format!("worker-{}", self.started);
            self.start(name, rng);
        }
    }

    /// Ends a process, if there is one.
    pub(crate) fn kill(&mut self, rng: &mut Rng) -> bool {
        self.kill_one(rng).is_some()
    }

    /// Ends a process, and starts another of its name.
    pub(crate) fn restart(&mut self, rng: &mut Rng) {
        if let Some(name) = self.kill_one(rng) {
            self.mark("a worker of the same name took over");
            self.start(name, rng);
        }
    }

    fn kill_one(&mut self, rng: &mut Rng) -> Option<String> {
        let member = self.take(rng)?;
        self.mark("a worker was killed");
        member.life.end();
        Some(member.name.clone())
    }

    /// Lets a worker hand over and go.
    pub(crate) fn leave(&mut self, rng: &mut Rng) {
        let Some(member) = self.take(rng) else { return };
        let worker = member.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(worker) = worker else { return };
        let shell = Arc::clone(&self.shell);
        tokio::spawn(async move {
            let _life = &member.life;
            worker.shutdown(LEAVES_WITHIN).await;
            shell
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .world
                .mark("a worker left in order");
        });
    }

    /// Cuts a worker off from everything, often for longer than its leases live.
    pub(crate) fn cut_off(&mut self, rng: &mut Rng) {
        if self.running.is_empty() {
            return;
        }
        self.mark("a worker was cut off");
        let now_ms = self.shell.lock().expect("nobody panics with it").now_ms();
        let member = &self.running[rng.index(self.running.len())];
        member.life.cut_off(now_ms + rng.below(6_000));
    }

    /// Misfortune is over: everybody is heard again, and somebody is there.
    pub(crate) fn calm(&mut self, rng: &mut Rng) {
        self.running.iter().for_each(|member| member.life.cut_off(0));
        if self.running.is_empty() {
            self.join(rng);
        }
    }

    fn mark(&self, name: &'static str) {
        self.shell.lock().expect("nobody panics with it").world.mark(name);
    }

    fn take(&mut self, rng: &mut Rng) -> Option<Member> {
        if self.running.is_empty() {
            return None;
        }
        let at = rng.index(self.running.len());
        Some(self.running.swap_remove(at))
    }

    fn start(&mut self, name: String, rng: &mut Rng) {
        let life = Arc::new(Life::default());
        let net = Net { shell: Arc::clone(&self.shell), life: Arc::clone(&life) };
        let (config, archives) = (config(&name, rng), self.archives);
        let (net, objects) = (Arc::new(net), Arc::clone(&self.objects));
        let worker = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&worker);
        let starting = tokio::spawn(async move {
            loop {
                match Worker::start_over(&config, outside(&net, &objects, archives)).await {
                    Ok(worker) => {
                        break *slot.lock().expect("nobody panics with it") = Some(worker);
                    }
                    Err(_) => sleep_ms(STARTS_AGAIN_MS).await,
                }
            }
        });
        let starting = AbortOnDropHandle::new(starting);
        self.running.push(Member { name, life, worker, _starting: starting });
    }
}

/// Returns the services as one worker reaches them.
pub(super) fn outside(net: &Arc<Net>, objects: &Arc<InMemory>, archives: bool) -> Outside {
    let store = Objects { net: Net::clone(net), store: Arc::clone(objects) };
    let store = StoreUrl::over(Arc::new(store));
    Outside {
        leases: LeaseStore::over(Arc::clone(net) as _, "leases"),
        stream: Arc::clone(net) as _,
        sinks: Backends {
            rows: Arc::clone(net) as _,
            metrics: Arc::clone(net) as _,
            events: Arc::clone(net) as _,
            rejects: store.clone(),
            archive: archives.then_some(store),
        },
    }
}

/// Returns a worker's settings: a small world, in which everything comes to its limits soon.
pub(super) fn config(name: &str, rng: &mut Rng) -> Config {
    let mut config = Config::default();
    name.clone_into(&mut config.fleet.worker_id);
    config.fleet.failover_ms = 2_000;
    config.fleet.hand_over_ms = 100 + rng.below(600);
    config.stream.poll_interval_ms = 100 + rng.below(900);
    config.epoch.interval_ms = 500 + i64::try_from(rng.below(1_500)).expect("small");
    config.epoch.max_rows = 2 + rng.index(12);
    config.epoch.max_records = 2 + rng.below(25);
    config.epoch.dedupe_horizon_ms = HORIZON_MS;
    // No event lies ahead, so these rules are others and come to the same.
    if rng.chance(30) {
        config.epoch.max_ahead_ms /= 2;
    }
    METRICS.clone_into(&mut config.tables.metrics);
    SESSIONS.clone_into(&mut config.tables.sessions);
    // Limits of the rate are by the real clock.
    config.tables.writes_per_s = 0;
    config.cloudwatch.calls_per_s = 0;
    config.outbox.patience_ms = 100 + rng.below(400);
    config
}
