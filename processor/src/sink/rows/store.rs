//! The two tables as the writer needs them: a conditional put that returns what is stored, a reading, and
//! the minutes of a session.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::{code, explain};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::minute::Minute;
use ivs_schemas::items::{metrics, sessions};
use tokio::sync::Semaphore;

use super::super::error::SinkError;
use super::super::retry::{Rate, pause_before_again, persist};
use super::body::Body;
pub use super::condition::Condition;
pub(super) use super::condition::number;
use super::pool::{Answer, Left, Pool};
use super::readings::{Reading, Readings};
use super::writes::{Statement, Writes, Written};
use crate::config;
use crate::items::codec::{Item, size_bytes, write_units};
use crate::items::metric;
use crate::items::projection::projection;
use crate::sink::stats::Stats;

/// Where rows are kept.
///
/// An implementor must make a put one linearizable step: condition and write together. An error says
/// that the outcome is unknown or nothing was stored, and never that something was. It repeats what
/// may help by itself; then a refusal may show the item that its own earlier try has stored.
pub trait RowStore: Debug + Send + Sync {
    /// Puts an item if the condition holds.
    ///
    /// # Errors
    /// When the table does not answer in all tries, or will never take the item.
    fn put<'a>(
        &'a self,
        table: &'a str,
        item: &'a Item,
        condition: Condition,
    ) -> BoxFuture<'a, Result<PutOutcome, SinkError>>;

    /// Returns the stored item of a key, as of now.
    ///
    /// # Errors
    /// When the table does not answer in all tries.
    fn get<'a>(
        &'a self,
        table: &'a str,
        key: Item,
    ) -> BoxFuture<'a, Result<Option<Item>, SinkError>>;

    /// Returns the stored rows of some minutes of a session: of each at least the attributes that closed windows are
    /// judged by.
    ///
    /// # Errors
    /// When the table does not answer in all tries.
    fn minutes<'a>(
        &'a self,
        table: &'a str,
        session_id: &'a str,
        minutes: std::ops::Range<Minute>,
    ) -> BoxFuture<'a, Result<Vec<Item>, SinkError>>;
}

/// The table's answer to a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The item is there.
    Stored,
    /// The condition failed; here is what is stored.
    Refused(Option<Item>),
}

impl PutOutcome {
    fn refused_by(&self) -> Option<&Item> {
        match self {
            Self::Stored => None,
            Self::Refused(stored) => stored.as_ref(),
        }
    }
}

/// The tables in DynamoDB.
#[derive(Debug)]
pub(super) struct DynamoRows {
    dynamodb: aws_sdk_dynamodb::Client,
    permits: Semaphore,
    rate: Rate,
    /// Puts in company, unless the configuration has them one by one.
    writes: Option<Pool<Writes>>,
    /// Readings in company, unless the configuration has them one by one.
    readings: Option<Pool<Readings>>,
    /// The projection of rows to what closed windows are judged by.
    judged: (String, HashMap<String, String>),
    stats: Arc<Stats>,
}

