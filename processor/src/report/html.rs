//! A report as one self-contained page: no script, nothing to load, light and dark, for screens of
//! any width and for print. Everything that came from outside is escaped.

mod axis;
mod chart;
mod date;
mod headline;
mod labels;
mod sections;
mod text;
mod values;

use std::fmt::{self, Display as _};

use ivs_schemas::report::{Figures, Report, ReportType};

use super::has_data;
use axis::Axis;
use chart::{Chart, Shape};
use labels::Labels;
pub use labels::Lang;
use text::{Escaped, fill};

const STYLE: &str = include_str!("html/style.css");
/// Seconds of most days.
const DAY_S: i64 = 86_400;

/// Returns the page of a report.
#[must_use]
pub fn page(report: &Report, lang: Lang) -> String {
    Page { report, lang, labels: Labels::of(lang) }.to_string()
}

struct Page<'a> {
    report: &'a Report,
    lang: Lang,
    labels: &'static Labels,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        if has_data(self.report) {
            self.headline(f)?;
            self.tiles(f)?;
            self.charts(f)?;
            self.experience(f)?;
            self.sessions(f)?;
            self.scores(f)?;
        } else {
            let channel = Escaped(&self.report.channel_id).to_string();
            let sentence = fill(self.labels.empty, &[("{channel}", &channel)]);
            writeln!(f, "<p class=\"empty\">{sentence}</p>")?;
        }
        f.write_str("</main>\n</body>\n</html>\n")
    }
}

