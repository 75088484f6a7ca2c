//! Datums and events of folds.

mod again;
mod by_dimension;
mod catalogue;

use std::collections::BTreeMap;
use std::sync::Arc;

use ivs_schemas::domain::{DomainEvent, QualityIssue, RealTimeIssue};
use proptest::prelude::*;

use super::*;
use crate::decode::{FactKind, Gauge, PlayerSample, PlayerState};
use crate::fixed::FixedSum;
use crate::quality::default_rules;
use crate::session::testing::{app_end, app_start, at, breach, fact, number};
use crate::session::{SessionFold, SummaryAgg, TimelineItem, milestones};
use crate::window::{WindowAgg, WindowFold, WindowKey};
use kinesis_model::EpochMs;

use FactKind::{StarvationEnd, StarvationStart, StreamEnd, StreamStart};

fn gauge(channel: &str, time: EpochMs, viewers: i64) -> Gauge<'static> {
    Gauge {
        session_id: format!("st-{channel}").into(),
        channel_id: channel.to_owned().into(),
        event_id: None,
        time,
        viewers: number(viewers),
        bitrate_bps: number(3_000_000),
        frame_rate: number(30 - viewers % 7),
        chat_rate: None,
        cpu: None,
        memory: None,
    }
}

fn player(channel: &str, time: EpochMs, player: i64, latency_ms: i64) -> PlayerSample<'static> {
    PlayerSample {
        session_id: format!("st-{channel}").into(),
        channel_id: channel.to_owned().into(),
        player_id: format!("p{player}").into(),
        event_id: None,
        time,
        state: PlayerState::Playing,
        bitrate_bps: None,
        frame_rate: None,
        dropped_frames: number(2 + latency_ms % 5),
        buffering_ms: number(1_000 + latency_ms % 3 * 100),
        latency_ms: number(latency_ms),
        latency_below_zero: false,
        playing_ms: number(9_000),
        rebuffer_count: None,
        startup_ms: None,
        error_code: None,
        error_count: number(latency_ms % 4),
        view_id: None,
        view_event: None,
        labels: Default::default(),
    }
}

/// `(channel, second, viewers or player and latency)` as partials.
fn partials(
    gauges: &[(&str, i64, i64)],
    players: &[(&str, i64, i64, i64)],
) -> Vec<(WindowKey, WindowAgg)> {
    let mut fold = WindowFold::default();
    for (channel, second, viewers) in gauges {
        fold.add_gauge(&gauge(channel, at(*second), *viewers));
    }
    for (channel, second, id, latency_ms) in players {
        fold.add_player(&player(channel, at(*second), *id, *latency_ms));
    }
    fold.drain()
}

fn find<'a>(datums: &'a [Datum], metric: &str, channel: Option<&str>) -> Vec<&'a DatumValue> {
    let series = channel.map_or(Series::Fleet, |id| Series::Channel(Arc::from(id)));
    let of = |datum: &&Datum| datum.metric.name == metric && datum.series == series;
    datums.iter().filter(of).map(|datum| &datum.value).collect()
}

fn statistics(count: f64, sum: f64, min: f64, max: f64) -> DatumValue {
    DatumValue::Statistics { count, sum, min, max }
}

#[test]
fn windows_give_a_series_for_each_channel_and_one_for_the_fleet() {
    let windows = partials(&[("a", 0, 10), ("a", 1, 30), ("b", 2, 50), ("b", 60, 7)], &[]);
    let datums = window_datums(&windows, &[]);
    assert_eq!(find(&datums, "CurrentViewers", Some("a")), [&statistics(2.0, 40.0, 10.0, 30.0)]);
    assert_eq!(
        find(&datums, "CurrentViewers", Some("b")),
        [&DatumValue::Single(50.0), &DatumValue::Single(7.0)]
    );
    assert_eq!(
        find(&datums, "CurrentViewers", None),
        [&statistics(3.0, 90.0, 10.0, 50.0), &DatumValue::Single(7.0)]
    );
    assert!(find(&datums, "ChatActivity", None).is_empty(), "absent is not 0");
    assert!(datums.iter().all(|datum| datum.time.0.rem_euclid(60_000) == 0));
    assert!(datums.iter().all(|datum| validate(datum).is_ok()));
}

