//! When a worker has nothing left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kinesis_fleet::{Checkpoint, WorkerId};
use kinesis_model::ShardId;

use super::Worker;
use super::shard_status::Failing;

/// How often the drain is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Between two reminders that other workers hold shards.
const REMIND: Duration = Duration::from_secs(20);

/// Tries of one shard after which its failure is taken to stay.
const TRIES: u32 = 4;

/// Some shard fails again and again, so that it will never be read to its tip.
#[derive(Debug, thiserror::Error)]
#[error("{shard} failed {times} times without a commit, last: {error}")]
pub struct NotDrained {
    shard: ShardId,
    times: u32,
    error: String,
}

/// Returns once the worker holds every open shard, has read each to its tip, twice empty since the
/// call, and nothing read is uncommitted. Whatever was put before the call is in the rows then.
///
/// # Errors
/// A shard fails again and again; see [`NotDrained`].
pub async fn drained(worker: &Worker) -> Result<(), NotDrained> {
    let empty_reads = |worker: &Worker| {
        worker.shards().into_iter().map(|(id, view)| (id, view.empty_reads)).collect::<Vec<_>>()
    };
    let before: BTreeMap<_, _> = empty_reads(worker).into_iter().collect();
    let mut reminders = tokio::time::interval(REMIND);
    reminders.tick().await;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = reminders.tick() => remind(worker),
        }
        let failing = worker.failing().into_iter().find(|(_, failing)| failing.times >= TRIES);
        if let Some((shard, Failing { times, error })) = failing {
            return Err(NotDrained { shard, times, error });
        }
        let leases = worker.leases();
        let views = worker.shards();
        let is_done = |id: &ShardId| {
            views.get(id).is_some_and(|view| {
                let seen = before.get(id).copied().unwrap_or_default();
                view.idle && view.ended.is_none() && view.empty_reads >= seen + 2
            })
        };
        let mut open = leases.iter().filter(|lease| lease.checkpoint != Checkpoint::ShardEnd);
        if !leases.is_empty() && open.all(|lease| is_done(&lease.shard)) {
            return Ok(());
        }
    }
}

/// Says so if shards are held by others: this worker cannot drain them, and waits.
fn remind(worker: &Worker) {
    let is_others = |owner: &WorkerId| owner != worker.id();
    let leases = worker.leases();
    let held =
        leases.iter().filter_map(|lease| lease.owner.as_ref()).filter(|owner| is_others(owner));
    let owners: BTreeSet<_> = held.collect();
    if let Some(owner) = owners.first() {
        let workers = owners.len();
        tracing::warn!(
            workers,
            %owner,
            "other workers hold shards, which this one cannot drain; stop them, or wait for them"
        );
    }
}
