//! Scenarios of one session, and the property that order, repetition and split do not show.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::testing::{app_end, app_start, at, breach, fact, ingest, number, recording};
use super::*;
use crate::decode::{FactKind, FactOrigin, Gauge, RecordingPhase, StageEvent};
use crate::fixed::FixedSum;
use crate::merge::Merge;
use crate::window::WindowFold;

use FactKind::{SessionCreated, StarvationEnd, StarvationStart, StreamEnd, StreamStart, Takeover};
use SessionStatus::{Ended, Failed, Live, Pending};

fn session_ended() -> FactKind {
    FactKind::SessionEnded { code: None }
}

fn failure() -> FactKind {
    FactKind::StreamFailure { reason: Some("capacity".to_owned()) }
}

/// Returns the fold of one session's facts in the order given.
fn fold(facts: &[Fact]) -> (SummaryAgg, Vec<TimelineItem>) {
    let mut fold = SessionFold::default();
    for fact in facts {
        fold.add_fact(fact);
    }
    let mut deltas = fold.drain();
    assert!(fold.is_empty());
    assert_eq!(deltas.summaries.len(), 1);
    (deltas.summaries.remove(0).1, deltas.timeline)
}

/// Returns every order of up to six facts.
fn permutations(facts: &[Fact]) -> Vec<Vec<Fact>> {
    let Some((first, rest)) = facts.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

/// The result of a scenario: status; start, end and duration in seconds; intervals of starvation
/// and their seconds.
type Outcome = (SessionStatus, Option<i64>, Option<i64>, Option<i64>, (u64, i64));

fn outcome(summary: &SummaryAgg) -> Outcome {
    let second = |time: EpochMs| time.0 / 1_000 - testing::BASE_S;
    let starvation = summary.starvation();
    (
        summary.status(),
        summary.started_at().map(second),
        summary.ended_at().map(second),
        summary.duration_s().map(|s| i64::try_from(s.0 / 1_000_000).unwrap()),
        (starvation.count, starvation.closed_ms / 1_000),
    )
}

/// Checks a scenario in every order, with every fact repeated under another event id.
fn check(name: &str, facts: &[(i64, FactKind)], expected: Outcome) {
    let facts: Vec<Fact> = facts.iter().map(|(second, kind)| fact(*second, kind.clone())).collect();
    let reference = fold(&facts);
    assert_eq!(outcome(&reference.0), expected, "{name}");
    assert_eq!(reference.1.len(), facts.len(), "{name}: one item for each fact");
    for mut order in permutations(&facts) {
        let replayed = |fact: &Fact| Fact { event_id: Some("replayed".to_owned()), ..fact.clone() };
        order.extend(order.iter().map(replayed).collect::<Vec<Fact>>());
        assert_eq!(fold(&order), reference, "{name}");
    }
}

#[test]
fn whole_sessions() {
    let whole = [(0, SessionCreated), (3, StreamStart), (60, StreamEnd), (60, session_ended())];
    check("in order, two ends in one second", &whole, (Ended, Some(3), Some(60), Some(57), (0, 0)));
    let both = [(3, StreamStart), (4, app_start("t")), (60, StreamEnd), (62, app_end(99, 5))];
    check("ivs and application", &both, (Ended, Some(3), Some(62), Some(59), (0, 0)));
    let one_second = [(3, SessionCreated), (3, StreamStart), (3, StreamEnd), (3, session_ended())];
    check("all in one second", &one_second, (Ended, Some(3), Some(3), Some(0), (0, 0)));
    let takeover = [(3, StreamStart), (9, Takeover), (60, StreamEnd)];
    check("takeover", &takeover, (Ended, Some(3), Some(60), Some(57), (0, 0)));
}

#[test]
fn sessions_with_facts_missing() {
    check("created", &[(0, SessionCreated)], (Pending, None, None, None, (0, 0)));
    check("live", &[(3, StreamStart)], (Live, Some(3), None, None, (0, 0)));
    check("start lost", &[(60, StreamEnd)], (Ended, None, Some(60), None, (0, 0)));
    let no_stream_end = [(3, StreamStart), (60, session_ended())];
    check("stream end lost", &no_stream_end, (Ended, Some(3), Some(60), Some(57), (0, 0)));
    let never_live = [(0, SessionCreated), (40, session_ended())];
    check("never live", &never_live, (Failed, None, Some(40), None, (0, 0)));
    check("reported", &[(60, app_end(99, 5))], (Ended, None, Some(60), Some(99), (0, 0)));
}

#[test]
fn sessions_that_go_wrong() {
    let failed = [(0, SessionCreated), (5, failure()), (9, session_ended())];
    check("failure wins", &failed, (Failed, None, Some(9), None, (0, 0)));
    let reversed = [(60, StreamStart), (3, StreamEnd)];
    check("end before start", &reversed, (Ended, Some(60), Some(3), None, (0, 0)));
    let late_end = [(0, StreamStart), (3 * 86_400, app_end(1, 1))];
    let limit = 48 * 3_600;
    check("48 hours", &late_end, (Ended, Some(0), Some(limit), Some(limit), (0, 0)));
    let open = [(0, StreamStart), (10, StarvationStart), (40, StreamEnd)];
    check("starvation open", &open, (Ended, Some(0), Some(40), Some(40), (1, 30)));
    let twice = [
        (0, StreamStart),
        (10, StarvationStart),
        (15, StarvationEnd),
        (15, StarvationStart),
        (20, StarvationEnd),
    ];
    check("starvation twice", &twice, (Live, Some(0), None, None, (2, 10)));
}

#[test]
fn two_facts_of_one_kind_and_second_have_two_items() {
    let facts = [
        fact(5, breach("Ingest Bitrate", 120_000)),
        fact(5, breach("Ingest Resolution", 640)),
        fact(5, recording(RecordingPhase::Start, "a")),
        fact(5, recording(RecordingPhase::Start, "b")),
    ];
    let (summary, timeline) = fold(&facts);
    assert_eq!(timeline.len(), 4);
    assert_eq!(summary.lifecycle.limit_breaches.len(), 2);
    assert_eq!(summary.lifecycle.recordings.len(), 2);
    assert!(timeline.is_sorted_by_key(|item| item.sort_key_ms));
    assert!(timeline.iter().all(|item| item.second() == at(5)));
}

#[test]
fn ranks_stay_within_their_second() {
    for second in 0..200 {
        for kind in [session_ended(), app_end(second, 1), recording(RecordingPhase::End, "a")] {
            let item = TimelineItem::of(&fact(second, kind)).unwrap();
            assert_eq!(item.second(), at(second));
        }
    }
}

#[test]
fn of_two_items_with_one_key_the_smaller_fingerprint_stays() {
    let item = |fingerprint| TimelineItem {
        fingerprint,
        ..TimelineItem::of(&fact(5, StreamStart)).unwrap()
    };
    for order in [[7, 3], [3, 7]] {
        let mut fold = SessionFold::default();
        for fingerprint in order {
            fold.add_item(item(fingerprint));
        }
        assert_eq!(fold.drain().timeline, [item(3)]);
    }
}

#[test]
fn texts_come_from_the_earliest_start_that_has_them() {
    let (summary, _) =
        fold(&[fact(9, app_start("late")), fact(3, app_start("")), fact(6, app_start("title"))]);
    assert_eq!(summary.lifecycle.stream_title.value().map(AsRef::as_ref), Some("title"));
    assert_eq!(summary.started_at(), Some(at(3)));
    let long = "語".repeat(500);
    let (summary, timeline) = fold(&[fact(3, app_start(&long))]);
    let kept = summary.lifecycle.stream_title.value().unwrap();
    assert_eq!(kept.len(), 255);
    let whole = ("streamTitle", AttributeValue::text(&long));
    assert!(timeline[0].attributes.contains(&whole));
}

#[test]
fn what_an_encoder_sends_is_the_latest_that_ivs_said_and_no_fact_of_the_timeline() {
    let told = [(3, ingest(720, "b")), (9, ingest(1_080, "a")), (9, ingest(480, "a"))];
    let told = told.map(|(second, kind)| fact(second, kind));
    for order in permutations(&told) {
        let (summary, timeline) = fold(&order);
        let settings = summary.ingest.value().unwrap();
        assert_eq!((settings.video.height, summary.ingest.time()), (number(1_080), Some(at(9))));
        assert!(timeline.is_empty() && summary.lifecycle.is_empty());
        assert_eq!(summary.status(), Pending);
    }
}

#[test]
fn facts_without_a_session_touch_no_row() {
    let account = |exceeded_by| Fact {
        scope: FactScope::Account { account: "111122223333".to_owned(), region: "r".to_owned() },
        ..fact(5, breach("Concurrent Viewers", exceeded_by))
    };
    let mut fold = SessionFold::default();
    fold.add_fact(&account(2));
    fold.add_fact(&account(1));
    fold.add_fact(&Fact { event_id: None, ..account(2) });
    fold.add_fact(&fact(5, FactKind::Ignored));
    assert!(fold.is_empty());
    let deltas = fold.drain();
    assert_eq!(deltas.account_facts.len(), 2);
}

fn gauge(second: i64, viewers: i64) -> Gauge<'static> {
    Gauge {
        session_id: "st-1".into(),
        channel_id: "ch-1".into(),
        event_id: None,
        time: at(second),
        viewers: number(viewers),
        bitrate_bps: number(viewers * 1_000),
        frame_rate: None,
        chat_rate: number(6),
        cpu: None,
        memory: None,
    }
}

