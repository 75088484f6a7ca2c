//! The rights that the CDK app grants, against the calls that are made: nothing is called that is not
//! granted, and nothing is granted that is not called. (Objects are files here, so S3's are not seen.)

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{Shard, StreamStatus};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::names;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::domain::admin::Admin;
use crate::process::{Program, Running, state};
use crate::runtime_api::invoke;

/// The actions of each role with everything switched on; `infra/cdk/test/actions.test.ts` writes them.
const GRANTED: &str = include_str!("../../infra/cdk/test/__snapshots__/actions.json");
/// The access keys of the roles.
const WORKER: &str = "AKIAWORKER";
const REPORT: &str = "AKIAREPORT";
const CHANNEL: &str = "arn:aws:ivs:us-east-1:111122223333:channel/c";
/// The id of a stream, which has 26 characters.
const SESSION: &str = "st-00000000000000000000001";
/// Whatever takes longer never happens.
const NEVER: Duration = Duration::from_secs(180);

type Actions = BTreeSet<String>;

fn granted(role: &str) -> Actions {
    let all: Value = serde_json::from_str(GRANTED).unwrap();
    let actions = all[role].as_array().unwrap_or_else(|| panic!("no role {role}"));
    actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// A worker reads by polling, asks IVS and dies; the next takes its shard over and reads it by enhanced
/// fan-out while it is split and merged; the last finds leases that nobody needs any more.
#[tokio::test]
async fn a_worker_makes_the_calls_that_its_role_grants_and_no_other() {
    let world = World::new().await;
    let start = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
    let kind = names::STREAM_STATE_CHANGE;
    world.admin().streams(&[json!({
        "channelArn": CHANNEL, "streamId": SESSION, "startTime": start,
        "truncatedEvents": [{ "name": "Stream Start", "type": kind, "eventTime": start }],
    })]);
    let mut first = world.worker("first", &["--reconcile"]);
    world.until_called(&["kinesis:PutRecords", "ivs:GetStreamSession"]).await;
    world.put(0).await;
    world.until_called(&["events:PutEvents", "cloudwatch:PutMetricData"]).await;
    // A window that is over is judged by what is stored of it.
    world.until_called(&[&format!("dynamodb:Query {}", names::METRICS_TABLE)]).await;
    first.kill_9();

    // What fails in company goes alone.
    let admin = world.admin();
    for operation in ["BatchExecuteStatement", "BatchGetItem"] {
        admin.fault(&json!({ "service": "dynamodb", "operation": operation, "kind": "error" }));
    }
    let second = world.worker("second", &["--consumer", "enhanced"]);
    world.until_called(&["kinesis:SubscribeToShard"]).await;
    let shards = world.open_shards().await;
    world.split(&shards[0]).await;
    // Both children are begun, so that their parent's lease may go.
    world.put(0).await;
    world.put(u128::MAX).await;
    world.until_all_is_committed().await;
    let alone = ["GetItem", "PutItem"].map(|operation| {
        [names::METRICS_TABLE, names::SESSIONS_TABLE]
            .map(|table| format!("dynamodb:{operation} {table}"))
    });
    world.until_called(&alone.as_flattened().iter().map(String::as_str).collect::<Vec<_>>()).await;
    admin.clear_faults();
    let shards = world.open_shards().await;
    world.merge(&shards[0], &shards[1]).await;
    // Who finishes one parent looks up the other.
    world.until_called(&[&format!("dynamodb:GetItem {}", names::LEASE_TABLE)]).await;

    let third = world.worker("third", &[]);
    world.until_called(&[&format!("dynamodb:DeleteItem {}", names::LEASE_TABLE)]).await;
    third.stop_in_order();
    second.stop_in_order();
    assert_eq!(world.called(WORKER), granted("worker"));
}

/// One channel on a day, every channel, and a channel of which nothing is known.
#[tokio::test]
async fn the_report_function_makes_the_calls_that_its_role_grants_and_no_other() {
    let world = World::new().await;
    world.put(0).await;
    let worker = world.worker("worker", &[]);
    world.until_all_is_committed().await;
    worker.stop_in_order();
    let function = Program::new(&["report", "lambda", "--endpoint-url", &world.url])
        .env("AWS_ACCESS_KEY_ID", REPORT)
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("REPORT_OUT", format!("file://{}", world.dir.path().display()));
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let requests = vec![
        json!({ "channelId": "c", "date": today }),
        json!({ "date": today }),
        json!({ "channelId": "nobody", "date": today }),
    ];
    // The endpoint is another process, so this thread may wait.
    let outcomes = invoke(function, requests);
    assert!(outcomes[0].is_success && outcomes[1].is_success, "{outcomes:?}");
    assert_eq!(world.called(REPORT), granted("report"));
}

struct World {
    dir: tempfile::TempDir,
    url: String,
    _endpoint: Running,
    aws: Clients,
    /// The minute of all records: the last one of a window that is over, so the window before it can be
    /// judged. One for all, so that its row is made once and changed after that.
    minute: String,
}

impl World {
    /// A stream of one shard.
    async fn new() -> Self {
        let (url, endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
            .args(&["--shards", "1", "--state", ":memory:"])
            .start()
            .wait_for_ready();
        let aws = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
        let window_s = Timestamp::now().as_second() / 300 * 300;
        let minute = Timestamp::from_second(window_s - 60).unwrap().to_string();
        Self { dir: state(), url, _endpoint: endpoint, aws, minute }
    }

    fn admin(&self) -> Admin<'_> {
        Admin::new(&self.url)
    }

    /// Starts a worker with the access key of the worker's role.
    fn worker(&self, id: &str, args: &[&str]) -> Running {
        let folder = |name: &str| format!("file://{}", self.dir.path().join(name).display());
        let log = self.dir.path().join(format!("{id}.log"));
        Program::new(&["worker", "--endpoint-url", &self.url])
            .args(args)
            .args(&["--set".to_owned(), format!("fleet.worker_id={id}")])
            .args(&["--set", "fleet.failover_ms=3000", "--set", "epoch.interval_ms=500"])
            .args(&["--set", "reconcile.interval_ms=1000", "--set", "reconcile.grace_ms=1000"])
            .args(&["--set", "stream.poll_interval_ms=100", "--set", "stream.shard_budget=false"])
            .args(&["--set".to_owned(), format!("objects.rejects={}", folder("rejects"))])
            .args(&["--set".to_owned(), format!("objects.archive={}", folder("archive"))])
            .env("AWS_ACCESS_KEY_ID", WORKER)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .log_to(&log)
            .start()
    }

    fn called(&self, access_key: &str) -> Actions {
        self.admin().calls(access_key)
    }

    async fn until_called(&self, actions: &[&str]) {
        let wanted = actions.iter().map(|action| (*action).to_owned()).collect();
        until(&format!("{actions:?} are called"), async || {
            Actions::is_subset(&wanted, &self.called(WORKER))
        })
        .await;
    }

    /// Puts a session's start and a minute of it into the shard of a hash key.
    async fn put(&self, hash_key: u128) {
        let now = Timestamp::now();
        for kind in ["stream_start", "metrics_update"] {
            let event = json!({
                "eventType": kind, "eventId": format!("{kind}-{hash_key}-{now}"),
                "sessionId": SESSION, "channelId": "c", "timestamp": self.minute, "currentViewers": 7,
            });
            let put = self.aws.kinesis.put_record().stream_name(names::STREAM).partition_key("k");
            let put = put.explicit_hash_key(hash_key.to_string());
            put.data(Blob::new(event.to_string())).send().await.unwrap();
        }
    }

    async fn open_shards(&self) -> Vec<Shard> {
        let shards =
            self.aws.kinesis.list_shards().stream_name(names::STREAM).send().await.unwrap();
        let mut shards = shards.shards.unwrap();
        shards.retain(|shard| {
            let range = shard.sequence_number_range.as_ref().unwrap();
            range.ending_sequence_number.is_none()
        });
        shards
    }

    async fn split(&self, shard: &Shard) {
        let split = self.aws.kinesis.split_shard().stream_name(names::STREAM);
        let split = split.shard_to_split(&shard.shard_id);
        split.new_starting_hash_key((1_u128 << 127).to_string()).send().await.unwrap();
        self.until_active().await;
    }

    async fn merge(&self, one: &Shard, other: &Shard) {
        let merge = self.aws.kinesis.merge_shards().stream_name(names::STREAM);
        let merge = merge.shard_to_merge(&one.shard_id);
        merge.adjacent_shard_to_merge(&other.shard_id).send().await.unwrap();
        self.until_active().await;
    }

    async fn until_active(&self) {
        until("the stream is active", async || {
            let summary = self.aws.kinesis.describe_stream_summary().stream_name(names::STREAM);
            let summary = summary.send().await.unwrap().stream_description_summary.unwrap();
            summary.stream_status == StreamStatus::Active
        })
        .await;
    }

    /// Waits until every lease of an open shard stands behind a record.
    async fn until_all_is_committed(&self) {
        let leases = kinesis_fleet::LeaseStore::new(
            &self.aws.dynamodb,
            names::LEASE_TABLE,
            Duration::from_secs(10),
        );
        until("every open shard is begun", async || {
            let rows = leases.list().await.unwrap();
            let open = self.open_shards().await;
            open.iter().all(|shard| {
                let row = rows.iter().find(|row| row.key.as_str() == shard.shard_id);
                row.is_some_and(kinesis_fleet::Lease::is_begun)
            })
        })
        .await;
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < NEVER, "{what}: never");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
