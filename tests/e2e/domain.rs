//! Domain events as a consumer of the bus gets them: through two crashes every start and every end
//! of a session is told, and told once to whoever drops repeated ids.

pub(crate) mod admin;
pub(crate) mod consumer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::Datapoint;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::catalogue::metrics::STREAMS_STARTED;
use ivs_schemas::contract::{CONTRACTS, Direction};
use ivs_schemas::items::sessions;
use ivs_schemas::names;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::metrics::oracle::Oracle;
use crate::process::{PATIENCE, Program, state};
use admin::Admin;
use consumer::Consumer;

/// Long enough that a busy machine does not lose leases by itself: a worker that does starts its epoch
/// again and again, and comes to no event.
const FAILOVER_MS: u64 = 15_000;
/// A call that waits this long is never carried out: whoever made it is killed long before.
const NEVER_MS: u64 = 600_000;

#[tokio::test]
async fn a_consumer_of_the_bus_is_told_every_start_and_end_once_through_two_crashes() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    Program::new(&["generate", "--for", "600s", "--seed", "11", "--out"])
        .arg(&input)
        .args(&["--channels", "300", "--viewers", "300"])
        .run_to_end();
    let expected = Oracle::read(&std::fs::read(&input).unwrap()).told();
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "3", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let admin = Admin::new(&url);
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let consumer = Consumer::subscribe(&clients).await;
    Program::new(&["generate", "--endpoint-url", &url, "--input"]).arg(&input).run_to_end();

    // First crash: starts are stored and none is told.
    admin.fault(&json!({ "operation": "PutEvents", "kind": { "delay_ms": NEVER_MS } }));
    let mut running = worker(&url, dir.path()).start();
    until("a start is stored", async || has_milestones(&clients).await).await;
    running.kill_9();
    admin.clear_faults();
    assert!(consumer.received().await.is_empty(), "the worker was killed before it told anything");

    // Second crash: some of an epoch's events are told. Every second call hangs, so no shard comes
    // to its commit; so do metrics, for which events do not wait.
    admin.fault(&json!({ "service": "monitoring", "kind": { "delay_ms": NEVER_MS } }));
    admin.fault(&json!({
        "operation": "PutEvents",
        "every_nth": 2,
        "kind": { "delay_ms": NEVER_MS },
    }));
    let mut running = worker(&url, dir.path()).start();
    until("an event arrives", async || !consumer.received().await.is_empty()).await;
    running.kill_9();
    admin.clear_faults();
    let before = consumer.received().await.len();
    assert!(before < expected.len(), "{before} were told before the second crash");

    worker(&url, dir.path()).arg("--until-drained").start().ends_well();
    until("all is delivered", async || admin.has_delivered()).await;
    let received = consumer.received().await;
    let once = without_repeats(&received);
    println!("{} before the second crash, {} in all, {} once", before, received.len(), once.len());
    assert!(once.len() < received.len(), "what was told before the crash is told again after it");
    let mut told: Vec<(String, String)> = once.values().filter_map(|event| told(event)).collect();
    told.sort();
    assert_eq!(told, expected);
}

