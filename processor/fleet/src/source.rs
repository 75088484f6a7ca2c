//! Reading one shard, in order, from a position.

mod answer;
mod budget;
pub mod calls;
mod children;
mod continuity;
pub mod enhanced;
pub mod polling;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use kinesis_model::{Gap, Position, Record, ShardId};

pub use budget::ReadBudgets;
pub use calls::{CallFailed, ShardCalls, ShardPage, Why};

use crate::clock::Clock;
use crate::lease::{ChildShard, StartAt};
use crate::sync::listing::KinesisStream;
use aws_calls::RetryPolicy;

/// The result of one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records in the order of the shard; may be empty.
    pub records: Vec<Record>,
    /// How far the reading is behind the tip of the shard, in milliseconds.
    pub millis_behind: u64,
    /// The shard is closed and this was its last batch; its children, parents in front.
    pub end: Option<Vec<ChildShard>>,
    /// Records in front of these have left the stream unread.
    pub gap: Option<Gap>,
}

/// A shard could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Throttled, down or unreachable after all tries; the next call goes on where this stopped.
    #[error("shard `{shard}` of `{stream}`: {operation} failed {attempts} times, last: {last}")]
    Unreachable {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
        /// The API call.
        operation: &'static str,
        /// Tries made.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// Refused for good, for example missing permission.
    #[error("shard `{shard}` of `{stream}`: {operation} was refused: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
        /// The API call.
        operation: &'static str,
        /// The service's code and message.
        reason: String,
    },
    /// The stream does not have the shard any more: what was unread of it is lost (retention).
    /// Finish its lease with `children`, the shards that continue it, if the stream still lists
    /// any, and count a gap.
    #[error("shard `{shard}` of `{stream}` does not exist any more")]
    Gone {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
        /// Shards that name it as a parent.
        children: Vec<ChildShard>,
    },
    /// A record that does not have the form Kinesis promises.
    #[error("shard `{shard}` of `{stream}`: malformed answer: {problem}")]
    Malformed {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
        /// The problem.
        problem: String,
    },
    /// [`ShardReader::next`] was called after the end of the shard.
    #[error("shard `{shard}` of `{stream}` was read to its end already")]
    AfterEnd {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
    },
}

/// How to read.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// Wait between two polls at the tip of the shard, in milliseconds. KCL waits 1,500; 200 is
    /// the least that keeps a shard's 5 calls a second free for others.
    pub poll_idle_ms: u64,
    /// Records of one call, at most 10,000.
    pub max_records: u16,
    /// Calls and bytes a second, shared by all readers of a shard in this process.
    pub budgets: ReadBudgets,
    /// Tries of one call.
    pub retry: RetryPolicy,
    /// Longest time for one call, in milliseconds. KCL waits 30 s for GetRecords.
    pub request_timeout_ms: u64,
    /// Tells how long ago an answer came, and with it what can have expired since.
    pub clock: Clock,
}

impl Default for ReaderSettings {
    fn default() -> Self {
        Self {
            poll_idle_ms: 1_000,
            max_records: 10_000,
            budgets: ReadBudgets::service(),
            retry: RetryPolicy::READ,
            request_timeout_ms: 30_000,
            clock: Clock::system(),
        }
    }
}

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

/// Reads one shard.
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
