//! Read the table, plan, act, hand out.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use kinesis_model::ShardId;
use tokio::sync::mpsc::Sender;

use super::held::{self, Held, Phase};
use super::{FleetError, ShardLease, Shared, parents};
use crate::clock::MonoMs;
use crate::lease::{Checkpoint, Lease};
use crate::planner::{self, Action, Limits, Observations, Snapshot};
use crate::store::expressions::Change;
use crate::store::{Consistency, Rows, StoreError, Write};

/// Takes under way at once.
const AT_ONCE: usize = 10;

/// Scans until the shutdown starts. Ending drops the sender, which closes the application's end.
pub(super) async fn run(shared: Arc<Shared>, applications: Sender<ShardLease>) {
    let clock = &shared.config.clock;
    let mut seen = Observations::default();
    loop {
        let begun = clock.mono();
        let (next, failed) = match round(&shared, &mut seen, &applications, begun).await {
            Ok(next) => (next, None),
            Err(error) => {
                tracing::warn!(%error, "lease table could not be read");
                (begun.plus(shared.config.scan_interval_for(0)), Some(error.to_string()))
            }
        };
        shared.pulses.scan.beat(clock.mono(), failed);
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => return,
            // Leases held for an application that fetches none would be read by nobody.
            () = applications.closed() => return stop_taking(&shared).await,
            () = shared.wake.notified() => {}
            () = clock.sleep_until(next) => {}
        }
    }
}

/// The application dropped its end: what it has it keeps, the rest goes.
async fn stop_taking(shared: &Arc<Shared>) {
    tracing::info!("no more leases are wanted");
    shared.stopping.cancel();
    for held in shared.all_held() {
        if held.phase() != Phase::Running {
            release(shared, &held).await;
        }
    }
}

/// Returns one round; returns when the next is due.
async fn round(
    shared: &Arc<Shared>,
    seen: &mut Observations,
    applications: &Sender<ShardLease>,
    begun: MonoMs,
) -> Result<MonoMs, StoreError> {
    let config = &shared.config;
    let Rows { leases, left_out } = shared.store.read(Consistency::Eventual).await?;
    shared.note_left_out(&left_out);
    shared.counters.count_scan();
    seen.observe(&leases, config.clock.mono());
    let limits = Limits {
        failover_ms: config.failover_ms,
        hand_over_timeout_ms: config.hand_over_timeout_ms,
        max_leases: config.max_leases,
        steals: config.steals_for(leases.len()),
    };
    notice_requests(shared, &leases);
    let snapshot = Snapshot { leases: &leases, seen, limits };
    let actions = planner::plan(&snapshot, &config.worker_id, begun);
    let rows: HashMap<_, _> = leases.iter().map(|lease| (&lease.key, lease)).collect();
    let acts = futures::stream::iter(actions);
    acts.for_each_concurrent(AT_ONCE, |action| act(shared, &rows, action)).await;
    release_idle(shared).await;
    hand_out(shared, &rows, applications).await;
    let regular = begun.plus(config.scan_interval_for(leases.len()));
    let next = next_expiry(shared, &leases, seen, begun).map_or(regular, |at| at.min(regular));
    *shared.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen.clone();
    *shared.table() = leases;
    Ok(next)
}

/// Tells the application of requests that the table shows before the next heartbeat does. A row
/// older than our last write may show a request that was answered long ago.
fn notice_requests(shared: &Shared, leases: &[Lease]) {
    let all = shared.held();
    for row in leases.iter().filter(|row| row.hand_over_to.is_some()) {
        let Some(held) = all.get(&row.key) else { continue };
        let Some(mut known) = held.row_if_idle() else { continue };
        if row.counter >= known.counter {
            // The release goes by what is known here of who asked.
            known.hand_over_to.clone_from(&row.hand_over_to);
            held.notice_request(row, shared);
        }
    }
}

/// When the first lease of another worker would expire, so that it is looked at then and not a
/// whole interval later. Nothing in the past: those leases are planned for already.
fn next_expiry(
    shared: &Shared,
    leases: &[Lease],
    seen: &Observations,
    now: MonoMs,
) -> Option<MonoMs> {
    let me = Some(&shared.config.worker_id);
    let others = leases.iter().filter(|lease| lease.owner.as_ref() != me);
    others
        .filter_map(|lease| seen.expiry(lease, shared.config.failover_ms))
        .filter(|at| *at > now)
        .min()
}

