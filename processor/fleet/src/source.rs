//! Reading one shard, in order, from a position.

mod answer;
mod budget;
pub mod calls;
mod children;
mod continuity;
pub mod enhanced;
pub mod polling;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use kinesis_model::{Position, ShardId};

pub use budget::ReadBudgets;
pub use calls::{CallFailed, ShardCalls, ShardPage, Why};
pub use reading::{Batch, ReaderSettings, SourceError};

use crate::lease::StartAt;
use crate::sync::listing::KinesisStream;

/// How records come out of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// GetRecords, within 5 calls/s and 2 MB/s per shard.
    Polling,
    /// SubscribeToShard through the registered consumer with this ARN, at its own 2 MB/s.
    Enhanced {
        /// As [`enhanced::register`] returned it.
        consumer_arn: String,
    },
}

/// The reader of one shard.
#[derive(Debug)]
pub struct ShardReader(Inner);

#[derive(Debug)]
enum Inner {
    Polling(Box<polling::PollingReader>),
    Enhanced(Box<enhanced::EnhancedReader>),
}

impl ShardReader {
    /// Returns a reader that polls. No call is made before [`ShardReader::next`].
    #[must_use]
    pub fn open(
        client: &Client,
        stream: &str,
        shard: ShardId,
        start: StartAt,
        settings: ReaderSettings,
    ) -> Self {
        Self::open_with(client, stream, shard, start, settings, &Consumer::Polling)
    }

    /// Returns a reader of the kind asked for. An enhanced reader falls back to polling, with a
    /// warning, when it cannot subscribe.
    #[must_use]
    pub fn open_with(
        client: &Client,
        stream: &str,
        shard: ShardId,
        start: StartAt,
        settings: ReaderSettings,
        consumer: &Consumer,
    ) -> Self {
        let request = Duration::from_millis(settings.request_timeout_ms);
        let calls = KinesisStream::new(client, stream, settings.retry, request);
        let client = calls.client.clone();
        let polling = polling::PollingReader::new(Arc::new(calls), stream, shard, start, settings);
        match consumer {
            Consumer::Polling => Self(Inner::Polling(Box::new(polling))),
            Consumer::Enhanced { consumer_arn } => {
                let reader = enhanced::EnhancedReader::new(client, consumer_arn, start, polling);
                Self(Inner::Enhanced(Box::new(reader)))
            }
        }
    }

    /// Returns a reader that polls a stream which whoever the caller likes keeps.
    #[must_use]
    pub fn over(
        calls: Arc<dyn ShardCalls>,
        stream: &str,
        shard: ShardId,
        start: StartAt,
        settings: ReaderSettings,
    ) -> Self {
        let polling = polling::PollingReader::new(calls, stream, shard, start, settings);
        Self(Inner::Polling(Box::new(polling)))
    }

    /// Returns the same reader, going on after this position: it tells of a gap ([`Batch::gap`])
    /// unless it meets the record there, or one before it. Open it at or before that record.
    #[must_use]
    pub fn continuing(mut self, after: Option<Position>) -> Self {
        match &mut self.0 {
            Inner::Polling(reader) => reader.continue_after(after),
            Inner::Enhanced(reader) => reader.continue_after(after),
        }
        self
    }

    /// Has the next call bring about so many bytes at most, going by the records of the last one: Kinesis
    /// limits a call by their number. Enhanced fan-out pushes as it likes, and is not limited.
    pub fn expect_at_most(&mut self, bytes: u64) {
        match &mut self.0 {
            Inner::Polling(reader) => reader.expect_at_most(bytes),
            Inner::Enhanced(_) => {}
        }
    }

    /// Returns the next batch; waits for the budget and, at the tip, for the idle time.
    /// Cancel-safe: a call that is dropped has delivered nothing and the next one reads the same
    /// again.
    ///
    /// # Errors
    /// See [`SourceError`]; after [`SourceError::Unreachable`] reading goes on where it stopped.
    pub async fn next(&mut self) -> Result<Batch, SourceError> {
        match &mut self.0 {
            Inner::Polling(reader) => reader.next().await,
            Inner::Enhanced(reader) => reader.next().await,
        }
    }
}
