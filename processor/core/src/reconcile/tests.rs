//! Sessions that IVS tells of, against what is known: what is put, and what it does to the rows.

use proptest::prelude::*;

use super::*;
use crate::decode::{DecodeLimits, Event, Fact, IngestAudio, IngestVideo, decode};
use crate::fixed::Fixed;
use crate::session::{SessionDeltas, SessionFold};

/// 2026-03-01T12:00:07Z.
const BASE_MS: i64 = 1_772_366_407_000;
const GRACE_MS: i64 = 120_000;
const CHANNEL: &str = "arn:aws:ivs:eu-west-1:111122223333:channel/Qw3r";

fn at(second: i64) -> EpochMs {
    EpochMs(BASE_MS + second * 1_000)
}

fn session(events: &[(i64, &str)]) -> IvsSession {
    let event = |(second, name): &(i64, &str)| IvsEvent {
        name: (*name).to_owned(),
        time: at(*second),
        code: None,
    };
    IvsSession {
        stream_id: "st-1".to_owned(),
        channel_arn: CHANNEL.to_owned(),
        started: Some(at(3)),
        ended: None,
        events: events.iter().map(event).collect(),
        ingest: None,
    }
}

fn known(facts: &[(i64, &str)]) -> Known {
    let mut known = Known::default();
    for (second, event_type) in facts {
        known.add_fact(event_type, at(*second));
    }
    known
}

fn settings(height: i64) -> IngestConfiguration {
    let video = IngestVideo {
        codec: IngestConfiguration::kept("avc1.4D401F"),
        height: IngestConfiguration::known(height),
        frame_rate: Fixed::from_int(30),
        ..IngestVideo::default()
    };
    let audio = IngestAudio { channels: Fixed::from_int(2), ..IngestAudio::default() };
    IngestConfiguration { video, audio }
}

/// Names and seconds of what is put.
fn put(session: &IvsSession, known: &Known, now: EpochMs) -> Vec<(&'static str, i64)> {
    let lost = missing(session, known, now, GRACE_MS);
    lost.iter().map(|fact| (fact.name(), (fact.time.0 - BASE_MS) / 1_000)).collect()
}

fn decoded(record: &[u8]) -> Fact {
    match decode(record, at(100_000), &DecodeLimits::default()).unwrap() {
        Event::Fact(fact) => *fact,
        other => panic!("{other:?}"),
    }
}

fn fold(facts: &[Fact]) -> SessionDeltas {
    let mut fold = SessionFold::default();
    facts.iter().for_each(|fact| fold.add_fact(fact));
    fold.drain()
}

type Case<'c> = (&'c str, &'c [(i64, &'c str)], &'c [(i64, &'c str)], i64, &'c [(&'c str, i64)]);

/// Listed by IVS, known, now; put.
const CASES: &[Case<'_>] = &[
    ("nothing is listed", &[], &[], 900, &[]),
    ("a start was lost", &[(3, "Stream Start")], &[], 900, &[("Stream Start", 3)]),
    ("a start is known", &[(3, "Stream Start")], &[(3, "stream_start")], 900, &[]),
    ("rounded the other way", &[(3, "Stream Start")], &[(4, "stream_start")], 900, &[]),
    (
        "another start is known",
        &[(3, "Stream Start")],
        &[(5, "stream_start")],
        900,
        &[("Stream Start", 3)],
    ),
    ("within the grace", &[(3, "Stream Start")], &[], 122, &[]),
    ("at its end", &[(3, "Stream Start")], &[], 123, &[("Stream Start", 3)]),
    (
        "in the order of events, each once",
        &[(60, "Session Ended"), (60, "Stream End"), (3, "Stream Start"), (3, "Stream Start")],
        &[],
        900,
        &[("Stream Start", 3), ("Stream End", 60), ("Session Ended", 60)],
    ),
    (
        "health and takeovers",
        &[(9, "Starvation Start"), (12, "Starvation End"), (20, "Stream Takeover")],
        &[(9, "starvation_start")],
        900,
        &[("Starvation End", 12), ("Stream Takeover", 20)],
    ),
    (
        "of these IVS keeps back what they say",
        &[(3, "Stream Failure"), (4, "Recording Start"), (5, "Ingest Bitrate"), (6, "New")],
        &[],
        900,
        &[],
    ),
];

