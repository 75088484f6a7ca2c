//! The lease table in DynamoDB, in the shape that KCL 2.x reads and writes.
//!
//! Conflicts are outcomes, not errors: losing a lease is ordinary. A write whose answer was lost
//! is recognised by reading what is stored, so every operation may be retried.

pub mod attributes;
pub mod codec;
pub mod expressions;
mod table;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use aws_smithy_types::retry::RetryConfig;
use kinesis_model::ShardId;

use crate::lease::{Lease, WorkerId};
use aws_calls::RetryPolicy;
use codec::{CodecError, Item};
use expressions::{Change, Expressions};

/// The lease table could not be read or written. What was written is unknown only for
/// [`StoreError::Unreachable`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, down or unreachable after all tries.
    #[error("lease table `{table}`: {operation} failed {attempts} times, last: {last}")]
    Unreachable {
        /// The table.
        table: String,
        /// The API call.
        operation: &'static str,
        /// Tries made.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// Refused for good, for example missing permission or table.
    #[error("lease table `{table}`: {operation} was refused: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// The API call.
        operation: &'static str,
        /// The service's code and message.
        reason: String,
    },
    /// A row is no lease.
    #[error(transparent)]
    Row(#[from] CodecError),
}

/// What became of a conditional write. The leases are boxed: they are large and rare to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stored; the row as it is now.
    Done(Box<Lease>),
    /// Somebody else wrote the row since we read it, or deleted it (`None`).
    Lost(Option<Box<Lease>>),
}

/// What became of creating a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The row is new.
    Created,
    /// A row with this key was there already; it is left as it is.
    Existed,
}

/// One lease table.
#[derive(Clone, Debug)]
pub struct LeaseStore {
    client: Client,
    table: String,
    retry: RetryPolicy,
}

/// Reading the whole table is bounded: one page holds at least a few hundred leases, so this is
/// far above any stream (an account has at most 20,000 shards by default).
const SCAN_PAGES_MAX: usize = 1_000;

impl LeaseStore {
    /// Uses `table` through `client`, with this crate's retries instead of the SDK's and at most
    /// `request` for one request.
    #[must_use]
    pub fn new(client: &Client, table: &str, request: Duration) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(aws_calls::bounded(request))
            .build();
        Self {
            client: Client::from_conf(config),
            table: table.to_owned(),
            retry: RetryPolicy::LEASE,
        }
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Creates a lease unless its key exists.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn create(&self, lease: &Lease) -> Result<Creation, StoreError> {
        match self.write(&lease.key, &expressions::creation(lease)).await? {
            Attempt::Stored(_) => Ok(Creation::Created),
            Attempt::Refused(_) => Ok(Creation::Existed),
        }
    }

