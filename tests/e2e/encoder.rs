//! The golden archive of encoders (`tests/golden/encoder`): workers and `replay` give the summaries that
//! its script counted, and rows of an earlier release take the settings and change in nothing else.
//!
//! Archive and summaries are written anew by `python3 tests/golden/encoder.py`, which knows nothing of the
//! program. The earlier release's rows are out of its own table and are never written anew.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_processor::items::json::{differences, from_json, to_json};
use ivs_schemas::items::sessions;
use ivs_schemas::names;
use serde_json::{Value, json};

use crate::process::{Program, Running, state};

type Item = HashMap<String, AttributeValue>;

const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/encoder/archive.ndjson");
const SUMMARIES: &str = include_str!("../golden/encoder/summaries.json");
const EARLIER: &str = include_str!("../../processor/src/items/fixtures/layout-2.json");
/// The session of the earlier release's rows.
const OLD: &str = "st-old";

#[tokio::test]
async fn workers_keep_what_encoders_send_and_rows_of_an_earlier_release_beside_it() {
    let dir = state();
    let (url, clients, _endpoint) = endpoint().await;
    let earlier: Value = serde_json::from_str(EARLIER).unwrap();
    for (part, table) in [("metrics", names::METRICS_TABLE), ("summaries", names::SESSIONS_TABLE)] {
        for item in earlier[part].as_array().unwrap() {
            let put = clients.dynamodb.put_item().table_name(table);
            put.set_item(from_json(item)).send().await.unwrap();
        }
    }
    let rows_before = rows(&url, dir.path(), "before.csv");
    assert_eq!(rows_before.lines().count(), 3, "the rows of the earlier release:\n{rows_before}");

    Program::new(&["generate", "--endpoint-url", &url, "--input", ARCHIVE]).run_to_end();
    Program::new(&["worker", "--until-drained", "--endpoint-url", &url])
        .args(&["--set", "epoch.interval_ms=1000", "--set", "stream.poll_interval_ms=100", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .run_to_end();
    check(&clients).await;

    let [old] = &earlier["summaries"].as_array().unwrap()[..] else { panic!("one session") };
    let stored = to_json(&summaries(&clients).await[OLD]);
    let written = [sessions::APPLIED, sessions::VERSION];
    let changed = differences(&to_json(&from_json(old).unwrap()), &stored, &written);
    let (lost, new): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|change| change.expected.is_some());
    assert!(lost.is_empty(), "figures of the earlier release: {lost:?}");
    let new: Vec<_> = new.iter().map(|change| change.attribute.as_str()).collect();
    // The score is computed from sums that the old row has.
    assert_eq!(new, ["experience", sessions::INGEST, sessions::INGEST_CONFIGURATION, "viewTimeMs"]);
    let rows_after = rows(&url, dir.path(), "after.csv");
    for row in rows_before.lines() {
        assert!(rows_after.lines().any(|other| other == row), "{row} is not in:\n{rows_after}");
    }
}

#[tokio::test]
async fn a_replay_of_the_archive_says_the_same_of_encoders() {
    let (url, clients, _endpoint) = endpoint().await;
    let replay = || {
        Program::new(&["replay", "--apply", "--json", "--endpoint-url", &url, ARCHIVE]).run_to_end()
    };
    replay();
    check(&clients).await;
    let out = replay();
    assert!(out.contains("\"created\":0") && out.contains("\"replaced\":0"), "{out}");
}

/// Starts the embedded AWS; it lives as long as what is returned. One shard, which none of the earlier
/// release's rows know: how far theirs were read says nothing of a new stream.
async fn endpoint() -> (String, Clients, Running) {
    let (url, endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "1", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    (url, clients, endpoint)
}

fn rows(url: &str, dir: &Path, name: &str) -> String {
    let out = dir.join(name);
    Program::new(&["rows", "--endpoint-url", url, "--out"]).arg(&out).run_to_end();
    std::fs::read_to_string(out).unwrap()
}

/// Returns the stored summaries by session.
async fn summaries(clients: &Clients) -> BTreeMap<String, Item> {
    let scan = clients.dynamodb.scan().table_name(names::SESSIONS_TABLE).consistent_read(true);
    let items: Vec<Item> =
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
    let is_summary = |item: &Item| item[sessions::TIMESTAMP].as_n().unwrap() == "0";
    let by_id = |item: Item| (item[sessions::SESSION_ID].as_s().unwrap().clone(), item);
    items.into_iter().filter(is_summary).map(by_id).collect()
}

/// Compares every session of the golden summaries, and that no other has settings.
async fn check(clients: &Clients) {
    let wanted: BTreeMap<String, Value> = serde_json::from_str(SUMMARIES).unwrap();
    let stored = summaries(clients).await;
    for (id, wanted) in &wanted {
        let summary = stored.get(id).unwrap_or_else(|| panic!("no summary {id}"));
        let told = &wanted["ingestConfiguration"];
        assert_eq!(&settings(summary), told, "the encoder of {id}");
        if id != OLD {
            for name in [sessions::STARTED_AT, sessions::ENDED_AT] {
                assert_eq!(number(summary.get(name)), wanted[name], "{name} of {id}");
            }
        }
    }
    let known = wanted.values().filter(|session| !session["ingestConfiguration"].is_null());
    let told = stored.values().filter(|summary| !settings(summary).is_null());
    assert_eq!(told.count(), known.count());
}

/// Returns what a summary says of the encoder, as plain JSON; null where it says nothing.
fn settings(summary: &Item) -> Value {
    let Some(told) = summary.get(sessions::INGEST_CONFIGURATION) else { return Value::Null };
    let plain = |(name, value): (&String, &AttributeValue)| {
        let value = value.as_s().map_or_else(|_| number(Some(value)), |text| json!(text));
        (name.clone(), value)
    };
    Value::Object(told.as_m().unwrap().iter().map(plain).collect())
}

/// Returns a whole number; null where there is none.
fn number(value: Option<&AttributeValue>) -> Value {
    json!(value.map(|value| value.as_n().unwrap().parse::<i64>().unwrap()))
}