#[test]
fn players_give_distributions_ratios_and_sums() {
    let windows = partials(&[], &[("a", 0, 1, 2_000), ("a", 1, 1, 3_000), ("a", 2, 2, 3_000)]);
    let datums = window_datums(&windows, &[]);
    let latencies = DatumValue::Distribution(vec![(2_000.0, 1.0), (3_000.0, 2.0)]);
    assert_eq!(find(&datums, "LiveLatency", None), [&latencies]);
    assert_eq!(find(&datums, "RebufferRatio", None), [&statistics(30.2, 320.0, 10.0, 11.764_706)]);
    assert_eq!(find(&datums, "DroppedFrames", None), [&statistics(3.0, 6.0, 2.0, 2.0)]);
    assert_eq!(find(&datums, "PlayerErrors", None), [&statistics(3.0, 0.0, 0.0, 0.0)]);
    let stored = stored_datums(windows.iter().map(|(key, row)| (key, row)));
    assert_eq!(find(&stored, "ActivePlayers", Some("a")), [&DatumValue::Single(2.0)]);
}

/// Returns a session's fold with its milestones, as if one epoch had inserted everything.
fn session(facts: &[(i64, FactKind)]) -> (Vec<TimelineItem>, SummaryAgg) {
    let mut fold = SessionFold::default();
    for (second, kind) in facts {
        fold.add_fact(&fact(*second, kind.clone()));
    }
    let mut deltas = fold.drain();
    let (id, summary) = deltas.summaries.remove(0);
    let mut inserted = deltas.timeline;
    inserted.extend(milestones(&id, &summary, &summary));
    (inserted, summary)
}

#[test]
fn a_session_counts_once_however_many_report_it() {
    let facts = [
        (0, StreamStart),
        (1, app_start("t")),
        (5, breach("Ingest Bitrate", 9)),
        (10, StarvationStart),
        (14, StarvationEnd),
        (50, StarvationStart),
        (60, StreamEnd),
        (60, app_end(99, 7)),
    ];
    let (inserted, summary) = session(&facts);
    let datums = session_datums(&inserted, |_| Some(&summary));
    let one = DatumValue::Single(1.0);
    for (metric, value) in [
        ("StreamsStarted", &one),
        ("StreamsEnded", &one),
        ("StreamDuration", &DatumValue::Single(60.0)),
        ("PeakViewers", &DatumValue::Single(7.0)),
        ("LimitBreaches", &one),
    ] {
        assert_eq!(find(&datums, metric, Some("ch-1")), [value], "{metric}");
        assert_eq!(find(&datums, metric, None), [value], "{metric}");
    }
    let starved = [&DatumValue::Single(4.0), &DatumValue::Single(10.0)];
    assert_eq!(find(&datums, "StarvationSeconds", None), starved);
    assert!(find(&datums, "StreamsFailed", None).is_empty());
    // The same facts again insert nothing, so they count nothing.
    assert!(session_datums(&[], |_| Some(&summary)).is_empty());
}

