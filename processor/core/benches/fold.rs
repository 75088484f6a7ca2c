//! Records folded per second by one core, from memory: decode, duplicates, windows; next to two
//! baselines over the same lines in the same run. `cargo bench -p ivs-core --bench fold [FILES]`;
//! for a profile, `FOLD_ONLY=window` runs only the contestants with that word in their name.

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::cast_precision_loss, reason = "counts of records, for rates")]

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::io::{Read, Write as _};
use std::time::Instant;

use ivs_core::decode::{DecodeLimits, Decoder, Event};
use ivs_core::epoch::{Dedupe, EventId};
use ivs_core::window::WindowFold;
use kinesis_model::EpochMs;
use serde::Deserialize;

/// Rounds; each runs every contestant once, in turn, so that a noisy neighbour hits all alike.
const ROUNDS: usize = 7;
/// Ids remembered: far more than the duplicates of the sample need.
const MAX_IDS: usize = 1 << 20;

/// Folds all lines; returns how many it folded.
type Contestant = fn(&[Vec<u8>]) -> u64;

fn main() {
    let lines = lines();
    println!("{} lines, {} bytes", lines.len(), lines.iter().map(Vec::len).sum::<usize>());
    let contestants: [(&str, Contestant); 5] = [
        ("ivs-core: decode + dedupe + window", ours),
        ("ivs-core: of that, decode + dedupe", decode_and_dedupe),
        ("ivs-core: of that, decode", decode_only),
        ("serde_json typed + the same windows by hash map", typed),
        ("serde_json::Value + the same windows by hash map", untyped),
    ];
    let mut best = [f64::MAX; 5];
    let only = std::env::var("FOLD_ONLY").unwrap_or_default();
    for _ in 0..ROUNDS {
        for (i, (_, run)) in contestants.iter().enumerate().filter(|(_, c)| c.0.contains(&only)) {
            let started = Instant::now();
            black_box(run(&lines));
            best[i] = best[i].min(started.elapsed().as_secs_f64());
        }
    }
    let count = lines.len() as f64;
    for (i, (name, run)) in contestants.iter().enumerate().filter(|(_, c)| c.0.contains(&only)) {
        println!(
            "{name:<50} {:>10.0} records/s  {:>6.3} s per million  {:>5.2} x  ({} folded)",
            count / best[i],
            best[i] / count * 1e6,
            best[4] / best[i],
            run(&lines)
        );
        note(name, count / best[i] / 1e6, best[i] / count * 1e6);
    }
}

/// Notes figures for the table of `make bench`.
fn note(name: &str, millions_per_s: f64, s_per_million: f64) {
    let Some(path) = std::env::var_os("BENCH_FIGURES") else { return };
    let (who, what) = name.split_once(": ").unwrap_or((name, "decode + window"));
    let figures = serde_json::json!({ "M rec/s": millions_per_s, "CPU s/M": s_per_million });
    let line = serde_json::json!({ "bench": "core", "what": what, "who": who, "figures": figures });
    let mut file = std::fs::File::options().append(true).create(true).open(path).expect("a file");
    writeln!(file, "{line}").expect("room for a line");
}

fn lines() -> Vec<Vec<u8>> {
    let named: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/sample/part-0000");
    let files = match named.is_empty() {
        true => (0..2).map(|i| format!("{golden}{i}.ndjson.zst")).collect(),
        false => named,
    };
    let mut text = Vec::new();
    for file in files {
        let input = std::fs::File::open(&file).expect("the sample is in tests/golden");
        let mut decoder = zstd::Decoder::new(input).expect("a zstd file");
        decoder.read_to_end(&mut text).expect("a whole zstd file");
    }
    text.split(|&b| b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
}

fn decode_only(lines: &[Vec<u8>]) -> u64 {
    let mut decoder =
        Decoder::new(DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() });
    let mut decoded = 0;
    for line in lines {
        decoded += u64::from(black_box(decoder.decode(line, EpochMs(0))).is_ok());
    }
    decoded
}

fn decode_and_dedupe(lines: &[Vec<u8>]) -> u64 {
    let mut dedupe = Dedupe::new(60_000, MAX_IDS);
    let mut decoder =
        Decoder::new(DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() });
    let mut first = 0;
    dedupe.arrive(EpochMs(0));
    for line in lines {
        let Ok(event) = decoder.decode(line, EpochMs(0)) else { continue };
        first += u64::from(!event.event_id().is_some_and(|id| dedupe.repeats(EventId::of(id))));
    }
    first
}

