//! The emitted metrics of sessions and streams equal those that the catalogue lists.

use std::collections::BTreeSet;

use ivs_schemas::catalogue::{METRICS, Metric, Namespace};

use super::*;
use crate::channel::SaidBy;
use crate::decode::{ChatMessage, Fact, FactScope, ViewEvent};

/// Datums of everything that can happen to streams and sessions.
fn everything() -> Vec<Datum> {
    let mut fold = WindowFold::default();
    fold.add_gauge(&Gauge { chat_rate: number(3), ..gauge("a", at(0), 10) });
    fold.add_player(&PlayerSample { startup_ms: number(700), ..player("a", at(0), 1, 2_000) });
    let told = [
        ViewEvent::Attempt,
        ViewEvent::Start,
        ViewEvent::PlaybackFailure,
        ViewEvent::ExitBeforeStart,
    ];
    for event in told {
        let view_id = Some("v".into());
        let view_event = Some(event);
        fold.add_player(&PlayerSample { view_id, view_event, ..player("a", at(0), 1, 2_000) });
    }
    fold.add_chat(&ChatMessage {
        channel_said_by: SaidBy::Guess,
        room_id: "room".into(),
        session_id: "st-b".into(),
        channel_id: "b".into(),
        event_id: None,
        time: at(0),
        messages: 1,
    });
    let windows = fold.drain();
    let mut datums = window_datums(&windows, &[]);
    datums.extend(stored_datums(windows.iter().map(|(key, row)| (key, row))));

    for facts in [
        vec![
            (0, StreamStart),
            (5, breach("Ingest Bitrate", 9)),
            (10, StarvationStart),
            (60, app_end(60, 7)),
        ],
        vec![(0, FactKind::StreamFailure { reason: None })],
    ] {
        let (inserted, summary) = session(&facts);
        datums.extend(session_datums(&inserted, |_| Some(&summary)));
    }
    let (account, region) = ("111122223333".to_owned(), "r".to_owned());
    let scope = FactScope::Account { account, region };
    datums.extend(account_datums(&[Fact { scope, ..fact(3, breach("Concurrent Viewers", 37)) }]));

    let item = stage_item("Participant Publish Error");
    datums.extend(session_datums(&[item], |_| None));

    let (previous, mut current) = two_windows(100, 40, |_| {});
    current.seen = windows[0].1.evidence();
    datums.extend(closed_window_datums(&previous, &current, &live()));
    datums
}

#[test]
fn every_metric_of_streams_and_sessions_is_emitted_as_listed_and_no_other() {
    let series = |metric: &Metric, dimension: Option<&str>| {
        let dimension = dimension.map(str::to_owned);
        (metric.namespace, metric.name, metric.unit, dimension)
    };
    let emitted: BTreeSet<_> = everything()
        .iter()
        .map(|datum| series(datum.metric, datum.series.dimensions().map(|(name, _)| name).next()))
        .collect();
    let listed: BTreeSet<_> = METRICS
        .iter()
        .filter(|m| matches!(m.namespace, Namespace::Sessions | Namespace::Metrics))
        .flat_map(|m| m.dimensions.iter().map(|set| series(m, set.first().copied())))
        .collect();
    assert_eq!(emitted, listed);
    assert!(METRICS.iter().all(|m| m.dimensions.iter().all(|set| set.len() <= 1)));
}
