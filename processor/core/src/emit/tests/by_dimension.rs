//! Datums of viewers by the value of a dimension.

use std::collections::BTreeMap;

use super::*;
use crate::decode::ViewEvent;
use crate::experience::Dimension;

/// Second, country, device and what happens.
type Told = (i64, &'static str, &'static str, Option<ViewEvent>);

/// Records of one channel.
const RECORDS: [Told; 6] = [
    (0, "JP", "tv", Some(ViewEvent::Attempt)),
    (1, "jp", "tv", Some(ViewEvent::Start)),
    (2, "BR", "mobile", Some(ViewEvent::StartFailureTechnical)),
    (3, "BR", "mobile", Some(ViewEvent::PlaybackFailure)),
    (4, "Atlantis", "mobile", Some(ViewEvent::Start)),
    (70, "JP", "tv", None),
];

fn windows(records: &[Told]) -> Windows {
    let mut fold = WindowFold::default();
    for (second, country, device, event) in records {
        fold.add_player(&PlayerSample {
            view_id: Some("v".into()),
            view_event: *event,
            labels: [Some((*device).into()), None, Some((*country).into()), None, None, None],
            ..player("a", at(*second), 1, 2_000)
        });
    }
    fold.drain()
}

type Windows = Vec<(WindowKey, WindowAgg)>;
/// Metric, dimension, value and time.
type Of = (&'static str, Dimension, String, i64);

fn by_dimension(datums: &[Datum]) -> BTreeMap<Of, &DatumValue> {
    let of = |datum: &Datum| match &datum.series {
        Series::Viewers { channel_id, dimension, value } => {
            assert_eq!(&**channel_id, "a");
            Some((datum.metric.name, *dimension, value.to_string(), datum.time.0))
        }
        _ => None,
    };
    datums.iter().filter_map(|datum| Some((of(datum)?, &datum.value))).collect()
}

#[test]
fn nothing_is_sent_by_dimension_unless_it_is_chosen() {
    let windows = windows(&RECORDS);
    let plain = window_datums(&windows, &[]);
    assert_eq!(by_dimension(&plain), BTreeMap::new());
    let mut chosen = window_datums(&windows, &[Dimension::Country]);
    chosen.retain(|datum| !matches!(datum.series, Series::Viewers { .. }));
    assert_eq!(chosen, plain, "the other series stay as they are");
}

#[test]
fn starts_failures_and_times_of_each_listed_value_and_of_the_rest() {
    let windows = windows(&RECORDS);
    let datums = window_datums(&windows, &[Dimension::Country]);
    let found = by_dimension(&datums);
    let minute = at(0).0.div_euclid(60_000) * 60_000;
    let value = |metric, country: &str, time| {
        found.get(&(metric, Dimension::Country, country.to_owned(), time)).copied()
    };
    assert_eq!(value("ViewStarts", "JP", minute), Some(&DatumValue::Single(1.0)));
    assert_eq!(value("ViewFailures", "JP", minute), None, "absent is not 0");
    assert_eq!(value("ViewFailures", "BR", minute), Some(&statistics(2.0, 2.0, 1.0, 1.0)));
    assert_eq!(value("ViewStarts", "other", minute), Some(&DatumValue::Single(1.0)));
    // 9,000 ms played and 1,200 ms stalled a record, by `player`.
    assert_eq!(value("ViewTime", "JP", minute), Some(&statistics(20_400.0, 20_400.0, 1.0, 1.0)));
    assert_eq!(value("StalledTime", "BR", minute), Some(&statistics(2_400.0, 2_400.0, 1.0, 1.0)));
    let next = minute + 60_000;
    assert_eq!(value("StalledTime", "JP", next), Some(&statistics(1_200.0, 1_200.0, 1.0, 1.0)));
    assert!(found.keys().all(|(_, dimension, ..)| *dimension == Dimension::Country));
    for datum in &datums {
        assert_eq!(validate(datum), Ok(()));
        let names: Vec<_> = datum.series.dimensions().map(|(name, _)| name).collect();
        let is_listed = datum.metric.dimensions.iter().any(|set| *set == names);
        assert!(is_listed || names == ["ChannelId", "Country"], "{}: {names:?}", datum.metric.name);
    }
}

#[test]
fn parts_of_a_minute_add_up_to_the_whole_by_dimension_too() {
    let both = [Dimension::Device, Dimension::Country];
    let totals = |parts: &[&[Told]]| {
        let mut totals: BTreeMap<Of, (f64, f64)> = BTreeMap::new();
        for part in parts {
            for (of, value) in by_dimension(&window_datums(&windows(part), &both)) {
                let (count, sum) = match value {
                    DatumValue::Single(value) => (1.0, *value),
                    DatumValue::Statistics { count, sum, .. } => (*count, *sum),
                    DatumValue::Distribution(_) => panic!("{of:?} has no values"),
                };
                let total = totals.entry(of).or_default();
                *total = (total.0 + count, total.1 + sum);
            }
        }
        totals
    };
    let whole = totals(&[&RECORDS]);
    assert!(whole.keys().any(|(_, dimension, ..)| *dimension == Dimension::Device));
    for cut in 0..=RECORDS.len() {
        let (left, right) = RECORDS.split_at(cut);
        assert_eq!(totals(&[left, right]), whole, "cut at {cut}");
    }
}
