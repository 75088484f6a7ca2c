//! CloudWatch and the bus are away while records come: rows go on, workers are killed in the middle,
//! and in the end nothing is missing and nothing is there twice.

use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::items::{lease, metrics};
use ivs_schemas::names;
use serde_json::json;

use super::oracle::Oracle;
use super::readback::Readback;
use super::{WORKERS, check_players, check_samples, check_sessions, worker};
use crate::domain::admin::Admin;
use crate::process::{PATIENCE, Program, Running, state};

#[tokio::test]
async fn an_outage_of_cloudwatch_and_the_bus_delays_their_own_output_only_and_loses_none() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    Program::new(&["generate", "--for", "120s", "--seed", "7", "--viewers", "600", "--out"])
        .arg(&input)
        .run_to_end();
    let oracle = Oracle::read(&std::fs::read(&input).unwrap());
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--shards", "4", "--state", ":memory:"])
        .start()
        .wait_for_ready();
    let readback = Readback::new(&url, &oracle).await;
    let (admin, aws) = (Admin::new(&url), clients(&aws(&url)).await);
    for operation in ["PutMetricData", "PutEvents"] {
        admin.fault(&json!({ "operation": operation, "kind": "error500" }));
    }
    let start =
        || -> Vec<Running> { (0..WORKERS).map(|_| worker(&url, dir.path()).start()).collect() };
    let mut workers = start();
    readback.wait_for_owners(WORKERS).await;
    Program::new(&["generate", "--endpoint-url", &url, "--input"]).arg(&input).run_to_end();
    until("the rows hold all reports", async || {
        stored_reports(&aws).await >= oracle.reports && !has_pending(&aws).await
    })
    .await;
    assert!(waiting(dir.path()) > 0, "what was not sent waits in the outbox");
    assert_eq!(readback.records_read().await, 0, "nothing could be sent");

    workers.iter_mut().for_each(Running::kill_9);
    admin.clear_faults();
    let workers = start();
    until("the outbox is empty", async || {
        readback.records_read().await >= oracle.lines && waiting(dir.path()) == 0
    })
    .await;
    workers.into_iter().for_each(Running::stop_in_order);
    assert_eq!(readback.records_read().await, oracle.lines, "every line once");
    check_samples(&oracle, &readback).await;
    check_players(&oracle, &readback).await;
    check_sessions(&oracle, &readback).await;
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn aws(url: &str) -> Aws {
    Aws { endpoint_url: url.to_owned(), ..Aws::default() }
}

/// Reports in the metric rows, by their own count.
async fn stored_reports(aws: &Clients) -> u64 {
    let mut pages =
        aws.dynamodb.scan().table_name(names::METRICS_TABLE).into_paginator().items().send();
    let mut records = 0;
    while let Some(item) = pages.next().await {
        let count = item.unwrap()[metrics::RECORDS].as_n().unwrap().parse::<u64>().unwrap();
        records += count;
    }
    records
}

/// Returns whether some epoch is prepared and not committed.
async fn has_pending(aws: &Clients) -> bool {
    let leases = aws.dynamodb.scan().table_name(names::LEASE_TABLE).send().await.unwrap();
    let pending = |value: &AttributeValue| value.as_s().is_ok_and(|text| !text.is_empty());
    leases.items().iter().any(|lease| lease.get(lease::PENDING_CHECKPOINT).is_some_and(pending))
}

/// Objects in the outbox.
fn waiting(dir: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let each = |path: std::path::PathBuf| if path.is_dir() { count(&path) } else { 1 };
        entries.flatten().map(|entry| each(entry.path())).sum()
    }
    count(&dir.join("rejects/outbox"))
}
