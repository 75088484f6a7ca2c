//! A row that can never be written: the shard stops there, or sets the row aside, as configured; once
//! the cause is gone, the archive repairs the row.

use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::clients;
use ivs_processor::config::Aws;

use crate::fleet::{files, logs};
use crate::process::{Program, state};

const TABLE: &str = "StreamingMetrics";

#[tokio::test]
async fn a_row_that_can_never_be_written_stops_its_shard_or_is_set_aside() {
    let dir = state();
    let lines = dir.path().join("lines.ndjson");
    let line = |session: u32, second: u32| {
        format!(
            r#"{{"eventType":"metrics_update","sessionId":"st-{session}","channelId":"c","timestamp":"2025-06-01T12:00:{second:02}Z","currentViewers":7}}"#
        ) + "\n"
    };
    std::fs::write(&lines, (0..40).map(|n| line(n % 8, n)).collect::<String>()).unwrap();
    let (url, _endpoint) =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
            .args(&["--shards", "2"])
            .start()
            .wait_for_ready();
    let at = ["--endpoint-url", &url];
    let dynamodb = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await.dynamodb;
    // Something that is not a row of ours has the key of one.
    let session = AttributeValue::S("st-3".to_owned());
    let minute = AttributeValue::N("1748779200".to_owned());
    let foreign = dynamodb.put_item().table_name(TABLE);
    let foreign = foreign.item("sessionId", session.clone());
    foreign.item("metricTimestamp", minute.clone()).send().await.unwrap();
    Program::new(&["generate"]).args(&at).arg("--input").arg(&lines).run_to_end();

    let worker = |policy: &str| worker(dir.path(), &url, policy);
    let log = dir.path().join("stop.log");
    let mut stopping = worker("stop").log_to(&log).start();
    let failures = || {
        logs::read(&log).iter().filter(|line| line.message.starts_with("shard task failed")).count()
    };
    let since = Instant::now();
    while failures() < 2 {
        assert!(since.elapsed() < Duration::from_secs(120), "the shard did not stop");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    it_is_told(&log);
    stopping.kill_9();
    let (code, error) = worker("stop").arg("--until-drained").fails();
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("times without a commit"), "{error}");
    assert!(files(&dir.path().join("rejects")).is_empty(), "nothing is set aside without leave");

    let log = dir.path().join("aside.log");
    worker("set_aside").log_to(&log).arg("--until-drained").start().ends_well();
    assert!(logs::read(&log).iter().any(|line| line.message.starts_with("row set aside")));
    let (code, out, error) = audit(dir.path(), &url);
    assert!(code == 1 && out.contains("st-3"), "{out}{error}");
    assert!(out.contains("differing                 1"), "what is there is another item:\n{out}");
    dynamodb
        .delete_item()
        .table_name(TABLE)
        .key("sessionId", session)
        .key("metricTimestamp", minute)
        .send()
        .await
        .unwrap();
    let rows = Program::new(&["rows"]).args(&at).run_to_end();
    assert_eq!(rows.lines().filter(|row| row.starts_with("st-")).count(), 7, "{rows}");
    every_record_was_kept(&dir.path().join("rejects"));
    the_archive_has_it(dir.path(), &url);
}

fn audit(dir: &Path, url: &str) -> (i32, String, String) {
    Program::new(&["audit", "--endpoint-url", url]).arg(dir.join("archive")).end()
}

/// Checks that, the cause being gone, what was set aside is known to be missing, and comes back.
fn the_archive_has_it(dir: &Path, url: &str) {
    let (code, out, error) = audit(dir, url);
    assert!(code == 1 && out.contains("st-3"), "{out}{error}");
    assert!(out.contains("missing                   1"), "{out}");
    let apply = Program::new(&["replay", "--apply", "--endpoint-url", url]);
    let out = apply.arg(dir.join("archive")).run_to_end();
    assert!(out.contains("rows created               1"), "{out}");
    assert!(out.contains("rows kept                  0"), "{out}");
    let (code, out, error) = audit(dir, url);
    assert_eq!(code, 0, "{out}{error}");
    let rows = Program::new(&["rows", "--endpoint-url", url]).run_to_end();
    assert_eq!(rows.lines().filter(|row| row.starts_with("st-")).count(), 8, "{rows}");
}

fn worker(dir: &Path, url: &str, policy: &str) -> Program {
    Program::new(&["worker", "--endpoint-url", url])
        .args(&["--set", "fleet.failover_ms=2000", "--set", "epoch.interval_ms=200"])
        .args(&["--set", "stream.poll_interval_ms=100", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
        .args(&["--set".to_owned(), format!("tables.refused_rows={policy}"), "--set".to_owned()])
        .arg(format!("objects.archive=file://{}", dir.join("archive").display()))
}

/// Checks that a running worker tells of the shard that stands still, between two tries too, and of
/// no other.
fn it_is_told(log: &Path) {
    let lines = logs::read(log);
    let started = lines.iter().find(|line| line.message == "operations server started").unwrap();
    let at = format!("http://{}", started.text("address"));
    for _ in 0..20 {
        let (_, out, error) = Program::new(&["status", "--json", "--worker", &at]).end();
        let status: serde_json::Value = serde_json::from_str(&out).expect(&error);
        let shards = status["worker"]["shards"].as_array().unwrap();
        let has_failed = |shard: &&serde_json::Value| shard["failures"].as_u64() > Some(0);
        let failing: Vec<_> = shards.iter().filter(has_failed).collect();
        let [failing] = failing[..] else { panic!("{status}") };
        assert!(failing["lagMs"].as_u64() > Some(1_000), "{failing}");
        assert!(status["worker"]["totals"]["failedTasks"].as_u64() >= Some(2), "{status}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Checks that the rows set aside hold each record of the row that could not be written.
fn every_record_was_kept(rejects: &Path) {
    let kept = files(rejects);
    let kept: Vec<serde_json::Value> = kept
        .iter()
        .flat_map(|path| {
            std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let records = kept.iter().map(|row| {
        assert_eq!(
            (row["table"].as_str(), row["item"]["sessionId"]["S"].as_str()),
            (Some(TABLE), Some("st-3"))
        );
        row["item"]["records"]["N"].as_str().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(records.sum::<u64>(), 5, "every record of the row is in what was kept: {kept:?}");
}
