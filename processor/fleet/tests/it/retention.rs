//! Records, checkpoints and shards that expire before they are read.

use ivs_emulator::Clock;
use kinesis_fleet::admin::{self, Changed, Finding, stream};
use kinesis_fleet::clock::Clock as FleetClock;
use kinesis_fleet::source::enhanced;
use kinesis_fleet::{
    Batch, Checkpoint, Consumer, EpochMs, Gap, Lease, LeaseOutcome, Position, ReaderSettings,
    Record, ResumePoint, ShardId, ShardReader, SourceError, StartAt,
};

use crate::aws::{Aws, STREAM, reader_settings, soon};

const HOUR_MS: u64 = 3_600_000;

fn first() -> ShardId {
    ShardId::new("shardId-000000000000")
}

fn after(record: &Record) -> Position {
    Position { sequence: record.sequence, sub: 0 }
}

fn resume(record: &Record) -> ResumePoint {
    ResumePoint { checkpoint: Checkpoint::Sequence(after(record)), ..ResumePoint::default() }
}

/// Settings of a reader that lives in the stream's time.
fn aging(clock: &Clock) -> ReaderSettings {
    let clock = clock.clone();
    let wall = move || EpochMs(i64::try_from(clock.now_ms()).unwrap());
    ReaderSettings { clock: FleetClock::with_wall(wall), ..reader_settings() }
}

fn open(aws: &Aws, start: StartAt, clock: &Clock) -> ShardReader {
    ShardReader::open(&aws.kinesis, STREAM, first(), start, aging(clock))
}

async fn put(aws: &Aws, texts: &[&str]) {
    for text in texts {
        aws.put("key", text).await;
    }
}

/// Returns everything up to the first answer that has records or a gap.
async fn next(reader: &mut ShardReader) -> Batch {
    loop {
        let batch = soon(reader.next()).await.unwrap();
        if !batch.records.is_empty() || batch.gap.is_some() {
            return batch;
        }
    }
}

fn texts(batch: &Batch) -> Vec<&str> {
    batch.records.iter().map(|record| std::str::from_utf8(&record.data).unwrap()).collect()
}

/// Returns a stream of which the first three records are known.
async fn begun() -> (Aws, Clock, Vec<Record>) {
    let (aws, clock) = Aws::with_aging_stream(1).await;
    put(&aws, &["a", "b", "c"]).await;
    let records = next(&mut open(&aws, StartAt::TrimHorizon, &clock)).await.records;
    assert_eq!(records.len(), 3);
    (aws, clock, records)
}

/// Returns a consumer becomes ACTIVE in the stream's time.
async fn register(aws: &Aws, clock: &Clock) -> String {
    let registered = enhanced::register(&aws.kinesis, STREAM, "ivs-processor");
    tokio::pin!(registered);
    loop {
        tokio::select! {
            arn = &mut registered => return arn.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(50)) => clock.advance(1_000),
        }
    }
}

#[tokio::test]
async fn records_that_expired_behind_the_checkpoint_are_a_gap_with_both_positions() {
    let (aws, clock, records) = begun().await;
    clock.advance(25 * HOUR_MS);
    put(&aws, &["d", "e"]).await;
    let point = resume(&records[0]);
    for start in [point.start(), StartAt::AtTimestamp(EpochMs(records[0].arrival.0 - 60_000))] {
        let mut reader = open(&aws, start, &clock).continuing(point.to_be_met());
        let batch = next(&mut reader).await;
        assert_eq!(texts(&batch), ["d", "e"]);
        let gap =
            Gap { after: Some(after(&records[0])), first_seen: Some(batch.records[0].sequence) };
        assert_eq!(batch.gap, Some(gap), "{start:?}");
    }
    let arn = register(&aws, &clock).await;
    let consumer = Consumer::Enhanced { consumer_arn: arn };
    let reader = ShardReader::open_with(
        &aws.kinesis,
        STREAM,
        first(),
        point.start(),
        aging(&clock),
        &consumer,
    );
    let batch = next(&mut reader.continuing(point.to_be_met())).await;
    assert_eq!((texts(&batch), batch.gap.is_some()), (vec!["d", "e"], true));
}

#[tokio::test]
async fn a_checkpoint_that_is_met_proves_that_nothing_is_missing() {
    let (aws, clock, records) = begun().await;
    clock.advance(23 * HOUR_MS);
    let point = resume(&records[0]);
    let batch = next(&mut open(&aws, point.start(), &clock).continuing(point.to_be_met())).await;
    assert_eq!((texts(&batch), batch.gap), (vec!["a", "b", "c"], None));
}

#[tokio::test]
async fn a_quiet_shard_whose_end_was_seen_lately_has_no_gap() {
    let (aws, clock, records) = begun().await;
    clock.advance(25 * HOUR_MS);
    put(&aws, &["d"]).await;
    let point = ResumePoint { is_complete: true, ..resume(&records[2]) };
    let batch = next(&mut open(&aws, point.start(), &clock).continuing(point.to_be_met())).await;
    assert_eq!((texts(&batch), batch.gap), (vec!["d"], None));
    let unknown = resume(&records[2]);
    let batch =
        next(&mut open(&aws, unknown.start(), &clock).continuing(unknown.to_be_met())).await;
    assert!(batch.gap.is_some(), "it cannot be told from a shard that lost records");
}

#[tokio::test]
async fn nothing_left_at_all_is_a_gap_too() {
    let (aws, clock, records) = begun().await;
    clock.advance(25 * HOUR_MS);
    let point = resume(&records[0]);
    let batch = next(&mut open(&aws, point.start(), &clock).continuing(point.to_be_met())).await;
    assert_eq!(batch.gap, Some(Gap { after: Some(after(&records[0])), first_seen: None }));
    put(&aws, &["d"]).await;
}

