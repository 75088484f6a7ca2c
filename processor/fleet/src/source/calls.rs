//! The seam below the readers: the calls that read a shard, whoever answers them.

use std::fmt::Debug;
use std::sync::Arc;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kinesis_model::{EpochMs, Position, Record, SequenceNumberError, ShardId};

use super::answer::InPlace;
use super::children;
use crate::lease::{ChildShard, StartAt};
use crate::sync::listing::{KinesisStream, StreamShape};

/// The calls by which the shards of one stream are read, each made once: retries are the caller's.
///
/// An implementor must give the records of a shard in their order, each as often as it is asked
/// for until it expires, and skip the expired ones in silence, as Kinesis does. An iterator is an
/// opaque text that may expire. [`ShardPage::next`] is `None` exactly when the shard is closed and
/// every record of it was given.
pub trait ShardCalls: StreamShape + Debug {
    /// Returns an iterator of `shard` that begins at `start`.
    fn iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: StartAt,
    ) -> BoxFuture<'a, Result<String, CallFailed>>;

    /// Returns what lies behind `iterator`, at most `limit` records.
    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u16,
    ) -> BoxFuture<'a, Result<ShardPage, CallFailed>>;
}

/// The answer to one GetRecords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPage {
    /// Records in the order of the shard; may be empty although more follow.
    pub records: Vec<Record>,
    /// How far the answer is behind the tip of the shard, in milliseconds.
    pub millis_behind: u64,
    /// Where to go on; `None` at the end of the shard.
    pub next: Option<String>,
    /// At the end of the shard, its children; the service may leave them out.
    pub children: Vec<ChildShard>,
}

/// A call that was not answered as hoped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallFailed {
    /// The meaning of it for the caller.
    pub why: Why,
    /// The service's code and message.
    pub reason: String,
}

/// The meaning of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Throttled, down or unreachable: the same call may succeed later.
    Passing,
    /// The iterator is too old.
    Expired,
    /// There is no such shard, or no such stream.
    Absent,
    /// The shard does not know the position, or the time lies ahead of the service's clock.
    BadPosition,
    /// The answer does not have the form that Kinesis promises.
    Malformed,
    /// Refused for good, for example missing permission.
    Refused,
}

impl CallFailed {
    fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> Self {
        let why = match aws_calls::code(error) {
            Some("ExpiredIteratorException") => Why::Expired,
            Some("ResourceNotFoundException") => Why::Absent,
            Some("InvalidArgumentException") => Why::BadPosition,
            _ if aws_calls::is_transient(error) => Why::Passing,
            _ => Why::Refused,
        };
        Self { why, reason: aws_calls::explain(error) }
    }

    fn malformed(reason: String) -> Self {
        Self { why: Why::Malformed, reason }
    }
}

impl ShardCalls for KinesisStream {
    fn iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: StartAt,
    ) -> BoxFuture<'a, Result<String, CallFailed>> {
        self.get_iterator(shard, start).boxed()
    }

    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u16,
    ) -> BoxFuture<'a, Result<ShardPage, CallFailed>> {
        async move {
            let request = self.client.get_records().shard_iterator(iterator);
            let in_place = InPlace::default();
            let call = request.limit(i32::from(limit)).customize().interceptor(in_place.clone());
            let output = call.send().await.map_err(|error| CallFailed::of(&error))?;
            page(output, in_place.take()).map_err(CallFailed::malformed)
        }
        .boxed()
    }
}

impl KinesisStream {
    async fn get_iterator(&self, shard: &ShardId, start: StartAt) -> Result<String, CallFailed> {
        let request = self.client.get_shard_iterator().stream_name(&self.stream);
        let request = request.shard_id(shard.as_str());
        let request = match start {
            StartAt::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            StartAt::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            StartAt::AtTimestamp(EpochMs(ms)) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(ms)),
            StartAt::At(Position { sequence, .. }) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.to_string()),
            StartAt::After(Position { sequence, .. }) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.to_string()),
        };
        let output = request.send().await.map_err(|error| CallFailed::of(&error))?;
        let missing = || CallFailed::malformed("no shard iterator".to_owned());
        output.shard_iterator.ok_or_else(missing)
    }
}

/// Returns what an answer says, its records in `in_place` unless the SDK has read them.
fn page(output: GetRecordsOutput, in_place: Option<Vec<Record>>) -> Result<ShardPage, String> {
    let millis_behind = output.millis_behind_latest.unwrap_or_default();
    Ok(ShardPage {
        records: in_place.map_or_else(|| records(output.records), Ok)?,
        millis_behind: u64::try_from(millis_behind).unwrap_or_default(),
        next: output.next_shard_iterator,
        children: children::from_api(output.child_shards.unwrap_or_default())?,
    })
}

/// Reads the records that GetRecords and SubscribeToShard bring.
pub(super) fn records(records: Vec<aws_sdk_kinesis::types::Record>) -> Result<Vec<Record>, String> {
    let convert = |record: aws_sdk_kinesis::types::Record| {
        let sequence = record.sequence_number.parse();
        let sequence = sequence.map_err(|e: SequenceNumberError| e.to_string())?;
        let arrival = record.approximate_arrival_timestamp;
        let arrival = arrival.ok_or_else(|| format!("record {sequence} has no arrival time"))?;
        let arrival = arrival.to_millis().map_err(|error| error.to_string())?;
        Ok(Record {
            sequence,
            // The API model has it optional; every record of a shard carries one.
            partition_key: Arc::from(record.partition_key.unwrap_or_default()),
            arrival: EpochMs(arrival),
            data: Bytes::from(record.data.into_inner()),
        })
    };
    records.into_iter().map(convert).collect()
}