#[test]
fn session_events_have_ids_that_do_not_depend_on_the_epoch() {
    let (inserted, summary) = session(&[
        (0, StreamStart),
        (10, StarvationStart),
        (14, StarvationEnd),
        (20, breach("Ingest Bitrate", 500_000)),
        (60, StreamEnd),
    ]);
    let events = session_events(&inserted, |_| Some(&summary));
    let types: Vec<&str> = events.iter().map(DomainEvent::detail_type).collect();
    assert_eq!(
        types,
        [
            "Quality Degraded",
            "Quality Recovered",
            "Quality Degraded",
            "Session Started",
            "Session Ended"
        ]
    );
    let DomainEvent::QualityRecovered(recovered) = &events[1] else { panic!() };
    assert_eq!(recovered.lasted_seconds, Some(4.0));
    let DomainEvent::QualityDegraded(breach) = &events[2] else { panic!() };
    assert_eq!((breach.observed, breach.threshold), (Some(9_000_000.0), Some(8_500_000.0)));
    let DomainEvent::SessionEnded(ended) = &events[4] else { panic!() };
    assert_eq!(ended.subject.time, "2026-03-01T12:01:07Z");
    assert_eq!((ended.summary.duration, ended.summary.starvation_count), (Some(60.0), Some(1)));

    // Another epoch sees a corrected end; the consumer still knows the event.
    let (inserted, later) = session(&[(0, StreamStart), (61, app_end(61, 1))]);
    let again = session_events(&inserted, |_| Some(&later));
    assert_eq!(again[1].event_id(), events[4].event_id());
    let mut ids: Vec<&str> = events.iter().map(DomainEvent::event_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn a_failed_session_is_told_as_such() {
    let reason = Some("capacity".to_owned());
    let (inserted, summary) = session(&[(0, FactKind::StreamFailure { reason: reason.clone() })]);
    let events = session_events(&inserted, |_| Some(&summary));
    let [DomainEvent::SessionFailed(failed)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(failed.reason, reason);
    let datums = session_datums(&inserted, |_| Some(&summary));
    assert_eq!(find(&datums, "StreamsFailed", None), [&DatumValue::Single(1.0)]);
    assert!(find(&datums, "StreamsEnded", None).is_empty());
}

#[test]
fn account_breaches_count_for_the_fleet_and_are_told() {
    use crate::decode::FactScope;
    let scope = FactScope::Account { account: "111122223333".to_owned(), region: "r".to_owned() };
    let facts = [crate::decode::Fact { scope, ..fact(3, breach("Concurrent Viewers", 37)) }];
    let datums = account_datums(&facts);
    assert_eq!(datums.len(), 1);
    assert_eq!(find(&datums, "LimitBreaches", None), [&DatumValue::Single(1.0)]);
    let events = account_events(&facts);
    let [DomainEvent::AccountLimitBreached(told)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((told.exceeded_by, told.region.as_str()), (Some(37.0), "r"));
}

/// Returns the item of an event of a stage or a composition.
fn stage_item(name: &str) -> TimelineItem {
    use crate::decode::{Fact, FactScope, StageEvent};
    let is_stage = name.starts_with("Participant");
    let detail_type = if is_stage { "IVS Stage Update" } else { "IVS Composition State Change" };
    let kind = FactKind::Stage(StageEvent {
        detail_type: detail_type.to_owned(),
        name: Some(name.to_owned()),
        participant_id: Some("p".to_owned()),
        stage_id: Some("stage".to_owned()),
        destination_id: None,
        error_code: Some("E".to_owned()),
        reason: Some("words".to_owned()),
    });
    let scope = FactScope::Composition { composition_id: "co".to_owned() };
    TimelineItem::of(&Fact { scope, ..fact(5, kind) }).unwrap()
}

#[test]
fn failures_of_compositions_count_and_are_told_without_a_summary() {
    let items = ["Session Start", "Session Failure", "Destination Failure"].map(stage_item);
    assert!(items.iter().all(|item| &*item.session_id == "composition:co"));
    assert!(items.iter().all(|item| item.channel_id.is_none()), "a stage is not a channel");
    let datums = session_datums(&items, |_| None);
    let twice = DatumValue::Statistics { count: 2.0, sum: 2.0, min: 1.0, max: 1.0 };
    assert_eq!((datums.len(), find(&datums, "RealTimeFailures", None)), (1, vec![&twice]));
    let events = session_events(&items, |_| None);
    let [DomainEvent::RealTimeFailure(first), DomainEvent::RealTimeFailure(second)] = &events[..]
    else {
        panic!("{events:?}")
    };
    let issues = (first.issue, second.issue);
    assert_eq!(issues, (RealTimeIssue::Composition, RealTimeIssue::Destination));
    assert_eq!(first.reason.as_deref(), Some("E"));
    assert_eq!(first.stage_id.as_deref(), Some("stage"));
    assert_ne!(first.event_id, second.event_id);
}

/// Start of a five-minute window after the base second.
const WINDOW: EpochMs = EpochMs(1_772_366_700_000);

/// Returns two windows with one gauge a minute: viewers before and now, and what else differs now.
fn two_windows(
    before: i64,
    now: i64,
    change: impl Fn(&mut Gauge<'_>),
) -> (ComparedSpan, ComparedSpan) {
    let mut fold = WindowFold::default();
    for minute in 0..5 {
        let time = EpochMs(WINDOW.0 + minute * 60_000);
        let mut current = gauge("1", time, now);
        change(&mut current);
        fold.add_gauge(&current);
        fold.add_gauge(&gauge("1", EpochMs(time.0 - WINDOW_MS), before));
        fold.add_gauge(&gauge("1", EpochMs(time.0 + WINDOW_MS), 999));
    }
    let rows = fold.drain();
    ComparedSpan::pair(&Arc::from("st-1"), WINDOW, rows.iter().map(|(key, row)| (key, row)))
}

fn live() -> SummaryAgg {
    session(&[(0, StreamStart)]).1
}

#[test]
fn a_drop_counts_only_while_live_and_above_the_floor() {
    let drop = |before, now, summary: &SummaryAgg| {
        let (previous, current) = two_windows(before, now, |_| {});
        viewer_drop_percent(&previous, &current, summary).map(FixedSum::to_f64)
    };
    assert_eq!(drop(100, 40, &live()), Some(60.0));
    assert_eq!(drop(100, 140, &live()), Some(0.0));
    assert_eq!(drop(10, 4, &live()), Some(60.0));
    assert_eq!(drop(9, 0, &live()), None);
    // Over before the window was: the audience went because the stream did.
    let over = session(&[(0, StreamStart), (400, StreamEnd)]).1;
    assert_eq!(drop(100, 0, &over), None);
    let (previous, current) = two_windows(100, 40, |_| {});
    let datums = closed_window_datums(&previous, &current, &live());
    assert_eq!(find(&datums, "ViewerDropPercent", None), [&DatumValue::Single(60.0)]);
    assert!(datums.iter().all(|datum| datum.time.0 == WINDOW.0 + 240_000));
}

#[test]
fn windows_tell_what_changed() {
    let told = |before, now, change: fn(&mut Gauge<'_>)| -> Vec<DomainEvent> {
        let (previous, current) = two_windows(before, now, change);
        closed_window_events(&previous, &current, &live())
    };
    assert!(told(100, 60, |_| {}).is_empty());
    let events = told(100, 50, |_| {});
    let [DomainEvent::ViewerDrop(drop)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((drop.previous_viewers, drop.viewers, drop.drop_percent), (100.0, 50.0, 50.0));
    let events = told(1, 1, |gauge| gauge.chat_rate = number(101));
    let [DomainEvent::ChatSpike(spike)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((spike.messages_per_minute, spike.threshold), (101.0, 100.0));
    assert!(told(1, 1, |gauge| gauge.chat_rate = number(100)).is_empty());
}

/// Returns the rows of windows with one gauge a minute of these frame rates.
fn windows_of_frame_rates(frame_rates: &[i64]) -> Vec<(WindowKey, WindowAgg)> {
    let mut fold = WindowFold::default();
    for (window, rate) in (0..).zip(frame_rates) {
        for minute in 0..5 {
            let time = EpochMs(WINDOW.0 + window * WINDOW_MS + minute * 60_000);
            fold.add_gauge(&Gauge { frame_rate: number(*rate), ..gauge("1", time, 1) });
        }
    }
    fold.drain()
}

#[test]
fn a_rule_tells_what_it_saw_and_a_recovery_once() {
    let rows = windows_of_frame_rates(&[30, 19, 18, 20, 30]);
    let told = |window: i64, summary: &SummaryAgg| {
        let start = EpochMs(WINDOW.0 + window * WINDOW_MS);
        let rows = rows.iter().map(|(key, row)| (key, row));
        rule_events(&default_rules(), &Arc::from("st-1"), start, rows, summary)
    };
    let events = told(1, &live());
    let [DomainEvent::QualityDegraded(degraded)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((degraded.issue, degraded.observed), (QualityIssue::FrameRate, Some(19.0)));
    assert_eq!((degraded.rule.as_deref(), degraded.threshold), (Some("frame_rate"), Some(20.0)));
    assert_eq!(degraded.subject.channel_id, "1");
    assert_eq!(told(2, &live()), []);
    let events = told(3, &live());
    let [DomainEvent::QualityRecovered(recovered)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recovered.rule.as_deref(), recovered.observed), (Some("frame_rate"), Some(20.0)));
    assert_eq!(told(0, &live()), []);
    let over = session(&[(0, StreamStart), (400, StreamEnd)]).1;
    assert_eq!(told(1, &over), [], "the stream was over");
}

#[test]
fn a_window_is_judged_once_the_next_one_is_past_the_grace() {
    let key = |offset_ms: i64| WindowKey {
        session_id: Arc::from("st-1"),
        minute: crate::minute::Minute::of(EpochMs(WINDOW.0 + offset_ms)),
    };
    let judged = |offset_ms| {
        let windows = windows_to_judge(&[key(offset_ms)]);
        windows.first().map(|(_, start)| start.0 - WINDOW.0)
    };
    assert_eq!(judged(0), None);
    assert_eq!(judged(GRACE_MS), Some(-WINDOW_MS));
    assert_eq!(judged(WINDOW_MS - 60_000), Some(-WINDOW_MS));
    assert_eq!(judged(WINDOW_MS + GRACE_MS), Some(0));
    let needed = minutes_needed(WINDOW, &[]);
    assert_eq!(
        (needed.start.start().0, needed.end.start().0),
        (WINDOW.0 - WINDOW_MS, WINDOW.0 + WINDOW_MS)
    );
}

/// Returns what CloudWatch makes of datums: count, sum, minimum and maximum of each series and
/// minute.
fn in_cloudwatch(datums: &[Datum]) -> BTreeMap<(&'static str, Series, EpochMs), [f64; 4]> {
    let mut found: BTreeMap<_, [f64; 4]> = BTreeMap::new();
    for datum in datums {
        let samples = match &datum.value {
            DatumValue::Single(value) => vec![[1.0, *value, *value, *value]],
            DatumValue::Distribution(values) => values
                .iter()
                .map(|(value, count)| [*count, value * count, *value, *value])
                .collect(),
            DatumValue::Statistics { count, sum, min, max } => vec![[*count, *sum, *min, *max]],
        };
        for [count, sum, min, max] in samples {
            let key = (datum.metric.name, datum.series.clone(), datum.time);
            let slot = found.entry(key).or_insert([0.0, 0.0, f64::MAX, f64::MIN]);
            *slot = [slot[0] + count, slot[1] + sum, slot[2].min(min), slot[3].max(max)];
        }
    }
    found
}

proptest! {
    #[test]
    fn partials_add_up_in_cloudwatch_to_the_whole(
        gauges in prop::collection::vec((0_usize..3, 0_i64..200, 0_i64..100), 0..30),
        players in prop::collection::vec((0_usize..3, 0_i64..200, 0_i64..5, 0_i64..4_000), 0..60),
        places in prop::collection::vec(0_usize..5, 90),
    ) {
        let channels = ["a", "b", "c"];
        let gauges: Vec<_> = gauges.iter().map(|(c, s, v)| (channels[*c], *s, *v)).collect();
        let players: Vec<_> = players.iter().map(|(c, s, p, l)| (channels[*c], *s, *p, *l)).collect();
        let whole = window_datums(&partials(&gauges, &players), &[]);
        // Five epochs, of any shards: each record falls into one of them.
        let mut parts = Vec::new();
        for part in 0..5 {
            let gauges: Vec<_> = gauges.iter().zip(&places).filter(|(_, place)| **place == part)
                .map(|(gauge, _)| *gauge).collect();
            let players: Vec<_> = players.iter().zip(&places[30..])
                .filter(|(_, place)| **place == part).map(|(player, _)| *player).collect();
            parts.extend(window_datums(&partials(&gauges, &players), &[]));
        }
        let (parts, wholes) = (in_cloudwatch(&parts), in_cloudwatch(&whole));
        prop_assert_eq!(parts.keys().collect::<Vec<_>>(), wholes.keys().collect::<Vec<_>>());
        for (key, whole) in &wholes {
            let [count, sum, min, max] = parts[key];
            // Doubles do not add up to the last bit; their ends are exact.
            let close = |one: f64, other: f64| (one - other).abs() <= 1e-12 * other.abs();
            prop_assert!(close(count, whole[0]) && close(sum, whole[1]), "{key:?}");
            prop_assert_eq!([min, max], [whole[2], whole[3]], "{:?}", key);
        }
        prop_assert!(whole.iter().all(|datum| validate(datum).is_ok()));
        let keys: Vec<_> = whole.iter().map(|d| (d.metric.name, d.series.clone(), d.time)).collect();
        prop_assert!(keys.is_sorted(), "the order is fixed");
    }
}

#[test]
fn a_channel_that_cloudwatch_refuses_spoils_only_its_own_series() {
    let datums = window_datums(&partials(&[("チ", 0, 10), ("b", 1, 20)], &[]), &[]);
    let refused: Vec<&Datum> = datums.iter().filter(|datum| validate(datum).is_err()).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|datum| datum.series == Series::Channel(Arc::from("チ"))));
    let fleet = find(&datums, "CurrentViewers", None);
    assert_eq!(fleet, [&statistics(2.0, 30.0, 10.0, 20.0)]);
}
