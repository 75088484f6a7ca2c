//! The lease table in DynamoDB, in the shape that KCL 2.x reads and writes.
//!
//! Conflicts are outcomes, not errors: losing a lease is ordinary. A write whose answer was lost
//! is recognized by reading what is stored, so every operation may be retried.

pub mod attributes;
pub mod codec;
mod dynamo;
mod error;
pub mod expressions;
mod rows;
mod table;

pub use error::StoreError;
pub use rows::{LeaseRows, Updated};

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use kinesis_model::{HashRange, ShardId};

use crate::lease::{Lease, WorkerId};
use codec::{Item, Row};
use dynamo::DynamoRows;
use expressions::{Change, Update};

/// A row that was left out of a reading of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its key, empty if it has none.
    pub key: String,
    /// Why, in words.
    pub why: String,
}

/// The table as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The leases, in no order.
    pub leases: Vec<Lease>,
    /// Rows that are neither leases nor known to be something else.
    pub left_out: Vec<LeftOut>,
}

/// The outcome of a conditional write. The leases are boxed: they are large and rare to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stored; the row as it is now.
    Done(Box<Lease>),
    /// Somebody else wrote the row since we read it, or deleted it (`None`).
    Lost(Option<Box<Lease>>),
}

/// The outcome of creating a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The row is new.
    Created,
    /// A row with this key was there already; it is left as it is.
    Existed,
}

/// One lease table: what may be done to its leases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LeaseStore {
    rows: Arc<dyn LeaseRows>,
    table: Arc<str>,
    /// Marks the leases that are taken through this value.
    incarnation: Arc<str>,
}

/// How a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// A row may be a moment old.
    Eventual,
    /// Every row is as it was when it was read, at twice the price.
    Strong,
}

impl Rows {
    fn add(&mut self, item: &Item) {
        let left_out = match codec::read(item) {
            Ok(Row::Lease(lease)) => return self.leases.push(*lease),
            Ok(Row::Other) => return,
            Ok(Row::MultiStream { key }) => LeftOut {
                key,
                why: "belongs to a KCL application that reads several streams; give this one a \
                      lease table of its own"
                    .to_owned(),
            },
            Err(error) => LeftOut { why: error.to_string(), key: error.key },
        };
        self.left_out.push(left_out);
    }
}

impl LeaseStore {
    /// Uses `table` through `client`, with this crate's retries instead of the SDK's and at most
    /// `request` for one request.
    #[must_use]
    pub fn new(client: &Client, table: &str, request: Duration) -> Self {
        Self::over(Arc::new(DynamoRows::new(client, table, request)), table)
    }

    /// Uses rows that are kept elsewhere, under the name `table`.
    #[must_use]
    pub fn over(rows: Arc<dyn LeaseRows>, table: &str) -> Self {
        let incarnation = WorkerId::unique("life").as_str().into();
        Self { rows, table: table.into(), incarnation }
    }

    /// Creates the table as KCL does (key `leaseKey`, on-demand) unless it exists, waits until it
    /// is ACTIVE, and makes sure that it is a lease table.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn ensure_table(&self) -> Result<(), StoreError> {
        self.rows.check(true).await
    }

    /// Makes sure that the table exists and has the key of a lease table. Who may not describe
    /// the table is believed.
    ///
    /// # Errors
    /// It does not exist, is another table, or does not answer; see [`StoreError`].
    pub async fn check_table(&self) -> Result<(), StoreError> {
        self.rows.check(false).await
    }

    /// Returns the table's name.
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
            let row = match self.write(&seen.key, &change.update(&seen, &self.incarnation)).await? {
                Attempt::Stored(row) => return Ok(Write::Done(Box::new(row))),
                Attempt::Refused(row) => row,
            };
            let Some(row) = row else { return Ok(Write::Lost(None)) };
            if change.made(&seen, &row, &self.incarnation) {
                return Ok(Write::Done(Box::new(row)));
            }
            let late_write_of_ours = row.counter == seen.counter + 1
                && row.owner.is_some()
                && expressions::is_same_holder(&seen, &row)
                && !matches!(change, Change::Take(_));
            if round > 0 || !late_write_of_ours {
                return Ok(Write::Lost(Some(Box::new(row))));
            }
            seen = row;
        }
        Ok(Write::Lost(Some(Box::new(seen))))
    }

    /// Stores the children of a shard, without a condition but that the lease exists. `false` if
    /// it does not. No children is not a write.
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

    /// Stores the hash keys of a lease that has none; one that has some is left as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_hash_range(
        &self,
        shard: &ShardId,
        range: HashRange,
    ) -> Result<(), StoreError> {
        self.write(shard, &expressions::hash_range(range)).await.map(|_| ())
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
        let item = self.rows.get(shard.as_str()).await?;
        Ok(item.as_ref().map(codec::decode).transpose()?.flatten())
    }

    /// Reads all leases, in no order, eventually consistent.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Lease>, StoreError> {
        Ok(self.read(Consistency::Eventual).await?.leases)
    }

    /// Reads the whole table. Rows of KCL 3.5 that are not leases are left out; so are rows that
    /// cannot be read and leases of multi-stream applications, and those are named.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn read(&self, consistency: Consistency) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        let items = self.rows.scan(consistency == Consistency::Strong).await?;
        items.iter().for_each(|item| rows.add(item));
        Ok(rows)
    }

    /// Deletes a finished or obsolete lease. Unconditional, as in KCL.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete(&self, shard: &ShardId) -> Result<(), StoreError> {
        self.rows.delete(shard.as_str()).await
    }

    /// Makes one conditional write.
    async fn write(&self, shard: &ShardId, update: &Update) -> Result<Attempt, StoreError> {
        Ok(match self.rows.update(shard.as_str(), update).await? {
            Updated::Stored(item) => match codec::decode(&item)? {
                Some(lease) => Attempt::Stored(lease),
                None => {
                    let reason = format!("`{shard}` is not a lease");
                    let (table, operation) = (self.table.to_string(), "UpdateItem");
                    return Err(StoreError::Refused { table, operation, reason });
                }
            },
            Updated::Refused(item) => {
                Attempt::Refused(item.as_ref().map(codec::decode).transpose()?.flatten())
            }
        })
    }
}

enum Attempt {
    Stored(Lease),
    Refused(Option<Lease>),
}
