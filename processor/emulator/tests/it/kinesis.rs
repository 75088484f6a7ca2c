//! The contract of the embedded Kinesis, told through the real SDK.

mod bad_input;
mod consumers;
mod faults;
mod iterators;
mod limits;
mod records;
mod restart;
mod shards;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, ShardIteratorType};
use ivs_emulator::{Clock, Config, Endpoint};

use crate::clients;

/// Where the tests' clock begins.
const START_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;
const STREAM: &str = "events";

/// An endpoint whose time stands still unless a test moves it, and a client of it.
struct Local {
    endpoint: Endpoint,
    client: Client,
    clock: Clock,
}

impl Local {
    async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    async fn start_with(config: Config) -> Self {
        Self::start_at(config, START_MS).await
    }

    async fn start_at(config: Config, start_ms: u64) -> Self {
        let clock = Clock::manual(start_ms);
        let endpoint = Endpoint::start(Config { clock: clock.clone(), ..config }).await.unwrap();
        let client = clients::kinesis(endpoint.url());
        Self { endpoint, client, clock }
    }

    /// Makes the stream and lets it become ACTIVE.
    async fn create(&self, shards: i32) {
        self.client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        self.settle();
    }

    /// Lets a change of the stream settle.
    fn settle(&self) {
        self.clock.advance(100);
    }

    /// Puts a record; returns its shard and sequence number.
    async fn put(&self, key: &str, data: &[u8]) -> (String, String) {
        let request = self.client.put_record().stream_name(STREAM).partition_key(key);
        let done = request.data(Blob::new(data)).send().await.unwrap();
        (done.shard_id, done.sequence_number)
    }

    /// Puts a record by hash key; returns its shard and sequence number.
    async fn put_hash(&self, hash: u128, data: &[u8]) -> (String, String) {
        let request = self.client.put_record().stream_name(STREAM).partition_key("k");
        let request = request.explicit_hash_key(hash.to_string()).data(Blob::new(data));
        let done = request.send().await.unwrap();
        (done.shard_id, done.sequence_number)
    }

    async fn iterator(&self, shard: &str, kind: ShardIteratorType) -> String {
        let request = self.client.get_shard_iterator().stream_name(STREAM).shard_id(shard);
        let done = request.shard_iterator_type(kind).send().await.unwrap();
        done.shard_iterator.unwrap()
    }

    async fn get(&self, iterator: &str) -> GetRecordsOutput {
        self.client.get_records().shard_iterator(iterator).send().await.unwrap()
    }

    /// Returns the data of all records of a shard, from the horizon to the tip or the end.
    async fn read_all(&self, shard: &str) -> Vec<Vec<u8>> {
        let mut iterator = self.iterator(shard, ShardIteratorType::TrimHorizon).await;
        let mut data = Vec::new();
        loop {
            let page = self.get(&iterator).await;
            data.extend(page.records.iter().map(|record| record.data.as_ref().to_vec()));
            match page.next_shard_iterator {
                Some(next) if !page.records.is_empty() => iterator = next,
                _ => return data,
            }
        }
    }

    async fn shards(&self) -> Vec<Shard> {
        self.client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap()
    }

    async fn split(&self, shard: &str, middle: u128) {
        let request = self.client.split_shard().stream_name(STREAM).shard_to_split(shard);
        request.new_starting_hash_key(middle.to_string()).send().await.unwrap();
        self.settle();
    }

    async fn merge(&self, one: &str, other: &str) {
        let request = self.client.merge_shards().stream_name(STREAM).shard_to_merge(one);
        request.adjacent_shard_to_merge(other).send().await.unwrap();
        self.settle();
    }
}

fn shard_id(index: u32) -> String {
    format!("shardId-{index:012}")
}

fn entry(key: &str, data: &[u8]) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
}

fn texts(data: &[Vec<u8>]) -> Vec<&str> {
    data.iter().map(|data| std::str::from_utf8(data).unwrap()).collect()
}
