//! Rules about streams: what workers put on the bus, and the same once more from their archive.

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::names;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::domain::admin::Admin;
use crate::domain::consumer::Consumer;
use crate::domain::{until, without_repeats};
use crate::process::{Program, state};

const WINDOW_S: i64 = 300;
/// Entries of a call.
const CALL: usize = 400;
/// The first worker reads up to this minute, in the middle of a window.
const CUT_MINUTE: i64 = 32;

/// Streams, five minutes a letter: `B` bad, `g` good, `.` nothing at all.
const STREAMS: [(&str, &str, i64); 3] = [
    ("st-flapping", "gBgBgBggggggg", 100),
    ("st-with-gaps", "gBB...gBBgggg", 100),
    ("st-of-few", "gBBBBBggggggg", 4),
];

const RULES: &str = r#"
[[rules]]
name = "frames"
figure = "frame_rate"
bad_when = "below"
threshold = 20.0

[[rules]]
name = "stalls"
figure = "rebuffering"
bad_when = "above"
threshold = 5.0
recover = 3.0
minimum_audience = 50
bad = 2
of = 3
suppress_minutes = 10
"#;

#[tokio::test]
async fn the_archive_gives_the_events_of_the_rules_that_workers_told() {
    let dir = state();
    let config = dir.path().join("rules.toml");
    std::fs::write(&config, RULES).unwrap();
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "2", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let consumer = Consumer::subscribe(&clients).await;

    // Two workers, one after the other: the second judges from rows that the first has written.
    let records = records();
    let cut = records.partition_point(|(minute, ..)| *minute < CUT_MINUTE);
    for part in [&records[..cut], &records[cut..]] {
        put(&clients, part).await;
        worker(&url, dir.path(), &config).start().ends_well();
    }
    let admin = Admin::new(&url);
    until("all is delivered", async || admin.has_delivered()).await;
    let received = consumer.received().await;
    let online: BTreeMap<_, _> = without_repeats(&received)
        .into_iter()
        .filter(|(_, event)| is_of_a_window(event))
        .map(|(id, event)| (id.to_owned(), event.clone()))
        .collect();

    let out = dir.path().join("events.ndjson");
    let said = Program::new(&["replay", "--config"])
        .arg(&config)
        .arg(dir.path().join("archive"))
        .arg("--events-out")
        .arg(&out)
        .run_to_end();
    let again = read(&out);
    assert!(said.contains(&format!("events written    {:>10}", again.len())), "{said}");
    assert_eq!(again.keys().collect::<Vec<_>>(), online.keys().collect::<Vec<_>>());
    for event in received.iter().filter(|event| is_of_a_window(event)) {
        let replayed = &again[event["detail"]["eventId"].as_str().unwrap()];
        assert_eq!(replayed["detail-type"], event["detail-type"]);
        assert_eq!(replayed["detail"], event["detail"]);
    }
    assert_eq!(
        [
            told(&again, "Quality Degraded", "frames", "st-flapping"),
            told(&again, "Quality Recovered", "frames", "st-flapping"),
            told(&again, "Quality Degraded", "stalls", "st-with-gaps"),
            told(&again, "Quality Recovered", "stalls", "st-with-gaps"),
            told(&again, "Quality Degraded", "frames", "st-of-few"),
            told(&again, "Quality Degraded", "stalls", "st-of-few"),
        ],
        [3, 3, 2, 2, 1, 0],
        "{again:#?}"
    );
}

/// Returns minute, partition key and data of each record, by time.
fn records() -> Vec<(i64, &'static str, Value)> {
    let hours_ago = (Timestamp::now() - 2.hours()).as_second();
    let base = hours_ago - hours_ago.rem_euclid(WINDOW_S);
    let mut records = Vec::new();
    for (session, windows, viewers) in STREAMS {
        let head = |kind: &str, key: &str, at: i64| {
            let time = Timestamp::from_second(base + at).unwrap().to_string();
            json!({
                key: kind, "sessionId": session, "channelId": format!("ch-{session}"),
                "timestamp": time, "eventId": format!("{session}/{kind}/{at}"),
            })
        };
        records.push((0, session, head("stream_start", "eventType", 0)));
        for (minute, kind) in (0..).zip(windows.chars().flat_map(|kind| [kind; 5])) {
            let (frame_rate, buffering_ms) = match kind {
                'B' => (12, 1_000),
                'g' => (30, 0),
                _ => continue,
            };
            let mut gauge = head("metrics_update", "eventType", minute * 60 + 5);
            gauge["currentViewers"] = viewers.into();
            gauge["frameRate"] = frame_rate.into();
            let mut player = head("player_telemetry", "type", minute * 60 + 10);
            player["schemaVersion"] = 1.into();
            player["playerId"] = "p-1".into();
            player["state"] = "PLAYING".into();
            player["playingMs"] = (10_000 - buffering_ms).into();
            player["bufferingMs"] = buffering_ms.into();
            records.extend([(minute, session, gauge), (minute, session, player)]);
        }
    }
    records.sort_by_key(|(minute, ..)| *minute);
    records
}

/// Puts records, those of a session into one shard in their order.
async fn put(clients: &Clients, records: &[(i64, &str, Value)]) {
    for call in records.chunks(CALL) {
        let entries = call.iter().map(|(_, session, data)| {
            let entry = PutRecordsRequestEntry::builder().partition_key(*session);
            entry.data(Blob::new(data.to_string())).build().unwrap()
        });
        let put = clients.kinesis.put_records().stream_name(names::STREAM);
        let answer = put.set_records(Some(entries.collect())).send().await.unwrap();
        assert_eq!(answer.failed_record_count, Some(0));
    }
}

/// Few records an epoch, so that windows close in many.
fn worker(url: &str, dir: &Path, config: &Path) -> Program {
    Program::new(&["worker", "--until-drained", "--endpoint-url", url, "--config"])
        .arg(config)
        .args(&["--set", "epoch.interval_ms=1000", "--set", "epoch.max_records=40"])
        .args(&["--set", "stream.poll_interval_ms=100", "--set", "stream.shard_budget=false"])
        .args(&["--set", "fleet.failover_ms=2000", "--set", "tables.writes_per_s=0", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
        .arg("--set")
        .arg(format!("objects.archive=file://{}", dir.join("archive").display()))
}

/// Returns whether an event follows from the rows of closed windows.
fn is_of_a_window(event: &Value) -> bool {
    let kind = event["detail-type"].as_str().unwrap();
    ["Viewer Drop", "Chat Spike"].contains(&kind) || event["detail"]["rule"].is_string()
}

fn read(path: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let by_id: BTreeMap<_, _> = events
        .iter()
        .map(|event| (event["detail"]["eventId"].as_str().unwrap().to_owned(), event.clone()))
        .collect();
    assert_eq!(by_id.len(), events.len(), "an event is written once");
    by_id
}

fn told(events: &BTreeMap<String, Value>, kind: &str, rule: &str, session: &str) -> usize {
    let is_one = |event: &&Value| {
        event["detail-type"] == kind
            && event["detail"]["rule"] == rule
            && event["detail"]["sessionId"] == session
    };
    events.values().filter(is_one).count()
}