impl Page<'_> {
    /// Returns the index of the texts by report type.
    const fn kind(&self) -> usize {
        match self.report.report_type {
            ReportType::Daily => 0,
            ReportType::Weekly => 1,
            ReportType::Monthly => 2,
        }
    }

    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, labels) = (self.report, self.labels);
        let title = labels.title[self.kind()];
        let channel = Escaped(&report.channel_id);
        let period = date::period(&report.period, report.report_type, self.lang);
        let period = Escaped(&period);
        writeln!(f, "<!doctype html>\n<html lang=\"{}\">\n<head>", self.lang.tag())?;
        f.write_str("<meta charset=\"utf-8\">\n")?;
        // Nothing is ever loaded or run, whatever a stream's title may hold.
        f.write_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")?;
        f.write_str("style-src 'unsafe-inline'\">\n<meta name=\"viewport\" ")?;
        f.write_str("content=\"width=device-width, initial-scale=1\">\n")?;
        writeln!(f, "<title>{channel} · {title} · {period}</title>")?;
        writeln!(f, "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>")?;
        writeln!(f, "<p class=\"kicker\">{title}</p>\n<h1>{period}</h1>")?;
        let as_of = Escaped(&date::full_moment(&report.as_of, self.lang)).to_string();
        write!(f, "<p class=\"sub\">{} {channel} · ", labels.channel)?;
        write!(f, "{} · ", Escaped(&report.period.time_zone))?;
        writeln!(f, "{}</p>\n</header>", fill(labels.as_of, &[("{}", &as_of)]))?;
        if self.is_going_on() {
            writeln!(f, "<p class=\"warn\">{}</p>", fill(labels.so_far, &[("{}", &as_of)]))?;
        }
        if let Some(text) = self.clock_change() {
            writeln!(f, "<p class=\"warn\">{text}</p>")?;
        }
        if report.truncated {
            writeln!(f, "<p class=\"warn\">{}</p>", labels.truncated)?;
        }
        Ok(())
    }

    /// Returns whether the report was made before its period was over.
    fn is_going_on(&self) -> bool {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        time(&self.report.as_of) < time(&self.report.period.end)
    }

    /// Tells a reader of a day that is not 24 hours long.
    fn clock_change(&self) -> Option<String> {
        let period = &self.report.period;
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let seconds = time(&period.end)?.as_second() - time(&period.start)?.as_second();
        if seconds % DAY_S == 0 {
            return None;
        }
        let [day, longer] = self.labels.clock_change;
        let hours = text::number(seconds as f64 / 3_600.0);
        Some(match self.report.report_type {
            ReportType::Daily => fill(day, &[("{}", &hours)]),
            _ => longer.to_owned(),
        })
    }

    /// Writes a chart for each question that the data answers; the others are named in a sentence.
    fn charts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (axis, clock) = (Axis::of(self.report, self.lang), Axis::of_clock());
        let all = self.all_charts(&axis, &clock);
        let (unknown, known): (Vec<_>, Vec<_>) = all.into_iter().partition(Chart::is_empty);
        f.write_str("<section class=\"charts\">\n")?;
        for chart in known {
            chart.fmt(f)?;
        }
        f.write_str("</section>\n")?;
        if !unknown.is_empty() {
            let titles: Vec<_> = unknown.iter().map(|chart| chart.title).collect();
            let titles = Escaped(&titles.join(self.labels.between)).to_string();
            let sentence = fill(self.labels.no_charts, &[("{}", &titles)]);
            writeln!(f, "<p class=\"note\">{sentence}</p>")?;
        }
        self.values(f)
    }

    fn all_charts<'x>(&self, axis: &'x Axis, clock: &'x Axis) -> Vec<Chart<'x>> {
        let labels = self.labels;
        let chart = |title, class, shape, value: &dyn Fn(&Figures) -> Option<f64>| {
            let shape = if axis.is_by_day && shape == Shape::Area { Shape::Bars } else { shape };
            let values = axis.values(&self.report.series.points, value);
            let (ticks, rules, names) = (&axis.ticks, &axis.rules, &axis.names);
            Chart { title, class, shape, values, ticks, rules, names, peak: None, labels }
        };
        let mut viewers =
            chart(labels.viewers_over_time, "c1", Shape::Area, &|step| step.avg_viewers);
        viewers.peak = axis.peak(&self.report.series.points);
        if viewers.is_empty() {
            let players = |step: &Figures| step.avg_active_players;
            viewers = chart(labels.players_over_time, "c2", Shape::Area, &players);
        }
        let mbits = |step: &Figures| step.avg_bitrate.map(|bps| bps / 1e6);
        let stalls = |step: &Figures| step.rebuffer_ratio.map(|ratio| ratio * 100.0);
        let mut charts = vec![viewers];
        // Of one day it would be the first chart again.
        charts.extend((self.report.report_type != ReportType::Daily).then(|| self.by_hour(clock)));
        charts.extend([
            chart(labels.bitrate_over_time, "c3", Shape::Line, &mbits),
            chart(labels.frame_rate_over_time, "c4", Shape::Line, &|step| step.avg_frame_rate),
            chart(labels.chat_over_time, "c5", Shape::Area, &|step| step.avg_chat_activity),
            chart(labels.stalls_over_time, "c6", Shape::Area, &stalls),
        ]);
        charts
    }

    /// Bars for 24 hours of the clock, the mean of all their minutes.
    fn by_hour<'x>(&self, clock: &'x Axis) -> Chart<'x> {
        let mut hours = [(0.0, 0.0); 24];
        for hour in &self.report.hourly_breakdown {
            let of_day = hour.hour.get(11..13).and_then(|text| text.parse::<usize>().ok());
            let slot = of_day.and_then(|hour| hours.get_mut(hour));
            if let (Some((sum, weight)), Some(viewers)) = (slot, hour.figures.avg_viewers) {
                *sum += viewers * hour.figures.minutes as f64;
                *weight += hour.figures.minutes as f64;
            }
        }
        let mean = |(sum, weight): (f64, f64)| (weight > 0.0).then(|| sum / weight);
        Chart {
            title: self.labels.viewers_by_hour,
            class: "c1",
            shape: Shape::Bars,
            values: hours.into_iter().map(mean).collect(),
            ticks: &clock.ticks,
            rules: &clock.rules,
            names: &clock.names,
            peak: None,
            labels: self.labels,
        }
    }
}
