//! One worker: a member of the fleet that runs a task for every shard it holds.

mod backlog;
mod drained;
mod heartbeat;
mod lag;
mod memory;
mod orphans;
mod preflight;
mod reconcile;
pub mod shard_status;
pub mod shard_task;
mod shards;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kinesis_fleet::admin::stream;
use kinesis_fleet::clock::Clock;
use kinesis_fleet::source::{
    Consumer, ReadBudgets, ReaderSettings, ShardCalls, ShardReader, enhanced,
};
use kinesis_fleet::{
    Fleet, FleetConfig, FleetError, InitialPosition, LeaseNotes, LeaseStatus, LeaseStore, Leases,
    ShardLease, ShutdownReport, StartAt, WorkerId,
};
use kinesis_model::ShardId;
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

pub use drained::{NotDrained, drained};
pub use lag::ShardLag;
pub use preflight::Missing;
pub use watch::{Task, Watch};

use crate::cloud::Clients;
use crate::config::{self, Config, shard_config};
use crate::sink::rows::TICK_MS;
use crate::sink::stats::Stats;
use crate::sink::{Backends, SetupError, Sinks};
use lag::LagBook;
use memory::Budget;
use reconcile::Reconciler;
use shard_status::{Failing, ShardStatus, View};
use shards::Shards;

/// How often a worker looks whether a shard is read to its end. Each note makes the next heartbeat
/// a little longer.
const NOTE_TIP: Duration = Duration::from_secs(5);

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The fleet refused.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Archive, rejects or the receiver of metrics cannot be used.
    #[error(transparent)]
    Sinks(#[from] SetupError),
    /// Something that the worker writes to is not there, or not as it has to be.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// A running worker. Dropping it stops everything at once, as a crash would.
#[derive(Debug)]
pub struct Worker {
    fleet: Fleet,
    shards: Arc<Shards>,
    stats: Arc<Stats>,
    tasks: AbortOnDropHandle<()>,
    heartbeat: AbortOnDropHandle<()>,
    lags: LagBook,
    asking: AbortOnDropHandle<()>,
    interval: Duration,
    outbox: AbortOnDropHandle<()>,
    /// Asks IVS, where the configuration wants it.
    reconciling: Option<AbortOnDropHandle<()>>,
    stream: Arc<str>,
    lease_table: Arc<str>,
}

/// Opens a reader of a shard.
type OpenReader = Box<dyn Fn(ShardId, StartAt) -> ShardReader + Send + Sync>;

/// The services of AWS that a worker uses, whoever plays them.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The lease table.
    pub leases: LeaseStore,
    /// The stream, which is polled.
    pub stream: Arc<dyn ShardCalls>,
    /// Where epochs are written to.
    pub sinks: Backends,
}

/// The state that every shard task of a worker needs.
struct Shared {
    config: Config,
    sinks: Sinks,
    open: OpenReader,
    shards: Arc<Shards>,
    worker: WorkerId,
    memory: Budget,
}

