//! PutRecords that says of each record whether it was taken.

use aws_calls::RetryPolicy;
use aws_calls::{explain, is_transient};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use crate::producer::send::{MAX_RECORDS, Outgoing};

/// Some five seconds: a throttled shard frees itself within one, and Lambda delivers again what is
/// left, so that there is no point in paying for a function that waits.
const RETRY: RetryPolicy = RetryPolicy { initial_ms: 100, max_ms: 1_000, attempts: 8 };

/// A record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its place among the records.
    pub(crate) place: usize,
    /// Kinesis's reason.
    pub(crate) reason: String,
}

/// Puts records into a stream; returns those that are left after all tries, in no order. Memory and
/// calls are bounded by Lambda's limit of 6 MB for a request.
pub(crate) async fn put(kinesis: &Client, stream: &str, records: &[Outgoing]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let all: Vec<usize> = (0..records.len()).collect();
    let mut calls: Vec<Vec<usize>> = all.chunks(MAX_RECORDS).map(<[usize]>::to_vec).collect();
    while let Some(mut places) = calls.pop() {
        let mut backoff = RETRY.start();
        loop {
            let left = match call(kinesis, stream, records, &places).await {
                Ok(left) => left,
                // One record that is too large refuses the call: halves tell which.
                Err((_, false)) if places.len() > 1 => {
                    calls.push(places.split_off(places.len() / 2));
                    calls.push(places);
                    break;
                }
                Err((reason, is_transient)) => {
                    let reason = |place| Failure { place, reason: reason.clone() };
                    let left: Vec<_> = places.iter().copied().map(reason).collect();
                    if !is_transient {
                        failures.extend(left);
                        break;
                    }
                    left
                }
            };
            if left.is_empty() || !backoff.wait().await {
                failures.extend(left);
                break;
            }
            places = left.into_iter().map(|failure| failure.place).collect();
        }
    }
    failures
}

/// Returns one call; returns what it left, or why it was refused as a whole and whether that may
/// pass.
async fn call(
    kinesis: &Client,
    stream: &str,
    records: &[Outgoing],
    places: &[usize],
) -> Result<Vec<Failure>, (String, bool)> {
    let entry = |place: &usize| {
        PutRecordsRequestEntry::builder()
            .partition_key(&records[*place].partition_key)
            .set_explicit_hash_key(records[*place].explicit_hash_key.map(|key| key.to_string()))
            .data(Blob::new(records[*place].data.clone()))
            .build()
            .expect("key and data are set")
    };
    let entries = places.iter().map(entry).collect();
    let request = kinesis.put_records().stream_name(stream).set_records(Some(entries));
    let answer = request.send().await.map_err(|error| (explain(&error), is_transient(&error)))?;
    let results = places.iter().zip(answer.records);
    let left = results.filter_map(|(place, result)| {
        let code = result.error_code?;
        let reason = format!("{code}: {}", result.error_message.unwrap_or_default());
        Some(Failure { place: *place, reason })
    });
    Ok(left.collect())
}
