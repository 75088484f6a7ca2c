//! The settings of a reader of either kind, and its answers.

use kinesis_model::{Gap, Record, ShardId};

use super::budget::ReadBudgets;
use crate::clock::Clock;
use crate::lease::ChildShard;
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
    /// [`next`](super::ShardReader::next) was called after the end of the shard.
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
