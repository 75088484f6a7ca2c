//! Keeps the lease table in step with the stream's shards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{FleetError, Shared, parents, stream_error};
use crate::clock::MonoMs;
use crate::config::{FleetConfig, InitialPosition};
use crate::lease::Lease;
use crate::store::{Consistency, Creation, LeaseStore, Rows};
use crate::sync::listing::{CREATION_TOLERANCE_MS, CallError, StreamInfo, StreamShape};
use crate::sync::{Awaited, SyncPlan, is_fresh, plan_sync};
use aws_calls::RetryPolicy;

/// ListShards and DescribeStreamSummary are limited per account and stream, and 30 machines may
/// start at once.
pub(super) const RETRY: RetryPolicy = RetryPolicy { initial_ms: 200, max_ms: 3_000, attempts: 8 };
/// A split or merge under way makes the list contradict itself for a moment; KCL tries three
/// times, one second apart.
const LISTINGS_MAX: u32 = 3;
const LISTING_GAP: Duration = Duration::from_secs(1);

/// Describes the stream, and refuses to use leases that belong to an earlier one of its name.
pub(super) async fn check_stream(
    config: &FleetConfig,
    stream: &dyn StreamShape,
    store: &LeaseStore,
) -> Result<StreamInfo, FleetError> {
    let info = stream.info().await;
    let info = info.map_err(|error| stream_error(config, error))?;
    let leases = store.list().await?;
    let other = |lease: &Lease| {
        lease.stream_created.filter(|at| at.0.abs_diff(info.created.0) > CREATION_TOLERANCE_MS)
    };
    match leases.iter().find_map(other) {
        None => Ok(info),
        Some(leased) => Err(FleetError::StreamRecreated {
            stream: config.stream.clone(),
            table: config.table.clone(),
            created: info.created.0,
            leased: leased.0,
        }),
    }
}

/// Returns the first comparison, whose failure keeps the worker from starting.
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
            biased;
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let failed = compare_again(&shared).await.err().map(|error| {
            tracing::warn!(%error, "shards and leases could not be compared");
            error.to_string()
        });
        shared.pulses.sync.beat(shared.config.clock.mono(), failed);
    }
}

/// The stream may have been made anew, or told to keep its records for another time.
async fn compare_again(shared: &Shared) -> Result<(), FleetError> {
    let config = &shared.config;
    let info = shared.stream.info().await;
    let info = info.map_err(|error| stream_error(config, error))?;
    if info.created.0.abs_diff(shared.stream_created.0) > CREATION_TOLERANCE_MS {
        return Err(FleetError::StreamRecreated {
            stream: config.stream.clone(),
            table: config.table.clone(),
            created: info.created.0,
            leased: shared.stream_created.0,
        });
    }
    shared.retention_ms.store(info.retention_ms, Ordering::Relaxed);
    sync(shared).await
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

/// The result of a comparison.
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
    for awaited in plan.awaited.into_iter().filter(|_| fresh) {
        created += usize::from(create_awaited(shared, awaited).await?);
    }
    for (shard, range) in plan.complete {
        tracing::info!(%shard, "the lease has no hash keys, they are added");
        shared.store.set_hash_range(&shard, range).await?;
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

/// Creates the lease of a parent whose row was deleted, unless the child was begun meanwhile: then
/// the parent was finished, and its records would be counted again. While it is missing the child
/// cannot be begun.
async fn create_awaited(shared: &Shared, awaited: Awaited) -> Result<bool, FleetError> {
    let child = shared.store.get(&awaited.child).await?;
    if child.is_none_or(|child| child.is_begun()) {
        return Ok(false);
    }
    let lease = Lease { stream_created: Some(shared.stream_created), ..awaited.lease };
    let created = shared.store.create(&lease).await? == Creation::Created;
    if created {
        tracing::warn!(shard = %lease.key, child = %awaited.child, "a deleted lease is created again");
    }
    Ok(created)
}

/// Returns the plan, and when the table was read.
async fn compare(shared: &Shared) -> Result<(SyncPlan, MonoMs), FleetError> {
    let config = &shared.config;
    let failed = |error: CallError| stream_error(config, error);
    let mut listings = 0;
    loop {
        // The leases first: a shard that a worker finishes meanwhile then looks unfinished, and
        // nothing is created for it twice.
        let read = config.clock.mono();
        let Rows { leases, left_out } = shared.store.read(Consistency::Strong).await?;
        shared.note_left_out(&left_out);
        let shards = parents::list(shared).await?;
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
