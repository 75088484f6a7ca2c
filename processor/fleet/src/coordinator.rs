//! The async side: keeps leases alive, takes and gives them as the planner says, and hands them
//! to the application.
//!
//! Three loops share the leases held: *renew* (a third of the failover time), *scan* (read the
//! table, observe, plan, act, hand out) and *sync* (compare with the stream's shards). A watchdog
//! per lease fires [`ShardLease::lost`] when the lease could have expired, whatever hangs.
//!
//! # Hand-over between workers of this crate
//! A worker that wants a lease writes its id into `handOverTo`. The holder reads it in the answer
//! to its next heartbeat and fires [`ShardLease::hand_over`]; the application closes its epoch,
//! commits and calls [`ShardLease::release`], which makes the asking worker the owner.
//! `handOverTo` stays equal to `leaseOwner` until the new owner takes the lease. Java workers
//! ignore the attribute; from them a lease is taken as KCL does it.

mod held;
mod parents;
mod pulse;
mod renew;
mod scan;
mod shard_lease;
mod status;
mod sync_loop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_kinesis::primitives::DateTime;
use kinesis_model::{EpochMs, ShardId};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use pulse::{LoopName, LoopStatus};
pub use shard_lease::{LeaseNotes, LeaseOutcome, ShardLease};
pub use status::{Counters, LeasePhase, LeaseStatus};

use crate::config::{ConfigError, FleetConfig};
use crate::lease::{Lease, WorkerId};
use crate::planner::Observations;
use crate::store::{LeaseStore, LeftOut, StoreError};
use crate::sync::listing::{CallError, KinesisStream, StreamShape};
use held::Held;
use parents::Listing;
use pulse::Pulses;

/// Leases on their way to the application. It is a
/// [`tokio::sync::mpsc::Receiver`]; it closes when the fleet shuts down.
pub type Leases = mpsc::Receiver<ShardLease>;

/// Leases waiting for the application: one that is not fetched is held, renewed and idle.
const HAND_OUT_MAX: usize = 64;

/// Left-out rows that are remembered; a table with more is another application's.
const LEFT_OUT_MAX: usize = 1_000;

/// The fleet could not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The lease table cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream cannot be described.
    #[error("stream `{stream}`: {operation} failed: {reason}")]
    Stream {
        /// The stream.
        stream: String,
        /// The API call.
        operation: &'static str,
        /// The service's code and message.
        reason: String,
    },
    /// The leases belong to an earlier stream of the same name: its positions mean nothing here.
    /// Delete the lease table, or use another one.
    #[error(
        "stream `{stream}` was created at {}, but lease table `{table}` belongs to one created at {}; \
         delete the table or use another",
        DateTime::from_millis(*.created),
        DateTime::from_millis(*.leased)
    )]
    StreamRecreated {
        /// The stream.
        stream: String,
        /// The lease table.
        table: String,
        /// Its creation time, epoch milliseconds.
        created: i64,
        /// The creation time on a lease, epoch milliseconds.
        leased: i64,
    },
}

/// The result of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Leases that the application gave back in time, and idle ones.
    pub released: usize,
    /// Leases taken from the application at the deadline.
    pub forced: usize,
}

/// One worker of a fleet. Dropping it stops its loops without releasing anything; others take
/// over when the leases expire.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    loops: JoinSet<()>,
}

/// A view of a worker.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Shared>);

impl Observer {
    /// Returns how many leases the worker holds.
    #[must_use]
    pub fn leases_held(&self) -> usize {
        self.0.held().len()
    }

    /// Returns how many leases it has lost since its start.
    #[must_use]
    pub fn leases_lost(&self) -> u64 {
        self.0.counters.lost()
    }

    /// See [`Fleet::worker_id`].
    #[must_use]
    pub fn worker_id(&self) -> &WorkerId {
        &self.0.config.worker_id
    }

    /// See [`Fleet::status`].
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseStatus> {
        status::of(&self.0)
    }

    /// See [`Fleet::counters`].
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// After how long without a heartbeat a lease may be taken by others.
    #[must_use]
    pub fn failover_ms(&self) -> u64 {
        self.0.config.failover_ms
    }

    /// Returns the leases that nobody reads and that are not finished, as last seen: held by
    /// nobody, by a worker that does not renew them, or by this worker without a task.
    #[must_use]
    pub fn waiting(&self) -> Vec<Lease> {
        let here: BTreeMap<_, _> =
            self.leases().into_iter().map(|l| (l.shard.clone(), l)).collect();
        let failover_ms = self.failover_ms();
        let is_waiting = |lease: &&Lease| {
            here.get(&lease.key).is_some_and(|status| match status.state {
                LeasePhase::Unowned | LeasePhase::Waiting | LeasePhase::Lost => true,
                LeasePhase::Elsewhere => status.still_ms > failover_ms,
                LeasePhase::Running | LeasePhase::Finished => false,
            })
        };
        self.0.table().iter().filter(is_waiting).cloned().collect()
    }

    /// Returns how the worker's loops are doing.
    #[must_use]
    pub fn loops(&self) -> [LoopStatus; 3] {
        pulse::of(&self.0)
    }
}