/// Returns one epoch: its facts and gauges, folded as the open epoch does.
fn epoch<'a>(events: impl IntoIterator<Item = &'a Input>) -> SessionDeltas {
    let (mut windows, mut sessions) = (WindowFold::default(), SessionFold::default());
    for event in events {
        match event {
            Input::Fact(fact) => sessions.add_fact(fact),
            Input::Gauge(second, viewers) => windows.add_gauge(&gauge(*second, *viewers)),
        }
    }
    for (key, window) in windows.drain() {
        sessions.absorb_window(&key, &window);
    }
    sessions.drain()
}

#[derive(Clone, Debug)]
enum Input {
    Fact(Box<Fact>),
    Gauge(i64, i64),
}

#[test]
fn telemetry_wins_over_reports_and_gives_a_missing_start() {
    let events = [
        Input::Gauge(60, 100),
        Input::Gauge(90, 300),
        Input::Fact(Box::new(fact(173, app_end(500, 7)))),
    ];
    let summary = epoch(&events).summaries.remove(0).1;
    let units = |value: i128| Some(FixedSum(value * 1_000_000));
    assert_eq!(summary.status(), Ended);
    // 12:01:00 is the minute of the first gauge, and the end is at 12:03:00.
    assert_eq!(summary.started_at(), Some(at(53)));
    assert_eq!(summary.peak_viewers(), units(300));
    assert_eq!(summary.avg_bitrate_bps(), units(200_000));
    assert_eq!(summary.viewer_minutes(), units(400));
    // The application counted messages, the gauges only sampled a rate.
    assert_eq!(summary.total_chat_messages(), units(77));
    assert_eq!(summary.duration_s(), units(500));
    let live = epoch(&events[..2]).summaries.remove(0).1;
    assert_eq!((live.status(), live.total_chat_messages()), (Live, units(6)));
    assert_eq!(live.overdue_at(), Some(EpochMs(at(53).0 + LONGEST_STREAM_MS)));
    assert!(live.was_live_at(at(60)) && !live.was_live_at(at(10)) && !summary.was_live_at(at(174)));
}

