//! What can be seen of a worker from outside, while it runs and while it shuts down.

use std::sync::Arc;
use std::time::Duration;

use kinesis_fleet::{LeaseStatus, LoopStatus, Observer};
use kinesis_model::ShardId;
use tokio::task::AbortHandle;

use super::shard_status::Shards;
use crate::sink::stats::Stats;
use crate::worker::shard_status::{OpenWindow, Rates, View};

/// A view of a [`super::Worker`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) fleet: Observer,
    pub(super) shards: Arc<Shards>,
    pub(super) stats: Arc<Stats>,
    pub(super) runner: AbortHandle,
    pub(super) stream: Arc<str>,
    pub(super) lease_table: Arc<str>,
}

/// A running task of a shard.
#[derive(Clone, Debug)]
pub struct Task {
    /// What it has done.
    pub view: View,
    /// Its speed.
    pub rates: Rates,
    /// How long ago its loop last turned.
    pub since_turn: Duration,
}

impl Watch {
    /// The worker in its fleet.
    #[must_use]
    pub fn fleet(&self) -> &Observer {
        &self.fleet
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The stream it reads.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The lease table it shares.
    #[must_use]
    pub fn lease_table(&self) -> &str {
        &self.lease_table
    }

    /// The lease table as it last saw it.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseStatus> {
        self.fleet.leases()
    }

    /// How its loops are doing.
    #[must_use]
    pub fn loops(&self) -> [LoopStatus; 3] {
        self.fleet.loops()
    }

    /// Whether leases that arrive are still given a task.
    #[must_use]
    pub fn takes_leases(&self) -> bool {
        !self.runner.is_finished()
    }

    /// What the open epochs of the running tasks hold. Read only; empty when first asked for.
    #[must_use]
    pub fn open_windows(&self) -> Vec<OpenWindow> {
        let all = self.shards.lock().clone();
        all.values().flat_map(|status| status.open_windows().to_vec()).collect()
    }

    /// The running tasks, by shard.
    #[must_use]
    pub fn tasks(&self) -> Vec<(ShardId, Task)> {
        let all = self.shards.lock().clone();
        let task = |status: &crate::worker::shard_status::ShardStatus| Task {
            view: status.view(),
            rates: status.rates(),
            since_turn: status.since_turn(),
        };
        all.into_iter()
            .map(|(shard, status)| (shard, task(&status)))
            .filter(|(_, task)| task.view.ended.is_none())
            .collect()
    }
}
