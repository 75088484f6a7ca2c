//! One session over many shards and workers, on the embedded AWS: `make bench-hot`.
//!
//! Players are the partition keys, so every shard carries the session and every worker writes the
//! same rows. The rows must be exact, refused puts rare, and puts a matter of workers and intervals,
//! not of shards. `HOT_RECORDS` sets how many records there are (400,000). Two more runs, with a tenth
//! of them and one worker, show what a row weighs whose records come from one shard, and from 350.

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::unwrap_used, reason = "a bench that meets an error has failed")]
#![expect(clippy::cast_precision_loss, reason = "shares of counts for people")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use ivs_emulator::{Endpoint, State};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::commands::local::setup;
use ivs_processor::config::Config;
use ivs_processor::items::{codec, metric};
use ivs_processor::worker::Worker;
use ivs_tests::rng::Rng;

const PLAYERS: u64 = 30_000;
const MINUTES: u64 = 3;
/// The wall time that an event-time minute is sent in.
const MINUTE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(5);
/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Records of one PutRecords call.
const CALL: u64 = 500;
/// 2026-03-01T12:00:00Z.
const START_MS: u64 = 1_772_366_400_000;

/// The generator's own fold of a minute: plain sums and sets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Minute {
    records: u64,
    players: BTreeSet<u64>,
    buffering_ms: u64,
    latency_sum_ms: u64,
    latency_max_ms: u64,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records: u64 =
        std::env::var("HOT_RECORDS").map_or(400_000, |text| text.parse().expect("HOT_RECORDS"));
    for (shards, workers) in [(16, 3), (64, 4)] {
        runtime.block_on(run((shards, workers), records));
    }
    for shards in [1, 350] {
        runtime.block_on(run((shards, 1), records / 10));
    }
}