#[test]
fn only_what_looks_live_grows_stale() {
    let stale_after = |events: &[Input]| epoch(events).summaries[0].1.stale_after();
    let start = || Input::Fact(Box::new(fact(0, StreamStart)));
    // The last report is of 12:03, which is over 233 seconds after the start.
    let reports = [start(), Input::Gauge(60, 1), Input::Gauge(200, 1), Input::Gauge(90, 1)];
    assert_eq!(stale_after(&reports), Some(at(233 + 600)));
    let later = [Input::Gauge(200, 1), Input::Fact(Box::new(fact(500, StreamStart)))];
    assert_eq!(stale_after(&later), Some(at(500 + 600)));
    assert_eq!(stale_after(&[start()]), Some(EpochMs(at(0).0 + LONGEST_STREAM_MS)));
    for over in [StreamEnd, session_ended(), failure()] {
        let over = [start(), Input::Gauge(60, 1), Input::Fact(Box::new(fact(90, over)))];
        assert_eq!(stale_after(&over), None);
    }
    assert_eq!(stale_after(&[Input::Fact(Box::new(fact(0, SessionCreated)))]), None);
    let item = epoch(&reports).summaries[0].1.attributes();
    assert!(item.contains(&("staleAfter", AttributeValue::integer(testing::BASE_S + 833))));
}

