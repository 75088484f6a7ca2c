//! The time axis of the charts: which steps of the period they show, and what is written below.

use std::ops::Range;

use ivs_schemas::report::{Point, Report, ReportType};

use super::labels::Lang;
use super::text::month_day;

/// A day is shown from the hour of its first row to the hour of its last, but never less than this
/// many hours: most channels stream in the evening, and a chart of an empty day shows nothing.
const LEAST_HOURS: usize = 4;
/// Most labels of a day: further ones would touch on a telephone.
const MOST_LABELS: usize = 6;

/// The steps shown, and the labels below them by their place among these.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) steps: Range<usize>,
    pub(super) ticks: Vec<(usize, String)>,
}

impl Axis {
    /// The axis of a report: of a day the hours that have rows, else the whole period.
    pub(super) fn of(report: &Report, lang: Lang) -> Self {
        let points = &report.series.points;
        if report.report_type == ReportType::Daily {
            return hours(points);
        }
        let every_day = report.report_type == ReportType::Weekly;
        let is_labelled = |date: &str| every_day || date.ends_with('1') || date.ends_with('6');
        // The first step of a new day: midnight itself may not exist.
        let days = marks(points, &(0..10)).into_iter().filter(|(_, date)| is_labelled(date));
        let ticks = days.map(|(at, _)| (at, month_day(&points[at].start, lang))).collect();
        Self { steps: 0..points.len(), ticks }
    }
}

/// Where a part of the time changes, and to what; the first step always counts.
fn marks<'a>(points: &'a [Point], part: &Range<usize>) -> Vec<(usize, &'a str)> {
    let mut marks: Vec<(usize, &'a str)> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let mark = point.start.get(part.clone()).unwrap_or_default();
        if marks.last().is_none_or(|(_, last)| *last != mark) {
            marks.push((at, mark));
        }
    }
    marks
}

fn hours(points: &[Point]) -> Axis {
    let hours = marks(points, &(11..13));
    let has_rows = |point: &Point| point.figures.minutes > 0;
    let hour_of = |step: usize| hours.partition_point(|(at, _)| *at <= step).saturating_sub(1);
    let shown = match (points.iter().position(has_rows), points.iter().rposition(has_rows)) {
        (Some(first), Some(last)) => {
            let end = (hour_of(last) + 1).max((hour_of(first) + LEAST_HOURS).min(hours.len()));
            hour_of(first).min(end.saturating_sub(LEAST_HOURS))..end
        }
        _ => 0..hours.len(),
    };
    let start = hours.get(shown.start).map_or(0, |(at, _)| *at);
    let end = hours.get(shown.end).map_or(points.len(), |(at, _)| *at);
    let every = shown.len().div_ceil(MOST_LABELS).max(1);
    let label = |(at, hour): &(usize, &str)| (at - start, format!("{hour}:00"));
    Axis { steps: start..end, ticks: hours[shown].iter().step_by(every).map(label).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ivs_core::report::{Period, ReportFold};
    use ivs_core::stream::{EpochMs, Minute};
    use ivs_core::window::{WindowAgg, WindowKey};
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    /// A report of 2026-03-01 with rows in these minutes.
    fn axis(kind: ReportType, minutes: &[i64]) -> Axis {
        let period = Period::containing(kind, date(2026, 3, 1), TimeZone::UTC).unwrap();
        let start = period.start();
        let mut fold = ReportFold::new("ch-1", period, start);
        for minute in minutes {
            let minute = Minute::of(EpochMs(start.0 + minute * 60_000));
            let key = WindowKey { session_id: "st-1".into(), minute };
            fold.add_row(&key, &WindowAgg { records: 1, ..WindowAgg::default() });
        }
        Axis::of(&fold.finish(), Lang::En)
    }

    fn labels(axis: &Axis) -> Vec<(usize, &str)> {
        axis.ticks.iter().map(|(at, label)| (*at, &**label)).collect()
    }

    #[test]
    fn a_day_is_shown_by_the_hours_that_have_rows() {
        // 19:45 to 00:00 are five hours of twelve steps.
        let evening = axis(ReportType::Daily, &[19 * 60 + 45, 23 * 60 + 59]);
        assert_eq!(evening.steps, 228..288);
        let wanted = [(0, "19:00"), (12, "20:00"), (24, "21:00"), (36, "22:00"), (48, "23:00")];
        assert_eq!(labels(&evening), wanted);
    }

    #[test]
    fn a_short_stream_is_shown_within_four_hours() {
        assert_eq!(axis(ReportType::Daily, &[600]).steps, 120..168, "10:00 to 14:00");
        assert_eq!(axis(ReportType::Daily, &[1_439]).steps, 240..288, "20:00 to 24:00");
    }

    #[test]
    fn a_whole_day_has_every_fourth_hour_below() {
        let day = axis(ReportType::Daily, &[0, 1_439]);
        assert_eq!(day.steps, 0..288);
        assert_eq!(labels(&day)[..2], [(0, "00:00"), (48, "04:00")]);
        assert_eq!(axis(ReportType::Daily, &[]), day, "without rows too");
    }

    #[test]
    fn weeks_and_months_are_shown_whole() {
        let week = axis(ReportType::Weekly, &[600]);
        assert_eq!((week.steps.len(), week.ticks.len()), (336, 7));
        let month = axis(ReportType::Monthly, &[600]);
        let wanted = ["03-01", "03-06", "03-11", "03-16", "03-21", "03-26", "03-31"];
        assert_eq!(labels(&month).into_iter().map(|(_, label)| label).collect::<Vec<_>>(), wanted);
    }
}
