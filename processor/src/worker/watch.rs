//! The view of a worker from outside, while it runs and while it shuts down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kinesis_fleet::{LeaseStatus, LoopStatus, Observer};
use kinesis_model::ShardId;
use tokio::task::AbortHandle;

use super::lag::{self, LagBook, ShardLag};
use super::shard_status::Failing;
use super::shards::Shards;
use crate::sink::stats::Stats;
use crate::worker::shard_status::{OpenWindow, Rates, View};

/// A view of a [`super::Worker`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) fleet: Observer,
    pub(super) shards: Arc<Shards>,
    pub(super) lags: LagBook,
    /// How long an epoch is open.
    pub(super) interval: Duration,
    pub(super) stats: Arc<Stats>,
    pub(super) runner: AbortHandle,
    pub(super) stream: Arc<str>,
    pub(super) lease_table: Arc<str>,
}

/// A running task of a shard.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its progress.
    pub view: View,
    /// Its speed.
    pub rates: Rates,
    /// How long ago its loop last turned.
    pub since_turn: Duration,
    /// How long ago it last committed; at first since its start.
    pub since_commit: Duration,
}

impl Watch {
    /// Returns the worker in its fleet.
    #[must_use]
    pub fn fleet(&self) -> &Observer {
        &self.fleet
    }

    /// Returns its progress.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the stream it reads.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Returns the lease table it shares.
    #[must_use]
    pub fn lease_table(&self) -> &str {
        &self.lease_table
    }

    /// Returns the lease table as it last saw it.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseStatus> {
        self.fleet.leases()
    }

    /// Returns the lag of every unfinished lease that this worker can tell of.
    #[must_use]
    pub fn lags(&self) -> Vec<ShardLag> {
        lag::of(&self.shards, &self.fleet, &self.lags)
    }

    /// Returns the shards whose tasks have failed here since their last commit.
    #[must_use]
    pub fn failing(&self) -> BTreeMap<ShardId, Failing> {
        self.shards.failing(&self.fleet.leases())
    }

    /// Returns how long an epoch is open.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns how its loops are doing.
    #[must_use]
    pub fn loops(&self) -> [LoopStatus; 3] {
        self.fleet.loops()
    }

    /// Returns whether leases that arrive are still given a task.
    #[must_use]
    pub fn takes_leases(&self) -> bool {
        !self.runner.is_finished()
    }

    /// Returns what the open epochs of the running tasks hold. Read only; empty when first asked
    /// for.
    #[must_use]
    pub fn open_windows(&self) -> Vec<OpenWindow> {
        let all = self.shards.lock().clone();
        all.values().flat_map(|status| status.open_windows().to_vec()).collect()
    }

    /// Returns the running tasks, by shard.
    #[must_use]
    pub fn tasks(&self) -> Vec<(ShardId, Task)> {
        let all = self.shards.lock().clone();
        let task = |status: &crate::worker::shard_status::ShardStatus| Task {
            view: status.view(),
            rates: status.rates(),
            since_turn: status.since_turn(),
            since_commit: status.since_commit(),
        };
        all.into_iter()
            .map(|(shard, status)| (shard, task(&status)))
            .filter(|(_, task)| task.view.ended.is_none())
            .collect()
    }
}
