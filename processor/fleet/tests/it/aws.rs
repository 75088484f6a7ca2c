//! An endpoint, clients, and a few lines to make streams and look at raw items.

use std::collections::HashMap;
use std::time::Duration;

use aws_calls::RetryPolicy;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use ivs_emulator::{Clock, Config, Endpoint, FaultRule};
use kinesis_fleet::source::ReadBudgets;
use kinesis_fleet::{Fleet, FleetConfig, LeaseStore, Leases, ReaderSettings, WorkerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const STREAM: &str = "ivs-events";
pub(crate) const TABLE: &str = "ivs-processor";
/// So long that no lease is lost on a machine that is busy with other tests.
const CALM_FAILOVER_MS: u64 = 20_000;
/// So short that a test can wait for a lease to expire.
const QUICK_FAILOVER_MS: u64 = 6_000;

pub(crate) struct Aws {
    endpoint: Endpoint,
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
}

impl Aws {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    /// Returns a stream whose records age by hand.
    pub(crate) async fn with_aging_stream(shards: i32) -> (Self, Clock) {
        let clock = Clock::manual(1_750_000_000_000);
        let config = Config { clock: clock.clone(), ..Config::default() };
        let aws = Self::start_with(config).await;
        let request = aws.kinesis.create_stream().stream_name(STREAM).shard_count(shards);
        request.send().await.unwrap();
        clock.advance(1_000);
        (aws, clock)
    }

    async fn start_with(config: Config) -> Self {
        let endpoint = Endpoint::start(config).await.unwrap();
        let (url, region) = (endpoint.url().to_owned(), aws_config::Region::new("us-east-1"));
        let keys = aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(keys))
            .region(region)
            .endpoint_url(url)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self {
            kinesis: aws_sdk_kinesis::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            endpoint,
        }
    }

    /// Adds a fault to those in force.
    pub(crate) async fn add_fault(&self, rule: &FaultRule) {
        let (address, body) = (
            self.endpoint.url().trim_start_matches("http://"),
            serde_json::to_string(rule).unwrap(),
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /_local/faults HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    pub(crate) async fn with_stream(shards: i32) -> Self {
        let aws = Self::start().await;
        aws.create_stream(shards).await;
        aws
    }

    pub(crate) async fn create_stream(&self, shards: i32) {
        let request = self.kinesis.create_stream().stream_name(STREAM).shard_count(shards);
        request.send().await.unwrap();
        self.wait_active().await;
    }

    pub(crate) async fn wait_active(&self) {
        loop {
            let request = self.kinesis.describe_stream_summary().stream_name(STREAM);
            let summary = request.send().await.unwrap().stream_description_summary.unwrap();
            if summary.stream_status.as_str() == "ACTIVE" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn put(&self, key: &str, text: &str) {
        let request = self.kinesis.put_record().stream_name(STREAM).partition_key(key);
        request.data(Blob::new(text)).send().await.unwrap();
    }

    pub(crate) async fn split_shard(&self, shard: u32, middle: u128) {
        let request = self.kinesis.split_shard().stream_name(STREAM);
        let request = request.shard_to_split(format!("shardId-{shard:012}"));
        request.new_starting_hash_key(middle.to_string()).send().await.unwrap();
    }

    pub(crate) async fn merge_shards(&self, one: u32, other: u32) {
        let request = self.kinesis.merge_shards().stream_name(STREAM);
        let request = request
            .shard_to_merge(format!("shardId-{one:012}"))
            .adjacent_shard_to_merge(format!("shardId-{other:012}"));
        request.send().await.unwrap();
    }

    /// Splits the first shard in the middle of the key space.
    pub(crate) async fn split(&self) {
        let request = self.kinesis.split_shard().stream_name(STREAM);
        let request = request
            .shard_to_split("shardId-000000000000")
            .new_starting_hash_key((1_u128 << 127).to_string());
        request.send().await.unwrap();
        self.wait_active().await;
    }

    pub(crate) fn store(&self) -> LeaseStore {
        LeaseStore::new(&self.dynamodb, TABLE, Duration::from_secs(5))
    }

    /// Returns a row exactly as stored.
    pub(crate) async fn item(&self, key: &str) -> HashMap<String, AttributeValue> {
        let request = self.dynamodb.get_item().table_name(TABLE).consistent_read(true);
        let key = AttributeValue::S(key.to_owned());
        request.key("leaseKey", key).send().await.unwrap().item.unwrap()
    }

    pub(crate) fn config(&self, worker: &str) -> FleetConfig {
        FleetConfig {
            table: TABLE.into(),
            stream: STREAM.into(),
            worker_id: WorkerId::new(worker),
            failover_ms: CALM_FAILOVER_MS,
            scan_interval_ms: Some(300),
            sync_interval_ms: 1_000,
            ..FleetConfig::default()
        }
    }

    pub(crate) async fn worker(&self, name: &str) -> (Fleet, Leases) {
        self.worker_with(self.config(name)).await
    }

    /// Returns a worker whose leases expire soon.
    pub(crate) async fn quick_worker(&self, name: &str) -> (Fleet, Leases) {
        self.worker_with(FleetConfig { failover_ms: QUICK_FAILOVER_MS, ..self.config(name) }).await
    }

    pub(crate) async fn worker_with(&self, config: FleetConfig) -> (Fleet, Leases) {
        Fleet::start(config, self.kinesis.clone(), self.dynamodb.clone()).await.unwrap()
    }
}

pub(crate) fn reader_settings() -> ReaderSettings {
    ReaderSettings {
        poll_idle_ms: 50,
        budgets: ReadBudgets::unlimited(),
        retry: RetryPolicy { initial_ms: 10, max_ms: 50, attempts: 5 },
        ..ReaderSettings::default()
    }
}

/// Waits for `future`; a minute is far more than any of them takes.
pub(crate) async fn soon<F: std::future::IntoFuture>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("nothing happened for a minute")
}