async fn run((shards, workers): (u16, usize), records: u64) {
    let (endpoint, config, clients) = world(shards).await;
    let mut fleet = Vec::new();
    for number in 0..workers {
        let mut config = config.clone();
        config.fleet.worker_id = format!("hot-{number}");
        fleet.push(Worker::start(&config, &clients).await.unwrap());
    }
    settle(&fleet, usize::from(shards)).await;
    let started = Instant::now();
    let expected = send(&clients, &config, records).await;
    let sent: u64 = expected.values().map(|minute| minute.records).sum();
    let read = || fleet.iter().map(|worker| worker.stats().snapshot().read).sum::<u64>();
    while read() < sent {
        assert!(started.elapsed() < PATIENCE, "{} of {sent} records are committed", read());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    judge(&clients, &config, &expected, &fleet, (shards, workers)).await;
    println!("  {:.1} s in all\n", started.elapsed().as_secs_f64());
    for worker in fleet {
        worker.shutdown(Duration::from_secs(20)).await;
    }
    drop(endpoint);
}

/// Waits until every worker runs its share of the shards: how leases move is not what is measured.
async fn settle(fleet: &[Worker], shards: usize) {
    let started = Instant::now();
    let is_running = |worker: &Worker| worker.watch().tasks().len();
    while fleet.iter().any(|worker| is_running(worker) < shards / fleet.len())
        || fleet.iter().map(is_running).sum::<usize>() != shards
    {
        assert!(started.elapsed() < PATIENCE, "the shards are never shared evenly");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("  shared after {:.1} s", started.elapsed().as_secs_f64());
}

async fn world(shards: u16) -> (Endpoint, Config, Clients) {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let local =
        ivs_emulator::Config { listen, state: State::Memory, ..ivs_emulator::Config::default() };
    let endpoint = Endpoint::start(local).await.unwrap();
    let mut config = Config::default();
    config.aws.endpoint_url = endpoint.url().to_owned();
    config.aws.dynamodb_endpoint_url = endpoint.dynamodb_url().to_owned();
    config.epoch.interval_ms = i64::try_from(INTERVAL.as_millis()).unwrap();
    config.stream.poll_interval_ms = 200;
    config.stream.shard_budget = false;
    config.fleet.failover_ms = 4_000;
    config.objects.rejects = format!("file://{}", std::env::temp_dir().join("hot").display());
    let clients = clients(&config.aws).await;
    setup::create(&clients, &config, shards).await.unwrap();
    (endpoint, config, clients)
}

/// Sends the records at an even pace; returns what they add up to.
async fn send(clients: &Clients, config: &Config, records: u64) -> BTreeMap<u64, Minute> {
    let mut rng = Rng::new(7);
    let mut expected: BTreeMap<u64, Minute> = BTreeMap::new();
    let started = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for first in (0..records).step_by(usize::try_from(CALL).unwrap()) {
        let entries = (first..records.min(first + CALL))
            .map(|number| record(number, records, &mut rng, &mut expected))
            .collect();
        let (kinesis, name) = (clients.kinesis.clone(), config.stream.name.clone());
        if calls.len() >= 8 {
            calls.join_next().await.unwrap().unwrap();
        }
        calls.spawn(async move {
            let put = kinesis.put_records().stream_name(name).set_records(Some(entries));
            assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
        });
        let due = MINUTE * u32::try_from(MINUTES).unwrap() * u32::try_from(first).unwrap()
            / u32::try_from(records).unwrap();
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
    while calls.join_next().await.transpose().unwrap().is_some() {}
    expected
}

fn record(
    number: u64,
    of: u64,
    rng: &mut Rng,
    expected: &mut BTreeMap<u64, Minute>,
) -> PutRecordsRequestEntry {
    let minute = number * MINUTES / of;
    let (player, latency_ms, buffering_ms) =
        (rng.below(PLAYERS), 1_500 + rng.below(2_000), rng.below(300));
    let time_ms = START_MS + minute * 60_000 + rng.below(60_000);
    let fold = expected.entry(START_MS / 1_000 + minute * 60).or_default();
    fold.records += 1;
    fold.players.insert(player);
    fold.buffering_ms += buffering_ms;
    fold.latency_sum_ms += latency_ms;
    fold.latency_max_ms = fold.latency_max_ms.max(latency_ms);
    let line = format!(
        r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e{number}","sessionId":"st-hot","channelId":"c1","playerId":"p{player}","timestamp":{time_ms},"state":"PLAYING","bitrate":3000000,"latencyMs":{latency_ms},"bufferingMs":{buffering_ms}}}"#
    );
    PutRecordsRequestEntry::builder()
        .partition_key(format!("st-hot:p{player}"))
        .data(Blob::new(line))
        .build()
        .unwrap()
}

async fn judge(
    clients: &Clients,
    config: &Config,
    expected: &BTreeMap<u64, Minute>,
    fleet: &[Worker],
    (shards, workers): (u16, usize),
) {
    let items = clients.dynamodb.scan().table_name(&config.tables.metrics).send().await.unwrap();
    let items = items.items.unwrap();
    assert_eq!(items.len(), expected.len(), "rows");
    let mut largest = (0, 0);
    for item in &items {
        let (key, row) = metric::decode(item).unwrap();
        let want = &expected[&u64::try_from(key.minute.start_s()).unwrap()];
        assert_eq!(row.agg.records, want.records, "records of {key:?}");
        assert_eq!(row.agg.buffering_ms.sum.0, i128::from(want.buffering_ms) * 1_000_000);
        assert_eq!(row.agg.latency_sum_ms, want.latency_sum_ms);
        assert_eq!(row.agg.latency.max_ms().map(u64::from), Some(want.latency_max_ms));
        let (found, players) = (row.agg.active_players() as f64, want.players.len() as f64);
        assert!((found / players - 1.0).abs() < 0.05, "{found} players, {players} sent");
        let bytes = item["applied"].as_b().map_or(0, |applied| applied.as_ref().len());
        largest = largest.max((codec::size_bytes(item), bytes));
    }
    let stats: Vec<_> = fleet.iter().map(|worker| worker.stats().snapshot()).collect();
    let sum =
        |get: fn(&ivs_processor::sink::stats::Snapshot) -> u64| stats.iter().map(get).sum::<u64>();
    let (stored, refused, partials) =
        (sum(|s| s.merged_puts), sum(|s| s.conflicts), sum(|s| s.partials_merged));
    let failed = sum(|s| s.puts_failed);
    // A minute's records arrive in this many intervals at least partly, and its summary with it.
    let intervals = MINUTE.as_millis().div_ceil(INTERVAL.as_millis()) + 1;
    let row_intervals = 2 * u128::from(MINUTES) * intervals;
    let puts = u128::from(stored + refused) as f64 / row_intervals as f64;
    let share = 100.0 * refused as f64 / (stored + refused) as f64;
    println!("{shards} shards, {workers} workers, {} records", sum(|s| s.read));
    println!("  puts stored {stored}, refused {refused} ({share:.1} %), failed {failed}");
    println!("  rows read before a put {}", sum(|s| s.row_reads));
    println!("  partials a put {:.1}", partials as f64 / stored as f64);
    println!("  puts a row and interval {puts:.1}, {} allowed", workers + 1);
    println!(
        "  epochs {}, write units {} and {} of refused puts",
        sum(|s| s.epochs),
        sum(|s| s.write_units),
        sum(|s| s.write_units_refused)
    );
    println!("  largest item {} bytes, {} of them bookkeeping", largest.0, largest.1);
    assert_eq!(failed, 0, "failed puts");
    assert!(share <= 5.0, "{share:.1} % of the puts were refused");
    assert!(puts <= (workers + 1) as f64, "{puts:.1} puts a row and interval");
}
