//! The values behind the charts, as a table: by the hour of a day, by the day of a longer period.

use std::fmt;

use ivs_schemas::report::{Figures, Point, ReportType};

use super::Page;
use super::date;
use super::text::{Escaped, bitrate, frame_rate, known, number, percent};

/// A column: its name, its figure, and how that is shown.
type Column = (&'static str, fn(&Figures) -> Option<f64>, fn(f64) -> String);

/// A row: when, and the steps of it.
struct Row<'a> {
    name: String,
    steps: Vec<&'a Figures>,
}

impl Row<'_> {
    /// Returns the mean of the steps' minutes.
    fn mean(&self, figure: fn(&Figures) -> Option<f64>) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for step in &self.steps {
            if let Some(value) = figure(step) {
                sum += value * step.minutes as f64;
                weight += step.minutes as f64;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    }

    fn max(&self) -> Option<f64> {
        self.steps.iter().filter_map(|step| step.max_viewers).reduce(f64::max)
    }
}

impl Page<'_> {
    /// Writes the table, folded up; print leaves it out.
    pub(super) fn values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels;
        let whole = |value: f64| number(value.round());
        let columns: [Column; 5] = [
            (labels.viewers, |step| step.avg_viewers.or(step.avg_active_players), whole),
            (labels.bitrate, |step| step.avg_bitrate, bitrate),
            (labels.frame_rate, |step| step.avg_frame_rate, frame_rate),
            (labels.chat_rate, |step| step.avg_chat_activity, number),
            (labels.buffering, |step| step.rebuffer_ratio, percent),
        ];
        let rows = self.rows();
        let is_known = |column: &&Column| rows.iter().any(|row| row.mean(column.1).is_some());
        let columns: Vec<_> = columns.iter().filter(is_known).collect();
        let has_max = rows.iter().any(|row| row.max().is_some());
        write!(f, "<details><summary>{}</summary>\n<div class=\"card scroll\">", labels.values)?;
        write!(f, "<table>\n<tr><th class=\"text\" scope=\"col\">{}</th>", labels.time)?;
        for (name, _, _) in &columns {
            write!(f, "<th scope=\"col\">{name}</th>")?;
        }
        if has_max {
            write!(f, "<th scope=\"col\">{}</th>", labels.peak_viewers)?;
        }
        f.write_str("</tr>\n")?;
        for row in &rows {
            write!(f, "<tr><th class=\"text\" scope=\"row\">{}</th>", Escaped(&row.name))?;
            for (_, figure, show) in &columns {
                write!(f, "<td>{}</td>", known(row.mean(*figure), show))?;
            }
            if has_max {
                write!(f, "<td>{}</td>", known(row.max(), number))?;
            }
            f.write_str("</tr>\n")?;
        }
        f.write_str("</table></div></details>\n")
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let report = self.report;
        if report.report_type == ReportType::Daily {
            let name = |start: &str| date::clock(start, self.lang).to_owned();
            return report
                .hourly_breakdown
                .iter()
                .map(|hour| Row { name: name(&hour.start), steps: vec![&hour.figures] })
                .collect();
        }
        let with_rows = |point: &&Point| point.figures.minutes > 0;
        let mut rows: Vec<Row<'_>> = Vec::new();
        for point in report.series.points.iter().filter(with_rows) {
            let name = match date::date_of(&point.start) {
                Some(date) => date::short(date, self.lang),
                None => point.start.clone(),
            };
            match rows.last_mut() {
                Some(last) if last.name == name => last.steps.push(&point.figures),
                _ => rows.push(Row { name, steps: vec![&point.figures] }),
            }
        }
        rows
    }
}
