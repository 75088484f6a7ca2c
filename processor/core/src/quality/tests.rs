use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::decode::ViewEvent;
use crate::emit::{GRACE_MS, WINDOW_MS};
use crate::experience::{Breakdown, Dimension, Slice};
use crate::fixed::{Fixed, FixedSum};
use crate::merge::Merge as _;
use crate::minute::Minute;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

type Rows = BTreeMap<WindowKey, WindowAgg>;

fn key(window: i64, minute: i64) -> WindowKey {
    let at = EpochMs(window * WINDOW_MS + minute * 60_000);
    WindowKey { session_id: Arc::from("st-1"), minute: Minute::of(at) }
}

/// A minute of so many viewers, of whose watch time so many percent were stalled.
fn minute(viewers: i64, stalled: i64) -> WindowAgg {
    let mut row = WindowAgg { records: 1, player_records: 1, ..WindowAgg::default() };
    row.viewers.add_some(EpochMs(1), Fixed::from_int(viewers));
    row.playing_ms.add_some(Fixed::from_int(100 - stalled));
    row.watch_buffering_ms += Fixed::from_int(stalled).unwrap();
    row
}

/// Rows of windows from the 100th on, a letter each: `B` bad, `g` good, `m` between the thresholds,
/// `s` bad and seen by few, `.` nothing at all, `n` a record that tells nothing of players.
fn rows(windows: &str) -> Rows {
    let mut rows = Rows::new();
    for (window, kind) in (100..).zip(windows.chars()) {
        let row = match kind {
            'B' => minute(100, 10),
            'g' => minute(100, 1),
            'm' => minute(100, 4),
            's' => minute(5, 50),
            'n' => WindowAgg { records: 1, ..WindowAgg::default() },
            '.' => continue,
            other => panic!("{other}"),
        };
        rows.extend((0..5).map(|at| (key(window, at), row.clone())));
    }
    rows
}

fn rule() -> Rule {
    Rule {
        recover: Some(3.0),
        minimum_audience: 10.0,
        ..default_rules().into_iter().find(|rule| rule.figure == Figure::Rebuffering).unwrap()
    }
}

/// The changes, each judged when the next window is past its grace: `D` at the windows at whose end
/// it got worse, `R` at those at whose end it was good again, else `-`; `?` is a window never judged.
fn judged(rule: &Rule, rows: &Rows, windows: usize) -> String {
    let spans = Spans::of("st-1", rows);
    let change = |window: i64| {
        let is_judged = (1..5).any(|at| rows.contains_key(&key(window + 1, at)));
        if !is_judged {
            return '?';
        }
        match spans.transition(rule, EpochMs(window * WINDOW_MS)).map(|found| found.change) {
            Some(Change::Degraded) => 'D',
            Some(Change::Recovered) => 'R',
            None => '-',
        }
    };
    (100..).take(windows).map(change).collect()
}

#[test]
fn what_a_rule_says_of_windows() {
    let persistent = Rule { bad: 2, of: 3, ..rule() };
    let calm = Rule { suppress_minutes: 15, hold_minutes: 15, ..rule() };
    let wide = Rule { minutes: 10, ..rule() };
    let cases = [
        ("from the start", rule(), "BBg", "D-?"),
        ("a change each way", rule(), "gBBggBg", "-D-R-D?"),
        ("between the thresholds it stays as it was", rule(), "gBmmg", "-D--?"),
        ("and stays good as well", rule(), "gmmmg", "----?"),
        ("small audiences are not judged", rule(), "gsssg", "----?"),
        ("nor do they make it good", rule(), "Bsg", "D-?"),
        ("a verdict holds for ten minutes", rule(), "Bnnng", "D--R?"),
        ("a silent window is not judged; the change is told at the next", rule(), "gB.Bg", "-?D-?"),
        ("a long silence forgets", rule(), "gB....gg", "-????--?"),
        ("two of three", persistent.clone(), "gBgBBgggg", "---D--R-?"),
        ("one of three is nothing", persistent, "gBggBgggBg", "---------?"),
        ("flapping is told once with suppression", calm.clone(), "gBgBgBggggg", "-D------R-?"),
        ("flapping without", rule(), "gBgBgBgg", "-DRDRDR?"),
        ("suppression over silent minutes", calm, "gBgnngg", "-D--R-?"),
        ("ten minutes together", wide, "gBggg", "-D-R?"),
    ];
    for (name, rule, windows, expected) in cases {
        rule.check().unwrap();
        let found = judged(&rule, &rows(windows), windows.len());
        assert_eq!(found, expected, "{name}: {windows}");
    }
}

