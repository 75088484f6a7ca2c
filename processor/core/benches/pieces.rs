//! The cost of each piece of the core on the records of the golden sample, with Criterion: `cargo
//! bench -p ivs-core --bench pieces [FILTER]`; `-- --quick` for a first look.

use std::hint::black_box;
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use ivs_core::decode::{DecodeLimits, Decoder, Event, decode};
use ivs_core::merge::Merge as _;
use ivs_core::sketch::quantile::whole_ms;
use ivs_core::sketch::{Coupon, Distinct, Quantiles, Sketch as _};
use ivs_core::window::{WindowAgg, WindowFold, WindowKey};
use kinesis_model::EpochMs;
use kinesis_model::kpl::{Aggregate, aggregate, deaggregate};

/// Records that one iteration works on: a large epoch of a busy shard.
const RECORDS: usize = 50_000;
/// User records of an aggregate: with telemetry of 400 bytes, about the 50 KiB that the KPL aims at.
const AGGREGATED: usize = 128;
/// Values of a sketch in a busy minute.
const VALUES: usize = 4_096;

fn main() {
    let lines = lines();
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    decode_lines(&mut criterion, &lines);
    window(&mut criterion, &lines);
    merge(&mut criterion, &lines);
    sketch(&mut criterion, &lines);
    deaggregation(&mut criterion, &lines);
    criterion.final_summary();
}

fn lines() -> Vec<Vec<u8>> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/sample/part-00000.ndjson.zst");
    let file = std::fs::File::open(path).expect("the sample is in tests/golden");
    let mut text = Vec::new();
    let mut decoder = zstd::Decoder::new(file).expect("a zstd file");
    decoder.read_to_end(&mut text).expect("a whole zstd file");
    text.split(|&byte| byte == b'\n').take(RECORDS).map(<[u8]>::to_vec).collect()
}

const LIMITS: DecodeLimits =
    DecodeLimits { max_line_bytes: 1 << 20, max_expanded_bytes: 1 << 20, max_ahead_ms: i64::MAX };

fn event(line: &[u8]) -> Option<Event<'_>> {
    decode(line, EpochMs(0), &LIMITS).ok()
}

fn decode_lines(criterion: &mut Criterion, lines: &[Vec<u8>]) {
    let mut group = criterion.benchmark_group("decode");
    type Is = fn(&Event<'_>) -> bool;
    let kinds: [(&str, Is); 3] = [
        ("player telemetry", |event| matches!(event, Event::Player(_))),
        ("metrics update", |event| matches!(event, Event::Gauge(_))),
        ("IVS event", |event| matches!(event, Event::Fact(_))),
    ];
    for (name, is) in kinds {
        let of_kind = lines.iter().filter(|line| event(line).as_ref().is_some_and(is));
        let of_kind: Vec<&Vec<u8>> = of_kind.collect();
        group.throughput(Throughput::Elements(of_kind.len() as u64));
        let mut decoder = Decoder::new(LIMITS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = |line: &&&Vec<u8>| black_box(decoder.decode(line, EpochMs(0))).is_ok();
                of_kind.iter().filter(read).count()
            });
        });
    }
    group.finish();
}

fn window(criterion: &mut Criterion, lines: &[Vec<u8>]) {
    let events: Vec<Event<'_>> = lines.iter().filter_map(|line| event(line)).collect();
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("fold and drain", |bencher| bencher.iter(|| fold(&events)));
    group.finish();
}

fn fold(events: &[Event<'_>]) -> Vec<(WindowKey, WindowAgg)> {
    let mut windows = WindowFold::default();
    for event in events {
        match event {
            Event::Gauge(gauge) => windows.add_gauge(gauge),
            Event::Player(sample) => windows.add_player(sample),
            Event::Chat(message) => windows.add_chat(message),
            Event::Fact(_) => {}
        }
    }
    windows.drain()
}

/// Each window into the next: sketches of a few values, as most rows have, and of many.
fn merge(criterion: &mut Criterion, lines: &[Vec<u8>]) {
    let events: Vec<Event<'_>> = lines.iter().filter_map(|line| event(line)).collect();
    let windows = fold(&events);
    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements(windows.len() as u64 / 2));
    group.bench_function("windows", |bencher| {
        let pairs =
            || windows.chunks_exact(2).map(|pair| (pair[0].1.clone(), &pair[1].1)).collect();
        bencher.iter_batched_ref(
            pairs,
            |pairs: &mut Vec<(WindowAgg, &WindowAgg)>| {
                pairs.iter_mut().for_each(|(into, from)| into.merge(from));
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn sketch(criterion: &mut Criterion, lines: &[Vec<u8>]) {
    let samples = lines.iter().filter_map(|line| match event(line)? {
        Event::Player(sample) => {
            Some((sample.player_id.into_owned(), whole_ms(sample.latency_ms?)))
        }
        _ => None,
    });
    let samples: Vec<(String, u32)> = samples.take(VALUES).collect();
    let coupons: Vec<Coupon> = samples.iter().map(|(player, _)| Coupon::of(player)).collect();
    let latencies: Vec<u32> = samples.iter().map(|(_, latency)| *latency).collect();
    let (mut players, mut latency) = (Distinct::default(), Quantiles::default());
    players.insert_all(&mut coupons.clone());
    latency.insert_all(&mut latencies.clone());
    let binary = players.to_bytes().expect("it has values");
    let mut group = criterion.benchmark_group("sketch");
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("hash players", |bencher| {
        bencher.iter(|| samples.iter().map(|(player, _)| Coupon::of(player)).max());
    });
    group.bench_function("insert players", |bencher| {
        let insert = |values: &mut Vec<_>| {
            let mut sketch = Distinct::default();
            sketch.insert_all(values);
            sketch
        };
        bencher.iter_batched_ref(|| coupons.clone(), insert, BatchSize::SmallInput);
    });
    group.bench_function("insert latencies", |bencher| {
        let insert = |values: &mut Vec<_>| {
            let mut sketch = Quantiles::default();
            sketch.insert_all(values);
            sketch
        };
        bencher.iter_batched_ref(|| latencies.clone(), insert, BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("write players", |bencher| bencher.iter(|| players.to_bytes()));
    group.bench_function("read players", |bencher| bencher.iter(|| Distinct::from_bytes(&binary)));
    group.bench_function("write latencies", |bencher| bencher.iter(|| latency.to_bytes()));
    group.bench_function("p95 of latencies", |bencher| {
        bencher.iter(|| latency.quantile_ms(black_box(0.95)));
    });
    group.finish();
}

fn deaggregation(criterion: &mut Criterion, lines: &[Vec<u8>]) {
    let aggregates: Vec<Bytes> = lines
        .chunks(AGGREGATED)
        .map(|lines| {
            let records: Vec<_> = lines.iter().map(|line| ("key", None, &line[..])).collect();
            aggregate(&records).into()
        })
        .collect();
    let mut group = criterion.benchmark_group("de-aggregation");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("user records", |bencher| {
        bencher.iter(|| {
            let taken = aggregates.iter().map(|aggregate| match deaggregate(aggregate) {
                Aggregate::Records(records) => records.len(),
                Aggregate::Plain | Aggregate::Broken(_) => 0,
            });
            assert_eq!(taken.sum::<usize>(), lines.len());
        });
    });
    group.finish();
}
