//! PutRecords and PutEvents that end only when every entry was accepted.

use std::time::Duration;

use aws_calls::{Failed, RetryPolicy, explain, is_transient};
use aws_sdk_eventbridge::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_smithy_runtime_api::http::Response;

/// Entries of one PutRecords call: Kinesis's limit.
pub const MAX_RECORDS: usize = 500;
/// Bytes of one PutRecords call; Kinesis takes 10 MiB with the keys.
pub const MAX_BYTES: usize = 5 << 20;
/// Entries of one PutEvents call: EventBridge's limit.
const MAX_EVENTS: usize = 10;

/// A throttled shard frees itself within a second; an endpoint that restarts needs a few.
const RETRY: RetryPolicy = RetryPolicy { initial_ms: 100, max_ms: 2_000, attempts: 30 };

/// Why sending stopped.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Throttled, at fault or out of reach, through all tries.
    #[error("{operation} failed: {reason}")]
    Later {
        /// The call.
        operation: &'static str,
        /// The last answer.
        reason: String,
    },
    /// Refused for good.
    #[error("{operation} failed: {reason}")]
    Refused {
        /// The call.
        operation: &'static str,
        /// The answer.
        reason: String,
    },
}

impl SendError {
    pub(crate) fn of(operation: &'static str, failed: Failed<String>) -> Self {
        match failed {
            Failed::ForNow(reason) => Self::Later { operation, reason },
            Failed::ForGood(reason) => Self::Refused { operation, reason },
        }
    }
}

/// A record to be put.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Decides on the shard, unless `explicit_hash_key` does.
    pub partition_key: String,
    /// Decides on the shard.
    pub explicit_hash_key: Option<u128>,
    /// The payload.
    pub data: Vec<u8>,
}

/// Puts records, at most [`MAX_RECORDS`]; refused entries are sent again.
///
/// # Errors
/// When Kinesis refuses for good, or entries are left after all tries.
pub async fn put_records(
    kinesis: &aws_sdk_kinesis::Client,
    stream: &str,
    records: &[Outgoing],
) -> Result<(), SendError> {
    let entry = |record: &Outgoing| {
        PutRecordsRequestEntry::builder()
            .partition_key(&record.partition_key)
            .set_explicit_hash_key(record.explicit_hash_key.map(|key| key.to_string()))
            .data(Blob::new(record.data.clone()))
            .build()
            .expect("key and data are set")
    };
    let mut entries: Vec<_> = records.iter().map(entry).collect();
    let mut tries = RETRY.start();
    while let Err(failed) = call_kinesis(kinesis, stream, &mut entries).await {
        let Err(last) = tries.again(failed).await else { continue };
        let last = match last {
            Failed::ForNow(last) => {
                Failed::ForNow(format!("{} records left, last: {last}", entries.len()))
            }
            refused @ Failed::ForGood(_) => refused,
        };
        return Err(SendError::of("PutRecords", last));
    }
    Ok(())
}

/// Makes one call; keeps the entries that were not taken.
async fn call_kinesis(
    kinesis: &aws_sdk_kinesis::Client,
    stream: &str,
    entries: &mut Vec<PutRecordsRequestEntry>,
) -> Result<(), Failed<String>> {
    let request = kinesis.put_records().stream_name(stream).set_records(Some(entries.clone()));
    let results = request.send().await.map_err(|error| judged(&error))?.records;
    let last = results.iter().find_map(|result| result.error_message.clone());
    let mut results = results.into_iter();
    entries.retain(|_| results.next().is_none_or(|result| result.error_code.is_some()));
    if entries.is_empty() { Ok(()) } else { Err(Failed::ForNow(last.unwrap_or_default())) }
}

/// Says whether a call that failed as a whole may be taken later.
fn judged<E>(error: &SdkError<E, Response>) -> Failed<String>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if is_transient(error) {
        Failed::ForNow(explain(error))
    } else {
        Failed::ForGood(explain(error))
    }
}

/// Puts events on a bus, in calls of ten; refused entries are sent again.
///
/// # Errors
/// When EventBridge refuses a call for good, or entries are left after all tries.
pub async fn put_events(
    eventbridge: &aws_sdk_eventbridge::Client,
    entries: Vec<PutEventsRequestEntry>,
) -> Result<(), SendError> {
    for call in entries.chunks(MAX_EVENTS) {
        let mut entries = call.to_vec();
        let mut tries = RETRY.start();
        while let Err(failed) = call_eventbridge(eventbridge, &mut entries).await {
            tries.again(failed).await.map_err(|last| SendError::of("PutEvents", last))?;
        }
    }
    Ok(())
}

/// Makes one call; keeps the entries that were not taken.
async fn call_eventbridge(
    eventbridge: &aws_sdk_eventbridge::Client,
    entries: &mut Vec<PutEventsRequestEntry>,
) -> Result<(), Failed<String>> {
    let request = eventbridge.put_events().set_entries(Some(entries.clone()));
    let results = request.send().await.map_err(|error| judged(&error))?.entries;
    let results = results.unwrap_or_default();
    let last = results.iter().find_map(|result| result.error_message.clone());
    let mut results = results.into_iter();
    entries.retain(|_| results.next().is_none_or(|result| result.error_code.is_some()));
    if entries.is_empty() { Ok(()) } else { Err(Failed::ForNow(last.unwrap_or_default())) }
}

/// How long a real-time sender sleeps between two looks at its clock.
pub const PACE: Duration = Duration::from_millis(100);
