//! An hour of views through three workers, two of which are killed, with one report in a hundred sent
//! twice: attempts, exits, failures, breakdowns and scores equal those that an oracle counts.

mod golden;
mod oracle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::clients;
use ivs_processor::config::Aws;
use serde_json::{Map, Value, json};

use crate::process::{Program, Running, state};
use oracle::{Oracle, close};

/// Countries that are counted apart; the rest is `other`.
const COUNTRIES: [&str; 3] = ["JP", "us", "DE"];

#[tokio::test]
async fn an_hour_of_views_is_counted_exactly_whoever_dies() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(70);
    Program::new(&["generate", "--seed", "16", "--channels", "3", "--viewers", "90"])
        .args(&["--for", "60m", "--start", &start.to_string(), "--out"])
        .arg(&input)
        .run_to_end();
    let oracle = Oracle::read(&std::fs::read(&input).unwrap(), &COUNTRIES);
    assert!(oracle.repeated > 200, "{} repeats", oracle.repeated);

    let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0", "--shards", "4"])
        .args(&["--state", ":memory:"])
        .start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let mut workers: Vec<Running> = (0..3).map(|_| worker(&url, dir.path()).start()).collect();
    let rows = dir.path().join("rows.ndjson");
    let [first, second, third] = thirds(&input);
    let mut counted = 0;
    for part in [first, second] {
        let sender = send(&url, &part).start();
        // In the middle of their work: rows have come, and a part is not even sent.
        let before = counted;
        while counted <= before {
            tokio::time::sleep(Duration::from_millis(200)).await;
            counted = read_rows(&url, &rows).len();
        }
        workers.remove(0).kill_9();
        workers.push(worker(&url, dir.path()).start());
        sender.ends_well();
    }
    send(&url, &third).run_to_end();
    workers.into_iter().for_each(Running::stop_in_order);
    worker(&url, dir.path()).arg("--until-drained").run_to_end();

    check_rows(&oracle, read_rows(&url, &rows));
    check_sessions(&oracle, &url).await;
    check_replay(&oracle, dir.path(), &input);
}

/// Splits a file into three beside it, at ends of lines.
fn thirds(input: &Path) -> [PathBuf; 3] {
    let text = std::fs::read_to_string(input).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let size = lines.len().div_ceil(3);
    assert!(size > 1_000, "{size} lines");
    let mut parts = lines.chunks(size);
    ["1.ndjson", "2.ndjson", "3.ndjson"].map(|name| {
        let path = input.with_file_name(name);
        std::fs::write(&path, parts.next().unwrap().concat()).unwrap();
        path
    })
}

fn send(url: &str, input: &Path) -> Program {
    Program::new(&["generate", "--endpoint-url", url, "--input"]).arg(input)
}

fn worker(url: &str, dir: &Path) -> Program {
    Program::new(&["worker", "--endpoint-url", url])
        .args(&["--set", "epoch.interval_ms=700", "--set", "stream.poll_interval_ms=100"])
        .args(&["--set", "stream.shard_budget=false", "--set", "tables.writes_per_s=0"])
        .args(&["--set", "fleet.failover_ms=2000", "--set", &countries(), "--set"])
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
}

fn countries() -> String {
    format!("breakdowns.country={}", json!(COUNTRIES))
}

/// Returns the rows with records, by session and minute.
fn read_rows(url: &str, out: &Path) -> BTreeMap<(String, i64), Value> {
    Program::new(&["rows", "--endpoint-url", url, "--out"]).arg(out).run_to_end();
    parse(&std::fs::read_to_string(out).unwrap())
}

fn parse(text: &str) -> BTreeMap<(String, i64), Value> {
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let key =
            (row["session_id"].as_str().unwrap().to_owned(), row["window_start"].as_i64().unwrap());
        (key, row)
    };
    text.lines().map(row).collect()
}

fn check_rows(oracle: &Oracle, mut rows: BTreeMap<(String, i64), Value>) {
    for (key, minute) in &oracle.minutes {
        let row = rows.remove(key).unwrap_or_else(|| panic!("no row {key:?}"));
        for (column, wanted) in minute.counts() {
            assert_eq!(row[column].as_u64(), wanted, "{column} of {key:?}");
        }
        let view_time_ms = row["view_time_ms"].as_f64().unwrap_or_default();
        assert!(close(view_time_ms, minute.view_time_ms()), "{key:?}: {view_time_ms}");
        same_score(&row["experience_score"], minute.score(), key);
        let breakdowns = row["breakdowns"].as_str().unwrap_or("{}");
        let found: Value = serde_json::from_str(breakdowns).unwrap();
        assert_eq!(found, minute.breakdowns(), "{key:?}");
    }
    for (key, row) in rows {
        assert_eq!(row["player_records"], 0, "{key:?} is not in the input");
    }
}

fn same_score(found: &Value, wanted: Option<f64>, key: &impl std::fmt::Debug) {
    match (found.as_f64(), wanted) {
        (Some(found), Some(wanted)) => {
            assert!((found - wanted).abs() < 1e-3, "score of {key:?}: {found} for {wanted}");
        }
        (found, wanted) => assert_eq!(found.is_some(), wanted.is_some(), "score of {key:?}"),
    }
}

/// The summaries: the same sums, over all minutes of a session.
async fn check_sessions(oracle: &Oracle, url: &str) {
    let dynamodb = clients(&Aws { endpoint_url: url.to_owned(), ..Aws::default() }).await.dynamodb;
    let scan = dynamodb
        .scan()
        .table_name("StreamingSessions")
        .filter_expression("#t = :zero")
        .expression_attribute_names("#t", "timestamp")
        .expression_attribute_values(":zero", AttributeValue::N("0".to_owned()));
    let items: Vec<_> =
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
    let mut summaries: BTreeMap<String, _> =
        items.into_iter().map(|item| (item["sessionId"].as_s().unwrap().clone(), item)).collect();
    let sessions = oracle.sessions();
    assert!(sessions.len() > 5, "{} sessions", sessions.len());
    for (session, total) in sessions {
        let item = summaries.remove(&session).unwrap_or_else(|| panic!("no summary {session}"));
        let number = |value: Option<&AttributeValue>| {
            value.and_then(|value| value.as_n().ok()?.parse::<f64>().ok())
        };
        for (name, wanted) in total.attributes() {
            let found = number(item.get(name));
            assert_eq!(found, wanted.map(|count| count as f64), "{name} of {session}");
        }
        let parts = item.get("experience").and_then(|parts| parts.as_m().ok());
        let score = number(parts.and_then(|parts| parts.get("score")));
        same_score(&json!(score), total.score(), &session);
    }
}

/// A replay of the input counts the same.
fn check_replay(oracle: &Oracle, dir: &Path, input: &Path) {
    let out = dir.join("replayed.ndjson");
    Program::new(&["replay", "--set", &countries()])
        .arg(input)
        .arg("--rows-out")
        .arg(&out)
        .run_to_end();
    check_rows(oracle, parse(&std::fs::read_to_string(out).unwrap()));
}

/// Returns a JSON object of these members.
fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}
