//! Conditional puts: the partials of all shards of a process are merged into their rows, each
//! exactly once, by one writer.

mod body;
mod closed;
mod condition;
mod epoch_write;
mod facts;
mod flights;
mod gather;
mod kind;
mod phase;
mod pool;
mod readings;
mod replace;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod writer;
mod writes;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ivs_core::epoch::{Rows, StoredRows};
use ivs_core::minute::Minute;
use ivs_core::row::Row;
use ivs_core::session::{TimelineItem, milestones};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_core::writer::How;
use tokio::sync::{Semaphore, oneshot};

use super::{SetAside, SinkError};
use crate::config::{self, RefusedRows};
use crate::items::codec::Item;
use crate::items::{expiry, metric};
use crate::sink::stats::Stats;
use kind::{Kept, Merged, Metric, Summary, to_item};
use shared::Shared;
use store::DynamoRows;
use writer::{Landed, Writer};

pub use epoch_write::EpochWrite;
pub use flights::{Flights, InFlight};
pub use gather::{Closing, Gather};
pub use phase::{Phase, TICK_MS};
pub use replace::Replaced;
pub use store::{Condition, PutOutcome, RowStore};

/// Longest wait for the other shards of a tick, as a part of the interval: hundreds of shards prepare at once, on a
/// busy machine for more than a second.
const GATHER_PART: u64 = 3;
/// Bounds of that wait: rows are not to be late by more.
const GATHER_MS: std::ops::RangeInclusive<u64> = 400..=2_000;

/// Rows of closed windows that all shards hold at once. A row takes two dozen kilobytes at most, so these take
/// less than 30 MB.
const MAX_HELD: u32 = 1_200;

/// The table writer of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RowSink {
    shared: Shared,
    metrics: Writer<Metric>,
    summaries: Writer<Summary>,
    gather: Gather,
    flights: Flights,
    /// A permit for each minute whose row is in memory, see [`closed`].
    held: Arc<Semaphore>,
}

/// Returns the tables in DynamoDB.
pub(super) fn dynamo_rows(
    dynamodb: aws_sdk_dynamodb::Client,
    tables: &config::Tables,
    stats: Arc<Stats>,
) -> Arc<dyn RowStore> {
    Arc::new(DynamoRows::new(dynamodb, tables, stats))
}