async fn act(shared: &Arc<Shared>, rows: &HashMap<&ShardId, &Lease>, action: Action) {
    let Some(row) = rows.get(action.shard()) else { return };
    let known = shared.held().contains_key(action.shard());
    // Still with the application, which has not noticed yet that it was lost.
    if known || shared.stopping.is_cancelled() {
        return;
    }
    let (shard, me) = (action.shard(), &shared.config.worker_id);
    let result = match &action {
        Action::Request { from, .. } => {
            tracing::info!(%shard, %from, "asking for a lease");
            shared.counters.count_request();
            shared.store.request_hand_over(row, me).await.map(|_| ())
        }
        Action::Take(_) => take(shared, row).await,
        Action::Steal { from, .. } => {
            tracing::info!(%shard, %from, "taking a live lease");
            take(shared, row).await
        }
    };
    if let Err(error) = result {
        tracing::warn!(%shard, %error, "lease could not be taken or asked for");
    }
}

/// Becomes the owner. The answer holds the row as stored, so checkpoint and pending checkpoint
/// are read consistently.
async fn take(shared: &Arc<Shared>, row: &Lease) -> Result<(), StoreError> {
    let sent = shared.config.clock.mono();
    let change = Change::Take(shared.config.worker_id.clone());
    match shared.store.apply(row, &change).await? {
        Write::Done(stored) => {
            let (shard, checkpoint) = (&stored.key, &stored.checkpoint);
            tracing::info!(%shard, %checkpoint, from = ?row.owner, "lease taken");
            shared.counters.count_taken();
            let held = Arc::new(Held::new(*stored, sent, shared));
            shared.held().insert(row.key.clone(), Arc::clone(&held));
            tokio::spawn(held::watch(held, Arc::clone(shared)));
        }
        Write::Lost(_) => shared.counters.count_conflict(),
    }
    Ok(())
}

/// Releases leases that are wanted elsewhere and that the application does not have.
pub(super) async fn release_idle(shared: &Arc<Shared>) {
    for held in shared.all_held() {
        if held.hand_over.is_cancelled() && held.phase() != Phase::Running {
            release(shared, &held).await;
        }
    }
}

/// Gives a lease up, whatever its state; it is forgotten also if that cannot be stored.
pub(super) async fn release(shared: &Shared, held: &Arc<Held>) {
    let mut row = held.row().await;
    let (me, now) = (&shared.config.worker_id, shared.config.clock.mono());
    let next = row.hand_over_to.clone().filter(|to| to != me);
    let change = Change::Release(next);
    if let Err(error) = held.write_unchecked(shared, &mut row, &change, now).await {
        tracing::warn!(shard = %held.shard, %error, "lease could not be released, it will expire");
    }
    drop(row);
    shared.forget(held);
}

/// Hands idle leases whose parents are finished to the application, as far as it has room.
async fn hand_out(
    shared: &Arc<Shared>,
    rows: &HashMap<&ShardId, &Lease>,
    applications: &Sender<ShardLease>,
) {
    for held in shared.all_held() {
        if held.phase() != Phase::Idle || held.lost.is_cancelled() || held.hand_over.is_cancelled()
        {
            continue;
        }
        let row = held.row().await.clone();
        match may_start(shared, rows, &row).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                tracing::warn!(shard = %held.shard, %error, "its parents could not be looked up");
                continue;
            }
        }
        let Ok(place) = applications.try_reserve() else { return };
        held.set_phase(Phase::Running);
        place.send(ShardLease::new(Arc::clone(shared), Arc::clone(&held), &row));
    }
}

/// Returns whether the parents of a shard are done (E5). Those of a shard that was begun were once,
/// and one that starts at the tip or at a time was never to wait for older shards: only a lease of
/// a parent that is not finished keeps these waiting.
async fn may_start(
    shared: &Shared,
    rows: &HashMap<&ShardId, &Lease>,
    row: &Lease,
) -> Result<bool, FleetError> {
    if row.checkpoint == Checkpoint::TrimHorizon {
        return parents::are_done(shared, rows, &row.parents).await;
    }
    let unfinished = |parent| rows.get(parent).is_some_and(|lease: &&Lease| !lease.is_finished());
    Ok(!row.parents.iter().any(unfinished))
}
