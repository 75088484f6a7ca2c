//! The contract of the embedded EventBridge, told through the real SDK.

mod replays;
mod rules;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::{KinesisParameters, PutEventsRequestEntry, Target};
use aws_sdk_kinesis::types::ShardIteratorType;
use ivs_emulator::{Clock, Config, Endpoint};
use serde_json::Value;

use crate::clients;

/// Where the tests' clock begins: 2026-03-01T12:00:00.500Z.
const START_MS: u64 = 1_772_366_400_500;
const STREAM: &str = "ivs-events";

/// An endpoint whose time stands still unless a test moves it, with one stream of one shard.
struct Local {
    endpoint: Endpoint,
    client: Client,
    kinesis: aws_sdk_kinesis::Client,
    clock: Clock,
}

/// One record of the stream: its key and the event in it.
type Received = (String, Value);

impl Local {
    async fn start() -> Self {
        let local = Self::start_with(Config::default()).await;
        local.create_stream().await;
        local
    }

    async fn start_with(config: Config) -> Self {
        let clock = Clock::manual(START_MS);
        let endpoint = Endpoint::start(Config { clock: clock.clone(), ..config }).await.unwrap();
        let (client, kinesis) =
            (clients::eventbridge(endpoint.url()), clients::kinesis(endpoint.url()));
        Self { endpoint, client, kinesis, clock }
    }

    async fn create_stream(&self) {
        let create = self.kinesis.create_stream().stream_name(STREAM).shard_count(1);
        create.send().await.unwrap();
        self.clock.advance(100);
    }

    async fn put(&self, entries: Vec<PutEventsRequestEntry>) -> PutEventsOutput {
        self.client.put_events().set_entries(Some(entries)).send().await.unwrap()
    }

    /// A rule of the default bus whose events go to the stream, keyed by the first resource.
    async fn put_rule(&self, name: &str, pattern: &str) {
        self.client.put_rule().name(name).event_pattern(pattern).send().await.unwrap();
        let put = self.client.put_targets().rule(name).targets(stream_target());
        assert_eq!(put.send().await.unwrap().failed_entry_count(), 0);
    }

    /// Returns all records of the stream so far.
    async fn received(&self) -> Vec<Received> {
        let iterator = self.kinesis.get_shard_iterator().stream_name(STREAM);
        let iterator = iterator.shard_id("shardId-000000000000");
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut iterator = iterator.send().await.unwrap().shard_iterator;
        let mut received: Vec<Received> = Vec::new();
        while let Some(from) = iterator {
            let page = self.kinesis.get_records().shard_iterator(from).send().await.unwrap();
            if page.records.is_empty() {
                break;
            }
            received.extend(page.records.iter().map(|record| {
                let event = serde_json::from_slice(record.data.as_ref()).unwrap();
                (record.partition_key.clone().unwrap_or_default(), event)
            }));
            iterator = page.next_shard_iterator;
        }
        received
    }

    fn local(&self, request: &str) -> Value {
        let (status, body) =
            clients::http(self.endpoint.url(), &format!("{request} HTTP/1.1"), b"");
        assert_eq!(status, 200, "{request}");
        serde_json::from_slice(&body).unwrap()
    }
}

fn stream_target() -> Target {
    let parameters = KinesisParameters::builder().partition_key_path("$.resources[0]");
    let target = Target::builder().id("stream");
    let target = target.arn(format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"));
    target.kinesis_parameters(parameters.build().unwrap()).build().unwrap()
}

/// Returns a change of a stream's state, as IVS tells it.
fn entry(detail: &str) -> aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder {
    PutEventsRequestEntry::builder()
        .source("aws.ivs")
        .detail_type("IVS Stream State Change")
        .detail(detail)
}
