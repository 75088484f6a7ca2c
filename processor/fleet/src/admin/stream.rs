//! The stream's view of a lease table: which leases are missing, and how far behind the checkpoints
//! are.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use futures::StreamExt as _;
use kinesis_model::{EpochMs, ShardId};

use super::Finding;
use crate::lease::{Checkpoint, Lease, StartAt};
use crate::source::{CallFailed, ShardCalls, Why};
use crate::sync::listing::{CREATION_TOLERANCE_MS, CallError, KinesisStream, StreamShape as _};
use crate::sync::{ShardInfo, has_unfinished_ancestor};
use aws_calls::RetryPolicy;

/// An operator waits for the answer: five tries within some ten seconds.
const RETRY: RetryPolicy = RetryPolicy { initial_ms: 200, max_ms: 3_000, attempts: 5 };

/// The stream could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("stream `{stream}`: {operation} failed: {reason}")]
pub struct StreamError {
    /// The stream.
    pub stream: String,
    /// The API call.
    pub operation: &'static str,
    /// The service's code and message.
    pub reason: String,
}

/// A stream as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamShards {
    /// When it was created.
    pub created: EpochMs,
    /// Its shards, open and closed.
    pub shards: Vec<ShardInfo>,
}

/// Asks a stream for its shards.
///
/// # Errors
/// See [`StreamError`].
pub async fn describe(kinesis: &Client, stream: &str) -> Result<StreamShards, StreamError> {
    let failed = |(operation, reason): CallError| StreamError {
        stream: stream.to_owned(),
        operation,
        reason,
    };
    let calls = calls(kinesis, stream);
    let info = calls.info().await.map_err(failed)?;
    let shards = calls.shards().await.map_err(failed)?;
    Ok(StreamShards { created: info.created, shards })
}

/// Returns whether a lease belongs to an earlier stream of the same name.
#[must_use]
pub fn is_of_another_stream(lease: &Lease, stream: &StreamShards) -> bool {
    lease.stream_created.is_some_and(|at| at.0.abs_diff(stream.created.0) > CREATION_TOLERANCE_MS)
}

/// Compares leases with their stream; empty means nothing was found. Pure.
#[must_use]
pub fn verify_stream(leases: &[Lease], stream: &StreamShards) -> Vec<Finding> {
    let by_key: HashMap<_, _> = leases.iter().map(|lease| (&lease.key, lease)).collect();
    let shards: HashMap<_, _> = stream.shards.iter().map(|shard| (&shard.id, shard)).collect();
    let mut findings = Vec::new();
    if leases.iter().any(|lease| is_of_another_stream(lease, stream)) {
        findings.push(Finding::EarlierStream);
    }
    for shard in stream.shards.iter().filter(|shard| !shard.closed) {
        // The lease of a child appears when its parents are finished.
        let waits = || has_unfinished_ancestor(shard, &stream.shards, leases);
        if !by_key.contains_key(&shard.id) && !waits() {
            findings.push(Finding::NoLease(shard.id.clone()));
        }
    }
    let vanished = leases
        .iter()
        .filter(|lease| !lease.is_finished() && !shards.contains_key(&lease.key))
        .map(|lease| Finding::ShardGone(lease.key.clone()));
    findings.extend(vanished);
    findings
}

/// Iterators asked for at once.
const AT_ONCE: usize = 10;

/// Asks the stream whether it knows the checkpoint of every unfinished lease.
///
/// # Errors
/// See [`StreamError`].
pub async fn verify_checkpoints(
    kinesis: &Client,
    stream: &str,
    leases: &[Lease],
) -> Result<Vec<Finding>, StreamError> {
    let calls = &calls(kinesis, stream);
    let ask = |lease: Lease| async move {
        let answer = iterator(calls, &lease).await;
        (lease, answer)
    };
    let numbered =
        leases.iter().filter(|lease| matches!(lease.checkpoint, Checkpoint::Sequence(_)));
    let mut answers = futures::stream::iter(numbered.cloned()).map(ask).buffered(AT_ONCE);
    let mut findings = Vec::new();
    while let Some((lease, answer)) = answers.next().await {
        let (shard, checkpoint) = (lease.key, lease.checkpoint);
        match answer {
            Ok(_) | Err(CallFailed { why: Why::Absent, .. }) => {}
            Err(CallFailed { why: Why::BadPosition, reason: says }) => {
                findings.push(Finding::ForeignCheckpoint { shard, checkpoint, says });
            }
            Err(CallFailed { reason, .. }) => {
                let reason = format!("shard `{shard}`: {reason}");
                let operation = "GetShardIterator";
                return Err(StreamError { stream: stream.to_owned(), operation, reason });
            }
        }
    }
    Ok(findings)
}

/// Returns whether the stream, which lists `shards`, does not have a shard any more: it does not
/// list it, or lists it as closed and gives no iterator for it.
///
/// # Errors
/// See [`StreamError`].
pub async fn is_gone(
    kinesis: &Client,
    stream: &str,
    shard: &ShardId,
    shards: &[ShardInfo],
) -> Result<bool, StreamError> {
    let Some(info) = shards.iter().find(|info| info.id == *shard) else { return Ok(true) };
    if !info.closed {
        return Ok(false);
    }
    let lease = Lease::new(shard.clone(), Checkpoint::TrimHorizon);
    match iterator(&calls(kinesis, stream), &lease).await {
        Ok(_) => Ok(false),
        Err(CallFailed { why: Why::Absent, .. }) => Ok(true),
        Err(CallFailed { reason, .. }) => {
            let operation = "GetShardIterator";
            Err(StreamError { stream: stream.to_owned(), operation, reason })
        }
    }
}

