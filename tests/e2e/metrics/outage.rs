//! One service after the other is away while records come: rows go on, workers are killed in the
//! middle, and in the end nothing is missing and nothing is there twice.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::items::{lease, metrics};
use ivs_schemas::names;
use kinesis_fleet::LeaseStore;
use serde_json::{Value, json};

use super::oracle::Oracle;
use super::readback::Readback;
use super::{INTERVAL_MS, WORKERS, check_players, check_samples, check_sessions, worker};
use crate::domain::admin::Admin;
use crate::domain::consumer::Consumer;
use crate::domain::{told, without_repeats};
use crate::fleet::pace::Pace;
use crate::process::{PATIENCE, Program, Running, state};

/// Records that are sent one by one during an outage, to see how long their rows take.
const PROBES: usize = 6;
/// From the end of an epoch's interval to its row, on a calm machine.
const ROW_TAKES_MS: i64 = 2_000;
/// Requests one after the other on the way of a record to its row: put, read, prepare, two puts of
/// the row, and the look at it.
const STEPS: i64 = 6;

#[tokio::test]
async fn an_outage_of_cloudwatch_and_the_bus_delays_their_own_output_only_and_loses_none() {
    let world = World::new(0).await;
    let admin = world.admin();
    for operation in ["PutMetricData", "PutEvents"] {
        admin.fault(&json!({ "operation": operation, "kind": "error500" }));
    }
    let mut workers = world.start(&[]).await;
    world.send_input();
    world.until_stored(0).await;
    assert!(waiting(world.dir.path()) > 0, "what was not sent waits in the outbox");
    assert_eq!(world.readback.records_read().await, 0, "nothing could be sent");

    workers.iter_mut().for_each(Running::kill_9);
    admin.clear_faults();
    let workers = world.start(&[]).await;
    world.until_sent().await;
    workers.into_iter().for_each(Running::stop_in_order);
    world.check().await;
}

#[tokio::test]
async fn an_outage_of_the_bus_alone_delays_events_and_neither_rows_nor_metrics() {
    let world = World::new(PROBES).await;
    let consumer = Consumer::subscribe(&world.aws).await;
    let admin = world.admin();
    admin.fault(&json!({ "operation": "PutEvents", "kind": "error500" }));
    let mut workers = world.start(&[]).await;
    world.send_input();
    world.rows_go_on(0..PROBES / 2).await;
    world.until_stored(PROBES / 2).await;
    let unsent = (PROBES - PROBES / 2) as u64;
    world.until_read(world.oracle.lines - unsent).await;
    assert!(waiting(world.dir.path()) > 0, "what was not told waits in the outbox");
    assert!(consumer.received().await.is_empty(), "nothing could be told");

    workers.iter_mut().for_each(Running::kill_9);
    let dead = world.readback.owners().await;
    let workers = world.start(&[]).await;
    until("the shards are taken over", async || world.readback.owners().await.is_disjoint(&dead))
        .await;
    world.rows_go_on(PROBES / 2..PROBES).await;
    world.until_stored(0).await;
    assert!(consumer.received().await.is_empty(), "the bus is still away");
    admin.clear_faults();
    world.until_sent().await;
    workers.into_iter().for_each(Running::stop_in_order);
    until("all is delivered", async || admin.has_delivered()).await;
    let received = consumer.received().await;
    // Each worker judges windows for itself, so what is said of one may come more than once.
    let starts_and_ends = received.iter().filter(|event| told(event).is_some());
    let starts_and_ends: Vec<Value> = starts_and_ends.cloned().collect();
    let once = without_repeats(&starts_and_ends);
    assert_eq!(once.len(), starts_and_ends.len(), "an outage repeats nothing: {received:?}");
    let mut found: Vec<(String, String)> = once.values().filter_map(|event| told(event)).collect();
    found.sort();
    assert_eq!(found, world.oracle.told());
    world.check().await;
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_holds_commits_back_and_loses_none() {
    let world = World::new(0).await;
    let archive = world.dir.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    let settings = [format!("objects.archive=file://{}", archive.display())];
    let mut workers = world.start(&settings).await;
    // A file in its place refuses everybody, root too.
    let aside = world.dir.path().join("aside");
    std::fs::rename(&archive, &aside).unwrap();
    std::fs::write(&archive, "").unwrap();
    world.send_input();
    until("an epoch's rows are stored", async || {
        stored_reports(&world.aws).await > 0 && has_pending(&world.aws).await
    })
    .await;
    assert_eq!(world.readback.records_read().await, 0, "nothing of it is told");

    // One is killed in the middle, the others come through by themselves.
    workers.remove(0).kill_9();
    std::fs::remove_file(&archive).unwrap();
    std::fs::rename(&aside, &archive).unwrap();
    workers.push(world.worker(&settings).start());
    world.until_stored(0).await;
    world.until_sent().await;
    workers.into_iter().for_each(Running::stop_in_order);
    world.check().await;
    let audit = Program::new(&["audit", "--endpoint-url", &world.url]).arg(&archive);
    let (code, out, error) = audit.end();
    assert_eq!(code, 0, "{out}\n{error}");
}

/// An endpoint, an input, and an oracle that knows both the input and the probes.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) url: String,
    pub(super) oracle: Oracle,
    pub(super) readback: Readback,
    pub(super) aws: Clients,
    input: PathBuf,
    probes: Vec<String>,
    _endpoint: Running,
}

