use std::collections::{BTreeMap, BTreeSet};

use ivs_schemas::contract::{self, contract_of};
use jsonschema::Validator;
use serde_json::Value;

use super::{Generator, GeneratorConfig, Kind, Ledger, Mismatch, Produced, Route, StoredWindow};

const MINUTE_MS: i64 = 60_000;

fn small(seed: u64) -> GeneratorConfig {
    GeneratorConfig { seed, channels: 8, viewers: 150, ..GeneratorConfig::default() }
}

fn run(config: GeneratorConfig, minutes: i64) -> Vec<Produced> {
    let until_ms = config.start_ms + minutes * MINUTE_MS;
    Generator::new(config).next_batch(until_ms)
}

fn share(part: usize, whole: usize) -> f64 {
    let [part, whole] = [part, whole].map(|n| f64::from(u32::try_from(n).unwrap()));
    part / whole
}

fn json(produced: &Produced) -> Value {
    serde_json::from_slice(&produced.line).unwrap()
}

#[test]
fn one_seed_gives_one_sequence_and_another_seed_another() {
    let once = run(small(1), 3);
    assert_eq!(once, run(small(1), 3));
    assert_ne!(once, run(small(2), 3));
}

/// Two runs over one state must not repeat each other's sessions, players or events.
#[test]
fn another_start_keeps_the_channels_and_nothing_else() {
    let names = |start_ms: i64, key: &str| -> BTreeSet<String> {
        let lines = run(GeneratorConfig { start_ms, ..small(1) }, 5);
        let good = lines.iter().filter(|p| !p.is_malformed).map(json);
        good.filter_map(|value| value[key].as_str().map(str::to_owned)).collect()
    };
    let start_ms = small(1).start_ms;
    assert_eq!(names(start_ms, "channelId"), names(start_ms + 1, "channelId"));
    for key in ["sessionId", "eventId", "playerId"] {
        let (one, other) = (names(start_ms, key), names(start_ms + 1, key));
        assert!(!one.is_empty() && one.is_disjoint(&other), "{key}");
    }
}

#[test]
fn the_sequence_does_not_depend_on_how_time_is_sliced() {
    let config = small(3);
    let start_ms = config.start_ms;
    let whole = run(config.clone(), 4);
    let mut generator = Generator::new(config.clone());
    let sliced: Vec<_> = (0..=240_000)
        .step_by(777)
        .chain([240_000])
        .flat_map(|ms| generator.next_batch(start_ms + ms))
        .collect();
    assert_eq!(whole, sliced);
    let one_by_one: Vec<_> = Generator::new(config).take(whole.len()).collect();
    assert_eq!(whole, one_by_one);
}

#[test]
fn lines_come_in_order_of_arrival_and_never_before_their_event() {
    let lines = run(small(4), 10);
    assert!(lines.is_sorted_by_key(|p| p.arrival_ms));
    for produced in &lines {
        let delay_ms = produced.arrival_ms - produced.event_time_ms;
        assert!((0..=111_000).contains(&delay_ms), "{produced:?}");
    }
}

#[test]
fn shares_are_as_configured() {
    let config = GeneratorConfig { viewers: 1_000, ..GeneratorConfig::default() };
    let lines = run(config, 12);
    let reports = lines.iter().filter(|p| p.route == Route::Stream && !p.is_duplicate).count();
    assert!(reports > 40_000, "{reports}");
    let duplicates = lines.iter().filter(|p| p.is_duplicate).count();
    let malformed = lines.iter().filter(|p| p.is_malformed).count();
    let late =
        lines.iter().filter(|p| !p.is_duplicate && p.arrival_ms - p.event_time_ms >= 1_000).count();
    assert!((0.008..0.012).contains(&share(duplicates, reports)), "{duplicates} of {reports}");
    assert!((0.000_2..0.001).contains(&share(malformed, reports)), "{malformed} of {reports}");
    assert!((0.044..0.056).contains(&share(late, reports)), "{late} of {reports}");
}

#[test]
fn a_duplicate_repeats_the_bytes_and_key_of_an_earlier_line() {
    let mut seen = BTreeMap::new();
    let mut duplicates = 0;
    for produced in run(small(5), 20) {
        let identity = (produced.line.clone(), produced.partition_key.clone());
        if produced.is_duplicate {
            duplicates += 1;
            let original_ms: i64 = seen[&identity];
            assert!(produced.arrival_ms - original_ms <= 20_000);
        } else {
            assert!(seen.insert(identity, produced.arrival_ms).is_none() || produced.is_malformed);
        }
    }
    assert!(duplicates > 20, "{duplicates}");
}

