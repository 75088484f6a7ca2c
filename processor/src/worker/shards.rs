//! The shards of a worker and what their tasks are doing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinesis_fleet::{LeasePhase, LeaseStatus};
use kinesis_model::{Position, ShardId};

use super::shard_status::{Failing, ShardStatus, View};

/// The shards this worker has or had, with what their tasks are doing.
#[derive(Debug, Default)]
pub(crate) struct Shards(Mutex<BTreeMap<ShardId, Arc<ShardStatus>>>);

impl Shards {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<ShardStatus>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn views(&self) -> BTreeMap<ShardId, View> {
        self.lock().iter().map(|(id, status)| (id.clone(), status.view())).collect()
    }

    /// Begins a task of `shard`, which goes on after `done`.
    pub(super) fn begin(&self, shard: &ShardId, done: Option<Position>) -> Arc<ShardStatus> {
        let mut all = self.lock();
        let status = Arc::new(ShardStatus::after(all.get(shard).map(Arc::as_ref), done));
        all.insert(shard.clone(), Arc::clone(&status));
        status
    }

    /// Forgets a task that ended in order. One that failed is remembered until the next one does
    /// better.
    pub(super) fn forget(&self, shard: &ShardId, status: &Arc<ShardStatus>) {
        let mut all = self.lock();
        if all.get(shard).is_some_and(|current| Arc::ptr_eq(current, status)) {
            all.remove(shard);
        }
    }

    /// Returns the shards whose tasks fail, and forgets those that are another worker's by now, or
    /// finished: whoever has them tells of them.
    pub(crate) fn failing(&self, leases: &[LeaseStatus]) -> BTreeMap<ShardId, Failing> {
        let is_past = |lease: &LeaseStatus| {
            matches!(lease.state, LeasePhase::Elsewhere | LeasePhase::Finished)
        };
        let past: BTreeSet<_> =
            leases.iter().filter(|lease| is_past(lease)).map(|lease| &lease.shard).collect();
        let mut all = self.lock();
        all.retain(|shard, status| status.is_running() || !past.contains(shard));
        all.iter().filter_map(|(id, status)| Some((id.clone(), status.failing()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_until_another_worker_has_the_shard() {
        let (shards, shard) = (Shards::default(), ShardId::new("0"));
        let seen = |state| LeaseStatus {
            shard: ShardId::new("0"),
            owner: None,
            is_cooperative: false,
            state,
            counter: 0,
            checkpoint: kinesis_fleet::Checkpoint::TrimHorizon,
            pending: None,
            checkpoint_arrival: None,
            tip_seen: None,
            failures: 0,
            last_error: None,
            still_ms: 0,
            valid_for_ms: None,
        };
        shards.begin(&shard, None).failed("away".to_owned());
        assert_eq!(shards.failing(&[seen(LeasePhase::Unowned)]).len(), 1, "between two tries");
        assert!(shards.failing(&[seen(LeasePhase::Elsewhere)]).is_empty());
        assert!(shards.views().is_empty());
        shards.begin(&shard, None);
        shards.failing(&[seen(LeasePhase::Elsewhere)]);
        assert_eq!(shards.views().len(), 1, "a running task stays");
    }
}