#[test]
fn made_up_sessions_get_no_summary() {
    for made_up in ["qos:ch-1", "chat:room-1"] {
        let mut windows = WindowFold::default();
        windows.add_gauge(&Gauge { session_id: made_up.into(), ..gauge(60, 100) });
        let mut sessions = SessionFold::default();
        for (key, window) in windows.drain() {
            assert_eq!(&*key.session_id, made_up, "the row is there");
            sessions.absorb_window(&key, &window);
        }
        assert!(sessions.drain().summaries.is_empty(), "{made_up}");
    }
}

#[test]
fn the_item_has_the_tutorials_attributes() {
    let (summary, _) = fold(&[
        fact(0, app_start("title")),
        fact(5, StarvationStart),
        fact(9, StarvationEnd),
        fact(60, app_end(60, 7)),
    ]);
    let found: BTreeMap<_, _> = summary.attributes().into_iter().collect();
    for (name, value) in [
        ("status", AttributeValue::text("ended")),
        ("startedAt", AttributeValue::integer(testing::BASE_S)),
        ("duration", AttributeValue::integer(60)),
        ("streamTitle", AttributeValue::text("title")),
        ("peakViewers", AttributeValue::integer(7)),
        ("starvationCount", AttributeValue::count(1)),
        ("starvationSeconds", AttributeValue::integer(4)),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name}");
    }
    assert!(!found.contains_key("streamQuality") && !found.contains_key("uniquePlayers"));
}

#[test]
fn facts_of_a_stage_stand_under_its_session_or_its_id_and_in_no_summary() {
    for (session_id, under) in [(Some("st-Ab"), "st-Ab"), (None, "stage:Ab1")] {
        let session_id = session_id.map(str::to_owned);
        let scope = FactScope::Stage { stage_id: "Ab1".to_owned(), session_id };
        let kind = FactKind::Stage(StageEvent {
            detail_type: "IVS Stage Update".to_owned(),
            name: Some("Participant Publish Error".to_owned()),
            participant_id: None,
            stage_id: None,
            destination_id: None,
            error_code: None,
            reason: None,
        });
        let mut fold = SessionFold::default();
        fold.add_fact(&Fact { scope, ..fact(5, kind) });
        let SessionDeltas { summaries, timeline, .. } = fold.drain();
        let [item] = &timeline[..] else { panic!("{timeline:?}") };
        assert_eq!((&*item.session_id, &item.channel_id), (under, &None));
        assert_eq!(item.event_type, "participant_publish_error");
        assert!(summaries.is_empty(), "{summaries:?}");
    }
}

#[test]
fn a_milestone_is_reached_by_facts_and_has_one_item() {
    let id: Arc<str> = Arc::from("st-1");
    let (start, _) = fold(&[fact(3, StreamStart)]);
    let (end, _) = fold(&[fact(60, session_ended())]);
    let types = |items: Vec<TimelineItem>| -> Vec<&str> {
        assert!(items.iter().all(|item| item.sort_key_ms < 1_000 && item.channel_id.is_none()));
        items.iter().map(|item| item.event_type).collect()
    };
    assert_eq!(types(milestones(&id, &start, &start)), ["milestone_started"]);
    // The end alone looks like a session that was never live, until the start is known.
    assert_eq!(types(milestones(&id, &end, &end)), ["milestone_failed"]);
    let mut both = end.clone();
    both.merge(&start);
    let expected = ["milestone_started", "milestone_ended"];
    assert_eq!(types(milestones(&id, &start, &both)), expected);
    let telemetry = epoch(&[Input::Gauge(20, 1)]).summaries.remove(0).1;
    assert_eq!(types(milestones(&id, &telemetry, &both)), [""; 0]);
    // Without a start, a sign of life is news: what looked like a failure was an end.
    let mut lived = end.clone();
    lived.merge(&telemetry);
    assert_eq!(types(milestones(&id, &telemetry, &lived)), ["milestone_ended"]);
}

