//! The coordinator itself over rows in memory: no network between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use kinesis_fleet::store::expressions::{Condition, Update};
use kinesis_fleet::store::{LeaseRows, Updated};
use kinesis_fleet::sync::ShardInfo;
use kinesis_fleet::sync::listing::{CallError, StreamInfo, StreamShape};
use kinesis_fleet::{
    EpochMs, Fleet, FleetConfig, HashRange, LeaseStore, Leases, ShardId, ShardLease, StoreError,
    WorkerId,
};

use crate::aws::soon;

type Item = HashMap<String, AttributeValue>;

/// Rows that change in one step each.
#[derive(Debug, Default)]
struct MemoryRows(Mutex<BTreeMap<String, Item>>);

fn holds(row: Option<&Item>, condition: &Condition) -> bool {
    let value = |attribute: &str| row.and_then(|row| row.get(attribute));
    match condition {
        Condition::Equals(attribute, wanted) => value(attribute) == Some(wanted),
        Condition::Absent(attribute) => value(attribute).is_none(),
        Condition::Present(attribute) => value(attribute).is_some(),
    }
}

impl LeaseRows for MemoryRows {
    fn check(&self, _create: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        ready(Ok(self.0.lock().unwrap().get(key).cloned())).boxed()
    }

    fn scan(&self, _consistent: bool) -> BoxFuture<'_, Result<Vec<Item>, StoreError>> {
        ready(Ok(self.0.lock().unwrap().values().cloned().collect())).boxed()
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        update: &'a Update,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        let mut rows = self.0.lock().unwrap();
        let row = rows.get(key);
        if !update.conditions.iter().all(|condition| holds(row, condition)) {
            return ready(Ok(Updated::Refused(row.cloned()))).boxed();
        }
        let row = rows.entry(key.to_owned()).or_default();
        row.insert("leaseKey".to_owned(), AttributeValue::S(key.to_owned()));
        for (attribute, value) in &update.set {
            row.insert((*attribute).to_owned(), value.clone());
        }
        for attribute in &update.remove {
            row.remove(*attribute);
        }
        ready(Ok(Updated::Stored(row.clone()))).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.lock().unwrap().remove(key);
        ready(Ok(())).boxed()
    }
}

/// A stream of so many open shards.
#[derive(Debug)]
struct FixedStream(u128);

impl StreamShape for FixedStream {
    fn info(&self) -> BoxFuture<'_, Result<StreamInfo, CallError>> {
        let info = StreamInfo { created: EpochMs(1), retention_ms: 24 * 3_600_000 };
        ready(Ok(info)).boxed()
    }

    fn shards(&self) -> BoxFuture<'_, Result<Vec<ShardInfo>, CallError>> {
        let width = u128::MAX / self.0;
        let shard = |n: u128| ShardInfo {
            id: ShardId::new(&format!("shardId-{n:012}")),
            parents: Vec::new(),
            hash_range: HashRange {
                start: n * width,
                end: if n + 1 == self.0 { u128::MAX } else { (n + 1) * width - 1 },
            },
            closed: false,
        };
        ready(Ok((0..self.0).map(shard).collect())).boxed()
    }
}

async fn worker(rows: &Arc<MemoryRows>, name: &str, shards: u128) -> (Fleet, Leases) {
    let config = FleetConfig {
        table: "t".into(),
        stream: "s".into(),
        worker_id: WorkerId::new(name),
        failover_ms: 2_000,
        ..FleetConfig::default()
    };
    let store = LeaseStore::over(Arc::clone(rows) as Arc<dyn LeaseRows>, "t");
    Fleet::start_over(config, store, Arc::new(FixedStream(shards))).await.unwrap()
}

async fn received(leases: &mut Leases, count: usize) -> Vec<ShardLease> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(soon(leases.recv()).await.unwrap());
    }
    all
}

#[tokio::test]
async fn the_leases_of_a_crashed_worker_move_when_they_have_expired() {
    let rows = Arc::new(MemoryRows::default());
    let (crashing, mut leases) = worker(&rows, "a", 50).await;
    let held = received(&mut leases, 50).await;
    let (_other, mut next) = worker(&rows, "b", 50).await;
    drop(crashing);
    let taken = received(&mut next, 50).await;
    assert!(held.iter().all(|lease| lease.lost().is_cancelled()), "a zombie that knows nothing");
    drop(taken);
}

#[tokio::test]
async fn a_second_worker_gets_half_of_the_leases_by_asking() {
    let rows = Arc::new(MemoryRows::default());
    let (_first, mut leases) = worker(&rows, "a", 20).await;
    for lease in received(&mut leases, 20).await {
        tokio::spawn(async move {
            lease.hand_over().cancelled().await;
            lease.release().await.unwrap()
        });
    }
    let (second, mut next) = worker(&rows, "b", 20).await;
    let got = received(&mut next, 10).await;
    let more = tokio::time::timeout(Duration::from_secs(3), next.recv()).await;
    assert!(more.is_err(), "half is enough: {more:?}");
    assert_eq!((second.observer().leases_held(), got.len()), (10, 10));
}