impl DynamoRows {
    pub(super) fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        tables: &config::Tables,
        stats: Arc<Stats>,
    ) -> Self {
        let concurrency = tables.write_concurrency;
        let writes = || Pool::new(Writes(dynamodb.clone()), concurrency, Arc::clone(&stats));
        let readings = || Pool::new(Readings(dynamodb.clone()), concurrency, Arc::clone(&stats));
        Self {
            writes: tables.batch_writes.then(writes),
            readings: tables.batch_reads.then(readings),
            judged: projection(&metric::JUDGED),
            permits: Semaphore::new(concurrency),
            rate: Rate::per_second(tables.writes_per_s),
            dynamodb,
            stats,
        }
    }

    async fn put(
        &self,
        table: &str,
        item: &Item,
        condition: Condition,
    ) -> Result<PutOutcome, SinkError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        self.rate.ready().await;
        let units = write_units(size_bytes(item));
        let mut is_refused = false;
        match self.put_in_company(table, item, condition).await {
            Ok(Written::Stored) => return Ok(self.stored(units)),
            Ok(Written::Refused(Some(stored))) => {
                self.refused(units, Some(&stored));
                return Ok(PutOutcome::Refused(Some(stored)));
            }
            Ok(Written::Refused(None)) => {
                is_refused = true;
                self.rate.ready().await;
            }
            Err(Left::Later) => pause_before_again(&self.stats).await,
            Err(Left::Denied(_) | Left::Refused(_) | Left::No) => {}
        }
        let answer = self.put_alone(table, item, condition).await;
        if is_refused {
            self.refused(units, answer.as_ref().ok().and_then(PutOutcome::refused_by));
        }
        answer
    }

    /// Puts an item in one call with others.
    async fn put_in_company(
        &self,
        table: &str,
        item: &Item,
        condition: Condition,
    ) -> Answer<Written> {
        let writes = self.writes.as_ref().filter(|writes| writes.is_on()).ok_or(Left::No)?;
        let statement = Statement::of(table, item, condition).ok_or(Left::No)?;
        writes.ask(statement).await
    }

    /// Puts an item by a call of its own, which decides whatever a shared one has left open.
    async fn put_alone(
        &self,
        table: &str,
        item: &Item,
        condition: Condition,
    ) -> Result<PutOutcome, SinkError> {
        let units = write_units(size_bytes(item));
        let Some(body) = Body::of_put(table, item, condition) else {
            let reason = "it has a value of a kind that this release does not know".to_owned();
            return Err(SinkError::Refused { table: table.to_owned(), key: key_of(item), reason });
        };
        let put = || {
            let call = self.dynamodb.put_item().table_name(table).customize();
            call.interceptor(body.clone()).send()
        };
        let Err(error) = persist(&self.stats, put).await else {
            return Ok(self.stored(units));
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                self.refused(units, refusal.item.as_ref());
                Ok(PutOutcome::Refused(refusal.item.clone()))
            }
            _ if code(&error) == Some("ValidationException") => {
                let (table, key, reason) = (table.to_owned(), key_of(item), explain(&error));
                Err(SinkError::Refused { table, key, reason })
            }
            _ => Err(failed("PutItem", table, &error)),
        }
    }

    /// Counts an item that was stored.
    fn stored(&self, units: u64) -> PutOutcome {
        self.stats.rows_written.fetch_add(1, Relaxed);
        self.stats.write_units.fetch_add(units, Relaxed);
        PutOutcome::Stored
    }

    /// Counts a put that was refused: AWS bills it by the larger of the two items.
    fn refused(&self, units: u64, stored: Option<&Item>) {
        let stored = stored.map_or(0, |item| write_units(size_bytes(item)));
        self.stats.write_units_refused.fetch_add(units.max(stored), Relaxed);
    }

    async fn get(&self, table: &str, key: Item) -> Result<Option<Item>, SinkError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        match self.get_in_company(table, &key).await {
            Ok(item) => {
                self.stats.row_reads.fetch_add(1, Relaxed);
                return Ok(item);
            }
            Err(Left::Later) => pause_before_again(&self.stats).await,
            Err(Left::Denied(_) | Left::Refused(_) | Left::No) => {}
        }
        self.get_alone(table, key).await
    }

    /// Reads an item in one call with others.
    async fn get_in_company(&self, table: &str, key: &Item) -> Answer<Option<Item>> {
        let readings = self.readings.as_ref().ok_or(Left::No)?;
        readings.ask(Reading::of(table, key).ok_or(Left::No)?).await
    }

    async fn get_alone(&self, table: &str, key: Item) -> Result<Option<Item>, SinkError> {
        let request =
            self.dynamodb.get_item().table_name(table).set_key(Some(key)).consistent_read(true);
        let answer = persist(&self.stats, || request.clone().send()).await;
        let answer = answer.map_err(|error| failed("GetItem", table, &error))?;
        self.stats.row_reads.fetch_add(1, Relaxed);
        Ok(answer.item)
    }

    async fn minutes(
        &self,
        table: &str,
        session_id: &str,
        minutes: std::ops::Range<Minute>,
    ) -> Result<Vec<Item>, SinkError> {
        // The key condition is inclusive on both ends, the range is not.
        let last_s = minutes.end.start_s() - 1;
        let (projection, names) = self.judged.clone();
        let request = self
            .dynamodb
            .query()
            .table_name(table)
            .consistent_read(true)
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .key_condition_expression("#id = :id AND #at BETWEEN :first AND :last")
            .expression_attribute_names("#id", metrics::SESSION_ID)
            .expression_attribute_names("#at", metrics::METRIC_TIMESTAMP)
            .expression_attribute_values(":id", AttributeValue::S(session_id.to_owned()))
            .expression_attribute_values(":first", number(minutes.start.start_s()))
            .expression_attribute_values(":last", number(last_s));
        // Two hours of rows of two dozen kilobytes each may take several pages of 1 MB, and not more than rows.
        let (mut items, mut next) = (Vec::new(), None);
        loop {
            let page = request.clone().set_exclusive_start_key(next);
            let answer = persist(&self.stats, || page.clone().send()).await;
            let answer = answer.map_err(|error| failed("Query", table, &error))?;
            items.extend(answer.items.unwrap_or_default());
            next = answer.last_evaluated_key;
            if next.is_none() {
                return Ok(items);
            }
        }
    }
}

impl RowStore for DynamoRows {
    fn put<'a>(
        &'a self,
        table: &'a str,
        item: &'a Item,
        condition: Condition,
    ) -> BoxFuture<'a, Result<PutOutcome, SinkError>> {
        self.put(table, item, condition).boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a str,
        key: Item,
    ) -> BoxFuture<'a, Result<Option<Item>, SinkError>> {
        self.get(table, key).boxed()
    }

    fn minutes<'a>(
        &'a self,
        table: &'a str,
        session_id: &'a str,
        minutes: std::ops::Range<Minute>,
    ) -> BoxFuture<'a, Result<Vec<Item>, SinkError>> {
        self.minutes(table, session_id, minutes).boxed()
    }
}

/// Returns the error of a call that was not answered in all tries.
fn failed<E>(operation: &'static str, table: &str, error: &SdkError<E, Response>) -> SinkError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    SinkError::Aws { operation, target: table.to_owned(), reason: explain(error) }
}

/// Returns the keys of an item of either table, for errors.
fn key_of(item: &Item) -> String {
    let key = [metrics::SESSION_ID, metrics::METRIC_TIMESTAMP, sessions::TIMESTAMP];
    format!("{:?}", key.map(|name| item.get(name)).iter().flatten().collect::<Vec<_>>())
}
