//! PutRecords and PutEvents that end only when every entry was accepted.

use std::time::Duration;

use aws_calls::RetryPolicy;
use aws_calls::{explain, is_transient};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

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
#[error("{operation} failed: {reason}")]
pub struct SendError {
    operation: &'static str,
    reason: String,
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
    let error = |reason| SendError { operation: "PutRecords", reason };
    let mut backoff = RETRY.start();
    loop {
        let request = kinesis.put_records().stream_name(stream).set_records(Some(entries.clone()));
        let last = match request.send().await {
            Ok(answer) => {
                let results = answer.records;
                let last = results.iter().find_map(|result| result.error_message.clone());
                entries = entries
                    .into_iter()
                    .zip(results)
                    .filter(|(_, result)| result.error_code.is_some())
                    .map(|(entry, _)| entry)
                    .collect();
                if entries.is_empty() {
                    return Ok(());
                }
                last.unwrap_or_default()
            }
            Err(failed) if is_transient(&failed) => explain(&failed),
            Err(failed) => return Err(error(explain(&failed))),
        };
        if !backoff.wait().await {
            return Err(error(format!("{} records left, last: {last}", entries.len())));
        }
    }
}

/// Puts events on a bus, in calls of ten.
///
/// # Errors
/// When EventBridge refuses an entry for good, or entries are left after all tries.
pub async fn put_events(
    eventbridge: &aws_sdk_eventbridge::Client,
    entries: Vec<PutEventsRequestEntry>,
) -> Result<(), SendError> {
    for entries in entries.chunks(MAX_EVENTS) {
        let mut backoff = RETRY.start();
        loop {
            let request = eventbridge.put_events().set_entries(Some(entries.to_vec()));
            let last = match request.send().await {
                Ok(answer) if answer.failed_entry_count == 0 => break,
                Ok(answer) => {
                    let failed = answer.entries.unwrap_or_default();
                    failed.into_iter().find_map(|entry| entry.error_message).unwrap_or_default()
                }
                Err(failed) => explain(&failed),
            };
            if !backoff.wait().await {
                return Err(SendError { operation: "PutEvents", reason: last });
            }
        }
    }
    Ok(())
}

/// How long a real-time sender sleeps between two looks at its clock.
pub const PACE: Duration = Duration::from_millis(100);
