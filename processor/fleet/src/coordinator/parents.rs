//! Whether the parents of a shard are done, so that it may be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kinesis_model::ShardId;

use super::error::{FleetError, stream_error};
use super::ground::Ground;
use crate::clock::MonoMs;
use crate::lease::Lease;
use crate::sync::{ShardInfo, parents_are_done};

/// The stream's shards as last listed, and since when.
#[derive(Debug, Default)]
pub(super) struct Listing(Mutex<Option<(MonoMs, Arc<[ShardInfo]>)>>);

impl Listing {
    pub(super) fn note(&self, begun: MonoMs, shards: Arc<[ShardInfo]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((begun, shards));
    }

    fn last(&self) -> Option<(MonoMs, Arc<[ShardInfo]>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Returns the shards, listed now.
    pub(super) async fn refresh(&self, ground: &Ground) -> Result<Arc<[ShardInfo]>, FleetError> {
        let config = &ground.config;
        let begun = config.clock.mono();
        let shards = ground.stream.shards().await;
        let shards: Arc<[_]> = shards.map_err(|error| stream_error(config, error))?.into();
        self.note(begun, Arc::clone(&shards));
        Ok(shards)
    }

    /// Returns whether every one of `parents` is finished, gone from the stream, or of the time
    /// before this application. A lease that the scan does not show is looked up consistently, and
    /// a parent that has none counts as unfinished while the stream lists it. `rows`: the table as
    /// last scanned.
    pub(super) async fn are_done(
        &self,
        ground: &Ground,
        rows: &HashMap<&ShardId, &Lease>,
        parents: &[ShardId],
    ) -> Result<bool, FleetError> {
        let mut without_lease = Vec::new();
        for parent in parents {
            let finished = match rows.get(parent) {
                Some(lease) => Some(lease.is_finished()),
                None => ground.store.get(parent).await?.map(|lease| lease.is_finished()),
            };
            match finished {
                Some(false) => return Ok(false),
                Some(true) => {}
                None => without_lease.push(parent.clone()),
            }
        }
        if without_lease.is_empty() {
            return Ok(true);
        }
        let leases: Vec<Lease> = rows.values().map(|lease| (*lease).clone()).collect();
        let done = |shards: &[ShardInfo]| {
            parents_are_done(&without_lease, shards, &leases, ground.config.initial_position)
        };
        // An old list may still name a shard that is gone, which the next comparison mends. It may
        // also lack one that is new, so that only a list of now proves that a parent is gone.
        if self.last().is_some_and(|(_, shards)| !done(&shards)) {
            return Ok(false);
        }
        Ok(done(&self.refresh(ground).await?))
    }
}
