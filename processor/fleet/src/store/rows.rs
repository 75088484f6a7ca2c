//! The seam below the lease store: rows by key, whoever keeps them.

use std::fmt::Debug;

use futures::future::BoxFuture;

use super::StoreError;
use super::codec::Item;
use super::expressions::Update;

/// The rows of one lease table.
///
/// An implementor must make [`LeaseRows::update`] one linearizable step for each row: condition and
/// write together, and a [`LeaseRows::get`] that begins after its answer sees it. A scan may be a
/// moment old unless it is asked to be consistent, and even then it is not of one moment. An error
/// says that the outcome is unknown or nothing was done, and never that something was. Retries that
/// may help are the implementor's; safety decisions are not made here.
pub trait LeaseRows: Debug + Send + Sync {
    /// Makes sure that the table is there and is a lease table; with `create` it is made if absent.
    fn check(&self, create: bool) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns the row of `key`, as the last update left it.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreError>>;

    /// Returns every row, in no order.
    fn scan(&self, consistent: bool) -> BoxFuture<'_, Result<Vec<Item>, StoreError>>;

    /// Writes the row of `key` if the conditions hold, creating it if there is none.
    fn update<'a>(
        &'a self,
        key: &'a str,
        update: &'a Update,
    ) -> BoxFuture<'a, Result<Updated, StoreError>>;

    /// Removes the row of `key`, if there is one.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq)]
pub enum Updated {
    /// Written; the row as it is now.
    Stored(Item),
    /// A condition did not hold; the row as it is, if there is one.
    Refused(Option<Item>),
}
