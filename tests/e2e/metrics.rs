//! CloudWatch's answers after three workers have shared the stream equal those that an oracle
//! computes from the input: whatever the epochs, and whoever sent which part of a minute.

mod by_dimension;
pub(crate) mod oracle;
mod otlp;
mod outage;
mod readback;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use crate::golden::SAMPLE;
use crate::process::{Program, Running, state};
use oracle::Oracle;
use oracle::Samples;
use outage::{until, waiting};
use readback::{METRICS, Readback, SESSIONS, Stats};

const WORKERS: usize = 3;
/// Of the workers' epochs.
const INTERVAL_MS: i64 = 700;

/// Returns the golden archive, moved to yesterday: CloudWatch takes nothing older than two weeks.
fn recent_sample() -> Vec<u8> {
    let mut text = String::new();
    for path in SAMPLE {
        let file = std::fs::File::open(path).unwrap();
        zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    }
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let day = yesterday.strftime("%Y-%m-%dT").to_string();
    text.replace("2025-06-01T", &day).into_bytes()
}

#[tokio::test]
async fn the_metrics_of_the_sample_are_those_of_its_lines() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    std::fs::write(&input, recent_sample()).unwrap();
    let (oracle, readback, _endpoint) = process(dir.path(), &input, &[]).await;
    check_samples(&oracle, &readback).await;
    check_players(&oracle, &readback).await;
    check_sessions(&oracle, &readback).await;
    let durations = oracle.durations();
    assert!(!durations.is_empty(), "some channels have whole streams only");
    for (channel, sum) in durations {
        let found = readback.total(SESSIONS, "StreamDuration", Some(&channel)).await;
        assert_eq!(found.sum, sum, "StreamDuration of {channel}");
    }
}

#[tokio::test]
async fn the_metrics_of_made_up_traffic_are_those_of_its_lines() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    Program::new(&["generate", "--for", "240s", "--seed", "7", "--viewers", "3000", "--out"])
        .arg(&input)
        .run_to_end();
    let (oracle, readback, _endpoint) = process(dir.path(), &input, &[]).await;
    check_samples(&oracle, &readback).await;
    check_players(&oracle, &readback).await;
    check_sessions(&oracle, &readback).await;
}

/// Has three workers with these settings process the input while it is sent, in many short epochs. The
/// endpoint lives as long as what is returned.
async fn process(dir: &Path, input: &Path, settings: &[String]) -> (Oracle, Readback, Running) {
    let oracle = Oracle::read(&std::fs::read(input).unwrap());
    let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0", "--shards", "6"])
        .args(&["--state", ":memory:"])
        .start();
    let (url, endpoint) = endpoint.wait_for_ready();
    let readback = Readback::new(&url, &oracle).await;
    let start = || {
        let set = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
        worker(&url, dir).args(&set.collect::<Vec<_>>()).start()
    };
    let workers: Vec<Running> = (0..WORKERS).map(|_| start()).collect();
    readback.wait_for_owners(WORKERS).await;
    Program::new(&["generate", "--endpoint-url", &url, "--input"]).arg(input).run_to_end();
    while readback.records_read().await < oracle.lines {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    workers.into_iter().for_each(Running::stop_in_order);
    // A machine that is slow leaves calls in the outbox, for whoever owns the shards next.
    if waiting(dir) > 0 {
        let last = start();
        until("the outbox is empty", async || waiting(dir) == 0).await;
        last.stop_in_order();
    }
    assert_eq!(readback.records_read().await, oracle.lines, "every line was read once");
    (oracle, readback, endpoint)
}

fn worker(url: &str, dir: &Path) -> Program {
    Program::new(&["worker", "--endpoint-url", url])
        .args(&["--set".to_owned(), format!("epoch.interval_ms={INTERVAL_MS}")])
        .args(&["--set", "stream.poll_interval_ms=100"])
        .args(&["--set", "stream.shard_budget=false", "--set", "tables.writes_per_s=0"])
        .args(&["--set", "cloudwatch.metrics_batch=500", "--set", "cloudwatch.calls_per_s=500"])
        .arg("--set")
        .arg(format!("objects.rejects=file://{}", dir.join("rejects").display()))
}

/// Everything that adds up: the same series, minutes, counts, sums and ends, and medians within
/// the sketch's error.
async fn check_samples(oracle: &Oracle, readback: &Readback) {
    let mut series: BTreeMap<(&str, Option<&str>), BTreeMap<i64, &Samples>> = BTreeMap::new();
    for ((metric, channel, minute), samples) in &oracle.points {
        series.entry((metric, channel.as_deref())).or_default().insert(*minute, samples);
    }
    let names: Vec<&str> = series.keys().map(|(metric, _)| *metric).collect();
    let mut listed = readback.listed(METRICS).await;
    listed.retain(|(metric, _)| names.contains(&&**metric));
    let wanted = series.keys().map(|(m, channel)| ((*m).to_owned(), channel.map(str::to_owned)));
    assert!(listed.into_iter().eq(wanted), "the series differ");

    for ((metric, channel), minutes) in &series {
        let found = readback.minutes(METRICS, metric, *channel).await;
        let at = format!("{metric} of {channel:?}");
        assert!(found.keys().eq(minutes.keys()), "the minutes of {at} differ");
        let medians = match *metric {
            "LiveLatency" | "StartupTime" => readback.medians(metric, *channel).await,
            _ => BTreeMap::new(),
        };
        for (minute, samples) in minutes {
            same(&format!("{at} at {minute}"), metric, &found[minute], samples);
            if let Some(median) = medians.get(minute) {
                check_median(&format!("{at} at {minute}"), *median, samples);
            }
        }
        let percentiles = matches!(*metric, "LiveLatency" | "StartupTime");
        assert_eq!(medians.len(), if percentiles { minutes.len() } else { 0 }, "{at}");
    }
}

fn same(at: &str, metric: &str, found: &Stats, samples: &Samples) {
    // Doubles do not add up to the last bit.
    let close = |one: f64, other: f64| (one - other).abs() <= 1e-9 * other.abs().max(1.0);
    let count: f64 = samples.iter().map(|(_, weight)| weight).sum();
    let sum: f64 = samples.iter().map(|(value, weight)| value * weight).sum();
    let min = samples.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
    let max = samples.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max);
    assert!(close(found.count, count), "SampleCount of {at}: {} for {count}", found.count);
    assert!(close(found.sum, sum), "Sum of {at}: {} for {sum}", found.sum);
    // Shares are rounded to a millionth of a percent, everything else is as it was reported.
    let slack = if metric == "RebufferRatio" { 1e-6 } else { 0.0 };
    assert!((found.min - min).abs() <= slack, "Minimum of {at}: {} for {min}", found.min);
    assert!((found.max - max).abs() <= slack, "Maximum of {at}: {} for {max}", found.max);
}

