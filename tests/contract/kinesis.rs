//! Kinesis: the stream's shards, putting and getting records.
//!
//! `API_…` is a page of <https://docs.aws.amazon.com/kinesis/latest/APIReference/>, `Guide` one of
//! <https://docs.aws.amazon.com/streams/latest/dev/>.

mod fan_out;
mod gets;
mod iterators;
mod puts;
mod shards;
mod streams;

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::operation::put_records::builders::PutRecordsFluentBuilder;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, Shard, ShardIteratorType};

use super::answers::{Failed, Wanted as _};
use super::{Case, World};

/// A stream that is not there.
const ABSENT: &str = "absent";
const FIRST: &str = "shardId-000000000000";
/// The middle of all hash keys: where the second of two shards begins.
const MIDDLE: u128 = 1 << 127;
/// Pages of a shard that a case reads at most; an empty one may come before others.
const PAGES_MAX: usize = 50;

/// Returns the cases.
pub(super) fn cases() -> Vec<&'static Case> {
    let files = [streams::CASES, puts::CASES, iterators::CASES, gets::CASES, shards::CASES];
    files.into_iter().flatten().chain(fan_out::CASES).collect()
}

/// Returns an entry for the shard of a hash key.
fn entry(data: &[u8], hash_key: u128) -> Result<PutRecordsRequestEntry, Failed> {
    let entry = PutRecordsRequestEntry::builder().data(Blob::new(data)).partition_key("p");
    Ok(entry.explicit_hash_key(hash_key.to_string()).build()?)
}

fn texts(records: &[Record]) -> String {
    let texts = records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()));
    texts.collect::<Vec<_>>().join(" ")
}

impl World {
    fn put_records(&self, stream: &str) -> PutRecordsFluentBuilder {
        self.kinesis.put_records().stream_name(stream)
    }

    /// Puts texts into the shard of a hash key, each after the one before; returns their sequence
    /// numbers.
    async fn put_texts(
        &self,
        stream: &str,
        hash_key: u128,
        texts: &[&str],
    ) -> Result<Vec<String>, Failed> {
        let mut numbers = vec![];
        for text in texts {
            let put = self.put_records(stream).records(entry(text.as_bytes(), hash_key)?);
            let results = put.send().await?.records;
            let number = results.first().and_then(|result| result.sequence_number.clone());
            numbers.push(number.wanted("sequence number")?);
        }
        Ok(numbers)
    }

    async fn shards(&self, stream: &str) -> Result<Vec<Shard>, Failed> {
        let listed = self.kinesis.list_shards().stream_name(stream).send().await?;
        Ok(listed.shards.unwrap_or_default())
    }

    fn iterator(&self, stream: &str, shard: &str) -> GetShardIteratorFluentBuilder {
        self.kinesis.get_shard_iterator().stream_name(stream).shard_id(shard)
    }

    /// Returns an iterator at the oldest record.
    async fn oldest(&self, stream: &str, shard: &str) -> Result<String, Failed> {
        let iterator = self.iterator(stream, shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
        iterator.shard_iterator.wanted("iterator")
    }

    async fn page(&self, iterator: &str) -> Result<GetRecordsOutput, Failed> {
        Ok(self.kinesis.get_records().shard_iterator(iterator).send().await?)
    }

    /// Reads on until there is nothing new, or the shard has ended; returns the records and the
    /// last page.
    async fn read(&self, mut iterator: String) -> Result<(Vec<Record>, GetRecordsOutput), Failed> {
        let mut records = vec![];
        for _ in 0..PAGES_MAX {
            let mut page = self.page(&iterator).await?;
            let is_empty = page.records.is_empty();
            records.append(&mut page.records);
            let is_at_tip = is_empty && page.millis_behind_latest.unwrap_or_default() == 0;
            match page.next_shard_iterator.clone().filter(|_| !is_at_tip) {
                Some(next) => iterator = next,
                None => return Ok((records, page)),
            }
        }
        None.wanted("end")
    }

    /// Splits the first shard at a hash key and waits until it is done.
    async fn split_first(&self, stream: &str, hash_key: u128) -> Result<(), Failed> {
        let split = self.kinesis.split_shard().stream_name(stream).shard_to_split(FIRST);
        split.new_starting_hash_key(hash_key.to_string()).send().await?;
        self.wait_until_active(stream).await
    }
}
