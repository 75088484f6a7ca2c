//! The configuration: defaults, then a TOML file, then the environment, then flags.
//!
//! Unknown keys are refused wherever they come from, so that a typing error never becomes a
//! silent default. [`load`] reads, [`Config::problems`] checks without touching the network.

pub(crate) mod breakdowns;
mod chaos;
mod layers;
mod metrics;
mod ops;
mod plain;
mod reconcile;
mod rules;
#[cfg(test)]
mod tests;

use ivs_core::decode::DecodeLimits;
use ivs_core::epoch::{LOGIC, ShardConfig};
use ivs_core::experience::AllowLists;
use serde::{Deserialize, Serialize};

pub use chaos::Chaos;
pub use layers::{ConfigError, Layers, load};
pub use metrics::{Metrics, SendAs};
pub use ops::Ops;
pub use reconcile::Reconcile;
pub use rules::Rules;

/// The whole configuration; every section has defaults.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Region and endpoints.
    pub aws: Aws,
    /// The stream that is read.
    pub stream: Stream,
    /// How shards are shared among workers.
    pub fleet: Fleet,
    /// The limits of one worker.
    pub worker: Worker,
    /// When epochs close, and what counts as a duplicate.
    pub epoch: Epoch,
    /// The values of each dimension that rows are broken down by; the rest is `other`. An empty list
    /// leaves its dimension out.
    pub breakdowns: AllowLists,
    /// The two tables.
    pub tables: Tables,
    /// CloudWatch.
    pub cloudwatch: CloudWatch,
    /// Which way metrics leave.
    pub metrics: Metrics,
    /// Domain events.
    pub events: Events,
    /// The output that waits for CloudWatch and the bus.
    pub outbox: Outbox,
    /// Archive and rejects.
    pub objects: Objects,
    /// Asking IVS for events that never came.
    pub reconcile: Reconcile,
    /// The operations server.
    pub ops: Ops,
    /// How the program stops.
    pub shutdown: Shutdown,
    /// When a stream's quality is bad, which is told on the bus. Given ones take the place of the
    /// default ones.
    pub rules: Rules,
    /// Faults between the program and its endpoint, for tests.
    pub chaos: Chaos,
}

/// Region and endpoints. Credentials come from the SDK's own chain, never from here.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// Region; empty leaves it to the SDK (environment, profile, instance).
    pub region: String,
    /// One endpoint for all services; empty means AWS, or what `AWS_ENDPOINT_URL` says.
    pub endpoint_url: String,
    /// Another endpoint for DynamoDB alone; empty means the first one.
    pub dynamodb_endpoint_url: String,
    /// Another endpoint for Kinesis alone; empty means the first one.
    pub kinesis_endpoint_url: String,
    /// Another endpoint for S3 alone; empty means the first one, or what `AWS_ENDPOINT_URL_S3`
    /// says.
    pub s3_endpoint_url: String,
}

impl Aws {
    /// Returns all endpoints, by their keys.
    fn endpoints(&self) -> [(&'static str, &str); 4] {
        [
            ("aws.endpoint_url", &self.endpoint_url),
            ("aws.dynamodb_endpoint_url", &self.dynamodb_endpoint_url),
            ("aws.kinesis_endpoint_url", &self.kinesis_endpoint_url),
            ("aws.s3_endpoint_url", &self.s3_endpoint_url),
        ]
    }
}

/// Where reading starts when a shard has no lease yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InitialPosition {
    /// At the oldest record the stream still holds.
    #[default]
    TrimHorizon,
    /// At the time the lease was created.
    Latest,
}

/// How records are fetched.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Consumer {
    /// GetRecords: 5 calls/s and 2 MB/s per shard, shared with all other pollers
    #[default]
    Polling,
    /// SubscribeToShard, enhanced fan-out: 2 MB/s per shard of our own
    Enhanced,
}

/// The stream that is read.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Where reading starts without a lease.
    pub initial_position: InitialPosition,
    /// How records are fetched.
    pub consumer: Consumer,
    /// Pause between two empty polls of a shard.
    pub poll_interval_ms: u64,
    /// Whether to keep to 5 calls/s and 2 MB/s per shard, as Kinesis demands.
    pub shard_budget: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            name: ivs_schemas::names::STREAM.to_owned(),
            initial_position: InitialPosition::default(),
            consumer: Consumer::default(),
            poll_interval_ms: 1_000,
            shard_budget: true,
        }
    }
}

/// How shards are shared among workers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// The lease table, KCL's application name.
    pub lease_table: String,
    /// This worker's id; empty makes one from host, process and start time. A fixed one is safe: a
    /// paused process and its successor are told apart by their lives.
    pub worker_id: String,
    /// A lease that was not renewed for this long may be taken.
    pub failover_ms: u64,
    /// Most shards this worker takes.
    pub max_leases: usize,
    /// How long epochs may go on being closed once a shard is wanted by another worker or this one
    /// stops. What is not committed by then is read again by the shard's next owner.
    pub hand_over_ms: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            lease_table: ivs_schemas::names::LEASE_TABLE.to_owned(),
            worker_id: String::new(),
            failover_ms: 10_000,
            max_leases: 1_000,
            // Of the five seconds in which a successor reads the shard; it sees a free lease
            // within one, and needs some calls to take it.
            hand_over_ms: 2_000,
        }
    }
}

