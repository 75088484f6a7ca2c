//! A rolling deploy: one release's worker dies in the middle of an epoch, and another release's takes
//! over.
//!
//! The other release is this program in another guise: `chaos.logic` gives its processing rules
//! another version, and a dedupe horizon of nothing has it judge the same records otherwise. That
//! is what two builds with different rules are to each other, without building everything twice:
//! an epoch that one prepared and the other finishes its own way would leave rows that fit neither.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::items::lease;
use ivs_schemas::names;
use serde_json::json;

use crate::domain::admin::Admin;
use crate::fleet::logs;
use crate::process::{PATIENCE, Program, Running, state};

/// Records of one session, of which each is there twice.
const RECORDS: usize = 50;

/// The releases.
#[derive(Clone, Copy)]
enum Release {
    /// The one that is running.
    Old,
    /// The same rules, and a setting by which repeats are not told.
    Set,
    /// Other rules.
    New,
}

struct World {
    dir: tempfile::TempDir,
    url: String,
    _endpoint: Running,
    aws: Clients,
}

impl World {
    async fn new() -> Self {
        let dir = state();
        let (url, endpoint) =
            Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
                .args(&["--shards", "1"])
                .start()
                .wait_for_ready();
        let aws = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
        Self { dir, url, _endpoint: endpoint, aws }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    fn start(&self, release: Release, name: &str) -> Running {
        let rejects = format!("objects.rejects=file://{}", self.dir.path().join("r").display());
        let settings: &[&str] = match release {
            Release::Old => &[],
            Release::Set => &["--set", "epoch.dedupe_horizon_ms=0"],
            Release::New => &["--set", "epoch.dedupe_horizon_ms=0", "--set", "chaos.logic=99"],
        };
        Program::new(&["worker", "--endpoint-url", &self.url, "--set", &rejects])
            .args(&["--set", "fleet.failover_ms=2000", "--set", "epoch.interval_ms=200"])
            .args(&["--set", "stream.poll_interval_ms=100"])
            .args(settings)
            .log_to(&self.log(name))
            .start()
    }

    /// Puts each record of a session twice, in one call: one epoch has them all.
    async fn put(&self, session: &str) {
        let entries = (0..RECORDS).flat_map(|n| {
            let line = format!(
                r#"{{"eventType":"metrics_update","eventId":"{session}-{n}","sessionId":"{session}","channelId":"c","timestamp":"2025-06-01T12:00:{n:02}Z","currentViewers":{n}}}"#
            );
            let entry = PutRecordsRequestEntry::builder().partition_key("k");
            let entry = entry.data(Blob::new(line)).build().unwrap();
            [entry.clone(), entry]
        });
        let put = self.aws.kinesis.put_records().stream_name(names::STREAM);
        let answer = put.set_records(Some(entries.collect())).send().await.unwrap();
        assert_eq!(answer.failed_record_count, Some(0));
    }

    /// Records by session, as the rows count them.
    fn rows(&self) -> BTreeMap<String, usize> {
        let rows = Program::new(&["rows", "--endpoint-url", &self.url]).run_to_end();
        let mut counts = BTreeMap::new();
        for row in rows.lines().skip(1) {
            let cells: Vec<&str> = row.split(',').collect();
            *counts.entry(cells[0].to_owned()).or_default() += cells[3].parse::<usize>().unwrap();
        }
        counts
    }

    async fn has_pending(&self) -> bool {
        let leases = self.aws.dynamodb.scan().table_name(names::LEASE_TABLE).send().await.unwrap();
        let pending = |value: &AttributeValue| value.as_s().is_ok_and(|text| !text.is_empty());
        leases.items().iter().any(|item| item.get(lease::PENDING_CHECKPOINT).is_some_and(pending))
    }

    /// Has the old release commit session `a`, and die with an epoch of session `b` prepared whose
    /// rows it could not write.
    async fn die_inside_an_epoch(&self) {
        let mut old = self.start(Release::Old, "old");
        self.put("a").await;
        until("the old release commits", async || self.rows() == sessions(&[("a", RECORDS)])).await;
        until("nothing is pending", async || !self.has_pending().await).await;
        let admin = Admin::new(&self.url);
        for operation in ["BatchExecuteStatement", "PutItem"] {
            admin.fault(
                &json!({ "service": "dynamodb", "operation": operation, "kind": "error500" }),
            );
        }
        self.put("b").await;
        until("an epoch is prepared", async || self.has_pending().await).await;
        old.kill_9();
        admin.clear_faults();
        assert_eq!(self.rows(), sessions(&[("a", RECORDS)]), "none of it is written");
    }
}

fn sessions(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(session, count)| ((*session).to_owned(), *count)).collect()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn failures(log: &Path) -> Vec<String> {
    let lines = logs::read(log);
    let failed = lines.iter().filter(|line| line.message.starts_with("shard task failed"));
    failed.map(|line| line.text("error").to_owned()).collect()
}

#[tokio::test]
async fn an_epoch_of_another_setting_is_closed_by_that_and_the_next_by_the_own() {
    let world = World::new().await;
    world.die_inside_an_epoch().await;
    let next = world.start(Release::Set, "set");
    until("the prepared epoch is committed", async || !world.has_pending().await).await;
    world.put("c").await;
    // What the dead worker had prepared is judged as it would have: each record once. What comes
    // under the new setting counts every time.
    let all = sessions(&[("a", RECORDS), ("b", RECORDS), ("c", 2 * RECORDS)]);
    until("the rows are there", async || world.rows() == all).await;
    next.stop_in_order();
    assert_eq!(failures(&world.log("set")), [""; 0]);
}

#[tokio::test]
async fn an_epoch_of_other_rules_waits_in_words_for_a_worker_that_has_them() {
    let world = World::new().await;
    world.die_inside_an_epoch().await;
    let log = world.log("new");
    let new = world.start(Release::New, "new");
    until("the new release refuses", async || failures(&log).len() >= 2).await;
    for error in failures(&log) {
        assert!(error.contains("this worker has version 99"), "{error}");
        assert!(error.contains("a worker of the other release"), "{error}");
    }
    assert_eq!(world.rows(), sessions(&[("a", RECORDS)]), "it touched nothing");
    // As the words say.
    let old = world.start(Release::Old, "old-again");
    let done = sessions(&[("a", RECORDS), ("b", RECORDS)]);
    until("the old release commits it", async || world.rows() == done).await;
    until("nothing is pending", async || !world.has_pending().await).await;
    old.stop_in_order();
    let before = failures(&log).len();
    world.put("c").await;
    let all = sessions(&[("a", RECORDS), ("b", RECORDS), ("c", 2 * RECORDS)]);
    until("the new release goes on by its own rules", async || world.rows() == all).await;
    new.stop_in_order();
    assert!(failures(&log).len() <= before + 1, "nothing failed any more");
}