#[test]
fn what_is_listed_and_not_known_is_put_once_the_grace_has_passed() {
    for (case, listed, is_known, now, expected) in CASES {
        assert_eq!(put(&session(listed), &known(is_known), at(*now)), *expected, "{case}");
    }
}

#[test]
fn a_list_that_is_full_or_has_no_end_is_completed_by_the_session() {
    let many: Vec<_> = (100..350).flat_map(|s| [(2 * s, "Starvation End"); 2]).collect();
    assert_eq!(many.len(), MAX_LISTED);
    let (full, nearly) = (session(&many), session(&many[1..]));
    let starts = |session: &IvsSession| {
        let all = put(session, &Known::default(), at(9_000));
        all.into_iter().filter(|(name, _)| *name == "Stream Start").collect::<Vec<_>>()
    };
    assert_eq!(starts(&full), [("Stream Start", 3)]);
    assert_eq!(starts(&nearly), []);
    let over = IvsSession { ended: Some(at(60)), ..session(&[(3, "Stream Start")]) };
    let told = known(&[(3, "stream_start")]);
    assert_eq!(put(&over, &told, at(900)), [("Session Ended", 60)]);
    let ended = IvsSession { ended: Some(at(61)), ..session(&[(60, "Stream End")]) };
    assert_eq!(put(&ended, &Known::default(), at(900)), [("Stream End", 60)]);
}

#[test]
fn a_session_is_over_when_the_grace_of_its_last_event_has_passed() {
    let live = session(&[(3, "Stream Start")]);
    assert!(!is_over(&live, at(9_000), GRACE_MS));
    let ended = IvsSession { ended: Some(at(60)), ..session(&[(63, "Session Ended")]) };
    assert!(!is_over(&ended, at(182), GRACE_MS));
    assert!(is_over(&ended, at(183), GRACE_MS));
}

#[test]
fn an_event_says_what_the_lost_one_said_and_has_an_id_of_its_own() {
    let mut told = session(&[(60, "Session Ended")]);
    told.events[0].code = Some("MultitrackInputNotAllowed".to_owned());
    told.events[0].time = EpochMs(at(60).0 + 999);
    let [ended] = &missing(&told, &Known::default(), at(900), GRACE_MS)[..] else { panic!() };
    assert_eq!(ended.partition_key(), CHANNEL);
    let genuine = format!(
        r#"{{"version":"0","id":"{}","detail-type":"IVS Stream State Change","source":"aws.ivs",
        "account":"111122223333","time":"2026-03-01T12:01:07Z","region":"eu-west-1",
        "resources":["{CHANNEL}"],"detail":{{"event_name":"Session Ended","channel_name":"",
        "stream_id":"st-1","code":"MultitrackInputNotAllowed"}}}}"#,
        ended.id()
    );
    assert_eq!(decoded(&ended.to_json()), decoded(genuine.as_bytes()));
    let marked: serde_json::Value = serde_json::from_slice(&ended.to_json()).unwrap();
    assert_eq!(marked["source"], "reconciler");
    let of = |seconds: i64, stream: &str| {
        let session = IvsSession {
            stream_id: stream.to_owned(),
            ..session(&[(seconds, "Stream End"), (seconds, "Session Ended")])
        };
        let lost = missing(&session, &Known::default(), at(900), GRACE_MS);
        lost.iter().map(LostFact::id).collect::<Vec<_>>()
    };
    assert_eq!(of(60, "st-1"), of(60, "st-1"));
    let ids: BTreeSet<_> =
        [of(60, "st-1"), of(61, "st-1"), of(60, "st-2")].into_iter().flatten().collect();
    assert_eq!(ids.len(), 6);
}

