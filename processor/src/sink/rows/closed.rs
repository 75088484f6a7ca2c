//! The rows of closed windows, read to be judged.
//!
//! A backlog has thousands of windows to judge, and one by one each would wait for the table's answer to the
//! last. So some are read at once; over all shards of a worker only so many are held (E8).

use std::ops::Range;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::stream::{self, Stream, StreamExt as _};
use ivs_core::minute::Minute;
use ivs_core::row::Row;
use ivs_core::window::{WindowAgg, WindowKey};
use tokio::sync::OwnedSemaphorePermit;

use super::{RowSink, SinkError};

/// Windows of one epoch that are read at once.
const READINGS: usize = 8;

/// Some minutes of a session.
pub(crate) type Span = (Arc<str>, Range<Minute>);

/// The rows of a span, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// The rows that there are.
    pub(crate) rows: Vec<(WindowKey, Row<WindowAgg>)>,
    _permit: OwnedSemaphorePermit,
}

impl RowSink {
    /// Returns the stored rows of spans, in the order of these. An item is an error as [`Self::minutes`] has
    /// them.
    pub(crate) fn spans<'a>(
        &'a self,
        wanted: &'a [Span],
    ) -> impl Stream<Item = Result<Held, SinkError>> + Send + 'a {
        // Permits are taken in the order in which rows are used, so whoever holds some can go on. By index: a
        // closure over references would not be general enough for a boxed future.
        stream::iter(0..wanted.len())
            .then(|_| Arc::clone(&self.held).acquire_owned())
            .enumerate()
            .map(|(i, permit)| {
                let permit = permit.expect("the semaphore is never closed");
                let (session_id, minutes) = &wanted[i];
                let rows = self.minutes(session_id, minutes.clone());
                rows.map(move |rows| Ok(Held { rows: rows?, _permit: permit }))
            })
            .buffered(READINGS)
    }
}
