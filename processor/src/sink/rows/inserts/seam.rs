//! The call that inserts, and what it answers.

use std::fmt::Debug;

use futures::future::BoxFuture;

use super::statement::Statement;

/// The answer to an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Inserted {
    /// The item is there, and none was before.
    Stored,
    /// There is an item of its key.
    Duplicate,
    /// A failure that may pass: the item may be there or not.
    Later,
    /// Nobody here may insert this way, for this reason.
    Denied(String),
    /// It was not tried, or refused for another reason.
    No,
}

/// The call that inserts.
pub(super) trait InsertCalls: Debug + Send + Sync {
    /// Carries out statements of different keys, once; returns an answer for each, in their order.
    fn insert<'a>(&'a self, statements: &'a [Statement]) -> BoxFuture<'a, Vec<Inserted>>;
}