/// The rank of a median is off by at most 2 %, the sketch's error, and one sample.
fn check_median(at: &str, median: f64, samples: &Samples) {
    let count = samples.len() as f64;
    let below = samples.iter().filter(|(value, _)| *value < median).count() as f64;
    let up_to = samples.iter().filter(|(value, _)| *value <= median).count() as f64;
    let slack = 0.02 * count + 1.0;
    let sound = below <= count / 2.0 + slack && up_to >= count / 2.0 - slack;
    assert!(sound, "p50 of {at}: {median} has {below} of {count} below it");
}

/// A gauge of merged rows, read with the catalogue's statistic; the estimate's error is allowed.
async fn check_players(oracle: &Oracle, readback: &Readback) {
    let mut series: BTreeMap<Option<String>, BTreeMap<i64, f64>> = BTreeMap::new();
    for ((channel, minute), players) in oracle.active_players() {
        series.entry(channel).or_default().insert(minute, players);
    }
    for (channel, minutes) in series {
        let found = readback.minutes(METRICS, "ActivePlayers", channel.as_deref()).await;
        assert!(found.keys().eq(minutes.keys()), "minutes of ActivePlayers of {channel:?}");
        for (minute, players) in minutes {
            let most = found[&minute].max;
            let at = format!("ActivePlayers of {channel:?} at {minute}");
            let close = (most - players).abs() <= (players * 0.03).max(1.0);
            assert!(close, "{at}: {most} for {players}");
        }
    }
}

/// Starts, ends and breaches count once each. At which minute, and with which figures an end is
/// told, depends on what is known by then: those are only bounded.
async fn check_sessions(oracle: &Oracle, readback: &Readback) {
    for ((metric, channel), count) in oracle.totals() {
        let found = readback.total(SESSIONS, metric, channel.as_deref()).await;
        assert_eq!(found.sum, count, "{metric} of {channel:?}");
    }
    let ended = readback.total(SESSIONS, "StreamsEnded", None).await;
    let durations = readback.total(SESSIONS, "StreamDuration", None).await;
    assert!(durations.count <= ended.count, "at most one duration for an end");
    let peak = readback.total(SESSIONS, "PeakViewers", None).await;
    assert!(peak.count <= ended.count && peak.max <= oracle.peak(), "peaks were reported");
}
