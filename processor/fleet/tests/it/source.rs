//! Readers: order, positions, ends, expired iterators, subscriptions.

use ivs_emulator::{FaultKind, FaultRule};
use kinesis_fleet::source::enhanced;
use kinesis_fleet::{
    Consumer, EpochMs, Position, Record, ShardId, ShardReader, SourceError, StartAt,
};

use crate::aws::{Aws, STREAM, reader_settings, soon};
use crate::store::fault;

fn first() -> ShardId {
    ShardId::new("shardId-000000000000")
}

fn open(aws: &Aws, shard: ShardId, start: StartAt) -> ShardReader {
    ShardReader::open(&aws.kinesis, STREAM, shard, start, reader_settings())
}

/// Reads `count` records.
async fn read(reader: &mut ShardReader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(soon(reader.next()).await.unwrap().records);
    }
    records
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.data).unwrap()).collect()
}

async fn with_records(count: usize) -> Aws {
    let aws = Aws::with_stream(1).await;
    for n in 0..count {
        aws.put(&format!("key-{n}"), &n.to_string()).await;
    }
    aws
}

fn kinesis_fault(operation: &str, kind: FaultKind, count: u64) -> FaultRule {
    FaultRule { service: Some("kinesis".into()), ..fault(operation, kind, Some(count)) }
}

#[tokio::test]
async fn reading_starts_at_the_position_asked_for() {
    let aws = with_records(4).await;
    let all = read(&mut open(&aws, first(), StartAt::TrimHorizon), 4).await;
    assert_eq!(texts(&all), ["0", "1", "2", "3"]);
    assert_eq!(&*all[2].partition_key, "key-2");
    let position = Position { sequence: all[1].sequence, sub: 0 };
    let at = read(&mut open(&aws, first(), StartAt::At(position)), 3).await;
    assert_eq!(texts(&at), ["1", "2", "3"]);
    let after = read(&mut open(&aws, first(), StartAt::After(position)), 2).await;
    assert_eq!(texts(&after), ["2", "3"]);
    let from = read(&mut open(&aws, first(), StartAt::AtTimestamp(all[0].arrival)), 4).await;
    assert_eq!(from.len(), 4);
    let mut latest = open(&aws, first(), StartAt::Latest);
    assert_eq!(soon(latest.next()).await.unwrap().records, []);
    aws.put("key", "new").await;
    assert_eq!(texts(&read(&mut latest, 1).await), ["new"]);
}

#[tokio::test]
async fn faults_neither_repeat_nor_skip_records() {
    let aws = with_records(3).await;
    let mut reader = open(&aws, first(), StartAt::TrimHorizon);
    aws.add_fault(&kinesis_fault("GetShardIterator", FaultKind::Reset, 1)).await;
    let mut records = read(&mut reader, 3).await;
    let kinds = [FaultKind::Throttle, FaultKind::Error500, FaultKind::DropReply, FaultKind::Reset];
    for kind in kinds {
        aws.add_fault(&kinesis_fault("GetRecords", kind, 2)).await;
        aws.put("key", &format!("{kind:?}")).await;
        records.extend(read(&mut reader, 1).await);
    }
    let expected = ["0", "1", "2", "Throttle", "Error500", "DropReply", "Reset"];
    assert_eq!(texts(&records), expected);
}

#[tokio::test]
async fn a_reader_that_gave_up_goes_on_where_it_stopped() {
    let aws = with_records(2).await;
    let mut reader = open(&aws, first(), StartAt::TrimHorizon);
    read(&mut reader, 2).await;
    aws.put("key", "2").await;
    aws.add_fault(&kinesis_fault("GetRecords", FaultKind::Throttle, 5)).await;
    let error = soon(reader.next()).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { attempts: 5, .. }), "{error}");
    assert_eq!(texts(&read(&mut reader, 1).await), ["2"]);
}

