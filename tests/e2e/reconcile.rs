//! Events of IVS that EventBridge never brought: one worker of a fleet asks for them, and then the next one.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::items::sessions;
use ivs_schemas::names;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::domain::admin::Admin;
use crate::ops::status;
use crate::process::{PATIENCE, Program, Running, state};

type Item = HashMap<String, AttributeValue>;

const CHANNEL: &str = "arn:aws:ivs:us-east-1:111122223333:channel/c";
/// The ids of two streams: IVS's have 26 characters.
const FIRST: &str = "st-00000000000000000000001";
const SECOND: &str = "st-00000000000000000000002";
/// Long enough that a busy machine does not lose leases by itself.
const FAILOVER_MS: u64 = 6_000;

/// A session that began an hour ago, of which nothing came through EventBridge; as IVS tells of it.
struct Session {
    start: Timestamp,
}

impl Session {
    fn new() -> Self {
        let start = Timestamp::now() - SignedDuration::from_hours(1);
        Self { start: Timestamp::from_second(start.as_second()).unwrap() }
    }

    fn end(&self) -> Timestamp {
        self.start + SignedDuration::from_mins(50)
    }

    /// Its events: name and time.
    fn events(&self, is_over: bool) -> Vec<(&'static str, Timestamp)> {
        let mut events = vec![("Session Created", self.start), ("Stream Start", self.start)];
        if is_over {
            events.extend([("Stream End", self.end()), ("Session Ended", self.end())]);
        }
        events
    }

    fn told(&self, is_over: bool) -> Value {
        let event = |(name, time): (&str, Timestamp)| {
            let kind = names::STREAM_STATE_CHANGE;
            json!({ "name": name, "type": kind, "eventTime": time.to_string() })
        };
        let events: Vec<_> = self.events(is_over).into_iter().map(event).collect();
        let mut told = json!({
            "channelArn": CHANNEL,
            "streamId": FIRST,
            "startTime": self.start.to_string(),
            "ingestConfiguration": {
                "video": {
                    "codec": "avc1.4D401F", "encoder": "obs", "videoWidth": 1280, "videoHeight": 720,
                    "targetFramerate": 30, "targetBitrate": 3_500_000,
                },
                "audio": { "codec": "mp4a.40.2", "channels": 2, "sampleRate": 48_000 },
            },
            "truncatedEvents": events,
        });
        if is_over {
            told["endTime"] = self.end().to_string().into();
        }
        told
    }
}

#[tokio::test]
async fn what_eventbridge_lost_is_repaired_by_one_worker_and_then_by_the_next() {
    let dir = state();
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "1", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let admin = Admin::new(&url);
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let session = Session::new();
    admin.streams(&[session.told(false)]);

    let (mut first, first_ops) = worker(&url, dir.path(), "first");
    until("the start is repaired", async || {
        summary(&clients, FIRST).await.is_some_and(|row| text(&row, sessions::STATUS) == "live")
    })
    .await;
    until("the encoder is known", async || {
        let row = summary(&clients, FIRST).await;
        row.is_some_and(|row| row.contains_key(sessions::INGEST_CONFIGURATION))
    })
    .await;
    let row = summary(&clients, FIRST).await.unwrap();
    assert_eq!(number(&row, sessions::STARTED_AT), session.start.as_second().to_string());
    assert_eq!(text(&row, sessions::CHANNEL_ID), "c");
    let encoder = row[sessions::INGEST_CONFIGURATION].as_m().unwrap();
    assert_eq!(text(encoder, sessions::ingest::VIDEO_CODEC), "avc1.4D401F");
    assert_eq!(number(encoder, sessions::ingest::HEIGHT), "720");
    assert_eq!(number(encoder, sessions::ingest::SAMPLE_RATE), "48000");

    // A second worker holds no shard, and so asks nothing while the first one lives.
    let (second, second_ops) = worker(&url, dir.path(), "second");
    until("the second has joined", async || !status(&second_ops)["worker"].is_null()).await;
    let asked = rounds(&first_ops);
    until("the first goes on asking", async || rounds(&first_ops) > asked + 3).await;
    assert_eq!(rounds(&second_ops), 0);
    first.kill_9();
    until("the second takes over", async || rounds(&second_ops) > 0).await;
    admin.streams(&[session.told(true)]);
    // The summary, four facts, and the markers of its start and its end.
    until("the end is repaired", async || stored(&clients, FIRST).await.len() == 7).await;
    let repaired = items(&clients, FIRST).await;
    let row = summary(&clients, FIRST).await.unwrap();
    assert_eq!(text(&row, sessions::STATUS), "ended");
    assert_eq!(number(&row, sessions::ENDED_AT), session.end().as_second().to_string());
    assert_eq!(number(&row, sessions::DURATION), "3000");

    // All of it comes after all, an hour late; another session's start behind it tells when it is read.
    for (name, time) in session.events(true) {
        send(&clients, FIRST, name, time).await;
    }
    send(&clients, SECOND, "Stream Start", session.start).await;
    until("what was late is read", async || summary(&clients, SECOND).await.is_some()).await;
    assert_eq!(items(&clients, FIRST).await, repaired, "a late event changed the rows");
    second.signal("TERM");
    let totals: Value = serde_json::from_str(second.end_well().trim()).unwrap();
    // Of the end alone: what the rows held already was not put again.
    assert_eq!(totals["reconciledEvents"], 2, "{totals}");
}

