//! Lineage: who may be read when, and what becomes of rows that are deleted or incomplete.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use kinesis_fleet::{
    Checkpoint, ChildShard, EpochMs, Lease, LeaseOutcome, Leases, Position, ShardId, ShardLease,
    ShardReader,
};

use crate::aws::{Aws, STREAM, TABLE, reader_settings, soon};

fn id(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

fn at(n: u128) -> Position {
    Position { sequence: n.into(), sub: 0 }
}

/// Reads a closed shard to its end; returns its children.
async fn children(aws: &Aws, lease: &ShardLease) -> Vec<ChildShard> {
    let (shard, start) = (lease.shard().clone(), lease.resume_point().start());
    let mut reader = ShardReader::open(&aws.kinesis, STREAM, shard, start, reader_settings());
    loop {
        if let Some(children) = soon(reader.next()).await.unwrap().end {
            return children;
        }
    }
}

async fn finish(aws: &Aws, lease: ShardLease) {
    let children = children(aws, &lease).await;
    assert_eq!(lease.finish(&children).await.unwrap(), LeaseOutcome::Done);
}

async fn received(leases: &mut Leases, count: usize) -> Vec<ShardLease> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(soon(leases.recv()).await.unwrap());
    }
    all.sort_by(|a, b| a.shard().cmp(b.shard()));
    all
}

async fn lease_of(aws: &Aws, shard: u32) -> Option<Lease> {
    aws.store().get(&id(shard)).await.unwrap()
}

/// 0 is split into 2 and 3, then 3 is merged with its cousin 1 into 4.
#[tokio::test]
async fn a_merge_of_cousins_waits_for_a_parent_that_has_no_lease_yet() {
    let aws = Aws::with_stream(2).await;
    let (_fleet, mut leases) = aws.worker("a").await;
    let mut roots = received(&mut leases, 2).await;
    aws.split_shard(0, 1 << 126).await;
    aws.wait_active().await;
    aws.merge_shards(3, 1).await;
    aws.wait_active().await;
    // 1 ends before anybody has read 0, and so before 3 has a lease.
    finish(&aws, roots.pop().unwrap()).await;
    assert_eq!(lease_of(&aws, 4).await, None, "a child under an unfinished parent");
    let early = tokio::time::timeout(Duration::from_millis(1_500), leases.recv()).await;
    assert!(early.is_err(), "handed out too early: {early:?}");
    finish(&aws, roots.pop().unwrap()).await;
    let mut split = received(&mut leases, 2).await;
    assert_eq!([split[0].shard(), split[1].shard()], [&id(2), &id(3)]);
    finish(&aws, split.pop().unwrap()).await;
    let merged = received(&mut leases, 1).await;
    assert_eq!(merged[0].shard(), &id(4));
}

/// KCL creates the lease of a merged shard at the end of the first of its parents.
#[tokio::test]
async fn a_child_that_was_leased_early_is_not_handed_out_early() {
    let aws = Aws::with_stream(2).await;
    let (fleet, mut leases) = aws.worker("a").await;
    let mut roots = received(&mut leases, 2).await;
    aws.split_shard(0, 1 << 126).await;
    aws.wait_active().await;
    aws.merge_shards(3, 1).await;
    aws.wait_active().await;
    let mut early = Lease::new(id(4), Checkpoint::TrimHorizon);
    early.parents = vec![id(1), id(3)];
    aws.store().create(&early).await.unwrap();
    finish(&aws, roots.pop().unwrap()).await;
    let handed_out = tokio::time::timeout(Duration::from_millis(1_500), leases.recv()).await;
    assert!(handed_out.is_err(), "handed out too early: {handed_out:?}");
    let waiting = fleet.observer().waiting();
    assert!(waiting.iter().any(|lease| lease.key == id(4)), "its lag is told all the same");
    finish(&aws, roots.pop().unwrap()).await;
    let mut split = received(&mut leases, 2).await;
    finish(&aws, split.pop().unwrap()).await;
    assert_eq!(received(&mut leases, 1).await[0].shard(), &id(4));
}

#[tokio::test]
async fn a_lease_deleted_under_its_holder_comes_back_where_it_stood() {
    let aws = Aws::with_stream(1).await;
    let (_fleet, mut leases) = aws.quick_worker("a").await;
    let lease = received(&mut leases, 1).await.pop().unwrap();
    assert_eq!(lease.commit(at(77), EpochMs(5)).await.unwrap(), LeaseOutcome::Done);
    assert_eq!(lease.prepare(at(99)).await.unwrap(), LeaseOutcome::Done);
    aws.store().delete(lease.shard()).await.unwrap();
    soon(lease.lost().cancelled()).await;
    drop(lease);
    let again = received(&mut leases, 1).await.pop().unwrap();
    let point = again.resume_point();
    assert_eq!(point.checkpoint, Checkpoint::Sequence(at(77)));
    assert_eq!((point.pending, point.checkpoint_arrival), (Some(at(99)), Some(EpochMs(5))));
}

#[tokio::test]
async fn a_lease_created_anew_behind_its_holder_is_put_back_where_it_stood() {
    let aws = Aws::with_stream(1).await;
    let (_fleet, mut leases) = aws.quick_worker("a").await;
    let lease = received(&mut leases, 1).await.pop().unwrap();
    assert_eq!(lease.commit(at(77), EpochMs(5)).await.unwrap(), LeaseOutcome::Done);
    aws.store().delete(lease.shard()).await.unwrap();
    aws.store().create(&Lease::new(id(0), Checkpoint::TrimHorizon)).await.unwrap();
    soon(lease.lost().cancelled()).await;
    drop(lease);
    let again = received(&mut leases, 1).await.pop().unwrap();
    assert_eq!(again.resume_point().checkpoint, Checkpoint::Sequence(at(77)));
}

#[tokio::test]
async fn a_row_of_kcl_1_gets_the_hash_keys_of_its_shard() {
    let aws = Aws::with_stream(1).await;
    aws.store().ensure_table().await.unwrap();
    let request = aws.dynamodb.put_item().table_name(TABLE);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let request = request
        .item("leaseKey", text(id(0).as_str()))
        .item("leaseCounter", AttributeValue::N("3".to_owned()))
        .item("checkpoint", text("TRIM_HORIZON"))
        .item("ownerSwitchesSinceCheckpoint", AttributeValue::N("0".to_owned()));
    request.send().await.unwrap();
    let (_fleet, _leases) = aws.worker("a").await;
    let range = lease_of(&aws, 0).await.unwrap().hash_range;
    assert_eq!(range, Some(kinesis_fleet::HashRange::ALL));
}

#[tokio::test]
async fn a_holder_that_has_seen_the_end_says_so_on_the_lease() {
    let aws = Aws::with_stream(1).await;
    let (fleet, mut leases) = aws.quick_worker("a").await;
    let lease = received(&mut leases, 1).await.pop().unwrap();
    assert!(!lease.resume_point().is_complete);
    let now = kinesis_fleet::clock::Clock::system().wall();
    lease.notes().tip(now);
    soon(async {
        while lease_of(&aws, 0).await.unwrap().tip_seen != Some(now) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(lease.release().await.unwrap(), LeaseOutcome::Done);
    let again = received(&mut leases, 1).await.pop().unwrap();
    assert!(again.resume_point().is_complete, "nothing can have expired since");
    drop(fleet);
}
