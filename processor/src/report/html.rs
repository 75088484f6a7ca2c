//! A report as one self-contained page: no script, nothing to load, light and dark, for screens of
//! any width and for print. Everything that came from outside is escaped.

mod axis;
mod chart;
mod labels;
mod sections;
mod text;

use std::fmt::{self, Display as _};

use ivs_schemas::report::{Figures, Report, ReportType};

use axis::Axis;
use chart::{Chart, Row, Shape};
use labels::Labels;
pub use labels::Lang;
use text::{Escaped, date_time};

const STYLE: &str = include_str!("html/style.css");

/// The page of a report.
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
        let (report, labels) = (self.report, self.labels);
        let title = labels.title[match report.report_type {
            ReportType::Daily => 0,
            ReportType::Weekly => 1,
            ReportType::Monthly => 2,
        }];
        let (channel, period) = (Escaped(&report.channel_id), Escaped(&report.period.name));
        writeln!(f, "<!doctype html>\n<html lang=\"{}\">\n<head>", self.lang.tag())?;
        f.write_str("<meta charset=\"utf-8\">\n")?;
        // Nothing is ever loaded or run, whatever a stream's title may hold.
        f.write_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")?;
        f.write_str("style-src 'unsafe-inline'\">\n<meta name=\"viewport\" ")?;
        f.write_str("content=\"width=device-width, initial-scale=1\">\n")?;
        writeln!(f, "<title>{channel} · {title} {period}</title>")?;
        writeln!(f, "<style>\n{STYLE}</style>\n</head>\n<body>\n<header>")?;
        writeln!(f, "<h1>{title} · <span>{period}</span></h1>")?;
        write!(f, "<p class=\"sub\">{} {channel} · ", labels.channel)?;
        write!(f, "{} – ", date_time(&report.period.start))?;
        write!(f, "{} ({}) · ", date_time(&report.period.end), Escaped(&report.period.time_zone))?;
        writeln!(f, "{} {}</p>\n</header>", labels.as_of, date_time(&report.as_of))?;
        if report.truncated {
            writeln!(f, "<p class=\"warn\">{}</p>", labels.truncated)?;
        }
        self.tiles(f)?;
        self.charts(f)?;
        self.experience(f)?;
        self.scores(f)?;
        self.sessions(f)?;
        f.write_str("</body>\n</html>\n")
    }
}

impl Page<'_> {
    fn charts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels;
        let axis = Axis::of(self.report, self.lang);
        let chart =
            |title, rows| Chart { title, rows, ticks: &axis.ticks, no_data: labels.no_data };
        let row = |label, class, shape, value: &dyn Fn(&Figures) -> Option<f64>| {
            let shape = if axis.is_by_day && shape == Shape::Area { Shape::Bars } else { shape };
            Row { label, class, shape, values: axis.values(&self.report.series.points, value) }
        };
        f.write_str("<section class=\"charts\">\n")?;
        let viewers = row(labels.viewers, "c1", Shape::Area, &|step| step.avg_viewers);
        let players =
            row(labels.active_players, "c2", Shape::Line, &|step| step.avg_active_players);
        chart(labels.viewers_over_time, vec![viewers, players]).fmt(f)?;
        self.by_hour(f)?;
        let bitrate = row(labels.bitrate, "c3", Shape::Line, &|step| step.avg_bitrate);
        chart(labels.bitrate_over_time, vec![bitrate]).fmt(f)?;
        let frames = row(labels.frame_rate, "c4", Shape::Line, &|step| step.avg_frame_rate);
        chart(labels.frame_rate_over_time, vec![frames]).fmt(f)?;
        let chat = row(labels.chat_rate, "c5", Shape::Area, &|step| step.avg_chat_activity);
        chart(labels.chat_rate, vec![chat]).fmt(f)?;
        let stalls = |step: &Figures| step.rebuffer_ratio.map(|ratio| ratio * 100.0);
        let stalls = row(labels.stalls, "c6", Shape::Area, &stalls);
        chart(labels.stalls_over_time, vec![stalls]).fmt(f)?;
        writeln!(f, "</section>\n<p class=\"note\">{}</p>", labels.viewers_note)
    }

    /// Bars for 24 hours of the clock; of several days, the mean of all their minutes.
    fn by_hour(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let values = hours.into_iter().map(mean).collect();
        let label = self.labels.viewers;
        let ticks: Vec<_> =
            (0..24).step_by(4).map(|hour| (hour, format!("{hour:02}:00"))).collect();
        Chart {
            title: self.labels.viewers_by_hour,
            rows: vec![Row { label, class: "c1", shape: Shape::Bars, values }],
            ticks: &ticks,
            no_data: self.labels.no_data,
        }
        .fmt(f)
    }
}
