//! The time axis of the charts: what of the period they show, and what is written below.

use std::ops::Range;

use ivs_schemas::report::{Figures, Point, Report, ReportType};

use super::date;
use super::labels::Lang;

/// A day is shown from the hour of its first row to the hour of its last, but never less than this
/// many hours: most channels stream in the evening, and a chart of an empty day shows nothing.
const LEAST_HOURS: usize = 4;
/// Most labels of a day: further ones would touch on a telephone.
const MOST_LABELS: usize = 6;

/// The part of the period that the charts show, and the labels below.
#[derive(Debug, PartialEq)]
pub(super) struct Axis {
    /// The steps that make up each value, from left to right.
    groups: Vec<Range<usize>>,
    /// Labels, each at the value of an index; between two values it is a half.
    pub(super) ticks: Vec<(f64, String)>,
    /// The values at which a day of a week begins.
    pub(super) rules: Vec<usize>,
    /// The values' names, of days.
    pub(super) names: Vec<String>,
    /// Whether each value is one of a day.
    pub(super) is_by_day: bool,
}

impl Axis {
    /// Returns the axis of a report: of a day the hours that have rows, of a week all of its steps,
    /// of a month its days.
    pub(super) fn of(report: &Report, lang: Lang) -> Self {
        let points = &report.series.points;
        // The first step of a new day: midnight itself may not exist.
        let days = marks(points, &(0..10));
        let starts = days.iter().map(|(at, _)| *at);
        let ends = starts.clone().skip(1).chain([points.len()]);
        let days_steps: Vec<_> = starts.clone().zip(ends).map(|(start, end)| start..end).collect();
        let named = |date: &str, name: fn(jiff::civil::Date, Lang) -> String| {
            date.parse().map_or_else(|_| date.to_owned(), |date| name(date, lang))
        };
        match report.report_type {
            ReportType::Daily => hours(points),
            ReportType::Weekly => Self {
                groups: single(0..points.len()),
                // In the middle of its day.
                ticks: days_steps
                    .iter()
                    .zip(&days)
                    .map(|(steps, (_, date))| {
                        let middle = (steps.start + steps.end) as f64 / 2.0;
                        (middle, named(date, date::weekday_and_day))
                    })
                    .collect(),
                rules: starts.collect(),
                names: Vec::new(),
                is_by_day: false,
            },
            ReportType::Monthly => {
                // A label of the 31st would stick out on the right.
                let is_labeled = |date: &str| {
                    (date.ends_with('1') || date.ends_with('6')) && !date.ends_with("31")
                };
                let ticks = days.iter().enumerate().filter(|(_, (_, date))| is_labeled(date));
                Self {
                    ticks: ticks
                        .map(|(day, (_, date))| (day as f64 + 0.5, named(date, date::day)))
                        .collect(),
                    rules: Vec::new(),
                    names: days.iter().map(|(_, date)| named(date, date::short)).collect(),
                    groups: days_steps,
                    is_by_day: true,
                }
            }
        }
    }

    /// Returns the 24 hours of the clock.
    pub(super) fn of_clock() -> Self {
        let names: Vec<_> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
        let ticks = names.iter().enumerate().step_by(4);
        Self {
            groups: single(0..24),
            ticks: ticks.map(|(hour, name)| (hour as f64 + 0.5, name.clone())).collect(),
            rules: Vec::new(),
            names,
            is_by_day: false,
        }
    }

    /// Returns the value with the largest number of viewers, and that number.
    pub(super) fn peak(&self, points: &[Point]) -> Option<(usize, f64)> {
        let most = |group: &Range<usize>| {
            let steps = points[group.clone()].iter();
            steps.filter_map(|point| point.figures.max_viewers).reduce(f64::max)
        };
        let known =
            self.groups.iter().enumerate().filter_map(|(at, group)| Some((at, most(group)?)));
        known.reduce(|peak, next| if next.1 > peak.1 { next } else { peak })
    }

    /// Returns the values of a figure: of several steps the mean of their minutes.
    pub(super) fn values(
        &self,
        points: &[Point],
        value: impl Fn(&Figures) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mean = |group: &Range<usize>| {
            let known = points[group.clone()]
                .iter()
                .filter_map(|point| Some((value(&point.figures)?, point.figures.minutes as f64)));
            let (sum, weight) =
                known.fold((0.0, 0.0), |(sum, weight), (v, w)| (sum + v * w, weight + w));
            (weight > 0.0).then(|| sum / weight)
        };
        self.groups.iter().map(mean).collect()
    }
}