/// When epochs close, and what counts as a duplicate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Epoch {
    /// An epoch closes this long after its first record.
    pub interval_ms: i64,
    /// Most rows it may touch.
    pub max_rows: usize,
    /// Most records it may hold.
    pub max_records: u64,
    /// Most payload it may hold.
    pub max_bytes: u64,
    /// How long an event id is remembered, by arrival; 0 turns it off.
    pub dedupe_horizon_ms: i64,
    /// How far an event may lie ahead of its arrival before it is rejected as `clock_skew`.
    pub max_ahead_ms: i64,
}

impl Default for Epoch {
    fn default() -> Self {
        let core = ivs_core::epoch::ShardConfig::default();
        Self {
            interval_ms: core.interval_ms,
            max_rows: core.max_rows,
            max_records: core.max_records,
            max_bytes: core.max_bytes,
            dedupe_horizon_ms: core.dedupe_horizon_ms,
            max_ahead_ms: core.decode.max_ahead_ms,
        }
    }
}

/// The two tables.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// Session facts and summaries.
    pub sessions: String,
    /// Per-minute rows.
    pub metrics: String,
    /// Most conditional puts in flight, over all shards of this worker.
    pub write_concurrency: usize,
    /// Most conditional puts a second, over all shards of this worker; 0 means no limit.
    pub writes_per_s: u32,
    /// Whether rows and facts are written up to 25 in a call (BatchExecuteStatement, allowed as
    /// `dynamodb:PartiQLInsert` and `dynamodb:PartiQLUpdate`), which costs as many write units and less
    /// CPU. One by one without.
    pub batch_writes: bool,
    /// Whether rows are read up to 100 in a call (BatchGetItem), which costs as many read units and less
    /// CPU. One by one without.
    pub batch_reads: bool,
    /// Rows expire this long after their minute; 0 keeps them.
    pub ttl_days: u32,
    /// The policy for a row that can never be written.
    pub refused_rows: RefusedRows,
}

/// The policy for a row that can never be written: DynamoDB calls the item invalid, or what is
/// stored under its key is not a row of ours. Failures that may pass are always tried again.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RefusedRows {
    /// The shard stops there: its epoch is tried again, after each failover, until the cause is
    /// removed. Lag grows and is alarmed; other shards go on.
    #[default]
    Stop,
    /// The epoch's share of the row is kept beside the rejected records, and the shard goes on.
    SetAside,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            sessions: ivs_schemas::names::SESSIONS_TABLE.to_owned(),
            metrics: ivs_schemas::names::METRICS_TABLE.to_owned(),
            write_concurrency: 64,
            writes_per_s: 2_000,
            batch_writes: true,
            batch_reads: true,
            ttl_days: 0,
            refused_rows: RefusedRows::default(),
        }
    }
}

/// The limits of one worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Memory in megabytes for what is read, folded and on its way out, over all shards. When it is
    /// reached the largest open epoch closes, then reading pauses.
    pub memory_mb: usize,
}

impl Default for Worker {
    fn default() -> Self {
        Self { memory_mb: 512 }
    }
}

impl Worker {
    /// Returns the bytes for images of rows, a part of the whole.
    #[must_use]
    pub fn row_cache_bytes(&self) -> usize {
        self.memory_mb * 1_024 * 1_024 / 8
    }

    /// Returns the bytes for what is read, folded and on its way out; the rest is the program's
    /// own, and what the allocator has between pieces. With five eighths, 1,000 shards took 1.31 times
    /// the whole.
    #[must_use]
    pub fn epochs_bytes(&self) -> u64 {
        self.memory_mb as u64 * 1_024 * 1_024 * 9 / 16
    }
}

/// CloudWatch.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloudWatch {
    /// Whether metrics are sent.
    pub enabled: bool,
    /// Datums in one PutMetricData call, at most 1,000. Where a second's calls would not carry an
    /// epoch's, calls grow up to that limit.
    pub metrics_batch: usize,
    /// Calls a second; AWS allows 500 PutMetricData calls per region to start with.
    pub calls_per_s: u32,
    /// Keys of `breakdowns` by which starts, failures, view time and stalled time of each channel are
    /// sent too, such as `country`: four metrics for each channel and value, which CloudWatch charges for.
    pub dimensions: Vec<String>,
}

impl Default for CloudWatch {
    fn default() -> Self {
        Self { enabled: true, metrics_batch: 20, calls_per_s: 50, dimensions: Vec::new() }
    }
}

/// The handling of metrics and domain events that their service does not acknowledge: they wait as
/// objects below `objects.rejects`, and the epoch is committed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbox {
    /// How long CloudWatch and the bus may fail before what they have not acknowledged is put there. The
    /// first rows of an outage come later by so much.
    pub patience_ms: u64,
    /// Most megabytes of a worker there; beyond that the oldest are given up, and counted.
    pub max_mb: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { patience_ms: 1_500, max_mb: 1_024 }
    }
}

