use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::channel::SaidBy;
use crate::decode::{self, ChatMessage, PlayerSample, PlayerState, ViewEvent};
use crate::experience::Dimension;
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

/// An event by its parts, so that it is easy to make and to shuffle.
#[derive(Clone, Debug)]
enum Made {
    Gauge { session: u8, time: i64, viewers: Option<i64> },
    Player { session: u8, time: i64, player: u16, latency: Option<i64> },
    Chat { session: u8, time: i64 },
}

fn number(value: i64) -> Option<Fixed> {
    Fixed::from_int(value)
}

/// Half the minutes of a session name another channel than the rest.
fn names(session: u8, time: i64) -> (Cow<'static, str>, Cow<'static, str>) {
    let channel = if time % 2 == 0 { "channel-b" } else { "channel-a" };
    (format!("st-{session}").into(), channel.into())
}

fn gauge(session: u8, time: i64, viewers: Option<i64>) -> decode::Gauge<'static> {
    let (session_id, channel_id) = names(session, time);
    decode::Gauge {
        session_id,
        channel_id,
        event_id: None,
        time: EpochMs(time),
        viewers: viewers.and_then(number),
        bitrate_bps: number(5_000_000 + time),
        frame_rate: Some(Fixed::from_micros(59_940_000)),
        chat_rate: viewers.and_then(number),
        cpu: None,
        memory: number(time % 100),
    }
}

fn sample(session: u8, time: i64, player: u16, latency: Option<i64>) -> PlayerSample<'static> {
    let (session_id, channel_id) = names(session, time);
    PlayerSample {
        session_id,
        channel_id,
        player_id: format!("p-{player}").into(),
        event_id: None,
        time: EpochMs(time),
        state: PlayerState::Playing,
        bitrate_bps: number(time * 7),
        frame_rate: number(30),
        dropped_frames: number(time % 5),
        buffering_ms: number(time % 1_000),
        latency_ms: latency.and_then(number),
        latency_below_zero: false,
        playing_ms: latency.and(number(1_000)),
        rebuffer_count: None,
        startup_ms: latency.and_then(|ms| number(ms / 2)),
        error_code: (time % 3 == 0).then_some("ErrorNetwork".into()),
        error_count: None,
        view_id: (time % 4 != 0).then(|| format!("v-{}", player / 2).into()),
        view_event: VIEW_EVENTS.get(place(time, 11)).copied(),
        labels: [
            DEVICES.get(place(time, 5)).map(|device| (*device).into()),
            None,
            (time % 3 == 0).then_some("jp".into()),
            Some("1.2.3".into()),
            None,
            None,
        ],
    }
}

/// Returns one of so many places.
fn place(time: i64, places: i64) -> usize {
    usize::try_from(time.rem_euclid(places)).unwrap()
}

const VIEW_EVENTS: [ViewEvent; 7] = [
    ViewEvent::Attempt,
    ViewEvent::Start,
    ViewEvent::StartFailureTechnical,
    ViewEvent::StartFailureBusiness,
    ViewEvent::PlaybackFailure,
    ViewEvent::End,
    ViewEvent::ExitBeforeStart,
];
const DEVICES: [&str; 3] = ["iOS", "toaster", "tv"];

fn fold(events: &[Made]) -> Vec<(WindowKey, WindowAgg)> {
    let mut fold = WindowFold::new();
    for event in events {
        match *event {
            Made::Gauge { session, time, viewers } => {
                fold.add_gauge(&gauge(session, time, viewers));
            }
            Made::Player { session, time, player, latency } => {
                fold.add_player(&sample(session, time, player, latency));
            }
            Made::Chat { session, time } => {
                let (session_id, channel_id) = names(session, time);
                fold.add_chat(&ChatMessage {
                    channel_said_by: SaidBy::Guess,
                    room_id: "room".into(),
                    session_id,
                    channel_id,
                    event_id: None,
                    time: EpochMs(time),
                    messages: 1,
                });
            }
        }
    }
    fold.drain()
}

