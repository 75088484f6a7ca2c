//! `--eventbridge-archive`: the bus sends its archive again, and the workers make rows of it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use ivs_schemas::names;

use super::replay;
use crate::process::{Program, state};

/// 2025-06-01T13:00:00Z.
const START_S: i64 = 1_748_782_800;
const SESSIONS: i64 = 3;

type Item = HashMap<String, AttributeValue>;

#[tokio::test]
async fn an_archive_of_the_bus_brings_back_what_was_lost_and_changes_nothing_else() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
    create_archive(&clients).await;
    send_events(&clients).await;
    let work = || {
        Program::new(&["worker", "--until-drained", "--endpoint-url", &url])
            .args(&["--set", "epoch.interval_ms=1000"])
            // By the id alone an event is known for a minute; here nothing but what it says counts.
            .args(&["--set", "epoch.dedupe_horizon_ms=0"])
            .args(&["--set", "stream.poll_interval_ms=100", "--set"])
            .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
            .run_to_end();
    };
    let again = |name: &str, from: &str, to: &str| {
        replay(&["--eventbridge-archive", name, "--from", from, "--to", to])
            .args(&["--endpoint-url", &url])
            .end()
    };
    work();
    let items = sessions(&clients).await;
    let summaries = items.iter().filter(|item| item["timestamp"].as_n().unwrap() == "0").count();
    assert_eq!(i64::try_from(summaries).unwrap(), SESSIONS);

    // Everything again: no item says anything else afterwards.
    let whole_day = ("2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z");
    let (code, out, error) = again(names::EVENT_ARCHIVE, whole_day.0, whole_day.1);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.trim_end().lines().last().unwrap().contains("COMPLETED"), "{out}");
    work();
    assert_eq!(records(&url, dir.path()), 4 * SESSIONS, "every event came twice");
    assert_eq!(sessions(&clients).await, items);

    // The first two sessions' items are lost; the archive brings those of its time range back.
    let lost = |item: &&Item| item["sessionId"].as_s().unwrap().as_str() < "st-2";
    for item in items.iter().filter(lost) {
        clients
            .dynamodb
            .delete_item()
            .table_name(names::SESSIONS_TABLE)
            .key("sessionId", item["sessionId"].clone())
            .key("timestamp", item["timestamp"].clone())
            .send()
            .await
            .unwrap();
    }
    let (code, out, error) =
        again(names::EVENT_ARCHIVE, "2025-06-01T13:00:00Z", "2025-06-01T14:00:00Z");
    assert_eq!(code, 0, "{out}{error}");
    work();
    let is_back = |item: &Item| item["sessionId"].as_s().unwrap() != "st-1";
    let expected: Vec<Item> = items.into_iter().filter(is_back).collect();
    assert_eq!(sessions(&clients).await, expected, "all but the session of the second hour");

    let (code, _, error) = again("no-such-archive", whole_day.0, whole_day.1);
    assert_eq!(code, 1);
    assert!(error.contains("cannot find archive no-such-archive"), "{error}");
}

async fn create_archive(clients: &Clients) {
    let bus = clients.eventbridge.describe_event_bus().name(names::SERVICE_BUS).send();
    let bus = bus.await.unwrap().arn.unwrap();
    let create = clients.eventbridge.create_archive().archive_name(names::EVENT_ARCHIVE);
    create.event_source_arn(bus).send().await.unwrap();
}

/// A stream an hour, from its start to its end half an hour later.
async fn send_events(clients: &Clients) {
    for session in 0..SESSIONS {
        for (name, at_s) in [("Stream Start", 0), ("Stream End", 1_800)] {
            let detail = serde_json::json!({
                "event_name": name,
                "channel_name": format!("channel {session}"),
                "stream_id": format!("st-{session}"),
            });
            let entry = PutEventsRequestEntry::builder()
                .source(names::IVS_SOURCE)
                .detail_type(names::STREAM_STATE_CHANGE)
                .resources(format!("arn:aws:ivs:us-east-1:111122223333:channel/ch{session}"))
                .time(DateTime::from_secs(START_S + 3_600 * session + at_s))
                .detail(detail.to_string())
                .build();
            let put = clients.eventbridge.put_events().entries(entry).send().await.unwrap();
            assert_eq!(put.failed_entry_count, 0, "{put:?}");
        }
    }
}

/// Returns all items by key, without what counts writes and names their epochs.
async fn sessions(clients: &Clients) -> Vec<Item> {
    let scan = clients.dynamodb.scan().table_name(names::SESSIONS_TABLE).consistent_read(true);
    let mut items = scan.send().await.unwrap().items.unwrap();
    for item in &mut items {
        item.retain(|name, _| !["version", "applied", "origin"].contains(&name.as_str()));
    }
    items.sort_by_key(|item| {
        let time: f64 = item["timestamp"].as_n().unwrap().parse().unwrap();
        (item["sessionId"].as_s().unwrap().clone(), time.to_bits())
    });
    items
}

/// Returns how many records the stream holds.
fn records(url: &str, dir: &std::path::Path) -> i64 {
    let out = replay(&["kinesis:ivs-events", "--json", "--endpoint-url", url, "--rows-out"])
        .arg(dir.join("rows.csv"))
        .run_to_end();
    let last = out.lines().last().unwrap();
    let summary: serde_json::Value = serde_json::from_str(last).unwrap();
    summary["summary"]["read"].as_i64().unwrap()
}