#[tokio::test]
async fn the_end_of_a_shard_names_its_children_once() {
    let aws = with_records(2).await;
    aws.split().await;
    let mut reader = open(&aws, first(), StartAt::TrimHorizon);
    let mut records = 0;
    let children = loop {
        let batch = soon(reader.next()).await.unwrap();
        records += batch.records.len();
        if let Some(children) = batch.end {
            break children;
        }
    };
    assert_eq!(records, 2);
    assert!(children.iter().all(|child| child.parents == [first()]), "{children:?}");
    let half = 1_u128 << 127;
    let ranges: Vec<_> = children.iter().map(|c| (c.hash_range.start, c.hash_range.end)).collect();
    assert_eq!(ranges, [(0, half - 1), (half, u128::MAX)]);
    let error = reader.next().await.unwrap_err();
    assert!(matches!(error, SourceError::AfterEnd { .. }), "{error}");
}

#[tokio::test]
async fn a_shard_that_does_not_exist_is_told_from_a_missing_stream() {
    let aws = with_records(0).await;
    let mut reader = open(&aws, ShardId::new("shardId-000000000009"), StartAt::TrimHorizon);
    let error = soon(reader.next()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Gone { children, .. } if children.is_empty()), "{error}");
    let settings = reader_settings();
    let mut other =
        ShardReader::open(&aws.kinesis, "no-stream", first(), StartAt::TrimHorizon, settings);
    let error = soon(other.next()).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
}

async fn consumer_arn(aws: &Aws) -> String {
    let registered = enhanced::register(&aws.kinesis, STREAM, "ivs-processor").await.unwrap();
    let again = enhanced::register(&aws.kinesis, STREAM, "ivs-processor").await.unwrap();
    assert_eq!(registered, again);
    registered
}

fn subscribe(aws: &Aws, consumer_arn: String, start: StartAt) -> ShardReader {
    let consumer = Consumer::Enhanced { consumer_arn };
    let settings = reader_settings();
    ShardReader::open_with(&aws.kinesis, STREAM, first(), start, settings, &consumer)
}

#[tokio::test]
async fn a_subscription_delivers_in_order_and_ends_with_the_children() {
    let aws = with_records(3).await;
    let arn = consumer_arn(&aws).await;
    let mut reader = subscribe(&aws, arn, StartAt::TrimHorizon);
    let records = read(&mut reader, 3).await;
    assert_eq!(texts(&records), ["0", "1", "2"]);
    aws.put("key", "3").await;
    assert_eq!(texts(&read(&mut reader, 1).await), ["3"]);
    aws.split().await;
    let children = loop {
        let batch = soon(reader.next()).await.unwrap();
        assert_eq!(batch.records, []);
        if let Some(children) = batch.end {
            break children;
        }
    };
    assert_eq!(children.len(), 2);
}

#[tokio::test]
async fn a_reader_that_cannot_subscribe_polls() {
    let aws = with_records(2).await;
    let arn = consumer_arn(&aws).await;
    let request = aws.kinesis.deregister_stream_consumer().consumer_arn(&arn);
    request.send().await.unwrap();
    let mut reader = subscribe(&aws, arn, StartAt::AtTimestamp(EpochMs(0)));
    assert_eq!(texts(&read(&mut reader, 2).await), ["0", "1"]);
}

#[tokio::test]
async fn a_call_brings_about_as_much_as_there_is_room_for() {
    let aws = Aws::with_stream(1).await;
    for n in 0..40 {
        aws.put("key", &format!("{n:0>1000}")).await;
    }
    let mut reader = open(&aws, first(), StartAt::TrimHorizon);
    let mut counts = vec![];
    for most_bytes in [4_096, 10_030, 1, u64::MAX] {
        reader.expect_at_most(most_bytes);
        counts.push(soon(reader.next()).await.unwrap().records.len());
    }
    assert_eq!(counts, [4, 10, 1, 25], "one at least, and all without a limit");
}