/// Merges parts row by row, as the table does.
fn merged(parts: &[Vec<(WindowKey, WindowAgg)>]) -> Vec<(WindowKey, WindowAgg)> {
    let mut rows = std::collections::BTreeMap::<WindowKey, WindowAgg>::new();
    for (key, agg) in parts.iter().flatten() {
        rows.entry(key.clone()).or_default().merge(agg);
    }
    rows.into_iter().collect()
}

fn only(events: &[Made]) -> WindowAgg {
    let mut rows = fold(events);
    assert_eq!(rows.len(), 1);
    rows.remove(0).1
}

#[test]
fn a_window_of_gauges_knows_nothing_of_players() {
    let agg = only(&[
        Made::Gauge { session: 1, time: 1, viewers: Some(20) },
        Made::Gauge { session: 1, time: 3, viewers: None },
        Made::Gauge { session: 1, time: 2, viewers: Some(30) },
    ]);
    assert_eq!((agg.records, agg.gauges, agg.player_records), (3, 3, 0));
    assert_eq!(agg.viewers.stat.total.mean().unwrap().to_string(), "25");
    assert_eq!(agg.viewers.last.unwrap().value, Fixed::from_int(30).unwrap());
    assert_eq!(agg.frame_rate.total.sum.to_string(), "179.82");
    assert_eq!((agg.cpu.mean(), agg.player_bitrate.min()), (None, None));
    assert_eq!((agg.active_players(), agg.rebuffer_ratio()), (0, None));
    assert_eq!(&*agg.channel_id, "channel-a");
}

#[test]
fn only_records_that_tell_playing_time_enter_the_rebuffer_ratio() {
    let stalled = Made::Player { session: 1, time: 500, player: 1, latency: None };
    let agg = only(std::slice::from_ref(&stalled));
    assert_eq!(agg.buffering_ms.sum.to_string(), "500");
    assert_eq!(agg.rebuffer_ratio(), None);
    let watched = Made::Player { session: 1, time: 250, player: 2, latency: Some(2_000) };
    let agg = only(&[stalled, watched]);
    assert_eq!(agg.buffering_ms.sum.to_string(), "750");
    assert_eq!(agg.rebuffer_ratio(), Some(0.2));
    let ends = agg.stalled_percent.map(|range| (range.min.to_string(), range.max.to_string()));
    assert_eq!(ends, Some(("20".to_owned(), "20".to_owned())));
    assert_eq!((agg.active_players(), agg.startup.max_ms()), (2, Some(1_000)));
}

#[test]
fn errors_count_by_number_or_else_by_code() {
    let mut fold = WindowFold::new();
    let mut event = sample(1, 3, 1, None);
    fold.add_player(&event);
    event.error_count = number(4);
    fold.add_player(&event);
    event.error_count = number(0);
    fold.add_player(&event);
    let agg = fold.drain().remove(0).1;
    assert_eq!(agg.player_errors, 5);
    assert_eq!(agg.errors_range, number(0).zip(number(4)).map(|(min, max)| Range { min, max }));
}

#[test]
fn views_are_counted_by_what_players_tell_and_slices_by_the_lists() {
    let mut fold = WindowFold::new();
    // Times 0 to 10 tell each event once, and three that tell none.
    for time in 0..11 {
        fold.add_player(&sample(1, time, 7, Some(4)));
    }
    let agg = fold.drain().remove(0).1;
    let views = agg.views;
    assert_eq!((views.events, views.known_attempts(), views.starts), (7, Some(1), 1));
    assert_eq!((views.start_failures(), views.failures(), views.judged()), (2, 2, 3));
    assert_eq!((views.exits_before_start, views.ended), (1, 1));
    // One view under one id; the records at 0, 4 and 8 name none.
    assert_eq!(agg.concurrent_views(), Some(1));
    let of = |dimension| -> Vec<_> {
        let slices = agg.breakdown.of(dimension);
        slices.map(|(value, slice)| (&**value, slice.records)).collect()
    };
    assert_eq!(of(Dimension::Device), [("ios", 3), ("other", 2), ("tv", 2)]);
    assert_eq!(of(Dimension::Country), [("JP", 4)]);
    assert_eq!(of(Dimension::PlayerVersion), [], "no list, no slices");
    assert_eq!(of(Dimension::Os), [], "nobody tells");
}

