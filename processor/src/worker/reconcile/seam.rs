//! The seam below the reconciler: IVS, rows and stream, whoever plays them.

use std::fmt::Debug;

use futures::future::BoxFuture;
use ivs_core::reconcile::{IvsSession, Known, LostFact};

/// A stream that IVS lists as live.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::worker) struct Live {
    pub(in crate::worker) channel_arn: String,
    pub(in crate::worker) stream_id: String,
}

/// Somebody who was asked did not answer, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::worker) struct Unanswered(pub(in crate::worker) String);

/// IVS, the rows and the stream, as far as a reconciler needs them.
///
/// An implementor keeps to IVS's limits and tries again by itself. After an error of `put` any of the facts
/// may have been put all the same.
pub(in crate::worker) trait Surroundings: Debug + Send + Sync {
    /// Returns the streams that are live.
    fn live(&self) -> BoxFuture<'_, Result<Vec<Live>, Unanswered>>;

    /// Returns what IVS says of a session; `None` if it knows none.
    fn session<'a>(
        &'a self,
        live: &'a Live,
    ) -> BoxFuture<'a, Result<Option<IvsSession>, Unanswered>>;

    /// Returns what the rows hold of a session, all of it that was acknowledged before.
    fn known<'a>(&'a self, stream_id: &'a str) -> BoxFuture<'a, Result<Known, Unanswered>>;

    /// Puts facts into the stream, all of them.
    fn put<'a>(&'a self, lost: &'a [LostFact]) -> BoxFuture<'a, Result<(), Unanswered>>;
}