    /// Applies `change` to the lease as last read. A row that shows exactly this change counts
    /// as [`Write::Done`], whoever's try stored it. If instead an earlier write of the same
    /// holder arrived late, the change is applied on top of it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn apply(&self, seen: &Lease, change: &Change) -> Result<Write, StoreError> {
        let mut seen = seen.clone();
        // A holder has at most one other write in flight (a heartbeat that timed out), so one
        // more round is enough.
        for round in 0..2 {
            let row = match self.write(&seen.key, &change.expressions(&seen)).await? {
                Attempt::Stored(row) => return Ok(Write::Done(Box::new(row))),
                Attempt::Refused(row) => row,
            };
            let Some(row) = row else { return Ok(Write::Lost(None)) };
            if change.made(&seen, &row) {
                return Ok(Write::Done(Box::new(row)));
            }
            let late_write_of_ours = row.counter == seen.counter + 1
                && row.owner.is_some()
                && row.owner == seen.owner
                && !matches!(change, Change::Take(_));
            if round > 0 || !late_write_of_ours {
                return Ok(Write::Lost(Some(Box::new(row))));
            }
            seen = row;
        }
        Ok(Write::Lost(Some(Box::new(seen))))
    }

    /// Stores the children of a shard, without a condition but that the lease exists. `false` if
    /// it does not. No children is no write.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_children(
        &self,
        shard: &ShardId,
        children: &[ShardId],
    ) -> Result<bool, StoreError> {
        let Some(set) = codec::shard_set(children) else { return Ok(true) };
        let attempt = self.write(shard, &expressions::children(set)).await?;
        Ok(matches!(attempt, Attempt::Stored(_)))
    }

    /// Asks the holder of `seen` to hand its lease over to `to`; see [`crate::coordinator`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn request_hand_over(
        &self,
        seen: &Lease,
        to: &WorkerId,
    ) -> Result<Write, StoreError> {
        let request = expressions::hand_over_request(seen, to);
        Ok(match self.write(&seen.key, &request).await? {
            Attempt::Stored(row) => Write::Done(Box::new(row)),
            Attempt::Refused(Some(row)) if row.hand_over_to.as_ref() == Some(to) => {
                Write::Done(Box::new(row))
            }
            Attempt::Refused(row) => Write::Lost(row.map(Box::new)),
        })
    }

    /// Reads one lease, consistently.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn get(&self, shard: &ShardId) -> Result<Option<Lease>, StoreError> {
        let mut backoff = self.retry.start();
        loop {
            let request = self.client.get_item().table_name(&self.table).consistent_read(true);
            let reply = request.key(attributes::LEASE_KEY, key(shard)).send().await;
            match reply {
                Ok(output) => {
                    return Ok(output.item.as_ref().map(decode_row).transpose()?.flatten());
                }
                Err(error) => self.retry_or_fail("GetItem", &error, &mut backoff).await?,
            }
        }
    }

    /// Reads all leases, in no order, eventually consistent. Rows of other kinds are left out;
    /// a row that cannot be read is left out with a warning, so that it costs only itself.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Lease>, StoreError> {
        let mut leases = Vec::new();
        let mut from: Option<Item> = None;
        for _ in 0..SCAN_PAGES_MAX {
            let mut backoff = self.retry.start();
            let page = loop {
                let request = self.client.scan().table_name(&self.table);
                match request.set_exclusive_start_key(from.clone()).send().await {
                    Ok(page) => break page,
                    Err(error) => self.retry_or_fail("Scan", &error, &mut backoff).await?,
                }
            };
            for item in page.items() {
                match codec::decode(item) {
                    Ok(lease) => leases.extend(lease),
                    Err(error) => tracing::warn!(%error, "lease row left out"),
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(leases);
            }
        }
        Err(self.refused("Scan", format!("more than {SCAN_PAGES_MAX} pages")))
    }

    /// Deletes a finished or obsolete lease. Unconditional, as in KCL.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete(&self, shard: &ShardId) -> Result<(), StoreError> {
        let mut backoff = self.retry.start();
        loop {
            let request = self.client.delete_item().table_name(&self.table);
            match request.key(attributes::LEASE_KEY, key(shard)).send().await {
                Ok(_) => return Ok(()),
                Err(error) => self.retry_or_fail("DeleteItem", &error, &mut backoff).await?,
            }
        }
    }

    /// One conditional `UpdateItem`. A retry after a lost answer may find its own condition
    /// broken by its own first try: the caller decides by the row.
    async fn write(
        &self,
        shard: &ShardId,
        expressions: &Expressions,
    ) -> Result<Attempt, StoreError> {
        let mut backoff = self.retry.start();
        loop {
            let request = self.client.update_item().table_name(&self.table);
            let reply = request
                .key(attributes::LEASE_KEY, key(shard))
                .update_expression(&expressions.update)
                .condition_expression(&expressions.condition)
                .set_expression_attribute_names(Some(expressions.names.clone()))
                .set_expression_attribute_values(Some(expressions.values.clone()))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(OnFailure::AllOld)
                .send()
                .await;
            let error = match reply {
                Ok(output) => {
                    let item = output.attributes.unwrap_or_default();
                    let row = decode_row(&item)?;
                    let row = row.ok_or_else(|| {
                        self.refused("UpdateItem", format!("`{shard}` is no lease row"))
                    })?;
                    return Ok(Attempt::Stored(row));
                }
                Err(error) => error,
            };
            if let Some(item) = refused_item(&error) {
                // Emulators may leave the old item out.
                let row = match item {
                    Some(item) => decode_row(item)?,
                    None => self.get(shard).await?,
                };
                return Ok(Attempt::Refused(row));
            }
            self.retry_or_fail("UpdateItem", &error, &mut backoff).await?;
        }
    }
}

enum Attempt {
    Stored(Lease),
    Refused(Option<Lease>),
}

fn key(shard: &ShardId) -> AttributeValue {
    AttributeValue::S(shard.to_string())
}

fn decode_row(item: &Item) -> Result<Option<Lease>, CodecError> {
    codec::decode(item)
}

/// `Some` if the condition failed, with the row that DynamoDB returned along.
fn refused_item(error: &SdkError<UpdateItemError>) -> Option<Option<&Item>> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => Some(refusal.item()),
        _ => None,
    }
}
