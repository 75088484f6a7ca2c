//! One worker after another: start, positions, splits and merges, crashes, loss of the table.

use std::time::Duration;

use ivs_emulator::FaultKind;
use kinesis_fleet::admin;
use kinesis_fleet::store::Write;
use kinesis_fleet::store::expressions::Change;
use kinesis_fleet::{
    Checkpoint, ChildShard, EpochMs, Fleet, FleetError, InitialPosition, LeaseOutcome, LeasePhase,
    Position, ShardId, ShardLease, ShardReader, ShutdownReport, StartAt, WorkerId,
};

use crate::aws::{Aws, STREAM, TABLE, reader_settings, soon};
use crate::store::fault;

/// Reads a shard from its start to its end; returns the number of records, the last position and
/// the children.
async fn read_out(aws: &Aws, lease: &ShardLease) -> (usize, Option<Position>, Vec<ChildShard>) {
    let (shard, start) = (lease.shard().clone(), lease.resume_point().start());
    let mut reader = ShardReader::open(&aws.kinesis, STREAM, shard, start, reader_settings());
    let (mut records, mut last) = (0, None);
    loop {
        let batch = soon(reader.next()).await.unwrap();
        records += batch.records.len();
        last = batch.records.last().map(|r| Position { sequence: r.sequence, sub: 0 }).or(last);
        if let Some(children) = batch.end {
            return (records, last, children);
        }
    }
}

fn id(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

#[tokio::test]
async fn a_worker_gets_every_shard_and_its_successor_goes_on_where_it_committed() {
    let aws = Aws::with_stream(3).await;
    let (fleet, mut leases) = aws.worker("a").await;
    let [done, prepared] = [77, 99].map(|n: u128| Position { sequence: n.into(), sub: 0 });
    let mut held = Vec::new();
    for _ in 0..3 {
        let lease = soon(leases.recv()).await.unwrap();
        assert_eq!(lease.resume_point().checkpoint, Checkpoint::TrimHorizon);
        assert_eq!(lease.commit(done, EpochMs(5)).await.unwrap(), LeaseOutcome::Done);
        let stored = lease.prepare_with(prepared, "note".into()).await;
        assert_eq!(stored.unwrap(), LeaseOutcome::Done);
        held.push(lease);
    }
    let shutdown = tokio::spawn(fleet.shutdown(Duration::from_secs(30)));
    for lease in held {
        soon(lease.hand_over().cancelled()).await;
        assert_eq!(lease.release().await.unwrap(), LeaseOutcome::Done);
    }
    assert_eq!(soon(shutdown).await.unwrap(), ShutdownReport { released: 3, forced: 0 });

    let (_fleet, mut leases) = aws.worker("b").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let lease = soon(leases.recv()).await.unwrap();
        let point = lease.resume_point();
        assert_eq!(point.checkpoint, Checkpoint::Sequence(done));
        assert_eq!((point.pending, point.checkpoint_arrival), (Some(prepared), Some(EpochMs(5))));
        assert_eq!(point.pending_state.as_deref(), Some(&b"note"[..]));
        assert_eq!(point.start(), StartAt::At(done));
        held.push(lease);
    }
}

