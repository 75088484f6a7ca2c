//! The records that the stream holds already, by content.

use std::collections::HashMap;

use anyhow::Context as _;
use kinesis_fleet::StartAt;
use kinesis_fleet::admin::stream as admin;
use kinesis_fleet::source::{ReadBudgets, ReaderSettings, ShardReader};
use kinesis_model::{EpochMs, ShardId};
use md5::{Digest, Md5};

/// Arrival times are Kinesis's, the journal's ours: this much apart at most.
const CLOCK_SLACK_MS: i64 = 60_000;

/// How often each payload is in the stream.
#[derive(Debug, Default)]
pub(super) struct Stored(HashMap<[u8; 16], u64>);

impl Stored {
    /// Reads every shard, from a time on, to its tip.
    pub(super) async fn read(
        kinesis: &aws_sdk_kinesis::Client,
        stream: &str,
        since: EpochMs,
    ) -> anyhow::Result<Self> {
        let mut stored = Self::default();
        let shards = admin::describe(kinesis, stream).await?.shards;
        for shard in shards {
            stored.read_shard(kinesis, stream, &shard.id, since).await?;
        }
        Ok(stored)
    }

    async fn read_shard(
        &mut self,
        kinesis: &aws_sdk_kinesis::Client,
        stream: &str,
        shard: &ShardId,
        since: EpochMs,
    ) -> anyhow::Result<()> {
        let settings = ReaderSettings {
            poll_idle_ms: 10,
            budgets: ReadBudgets::unlimited(),
            ..ReaderSettings::default()
        };
        let start = StartAt::AtTimestamp(EpochMs((since.0 - CLOCK_SLACK_MS).max(0)));
        let mut reader = ShardReader::open(kinesis, stream, shard.clone(), start, settings);
        loop {
            let batch = reader.next().await.context("cannot read the stream back")?;
            for record in &batch.records {
                *self.0.entry(key(&record.data)).or_default() += 1;
            }
            let at_tip = batch.records.is_empty() && batch.millis_behind == 0;
            if at_tip || batch.end.is_some() {
                return Ok(());
            }
        }
    }

    /// Takes one out; whether there was one.
    pub(super) fn take(&mut self, line: &[u8]) -> bool {
        match self.0.get_mut(&key(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

fn key(data: &[u8]) -> [u8; 16] {
    Md5::digest(data).into()
}