#[test]
fn a_damaged_line_is_no_json() {
    let config = GeneratorConfig { malformed_ppm: 200_000, ..small(6) };
    let (damaged, good): (Vec<_>, Vec<_>) =
        run(config, 5).into_iter().partition(|p| p.is_malformed);
    assert!(damaged.len() > 500);
    for produced in damaged {
        assert!(serde_json::from_slice::<Value>(&produced.line).is_err(), "{produced:?}");
    }
    assert!(good.iter().all(|p| json(p).is_object()));
}

#[test]
fn every_good_line_is_valid_by_its_schema() {
    let validators: BTreeMap<&str, Validator> = contract::CONTRACTS
        .iter()
        .map(|c| (c.name, jsonschema::draft202012::new(&c.schema()).unwrap()))
        .collect();
    let mut kinds = BTreeSet::new();
    for produced in run(GeneratorConfig { stream_ms: 120_000, ..small(7) }, 40) {
        if produced.is_malformed {
            continue;
        }
        let value = json(&produced);
        let contract = contract_of(&value).unwrap();
        assert!(contract.name != "ivs-event", "{value}");
        if let Err(error) = validators[contract.name].validate(&value) {
            panic!("{error}: {value}");
        }
        kinds.insert(produced.kind);
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

#[test]
fn a_bus_event_and_its_line_say_the_same() {
    let lines = run(small(8), 20);
    let mut events = 0;
    for produced in &lines {
        let Route::EventBus(event) = &produced.route else {
            continue;
        };
        events += 1;
        let value = json(produced);
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        assert_eq!(value["detail"], detail);
        assert_eq!(value["detail-type"], event.detail_type);
        assert_eq!(value["source"], event.source.as_str());
        assert_eq!(value["resources"], serde_json::json!(event.resources));
        let time: jiff::Timestamp = value["time"].as_str().unwrap().parse().unwrap();
        assert_eq!(time.as_millisecond(), event.time_ms);
        if let [arn] = event.resources.as_slice() {
            assert_eq!(&produced.partition_key, arn);
        }
    }
    assert!(events > 50, "{events}");
}

/// The names of a stream's events in order of arrival.
#[derive(Default)]
struct Life(Vec<String>);

impl Life {
    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| n == name)
    }
}

#[test]
fn streams_live_in_the_ways_ivs_documents() {
    let config = GeneratorConfig { stream_ms: 90_000, channels: 40, viewers: 40, ..small(9) };
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    let mut account_breaches = 0;
    for produced in run(config, 60) {
        if produced.kind == Kind::IvsLimitBreach
            && json(&produced)["resources"] == serde_json::json!([])
        {
            account_breaches += 1;
        }
        if produced.kind == Kind::IvsStreamState || produced.kind == Kind::IvsStreamHealth {
            let detail = &json(&produced)["detail"];
            let text = |key: &str| detail[key].as_str().unwrap().to_owned();
            lives.entry(text("stream_id")).or_default().0.push(text("event_name"));
        }
    }
    let count = |test: fn(&Life) -> bool| lives.values().filter(|life| test(life)).count();
    let ended_first = count(|life| {
        life.position("Session Ended").zip(life.position("Stream End")).is_some_and(|(a, b)| a < b)
    });
    let stream_first = count(|life| {
        life.position("Session Ended").zip(life.position("Stream End")).is_some_and(|(a, b)| a > b)
    });
    let never_live = count(|life| {
        life.position("Session Ended").is_some() && life.position("Stream Start").is_none()
    });
    let starved_to_death = count(|life| {
        let times = |name: &str| life.0.iter().filter(|n| *n == name).count();
        times("Starvation Start") > times("Starvation End")
    });
    let counts = [ended_first, stream_first, never_live, starved_to_death, account_breaches];
    assert!(counts.iter().all(|n| *n > 0), "{counts:?} of {}", lives.len());
}

