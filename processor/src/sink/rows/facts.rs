//! Immutable facts: inserted once, told by the epoch that was the first to insert them.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ivs_core::session::TimelineItem;

use super::store::{Condition, PutOutcome};
use super::{EpochWrite, RowSink, SinkError};
use crate::items::timeline;

impl RowSink {
    /// Writes the facts that are not there yet, each with the time it expires at; returns those
    /// that this epoch was the first to write, whether in this run or in one that was cut off.
    pub(super) async fn insert_all(
        &self,
        items: &[(TimelineItem, Option<i64>)],
        epoch: &EpochWrite<'_>,
    ) -> Result<Vec<TimelineItem>, SinkError> {
        // By index: a closure over references would not be general enough for a boxed future.
        let inserted: Vec<Option<TimelineItem>> = stream::iter(0..items.len())
            .map(|i| self.insert(&items[i].0, items[i].1, epoch))
            .buffered(self.shared.tables.write_concurrency)
            .try_collect()
            .await?;
        Ok(inserted.into_iter().flatten().collect())
    }

    /// Returns the fact, if it is this epoch's to tell.
    async fn insert(
        &self,
        fact: &TimelineItem,
        expires_at_s: Option<i64>,
        epoch: &EpochWrite<'_>,
    ) -> Result<Option<TimelineItem>, SinkError> {
        let origin = timeline::origin(epoch.shard, epoch.to);
        let item = timeline::encode(fact, &origin, expires_at_s);
        let table = &self.shared.tables.sessions;
        let put = self.shared.store.put(table, &item, Condition::Fact(fact.fingerprint));
        let ours = match put.await {
            Ok(PutOutcome::Stored) => {
                epoch.note_put(0);
                true
            }
            Ok(PutOutcome::Refused(stored)) => {
                stored.is_some_and(|stored| timeline::is_from(&stored, &origin))
            }
            Err(error) => {
                self.set_aside(table, item, error, epoch)?;
                false
            }
        };
        Ok(ours.then(|| fact.clone()))
    }
}
