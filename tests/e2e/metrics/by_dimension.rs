//! Viewers by dimension in CloudWatch: nothing of it by default, and where the configuration asks for it
//! exactly the sums of the lines, whoever sent which part of a minute.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::readback::METRICS;
use super::{check_samples, process};
use crate::process::{Program, state};

/// Values that are told apart, in other letters than the lines have; the rest is `other`.
const COUNTRIES: [&str; 3] = ["JP", "us", "DE"];
const DEVICES: [&str; 2] = ["ios", "Web-Chrome"];

/// Metric, channel, name and value of the dimension, start of the minute in epoch seconds.
pub(super) type Point = (String, String, String, String, i64);

#[tokio::test]
async fn viewers_by_dimension_are_told_where_they_are_asked_for_and_nowhere_else() {
    let dir = state();
    let input = dir.path().join("input.ndjson");
    Program::new(&["generate", "--for", "240s", "--seed", "19", "--channels", "3"])
        .args(&["--viewers", "600", "--out"])
        .arg(&input)
        .run_to_end();
    let wanted = fold(&std::fs::read_to_string(&input).unwrap());
    assert_worth_comparing(&wanted);

    let [silent, telling] = ["silent", "telling"].map(|name| dir.path().join(name));
    std::fs::create_dir(&silent).unwrap();
    std::fs::create_dir(&telling).unwrap();
    let (oracle, readback, _endpoint) = process(&silent, &input, &[]).await;
    assert_eq!(readback.viewers().await, BTreeMap::new(), "nobody has asked for it");
    check_samples(&oracle, &readback).await;

    let settings = [
        r#"cloudwatch.dimensions=["country","device"]"#.to_owned(),
        format!("breakdowns.country={}", json!(COUNTRIES)),
        format!("breakdowns.device={}", json!(DEVICES)),
    ];
    let (_, readback, _endpoint) = process(&telling, &input, &settings).await;
    let found = readback.viewers().await;
    let missing: Vec<_> = wanted.iter().filter(|(point, _)| !found.contains_key(*point)).collect();
    let surplus: Vec<_> = found.iter().filter(|(point, _)| !wanted.contains_key(*point)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
    for (point, sum) in &wanted {
        assert!((found[point] - sum).abs() < 1e-6, "{point:?}: {} for {sum}", found[point]);
    }
    let plain = readback.listed(METRICS).await;
    assert!(plain.contains(&("ViewStarts".to_owned(), None)), "the other series stay: {plain:?}");
}

/// Of the input: each metric has a value that is listed and the rest, of each dimension and several minutes.
/// Failures are few, so any of them will do.
fn assert_worth_comparing(wanted: &BTreeMap<Point, f64>) {
    assert!(wanted.keys().any(|(metric, ..)| metric == "ViewFailures"));
    for metric in ["ViewStarts", "ViewTime", "StalledTime"] {
        for (dimension, listed) in [("Country", COUNTRIES[1]), ("Device", DEVICES[1])] {
            for value in [listed, "other"] {
                let is_one = |(name, _, by, told, _): &Point| {
                    name == metric && by == dimension && told == value
                };
                assert!(wanted.keys().any(is_one), "no {metric} of {value}");
            }
        }
    }
    let minutes: HashSet<i64> = wanted.keys().map(|(.., minute)| *minute).collect();
    assert!(minutes.len() >= 4, "{minutes:?}");
}

/// Returns the sums of an input by what `docs/metrics.md` says of them; a sum of 0 is not sent. Nothing
/// of `ivs-core` is used here.
fn fold(text: &str) -> BTreeMap<Point, f64> {
    let (mut sums, mut seen) = (BTreeMap::new(), HashSet::new());
    for line in text.lines() {
        // What is not JSON is refused, and an id that was there before is a repeat.
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let id = record["eventId"].as_str().unwrap_or_default().to_owned();
        if record["type"] == "player_telemetry" && seen.insert(id) {
            add(&mut sums, &record);
        }
    }
    sums.retain(|_, sum| *sum > 0.0);
    sums
}

fn add(sums: &mut BTreeMap<Point, f64>, record: &Value) {
    let is_failure = match record["viewEvent"].as_str() {
        Some("error") => true,
        Some("failure") => record["failureKind"] != "business",
        _ => false,
    };
    let stalled_ms = record["bufferingMs"].as_f64().unwrap_or_default();
    let watched = record["playingMs"].as_f64().map(|ms| (ms + stalled_ms, stalled_ms));
    let (view_ms, stalled_ms) = watched.unwrap_or_default();
    let figures = [
        ("ViewStarts", f64::from(u8::from(record["viewEvent"] == "start"))),
        ("ViewFailures", f64::from(u8::from(is_failure))),
        ("ViewTime", view_ms),
        ("StalledTime", stalled_ms),
    ];
    let channel = record["channelId"].as_str().unwrap();
    let minute_s = time_ms(&record["timestamp"]).div_euclid(60_000) * 60;
    let dimensions = [("Country", "country", &COUNTRIES[..]), ("Device", "device", &DEVICES[..])];
    for (dimension, member, list) in dimensions {
        let Some(value) = record[member].as_str() else { continue };
        let listed = list.iter().find(|listed| listed.eq_ignore_ascii_case(value));
        for (metric, figure) in figures {
            let value = listed.unwrap_or(&"other");
            let [metric, channel, dimension, value] =
                [metric, channel, dimension, value].map(str::to_owned);
            *sums.entry((metric, channel, dimension, value, minute_s)).or_default() += figure;
        }
    }
}

fn time_ms(value: &Value) -> i64 {
    let text = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    value.as_str().map_or_else(|| value.as_i64().unwrap(), text)
}