#[test]
fn a_rule_that_cannot_be_followed_says_why() {
    let wrong: [(Rule, &str); 9] = [
        (Rule { name: String::new(), ..rule() }, "has no name"),
        (Rule { minutes: 7, ..rule() }, "minutes is 7"),
        (Rule { minutes: 65, ..rule() }, "minutes is 65"),
        (Rule { bad: 0, ..rule() }, "0 bad of 1"),
        (Rule { bad: 2, of: 1, ..rule() }, "2 bad of 1"),
        (Rule { recover: Some(6.0), ..rule() }, "recover is 6"),
        (Rule { threshold: f64::NAN, ..rule() }, "threshold is not a number"),
        (Rule { minimum_audience: -1.0, ..rule() }, "minimum_audience is not a number"),
        (Rule { hold_minutes: 500, ..rule() }, "looks back"),
    ];
    for (rule, words) in wrong {
        let error = rule.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    for rule in default_rules() {
        rule.check().unwrap();
    }
}

#[test]
fn figures_below_their_threshold_and_of_views_are_judged_too() {
    let at = |row: WindowAgg| -> Rows {
        (0..2)
            .flat_map(|w| (0..5).map(move |m| (w, m)))
            .map(|(w, m)| (key(100 + w, m), row.clone()))
            .collect()
    };
    let mut row = minute(100, 0);
    row.frame_rate.add_some(Fixed::from_int(12));
    for (event, count) in [
        (ViewEvent::Attempt, 100),
        (ViewEvent::Start, 60),
        (ViewEvent::StartFailureTechnical, 8),
        (ViewEvent::PlaybackFailure, 6),
    ] {
        (0..count).for_each(|_| row.views.add(event));
    }
    row.startup_sum_ms = 9_000;
    crate::sketch::Sketch::insert_all(&mut row.startup, &mut vec![4_000, 5_000]);
    let value = |figure, bad_when, threshold| {
        let rule = Rule { figure, bad_when, threshold, recover: None, ..rule() };
        let spans = Spans::of("st-1", &at(row.clone()));
        let found = spans.transition(&rule, EpochMs(100 * WINDOW_MS));
        found.map(|found| (found.change, found.value.unwrap().to_string()))
    };
    let degraded = |value: &str| Some((Change::Degraded, value.to_owned()));
    assert_eq!(value(Figure::FrameRate, Side::Below, 20.0), degraded("12"));
    assert_eq!(value(Figure::FrameRate, Side::Below, 12.0), None);
    assert_eq!(value(Figure::StartFailures, Side::Above, 5.0), degraded("8"));
    assert_eq!(value(Figure::ExitsBeforeStart, Side::Above, 31.9), degraded("32"));
    assert_eq!(value(Figure::PlaybackFailures, Side::Above, 9.0), degraded("10"));
    assert_eq!(value(Figure::StartupTime, Side::Above, 3_000.0), degraded("4500"));
    assert_eq!(value(Figure::ExperienceScore, Side::Below, 90.0).unwrap().0, Change::Degraded);
    assert_eq!(value(Figure::Bitrate, Side::Below, 1e9), None, "nobody tells it");
}

#[test]
fn who_suffers_most_is_named_and_never_the_rest() {
    let slice = |dimension, value: &str, playing: i128, stalled: i128| {
        let [playing_ms, stalled_ms] = [playing, stalled].map(|ms| FixedSum(ms * 1_000_000));
        ((dimension, Arc::from(value)), Slice { playing_ms, stalled_ms, ..Slice::default() })
    };
    let breakdown: Breakdown = [
        slice(Dimension::Os, "android", 900, 100),
        slice(Dimension::Os, "ios", 8_900, 100),
        slice(Dimension::Country, "BR", 400, 100),
        slice(Dimension::Country, "JP", 9_400, 100),
        slice(Dimension::Device, "other", 10, 200),
        slice(Dimension::Device, "tv", 9_790, 0),
    ]
    .into_iter()
    .collect();
    let found = largest_excess(Figure::Rebuffering, &breakdown).unwrap();
    assert_eq!((found.dimension, &*found.value), (Dimension::Country, "BR"));
    assert_eq!(
        (found.of_problem.to_string(), found.of_audience.to_string()),
        ("0.5".into(), "0.05".into())
    );
    assert_eq!(largest_excess(Figure::FrameRate, &breakdown), None);
    assert_eq!(largest_excess(Figure::StartFailures, &breakdown), None, "nobody failed");
    let even: Breakdown = [slice(Dimension::Os, "ios", 90, 10)].into_iter().collect();
    assert_eq!(largest_excess(Figure::Rebuffering, &even), None);
}

proptest! {
    /// A judgment needs no rows before its look-back, and none after its own window.
    #[test]
    fn a_judgment_depends_on_its_look_back_alone(
        windows in "[Bgmsn.]{24}",
        (bad, of) in (1_u32..3).prop_flat_map(|bad| (Just(bad), bad..4)),
        minutes in prop::sample::select(vec![5_u32, 10, 15]),
        suppress_minutes in 0_u32..20,
        hold_minutes in 0_u32..20,
    ) {
        let rule = Rule { bad, of, minutes, suppress_minutes, hold_minutes, ..rule() };
        prop_assert!(rule.check().is_ok());
        let all = rows(&windows);
        let at = 120;
        let first = key(at - i64::from(rule.look_back()), 0);
        let end = key(at + 1, 0);
        let near: Rows = all.range(first..end).map(|(k, row)| (k.clone(), row.clone())).collect();
        let judge = |rows: &Rows| {
            Spans::of("st-1", rows).transition(&rule, EpochMs(at * WINDOW_MS))
        };
        prop_assert_eq!(judge(&all), judge(&near));
    }

    /// Rows in parts merge to the same judgment: what it is made of are sums.
    #[test]
    fn a_judgment_does_not_depend_on_who_folded_what(windows in "[Bgms]{6}", cut in 1_i64..60) {
        let whole = rows(&windows);
        let mut merged = Rows::new();
        for (key, row) in &whole {
            let mut part = minute(cut, 0);
            part.merge(row);
            merged.insert(key.clone(), part);
        }
        let mut other_way = Rows::new();
        for (key, row) in &whole {
            let mut part = row.clone();
            part.merge(&minute(cut, 0));
            other_way.insert(key.clone(), part);
        }
        prop_assert_eq!(judged(&rule(), &merged, 6), judged(&rule(), &other_way, 6));
    }
}

#[test]
fn the_grace_is_what_the_trigger_has() {
    assert_eq!(GRACE_MS, 60_000, "`judged` above takes the second minute for it");
}