impl Worker {
    /// Joins the fleet.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn start(config: &Config, clients: &Clients) -> Result<Self, WorkerError> {
        preflight::check(config, clients).await?;
        let stats = Arc::new(Stats::default());
        let sinks = Sinks::new(config, clients, stats)?;
        let (kinesis, dynamodb) = (clients.kinesis.clone(), clients.dynamodb.clone());
        let fleet = Fleet::start(fleet_config(config), kinesis, dynamodb).await?;
        let consumer = consumer(config, clients).await;
        let settings = reader_settings(&config.stream);
        let (kinesis, name) = (clients.kinesis.clone(), config.stream.name.clone());
        let open = move |shard, start| {
            ShardReader::open_with(&kinesis, &name, shard, start, settings.clone(), &consumer)
        };
        let calls = Arc::new(stream::calls(&clients.kinesis, &config.stream.name));
        let mut worker = Self::run(config, fleet, calls, sinks, Box::new(open));
        worker.reconciling = config.reconcile.enabled.then(|| {
            let outside = Arc::new(reconcile::Aws::new(config, clients));
            let stats = Arc::clone(&worker.stats);
            let reconciler = Reconciler::new(config.reconcile.clone(), outside, stats);
            spawn(reconciler.run(worker.fleet.observer()))
        });
        Ok(worker)
    }

    /// As [`Worker::start`], with services that whoever the caller likes plays, and without a look
    /// at them beforehand.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub async fn start_over(config: &Config, outside: Outside) -> Result<Self, FleetError> {
        let Outside { leases, stream, sinks } = outside;
        let sinks = Sinks::over(config, sinks, Arc::new(Stats::default()));
        let shape = Arc::clone(&stream);
        let fleet = Fleet::start_over(fleet_config(config), leases, shape).await?;
        let settings = reader_settings(&config.stream);
        let (calls, name) = (Arc::clone(&stream), config.stream.name.clone());
        let open = move |shard, start| {
            ShardReader::over(Arc::clone(&calls), &name, shard, start, settings.clone())
        };
        Ok(Self::run(config, fleet, stream, sinks, Box::new(open)))
    }

    /// Starts the tasks of a worker that has joined its fleet.
    fn run(
        config: &Config,
        (fleet, leases): (Fleet, Leases),
        calls: Arc<dyn ShardCalls>,
        sinks: Sinks,
        open: OpenReader,
    ) -> Self {
        let stats = Arc::clone(&sinks.stats);
        let (shards, lags) = (Arc::new(Shards::default()), LagBook::default());
        let stream: Arc<str> = Arc::from(config.stream.name.as_str());
        let asking = spawn(lag::run(calls, Arc::clone(&stream), fleet.observer(), lags.clone()));
        let heartbeat = spawn(heartbeat::run(
            sinks.metrics.clone(),
            Arc::clone(&stats),
            fleet.observer(),
            (Arc::clone(&shards), lags.clone()),
            config.reconcile.enabled,
        ));
        let outbox = {
            let sending = sinks.clone().run_outbox();
            let sweeping = orphans::run(sinks.outbox.clone(), fleet.observer());
            spawn(async {
                tokio::join!(sending, sweeping);
            })
        };
        let shared = Arc::new(Shared {
            open,
            config: config.clone(),
            sinks,
            shards: Arc::clone(&shards),
            worker: fleet.worker_id().clone(),
            memory: Budget::new(config.worker.epochs_bytes()),
        });
        let tasks = spawn(run_leases(shared, leases));
        let lease_table = Arc::from(config.fleet.lease_table.as_str());
        let interval_ms = u64::try_from(config.epoch.interval_ms).unwrap_or(0);
        let interval = Duration::from_millis(interval_ms);
        Self {
            fleet,
            shards,
            stats,
            tasks,
            heartbeat,
            lags,
            asking,
            outbox,
            reconciling: None,
            interval,
            stream,
            lease_table,
        }
    }

    /// Returns what has been done so far.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Returns the lease table as this worker last saw it.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseStatus> {
        self.fleet.status()
    }

    /// Returns this worker's id.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        self.fleet.worker_id()
    }

    /// Returns what the shard tasks of this worker are doing.
    #[must_use]
    pub fn shards(&self) -> BTreeMap<ShardId, View> {
        self.shards.views()
    }

    /// Returns the shards whose tasks have failed since their last commit.
    #[must_use]
    pub fn failing(&self) -> BTreeMap<ShardId, Failing> {
        self.shards.failing(&self.fleet.status())
    }

    /// Returns a view of this worker that goes on through its shutdown.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            fleet: self.fleet.observer(),
            shards: Arc::clone(&self.shards),
            lags: self.lags.clone(),
            interval: self.interval,
            stats: Arc::clone(&self.stats),
            runner: self.tasks.abort_handle(),
            stream: Arc::clone(&self.stream),
            lease_table: Arc::clone(&self.lease_table),
        }
    }

    /// Hands every shard over: see [`config::Fleet::hand_over_ms`]; what takes longer than
    /// `deadline` is cut off.
    pub async fn shutdown(self, deadline: Duration) -> ShutdownReport {
        self.heartbeat.abort();
        self.asking.abort();
        drop(self.reconciling);
        let report = self.fleet.shutdown(deadline).await;
        // The lease channel is closed now, so the runner ends with its last task.
        if let Err(error) = self.tasks.await {
            tracing::error!(%error, "a shard task did not end in order");
        }
        self.outbox.abort();
        report
    }
}

/// Runs a task that ends with its handle.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// The shards that tasks work on, for the one that panics.
type AtWork = HashMap<tokio::task::Id, (ShardId, LeaseNotes)>;

/// Runs a task for every lease that arrives, until the fleet shuts down.
async fn run_leases(shared: Arc<Shared>, mut leases: Leases) {
    let mut tasks = JoinSet::new();
    let mut at_work = AtWork::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = tasks.join_next_with_id() => ended(&shared, &mut at_work, done),
            lease = leases.recv() => match lease {
                Some(lease) => {
                    let work = (lease.shard().clone(), lease.notes());
                    let task = tasks.spawn(run_shard(Arc::clone(&shared), lease));
                    at_work.insert(task.id(), work);
                }
                None => break,
            },
        }
    }
    while let Some(done) = tasks.join_next_with_id().await {
        ended(&shared, &mut at_work, done);
    }
}

/// Notes the end of a task; one that panicked has failed.
fn ended(shared: &Shared, at_work: &mut AtWork, done: Result<(tokio::task::Id, ()), JoinError>) {
    let error = match done {
        Ok((id, ())) => {
            at_work.remove(&id);
            return;
        }
        Err(error) => error,
    };
    let Some((shard, notes)) = at_work.remove(&error.id()) else { return };
    let error = format!("its task panicked: {error}");
    let status = shared.shards.lock().get(&shard).cloned();
    if let Some(status) = status {
        fail(shared, &shard, &status, error.clone());
    }
    // Other tasks end meanwhile.
    tokio::spawn(async move { note_failure(&notes, &shard, &error).await });
}

