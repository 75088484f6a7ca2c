//! A backlog that is much larger than a worker's memory: it is read as far as there is room (E8).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_processor::config::{Config, Epoch};
use ivs_processor::worker::Worker;
use ivs_tests::rng::Rng;
use kinesis_fleet::source::{CallFailed, ShardCalls, ShardPage};
use kinesis_fleet::sync::ShardInfo;
use kinesis_fleet::sync::listing::{CallError, StreamInfo, StreamShape};
use kinesis_fleet::{Record, SequenceNumber, ShardId, StartAt};
use kinesis_model::HashRange;

use super::net::{Net, sleep_ms};
use super::plan::{Plan, Span};
use super::{Run, in_simulated_time, judge, members};
use crate::log;

const SHARDS: u128 = 32;
/// Most records of a shard; it has half as many on average.
const RECORDS: u64 = 40;
/// A record is made so wide: it is kept for the archive as it is.
const RECORD_BYTES: usize = 256 << 10;
/// Of an answer; and how long one takes.
const MOST_OF_A_PAGE: u16 = 4;
const PAGE_TAKES_MS: u64 = 50;
/// The least that can be set.
const BUDGET_MB: usize = 64;
/// The largest read, by which the budget may be exceeded when nothing else can go on.
const ONE_READ_BYTES: u64 = 10 << 20;

/// The stream, with an account of what was read of it and is not committed.
#[derive(Debug)]
struct Accounted {
    net: Arc<Net>,
    /// How far each shard was read.
    read_to: Vec<Mutex<Option<SequenceNumber>>>,
    most_bytes: AtomicU64,
}

impl Accounted {
    fn new(net: Arc<Net>) -> Self {
        let read_to = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { net, read_to, most_bytes: AtomicU64::new(0) }
    }

    fn note(&self, shard: usize, page: &ShardPage) {
        if let Some(last) = page.records.last() {
            *self.read_to[shard].lock().expect("nobody panics with it") = Some(last.sequence);
        }
        self.most_bytes.fetch_max(self.held_bytes(), Relaxed);
    }

    /// Returns the payload that was read and is not committed.
    fn held_bytes(&self) -> u64 {
        let shell = self.net.lock();
        let of_shard = |(number, log): (usize, &log::ShardLog)| {
            let done = shell.world.leases[number].checkpoint.map(|at| at.sequence);
            let read = *self.read_to[number].lock().expect("nobody panics with it");
            let held = log.records.iter().filter(|record| {
                let at = Some(record.sequence);
                at > done && at <= read
            });
            held.map(|record| record.data.len() as u64).sum::<u64>()
        };
        shell.world.log.iter().enumerate().map(of_shard).sum()
    }
}

impl StreamShape for Accounted {
    fn info(&self) -> BoxFuture<'_, Result<StreamInfo, CallError>> {
        self.net.info()
    }

    fn shards(&self) -> BoxFuture<'_, Result<Vec<ShardInfo>, CallError>> {
        self.net.shards()
    }
}

impl ShardCalls for Accounted {
    fn iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: StartAt,
    ) -> BoxFuture<'a, Result<String, CallFailed>> {
        self.net.iterator(shard, start)
    }

    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u16,
    ) -> BoxFuture<'a, Result<ShardPage, CallFailed>> {
        async move {
            sleep_ms(PAGE_TAKES_MS).await;
            let page = self.net.records(iterator, limit.min(MOST_OF_A_PAGE)).await?;
            // Whoever asks for one only asks how far behind a shard is.
            if limit > 1 {
                let shard = iterator.split('/').next().and_then(|number| number.parse().ok());
                self.note(shard.expect("our own iterator"), &page);
            }
            Ok(page)
        }
        .boxed()
    }
}

/// Returns a stream that is all there from the beginning, with its bytes.
fn backlog(rng: &mut Rng) -> (Plan, u64) {
    let width = u128::MAX / SHARDS;
    let range = |number: u128| {
        let end = if number + 1 == SHARDS { u128::MAX } else { (number + 1) * width - 1 };
        HashRange { start: number * width, end }
    };
    let mut log = log::of_lineage((0..SHARDS).map(|n| (vec![], range(n))).collect(), RECORDS, rng);
    let records = log.iter_mut().flat_map(|shard| &mut shard.records);
    let bytes = records.map(widen).sum();
    let span = |log: &log::ShardLog| Span { opens_ms: 0, appears_ms: vec![0; log.records.len()] };
    let spans = log.iter().map(span).collect();
    (Plan { log, spans, ends_ms: 1_000 }, bytes)
}

/// Gives a record that is one whole object a long member that nobody reads; returns its size.
fn widen(record: &mut Record) -> u64 {
    if record.data.starts_with(b"{") && record.data.ends_with(b"}") {
        let mut wide = record.data[..record.data.len() - 1].to_vec();
        wide.extend_from_slice(br#","pad":""#);
        wide.resize(RECORD_BYTES, b'x');
        wide.extend_from_slice(br#""}"#);
        record.data = Bytes::from(wide);
    }
    record.data.len() as u64
}

/// Returns settings by which nothing but memory closes an epoch soon.
fn config(rng: &mut Rng) -> Config {
    let mut config = members::config("worker-1", rng);
    let horizon_ms = config.epoch.dedupe_horizon_ms;
    config.epoch = Epoch { dedupe_horizon_ms: horizon_ms, interval_ms: 60_000, ..Epoch::default() };
    config.stream.shard_budget = false;
    config.worker.memory_mb = BUDGET_MB;
    config
}

#[test]
fn a_backlog_beyond_a_workers_memory_is_read_as_far_as_there_is_room_and_rows_are_exact() {
    in_simulated_time(1, async |trace| {
        let mut rng = Rng::new(1);
        let (plan, bytes) = backlog(&mut rng);
        let run = Run::new(plan, &mut rng, trace);
        run.lock().chaos = false;
        let net = Arc::new(Net { shell: Arc::clone(&run.shell), life: Arc::default() });
        let stream = Arc::new(Accounted::new(Arc::clone(&net)));
        let mut outside = members::outside(&net, &run.objects, true);
        outside.stream = Arc::clone(&stream) as _;
        let config = config(&mut rng);
        let budget_bytes = config.worker.epochs_bytes();
        assert!(bytes > 2 * budget_bytes, "{bytes} bytes wait");

        let worker = Worker::start_over(&config, outside).await.unwrap();
        run.come_to_rest(0, &mut rng).await.unwrap();
        judge::at_rest(&mut run.lock(), &run.objects, &run.trace).unwrap();
        let most_bytes = stream.most_bytes.load(Relaxed);
        assert!(most_bytes > budget_bytes / 2, "{most_bytes} bytes at most: it has room for more");
        assert!(
            most_bytes <= budget_bytes + ONE_READ_BYTES,
            "{most_bytes} of {budget_bytes} bytes"
        );
        assert_eq!(worker.stats().snapshot().failed_tasks, 0);
    });
}
