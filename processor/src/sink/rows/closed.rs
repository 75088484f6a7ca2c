//! The rows of closed windows, read to be judged.
//!
//! A backlog has thousands of windows to judge, and one by one each would wait for the table's answer to the
//! last. So some readings are under way at once; over all shards of a worker only so many rows are held (E8).

use std::sync::Arc;

use futures::FutureExt as _;
use futures::stream::{self, Stream, StreamExt as _};
use ivs_core::emit::ClosedRun;
use ivs_core::window::{WindowAgg, WindowKey};
use tokio::sync::OwnedSemaphorePermit;

use super::{MAX_HELD, RowSink, SinkError};

/// Readings of one epoch that are under way at once.
const READINGS: usize = 8;

/// The rows of a run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// The rows that there are, with what windows are judged by.
    pub(crate) rows: Vec<(WindowKey, WindowAgg)>,
    _permit: OwnedSemaphorePermit,
}

impl RowSink {
    /// Returns the stored rows of runs, in the order of these. An item is an error as [`Self::minutes`] has
    /// them.
    pub(crate) fn runs<'a>(
        &'a self,
        wanted: &'a [ClosedRun],
    ) -> impl Stream<Item = Result<Held, SinkError>> + Send + 'a {
        // Permits are taken in the order in which rows are used, so whoever holds some can go on. By index: a
        // closure over references would not be general enough for a boxed future.
        stream::iter(0..wanted.len())
            .then(|i| {
                let minutes = wanted[i].len_minutes().min(MAX_HELD);
                Arc::clone(&self.held).acquire_many_owned(minutes)
            })
            .enumerate()
            .map(|(i, permit)| {
                let permit = permit.expect("the semaphore is never closed");
                let run = &wanted[i];
                let rows = self.minutes(&run.session_id, run.minutes.clone());
                rows.map(move |rows| Ok(Held { rows: rows?, _permit: permit }))
            })
            .buffered(READINGS)
    }
}