impl RowSink {
    /// Returns a writer that keeps so many bytes of images, for epochs of that interval.
    #[must_use]
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        tables: &config::Tables,
        (cache_bytes, interval_ms): (usize, u64),
        stats: Arc<Stats>,
    ) -> Self {
        let store = dynamo_rows(dynamodb, tables, Arc::clone(&stats));
        Self::over(store, tables, (cache_bytes, interval_ms), stats)
    }

    /// Returns a writer into any store.
    #[must_use]
    pub fn over(
        store: Arc<dyn RowStore>,
        tables: &config::Tables,
        (cache_bytes, interval_ms): (usize, u64),
        stats: Arc<Stats>,
    ) -> Self {
        let (tables, phase) = (Arc::new(tables.clone()), Phase::new(interval_ms));
        let shared = Shared { store, tables, stats, phase };
        // Windows are many and touched for a minute or two, summaries few and for hours.
        let half = cache_bytes / 2;
        Self {
            metrics: Writer::new(shared.clone(), half),
            summaries: Writer::new(shared.clone(), half),
            held: Arc::new(Semaphore::new(MAX_HELD as usize)),
            flights: Flights::default(),
            gather: Gather::new(Duration::from_millis(
                (interval_ms / GATHER_PART).clamp(*GATHER_MS.start(), *GATHER_MS.end()),
            )),
            shared,
        }
    }

    /// Returns when the epochs of this worker close.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.shared.phase
    }

    /// Announces an epoch that is about to be prepared: others of this process wait a moment for
    /// it, so that what they have for the same rows goes into the same puts.
    #[must_use]
    pub fn announce(&self) -> Closing {
        self.gather.announce()
    }

    /// Returns the epochs of this worker that are in flight.
    #[must_use]
    pub fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Returns whether an announced epoch has not submitted its partials yet.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.gather.is_closing()
    }

    /// Merges a prepared epoch into every row it touches; returns once all hold it.
    ///
    /// # Errors
    /// When a row cannot be written within the bounds; what was written stays, and is recognized
    /// when the epoch is written again. Others that write the same rows are not a reason.
    pub async fn store(
        &self,
        rows: &Arc<Rows>,
        epoch: &EpochWrite<'_>,
        closing: Option<Closing>,
    ) -> Result<StoredRows, SinkError> {
        let of = (epoch.shard, epoch.to);
        let metrics = self.metrics.submit(rows, of);
        let summaries = self.summaries.submit(rows, of);
        drop(closing);
        self.gather.complete().await;
        self.metrics.flush();
        self.summaries.flush();
        let metrics = self.landed::<Metric>(rows, metrics, epoch).await?;
        let summaries = self.landed::<Summary>(rows, summaries, epoch).await?;

        let deltas: HashMap<_, _> = rows.summaries.iter().map(|(id, delta)| (id, delta)).collect();
        let reached = summaries
            .iter()
            .filter(|(id, _, how)| *how != How::Along || !deltas[id].lifecycle.is_empty())
            .flat_map(|(id, agg, _)| {
                let expires_at_s = expiry::of_milestone(agg, &self.shared.tables);
                let steps = milestones(id, deltas[id], agg);
                steps.into_iter().map(move |step| (step, expires_at_s))
            });
        let facts = rows.timeline.iter().cloned().map(|fact| {
            let expires_at_s = expiry::of_fact(&fact, &self.shared.tables);
            (fact, expires_at_s)
        });
        let facts: Vec<(TimelineItem, Option<i64>)> = facts.chain(reached).collect();
        let inserted = self.insert_all(&facts, epoch).await?;
        let spoken_for = metrics.into_iter().filter(|(_, _, how)| *how != How::Along);
        Ok(StoredRows {
            metrics: spoken_for.map(|(key, agg, _)| (key, agg)).collect(),
            summaries: summaries.into_iter().map(|(id, agg, _)| (id, agg)).collect(),
            inserted,
        })
    }

    /// Waits for the answers to an epoch's partials.
    async fn landed<M: Merged>(
        &self,
        rows: &Rows,
        answers: Vec<oneshot::Receiver<Landed<M::Agg>>>,
        epoch: &EpochWrite<'_>,
    ) -> Result<Vec<(M::Key, Arc<M::Agg>, How)>, SinkError> {
        let mut landed = Vec::with_capacity(answers.len());
        for (answer, (key, delta)) in answers.into_iter().zip(M::partials(rows)) {
            match answer.await.expect("the writer answers every partial") {
                Ok((agg, how)) => {
                    if let How::Put { refusals } = how {
                        epoch.note_put(refusals);
                    }
                    landed.push((key.clone(), agg, how));
                }
                Err(error) => {
                    let applied = [(epoch.shard.clone(), epoch.to)].into();
                    let row = Row { agg: Kept::new(delta.clone()), applied, version: 1 };
                    let share = to_item::<M>(key, &row, &self.shared.tables);
                    self.set_aside(M::table(&self.shared.tables), share, error, epoch)?;
                }
            }
        }
        Ok(landed)
    }

    /// Keeps an epoch's share of a row that can never be written, if the configuration says so;
    /// else, and if the failure may pass, the error stands.
    fn set_aside(
        &self,
        table: &str,
        share: Item,
        error: SinkError,
        epoch: &EpochWrite<'_>,
    ) -> Result<(), SinkError> {
        if self.shared.tables.refused_rows == RefusedRows::Stop || !error.is_the_rows_own() {
            return Err(error);
        }
        tracing::error!(shard = %epoch.shard, to = %epoch.to, %error, "row set aside");
        self.shared.stats.rows_set_aside.fetch_add(1, Relaxed);
        epoch.push_set_aside(SetAside {
            table: table.to_owned(),
            reason: error.to_string(),
            share,
        });
        Ok(())
    }

    /// Returns what closed windows are judged by of the stored rows of some minutes of a session.
    ///
    /// # Errors
    /// When the table does not answer in all tries, or holds a row that is not ours.
    async fn minutes(
        &self,
        session_id: &str,
        minutes: std::ops::Range<Minute>,
    ) -> Result<Vec<(WindowKey, WindowAgg)>, SinkError> {
        let table = &self.shared.tables.metrics;
        let rows = self.shared.store.minutes(table, session_id, minutes).await?;
        let rows = rows.iter().map(metric::decode_agg).collect::<Result<_, _>>();
        rows.map_err(|source| SinkError::Row {
            table: table.clone(),
            key: session_id.to_owned(),
            source,
        })
    }
}
