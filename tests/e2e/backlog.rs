//! Records that were there before the worker.

use aws_sdk_kinesis::primitives::Blob;
use ivs_processor::cloud::clients;
use ivs_processor::config::Aws;

use crate::process::{PATIENCE, Program, state};

#[tokio::test]
async fn rows_of_a_backlog_do_not_wait_for_the_interval() {
    let dir = state();
    let (url, _endpoint) =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
            .args(&["--shards", "1"])
            .start()
            .wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    let record = r#"{"eventType":"metrics_update","sessionId":"st-1","channelId":"c","timestamp":"2025-06-01T12:00:00Z","currentViewers":7}"#;
    let put = clients.kinesis.put_record().stream_name("ivs-events").partition_key("k");
    put.data(Blob::new(record)).send().await.unwrap();
    // Waiting for the interval would take longer than any run may.
    let interval_ms = PATIENCE.as_millis() * 10;
    Program::new(&["worker", "--until-drained", "--endpoint-url", &url, "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().display()))
        .arg("--set")
        .arg(format!("epoch.interval_ms={interval_ms}"))
        .run_to_end();
    let rows = Program::new(&["rows", "--endpoint-url", &url]).run_to_end();
    assert!(rows.lines().any(|row| row.starts_with("st-1")), "{rows}");
}