/// EventBridge replays an archive under a name, and IVS itself may tell a thing twice, each time with
/// another id: a stream starts once, on the bus and in the metric, in one epoch and in the next.
#[tokio::test]
async fn a_start_that_eventbridge_sends_again_is_told_and_counted_once() {
    let dir = state();
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "1", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let consumer = Consumer::subscribe(&clients).await;
    let now = jiff::Timestamp::now();
    let mut start = json!({
        "version": "0", "id": "first", "detail-type": names::STREAM_STATE_CHANGE,
        "source": names::IVS_SOURCE, "account": "111122223333", "time": now.to_string(),
        "region": "us-east-1", "resources": ["arn:aws:ivs:us-east-1:111122223333:channel/c"],
        "detail": { "event_name": "Stream Start", "channel_name": "", "stream_id": "st-1" },
    });
    let mut send = async |id: &str, replay: Option<&str>| {
        start["id"] = id.into();
        if let Some(name) = replay {
            start["replay-name"] = name.into();
        }
        let put = clients.kinesis.put_record().stream_name(names::STREAM).partition_key("k");
        let data = aws_sdk_kinesis::primitives::Blob::new(start.to_string());
        put.data(data).send().await.unwrap();
    };
    send("first", None).await;
    send("second", Some("replay")).await;
    worker(&url, dir.path()).arg("--until-drained").start().ends_well();
    send("third", Some("another replay")).await;
    send("first", Some("replay")).await;
    worker(&url, dir.path()).arg("--until-drained").start().ends_well();
    let admin = Admin::new(&url);
    until("all is delivered", async || admin.has_delivered()).await;
    let received = consumer.received().await;
    let told: Vec<_> = received.iter().filter_map(told).collect();
    assert_eq!(told, [("st-1".to_owned(), "Session Started".to_owned())]);
    let at = |s: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(now.as_second() + s);
    let sums = clients.cloudwatch.get_metric_statistics();
    let sums = sums.namespace(STREAMS_STARTED.namespace.as_str()).metric_name(STREAMS_STARTED.name);
    let sums = sums.start_time(at(-3_600)).end_time(at(3_600)).period(60);
    let sums = sums.statistics(aws_sdk_cloudwatch::types::Statistic::Sum).send().await.unwrap();
    let sums: Vec<_> = sums.datapoints().iter().filter_map(Datapoint::sum).collect();
    assert_eq!(sums, [1.0]);
}

fn worker(url: &str, dir: &Path) -> Program {
    Program::new(&["worker", "--endpoint-url", url])
        .args(&["--set".to_owned(), format!("fleet.failover_ms={FAILOVER_MS}")])
        .args(&["--set", "epoch.interval_ms=1000"])
        .args(&["--set", "stream.poll_interval_ms=100", "--set", "stream.shard_budget=false"])
        .args(&["--set", "tables.writes_per_s=0", "--set", "cloudwatch.metrics_batch=500"])
        // The input is ten minutes long and is sent at once.
        .args(&["--set", "epoch.max_ahead_ms=3600000", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
}

pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns whether the table's first page holds anything that is to be told. An endpoint on a busy
/// machine may take longer than a call does; then it is asked again.
async fn has_milestones(clients: &Clients) -> bool {
    let request = clients.dynamodb.scan().table_name(names::SESSIONS_TABLE);
    let request = request.select(Select::Count).filter_expression("begins_with(#kind, :kind)");
    let request = request.expression_attribute_names("#kind", sessions::EVENT_TYPE);
    let kind = AttributeValue::S("milestone".to_owned());
    let page = request.expression_attribute_values(":kind", kind).send().await;
    page.is_ok_and(|page| page.count > 0)
}

/// Returns what the consumer keeps: the first of the events with one id, each valid by its schema.
pub(crate) fn without_repeats(received: &[Value]) -> BTreeMap<&str, &Value> {
    let mut schemas: BTreeMap<&str, Validator> = BTreeMap::new();
    let mut once = BTreeMap::new();
    for event in received {
        let kind = event["detail-type"].as_str().unwrap();
        let schema = schemas.entry(kind).or_insert_with(|| schema(kind));
        let errors: Vec<String> =
            schema.iter_errors(&event["detail"]).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {event}");
        let first = once.entry(event["detail"]["eventId"].as_str().unwrap()).or_insert(event);
        assert_eq!(told(first), told(event), "two things with one id");
    }
    once
}

/// Returns the published schema of a `detail-type`.
fn schema(kind: &str) -> Validator {
    let is_of =
        |c: &&ivs_schemas::contract::Contract| c.direction == Direction::Output && c.title == kind;
    let name = CONTRACTS.iter().find(is_of).unwrap_or_else(|| panic!("no schema of {kind}")).name;
    let path = format!("{}/../schemas/json/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Session and kind of a start or an end.
pub(crate) fn told(event: &Value) -> Option<(String, String)> {
    let kind = event["detail-type"].as_str().unwrap();
    let session = event["detail"]["sessionId"].as_str()?;
    let is_one = ["Session Started", "Session Ended"].contains(&kind);
    is_one.then(|| (session.to_owned(), kind.to_owned()))
}