/// The rows are those of a world in which nothing was lost, in whatever order the two come, and whether
/// or not both do.
#[test]
fn a_lost_event_that_comes_after_all_changes_nothing() {
    let listed: Vec<_> = REPEATED.iter().zip(0..).map(|((_, name, _), at)| (at, *name)).collect();
    let told = IvsSession { ingest: Some(settings(720)), ..session(&listed) };
    let lost = missing(&told, &Known::default(), at(900), GRACE_MS);
    let repaired: Vec<Fact> = lost.iter().map(|fact| decoded(&fact.to_json())).collect();
    assert_eq!(repaired.len(), REPEATED.len() + 1);
    let late: Vec<Fact> = repaired
        .iter()
        .map(|fact| Fact { event_id: Some("genuine".to_owned()), ..fact.clone() })
        .collect();
    let both = [repaired.clone(), late.clone()].concat();
    let turned = [late.clone(), repaired.clone()].concat();
    let expected = fold(&late);
    assert_eq!(expected.timeline.len(), REPEATED.len());
    for facts in [repaired, both, turned] {
        let rows = fold(&facts);
        assert_eq!(rows.summaries, expected.summaries);
        assert_eq!(rows.timeline, expected.timeline);
    }
}

#[test]
fn what_was_put_is_known_and_is_not_put_again() {
    let listed = [(3, "Stream Start"), (60, "Stream End")];
    let told = IvsSession { ingest: Some(settings(720)), ..session(&listed) };
    let mut known = Known::default();
    let lost = missing(&told, &known, at(900), GRACE_MS);
    lost.iter().for_each(|fact| known.add_put(fact));
    assert_eq!((lost.len(), missing(&told, &known, at(960), GRACE_MS)), (3, Vec::new()));
}

#[test]
fn the_encoders_settings_are_put_when_they_are_news() {
    let told = |height| IvsSession { ingest: Some(settings(height)), ..session(&[]) };
    let first = &missing(&told(720), &Known::default(), at(900), GRACE_MS)[0];
    assert_eq!((first.name(), first.time), ("IVS Ingest Configuration", at(3)));
    let stored = decoded(&first.to_json());
    let expected = crate::decode::FactKind::Ingest(Box::new(settings(720)));
    assert_eq!((stored.kind, stored.time), (expected, at(3)), "it comes back as it was");
    let mut known = Known::default();
    known.add_put(first);
    assert_eq!(put(&told(720), &known, at(900)), []);
    assert_eq!(put(&told(1_080), &known, at(900)), [("IVS Ingest Configuration", 900)]);
    // A clock that stands still: what replaces something is later all the same.
    assert_eq!(put(&told(1_080), &known, at(3)), [("IVS Ingest Configuration", 4)]);
    let empty = IvsSession { ingest: Some(IngestConfiguration::default()), ..session(&[]) };
    assert_eq!(put(&empty, &Known::default(), at(900)), []);
    let timeless = IvsSession { started: None, ..told(720) };
    assert_eq!(put(&timeless, &Known::default(), at(900)), []);
}

fn as_facts(lost: &[LostFact]) -> Vec<Fact> {
    lost.iter().map(|fact| decoded(&fact.to_json())).collect()
}

proptest! {
    #[test]
    fn whatever_is_lost_the_rows_are_those_of_a_world_in_which_nothing_was(
        // By second and kind, whether EventBridge brought it.
        events in prop::collection::btree_map(
            (0_i64..20, 0..REPEATED.len()), any::<bool>(), 1..24,
        ),
        late in any::<u32>(),
    ) {
        // Apart by more than what counts as one fact.
        let listed: Vec<_> =
            events.keys().map(|(second, place)| (2 * second, REPEATED[*place].1)).collect();
        let told = IvsSession { ingest: Some(settings(720)), ..session(&listed) };
        let all = as_facts(&missing(&told, &Known::default(), at(900), GRACE_MS));
        let came = all.iter().zip(events.values()).filter(|(_, came)| **came);
        let came: Vec<Fact> = came.map(|(fact, _)| fact.clone()).collect();
        let mut known = Known::default();
        for item in fold(&came).timeline {
            known.add_fact(item.event_type, item.second());
        }
        let repaired = as_facts(&missing(&told, &known, at(900), GRACE_MS));
        prop_assert_eq!(came.len() + repaired.len(), all.len());
        let mut facts = [came, repaired].concat();
        let expected = fold(&all);
        for _ in 0..2 {
            let rows = fold(&facts);
            prop_assert_eq!(&rows.summaries, &expected.summaries);
            prop_assert_eq!(&rows.timeline, &expected.timeline);
            // Some of it comes after all.
            let is_late = |at: &usize| late >> at & 1 == 1;
            facts.extend((0..all.len()).filter(is_late).map(|at| all[at].clone()));
        }
    }
}