/// The two kinds of item as the table keeps them.
#[derive(Debug, Default, PartialEq)]
struct Table {
    summaries: BTreeMap<Arc<str>, SummaryAgg>,
    timeline: BTreeMap<(Arc<str>, i64), TimelineItem>,
}

impl Table {
    fn write(&mut self, deltas: SessionDeltas) {
        for (id, delta) in deltas.summaries {
            self.summaries.entry(id).or_default().merge(&delta);
        }
        for item in deltas.timeline {
            let key = (Arc::clone(&item.session_id), item.sort_key_ms);
            let stays = self.timeline.get(&key).is_some_and(|old| !item.replaces(old.fingerprint));
            if !stays {
                self.timeline.insert(key, item);
            }
        }
    }
}

fn any_kind() -> impl Strategy<Value = FactKind> {
    prop_oneof![
        Just(SessionCreated),
        Just(StreamStart),
        Just(StreamEnd),
        Just(session_ended()),
        Just(failure()),
        Just(Takeover),
        Just(StarvationStart),
        Just(StarvationEnd),
        "[a-c]?".prop_map(|title| app_start(&title)),
        (0_i64..9, 0_i64..9).prop_map(|(duration, peak)| app_end(duration, peak)),
        (0_i64..9).prop_map(|over| breach("Ingest Bitrate", over)),
        "[a-c]".prop_map(|prefix| recording(RecordingPhase::End, &prefix)),
        (0_i64..3, "[a-c]?").prop_map(|(height, encoder)| ingest(height, &encoder)),
        "[a-c]".prop_map(|detail_type| FactKind::Unknown { detail_type, name: None }),
    ]
}

fn any_fact() -> impl Strategy<Value = Input> {
    // Few seconds and two sessions: ties and collisions of keys are the rule.
    (0_i64..12, any_kind(), any::<bool>()).prop_map(|(second, kind, other)| {
        let mut fact = fact(second, kind);
        if other {
            let (session_id, channel_id) = ("st-2".to_owned(), "ch-0".to_owned());
            fact.scope = FactScope::Session { session_id, channel_id };
            fact.origin = FactOrigin::Application;
        }
        Input::Fact(Box::new(fact))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn order_repetition_and_split_do_not_show(
        facts in prop::collection::vec(any_fact(), 1..24),
        gauges in prop::collection::vec((0_i64..400, 0_i64..50), 0..12),
        repeated in prop::collection::vec(any::<Index>(), 0..12),
        order in any::<u64>(),
        places in prop::collection::vec(any::<u32>(), 48),
        epochs in 1_u32..6,
    ) {
        let gauges = gauges.into_iter().map(|(second, viewers)| Input::Gauge(second, viewers));
        let once: Vec<Input> = facts.iter().cloned().chain(gauges).collect();
        let mut expected = Table::default();
        expected.write(epoch(&once));

        // The same records shuffled, facts repeated, over several epochs (of any shards), whose
        // writes come in any order: epochs are numbered at random.
        let mut all = once;
        all.extend(repeated.iter().map(|index| index.get(&facts).clone()));
        let mut split: BTreeMap<u32, Vec<&Input>> = BTreeMap::new();
        let mut keyed: Vec<(u64, u32, &Input)> = (0_u64..).zip(&all).zip(&places)
            .map(|((at, input), place)| {
                let shuffled = (u64::from(*place) ^ order).wrapping_mul(at | 1);
                (shuffled, place % epochs, input)
            })
            .collect();
        keyed.sort_by_key(|(shuffled, ..)| *shuffled);
        for (_, epoch, input) in keyed {
            split.entry(epoch).or_default().push(input);
        }
        let mut table = Table::default();
        for events in split.into_values() {
            table.write(epoch(events));
        }
        prop_assert_eq!(table, expected);
    }
}
