//! A worker's memory with many shards that all have something waiting: `make bench-memory`.
//!
//! The endpoint and the worker are processes of their own, so the peak (`VmHWM`) is the worker's
//! alone. `MEMORY_SHARDS` and `MEMORY_SHARD_KB` set how many shards there are (1,000) and how much
//! waits in each (2,048 KiB).

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::unwrap_used, reason = "a bench that meets an error has failed")]
#![expect(clippy::cast_precision_loss, reason = "bytes for people")]

#[path = "../e2e/process.rs"]
#[expect(dead_code, reason = "other tests also kill the program")]
mod process;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::items::metrics;
use ivs_schemas::names;
use ivs_tests::rng::Rng;
use process::{Program, state};

const BUDGET_MB: u64 = 512;
/// Most memory, in tenths of the budget.
const MOST_TENTHS: u64 = 13;
/// A Kinesis record is packed to about this size, so that filling the shards takes a minute.
const RECORD_BYTES: usize = 24 << 10;
/// Sessions in all, and how many of them a shard carries.
const SESSIONS: u64 = 100;
const SESSIONS_OF_A_SHARD: u64 = 10;
const PLAYERS: u64 = 200_000;
const MINUTES: u64 = 3;

#[tokio::main]
async fn main() {
    let shards = number("MEMORY_SHARDS", 1_000);
    let shard_bytes = usize::try_from(number("MEMORY_SHARD_KB", 2_048)).unwrap() << 10;
    let dir = state();
    let (url, _endpoint) =
        // Two gigabytes of records are more than the endpoint keeps in memory.
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state"])
            .arg(dir.path().join("state"))
            .args(&["--shards".to_owned(), shards.to_string()])
            .start()
            .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let sent = fill(&clients, shard_bytes).await;
    let started = Instant::now();
    // Nobody reads a pipe meanwhile, and there is much to tell of so many shards.
    let log = dir.path().join("worker.log");
    let worker =
        worker(&url, dir.path()).arg("--until-drained").log_to(&log).env("IVS_LOG", "warn");
    let worker = worker.start();
    let peak_bytes = worker.peak_bytes_until_it_ends_well();
    let took = started.elapsed().as_secs_f64();
    let stored = stored(&clients).await;
    let of_budget = peak_bytes as f64 / (BUDGET_MB << 20) as f64;
    println!("{shards} shards, {} KiB waiting in each, {sent} records", shard_bytes >> 10);
    println!("  worker.memory_mb {BUDGET_MB}, archive on, one worker, {took:.0} s");
    println!("  peak resident memory {} MiB, {of_budget:.2} of the budget", peak_bytes >> 20);
    assert_eq!(stored, sent, "records in the rows");
    assert!(
        peak_bytes * 10 <= (BUDGET_MB << 20) * MOST_TENTHS,
        "{peak_bytes} bytes are more than {MOST_TENTHS} tenths of {BUDGET_MB} MiB"
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// The defaults but for the budget, the archive, and limits that only make it slower.
fn worker(url: &str, dir: &Path) -> Program {
    let folder = |name: &str| format!("objects.{name}=file://{}", dir.join(name).display());
    let memory = format!("worker.memory_mb={BUDGET_MB}");
    Program::new(&["worker", "--endpoint-url", url, "--set", &memory])
        .args(&["--set", &folder("rejects"), "--set", &folder("archive")])
        .args(&["--set", "cloudwatch.metrics_batch=1000", "--set", "cloudwatch.calls_per_s=500"])
}

/// Fills every shard with lines of players; returns how many.
async fn fill(clients: &Clients, shard_bytes: usize) -> u64 {
    let mut shards = clients.kinesis.list_shards().stream_name(names::STREAM).send().await.unwrap();
    let mut found = shards.shards.take().unwrap_or_default();
    while let Some(token) = shards.next_token.take() {
        shards = clients.kinesis.list_shards().next_token(token).send().await.unwrap();
        found.extend(shards.shards.take().unwrap_or_default());
    }
    let first_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap() - 240_000;
    let mut calls = tokio::task::JoinSet::new();
    let mut sent = 0;
    for (number, shard) in (0..).zip(&found) {
        let hash_key = &shard.hash_key_range.as_ref().unwrap().starting_hash_key;
        let (entries, lines) = entries(number, hash_key, shard_bytes, first_ms);
        sent += lines;
        if calls.len() >= 8 {
            calls.join_next().await.unwrap().unwrap();
        }
        let kinesis = clients.kinesis.clone();
        calls.spawn(async move {
            let put = kinesis.put_records().stream_name(names::STREAM).set_records(Some(entries));
            assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
        });
    }
    while calls.join_next().await.transpose().unwrap().is_some() {}
    sent
}

/// Returns what waits in a shard, and how many lines that is.
fn entries(
    shard: u64,
    hash_key: &str,
    shard_bytes: usize,
    first_ms: u64,
) -> (Vec<PutRecordsRequestEntry>, u64) {
    let mut rng = Rng::new(shard);
    let (mut entries, mut lines, mut bytes) = (vec![], 0, 0);
    while bytes < shard_bytes {
        let mut data = String::with_capacity(RECORD_BYTES + 512);
        while data.len() < RECORD_BYTES && bytes + data.len() < shard_bytes {
            let session = (shard + rng.below(SESSIONS_OF_A_SHARD)) % SESSIONS;
            let (player, latency_ms) = (rng.below(PLAYERS), 1_500 + rng.below(9_000));
            let time_ms = first_ms + rng.below(MINUTES * 60_000);
            writeln!(
                data,
                r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"{shard}-{lines}","sessionId":"st-{session}","channelId":"c-{session}","playerId":"player-{player}","timestamp":{time_ms},"state":"PLAYING","bitrate":3000000,"latencyMs":{latency_ms},"bufferingMs":{},"playingMs":60000}}"#,
                rng.below(300),
            )
            .unwrap();
            lines += 1;
        }
        bytes += data.len();
        let entry = PutRecordsRequestEntry::builder()
            .partition_key("packed")
            .explicit_hash_key(hash_key)
            .data(Blob::new(data));
        entries.push(entry.build().unwrap());
    }
    (entries, lines)
}

/// Returns the records of all rows.
async fn stored(clients: &Clients) -> u64 {
    let mut items =
        clients.dynamodb.scan().table_name(names::METRICS_TABLE).into_paginator().items().send();
    let mut records = 0;
    while let Some(item) = items.next().await {
        records += item.unwrap()[metrics::RECORDS].as_n().unwrap().parse::<u64>().unwrap();
    }
    records
}
