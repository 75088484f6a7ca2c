//! Rows that the release before views wrote (`fixtures/layout-2.json`, out of its own table): they are
//! read and merged, and what it does not know of ours is where it keeps it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ivs_core::decode::{DecodeLimits, Event, decode as decode_line};
use ivs_core::merge::Merge as _;
use ivs_core::row::Row;
use ivs_core::session::{SessionFold, SummaryAgg};
use ivs_core::window::{WindowAgg, WindowFold, WindowKey};
use ivs_schemas::items::{metrics as names, sessions};
use kinesis_model::EpochMs;
use serde_json::Value;

use super::codec::Item;
use super::json::{differences, from_json, to_json};
use super::{metric, own_names, summary};

const FIXTURE: &str = include_str!("fixtures/layout-2.json");
/// The attributes that this release adds to an old row beside its sums, out of sums that the old row has.
const DERIVED: [&str; 2] = [names::VIEW_TIME_MS, names::EXPERIENCE];

fn stored(part: &str) -> Vec<Item> {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let items = fixture[part].as_array().unwrap();
    items.iter().map(|item| from_json(item).unwrap()).collect()
}

/// A report of a minute that the stored row is of, with all that is new.
fn partial(key: &WindowKey) -> (WindowAgg, SummaryAgg) {
    let line = format!(
        r#"{{"type":"player_telemetry","eventId":"new","sessionId":"{}","channelId":"ch1","playerId":"p9","timestamp":{},"state":"PLAYING","playingMs":1000,"bufferingMs":0,"startupMs":100,"viewId":"v9","viewEvent":"start","country":"JP"}}"#,
        key.session_id,
        key.minute.start().0 + 1_000,
    );
    let arrival = EpochMs(key.minute.start().0 + 2_000);
    let Ok(Event::Player(sample)) = decode_line(line.as_bytes(), arrival, &DecodeLimits::default())
    else {
        panic!("{line}")
    };
    let mut fold = WindowFold::new();
    fold.add_player(&sample);
    let (key, agg) = fold.drain().remove(0);
    let mut sessions = SessionFold::default();
    sessions.absorb_window(&key, &agg);
    let summaries = sessions.drain().summaries;
    (agg, summaries.into_iter().next().map(|(_, agg)| agg).unwrap_or_default())
}

#[test]
fn an_old_row_is_read_and_written_as_it_was() {
    for item in stored("metrics") {
        let (key, row) = metric::decode(&item).unwrap();
        assert_eq!((row.agg.views.events, row.agg.concurrent_views()), (0, None));
        let written = to_json(&metric::encode(&key, &row, None));
        assert_eq!(differences(&to_json(&item), &written, &DERIVED), []);
    }
    for item in stored("summaries") {
        let (id, row) = summary::decode(&item).unwrap();
        let written = to_json(&summary::encode(&id, &row, None));
        assert_eq!(differences(&to_json(&item), &written, &DERIVED), []);
    }
}

#[test]
fn an_old_row_takes_new_figures_and_loses_none() {
    let items = stored("metrics");
    assert_eq!(items.len(), 2);
    for item in &items {
        let (key, old) = metric::decode(item).unwrap();
        let mut agg = old.agg.clone();
        agg.merge(&partial(&key).0);
        assert_eq!(agg.player_records, old.agg.player_records + 1);
        assert_eq!(agg.startup.count(), old.agg.startup.count() + 1);
        assert_eq!((agg.views.starts, agg.concurrent_views()), (1, Some(1)));
        let row = Row { agg, ..old };
        let merged = metric::encode(&key, &row, None);
        assert_eq!(metric::decode(&merged).unwrap().1, row);
        // Nothing new stands inside a map that the old release writes anew.
        let sketches = |item: &Item| -> BTreeSet<String> {
            item[names::SKETCHES].as_m().unwrap().keys().cloned().collect()
        };
        let known = ["latency", "players", "startup"].map(str::to_owned).into();
        assert!(sketches(&merged).is_subset(&known), "{:?}", sketches(&merged));
        assert_eq!(merged[names::SCHEMA_VERSION], item[names::SCHEMA_VERSION]);
    }
}

#[test]
fn an_old_summary_takes_new_figures_and_loses_none() {
    let [item] = &stored("summaries")[..] else { panic!("one session") };
    let (id, old) = summary::decode(item).unwrap();
    let minute = old.agg.telemetry.span.unwrap().first;
    let key = WindowKey { session_id: Arc::clone(&id), minute };
    let mut agg = old.agg.clone();
    agg.merge(&partial(&key).1);
    assert_eq!(agg.telemetry.records, old.agg.telemetry.records + 1);
    assert_eq!((agg.views.views.starts, agg.views.startups), (1, 1));
    let row = Row { agg, ..old };
    let merged = summary::encode(&id, &row, None);
    assert_eq!(summary::decode(&merged).unwrap().1, row);
    let members = |item: &Item, name: &str| -> BTreeSet<String> {
        item[name].as_m().unwrap().keys().cloned().collect()
    };
    for part in [sessions::TELEMETRY, sessions::FACTS, sessions::SKETCHES] {
        assert_eq!(members(&merged, part), members(item, part), "{part}");
    }
    assert!(merged.contains_key(sessions::VIEWS) && !item.contains_key(sessions::VIEWS));
    let others: Vec<_> =
        merged.keys().filter(|name| !own_names::SUMMARY.contains(&name.as_str())).collect();
    assert_eq!(others.len(), 2, "the key: {others:?}");
}
