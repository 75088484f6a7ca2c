//! The records that a stream still holds, by arrival time.

use anyhow::Context as _;
use kinesis_fleet::StartAt;
use kinesis_fleet::admin::stream as admin;
use kinesis_fleet::source::{ReadBudgets, ReaderSettings, ShardReader};
use kinesis_fleet::sync::ShardInfo;
use kinesis_model::EpochMs;

use super::args::ReplayArgs;
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
    let shards = admin::describe(kinesis, stream).await?.shards;
    for ShardInfo { id: shard, hash_range, .. } in shards {
        let context = || format!("cannot read {shard} of {stream}");
        let settings =
            ReaderSettings { budgets: ReadBudgets::service(), ..ReaderSettings::default() };
        let mut reader = ShardReader::open(kinesis, stream, shard.clone(), from, settings);
        let mut fold = ShardFold::new(&shard, hash_range, &cx.shard);
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
