//! Conditional puts: an epoch's partials are merged into their rows, each exactly once.

mod replace;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use aws_calls::{code, explain};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::stream::{self, StreamExt, TryStreamExt};
use ivs_core::epoch::{Rows, StoredRows};
use ivs_core::merge::Merge;
use ivs_core::minute::Minute;
use ivs_core::row::{Applied, Row, apply};
use ivs_core::session::{SummaryAgg, TimelineItem, attribute_names, milestones};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::items::{metrics, sessions};
use kinesis_model::{Position, ShardId};
use tokio::sync::Semaphore;

use super::{Rate, SetAside, SinkError, persist};
use crate::config::{self, RefusedRows};
use crate::items::codec::{Item, ItemError};
use crate::items::{metric, summary, timeline};
use crate::sink::stats::Stats;

pub use replace::Replaced;

/// Tries of one row before the epoch is given up: a row is shared by the few shards that carry one
/// session, so even two tries in a row rarely meet.
const MAX_TRIES: u32 = 64;

/// A kind of row that is merged.
trait Merged {
    type Key: Clone + Eq + Hash + Debug + Send + Sync;
    type Agg: Merge + Clone + Send + Sync;
    fn table(tables: &config::Tables) -> &str;
    fn encode(key: &Self::Key, row: &Row<Self::Agg>, tables: &config::Tables) -> Item;
    fn decode(item: &Item) -> Result<Row<Self::Agg>, ItemError>;
}

struct Metric;

impl Merged for Metric {
    type Key = WindowKey;
    type Agg = WindowAgg;

    fn table(tables: &config::Tables) -> &str {
        &tables.metrics
    }

    fn encode(key: &WindowKey, row: &Row<WindowAgg>, tables: &config::Tables) -> Item {
        metric::encode(key, row, expiry_s(key.minute.start_s(), tables))
    }

    fn decode(item: &Item) -> Result<Row<WindowAgg>, ItemError> {
        Ok(metric::decode(item)?.1)
    }
}

struct Summary;

impl Merged for Summary {
    type Key = Arc<str>;
    type Agg = SummaryAgg;

    fn table(tables: &config::Tables) -> &str {
        &tables.sessions
    }

    fn encode(key: &Arc<str>, row: &Row<SummaryAgg>, _: &config::Tables) -> Item {
        summary::encode(key, row)
    }

    fn decode(item: &Item) -> Result<Row<SummaryAgg>, ItemError> {
        Ok(summary::decode(item)?.1)
    }
}

/// When a row of event time `at_s` expires, in epoch seconds.
fn expiry_s(at_s: i64, tables: &config::Tables) -> Option<i64> {
    (tables.ttl_days > 0).then(|| at_s + i64::from(tables.ttl_days) * 86_400)
}

/// Images of the rows that a shard wrote last, so that the first put of an epoch is usually right.
///
/// Two generations: rows of this epoch and of the one before. A window is touched for a minute or
/// two and then never again, so older images would only cost memory. Bounded by twice the rows
/// of an epoch.
#[derive(Debug, Default)]
pub struct RowCache {
    metrics: Generations<WindowKey, Row<WindowAgg>>,
    summaries: Generations<Arc<str>, Row<SummaryAgg>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    current: HashMap<K, Arc<V>>,
    previous: HashMap<K, Arc<V>>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self { current: HashMap::new(), previous: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Generations<K, V> {
    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.current.get(key).or_else(|| self.previous.get(key)).cloned()
    }

    fn turn(&mut self, stored: &[(K, Arc<V>)]) {
        self.previous = std::mem::take(&mut self.current);
        self.current.extend(stored.iter().cloned());
    }
}

/// The epoch that is being written, and what its writes have come to.
#[derive(Debug)]
pub struct EpochWrite<'a> {
    shard: &'a ShardId,
    to: Position,
    written: AtomicU64,
    conflicts: AtomicU64,
    set_aside: Mutex<Vec<SetAside>>,
}

impl<'a> EpochWrite<'a> {
    /// An epoch of which nothing is written yet.
    #[must_use]
    pub fn new(shard: &'a ShardId, to: Position) -> Self {
        Self {
            shard,
            to,
            written: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            set_aside: Mutex::default(),
        }
    }

    /// Takes out what could never be written and was set aside.
    #[must_use]
    pub fn take_set_aside(&self) -> Vec<SetAside> {
        std::mem::take(&mut *self.set_aside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts that were stored.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Puts that were refused and merged again.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Relaxed)
    }
}

/// The table writer of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RowSink {
    dynamodb: aws_sdk_dynamodb::Client,
    tables: Arc<config::Tables>,
    permits: Arc<Semaphore>,
    rate: Rate,
    stats: Arc<Stats>,
}

/// When a put may happen.
enum Condition {
    /// The row is at the version that was seen; `None`: there is no row.
    Version(Option<u64>),
    /// There is no such fact, or one that has to give way to one with this fingerprint.
    Fact(u64),
    /// The fact has this fingerprint.
    SameFact(u64),
}