#[tokio::test]
async fn children_follow_their_parent_and_a_merged_shard_waits_for_both() {
    let aws = Aws::with_stream(1).await;
    for n in 0..20 {
        aws.put(&format!("key-{n}"), "before").await;
    }
    aws.split().await;
    for n in 0..20 {
        aws.put(&format!("key-{n}"), "between").await;
    }
    let merge = aws.kinesis.merge_shards().stream_name(STREAM);
    let merge = merge.shard_to_merge(id(1).as_str()).adjacent_shard_to_merge(id(2).as_str());
    merge.send().await.unwrap();
    aws.wait_active().await;

    let (fleet, mut leases) = aws.worker("a").await;
    let parent = soon(leases.recv()).await.unwrap();
    assert_eq!(parent.shard(), &id(0));
    let (records, last, children) = read_out(&aws, &parent).await;
    assert_eq!((records, children.len()), (20, 2));
    let arrival = EpochMs(0);
    let _done = parent.commit(last.unwrap(), arrival).await.unwrap();
    assert_eq!(parent.finish(&children).await.unwrap(), LeaseOutcome::Done);
    drop(parent);

    let first = soon(leases.recv()).await.unwrap();
    let second = soon(leases.recv()).await.unwrap();
    let mut read = 0;
    for (lease, other_is_open) in [(first, true), (second, false)] {
        let (records, last, children) = read_out(&aws, &lease).await;
        read += records;
        let [merged] = children.as_slice() else { panic!("{children:?}") };
        assert_eq!((&merged.shard, merged.parents.len()), (&id(3), 2));
        if let Some(last) = last {
            let _done = lease.commit(last, arrival).await.unwrap();
        }
        assert_eq!(lease.finish(&children).await.unwrap(), LeaseOutcome::Done);
        drop(lease);
        if other_is_open {
            // Its lease exists and is held, but the other parent is not finished.
            let waited = tokio::time::timeout(Duration::from_millis(1_500), leases.recv()).await;
            assert!(waited.is_err(), "handed out too early: {waited:?}");
        }
    }
    assert_eq!(read, 20);
    let merged = soon(leases.recv()).await.unwrap();
    assert_eq!(merged.shard(), &id(3));
    let finished = |s: &&kinesis_fleet::LeaseStatus| s.state == LeasePhase::Finished;
    assert_eq!(fleet.status().iter().filter(finished).count(), 3);
    assert_eq!(admin::verify(&aws.store().list().await.unwrap()), []);

    // Once the merged shard is under way, its ancestors' leases go, oldest first.
    let _done = merged.commit(Position { sequence: u128::MAX.into(), sub: 0 }, arrival).await;
    soon(async {
        while aws.store().list().await.unwrap().len() > 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_crash_a_successor_takes_over_when_the_lease_has_expired() {
    let aws = Aws::with_stream(1).await;
    let (crashed, mut leases) = aws.quick_worker("a").await;
    let lease = soon(leases.recv()).await.unwrap();
    let to = Position { sequence: 5.into(), sub: 0 };
    let _done = lease.prepare(to).await.unwrap();
    let (_successor, mut next) = aws.quick_worker("b").await;
    // Dropping a fleet stops its heartbeats, as a killed process would.
    drop(crashed);
    let taken = soon(next.recv()).await.unwrap();
    assert_eq!(taken.resume_point().pending, Some(to));
    assert!(taken.fencing_token() > lease.fencing_token());
    // The zombie knows it without asking anyone, and cannot write.
    assert!(lease.lost().is_cancelled());
    assert_eq!(lease.prepare(to).await.unwrap(), LeaseOutcome::Lost);
}

#[tokio::test]
async fn a_lease_is_lost_before_it_expires_when_the_table_is_out_of_reach() {
    let aws = Aws::with_stream(1).await;
    let (_fleet, mut leases) = aws.quick_worker("a").await;
    let lease = soon(leases.recv()).await.unwrap();
    aws.add_fault(&fault("UpdateItem", FaultKind::Reset, None)).await;
    soon(lease.lost().cancelled()).await;
    let outcome = lease.commit(Position::default(), EpochMs(0)).await.unwrap();
    assert_eq!(outcome, LeaseOutcome::Lost);
}

#[tokio::test]
async fn a_lease_taken_by_a_java_worker_is_lost_at_the_next_heartbeat() {
    let aws = Aws::with_stream(1).await;
    let (_fleet, mut leases) = aws.quick_worker("a").await;
    let lease = soon(leases.recv()).await.unwrap();
    let java = Change::Take(WorkerId::new("java"));
    soon(async {
        loop {
            let row = aws.store().get(lease.shard()).await.unwrap().unwrap();
            if let Write::Done(_) = aws.store().apply(&row, &java).await.unwrap() {
                return;
            }
        }
    })
    .await;
    soon(lease.lost().cancelled()).await;
    let outcome = lease.prepare(Position::default()).await.unwrap();
    assert_eq!(outcome, LeaseOutcome::Lost);
}

#[tokio::test]
async fn latest_is_pinned_so_that_a_restart_skips_nothing() {
    let aws = Aws::with_stream(1).await;
    aws.put("k", "before").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut config = aws.config("a");
    config.initial_position = InitialPosition::Latest;
    let (fleet, leases) = aws.worker_with(config.clone()).await;
    drop(leases);
    fleet.shutdown(Duration::from_secs(5)).await;
    aws.put("k", "while nobody was there").await;

    config.worker_id = WorkerId::new("b");
    let (_fleet, mut leases) = aws.worker_with(config).await;
    let lease = soon(leases.recv()).await.unwrap();
    assert_eq!(lease.resume_point().checkpoint, Checkpoint::AtTimestamp);
    let (shard, start) = (lease.shard().clone(), lease.resume_point().start());
    let mut reader = ShardReader::open(&aws.kinesis, STREAM, shard, start, reader_settings());
    let batch = soon(reader.next()).await.unwrap();
    let texts: Vec<_> = batch.records.iter().map(|record| &record.data[..]).collect();
    assert_eq!(texts, [b"while nobody was there"]);
}

#[tokio::test]
async fn leases_of_an_earlier_stream_of_the_same_name_are_refused() {
    let aws = Aws::with_stream(1).await;
    let (fleet, _leases) = aws.worker("a").await;
    drop(fleet);
    let request = aws.dynamodb.update_item().table_name(TABLE);
    let (key, old) = ("shardId-000000000000".to_owned(), "1000".to_owned());
    let request = request
        .key("leaseKey", aws_sdk_dynamodb::types::AttributeValue::S(key))
        .update_expression("SET streamCreatedMs = :old")
        .expression_attribute_values(":old", aws_sdk_dynamodb::types::AttributeValue::N(old));
    request.send().await.unwrap();
    let (kinesis, dynamodb) = (aws.kinesis.clone(), aws.dynamodb.clone());
    let error = Fleet::start(aws.config("b"), kinesis, dynamodb).await.unwrap_err();
    assert!(matches!(error, FleetError::StreamRecreated { leased: 1_000, .. }), "{error}");
}

#[tokio::test]
async fn a_missing_stream_is_named() {
    let aws = Aws::start().await;
    let (kinesis, dynamodb) = (aws.kinesis.clone(), aws.dynamodb.clone());
    let error = Fleet::start(aws.config("a"), kinesis, dynamodb).await.unwrap_err().to_string();
    assert!(error.contains(STREAM) && error.contains("there is no such stream"), "{error}");
}
