//! Operations: the server of a running worker, and the commands that look at a fleet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::clients;
use ivs_processor::config::Aws;
use serde_json::Value;

use crate::process::{PATIENCE, Program, Running, state};

/// An HTTP client of ten lines, so that the server is not judged by its own library.
pub(crate) struct Answer {
    pub(crate) code: u16,
    content_type: String,
    pub(crate) body: String,
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    get_as(address, path, "*/*")
}

/// Asks for a form of the answer.
fn get_as(address: &str, path: &str, accept: &str) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Answer { code, content_type: content_type.unwrap().to_owned(), body: body.to_owned() }
}

pub(crate) fn status(address: &str) -> Value {
    serde_json::from_str(&get(address, "/status").body).unwrap()
}

/// Records committed; none while the worker starts.
fn committed(address: &str) -> u64 {
    status(address)["worker"]["totals"]["read"].as_u64().unwrap_or(0)
}

/// Returns where the operations server of a `local` listens, as its banner says.
fn address_of(local: &mut Running) -> String {
    let address = RefCell::new(String::new());
    local.wait_for(|line| {
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        if let Some(found) = url.and_then(|url| url.strip_suffix("/status")) {
            found.clone_into(&mut address.borrow_mut());
        }
        line.starts_with("operations")
    });
    address.into_inner()
}

/// Waits until a `local` is in the middle of writing rows.
pub(crate) fn wait_for_rows(local: &mut Running) {
    let address = address_of(local);
    let puts = || status(&address)["worker"]["totals"]["mergedPuts"].as_u64();
    wait_until("a row that is written", || puts() > Some(0));
}

/// Looks again until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Samples by the text before their values.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(k, v)| (k, v.parse().unwrap())).collect()
}

