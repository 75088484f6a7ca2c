//! The two tables as the writer needs them: a conditional put that returns what is stored, and the
//! minutes of a session.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::{code, explain};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::minute::Minute;
use ivs_core::session::attribute_names;
use ivs_schemas::items::{metrics, sessions};
use tokio::sync::Semaphore;

use super::super::{Rate, SinkError, persist};
use super::body::Body;
use crate::config;
use crate::items::codec::{Item, size_bytes, write_units};
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

    /// Returns the stored rows of some minutes of a session.
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

/// When a put may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The row is at the version that was seen; `None`: there is no row.
    Version(Option<u64>),
    /// There is no such fact, or one that has to give way to one with this fingerprint.
    Fact(u64),
    /// The fact has this fingerprint.
    SameFact(u64),
}

impl Condition {
    /// Returns the condition in DynamoDB's language.
    pub(super) const fn expression(self) -> &'static str {
        match self {
            Self::Version(None) => "attribute_not_exists(#key)",
            Self::Version(Some(_)) => "#version = :seen",
            Self::Fact(_) => "attribute_not_exists(#key) OR #print > :print",
            Self::SameFact(_) => "#print = :print",
        }
    }

    /// Returns the attributes behind the names in it.
    pub(super) fn names(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let key = ("#key", metrics::SESSION_ID);
        let print = ("#print", attribute_names::FINGERPRINT);
        let names = match self {
            Self::Version(None) => [Some(key), None],
            Self::Version(Some(_)) => [Some(("#version", metrics::VERSION)), None],
            Self::Fact(_) => [Some(key), Some(print)],
            Self::SameFact(_) => [Some(print), None],
        };
        names.into_iter().flatten()
    }

    /// Returns the value in it, by its name.
    pub(super) fn value(self) -> Option<(&'static str, AttributeValue)> {
        match self {
            Self::Version(None) => None,
            Self::Version(Some(version)) => Some((":seen", number(version))),
            Self::Fact(print) | Self::SameFact(print) => Some((":print", number(print))),
        }
    }
}

/// The table's answer to a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The item is there.
    Stored,
    /// The condition failed; here is what is stored.
    Refused(Option<Item>),
}

/// The tables in DynamoDB.
#[derive(Debug)]
pub(super) struct DynamoRows {
    dynamodb: aws_sdk_dynamodb::Client,
    permits: Semaphore,
    rate: Rate,
    stats: Arc<Stats>,
}

impl DynamoRows {
    pub(super) fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        tables: &config::Tables,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            dynamodb,
            permits: Semaphore::new(tables.write_concurrency),
            rate: Rate::per_second(tables.writes_per_s),
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
        let Some(body) = Body::of_put(table, item, condition) else {
            let reason = "it has a value of a kind that this release does not know".to_owned();
            return Err(SinkError::Refused { table: table.to_owned(), key: key_of(item), reason });
        };
        let put = || {
            let call = self.dynamodb.put_item().table_name(table).customize();
            call.interceptor(body.clone()).send()
        };
        let Err(error) = persist(&self.stats, put).await else {
            self.stats.rows_written.fetch_add(1, Relaxed);
            self.stats.write_units.fetch_add(units, Relaxed);
            return Ok(PutOutcome::Stored);
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                // AWS bills a refused put by the larger of the two items.
                let stored = refusal.item.as_ref().map_or(0, |item| write_units(size_bytes(item)));
                self.stats.write_units_refused.fetch_add(units.max(stored), Relaxed);
                Ok(PutOutcome::Refused(refusal.item.clone()))
            }
            _ if code(&error) == Some("ValidationException") => {
                let (table, key, reason) = (table.to_owned(), key_of(item), explain(&error));
                Err(SinkError::Refused { table, key, reason })
            }
            _ => Err(SinkError::Aws {
                operation: "PutItem",
                target: table.to_owned(),
                reason: explain(&error),
            }),
        }
    }

    async fn minutes(
        &self,
        table: &str,
        session_id: &str,
        minutes: std::ops::Range<Minute>,
    ) -> Result<Vec<Item>, SinkError> {
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
            target: table.to_owned(),
            reason: explain(&error),
        })?;
        Ok(answer.items.unwrap_or_default())
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

    fn minutes<'a>(
        &'a self,
        table: &'a str,
        session_id: &'a str,
        minutes: std::ops::Range<Minute>,
    ) -> BoxFuture<'a, Result<Vec<Item>, SinkError>> {
        self.minutes(table, session_id, minutes).boxed()
    }
}

/// Returns the keys of an item of either table, for errors.
fn key_of(item: &Item) -> String {
    let key = [metrics::SESSION_ID, metrics::METRIC_TIMESTAMP, sessions::TIMESTAMP];
    format!("{:?}", key.map(|name| item.get(name)).iter().flatten().collect::<Vec<_>>())
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