impl Condition {
    fn on(self, request: PutItemFluentBuilder) -> PutItemFluentBuilder {
        match self {
            Self::Version(None) => request
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", metrics::SESSION_ID),
            Self::Version(Some(version)) => request
                .condition_expression("#version = :seen")
                .expression_attribute_names("#version", metrics::VERSION)
                .expression_attribute_values(":seen", number(version)),
            Self::Fact(print) => request
                .condition_expression("attribute_not_exists(#key) OR #print > :print")
                .expression_attribute_names("#key", metrics::SESSION_ID)
                .expression_attribute_names("#print", attribute_names::FINGERPRINT)
                .expression_attribute_values(":print", number(print)),
            Self::SameFact(print) => request
                .condition_expression("#print = :print")
                .expression_attribute_names("#print", attribute_names::FINGERPRINT)
                .expression_attribute_values(":print", number(print)),
        }
    }
}

/// What DynamoDB said to a conditional put.
enum PutOutcome {
    Stored,
    /// The condition failed; here is what is stored.
    Refused(Option<Item>),
}

impl RowSink {
    /// A writer with the configured limits.
    #[must_use]
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        tables: &config::Tables,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            dynamodb,
            permits: Arc::new(Semaphore::new(tables.write_concurrency)),
            rate: Rate::per_second(tables.writes_per_s),
            tables: Arc::new(tables.clone()),
            stats,
        }
    }

    /// Merges an epoch into every row it touches; returns once all hold it.
    ///
    /// # Errors
    /// When a row cannot be written within the bounds; what was written stays, and is recognised
    /// when the epoch is written again.
    pub async fn store(
        &self,
        rows: &Rows,
        epoch: &EpochWrite<'_>,
        cache: &mut RowCache,
    ) -> Result<StoredRows, SinkError> {
        let stored_metrics = self.merge_all::<Metric>(&rows.metrics, &cache.metrics, epoch).await?;
        let stored_summaries =
            self.merge_all::<Summary>(&rows.summaries, &cache.summaries, epoch).await?;
        let deltas: HashMap<_, _> = rows.summaries.iter().map(|(id, delta)| (id, delta)).collect();
        let reached =
            stored_summaries.iter().flat_map(|(id, row)| milestones(id, deltas[id], &row.agg));
        let facts: Vec<TimelineItem> = rows.timeline.iter().cloned().chain(reached).collect();
        let inserted = self.insert_all(&facts, epoch).await?;
        cache.metrics.turn(&stored_metrics);
        cache.summaries.turn(&stored_summaries);
        Ok(StoredRows { metrics: stored_metrics, summaries: stored_summaries, inserted })
    }

    async fn merge_all<M: Merged>(
        &self,
        deltas: &[(M::Key, M::Agg)],
        cache: &Generations<M::Key, Row<M::Agg>>,
        epoch: &EpochWrite<'_>,
    ) -> Result<Vec<(M::Key, Arc<Row<M::Agg>>)>, SinkError> {
        // By index: a closure over references would not be general enough for a boxed future.
        let stored: Vec<_> = stream::iter(0..deltas.len())
            .map(|i| async move {
                let (key, delta) = &deltas[i];
                match self.merge::<M>(key, delta, cache.get(key), epoch).await {
                    Ok(row) => Ok(Some((key.clone(), row))),
                    Err(error) => {
                        let Applied::Put { row, .. } = apply(None, delta, epoch.shard, epoch.to)
                        else {
                            unreachable!("no row holds nothing")
                        };
                        let share = M::encode(key, &row, &self.tables);
                        self.set_aside(M::table(&self.tables), share, error, epoch)?;
                        Ok(None)
                    }
                }
            })
            .buffered(self.tables.write_concurrency)
            .try_collect()
            .await?;
        Ok(stored.into_iter().flatten().collect())
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
        if self.tables.refused_rows == RefusedRows::Stop || !error.is_the_rows_own() {
            return Err(error);
        }
        tracing::error!(shard = %epoch.shard, to = %epoch.to, %error, "row set aside");
        self.stats.rows_set_aside.fetch_add(1, Relaxed);
        let aside = SetAside { table: table.to_owned(), reason: error.to_string(), share };
        epoch.set_aside.lock().unwrap_or_else(PoisonError::into_inner).push(aside);
        Ok(())
    }

    /// Design section 3, step 2: optimistic put, and on refusal a merge into what was returned.
    async fn merge<M: Merged>(
        &self,
        key: &M::Key,
        delta: &M::Agg,
        mut image: Option<Arc<Row<M::Agg>>>,
        epoch: &EpochWrite<'_>,
    ) -> Result<Arc<Row<M::Agg>>, SinkError> {
        let table = M::table(&self.tables);
        for _ in 0..MAX_TRIES {
            let applied = apply(image.as_deref(), delta, epoch.shard, epoch.to);
            let (row, seen) = match (applied, image) {
                (Applied::Put { row, seen }, _) => (row, seen),
                (Applied::Already, Some(stored)) => {
                    self.stats.rows_already.fetch_add(1, Relaxed);
                    return Ok(stored);
                }
                (Applied::Already, None) => unreachable!("no row holds nothing"),
            };
            let item = M::encode(key, &row, &self.tables);
            match self.put(table, item, Condition::Version(seen)).await? {
                PutOutcome::Stored => {
                    epoch.written.fetch_add(1, Relaxed);
                    return Ok(Arc::new(row));
                }
                PutOutcome::Refused(item) => {
                    self.stats.conflicts.fetch_add(1, Relaxed);
                    epoch.conflicts.fetch_add(1, Relaxed);
                    let decode = |item| {
                        M::decode(&item).map(Arc::new).map_err(|source| SinkError::Row {
                            table: table.to_owned(),
                            key: format!("{key:?}"),
                            source,
                        })
                    };
                    image = item.map(decode).transpose()?;
                }
            }
        }
        let (table, key) = (table.to_owned(), format!("{key:?}"));
        Err(SinkError::Contended { table, key, tries: MAX_TRIES })
    }

    /// Writes the facts that are not there yet; returns those that this epoch was the first to
    /// write, whether in this run or in one that was cut off.
    async fn insert_all(
        &self,
        items: &[TimelineItem],
        epoch: &EpochWrite<'_>,
    ) -> Result<Vec<TimelineItem>, SinkError> {
        let inserted: Vec<Option<TimelineItem>> = stream::iter(0..items.len())
            .map(|i| self.insert(&items[i], epoch))
            .buffered(self.tables.write_concurrency)
            .try_collect()
            .await?;
        Ok(inserted.into_iter().flatten().collect())
    }

    /// The fact, if it is this epoch's to tell.
    async fn insert(
        &self,
        fact: &TimelineItem,
        epoch: &EpochWrite<'_>,
    ) -> Result<Option<TimelineItem>, SinkError> {
        let origin = timeline::origin(epoch.shard, epoch.to);
        let item = timeline::encode(fact, &origin, &self.tables);
        let put = self.put(&self.tables.sessions, item.clone(), Condition::Fact(fact.fingerprint));
        let ours = match put.await {
            Ok(PutOutcome::Stored) => {
                epoch.written.fetch_add(1, Relaxed);
                true
            }
            Ok(PutOutcome::Refused(stored)) => {
                stored.is_some_and(|stored| timeline::is_from(&stored, &origin))
            }
            Err(error) => {
                self.set_aside(&self.tables.sessions, item, error, epoch)?;
                false
            }
        };
        Ok(ours.then(|| fact.clone()))
    }

    async fn put(
        &self,
        table: &str,
        item: Item,
        condition: Condition,
    ) -> Result<PutOutcome, SinkError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        self.rate.ready().await;
        let key = key_of(&item);
        let request = self
            .dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = condition.on(request);
        let Err(error) = persist(&self.stats, || request.clone().send()).await else {
            self.stats.rows_written.fetch_add(1, Relaxed);
            return Ok(PutOutcome::Stored);
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                Ok(PutOutcome::Refused(refusal.item.clone()))
            }
            _ if code(&error) == Some("ValidationException") => {
                let (table, reason) = (table.to_owned(), explain(&error));
                Err(SinkError::Refused { table, key, reason })
            }
            _ => Err(SinkError::Aws {
                operation: "PutItem",
                target: table.to_owned(),
                reason: explain(&error),
            }),
        }
    }

    /// The stored rows of some minutes of a session.
    ///
    /// # Errors
    /// When the table does not answer in all tries, or holds a row that is not ours.
    pub async fn minutes(
        &self,
        session_id: &str,
        minutes: std::ops::Range<Minute>,
    ) -> Result<Vec<(WindowKey, Row<WindowAgg>)>, SinkError> {
        let table = &self.tables.metrics;
        // The key condition is inclusive on both ends, the range is not.
        let last_s = minutes.end.start_s() - 1;
        let request = self
            .dynamodb
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#id = :id AND #at BETWEEN :first AND :last")
            .expression_attribute_names("#id", metrics::SESSION_ID)
            .expression_attribute_names("#at", metrics::METRIC_TIMESTAMP)
            .expression_attribute_values(":id", AttributeValue::S(session_id.to_owned()))
            .expression_attribute_values(":first", number(minutes.start.start_s()))
            .expression_attribute_values(":last", number(last_s));
        // Ten rows of at most a few dozen kilobytes: far below the page of 1 MB.
        let answer = persist(&self.stats, || request.clone().send()).await;
        let answer = answer.map_err(|error| SinkError::Aws {
            operation: "Query",
            target: table.clone(),
            reason: explain(&error),
        })?;
        let rows = answer.items.unwrap_or_default();
        let rows = rows.iter().map(metric::decode).collect::<Result<_, _>>();
        rows.map_err(|source| SinkError::Row {
            table: table.clone(),
            key: session_id.to_owned(),
            source,
        })
    }
}

/// The keys of an item of either table, for errors.
fn key_of(item: &Item) -> String {
    let key = [metrics::SESSION_ID, metrics::METRIC_TIMESTAMP, sessions::TIMESTAMP];
    format!("{:?}", key.map(|name| item.get(name)).iter().flatten().collect::<Vec<_>>())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
