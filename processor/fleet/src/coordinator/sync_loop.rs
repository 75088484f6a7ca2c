//! Keeps the lease table in step with the stream's shards.

use std::sync::Arc;
use std::time::Duration;

use super::{FleetError, Shared, stream_error};
use crate::clock::MonoMs;
use crate::config::{FleetConfig, InitialPosition};
use crate::lease::Lease;
use crate::store::{Creation, LeaseStore};
use crate::sync::listing::{self, CREATION_TOLERANCE_MS, CallError};
use crate::sync::{SyncPlan, is_fresh, plan_sync};
use aws_calls::RetryPolicy;

/// ListShards and DescribeStreamSummary are limited per account and stream, and 30 machines may
/// start at once.
const RETRY: RetryPolicy = RetryPolicy { initial_ms: 200, max_ms: 3_000, attempts: 8 };
/// A split or merge under way makes the list contradict itself for a moment; KCL tries three
/// times, one second apart.
const LISTINGS_MAX: u32 = 3;
const LISTING_GAP: Duration = Duration::from_secs(1);

/// Refuses to use leases that belong to an earlier stream of the same name.
pub(super) async fn check_stream(
    config: &FleetConfig,
    kinesis: &aws_sdk_kinesis::Client,
    store: &LeaseStore,
) -> Result<kinesis_model::EpochMs, FleetError> {
    let created = listing::stream_created(kinesis, &config.stream, RETRY).await;
    let created = created.map_err(|error| stream_error(config, error))?;
    let leases = store.list().await?;
    let other = |lease: &Lease| {
        lease.stream_created.filter(|at| at.0.abs_diff(created.0) > CREATION_TOLERANCE_MS)
    };
    match leases.iter().find_map(other) {
        None => Ok(created),
        Some(leased) => Err(FleetError::StreamRecreated {
            stream: config.stream.clone(),
            table: config.table.clone(),
            created: created.0,
            leased: leased.0,
        }),
    }
}

/// The first comparison, whose failure keeps the worker from starting.
pub(super) async fn sync_at_start(shared: &Shared) -> Result<(), FleetError> {
    sync(shared).await?;
    shared.pulses.sync.beat(shared.config.clock.mono(), None);
    Ok(())
}

/// Compares again and again until the shutdown starts.
pub(super) async fn run(shared: Arc<Shared>) {
    let interval = Duration::from_millis(shared.config.sync_interval_ms);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let failed = sync(&shared).await.err().map(|error| {
            tracing::warn!(%error, "shards and leases could not be compared");
            error.to_string()
        });
        shared.pulses.sync.beat(shared.config.clock.mono(), failed);
    }
}

async fn sync(shared: &Shared) -> Result<(), FleetError> {
    let mut in_vain = 0;
    while in_vain < LISTINGS_MAX {
        match carry_out(shared, compare(shared).await?).await? {
            Comparison::Done => return Ok(()),
            // A large table is begun: each round gets further, so there is an end.
            Comparison::TooOld { created } if created > 0 => {}
            Comparison::TooOld { .. } => in_vain += 1,
        }
        tracing::warn!("comparing shards and leases took too long, comparing again");
    }
    let reason = "every listing took longer than the failover time".to_owned();
    Err(stream_error(&shared.config, ("ListShards", reason)))
}

/// What a comparison came to.
enum Comparison {
    /// The table is in step.
    Done,
    /// It was read too long ago to create more from it.
    TooOld { created: usize },
}

/// Creates and deletes leases.
async fn carry_out(
    shared: &Shared,
    (plan, read): (SyncPlan, MonoMs),
) -> Result<Comparison, FleetError> {
    for shard in &plan.vanished {
        tracing::warn!(%shard, "the stream has no such shard any more, its lease is unfinished");
    }
    let mut created = 0_usize;
    let mut fresh = true;
    for mut lease in plan.create {
        fresh = is_fresh(read, shared.config.clock.mono(), shared.config.failover_ms);
        if !fresh {
            break;
        }
        lease.stream_created = Some(shared.stream_created);
        if shared.store.create(&lease).await? == Creation::Created {
            tracing::info!(shard = %lease.key, checkpoint = %lease.checkpoint, "lease created");
            created += 1;
        }
    }
    for shard in plan.delete {
        tracing::info!(%shard, "finished lease deleted");
        shared.store.delete(&shard).await?;
    }
    if created > 0 {
        shared.wake.notify_one();
    }
    Ok(if fresh { Comparison::Done } else { Comparison::TooOld { created } })
}

/// The plan, and when the table was read.
async fn compare(shared: &Shared) -> Result<(SyncPlan, MonoMs), FleetError> {
    let config = &shared.config;
    let failed = |error: CallError| stream_error(config, error);
    let mut listings = 0;
    loop {
        // The leases first: a shard that a worker finishes meanwhile then looks unfinished, and
        // nothing is created for it twice.
        let read = config.clock.mono();
        let leases = shared.store.list().await?;
        let shards = listing::list_shards(&shared.kinesis, &config.stream, RETRY);
        let shards = shards.await.map_err(failed)?;
        let now = config.clock.wall();
        match plan_sync(&shards, &leases, config.initial_position, now) {
            Ok(plan) => {
                log_pin(config, &plan);
                return Ok((plan, read));
            }
            Err(error) => {
                listings += 1;
                if listings == LISTINGS_MAX {
                    return Err(failed(("ListShards", error.to_string())));
                }
                tracing::debug!(%error, "shard list contradicts itself, listing again");
                tokio::time::sleep(LISTING_GAP).await;
            }
        }
    }
}

fn log_pin(config: &FleetConfig, plan: &SyncPlan) {
    let pin = plan.create.iter().find_map(|lease| lease.initial_time);
    if let (InitialPosition::Latest, Some(pin)) = (config.initial_position, pin) {
        tracing::info!(from_ms = pin.0, "LATEST is pinned to this time");
    }
}
