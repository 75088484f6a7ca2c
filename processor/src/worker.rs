//! One worker: a member of the fleet that runs a task for every shard it holds.

mod drained;
mod heartbeat;
mod memory;
pub mod shard_status;
pub mod shard_task;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kinesis_fleet::source::{Consumer, ReadBudgets, ReaderSettings, ShardReader, enhanced};
use kinesis_fleet::{
    Checkpoint, Fleet, FleetConfig, FleetError, InitialPosition, LeaseStatus, Leases, Observer,
    ShardLease, ShutdownReport, WorkerId,
};
use kinesis_model::ShardId;
use tokio::task::JoinSet;

pub use drained::drained;
pub use watch::{Task, Watch};

use crate::cloud::Clients;
use crate::cloud::store_url::StoreUrlError;
use crate::config::{self, Config, shard_config};
use crate::sink::Sinks;
use crate::sink::outbox::Outbox;
use crate::sink::stats::Stats;
use memory::Budget;
use shard_status::{ShardStatus, Shards, View};

/// How often the whole outbox is looked through.
const SWEEP: Duration = Duration::from_secs(300);

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The fleet refused.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Archive or rejects cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreUrlError),
}

/// A running worker. Dropping it stops everything at once, as a crash would.
#[derive(Debug)]
pub struct Worker {
    fleet: Fleet,
    shards: Arc<Shards>,
    stats: Arc<Stats>,
    tasks: tokio::task::JoinHandle<()>,
    heartbeat: tokio::task::JoinHandle<()>,
    outbox: tokio::task::JoinHandle<()>,
    stream: Arc<str>,
    lease_table: Arc<str>,
}

/// What every shard task of a worker needs.
struct Shared {
    config: Config,
    clients: Clients,
    sinks: Sinks,
    consumer: Consumer,
    reader: ReaderSettings,
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
        let stats = Arc::new(Stats::default());
        let sinks = Sinks::new(config, clients, Arc::clone(&stats))?;
        let fleet = fleet_config(config);
        let (fleet, leases) =
            Fleet::start(fleet, clients.kinesis.clone(), clients.dynamodb.clone()).await?;
        let shards = Arc::new(Shards::default());
        let heartbeat = tokio::spawn(heartbeat::run(
            sinks.metrics.clone(),
            Arc::clone(&stats),
            fleet.observer(),
            Arc::clone(&shards),
        ));
        let outbox = {
            let sending = sinks.clone().run_outbox();
            let sweeping = sweep_outbox(sinks.outbox.clone(), fleet.observer());
            tokio::spawn(async {
                tokio::join!(sending, sweeping);
            })
        };
        let shared = Arc::new(Shared {
            consumer: consumer(config, clients).await,
            reader: reader_settings(&config.stream),
            config: config.clone(),
            clients: clients.clone(),
            sinks,
            shards: Arc::clone(&shards),
            worker: fleet.worker_id().clone(),
            memory: Budget::new(config.worker.epochs_bytes()),
        });
        let tasks = tokio::spawn(run_leases(shared, leases));
        let stream = Arc::from(config.stream.name.as_str());
        let lease_table = Arc::from(config.fleet.lease_table.as_str());
        Ok(Self { fleet, shards, stats, tasks, heartbeat, outbox, stream, lease_table })
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The lease table as this worker last saw it.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseStatus> {
        self.fleet.status()
    }

    /// This worker's id.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        self.fleet.worker_id()
    }

    /// What the shard tasks of this worker are doing.
    #[must_use]
    pub fn shards(&self) -> BTreeMap<ShardId, View> {
        self.shards.views()
    }

    /// A view of this worker that goes on through its shutdown.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            fleet: self.fleet.observer(),
            shards: Arc::clone(&self.shards),
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
        let report = self.fleet.shutdown(deadline).await;
        // The lease channel is closed now, so the runner ends with its last task.
        if let Err(error) = self.tasks.await {
            tracing::error!(%error, "a shard task did not end in order");
        }
        self.outbox.abort();
        report
    }
}

/// Runs a task for every lease that arrives, until the fleet shuts down.
async fn run_leases(shared: Arc<Shared>, mut leases: Leases) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = tasks.join_next() => {
                if let Err(error) = done {
                    tracing::error!(%error, "a shard task panicked; its lease lapses");
                }
            }
            lease = leases.recv() => match lease {
                Some(lease) => drop(tasks.spawn(run_shard(Arc::clone(&shared), lease))),
                None => break,
            },
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn run_shard(shared: Arc<Shared>, lease: ShardLease) {
    let shard = lease.shard().clone();
    let status = Arc::new(ShardStatus::default());
    shared.shards.lock().insert(shard.clone(), Arc::clone(&status));
    let open = |start| {
        ShardReader::open_with(
            &shared.clients.kinesis,
            &shared.config.stream.name,
            shard.clone(),
            start,
            shared.reader.clone(),
            &shared.consumer,
        )
    };
    let hand_over = Duration::from_millis(shared.config.fleet.hand_over_ms);
    let mut config = shard_config(&shared.config);
    config.phase_ms = Some(phase_ms(&shared.worker, config.interval_ms));
    let config = (config, hand_over);
    let ended =
        shard_task::run(lease, open, config, &shared.memory, &shared.sinks, Arc::clone(&status))
            .await;
    match ended {
        Ok(ended) => {
            tracing::info!(%shard, ?ended, "shard task ended");
            status.ended(format!("{ended:?}"));
        }
        Err(error) => {
            tracing::error!(%shard, %error, "shard task failed; the epoch will be done again");
            shared.sinks.stats.note_error(format!("{shard}: {error}"));
            status.ended(error.to_string());
        }
    }
}

/// Looks for what nobody else will send: objects of finished shards whose last owner is gone. The
/// first of the fleet's workers takes them.
async fn sweep_outbox(outbox: Outbox, fleet: Observer) {
    let mut every = tokio::time::interval_at(tokio::time::Instant::now() + SWEEP, SWEEP);
    loop {
        every.tick().await;
        let leases = fleet.leases();
        let open = || leases.iter().filter(|lease| lease.checkpoint != Checkpoint::ShardEnd);
        let first = open().filter_map(|lease| lease.owner.as_ref()).min();
        let is_ours = |shard: &ShardId| {
            let owner = match open().find(|lease| lease.shard == *shard) {
                Some(lease) => lease.owner.as_ref(),
                None => first,
            };
            owner == Some(fleet.worker_id())
        };
        if let Err(error) = outbox.sweep(is_ours).await {
            tracing::warn!(%error, "the outbox could not be listed");
        }
    }
}

/// Where in the interval a worker's epochs close: apart from those of other workers, which write
/// the same rows.
fn phase_ms(worker: &WorkerId, interval_ms: i64) -> u64 {
    let hash = worker.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV-1a spread little over ids that differ in the last character.
    let spread = (hash >> 33).wrapping_mul(2_654_435_761) >> 16;
    spread % u64::try_from(interval_ms).unwrap_or_default().max(1)
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
        ..defaults
    }
}

fn reader_settings(stream: &config::Stream) -> ReaderSettings {
    let budgets =
        if stream.shard_budget { ReadBudgets::service() } else { ReadBudgets::unlimited() };
    ReaderSettings { poll_idle_ms: stream.poll_interval_ms, budgets, ..ReaderSettings::default() }
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