impl Outbox {
    /// Returns the most bytes that a worker keeps there.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_mb.saturating_mul(1_024 * 1_024)
    }
}

/// Domain events.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Whether domain events are sent.
    pub enabled: bool,
    /// The bus they go to.
    pub bus: String,
}

impl Default for Events {
    fn default() -> Self {
        Self { enabled: true, bus: ivs_schemas::names::DOMAIN_BUS.to_owned() }
    }
}

/// Archive and rejects, as URLs (`file:///…` or `s3://bucket/prefix`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objects {
    /// Where rejected records are kept. They are never dropped, so this may not be empty.
    pub rejects: String,
    /// Where epochs are archived; empty archives nothing.
    pub archive: String,
}

impl Default for Objects {
    fn default() -> Self {
        Self { rejects: "file:rejects".to_owned(), archive: String::new() }
    }
}

/// How the program stops.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long open epochs may take to be committed; ECS kills after 120 s at the latest.
    pub deadline_ms: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { deadline_ms: 60_000 }
    }
}

impl Config {
    /// Returns everything that is wrong with the values, each as one sentence that names the key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |right: bool, text: &str| {
            if !right {
                problems.push(text.to_owned());
            }
        };
        check(!self.stream.name.is_empty(), "stream.name is empty");
        check(self.stream.poll_interval_ms >= 10, "stream.poll_interval_ms is below 10");
        check(!self.fleet.lease_table.is_empty(), "fleet.lease_table is empty");
        check(self.fleet.failover_ms >= 500, "fleet.failover_ms is below 500");
        check(self.fleet.max_leases > 0, "fleet.max_leases is 0");
        check(self.epoch.interval_ms >= 100, "epoch.interval_ms is below 100");
        check(self.epoch.max_rows > 0, "epoch.max_rows is 0");
        check(self.epoch.max_records > 0, "epoch.max_records is 0");
        check(self.epoch.max_bytes > 0, "epoch.max_bytes is 0");
        check(self.epoch.dedupe_horizon_ms >= 0, "epoch.dedupe_horizon_ms is negative");
        check(self.epoch.max_ahead_ms >= 0, "epoch.max_ahead_ms is negative");
        check(self.outbox.max_mb > 0, "outbox.max_mb is 0");
        check(self.worker.memory_mb >= 64, "worker.memory_mb is below 64");
        check(!self.tables.sessions.is_empty(), "tables.sessions is empty");
        check(!self.tables.metrics.is_empty(), "tables.metrics is empty");
        check(self.tables.write_concurrency > 0, "tables.write_concurrency is 0");
        check(
            (1..=1_000).contains(&self.cloudwatch.metrics_batch),
            "cloudwatch.metrics_batch is not between 1 and 1000, CloudWatch's limit",
        );
        check(self.cloudwatch.calls_per_s > 0, "cloudwatch.calls_per_s is 0");
        check(!self.events.enabled || !self.events.bus.is_empty(), "events.bus is empty");
        check(!self.objects.rejects.is_empty(), "objects.rejects is empty: rejects are kept");
        for (key, url) in
            [("objects.rejects", &self.objects.rejects), ("objects.archive", &self.objects.archive)]
        {
            let is_bucket = url
                .strip_prefix("s3://")
                .is_some_and(|rest| !rest.starts_with('/') && !rest.is_empty());
            let is_folder = url.strip_prefix("file:").is_some_and(|rest| !rest.is_empty());
            check(
                url.is_empty() || is_bucket || is_folder,
                &format!("{key} is `{url}`: write file:DIR, file:///DIR or s3://BUCKET/PREFIX"),
            );
        }
        for (key, url) in self.aws.endpoints() {
            check(
                url.is_empty() || url.starts_with("http://") || url.starts_with("https://"),
                &format!("{key} is `{url}`: write http://HOST:PORT or https://HOST"),
            );
        }
        problems.extend(breakdowns::problems(&self.breakdowns));
        let chosen = &self.cloudwatch.dimensions;
        problems.extend(breakdowns::problems_of_chosen(chosen, &self.breakdowns));
        problems.extend(self.rules.problems());
        problems.extend(self.metrics.problems());
        problems.extend(self.reconcile.problems());
        problems.extend(self.chaos.problems(&self.aws));
        problems.extend(self.ops.address().err());
        problems
    }
}

/// Returns how shards are processed, by the configuration.
pub(crate) fn shard_config(config: &Config) -> ShardConfig {
    let epoch = &config.epoch;
    ShardConfig {
        logic: if config.chaos.logic > 0 { config.chaos.logic } else { LOGIC },
        interval_ms: epoch.interval_ms,
        max_rows: epoch.max_rows,
        max_records: epoch.max_records,
        max_bytes: epoch.max_bytes,
        dedupe_horizon_ms: epoch.dedupe_horizon_ms,
        archive: !config.objects.archive.is_empty(),
        decode: DecodeLimits { max_ahead_ms: epoch.max_ahead_ms, ..DecodeLimits::default() },
        dimensions: Some(breakdowns::dimensions(&config.breakdowns)),
        ..ShardConfig::default()
    }
}