#[test]
fn a_fold_without_dimensions_knows_no_views() {
    let mut fold = WindowFold::with(None);
    fold.add_player(&sample(1, 1, 7, Some(4)));
    let agg = fold.drain().remove(0).1;
    assert_eq!((agg.views.events, agg.concurrent_views()), (0, None));
    assert!(agg.breakdown.is_empty());
    assert_eq!(agg.player_records, 1);
}

#[test]
fn windows_come_out_sorted_and_the_fold_starts_anew() {
    let mut fold = WindowFold::new();
    for (session, time) in [(2, 61_000), (1, 0), (2, 59_999), (1, 0), (2, 60_000)] {
        fold.add_gauge(&gauge(session, time, None));
    }
    assert_eq!(fold.len(), 3);
    assert!(fold.memory_bytes() > 3 * size_of::<WindowAgg>());
    let keys: Vec<_> = fold.drain().into_iter().map(|(key, agg)| (key, agg.records)).collect();
    let key = |session: &str, time| WindowKey {
        session_id: Arc::from(session),
        minute: Minute::of(EpochMs(time)),
    };
    let expected = [(key("st-1", 0), 2), (key("st-2", 0), 1), (key("st-2", 60_000), 2)];
    assert_eq!(keys, expected);
    assert!(fold.is_empty());
    assert_eq!(fold.drain(), []);
}

#[test]
fn memory_is_counted_as_sketches_grow() {
    let mut fold = WindowFold::new();
    fold.add_player(&sample(1, 0, 0, Some(1)));
    let one = fold.memory_bytes();
    for player in 0..20_000 {
        fold.add_player(&sample(1, 0, player, Some(i64::from(player))));
    }
    // 32 KB of registers, and the bins of two quantile sketches.
    let grown = fold.memory_bytes() - one;
    assert!((32_768..120_000).contains(&grown), "{grown}");
}

fn made() -> impl Strategy<Value = Made> {
    let session = 0_u8..3;
    let time = -60_000_i64..180_000;
    prop_oneof![
        (session.clone(), time.clone(), prop::option::of(0_i64..100))
            .prop_map(|(session, time, viewers)| Made::Gauge { session, time, viewers }),
        (session.clone(), time.clone(), 0_u16..400, prop::option::of(0_i64..9_000)).prop_map(
            |(session, time, player, latency)| Made::Player { session, time, player, latency }
        ),
        (session, time).prop_map(|(session, time)| Made::Chat { session, time }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// E4: any split of the records, folded in any order, merges to the same rows.
    #[test]
    fn any_split_and_order_gives_the_same_rows(
        shuffled in prop::collection::vec(made(), 0..600)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        parts in 1_usize..6,
        reversed: bool,
    ) {
        let (events, shuffled) = shuffled;
        let size = shuffled.len().div_ceil(parts).max(1);
        let mut folded: Vec<_> = shuffled.chunks(size).map(fold).collect();
        if reversed {
            folded.reverse();
        }
        let (whole, merged) = (fold(&events), merged(&folded));
        prop_assert_eq!(&whole, &merged);
        for ((_, whole), (_, merged)) in whole.iter().zip(&merged) {
            prop_assert_eq!(whole.players.to_bytes(), merged.players.to_bytes());
            prop_assert_eq!(whole.latency.to_bytes(), merged.latency.to_bytes());
            prop_assert_eq!(whole.playing.to_bytes(), merged.playing.to_bytes());
            prop_assert_eq!(whole.score(), merged.score());
            let records = |slices: &mut dyn Iterator<Item = u64>| slices.sum::<u64>();
            let by_device = &mut whole.breakdown.of(Dimension::Device).map(|(_, s)| s.records);
            prop_assert!(records(by_device) <= whole.player_records);
        }
    }

    #[test]
    fn merging_is_associative_and_commutative(
        a in prop::collection::vec(made(), 0..60),
        b in prop::collection::vec(made(), 0..60),
        c in prop::collection::vec(made(), 0..60),
    ) {
        let [a, b, c] = [a, b, c].map(|events| fold(&events));
        let left = merged(&[merged(&[a.clone(), b.clone()]), c.clone()]);
        let right = merged(&[a.clone(), merged(&[b.clone(), c.clone()])]);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&left, &merged(&[c, b, a]));
    }
}
