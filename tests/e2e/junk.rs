//! Junk by the megabyte, and an epoch that another version has prepared.

use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use serde_json::Value;

use crate::fleet::{files, logs};
use crate::process::{Program, Running, state};

const STREAM: &str = "ivs-events";
const LEASES: &str = "ivs-processor";
/// Lines of one record of a megabyte.
const LINES: usize = 500_000;
/// Two epochs of ten such records, what is read ahead, and the program itself; their rejected
/// lines one by one took more than a gigabyte.
const MOST_BYTES: u64 = 400 << 20;

async fn endpoint() -> (String, Running, Clients) {
    let (url, endpoint) =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
            .args(&["--shards", "1"])
            .start()
            .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    (url, endpoint, clients)
}

async fn put(clients: &Clients, data: &[u8]) {
    let put = clients.kinesis.put_record().stream_name(STREAM).partition_key("k");
    put.data(aws_sdk_kinesis::primitives::Blob::new(data)).send().await.unwrap();
}

fn worker(url: &str, rejects: &Path) -> Program {
    Program::new(&["worker", "--endpoint-url", url, "--set"])
        .arg(format!("objects.rejects=file://{}", rejects.display()))
        .args(&["--set", "fleet.failover_ms=2000", "--set", "epoch.interval_ms=200"])
        .args(&["--set", "stream.poll_interval_ms=100"])
}

#[tokio::test]
async fn junk_by_the_megabyte_is_kept_once_counted_and_stops_nothing() {
    let dir = state();
    let (url, _endpoint, clients) = endpoint().await;
    for n in 0..10 {
        put(&clients, &b"x\n".repeat(LINES)).await;
        let good = format!(
            r#"{{"eventType":"metrics_update","sessionId":"st-{n}","channelId":"c","timestamp":"2025-06-01T12:00:00Z","currentViewers":7}}"#
        );
        put(&clients, good.as_bytes()).await;
    }
    let peak_bytes =
        worker(&url, dir.path()).arg("--until-drained").start().peak_bytes_until_it_ends_well();
    assert!(peak_bytes < MOST_BYTES, "{peak_bytes} bytes");
    let rows = Program::new(&["rows", "--endpoint-url", &url]).run_to_end();
    assert_eq!(rows.lines().filter(|row| row.starts_with("st-")).count(), 10, "{rows}");
    let text = files(dir.path()).into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let kept: Vec<Value> =
        text.collect::<String>().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len(), 10, "once a record");
    for record in kept {
        assert_eq!(record["refused"]["not_json"].as_u64(), Some(1), "junk side by side is one");
        assert_eq!(record["data"].as_str().map(str::len), Some(2 * LINES), "whole");
    }
}

#[tokio::test]
async fn an_epoch_of_another_version_fails_with_words_until_it_is_given_up() {
    let dir = state();
    let (url, _endpoint, clients) = endpoint().await;
    put(&clients, b"{}").await;
    worker(&url, dir.path()).arg("--until-drained").start().ends_well();
    let rows = clients.dynamodb.scan().table_name(LEASES).send().await.unwrap().items.unwrap();
    let lease = rows.iter().find(|row| row.contains_key("checkpoint")).unwrap();
    let key = lease["leaseKey"].clone();
    let checkpoint = lease["checkpoint"].as_s().unwrap().clone();
    let newer = clients.dynamodb.update_item().table_name(LEASES).key("leaseKey", key);
    newer
        .update_expression(
            "SET pendingCheckpoint = :p, pendingCheckpointSubSequenceNumber = :s, \
             pendingCheckpointState = :r",
        )
        .expression_attribute_values(":p", AttributeValue::S(format!("{checkpoint}9")))
        .expression_attribute_values(":s", AttributeValue::N("0".to_owned()))
        .expression_attribute_values(":r", AttributeValue::B(Blob::new(r#"{"logic":99}"#)))
        .send()
        .await
        .unwrap();
    let log = dir.path().join("worker.log");
    let mut stopped = worker(&url, dir.path()).log_to(&log).start();
    let since = Instant::now();
    loop {
        let lines = logs::read(&log);
        let failed = lines.iter().find(|line| line.message.starts_with("shard task failed"));
        if let Some(line) = failed {
            let error = line.text("error");
            assert!(error.contains("version 99 of the processing rules"), "{error}");
            assert!(error.contains("`leases seek`"), "{error}");
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "the shard did not stop");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stopped.kill_9();
}
