//! PutRecords that says of each record whether it was taken.

use aws_calls::{Failed, RetryPolicy, explain, is_transient};
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
        match to_end(kinesis, stream, records, &mut places).await {
            Ok(()) => {}
            // One record that is too large refuses the call: halves tell which.
            Err(Failed::ForGood(_)) if places.len() > 1 => {
                calls.push(places.split_off(places.len() / 2));
                calls.push(places);
            }
            Err(failed) => failures.extend(failed.into_error()),
        }
    }
    failures
}

/// Puts the records at `places`, in which those are kept that are left.
async fn to_end(
    kinesis: &Client,
    stream: &str,
    records: &[Outgoing],
    places: &mut Vec<usize>,
) -> Result<(), Failed<Vec<Failure>>> {
    let mut tries = RETRY.start();
    loop {
        let left = match call(kinesis, stream, records, places).await {
            Ok(left) if left.is_empty() => return Ok(()),
            Ok(left) => Failed::ForNow(left),
            Err(failed) => failed,
        };
        if let Failed::ForNow(left) = &left {
            *places = left.iter().map(|failure| failure.place).collect();
        }
        tries.again(left).await?;
    }
}

/// Makes one call; returns the records that it left. When it fails as a whole, all are left.
async fn call(
    kinesis: &Client,
    stream: &str,
    records: &[Outgoing],
    places: &[usize],
) -> Result<Vec<Failure>, Failed<Vec<Failure>>> {
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
    let answer = request.send().await.map_err(|error| {
        let reason = explain(&error);
        let all = places.iter().map(|place| Failure { place: *place, reason: reason.clone() });
        if is_transient(&error) {
            Failed::ForNow(all.collect())
        } else {
            Failed::ForGood(all.collect())
        }
    })?;
    let results = places.iter().zip(answer.records);
    let left = results.filter_map(|(place, result)| {
        let code = result.error_code?;
        let reason = format!("{code}: {}", result.error_message.unwrap_or_default());
        Some(Failure { place: *place, reason })
    });
    Ok(left.collect())
}
