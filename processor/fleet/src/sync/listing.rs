//! ListShards and DescribeStreamSummary.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::Shard;
use kinesis_model::{EpochMs, HashRange, ShardId};

use super::ShardInfo;
use aws_calls::RetryPolicy;

/// A failed call: its name and why.
pub(crate) type CallError = (&'static str, String);

/// Creation times are seconds with a fraction, which encodings round.
pub(crate) const CREATION_TOLERANCE_MS: u64 = 1_000;

/// An account has at most 20,000 shards by default and a page holds 1,000.
const PAGES_MAX: usize = 1_000;

/// The stream's shards, open and closed, as far as it still lists them.
pub(crate) async fn list_shards(
    client: &Client,
    stream: &str,
    retry: RetryPolicy,
) -> Result<Vec<ShardInfo>, CallError> {
    const CALL: &str = "ListShards";
    let mut shards = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut backoff = retry.start();
        let page = loop {
            // The name may be given on the first page only.
            let name = token.is_none().then(|| stream.to_owned());
            let request = client.list_shards().set_stream_name(name);
            match request.set_next_token(token.clone()).send().await {
                Ok(page) => break page,
                Err(error) if aws_calls::is_transient(&error) && backoff.wait().await => {}
                Err(error) => return Err((CALL, aws_calls::explain(&error))),
            }
        };
        for shard in page.shards.unwrap_or_default() {
            shards.push(info(&shard).map_err(|problem| (CALL, problem))?);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
    Err((CALL, format!("more than {PAGES_MAX} pages")))
}

fn info(shard: &Shard) -> Result<ShardInfo, String> {
    let id = ShardId::new(&shard.shard_id);
    let key = |text: &str| text.parse().map_err(|_| format!("`{id}`: `{text}` is no hash key"));
    let range = shard.hash_key_range.as_ref().ok_or_else(|| format!("`{id}` has no hash keys"))?;
    let hash_range =
        HashRange { start: key(&range.starting_hash_key)?, end: key(&range.ending_hash_key)? };
    let numbers = shard.sequence_number_range.as_ref();
    let parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id);
    Ok(ShardInfo {
        parents: parents.map(|parent| ShardId::new(parent)).collect(),
        hash_range,
        closed: numbers.is_some_and(|range| range.ending_sequence_number.is_some()),
        id,
    })
}

/// When the stream was created: tells a stream from a later one of the same name.
pub(crate) async fn stream_created(
    client: &Client,
    stream: &str,
    retry: RetryPolicy,
) -> Result<EpochMs, CallError> {
    const CALL: &str = "DescribeStreamSummary";
    let mut backoff = retry.start();
    let output = loop {
        match client.describe_stream_summary().stream_name(stream).send().await {
            Ok(output) => break output,
            Err(error) if aws_calls::is_transient(&error) && backoff.wait().await => {}
            Err(error) => return Err((CALL, aws_calls::explain(&error))),
        }
    };
    let summary = output.stream_description_summary.as_ref();
    let created = summary.map(|summary| summary.stream_creation_timestamp.to_millis());
    match created {
        Some(Ok(ms)) => Ok(EpochMs(ms)),
        Some(Err(error)) => Err((CALL, error.to_string())),
        None => Err((CALL, "no description".to_owned())),
    }
}