#[test]
fn local_answers_on_all_paths_while_it_works() {
    // Leases long enough for a machine that runs every other test at the same time.
    let mut local = Program::new(&["local", "--for", "10m", "--state", ":memory:", "--port", "0"])
        .args(&["--set", "fleet.failover_ms=20000"])
        .start();
    let address = address_of(&mut local);
    wait_until("a committed record", || committed(&address) > 0);
    assert_eq!(get(&address, "/healthz").code, 200);
    // A heartbeat may take too long for a moment on a busy machine.
    wait_until("a ready worker", || get(&address, "/readyz").body == "ok\n");
    let metrics = get(&address, "/metrics");
    assert_eq!(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
    let samples = samples(&metrics.body);
    assert!(samples.contains_key("ivs_processor_ready"));
    assert!(samples["ivs_processor_leases_total{event=\"taken\"}"] >= 4.0);
    assert!(samples[r#"ivs_processor_records_total{outcome="accepted"}"#] > 0.0);
    assert!(samples.keys().any(|name| name.starts_with("ivs_processor_shard_lag_seconds{")));
    metrics_are_what_is_asked_for(&address);
    let status = status(&address);
    assert_eq!(status["phase"], "running");
    let worker = &status["worker"];
    let shards = worker["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 4);
    assert!(shards.iter().all(|shard| shard["owner"] == worker["id"]), "{status}");
}

/// As Prometheus asks since version 2.5, and one that wants the older text.
fn metrics_are_what_is_asked_for(address: &str) {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    let open = get_as(address, "/metrics", prometheus);
    assert_eq!(open.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
    let old =
        get_as(address, "/metrics", "text/plain;version=0.0.4,application/openmetrics-text;q=0.2");
    assert_eq!(old.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!old.body.contains("# EOF"), "{}", old.body);
    assert!(samples(&old.body).len() > 10 && samples(&open.body).len() > 10);
}

#[tokio::test]
async fn a_worker_all_of_whose_shards_fail_is_not_ready_until_they_get_on() {
    let (url, _endpoint) =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
            .args(&["--shards", "1"])
            .start()
            .wait_for_ready();
    let dynamodb = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await.dynamodb;
    // Something that is not a row of ours has the key of one: no put of the shard succeeds.
    let (table, session) = (ivs_schemas::names::METRICS_TABLE, AttributeValue::S("st-1".into()));
    let minute = AttributeValue::N("1748779200".into());
    let foreign = dynamodb.put_item().table_name(table).item("sessionId", session.clone());
    foreign.item("metricTimestamp", minute.clone()).send().await.unwrap();
    let dir = state();
    let line = r#"{"eventType":"metrics_update","sessionId":"st-1","channelId":"c","timestamp":"2025-06-01T12:00:00Z","currentViewers":7}"#;
    std::fs::write(dir.path().join("lines.ndjson"), line).unwrap();
    let input = dir.path().join("lines.ndjson");
    Program::new(&["generate", "--endpoint-url", &url, "--input"]).arg(input).run_to_end();
    let mut worker = Program::new(&["worker", "--endpoint-url", &url])
        .args(&["--set", "fleet.failover_ms=2000", "--set", "epoch.interval_ms=200"])
        .args(&["--set", "stream.poll_interval_ms=100", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .start();
    let address = worker.ops_address();
    let fails = |address: &str| {
        let answer = get(address, "/readyz");
        answer.code == 503 && answer.body.contains("every shard here fails")
    };
    wait_until("a worker that says what fails", || fails(&address));
    // Between two tries, and while it tries again.
    let failed_tasks = || status(&address)["worker"]["totals"]["failedTasks"].as_u64().unwrap();
    let before = failed_tasks();
    wait_until("another try", || {
        assert!(fails(&address), "{}", get(&address, "/readyz").body);
        failed_tasks() > before
    });
    assert_eq!(get(&address, "/healthz").code, 200, "a new process would meet the same");
    let gone = dynamodb.delete_item().table_name(table).key("sessionId", session);
    gone.key("metricTimestamp", minute).send().await.unwrap();
    wait_until("a ready worker", || get(&address, "/readyz").code == 200);
    wait_until("a committed record", || committed(&address) == 1);
    wait_until("a ready status", || status(&address)["ready"] == true);
    worker.stop_in_order();
    let rows = Program::new(&["rows", "--endpoint-url", &url]).run_to_end();
    assert_eq!(rows.lines().filter(|row| row.starts_with("st-1")).count(), 1, "{rows}");
}

#[test]
fn the_commands_show_check_and_change_a_fleet() {
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let rejects = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        Program::new(args)
            .args(&["--endpoint-url", &url, "--set", "fleet.failover_ms=8000"])
            .args(&["--set", "epoch.interval_ms=1000", "--set"])
            .arg(format!("objects.rejects=file://{}", rejects.path().display()))
    };
    run(&["generate", "--fast", "--for", "20s"]).run_to_end();
    let mut worker = run(&["worker"]).start();
    let address = worker.ops_address();
    let at = format!("http://{address}");
    wait_until("a ready worker", || get(&address, "/readyz").code == 200);
    wait_until("a committed record", || committed(&address) > 0);
    assert_eq!(run(&["health", "--worker", &at]).run_to_end(), "ok\n");

    let text = run(&["status"]).run_to_end();
    assert!(text.contains(" alive "), "{text}");
    assert!(text.contains("4 leases") && text.contains("1 worker,"), "{text}");
    let text = run(&["status", "--worker", &at]).run_to_end();
    assert!(text.contains("ready") && text.contains("RECORDS/S"), "{text}");
    let json = |args: &[&str]| serde_json::from_str::<Value>(&run(args).run_to_end()).unwrap();
    assert_eq!(json(&["status", "--json"])["shards"].as_array().unwrap().len(), 4);
    assert_eq!(json(&["health", "--json", "--worker", &at])["healthy"], true);
    assert_eq!(json(&["leases", "list", "--json"]).as_array().unwrap().len(), 4);
    assert_eq!(run(&["leases", "list"]).run_to_end().lines().count(), 5);
    assert!(run(&["leases", "verify"]).run_to_end().contains("4 leases, 0 findings"));

    let (code, error) = run(&["worker", "--set", &format!("ops.listen={address}")]).fails();
    assert_eq!(code, 64);
    assert!(error.contains(&address) && error.contains("ops.listen"), "{error}");
    let (code, error) = run(&["leases", "seek", "--all", "--to", "TRIM_HORIZON"]).fails();
    assert_eq!(code, 1);
    assert!(error.contains("4 of 4 leases not changed"), "{error}");
    let shard = "shardId-000000000000";
    assert!(run(&["leases", "release", shard]).run_to_end().contains("released"));

    worker.kill_9();
    let (code, error) = run(&["health", "--worker", &at]).fails();
    assert_eq!(code, 1);
    assert!(error.contains(&at), "{error}");
    let moved = run(&["leases", "seek", shard, "--to", "LATEST", "--force"]).run_to_end();
    assert!(moved.contains("checkpoint AT_TIMESTAMP"), "{moved}");
    let (_, error) = run(&["leases", "seek", shard, "--to", "12"]).fails();
    assert!(error.contains("GetShardIterator"), "{error}");
    findings_are_told_by_exit_code(&url, shard, run);
}

fn findings_are_told_by_exit_code(url: &str, shard: &str, run: impl Fn(&[&str]) -> Program) {
    let (code, error) =
        run(&["leases", "verify", "--set", "fleet.lease_table=nothing-there"]).fails();
    assert_eq!(code, 69, "{error}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let aws = Aws { endpoint_url: url.to_owned(), ..Aws::default() };
        let key = AttributeValue::S(shard.to_owned());
        let table = ivs_schemas::names::LEASE_TABLE;
        let delete = clients(&aws).await.dynamodb.delete_item().table_name(table);
        delete.key("leaseKey", key).send().await.unwrap();
    });
    let (code, error) = run(&["leases", "verify"]).fails();
    assert_eq!(code, 1);
    // The hole and its shard, and the three leases that the killed worker still holds.
    assert!(error.contains("5 findings"), "{error}");
    let (code, error) = run(&["status"]).fails();
    assert_eq!(code, 1);
    assert!(error.contains("the owner is silent") && error.contains("without a lease"), "{error}");
    let metrics = ivs_schemas::names::METRICS_TABLE;
    let (code, error) =
        run(&["leases", "list", "--set", &format!("fleet.lease_table={metrics}")]).fails();
    assert_eq!((code, error.lines().count()), (1, 1), "{error}");
    assert!(error.contains("is not a lease table"), "{error}");
    let (code, error) = run(&["worker", "--set", "tables.metrics=no-such-table"]).fails();
    assert_eq!(code, 1);
    assert!(error.contains("no-such-table"), "{error}");
}
