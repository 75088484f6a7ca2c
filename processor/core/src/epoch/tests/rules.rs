//! Epochs that were prepared by other rules.

use super::*;
use crate::experience::{AllowLists, Dimension, Dimensions};

/// Returns the lease of an epoch up to 3 that was prepared by these rules.
fn prepared(rules: Vec<u8>) -> Resume {
    Resume { pending: Some(at(3)), pending_rules: Some(rules.into()), ..Resume::default() }
}

fn resume(resume: Resume) -> Result<Shard, ForeignRules> {
    let config = ShardConfig { dedupe_horizon_ms: 1_000, ..ShardConfig::default() };
    Shard::resume(ShardId::new("shard"), HashRange::ALL, resume, &config)
}

/// Two records with one id, five seconds apart, and one to follow.
fn records() -> Vec<Record> {
    vec![record(1, 0, "a"), record(3, 5_000, "a"), record(4, 6_000, "b")]
}

#[test]
fn an_epoch_is_closed_by_the_settings_that_prepared_it_and_then_our_own_hold() {
    let theirs = Rules::of(&ShardConfig { dedupe_horizon_ms: 60_000, ..ShardConfig::default() });
    let mut shard = resume(prepared(theirs.to_bytes())).unwrap();
    let asked = run(&mut shard, Input::Records(records()));
    // By our own second of horizon the second record would be no duplicate.
    assert_eq!(
        asked,
        ["prepare 3", "put 1 to 3", "store 0 and 0", "emit 2", "commit 3 gaps 0", "finish Reopen"]
    );
}

#[test]
fn an_epoch_of_our_own_settings_is_closed_and_the_shard_goes_on() {
    let ours = Rules::of(&ShardConfig { dedupe_horizon_ms: 1_000, ..ShardConfig::default() });
    let mut shard = resume(prepared(ours.to_bytes())).unwrap();
    let asked = run(&mut shard, Input::Records(records()));
    assert_eq!(asked[1], "put 2 to 3");
    assert_eq!(asked.last().unwrap(), "commit 3 gaps 0");
    assert!(shard.wants_records());
}

#[test]
fn every_epoch_says_by_what_it_was_made() {
    let mut shard = resume(Resume::default()).unwrap();
    step(&mut shard, Input::Records(records()));
    let effects = step(&mut shard, Input::HandOver);
    let [Effect::Prepare(prepare)] = &effects[..] else { panic!("{effects:?}") };
    let stored = String::from_utf8(prepare.rules.to_bytes()).unwrap();
    assert_eq!(
        stored,
        format!(
            r#"{{"logic":{LOGIC},"dedupeHorizonMs":1000,"dedupeMaxIds":1000000,"maxLineBytes":10485760,"maxExpandedBytes":33554432,"maxAheadMs":300000}}"#
        )
    );
}

#[test]
fn an_epoch_of_another_version_is_refused_with_words() {
    for stored in [r#"{"logic":99}"#, r#"{"logic":1,"dedupeHorizonMs":5}"#] {
        let error = resume(prepared(stored.into())).unwrap_err();
        assert!(matches!(error, ForeignRules::Logic { .. }), "{error:?}");
        assert!(error.to_string().contains("`leases seek`"), "{error}");
    }
    let mut newer: serde_json::Value =
        serde_json::from_slice(&Rules::of(&ShardConfig::default()).to_bytes()).unwrap();
    newer["somethingNew"] = 1.into();
    for stored in [newer.to_string(), "not ours".to_owned()] {
        let error = resume(prepared(stored.into())).unwrap_err();
        assert!(matches!(error, ForeignRules::Unreadable { .. }), "{error:?}");
    }
}

/// Returns what an epoch up to 3 that was prepared by these rules puts into its row.
fn partial(stored: Vec<u8>) -> WindowAgg {
    let mut shard = resume(prepared(stored)).unwrap();
    let line = r#"{"type":"player_telemetry","sessionId":"s","channelId":"c","playerId":"p","timestamp":1750000000000,"state":"PLAYING","viewId":"v","viewEvent":"start","cdn":"ours"}"#;
    let mut told = record(3, 0, "a");
    told.data = line.into();
    let mut effects = step(&mut shard, Input::Records(vec![told, record(4, 6_000, "b")]));
    let Effect::Prepare(prepare) = effects.remove(0) else { panic!("{effects:?}") };
    let mut effects = step(&mut shard, prepare.done());
    let Effect::PutRows(put) = effects.remove(0) else { panic!("{effects:?}") };
    put.rows.metrics[0].1.clone()
}

#[test]
fn the_lists_that_prepared_an_epoch_break_it_down() {
    let config = |lists: AllowLists| ShardConfig {
        dimensions: Some(Arc::new(Dimensions::new(lists))),
        ..ShardConfig::default()
    };
    let cdns = |rules: &Rules| -> Vec<String> {
        let agg = partial(rules.to_bytes());
        agg.breakdown.of(Dimension::Cdn).map(|(cdn, _)| cdn.as_ref().to_owned()).collect()
    };
    let ours = AllowLists { cdn: vec!["ours".into()], ..AllowLists::default() };
    let ours = Rules::of(&config(ours));
    assert!(String::from_utf8(ours.to_bytes()).unwrap().contains(r#""breakdowns":"#));
    assert_eq!(cdns(&ours), ["ours"]);
    let default = Rules::of(&config(AllowLists::default()));
    assert_eq!(default.breakdowns, None);
    assert_eq!(cdns(&default), ["other"]);
}

#[test]
fn an_epoch_of_the_release_before_views_is_closed_without_them() {
    let stored = r#"{"logic":2,"dedupeHorizonMs":60000,"dedupeMaxIds":1000000,"maxLineBytes":10485760,"maxExpandedBytes":33554432,"maxAheadMs":300000}"#;
    let agg = partial(stored.into());
    assert_eq!((agg.player_records, agg.views.events), (1, 0));
    assert!(agg.breakdown.is_empty() && agg.playing.is_empty());
}

#[test]
fn an_epoch_that_says_nothing_is_closed_by_our_own_rules() {
    let mut shard = resume(Resume { pending: Some(at(3)), ..Resume::default() }).unwrap();
    assert_eq!(run(&mut shard, Input::Records(records()))[1], "put 2 to 3");
}
