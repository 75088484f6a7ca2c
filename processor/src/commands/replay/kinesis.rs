//! The records that a stream still holds, by arrival time.

use anyhow::Context as _;
use kinesis_fleet::StartAt;
use kinesis_fleet::source::{ReadBudgets, ReaderSettings, ShardReader};
use kinesis_model::{EpochMs, HashRange, ShardId};

use super::ReplayArgs;
use crate::replay::context::Context;
use crate::replay::entry::Stamp;
use crate::replay::epochs::ShardFold;
use crate::replay::output::Output;

/// Records after which partial rows are handed on.
const EPOCH_RECORDS: usize = 50_000;
/// Rows of a stretch go to files alone, which know no parts.
const NO_PART: Stamp = Stamp { unit: 0, part: 0 };

/// Reads every shard from `--from` (or its oldest record) until `--to` (or its tip), one after the
/// other: parents and children alike, since rows merge in any order.
///
/// # Errors
/// When the stream cannot be listed or read.
pub(super) async fn read(
    kinesis: &aws_sdk_kinesis::Client,
    stream: &str,
    args: &ReplayArgs,
    cx: &Context,
    out: &mut Output,
) -> anyhow::Result<()> {
    let until_ms = args.until.map_or(i64::MAX, jiff::Timestamp::as_millisecond);
    let from = match args.from {
        None => StartAt::TrimHorizon,
        Some(from) => StartAt::AtTimestamp(EpochMs(from.as_millisecond())),
    };
    for (shard, range) in shards(kinesis, stream).await? {
        let context = || format!("cannot read {shard} of {stream}");
        let settings =
            ReaderSettings { budgets: ReadBudgets::service(), ..ReaderSettings::default() };
        let mut reader = ShardReader::open(kinesis, stream, shard.clone(), from, settings);
        let mut fold = ShardFold::new(&shard, range, &cx.shard);
        let mut held = 0;
        loop {
            let mut batch = reader.next().await.with_context(context)?;
            let is_tip =
                batch.end.is_some() || batch.records.is_empty() && batch.millis_behind == 0;
            // Arrival times may fall back a little, so the end is where all of a batch is later.
            let is_past = batch.records.iter().all(|record| record.arrival.0 >= until_ms);
            let is_over = is_tip || is_past && !batch.records.is_empty();
            batch.records.retain(|record| record.arrival.0 < until_ms);
            held += batch.records.len();
            cx.progress.add_records(batch.records.len() as u64);
            fold.take(batch.records);
            if is_over || held >= EPOCH_RECORDS {
                fold.close(NO_PART, out)?;
                held = 0;
            }
            if is_over {
                break;
            }
        }
    }
    Ok(())
}

async fn shards(
    kinesis: &aws_sdk_kinesis::Client,
    stream: &str,
) -> anyhow::Result<Vec<(ShardId, HashRange)>> {
    let (mut found, mut next_token) = (Vec::new(), None);
    loop {
        let request = match next_token.take() {
            // With a token AWS wants no stream name beside it.
            Some(token) => kinesis.list_shards().next_token(token),
            None => kinesis.list_shards().stream_name(stream),
        };
        let page = request.send().await.with_context(|| format!("cannot list {stream}"))?;
        for shard in page.shards.unwrap_or_default() {
            let keys = shard.hash_key_range.as_ref();
            let key = |text: &str| text.parse::<u128>().ok();
            let range = keys.and_then(|keys| {
                Some(HashRange {
                    start: key(&keys.starting_hash_key)?,
                    end: key(&keys.ending_hash_key)?,
                })
            });
            found.push((ShardId::new(&shard.shard_id), range.unwrap_or(HashRange::ALL)));
        }
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(found);
        }
    }
}
