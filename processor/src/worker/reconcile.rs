//! Asking IVS for the events that EventBridge never brought, and putting them into the stream.
//!
//! One worker of the fleet does it: whoever holds the lease of the first open shard. When that lease is
//! taken over, so is this. Two who think so for a moment do no harm: the same fact is the same event, and
//! a row that holds a fact does not change by it.

mod aws;
mod seam;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ivs_core::reconcile::{LostFact, is_over, missing};
use kinesis_fleet::{Checkpoint, LeasePhase, LeaseStatus, Observer};
use kinesis_model::EpochMs;
use tokio::time::MissedTickBehavior;

pub(super) use aws::Aws;
use seam::{Live, Surroundings, Unanswered};
use watched::Watched;

use crate::clock::now;
use crate::config;
use crate::sink::stats::Stats;

/// Normal in a fleet's first minute; later, a shard is not read, or a worker of the KCL holds it.
const NOT_KNOWN: &str = "not every open shard tells how far it is read, so no event can be said to be lost; \
                         `status` shows the shards";

/// The sessions that are followed, and whom to ask about them.
#[derive(Debug)]
pub(super) struct Reconciler {
    settings: config::Reconcile,
    outside: Arc<dyn Surroundings>,
    stats: Arc<Stats>,
    watched: Watched,
}

impl Reconciler {
    pub(super) fn new(
        settings: config::Reconcile,
        outside: Arc<dyn Surroundings>,
        stats: Arc<Stats>,
    ) -> Self {
        Self { settings, outside, stats, watched: Watched::default() }
    }

    /// Makes rounds while this worker is the one, until it is dropped.
    pub(super) async fn run(mut self, fleet: Observer) {
        let interval = Duration::from_millis(self.settings.interval_ms);
        let mut every = tokio::time::interval_at(crate::clock::instant() + interval, interval);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_chosen = false;
        loop {
            every.tick().await;
            let leases = fleet.leases();
            let is_chosen = is_chosen(&leases);
            if is_chosen != was_chosen {
                tracing::info!(is_chosen, "asks IVS for events that never came");
                was_chosen = is_chosen;
            }
            if !is_chosen {
                // Whoever asks now may repair what is kept here as missing.
                self.watched = Watched::default();
            } else {
                self.round(done_up_to(&leases).map(|done| done.min(now()))).await;
            }
        }
    }

    /// Asks for what is live, and about sessions, those first that were asked about longest ago. The first
    /// call without an answer ends the round; the next one goes on with those that are left. All that
    /// arrived up to `done` is in the rows; while that is not known there is no round, and it says so.
    async fn round(&mut self, done: Option<EpochMs>) {
        let asked = match done {
            Some(done) => self.ask(done).await,
            None => Err(Unanswered(NOT_KNOWN.to_owned())),
        };
        if let Err(error) = asked {
            tracing::warn!(%error, "IVS was not asked about every session");
            self.stats.reconcile_failures.fetch_add(1, Relaxed);
            self.stats.note_error(format!("reconcile: {error}"));
        }
        self.stats.reconcile_rounds.fetch_add(1, Relaxed);
    }

    async fn ask(&mut self, done: EpochMs) -> Result<(), Unanswered> {
        let live = self.outside.live().await;
        // Sessions that are known can be asked about all the same.
        let unlisted = live.map(|live| self.watched.add(live)).err();
        for session in self.watched.due(self.settings.sessions_a_round()) {
            self.look(&session, done).await?;
        }
        unlisted.map_or(Ok(()), Err)
    }

    /// Puts what is missing of one session, and forgets it once it is over and complete.
    async fn look(&mut self, live: &Live, done: EpochMs) -> Result<(), Unanswered> {
        self.watched.ask(live);
        let Some(told) = self.outside.session(live).await? else {
            self.watched.forget(live);
            return Ok(());
        };
        let grace_ms = self.settings.grace_ms();
        let mut lost = missing(&told, &self.watched.known(live), done, grace_ms);
        if !lost.is_empty() {
            // Only now is the table read: what was found there once stays there.
            self.watched.learn(live, self.outside.known(&live.stream_id).await?);
            lost = missing(&told, &self.watched.known(live), done, grace_ms);
        }
        if !lost.is_empty() {
            self.outside.put(&lost).await?;
            self.stats.reconciled_events.fetch_add(lost.len() as u64, Relaxed);
            let names: Vec<_> = lost.iter().map(LostFact::name).collect();
            tracing::info!(session = live.stream_id, ?names, "put events that had never come");
            self.watched.note_put(live, lost);
        } else if is_over(&told, done, grace_ms) {
            self.watched.forget(live);
        }
        Ok(())
    }
}

/// Returns the time up to which all that arrived is in the rows, on every open shard: before it is known,
/// nothing can be said to be lost. A fleet that is behind repairs later.
fn done_up_to(leases: &[LeaseStatus]) -> Option<EpochMs> {
    let open = leases.iter().filter(|lease| lease.checkpoint != Checkpoint::ShardEnd);
    open.map(|lease| lease.tip_seen.max(lease.checkpoint_arrival)).min().flatten()
}

/// Returns whether this worker holds the lease of the first shard that is not finished.
fn is_chosen(leases: &[LeaseStatus]) -> bool {
    let open = leases.iter().filter(|lease| lease.checkpoint != Checkpoint::ShardEnd);
    let first = open.min_by(|one, other| one.shard.cmp(&other.shard));
    first.is_some_and(|lease| matches!(lease.state, LeasePhase::Waiting | LeasePhase::Running))
}