#[tokio::test]
async fn falling_behind_retention_while_running_is_a_gap_and_being_slow_is_none() {
    let (aws, clock, _) = begun().await;
    let settings = ReaderSettings { max_records: 1, ..aging(&clock) };
    let mut reader =
        ShardReader::open(&aws.kinesis, STREAM, first(), StartAt::TrimHorizon, settings);
    assert_eq!(texts(&next(&mut reader).await), ["a"]);
    clock.advance(23 * HOUR_MS + HOUR_MS / 2);
    let batch = next(&mut reader).await;
    assert_eq!((texts(&batch), batch.gap), (vec!["b"], None), "late, and nothing is missing");
    let last = after(&batch.records[0]);
    put(&aws, &["d"]).await;
    clock.advance(HOUR_MS);
    let batch = next(&mut reader).await;
    assert_eq!(texts(&batch), ["d"]);
    let gap = batch.gap.expect("c has expired");
    assert_eq!(gap.after.unwrap().sequence, last.sequence);
    assert_eq!(gap.first_seen, Some(batch.records[0].sequence));
}

#[tokio::test]
async fn a_subscriber_that_stood_still_until_records_expired_finds_the_gap() {
    let (aws, clock, _) = begun().await;
    let consumer = Consumer::Enhanced { consumer_arn: register(&aws, &clock).await };
    let (start, settings) = (StartAt::TrimHorizon, aging(&clock));
    let mut reader =
        ShardReader::open_with(&aws.kinesis, STREAM, first(), start, settings, &consumer);
    let batch = next(&mut reader).await;
    assert_eq!((texts(&batch), batch.gap), (vec!["a", "b", "c"], None));
    let last = after(&batch.records[2]);
    put(&aws, &["lost"]).await;
    clock.advance(25 * HOUR_MS);
    put(&aws, &["d"]).await;
    let batch = next(&mut reader).await;
    assert_eq!(texts(&batch), ["d"]);
    let gap = batch.gap.expect("one has expired");
    assert_eq!(gap.after.unwrap().sequence, last.sequence);
}

#[tokio::test]
async fn a_shard_that_left_the_stream_is_finished_and_its_children_are_read() {
    let (aws, clock) = Aws::with_aging_stream(1).await;
    let (_fleet, mut leases) = aws.worker("a").await;
    let parent = soon(leases.recv()).await.unwrap();
    put(&aws, &["lost"]).await;
    aws.split_shard(0, 1 << 127).await;
    clock.advance(25 * HOUR_MS);
    let start = parent.resume_point().start();
    let error = soon(open(&aws, start, &clock).next()).await.unwrap_err();
    let SourceError::Gone { children, .. } = error else { panic!("{error}") };
    assert_eq!(children.len(), 2);
    assert_eq!(parent.finish(&children).await.unwrap(), LeaseOutcome::Done);
    drop(parent);
    for _ in 0..2 {
        soon(leases.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn a_child_whose_parent_left_without_a_lease_is_read() {
    let (aws, clock) = Aws::with_aging_stream(1).await;
    aws.split_shard(0, 1 << 127).await;
    clock.advance(25 * HOUR_MS);
    aws.store().ensure_table().await.unwrap();
    for n in [1, 2] {
        let shard = ShardId::new(&format!("shardId-{n:012}"));
        let mut lease = Lease::new(shard, Checkpoint::TrimHorizon);
        lease.parents = vec![first()];
        aws.store().create(&lease).await.unwrap();
    }
    let (_fleet, mut leases) = aws.worker("a").await;
    for _ in 0..2 {
        soon(leases.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn an_operator_finishes_a_shard_that_is_gone_and_no_other() {
    let (aws, clock) = Aws::with_aging_stream(1).await;
    aws.store().ensure_table().await.unwrap();
    let mut lease = Lease::new(first(), Checkpoint::Sequence(Position::default()));
    lease.owner = Some(kinesis_fleet::WorkerId::new("dead"));
    aws.store().create(&lease).await.unwrap();
    aws.split_shard(0, 1 << 127).await;
    let described = async || stream::describe(&aws.kinesis, STREAM).await.unwrap();
    let is_gone =
        async |shards: &[_]| stream::is_gone(&aws.kinesis, STREAM, &first(), shards).await.unwrap();
    clock.advance(1_000);
    assert!(!is_gone(&described().await.shards).await, "its records are still there");
    clock.advance(25 * HOUR_MS);
    let shards = described().await.shards;
    assert!(is_gone(&shards).await);
    let Changed::Done(row) = admin::finish(&aws.store(), &first(), &shards).await.unwrap() else {
        panic!("not finished")
    };
    assert_eq!((row.checkpoint, row.owner, row.children.len()), (Checkpoint::ShardEnd, None, 2));
    assert_eq!(aws.store().list().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_checkpoint_that_the_stream_does_not_know_is_found() {
    let (aws, _clock, records) = begun().await;
    let own = Lease::new(first(), Checkpoint::Sequence(after(&records[0])));
    let foreign: Position =
        "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
    let other = Lease::new(first(), Checkpoint::Sequence(foreign));
    let found = async |lease: Lease| {
        stream::verify_checkpoints(&aws.kinesis, STREAM, &[lease]).await.unwrap()
    };
    assert_eq!(found(own).await, []);
    let findings = found(other).await;
    let [Finding::ForeignCheckpoint { checkpoint, .. }] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!(*checkpoint, Checkpoint::Sequence(foreign));
}
