//! Views, score and breakdowns as a report tells them.

use ivs_schemas::report::{DimensionFigures, ExperienceScore, ValueFigures, ViewFigures};

use super::bucket::rounded;
use crate::experience::{Breakdown, Dimension, Evidence, Score, Slice, Views};
use crate::fixed::FixedSum;

/// Returns what became of views; `None` if nobody told of views.
pub(super) fn views(views: &Views) -> Option<ViewFigures> {
    let told = || (views.exits_before_start > 0).then_some(views.exits_before_start);
    (views.events > 0).then(|| ViewFigures {
        attempts: views.known_attempts(),
        starts: views.starts,
        start_failures_technical: views.start_failures_technical,
        start_failures_business: views.start_failures_business,
        exits_before_start: views.unstarted().or_else(told),
        playback_failures: views.playback_failures,
        ended: views.ended,
    })
}

/// Returns the score with its parts.
pub(super) fn score(seen: &Evidence) -> Option<ExperienceScore> {
    let part = |part: Option<FixedSum>| part.map(FixedSum::to_f64);
    Score::of(seen).map(|score| ExperienceScore {
        score: score.score.to_f64(),
        startup: part(score.startup),
        stalls: part(score.stalls),
        failures: part(score.failures),
        bitrate: part(score.bitrate),
    })
}

/// Returns the figures by dimension, the values with most time watched first.
#[must_use]
pub fn breakdowns(breakdown: &Breakdown) -> Vec<DimensionFigures> {
    let dimension = |dimension: Dimension| {
        let slices: Vec<_> = breakdown.of(dimension).collect();
        let all_ms: f64 = slices.iter().map(|(_, slice)| slice.watched_ms().to_f64()).sum();
        let mut values: Vec<ValueFigures> =
            slices.iter().map(|(value, slice)| value_figures(value, slice, all_ms)).collect();
        let order = |of: &ValueFigures| of.share_of_watch_time.unwrap_or_default();
        values.sort_by(|a, b| order(b).total_cmp(&order(a)).then_with(|| a.value.cmp(&b.value)));
        let dimension = dimension.as_str().to_owned();
        (!values.is_empty()).then_some(DimensionFigures { dimension, values })
    };
    Dimension::ALL.into_iter().filter_map(dimension).collect()
}

fn value_figures(value: &str, slice: &Slice, all_ms: f64) -> ValueFigures {
    let watched_ms = slice.watched_ms().to_f64();
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| rounded(part / whole));
    ValueFigures {
        value: value.to_owned(),
        records: slice.records,
        attempts: slice.attempts,
        starts: slice.starts,
        failures: slice.failures,
        watch_minutes: rounded(slice.playing_ms.to_f64() / 60_000.0),
        stalls: slice.stalls.to_f64(),
        rebuffer_ratio: share(slice.stalled_ms.to_f64(), watched_ms),
        share_of_watch_time: share(watched_ms, all_ms),
    }
}