/// The state that the loops share.
#[derive(Debug)]
struct Shared {
    config: FleetConfig,
    store: LeaseStore,
    stream: Arc<dyn StreamShape>,
    stream_created: EpochMs,
    /// How long the stream keeps records, as last described.
    retention_ms: AtomicU64,
    /// The shards as last listed.
    listing: Listing,
    /// Rows that were left out of a reading of the table, each warned of once.
    left_out: Mutex<BTreeSet<String>>,
    /// Leases held, or still in the hands of the application after they were lost.
    held: Mutex<BTreeMap<ShardId, Arc<Held>>>,
    /// The table as last read.
    table: Mutex<Vec<Lease>>,
    /// Since when its rows look as they do.
    seen: Mutex<Observations>,
    counters: Counters,
    pulses: Pulses,
    /// Read the table now.
    wake: Notify,
    /// A lease left `held`.
    gone: Notify,
    /// No more taking.
    stopping: CancellationToken,
    /// No more renewing.
    stopped: CancellationToken,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_held(&self) -> Vec<Arc<Held>> {
        self.held().values().cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Warns of rows that were left out, once each.
    fn note_left_out(&self, rows: &[LeftOut]) {
        let mut known = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if known.len() < LEFT_OUT_MAX && known.insert(row.key.clone()) {
                tracing::warn!(
                    key = row.key,
                    why = row.why,
                    "a row of the lease table is left out"
                );
            }
        }
    }

    /// Forgets a lease: it is released, or lost and not in use any more.
    fn forget(&self, held: &Arc<Held>) {
        held.lost.cancel();
        let mut all = self.held();
        if all.get(&held.shard).is_some_and(|current| Arc::ptr_eq(current, held)) {
            all.remove(&held.shard);
        }
        drop(all);
        self.gone.notify_one();
    }
}

impl Fleet {
    /// Checks the settings, creates the table if asked to, makes sure that the leases belong to
    /// this stream, creates missing leases and starts the loops. Leases arrive through the
    /// receiver; every one must be finished, released or dropped by the application.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub async fn start(
        config: FleetConfig,
        kinesis: aws_sdk_kinesis::Client,
        dynamodb: aws_sdk_dynamodb::Client,
    ) -> Result<(Self, Leases), FleetError> {
        // Three tries must fit into what is left of a lease after a missed heartbeat.
        let request = Duration::from_millis((config.failover_ms / 8).clamp(100, 5_000));
        let store = LeaseStore::new(&dynamodb, &config.table, request);
        let request = Duration::from_secs(10);
        let stream = KinesisStream::new(&kinesis, &config.stream, sync_loop::RETRY, request);
        Self::start_over(config, store, Arc::new(stream)).await
    }

    /// As [`Fleet::start`], with leases and stream kept by whoever the caller likes.
    ///
    /// # Errors
    /// See [`FleetError`].
    pub async fn start_over(
        config: FleetConfig,
        store: LeaseStore,
        stream: Arc<dyn StreamShape>,
    ) -> Result<(Self, Leases), FleetError> {
        config.validate()?;
        if config.create_table {
            store.ensure_table().await?;
        }
        let info = sync_loop::check_stream(&config, &*stream, &store).await?;
        let shared = Arc::new(Shared {
            store,
            stream,
            stream_created: info.created,
            retention_ms: AtomicU64::new(info.retention_ms),
            listing: Listing::default(),
            left_out: Mutex::default(),
            held: Mutex::default(),
            table: Mutex::default(),
            seen: Mutex::default(),
            counters: Counters::default(),
            pulses: Pulses::new(config.clock.mono()),
            wake: Notify::new(),
            gone: Notify::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            config,
        });
        sync_loop::sync_at_start(&shared).await?;
        let (sender, leases) = mpsc::channel(HAND_OUT_MAX);
        let mut loops = JoinSet::new();
        loops.spawn(renew::run(Arc::clone(&shared)));
        loops.spawn(sync_loop::run(Arc::clone(&shared)));
        loops.spawn(scan::run(Arc::clone(&shared), sender));
        Ok((Self { shared, loops }, leases))
    }

    /// Returns every lease of the table as this worker last saw it, those it holds marked.
    #[must_use]
    pub fn status(&self) -> Vec<LeaseStatus> {
        status::of(&self.shared)
    }

    /// Returns what this worker has done since its start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns a view of this worker that outlives borrowing it, for metrics.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.shared))
    }

    /// This worker's id.
    #[must_use]
    pub fn worker_id(&self) -> &WorkerId {
        &self.shared.config.worker_id
    }

    /// Takes no more leases, asks the application to hand over those it has
    /// ([`ShardLease::hand_over`]), waits until it has released them, at most `deadline`, then
    /// takes the rest away ([`ShardLease::lost`]) and releases them too, so that others start at
    /// once. Leases may still arrive when it begins: go on receiving until the channel is closed.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        let shared = &self.shared;
        shared.stopping.cancel();
        let before = shared.all_held();
        tracing::info!(leases = before.len(), "fleet worker is shutting down");
        for held in &before {
            held.hand_over.cancel();
        }
        let drained = async {
            while !shared.held().is_empty() {
                let gone = shared.gone.notified();
                scan::release_idle(shared).await;
                if shared.held().is_empty() {
                    break;
                }
                // A release that failed is tried again, and a take that was under way shows up.
                let _elapsed = tokio::time::timeout(Duration::from_millis(200), gone).await;
                for held in shared.all_held() {
                    held.hand_over.cancel();
                }
            }
        };
        let in_time = tokio::time::timeout(deadline, drained).await.is_ok();
        let rest = if in_time { Vec::new() } else { shared.all_held() };
        for held in &rest {
            tracing::warn!(shard = %held.shard, "lease taken from the application at the deadline");
            held.lost.cancel();
            scan::release(shared, held).await;
        }
        shared.stopped.cancel();
        while self.loops.join_next().await.is_some() {}
        let forced = rest.len();
        ShutdownReport { released: before.len().saturating_sub(forced), forced }
    }
}

fn stream_error(config: &FleetConfig, (operation, reason): CallError) -> FleetError {
    FleetError::Stream { stream: config.stream.clone(), operation, reason }
}
