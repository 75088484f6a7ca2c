//! The events of closed windows online and once more from all rows.

use std::collections::BTreeSet;

use super::*;

const SESSIONS: [&str; 2] = ["1", "2"];

/// The rows of both sessions: a window a letter, `B` bad, `g` good, `.` nothing at all.
fn rows(windows: [&str; 2]) -> Vec<(WindowKey, WindowAgg)> {
    let mut fold = WindowFold::default();
    for (channel, windows) in SESSIONS.into_iter().zip(windows) {
        for (window, kind) in (0..).zip(windows.chars()).filter(|(_, kind)| *kind != '.') {
            for minute in 0..5 {
                let time = EpochMs(WINDOW.0 + window * WINDOW_MS + minute * 60_000);
                let (rate, viewers) = if kind == 'B' { (12, 20) } else { (30, 100) };
                let told = gauge(channel, time, viewers);
                fold.add_gauge(&Gauge { frame_rate: number(rate), ..told });
            }
        }
    }
    fold.drain()
}

/// As a worker tells them that reads the rows by time, so many an epoch.
fn online(rows: &[(WindowKey, WindowAgg)], of_epoch: usize) -> Vec<DomainEvent> {
    let (rules, summary) = (default_rules(), live());
    let mut by_time: Vec<_> = rows.iter().map(|(key, row)| (key, row)).collect();
    by_time.sort_by_key(|(key, _)| key.minute);
    let (mut judged, mut events, mut read) = (BTreeSet::new(), Vec::new(), 0);
    for epoch in by_time.chunks(of_epoch) {
        read += epoch.len();
        for window in windows_to_judge(epoch.iter().map(|(key, _)| *key)) {
            if !judged.insert(window.clone()) {
                continue;
            }
            let (session_id, start) = window;
            let needed = minutes_needed(start, &rules);
            let stored = || {
                let own = |(key, _): &&(&WindowKey, &WindowAgg)| {
                    key.session_id == session_id && needed.contains(&key.minute)
                };
                by_time[..read].iter().filter(own).copied()
            };
            let (previous, current) = ComparedSpan::pair(&session_id, start, stored());
            events.extend(closed_window_events(&previous, &current, &summary));
            events.extend(rule_events(&rules, &session_id, start, stored(), &summary));
        }
    }
    sorted(events)
}

fn sorted(mut events: Vec<DomainEvent>) -> Vec<DomainEvent> {
    events.sort_by(|a, b| a.event_id().cmp(b.event_id()));
    events
}

fn again(rows: Vec<(WindowKey, WindowAgg)>, summary: Option<&SummaryAgg>) -> Vec<DomainEvent> {
    let rules = default_rules();
    let mut judge = RowJudge::new(&rules);
    let events = rows.into_iter().flat_map(|(key, row)| judge.add(key, row, summary));
    sorted(events.collect())
}

#[test]
fn rows_in_their_order_give_the_events_of_every_epoch_that_held_them() {
    let cases = [
        (["gBBgg", "ggggg"], 3),
        (["gBgBgBgg", "BBBBBBBB"], 10),
        (["gB.Bg", "g...gBB...gg"], 3),
        (["BB....BBg", "ggBBgg"], 5),
    ];
    for (windows, expected) in cases {
        let rows = rows(windows);
        let once_more = again(rows.clone(), Some(&live()));
        for of_epoch in [1, 2, 7, 1_000] {
            assert_eq!(once_more, online(&rows, of_epoch), "{windows:?}, {of_epoch} rows an epoch");
        }
        assert_eq!(once_more.len(), expected, "{windows:?}: {once_more:?}");
    }
}

#[test]
fn a_session_without_a_summary_and_one_that_is_over_have_no_events() {
    let rows = rows(["gBBgg", "gBgBg"]);
    assert_eq!(again(rows.clone(), None), []);
    let over = session(&[(0, StreamStart), (1, StreamEnd)]).1;
    assert_eq!(again(rows, Some(&over)), []);
}
