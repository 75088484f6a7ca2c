//! How the task of a shard ends.

use ivs_core::epoch::ForeignRules;
use kinesis_fleet::source::SourceError;

use crate::sink::SinkError;

/// How a shard's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The shard is finished; its children may start.
    ShardEnd,
    /// Everything folded is committed and the lease is free.
    HandedOver,
    /// The lease is free. What was read after its checkpoint is its next owner's to read again, and
    /// an epoch that was prepared is its to write.
    LeftOpen,
    /// Someone else holds the lease, or may: nothing more was written.
    LeaseLost,
}

/// Why a shard's task gave up. Its lease lapses, and whoever takes it does the epoch again.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// An effect did not happen.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The lease table did not answer.
    #[error("lease: {0}")]
    Lease(#[from] kinesis_fleet::StoreError),
    /// The stream could not be read.
    #[error("stream: {0}")]
    Source(#[from] SourceError),
    /// An epoch was prepared by rules that this build does not have.
    #[error(transparent)]
    Rules(#[from] ForeignRules),
    /// The task that reads the stream is gone.
    #[error("the reader of the shard stopped without an answer: {0}")]
    ReaderDied(String),
}
