//! Lease rows, attribute by attribute and type by type, as KCL writes and reads them
//! (contract: names, types and sentinels of KCL 2.x and 3.x, kept as literals on purpose).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue::{self, Bool, N, S, Ss};
use aws_sdk_dynamodb::types::{KeyType, ScalarAttributeType};
use kinesis_fleet::store::Write;
use kinesis_fleet::store::expressions::Change;
use kinesis_fleet::{Checkpoint, EpochMs, HashRange, Lease, ShardId, WorkerId};

use crate::aws::{Aws, TABLE};

const SEQUENCE: &str = "49590338271490256608559692538361571095921575989136588898";

fn row(attributes: &[(&str, AttributeValue)]) -> HashMap<String, AttributeValue> {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text(value: &str) -> AttributeValue {
    S(value.to_owned())
}

fn digits(value: u64) -> AttributeValue {
    N(value.to_string())
}

fn merged_lease() -> Lease {
    let mut lease = Lease::new(ShardId::new("shardId-000000000002"), Checkpoint::TrimHorizon);
    lease.parents =
        vec![ShardId::new("shardId-000000000000"), ShardId::new("shardId-000000000001")];
    lease.hash_range = Some(HashRange::ALL);
    lease
}

fn merged_row() -> HashMap<String, AttributeValue> {
    row(&[
        ("leaseKey", text("shardId-000000000002")),
        ("leaseCounter", digits(0)),
        ("ownerSwitchesSinceCheckpoint", digits(0)),
        ("checkpoint", text("TRIM_HORIZON")),
        ("checkpointSubSequenceNumber", digits(0)),
        ("parentShardId", Ss(vec!["shardId-000000000000".into(), "shardId-000000000001".into()])),
        ("startingHashKey", text("0")),
        ("endingHashKey", text("340282366920938463463374607431768211455")),
        ("entityType", text("LEASE")),
    ])
}

/// Applies a change and returns the lease and the raw row after it.
async fn applied(
    aws: &Aws,
    lease: &Lease,
    change: Change,
) -> (Lease, HashMap<String, AttributeValue>) {
    let Write::Done(lease) = aws.store().apply(lease, &change).await.unwrap() else {
        panic!("{change:?} lost")
    };
    let mut raw = aws.item(lease.key.as_str()).await;
    assert_eq!(aws.store().get(&lease.key).await.unwrap().as_ref(), Some(&*lease));
    // Random, so it is compared as read.
    let life = raw.remove("incarnation").map(|life| life.as_s().unwrap().clone());
    assert_eq!(life.as_deref(), lease.incarnation.as_deref());
    (*lease, raw)
}

fn set(row: &mut HashMap<String, AttributeValue>, changes: &[(&str, AttributeValue)]) {
    row.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
}

#[tokio::test]
async fn every_operation_writes_exactly_what_kcl_would() {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    aws.store().create(&merged_lease()).await.unwrap();
    let mut expected = merged_row();
    assert_eq!(aws.item("shardId-000000000002").await, expected);

    let worker = WorkerId::new("w1");
    let (lease, raw) = applied(&aws, &merged_lease(), Change::Take(worker)).await;
    set(
        &mut expected,
        &[
            ("leaseOwner", text("w1")),
            ("cooperativeOwner", text("w1")),
            ("leaseCounter", digits(1)),
            ("ownerSwitchesSinceCheckpoint", digits(1)),
        ],
    );
    assert_eq!(raw, expected);

    let (lease, raw) = applied(&aws, &lease, Change::Renew).await;
    set(&mut expected, &[("leaseCounter", digits(2))]);
    assert_eq!(raw, expected);

    let to = format!("{SEQUENCE}/7").parse().unwrap();
    let (lease, raw) = applied(&aws, &lease, Change::Prepare { to, state: "".into() }).await;
    set(
        &mut expected,
        &[
            ("leaseCounter", digits(3)),
            ("pendingCheckpoint", text(SEQUENCE)),
            ("pendingCheckpointSubSequenceNumber", digits(7)),
        ],
    );
    assert_eq!(raw, expected);

    let arrival = EpochMs(1_700_000_000_123);
    let (lease, raw) = applied(&aws, &lease, Change::Commit { to, arrival }).await;
    expected.remove("pendingCheckpoint");
    expected.remove("pendingCheckpointSubSequenceNumber");
    set(
        &mut expected,
        &[
            ("leaseCounter", digits(4)),
            ("ownerSwitchesSinceCheckpoint", digits(0)),
            ("checkpoint", text(SEQUENCE)),
            ("checkpointSubSequenceNumber", digits(7)),
            ("checkpointArrivalMs", digits(1_700_000_000_123)),
        ],
    );
    assert_eq!(raw, expected);

    let (lease, raw) = applied(&aws, &lease, Change::Release(None)).await;
    expected.remove("leaseOwner");
    set(&mut expected, &[("leaseCounter", digits(5))]);
    assert_eq!(raw, expected);

    let (lease, _) = applied(&aws, &lease, Change::Take(WorkerId::new("w2"))).await;
    let children = vec![ShardId::new("shardId-000000000003")];
    let (_, raw) = applied(&aws, &lease, Change::Finish(children)).await;
    set(
        &mut expected,
        &[
            ("leaseOwner", text("w2")),
            ("cooperativeOwner", text("w2")),
            ("leaseCounter", digits(7)),
            ("checkpoint", text("SHARD_END")),
            ("checkpointSubSequenceNumber", digits(0)),
            ("childShardIds", Ss(vec!["shardId-000000000003".into()])),
        ],
    );
    assert_eq!(raw, expected);
}

#[tokio::test]
async fn a_lease_that_starts_at_a_time_has_kcls_sentinel_and_our_time() {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    let mut lease = Lease::new(ShardId::new("s"), Checkpoint::AtTimestamp);
    lease.initial_time = Some(EpochMs(5));
    lease.stream_created = Some(EpochMs(4));
    aws.store().create(&lease).await.unwrap();
    let expected = row(&[
        ("leaseKey", text("s")),
        ("leaseCounter", digits(0)),
        ("ownerSwitchesSinceCheckpoint", digits(0)),
        ("checkpoint", text("AT_TIMESTAMP")),
        ("checkpointSubSequenceNumber", digits(0)),
        ("initialTimestampMs", digits(5)),
        ("streamCreatedMs", digits(4)),
        ("entityType", text("LEASE")),
    ]);
    assert_eq!(aws.item("s").await, expected);
}

/// Returns a row as Java KCL 3.x leaves it, and attributes nobody here knows.
fn java_row() -> HashMap<String, AttributeValue> {
    row(&[
        ("leaseKey", text("shardId-000000000001")),
        ("leaseOwner", text("java")),
        ("leaseCounter", digits(41)),
        ("ownerSwitchesSinceCheckpoint", digits(3)),
        ("checkpoint", text(SEQUENCE)),
        ("checkpointSubSequenceNumber", digits(2)),
        ("pendingCheckpoint", text(SEQUENCE)),
        ("pendingCheckpointSubSequenceNumber", digits(9)),
        // KCL's create path writes a number here although the type is binary.
        ("pendingCheckpointState", digits(0)),
        ("checkpointOwner", text("older")),
        ("throughputKBps", N("12.345678".into())),
        ("somethingElse", Bool(true)),
    ])
}

async fn put(aws: &Aws, item: HashMap<String, AttributeValue>) {
    let request = aws.dynamodb.put_item().table_name(TABLE).set_item(Some(item));
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_java_row_is_read_taken_and_keeps_what_is_not_ours() {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    put(&aws, java_row()).await;
    let lease = aws.store().get(&ShardId::new("shardId-000000000001")).await.unwrap().unwrap();
    assert_eq!(lease.owner, Some(WorkerId::new("java")));
    assert_eq!(lease.pending, Some(Checkpoint::Sequence(format!("{SEQUENCE}/9").parse().unwrap())));
    assert!(!lease.is_cooperative());

    let (lease, raw) = applied(&aws, &lease, Change::Take(WorkerId::new("ours"))).await;
    let mut expected = java_row();
    expected.remove("checkpointOwner");
    set(
        &mut expected,
        &[
            ("leaseOwner", text("ours")),
            ("cooperativeOwner", text("ours")),
            ("leaseCounter", digits(42)),
            ("ownerSwitchesSinceCheckpoint", digits(4)),
        ],
    );
    assert_eq!(raw, expected);

    let to = format!("{SEQUENCE}/9").parse().unwrap();
    let (_, raw) = applied(&aws, &lease, Change::Commit { to, arrival: EpochMs(1) }).await;
    let kept = ["throughputKBps", "somethingElse"];
    assert!(kept.iter().all(|name| raw[*name] == expected[*name]), "{raw:?}");
    assert!(!raw.keys().any(|name| name.starts_with("pending")), "{raw:?}");
}

#[tokio::test]
async fn rows_of_other_kinds_and_broken_rows_do_not_hide_the_leases() {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    put(&aws, java_row()).await;
    let metrics = [("leaseKey", text("worker-7")), ("entityType", text("WORKER_METRIC_STATS"))];
    put(&aws, row(&metrics)).await;
    put(&aws, row(&[("leaseKey", text("broken")), ("checkpoint", text("LATEST"))])).await;
    let leases = aws.store().list().await.unwrap();
    let keys: Vec<_> = leases.iter().map(|lease| lease.key.as_str()).collect();
    assert_eq!(keys, ["shardId-000000000001"]);
}

#[tokio::test]
async fn the_table_has_kcls_key() {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    aws.store().ensure_table().await.unwrap();
    let table = aws.dynamodb.describe_table().table_name(TABLE).send().await.unwrap();
    let table = table.table.unwrap();
    let [key] = table.key_schema() else { panic!("{table:?}") };
    assert_eq!((key.attribute_name(), key.key_type()), ("leaseKey", &KeyType::Hash));
    let [attribute] = table.attribute_definitions() else { panic!("{table:?}") };
    assert_eq!(attribute.attribute_type(), &ScalarAttributeType::S);
}