fn ours(lines: &[Vec<u8>]) -> u64 {
    let mut dedupe = Dedupe::new(60_000, MAX_IDS);
    let mut windows = WindowFold::default();
    let mut decoder =
        Decoder::new(DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() });
    let mut folded = 0;
    dedupe.arrive(EpochMs(0));
    for line in lines {
        let decoded = decoder.decode(line, EpochMs(0));
        let Ok(event) = &decoded else { continue };
        if event.event_id().is_some_and(|id| dedupe.repeats(EventId::of(id))) {
            continue;
        }
        folded += 1;
        match event {
            Event::Gauge(gauge) => windows.add_gauge(gauge),
            Event::Player(sample) => windows.add_player(sample),
            Event::Chat(message) => windows.add_chat(message),
            Event::Fact(_) => folded -= 1,
        }
    }
    black_box(windows.drain());
    folded
}

/// The least a hand-written consumer would keep of a window.
#[derive(Default)]
struct Window {
    records: u64,
    viewers: f64,
    bitrate: f64,
    frame_rate: f64,
    buffering_ms: f64,
    latencies: Vec<f64>,
    players: HashSet<String>,
}

type Windows = HashMap<(String, String), Window>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed<'a> {
    #[serde(borrow)]
    session_id: Option<&'a str>,
    timestamp: Option<&'a str>,
    event_id: Option<&'a str>,
    player_id: Option<&'a str>,
    bitrate: Option<f64>,
    frame_rate: Option<f64>,
    current_viewers: Option<f64>,
    buffering_ms: Option<f64>,
    latency_ms: Option<f64>,
}

fn typed(lines: &[Vec<u8>]) -> u64 {
    let mut windows = Windows::new();
    let mut seen = HashSet::new();
    let mut folded = 0;
    for line in lines {
        let Ok(record) = serde_json::from_slice::<Typed<'_>>(line) else { continue };
        let (Some(session), Some(time)) = (record.session_id, record.timestamp) else { continue };
        if record.event_id.is_some_and(|id| !seen.insert(id.to_owned())) {
            continue;
        }
        folded += 1;
        let numbers = Numbers {
            bitrate: record.bitrate,
            frame_rate: record.frame_rate,
            viewers: record.current_viewers,
            buffering_ms: record.buffering_ms,
            latency_ms: record.latency_ms,
        };
        add(&mut windows, session, time, record.player_id, &numbers);
    }
    black_box(windows.len());
    folded
}

fn untyped(lines: &[Vec<u8>]) -> u64 {
    let mut windows = Windows::new();
    let mut seen = HashSet::new();
    let mut folded = 0;
    for line in lines {
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let text = |name: &str| record.get(name).and_then(serde_json::Value::as_str);
        let number = |name: &str| record.get(name).and_then(serde_json::Value::as_f64);
        let (Some(session), Some(time)) = (text("sessionId"), text("timestamp")) else { continue };
        if text("eventId").is_some_and(|id| !seen.insert(id.to_owned())) {
            continue;
        }
        folded += 1;
        let numbers = Numbers {
            bitrate: number("bitrate"),
            frame_rate: number("frameRate"),
            viewers: number("currentViewers"),
            buffering_ms: number("bufferingMs"),
            latency_ms: number("latencyMs"),
        };
        add(&mut windows, session, time, text("playerId"), &numbers);
    }
    black_box(windows.len());
    folded
}

struct Numbers {
    bitrate: Option<f64>,
    frame_rate: Option<f64>,
    viewers: Option<f64>,
    buffering_ms: Option<f64>,
    latency_ms: Option<f64>,
}

fn add(windows: &mut Windows, session: &str, time: &str, player: Option<&str>, n: &Numbers) {
    let Some(minute) = time.get(..16) else { return };
    let window = windows.entry((session.to_owned(), minute.to_owned())).or_default();
    window.records += 1;
    window.bitrate += n.bitrate.unwrap_or_default();
    window.frame_rate += n.frame_rate.unwrap_or_default();
    window.viewers += n.viewers.unwrap_or_default();
    window.buffering_ms += n.buffering_ms.unwrap_or_default();
    window.latencies.extend(n.latency_ms);
    if let Some(player) = player {
        window.players.insert(player.to_owned());
    }
}
