//! The task of a shard panics, by a fault that nobody foresaw: the worker goes on with its other
//! shards, says what happened, and tries the shard again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use futures::future::BoxFuture;
use ivs_processor::items::codec::Item;
use ivs_processor::worker::Worker;
use ivs_tests::rng::Rng;
use kinesis_fleet::store::expressions::Update;
use kinesis_fleet::store::{LeaseRows, Updated, attributes};
use kinesis_fleet::{LeaseStore, ShardId, StoreError};

use super::net::{Net, sleep_ms};
use super::plan::{self, Plan};
use super::{Run, in_simulated_time, judge, members};
use crate::log::ShardLog;

/// Tasks that panic one after the other.
const PANICS: u32 = 2;
/// Both have long panicked by then.
const AT_THE_LATEST_MS: u64 = 60_000;

/// The way to the lease table, on which the task of one shard panics when it prepares an epoch: no
/// other task stores that.
#[derive(Debug)]
struct Panicking {
    net: Arc<Net>,
    shard: ShardId,
    left: AtomicU32,
}

impl LeaseRows for Panicking {
    fn check(&self, create: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.net.check(create)
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        LeaseRows::get(&*self.net, key)
    }

    fn scan(&self, consistent: bool) -> BoxFuture<'_, Result<Vec<Item>, StoreError>> {
        self.net.scan(consistent)
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        update: &'a Update,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        let prepares = update.set.iter().any(|(name, _)| *name == attributes::PENDING);
        let is_ours = prepares && key == self.shard.as_str();
        let is_left = |left: u32| left.checked_sub(1);
        if is_ours && self.left.fetch_update(Relaxed, Relaxed, is_left).is_ok() {
            panic!("out of luck");
        }
        self.net.update(key, update)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.net.delete(key)
    }
}

/// Returns a stream of two shards or more, with records enough, that are never split or merged.
fn quiet_stream(rng: &mut Rng) -> Plan {
    loop {
        let plan = plan::draw(rng);
        let is_quiet = |shard: &ShardLog| shard.parents.is_empty() && shard.records.len() > 15;
        if plan.log.len() >= 2 && plan.log.iter().all(is_quiet) {
            return plan;
        }
    }
}

#[test]
fn a_shard_whose_task_panics_fails_alone_and_its_rows_are_exact_in_the_end() {
    in_simulated_time(1, async |trace| {
        let mut rng = Rng::new(1);
        let run = Run::new(quiet_stream(&mut rng), &mut rng, trace);
        let (shard, ends_ms) = {
            let mut shell = run.lock();
            shell.chaos = false;
            (shell.world.log[0].id.clone(), shell.ends_ms)
        };
        let net = Arc::new(Net { shell: Arc::clone(&run.shell), life: Arc::default() });
        let mut outside = members::outside(&net, &run.objects, true);
        let left = AtomicU32::new(PANICS);
        let leases = Panicking { net, shard: shard.clone(), left };
        outside.leases = LeaseStore::over(Arc::new(leases), "leases");
        let config = members::config("worker-1", &mut rng);
        let worker = Worker::start_over(&config, outside).await.unwrap();

        let first_ms = failed(&run, &worker, &shard, 1).await;
        let second_ms = failed(&run, &worker, &shard, 2).await;
        assert!(second_ms - first_ms >= config.fleet.failover_ms / 2, "its lease has to lapse");
        only_it_failed(&worker, &shard);

        run.come_to_rest(ends_ms, &mut rng).await.unwrap();
        judge::at_rest(&mut run.lock(), &run.objects, &run.trace).unwrap();
        assert!(worker.failing().is_empty(), "{:?}", worker.failing());
        assert_eq!(worker.stats().snapshot().failed_tasks, u64::from(PANICS));
    });
}

/// Waits until so many tasks of the shard have failed since its last commit; returns when that was.
async fn failed(run: &Run, worker: &Worker, shard: &ShardId, times: u32) -> u64 {
    while worker.failing().get(shard).is_none_or(|failing| failing.times < times) {
        sleep_ms(100).await;
        assert!(run.lock().now_ms() < AT_THE_LATEST_MS, "{:?}", worker.failing());
    }
    run.lock().now_ms()
}

/// Checks that the worker says of this shard that it panics, and that the others have moved on.
fn only_it_failed(worker: &Worker, shard: &ShardId) {
    let failing = worker.failing();
    assert_eq!(failing.keys().collect::<Vec<_>>(), [shard]);
    assert!(failing[shard].error.contains("its task panicked"), "{failing:?}");
    assert!(failing[shard].error.contains("out of luck"), "{failing:?}");
    assert!(worker.watch().takes_leases());
    let leases = worker.leases();
    let noted = leases.iter().find(|lease| lease.shard == *shard);
    let noted = noted.and_then(|lease| lease.last_error.as_deref());
    assert!(noted.is_some_and(|error| error.contains("its task panicked")), "{leases:?}");
    let others: Vec<_> = worker.shards().into_iter().filter(|(other, _)| other != shard).collect();
    assert!(others.iter().all(|(_, view)| view.ended.is_none()), "{others:?}");
    assert!(others.iter().any(|(_, view)| view.epochs > 0), "{others:?}");
}