/// Counts the windows from the bytes alone, with another JSON and another time library.
fn recount(lines: &[Produced]) -> Vec<StoredWindow> {
    let mut windows: BTreeMap<(String, i64), StoredWindow> = BTreeMap::new();
    let mut last_ms: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for produced in lines {
        let Ok(value) = serde_json::from_slice::<Value>(&produced.line) else {
            continue;
        };
        let is_gauge = value["eventType"] == "metrics_update";
        if !is_gauge && value["type"] != "player_telemetry"
            || !seen.insert(value["eventId"].as_str().unwrap().to_owned())
        {
            continue;
        }
        let at_ms = match &value["timestamp"] {
            Value::String(text) => text.parse::<jiff::Timestamp>().unwrap().as_millisecond(),
            number => number.as_i64().unwrap(),
        };
        let session_id = value["sessionId"].as_str().unwrap().to_owned();
        let minute_s = at_ms / 60_000 * 60;
        let key = (session_id.clone(), minute_s);
        let row = windows.entry(key.clone()).or_insert_with(|| StoredWindow {
            session_id,
            minute_s,
            window: super::Window::default(),
        });
        let window = &mut row.window;
        window.records += 1;
        if is_gauge {
            let viewers = value["currentViewers"].as_u64().unwrap();
            window.gauges += 1;
            window.viewers_sum += viewers;
            window.viewers_max = Some(window.viewers_max.unwrap_or(0).max(viewers));
            if last_ms.get(&key).is_none_or(|last| *last < at_ms) {
                last_ms.insert(key, at_ms);
                window.viewers_last = Some(viewers);
            }
        } else {
            window.player_records += 1;
            window.buffering_ms += value["bufferingMs"].as_u64().unwrap();
            window.playing_ms += value["playingMs"].as_u64().unwrap_or_default();
            let views = &mut window.views;
            let told = (value["viewEvent"].as_str(), &value["failureKind"], &value["viewStarted"]);
            match told {
                (None, ..) => {}
                (Some("attempt"), ..) => views.attempts += 1,
                (Some("start"), ..) => views.starts += 1,
                (Some("failure"), kind, _) if kind == "business" => views.failures_business += 1,
                (Some("failure"), ..) => views.failures_technical += 1,
                (Some("error"), ..) => views.errors += 1,
                (Some("end"), _, started) if *started == false => views.exits_before_start += 1,
                (Some("end"), ..) => views.ends += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    windows.into_values().collect()
}

#[test]
fn the_ledger_agrees_with_an_independent_recount() {
    let lines = run(small(10), 15);
    let mut ledger = Ledger::new(100_000);
    lines.iter().for_each(|produced| ledger.record(produced));
    let rows = recount(&lines);
    assert!(rows.len() > 50, "{}", rows.len());
    assert_eq!(ledger.check(rows), []);
    let totals = ledger.totals();
    let good: u64 = totals.by_kind.values().sum();
    assert_eq!(totals.records, good + totals.duplicates + totals.malformed);
    assert_eq!(totals.records, lines.len() as u64);
}

#[test]
fn the_ledger_finds_every_difference() {
    let lines = run(small(11), 6);
    let mut ledger = Ledger::new(100_000);
    lines.iter().for_each(|produced| ledger.record(produced));
    let mut rows = recount(&lines);
    let missing = rows.remove(0);
    rows[0].window.records += 1;
    let different = rows[0].clone();
    let extra = StoredWindow { session_id: "st-nobody".to_owned(), ..missing.clone() };
    rows.push(extra.clone());
    let found = ledger.check(rows);
    assert_eq!(found.len(), 3, "{found:?}");
    for mismatch in found {
        let (session_id, minute_s, row) = match mismatch {
            Mismatch::Missing { session_id, minute_s, .. } => (session_id, minute_s, &missing),
            Mismatch::Different { session_id, minute_s, .. } => (session_id, minute_s, &different),
            Mismatch::Extra { session_id, minute_s, .. } => (session_id, minute_s, &extra),
        };
        assert_eq!((session_id, minute_s), (row.session_id.clone(), row.minute_s));
    }
}

#[test]
fn a_full_ledger_forgets_whole_minutes_and_checks_the_rest() {
    let lines = run(small(12), 15);
    let mut ledger = Ledger::new(40);
    lines.iter().for_each(|produced| ledger.record(produced));
    assert!((1..=40).contains(&ledger.windows().count()));
    let rows = recount(&lines);
    assert!(rows.len() > 60, "{}", rows.len());
    assert_eq!(ledger.check(rows), []);
    assert!(!ledger.check([]).is_empty());
}

#[test]
fn a_ledger_survives_json() {
    let mut ledger = Ledger::new(30);
    run(small(13), 10).iter().for_each(|produced| ledger.record(produced));
    let text = serde_json::to_string(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
}

#[test]
fn views_come_to_every_end_there_is() {
    let mut lives: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for produced in run(small(14), 25).iter().filter(|p| !p.is_malformed && !p.is_duplicate) {
        let value = json(produced);
        if let Some(view) = value["viewId"].as_str() {
            let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let started = value["viewStarted"].as_bool().map_or("", |s| if s { "" } else { "-" });
            let told = format!("{}{}{started}", word("viewEvent"), word("failureKind"));
            lives.entry(view.to_owned()).or_default().push(told);
        }
    }
    let count =
        |ending: &str| lives.values().filter(|life| life.iter().any(|told| told == ending)).count();
    for ending in ["failuretechnical", "failurebusiness", "error", "end", "end-"] {
        assert!(count(ending) > 0, "{ending} of {}", lives.len());
    }
    let (attempts, starts) = (count("attempt"), count("start"));
    assert!(attempts > starts && starts * 2 > attempts, "{starts} of {attempts}");
    let silent = lives.values().filter(|life| **life == ["attempt"]).count();
    assert!(silent > 0, "some leave without a word");
}