/// Returns the calls to a stream, as [`lag_ms`] takes them.
#[must_use]
pub fn calls(kinesis: &Client, stream: &str) -> KinesisStream {
    KinesisStream { client: kinesis.clone(), stream: stream.to_owned(), retry: RETRY }
}

/// Returns an iterator just after the checkpoint of `lease`. A record that is done in part (an
/// aggregate) counts as done.
async fn iterator(calls: &dyn ShardCalls, lease: &Lease) -> Result<String, CallFailed> {
    let start = match (lease.checkpoint, lease.initial_time) {
        (Checkpoint::Sequence(position), _) => StartAt::After(position),
        (Checkpoint::AtTimestamp, Some(at)) => StartAt::AtTimestamp(at),
        (Checkpoint::AtTimestamp, None) | (Checkpoint::TrimHorizon, _) => StartAt::TrimHorizon,
        (Checkpoint::Latest | Checkpoint::ShardEnd, _) => StartAt::Latest,
    };
    let mut backoff = RETRY.start();
    loop {
        match calls.iterator(&lease.key, start).await {
            Err(error) if error.why == Why::Passing && backoff.wait().await => {}
            answer => return answer,
        }
    }
}

/// How long a lag may take: one GetShardIterator and one GetRecords.
const LAG_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns how old the oldest record after the checkpoint of `lease` is at `now`, in milliseconds;
/// 0 when there is none. One GetRecords of one record, which counts towards the shard's five a
/// second.
///
/// # Errors
/// See [`StreamError`].
pub async fn lag_ms(
    calls: &dyn ShardCalls,
    stream: &str,
    lease: &Lease,
    now: EpochMs,
) -> Result<u64, StreamError> {
    let failed = |operation, reason: String| StreamError {
        stream: stream.to_owned(),
        operation,
        reason: format!("shard `{}`: {reason}", lease.key),
    };
    if lease.is_finished() {
        return Ok(0);
    }
    match tokio::time::timeout(LAG_TIMEOUT, ask_lag(calls, lease, now)).await {
        Ok(answer) => answer.map_err(|(operation, reason)| failed(operation, reason)),
        Err(_) => Err(failed("GetRecords", format!("no answer in {LAG_TIMEOUT:?}"))),
    }
}

async fn ask_lag(calls: &dyn ShardCalls, lease: &Lease, now: EpochMs) -> Result<u64, CallError> {
    let iterator = iterator(calls, lease).await;
    let iterator = iterator.map_err(|error| ("GetShardIterator", error.reason))?;
    let mut backoff = RETRY.start();
    let page = loop {
        match calls.records(&iterator, 1).await {
            Ok(page) => break page,
            Err(error) if error.why == Why::Passing && backoff.wait().await => {}
            Err(error) => return Err(("GetRecords", error.reason)),
        }
    };
    let age_ms = page.records.first().map(|record| now.0.saturating_sub(record.arrival.0));
    let age_ms = age_ms.map_or(0, |age_ms| u64::try_from(age_ms).unwrap_or(0));
    Ok(age_ms.max(page.millis_behind))
}

#[cfg(test)]
mod tests {
    use kinesis_model::HashRange;

    use super::*;

    fn shard(id: &str, parents: &[&str], closed: bool) -> ShardInfo {
        let parents = parents.iter().map(|parent| ShardId::new(parent)).collect();
        ShardInfo { id: ShardId::new(id), parents, hash_range: HashRange::ALL, closed }
    }

    fn lease(id: &str, checkpoint: Checkpoint) -> Lease {
        let mut lease = Lease::new(ShardId::new(id), checkpoint);
        lease.stream_created = Some(EpochMs(5_000));
        lease
    }

    #[test]
    fn a_child_without_a_lease_is_missed_only_when_its_parent_is_finished() {
        let stream = StreamShards {
            created: EpochMs(5_400),
            shards: vec![shard("0", &[], true), shard("1", &["0"], false)],
        };
        let reading = [lease("0", Checkpoint::TrimHorizon)];
        assert_eq!(verify_stream(&reading, &stream), []);
        let done = [lease("0", Checkpoint::ShardEnd)];
        assert_eq!(verify_stream(&done, &stream), [Finding::NoLease(ShardId::new("1"))]);
    }

    #[test]
    fn a_merged_shard_is_not_missed_while_an_ancestor_is_read() {
        let shards = vec![
            shard("0", &[], true),
            shard("1", &[], true),
            shard("3", &["0"], true),
            shard("4", &["1", "3"], false),
        ];
        let stream = StreamShards { created: EpochMs(5_000), shards };
        let mut leases =
            vec![lease("0", Checkpoint::TrimHorizon), lease("1", Checkpoint::ShardEnd)];
        assert_eq!(verify_stream(&leases, &stream), []);
        leases[0].checkpoint = Checkpoint::ShardEnd;
        assert_eq!(verify_stream(&leases, &stream), [Finding::NoLease(ShardId::new("4"))]);
    }

    #[test]
    fn leases_of_an_earlier_stream_and_of_lost_shards_are_found() {
        let stream =
            StreamShards { created: EpochMs(90_000), shards: vec![shard("0", &[], false)] };
        let leases = [lease("0", Checkpoint::TrimHorizon), lease("7", Checkpoint::TrimHorizon)];
        let expected = [Finding::EarlierStream, Finding::ShardGone(ShardId::new("7"))];
        assert_eq!(verify_stream(&leases, &stream), expected);
    }
}