impl World {
    pub(super) async fn new(probes: usize) -> Self {
        let dir = state();
        let input = dir.path().join("input.ndjson");
        Program::new(&["generate", "--for", "120s", "--seed", "7", "--viewers", "600", "--out"])
            .arg(&input)
            .run_to_end();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let probes: Vec<String> = (0..probes).map(|number| probe(number, now_ms)).collect();
        let mut text = std::fs::read(&input).unwrap();
        for line in &probes {
            text.extend_from_slice(format!("{line}\n").as_bytes());
        }
        let oracle = Oracle::read(&text);
        let (url, endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
            .args(&["--shards", "4", "--state", ":memory:"])
            .start()
            .wait_for_ready();
        let readback = Readback::new(&url, &oracle).await;
        let aws = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
        Self { dir, url, oracle, readback, aws, input, probes, _endpoint: endpoint }
    }

    pub(super) fn admin(&self) -> Admin<'_> {
        Admin::new(&self.url)
    }

    pub(super) fn worker(&self, settings: &[String]) -> Program {
        let set = |program: Program, setting: &String| program.args(&["--set", setting]);
        settings.iter().fold(worker(&self.url, self.dir.path()), set)
    }

    /// Starts workers, and waits until each has a shard.
    async fn start(&self, settings: &[String]) -> Vec<Running> {
        let workers = (0..WORKERS).map(|_| self.worker(settings).start()).collect();
        self.readback.wait_for_owners(WORKERS).await;
        workers
    }

    pub(super) fn send_input(&self) {
        let send = Program::new(&["generate", "--endpoint-url", &self.url, "--input"]);
        send.arg(&self.input).run_to_end();
    }

    /// Sends probes one after the other; the row of each is there within an interval and two seconds.
    /// The time that a busy machine adds is measured, not guessed.
    async fn rows_go_on(&self, probes: std::ops::Range<usize>) {
        let leases = LeaseStore::new(&self.aws.dynamodb, names::LEASE_TABLE, PATIENCE);
        let pace = Pace::start(leases);
        for number in probes {
            let put = self.aws.kinesis.put_record().stream_name(names::STREAM);
            let put = put.partition_key(format!("probe-{number}"));
            let sent = Instant::now();
            put.data(Blob::new(self.probes[number].as_bytes())).send().await.unwrap();
            until("a probe has its row", async || self.has_row(number).await).await;
            let took_ms = i64::try_from(sent.elapsed().as_millis()).unwrap();
            let slack_ms = STEPS * pace.slowest_ms();
            println!("row of probe {number} after {took_ms} ms, slack {slack_ms} ms");
            assert!(took_ms <= INTERVAL_MS + ROW_TAKES_MS + slack_ms, "the row of probe {number}");
        }
    }

    async fn has_row(&self, probe: usize) -> bool {
        let rows = self.aws.dynamodb.query().table_name(names::METRICS_TABLE);
        let rows = rows.key_condition_expression("#id = :id");
        let rows = rows.expression_attribute_names("#id", metrics::SESSION_ID);
        let id = AttributeValue::S(format!("st-probe-{probe}"));
        rows.expression_attribute_values(":id", id).send().await.unwrap().count > 0
    }

    /// Waits until every report is stored, but for so many, and every epoch is committed.
    pub(super) async fn until_stored(&self, unsent: usize) {
        let reports = self.oracle.reports - unsent as u64;
        until("the rows hold all reports", async || {
            stored_reports(&self.aws).await >= reports && !has_pending(&self.aws).await
        })
        .await;
    }

    /// Waits until the metrics tell that so many records were read.
    async fn until_read(&self, lines: u64) {
        until("all metrics are sent", async || self.readback.records_read().await >= lines).await;
    }

    /// Waits until nothing is left to be sent.
    async fn until_sent(&self) {
        self.until_read(self.oracle.lines).await;
        until("the outbox is empty", async || waiting(self.dir.path()) == 0).await;
    }

    /// Holds what CloudWatch answers against the oracle.
    async fn check(&self) {
        assert_eq!(self.readback.records_read().await, self.oracle.lines, "every line once");
        check_samples(&self.oracle, &self.readback).await;
        check_players(&self.oracle, &self.readback).await;
        check_sessions(&self.oracle, &self.readback).await;
    }
}

/// Returns a report of a session of its own.
fn probe(number: usize, now_ms: i64) -> String {
    json!({
        "eventType": "metrics_update",
        "eventId": format!("probe-{number}"),
        "sessionId": format!("st-probe-{number}"),
        "channelId": format!("probe-{number}"),
        "timestamp": now_ms,
        "currentViewers": number + 1,
    })
    .to_string()
}

pub(super) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
pub(super) fn waiting(dir: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let each = |path: std::path::PathBuf| if path.is_dir() { count(&path) } else { 1 };
        entries.flatten().map(|entry| each(entry.path())).sum()
    }
    count(&dir.join("rejects/outbox"))
}