/// Notes a failure on the lease, for whoever looks at the table.
async fn note_failure(notes: &LeaseNotes, shard: &ShardId, error: &str) {
    if let Err(error) = notes.failed(error).await {
        tracing::debug!(%shard, %error, "the failure is not noted on the lease");
    }
}

/// Notes a failure where it is looked for: log, status, metric.
fn fail(shared: &Shared, shard: &ShardId, status: &ShardStatus, error: String) {
    tracing::error!(%shard, error, "shard task failed; its lease lapses and the epoch is done again");
    shared.sinks.stats.failed_tasks.fetch_add(1, Ordering::Relaxed);
    shared.sinks.stats.note_error(format!("{shard}: {error}"));
    status.failed(error);
}

async fn run_shard(shared: Arc<Shared>, lease: ShardLease) {
    let (shard, point) = (lease.shard().clone(), lease.resume_point());
    let status = shared.shards.begin(&shard, point.position());
    let open = |start| (shared.open)(shard.clone(), start);
    let hand_over = Duration::from_millis(shared.config.fleet.hand_over_ms);
    let mut config = shard_config(&shared.config);
    config.phase_ms = Some(phase_ms(&shared.worker, config.interval_ms));
    let config = (config, hand_over);
    let notes = lease.notes();
    let (memory, sinks) = (&shared.memory, &shared.sinks);
    let work = shard_task::run(lease, open, config, memory, sinks, Arc::clone(&status));
    let ended = tokio::select! {
        biased;
        ended = work => ended,
        () = note_tips(&notes, &status) => return,
    };
    match ended {
        Ok(ended) => {
            tracing::info!(%shard, ?ended, "shard task ended");
            status.ended(format!("{ended:?}"));
            shared.shards.forget(&shard, &status);
        }
        Err(error) => {
            let error = error.to_string();
            note_failure(&notes, &shard, &error).await;
            fail(&shared, &shard, &status, error);
        }
    }
}

/// Notes on the lease, as often as it is renewed at most, that all of the shard is done. It never
/// ends.
async fn note_tips(notes: &LeaseNotes, status: &ShardStatus) {
    let mut every = tokio::time::interval(NOTE_TIP);
    loop {
        every.tick().await;
        if let Some(seen) = status.tip_seen() {
            notes.tip(seen);
        }
    }
}

/// Returns where in the interval a worker's epochs close: apart from those of other workers, which
/// write the same rows.
fn phase_ms(worker: &WorkerId, interval_ms: i64) -> u64 {
    let hash = worker.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV-1a spread little over ids that differ in the last character.
    let spread = (hash >> 33).wrapping_mul(2_654_435_761) >> 16;
    let phase_ms = spread % u64::try_from(interval_ms).unwrap_or_default().max(1);
    // Between two ticks, never at one: all shards see it pass at the same tick.
    phase_ms / TICK_MS * TICK_MS + TICK_MS / 2
}

fn fleet_config(config: &Config) -> FleetConfig {
    let defaults = FleetConfig::default();
    FleetConfig {
        table: config.fleet.lease_table.clone(),
        stream: config.stream.name.clone(),
        worker_id: match config.fleet.worker_id.as_str() {
            "" => defaults.worker_id.clone(),
            id => WorkerId::new(id),
        },
        failover_ms: config.fleet.failover_ms,
        max_leases: config.fleet.max_leases,
        initial_position: match config.stream.initial_position {
            config::InitialPosition::TrimHorizon => InitialPosition::TrimHorizon,
            config::InitialPosition::Latest => InitialPosition::Latest,
        },
        clock: Clock::with_wall(crate::clock::now),
        ..defaults
    }
}

fn reader_settings(stream: &config::Stream) -> ReaderSettings {
    let budgets =
        if stream.shard_budget { ReadBudgets::service() } else { ReadBudgets::unlimited() };
    let clock = Clock::with_wall(crate::clock::now);
    let poll_idle_ms = stream.poll_interval_ms;
    ReaderSettings { poll_idle_ms, budgets, clock, ..ReaderSettings::default() }
}

/// As configured, or by polling when the stream takes no more consumers or refuses this one: the
/// worker is slower then, and not away.
async fn consumer(config: &Config, clients: &Clients) -> Consumer {
    if config.stream.consumer == config::Consumer::Polling {
        return Consumer::Polling;
    }
    let (stream, name) = (&config.stream.name, &config.fleet.lease_table);
    match enhanced::register(&clients.kinesis, stream, name).await {
        Ok(consumer_arn) => {
            tracing::info!(consumer = consumer_arn, "reading by enhanced fan-out");
            Consumer::Enhanced { consumer_arn }
        }
        Err(error) => {
            tracing::warn!(%error, "enhanced fan-out is not available, polling");
            Consumer::Polling
        }
    }
}