fn single(steps: Range<usize>) -> Vec<Range<usize>> {
    steps.map(|step| step..step + 1).collect()
}

/// Returns where a part of the time changes, and to what; the first step always counts.
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
    let label = |(at, hour): &(usize, &str)| ((at - start) as f64, format!("{hour}:00"));
    let ticks = hours[shown].iter().step_by(every).map(label).collect();
    Axis {
        groups: single(start..end),
        ticks,
        rules: Vec::new(),
        names: Vec::new(),
        is_by_day: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ivs_core::fixed::Fixed;
    use ivs_core::minute::Minute;
    use ivs_core::report::{Period, ReportFold};
    use ivs_core::window::{WindowAgg, WindowKey};
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use kinesis_model::EpochMs;

    /// Returns the report of 2026-03-01 or around, with rows of these minutes and viewers.
    fn fold(kind: ReportType, rows: &[(i64, i64)]) -> Report {
        let period = Period::containing(kind, date(2026, 3, 1), TimeZone::UTC).unwrap();
        let start = period.start();
        let mut fold = ReportFold::new("ch-1", period, start);
        for (minute, viewers) in rows {
            let minute = Minute::of(EpochMs(start.0 + minute * 60_000));
            let key = WindowKey { session_id: "st-1".into(), minute };
            let mut row = WindowAgg { records: 1, ..WindowAgg::default() };
            row.viewers.add_some(EpochMs(0), Fixed::from_int(*viewers));
            fold.add_row(&key, row);
        }
        fold.finish()
    }

    fn axis(kind: ReportType, minutes: &[i64]) -> Axis {
        let rows: Vec<_> = minutes.iter().map(|minute| (*minute, 1)).collect();
        Axis::of(&fold(kind, &rows), Lang::En)
    }

    fn steps(axis: &Axis) -> Range<usize> {
        axis.groups[0].start..axis.groups[axis.groups.len() - 1].end
    }

    fn labels(axis: &Axis) -> Vec<(f64, &str)> {
        axis.ticks.iter().map(|(at, label)| (*at, &**label)).collect()
    }

    #[test]
    fn a_day_is_shown_by_the_hours_that_have_rows() {
        // 19:45 to 00:00 are five hours of twelve steps.
        let evening = axis(ReportType::Daily, &[19 * 60 + 45, 23 * 60 + 59]);
        assert_eq!(steps(&evening), 228..288);
        let wanted =
            [(0.0, "19:00"), (12.0, "20:00"), (24.0, "21:00"), (36.0, "22:00"), (48.0, "23:00")];
        assert_eq!(labels(&evening), wanted);
    }

    #[test]
    fn a_short_stream_is_shown_within_four_hours() {
        assert_eq!(steps(&axis(ReportType::Daily, &[600])), 120..168, "10:00 to 14:00");
        assert_eq!(steps(&axis(ReportType::Daily, &[1_439])), 240..288, "20:00 to 24:00");
    }

    #[test]
    fn a_whole_day_has_every_fourth_hour_below() {
        let day = axis(ReportType::Daily, &[0, 1_439]);
        assert_eq!(steps(&day), 0..288);
        assert_eq!(labels(&day)[..2], [(0.0, "00:00"), (48.0, "04:00")]);
        assert_eq!(axis(ReportType::Daily, &[]), day, "without rows too");
    }

    #[test]
    fn weeks_and_months_are_shown_whole() {
        let week = axis(ReportType::Weekly, &[600]);
        assert_eq!((week.groups.len(), week.ticks.len()), (336, 7));
        assert_eq!(labels(&week)[0], (24.0, "Mon 23"), "in the middle of Monday");
        assert_eq!(week.rules, [0, 48, 96, 144, 192, 240, 288]);
        let month = axis(ReportType::Monthly, &[600]);
        assert_eq!((steps(&month), month.groups.len()), (0..372, 31), "twelve steps a day");
        let wanted = [(0.5, "1 Mar"), (5.5, "6 Mar"), (10.5, "11 Mar")];
        assert_eq!((labels(&month).len(), &labels(&month)[..3]), (6, &wanted[..]));
    }

    #[test]
    fn days_of_a_month_have_the_mean_of_their_minutes() {
        // Steps of two hours: 10 viewers for two minutes, 40 for one.
        let day = fold(ReportType::Monthly, &[(0, 10), (1, 10), (600, 40)]);
        let values = Axis::of(&day, Lang::En).values(&day.series.points, |step| step.avg_viewers);
        assert_eq!(values[..2], [Some(20.0), None]);
    }
}
