//! Several workers: even spread, hand-over, shutdown, and the example's driver.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kinesis_fleet::{Fleet, LeaseOutcome, ShardId, ShardLease, WorkerId, consume};
use tokio::sync::oneshot;

use crate::aws::{Aws, reader_settings, soon};

/// Receives leases, and gives each back as soon as it is asked to.
fn obey(mut leases: kinesis_fleet::Leases) {
    tokio::spawn(async move {
        while let Some(lease) = leases.recv().await {
            tokio::spawn(give_back(lease));
        }
    });
}

async fn give_back(lease: ShardLease) -> LeaseOutcome {
    let (hand_over, lost) = (lease.hand_over(), lease.lost());
    tokio::select! {
        () = hand_over.cancelled() => lease.release().await.unwrap(),
        () = lost.cancelled() => LeaseOutcome::Lost,
    }
}

async fn loads(aws: &Aws) -> BTreeMap<WorkerId, usize> {
    let mut loads = BTreeMap::new();
    for lease in aws.store().list().await.unwrap() {
        if let Some(owner) = lease.owner {
            *loads.entry(owner).or_default() += 1;
        }
    }
    loads
}

async fn wait_for_loads(aws: &Aws, expected: &[usize]) {
    soon(async {
        loop {
            let mut now: Vec<_> = loads(aws).await.into_values().collect();
            now.sort_unstable();
            if now == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn workers_that_come_and_go_share_the_shards_evenly() {
    let aws = Aws::with_stream(6).await;
    let (first, leases) = aws.worker("a").await;
    obey(leases);
    wait_for_loads(&aws, &[6]).await;
    let (second, leases) = aws.worker("b").await;
    obey(leases);
    wait_for_loads(&aws, &[3, 3]).await;
    let (third, leases) = aws.worker("c").await;
    obey(leases);
    wait_for_loads(&aws, &[2, 2, 2]).await;
    // Nothing was taken by force: every move was asked for and granted.
    assert_eq!((first.counters().lost(), second.counters().lost()), (0, 0));
    assert!(first.counters().hand_overs() + second.counters().hand_overs() >= 5);

    let report = second.shutdown(Duration::from_secs(20)).await;
    assert_eq!((report.released, report.forced), (2, 0));
    wait_for_loads(&aws, &[3, 3]).await;
    third.shutdown(Duration::from_secs(20)).await;
    wait_for_loads(&aws, &[6]).await;
}

#[tokio::test]
async fn a_released_lease_goes_to_the_worker_that_asked() {
    let aws = Aws::with_stream(2).await;
    let (_first, mut leases) = aws.worker("a").await;
    let held = [soon(leases.recv()).await.unwrap(), soon(leases.recv()).await.unwrap()];
    let (_second, mut next) = aws.worker("b").await;
    let asked = soon(async {
        loop {
            if let Some(n) = held.iter().position(|lease| lease.hand_over().is_cancelled()) {
                return n;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let [first, second] = held;
    let (wanted, kept) = if asked == 0 { (first, second) } else { (second, first) };
    let shard = wanted.shard().clone();
    assert_eq!(wanted.release().await.unwrap(), LeaseOutcome::Done);
    assert_eq!(soon(next.recv()).await.unwrap().shard(), &shard);
    assert!(!kept.lost().is_cancelled() && !kept.hand_over().is_cancelled());
}

#[tokio::test]
async fn an_application_that_does_not_let_go_is_cut_off_at_the_deadline() {
    let aws = Aws::with_stream(1).await;
    let (fleet, mut leases) = aws.worker("a").await;
    let lease = soon(leases.recv()).await.unwrap();
    let report = fleet.shutdown(Duration::from_millis(300)).await;
    assert_eq!((report.released, report.forced), (0, 1));
    assert!(lease.hand_over().is_cancelled() && lease.lost().is_cancelled());
    // Released, not left to expire.
    assert_eq!(aws.store().get(lease.shard()).await.unwrap().unwrap().owner, None);
    assert!(leases.recv().await.is_none());
}

/// Runs `consume` until `stop` fires; what it read goes to `seen`.
fn consumer(
    aws: &Aws,
    name: &str,
    stop: oneshot::Receiver<()>,
    seen: Arc<Mutex<Vec<String>>>,
) -> tokio::task::JoinHandle<()> {
    let clients = (aws.kinesis.clone(), aws.dynamodb.clone());
    let (config, settings) = (aws.config(name), reader_settings());
    let handle = move |_: ShardId, records: Vec<kinesis_fleet::Record>| {
        let seen = Arc::clone(&seen);
        async move {
            let texts = records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned());
            seen.lock().unwrap().extend(texts);
            Ok::<_, Infallible>(())
        }
    };
    tokio::spawn(async move {
        let stop = async { drop(stop.await) };
        let limit = Duration::from_secs(20);
        let report = consume(config, settings, clients, stop, limit, handle).await.unwrap();
        assert_eq!(report.forced, 0);
    })
}

#[tokio::test]
async fn consumers_read_every_record_over_a_split_and_a_change_of_workers() {
    let aws = Aws::with_stream(2).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (stop_a, stopped_a) = oneshot::channel();
    let (stop_b, stopped_b) = oneshot::channel();
    let a = consumer(&aws, "a", stopped_a, Arc::clone(&seen));
    for n in 0..60 {
        aws.put(&format!("key-{n}"), &format!("record-{n}")).await;
    }
    let b = consumer(&aws, "b", stopped_b, Arc::clone(&seen));
    let half = (1_u128 << 126).to_string();
    let split = aws.kinesis.split_shard().stream_name(crate::aws::STREAM);
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key(half);
    split.send().await.unwrap();
    aws.wait_active().await;
    for n in 60..120 {
        aws.put(&format!("key-{n}"), &format!("record-{n}")).await;
    }
    wait_for_records(&seen, 120).await;
    stop_a.send(()).unwrap();
    soon(a).await.unwrap();
    aws.put("key", "record-120").await;
    wait_for_records(&seen, 121).await;
    stop_b.send(()).unwrap();
    soon(b).await.unwrap();
}

async fn wait_for_records(seen: &Mutex<Vec<String>>, expected: usize) {
    soon(async {
        loop {
            let distinct = seen.lock().unwrap().iter().cloned().collect::<BTreeSet<_>>().len();
            assert!(distinct <= expected);
            if distinct == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn status_shows_the_whole_table_with_our_leases_marked() {
    let aws = Aws::with_stream(2).await;
    let (fleet, mut leases): (Fleet, _) = aws.worker("a").await;
    let first = soon(leases.recv()).await.unwrap();
    let second = soon(leases.recv()).await.unwrap();
    let status = fleet.status();
    let shards: Vec<_> = status.iter().map(|s| s.shard.as_str()).collect();
    assert_eq!(shards, ["shardId-000000000000", "shardId-000000000001"]);
    let ours = |s: &kinesis_fleet::LeaseStatus| {
        s.state == kinesis_fleet::LeasePhase::Running && s.valid_for_ms > Some(0)
    };
    assert!(status.iter().all(ours), "{status:?}");
    drop((first, second));
    assert!(!fleet.status().iter().any(ours));
}