fn worker(url: &str, dir: &Path, id: &str) -> (Running, String) {
    let mut worker = Program::new(&["worker", "--reconcile", "--endpoint-url", url])
        .args(&["--set".to_owned(), format!("fleet.worker_id={id}")])
        .args(&["--set".to_owned(), format!("fleet.failover_ms={FAILOVER_MS}")])
        .args(&["--set", "reconcile.interval_ms=1000", "--set", "reconcile.grace_ms=1000"])
        .args(&["--set", "epoch.interval_ms=1000", "--set", "stream.poll_interval_ms=100"])
        .args(&["--set", "stream.shard_budget=false", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
        .start();
    let address = worker.ops_address();
    (worker, address)
}

/// Returns how many rounds a worker has made; none while it starts.
fn rounds(address: &str) -> u64 {
    status(address)["worker"]["totals"]["reconcileRounds"].as_u64().unwrap_or(0)
}

/// Puts the event of IVS itself, as EventBridge would have.
async fn send(clients: &Clients, stream_id: &str, name: &str, time: Timestamp) {
    let event = json!({
        "version": "0", "id": format!("{stream_id} {name}"), "source": names::IVS_SOURCE,
        "detail-type": names::STREAM_STATE_CHANGE, "account": "111122223333",
        "time": time.to_string(), "region": "us-east-1", "resources": [CHANNEL],
        "detail": { "event_name": name, "channel_name": "", "stream_id": stream_id },
    });
    let put = clients.kinesis.put_record().stream_name(names::STREAM).partition_key(CHANNEL);
    put.data(Blob::new(event.to_string())).send().await.unwrap();
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn summary(clients: &Clients, session_id: &str) -> Option<Item> {
    let is_summary = |item: &Item| number(item, sessions::TIMESTAMP) == "0";
    stored(clients, session_id).await.into_iter().find(is_summary)
}

/// Returns all items of a session in the order of their keys, without what every write counts.
async fn items(clients: &Clients, session_id: &str) -> Vec<Item> {
    let mut items = stored(clients, session_id).await;
    for item in &mut items {
        item.remove(sessions::APPLIED);
        item.remove(sessions::VERSION);
    }
    items
}

/// Reads all items of a session. An endpoint on a busy machine may take longer than a call does; then it
/// is asked again.
async fn stored(clients: &Clients, session_id: &str) -> Vec<Item> {
    let query = clients.dynamodb.query().table_name(names::SESSIONS_TABLE).consistent_read(true);
    let query = query.key_condition_expression("#id = :id");
    let query = query.expression_attribute_names("#id", sessions::SESSION_ID);
    let id = AttributeValue::S(session_id.to_owned());
    let query = query.expression_attribute_values(":id", id);
    let since = Instant::now();
    loop {
        match query.clone().send().await {
            Ok(page) => return page.items.unwrap_or_default(),
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error:?}"),
        }
    }
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

fn number<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_n().unwrap()
}
