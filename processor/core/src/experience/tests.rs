use std::sync::Arc;

use super::*;
use crate::decode::ViewEvent;
use crate::fixed::{Fixed, FixedSum};
use crate::merge::{Merge as _, Total};

fn ms(ms: i128) -> FixedSum {
    FixedSum(ms * 1_000_000)
}

fn views(events: &[(ViewEvent, u64)]) -> Views {
    let mut views = Views::default();
    for (event, count) in events {
        (0..*count).for_each(|_| views.add(*event));
    }
    views
}

#[test]
fn a_value_is_found_in_any_letter_case_and_else_it_is_other() {
    let known = Dimensions::new(AllowLists {
        country: vec!["JP".into(), "jp".into(), "Other".into(), "US".into(), "x".repeat(33)],
        cdn: Vec::new(),
        ..AllowLists::default()
    });
    let value = |dimension, value| {
        known.slot(dimension, value).and_then(|slot| known.value(slot)).map(|(_, v)| &**v)
    };
    assert_eq!(value(Dimension::Country, "jp"), Some("JP"));
    assert_eq!(value(Dimension::Country, "uS"), Some("US"));
    let long = "x".repeat(33);
    for unknown in ["DE", "OTHER", "", &long] {
        assert_eq!(value(Dimension::Country, unknown), Some(OTHER), "{unknown}");
    }
    assert_eq!(value(Dimension::Cdn, "akamai"), None, "no list");
    assert_eq!(value(Dimension::Os, "Windows"), Some("windows"));
    assert_eq!(value(Dimension::Device, "windows"), Some(OTHER), "of another dimension");
    for dimension in Dimension::ALL {
        assert_eq!(Dimension::of_name(dimension.as_str()), Some(dimension));
    }
}

#[test]
fn figures_come_back_and_broken_ones_do_not() {
    let slice =
        Slice { records: 3, failures: 1, playing_ms: FixedSum(1_500_000), ..Slice::default() };
    assert_eq!(Slice::of_figures(&slice.figures()), Some(slice));
    let mut figures = slice.figures();
    figures[0] = FixedSum(1);
    assert_eq!(Slice::of_figures(&figures), None, "a millionth of a record");
    figures[0] = FixedSum(-1_000_000);
    assert_eq!(Slice::of_figures(&figures), None, "less than none");
}

#[test]
fn breakdowns_by_other_lists_merge_too() {
    let entry = |value: &str, records| {
        let slice = Slice { records, ..Slice::default() };
        ((Dimension::Os, Arc::from(value)), slice)
    };
    let mut old: Breakdown = [entry("other", 5), entry("ios", 2)].into_iter().collect();
    let new: Breakdown = [entry("android", 4), entry("other", 1)].into_iter().collect();
    old.merge(&new);
    let expected = [entry("android", 4), entry("ios", 2), entry("other", 6)];
    assert_eq!(old, expected.into_iter().collect());
}

#[test]
fn exits_are_attempts_without_an_outcome() {
    let told = views(&[
        (ViewEvent::Attempt, 10),
        (ViewEvent::Start, 6),
        (ViewEvent::StartFailureTechnical, 1),
        (ViewEvent::StartFailureBusiness, 1),
        (ViewEvent::ExitBeforeStart, 1),
    ]);
    assert_eq!(told.unstarted(), Some(2), "one of them was not told");
    let late = views(&[(ViewEvent::Attempt, 1), (ViewEvent::Start, 3)]);
    assert_eq!(late.unstarted(), Some(0), "attempts were lost");
    assert_eq!(views(&[(ViewEvent::Start, 3)]).unstarted(), None, "attempts are not known");
}

#[test]
fn a_score_is_made_of_the_parts_that_are_known() {
    let bitrate = Total { sum: FixedSum(3_000_000_000_000), count: 2 };
    let all = Evidence {
        startups: 2,
        startup_sum_ms: 9_000,
        playing_ms: ms(95_000),
        stalled_ms: ms(5_000),
        views: views(&[(ViewEvent::Attempt, 50), (ViewEvent::PlaybackFailure, 1)]),
        bitrate,
    };
    let score = Score::of(&all).unwrap();
    let half = Some(FixedSum(500_000));
    assert_eq!((score.startup, score.stalls, score.bitrate), (half, half, half));
    assert_eq!(score.failures, Some(FixedSum(800_000)));
    // 20 × 0.5 + 40 × 0.5 + 25 × 0.8 + 15 × 0.5
    assert_eq!(score.score.to_string(), "57.5");

    let watched = Evidence { playing_ms: ms(1), ..Evidence::default() };
    assert_eq!(Score::of(&watched).unwrap().score, ms(100));
    let failed = views(&[(ViewEvent::Attempt, 2), (ViewEvent::StartFailureTechnical, 1)]);
    let failed = Score::of(&Evidence { views: failed, ..Evidence::default() }).unwrap();
    assert_eq!((failed.score, failed.stalls), (ms(0), None), "nobody saw a picture");
    let only_bitrate = Evidence { bitrate, startups: 1, ..Evidence::default() };
    assert_eq!(Score::of(&only_bitrate), None);
    assert_eq!(Score::of(&Evidence::default()), None);
}

#[test]
fn a_score_never_leaves_its_range() {
    for value in [0, 1, 999, 1_000, 4_500, 8_000, 1 << 40] {
        let evidence = Evidence {
            startups: 1,
            startup_sum_ms: value,
            playing_ms: ms(1_000),
            stalled_ms: ms(i128::from(value)),
            views: views(&[(ViewEvent::StartFailureTechnical, value.min(5))]),
            bitrate: Total { sum: Fixed::from_micros(i64::MAX).into(), count: 1 },
        };
        let score = Score::of(&evidence).unwrap();
        assert!((0..=100_000_000).contains(&score.score.0), "{score:?}");
    }
}
