//! Charts as inline SVG: lines with gaps where nothing is known, and bars. No script, no font, no
//! image; colours are the page's CSS classes.

use std::fmt;

use super::text::{Escaped, short};

/// The drawing, in units of its own; the page scales it to the width of its column.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 216.0;
/// The plot's edges: room for numbers on the left and times below.
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 30.0;
/// Most lines of the grid above zero.
const MAX_GRID: f64 = 4.0;

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line over a filled area.
    Area,
    /// A line.
    Line,
    /// A bar each.
    Bars,
}

/// Values in equal steps from left to right.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    /// CSS class that gives the colour.
    pub(super) class: &'static str,
    pub(super) shape: Shape,
    pub(super) values: Vec<Option<f64>>,
}

/// A chart from zero to the largest value.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
    /// Labels below, each at the step of an index.
    pub(super) ticks: &'a [(usize, String)],
    pub(super) no_data: &'static str,
}

impl Row {
    fn max(&self) -> Option<f64> {
        self.values.iter().copied().flatten().reduce(f64::max)
    }
}

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.rows.iter().filter(|row| row.max().is_some()).collect();
        writeln!(f, "<figure><figcaption><h3>{}</h3>", Escaped(self.title))?;
        if shown.len() > 1 {
            for row in &shown {
                write!(f, r#"<span class="key {}">{}</span>"#, row.class, Escaped(row.label))?;
            }
        }
        f.write_str("</figcaption>")?;
        let Some(max) = shown.iter().filter_map(|row| row.max()).reduce(f64::max) else {
            return writeln!(f, r#"<p class="empty">{}</p></figure>"#, self.no_data);
        };
        let step = grid_step(max);
        let top = step * (max / step).ceil().max(1.0);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top;
        writeln!(
            f,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            Escaped(self.title)
        )?;
        let mut grid = 0.0;
        while grid <= top {
            let (at, label) = (y(grid), short(grid));
            write!(f, r#"<path class="grid" d="M{LEFT} {at:.1}H{RIGHT}"/>"#)?;
            writeln!(
                f,
                r#"<text x="{}" y="{:.1}" class="y">{label}</text>"#,
                LEFT - 6.0,
                at + 4.0
            )?;
            grid += step;
        }
        for row in shown {
            row.draw(f, y)?;
        }
        self.write_ticks(f)?;
        f.write_str("</svg></figure>\n")
    }
}

impl Chart<'_> {
    fn write_ticks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.rows.iter().map(|row| row.values.len()).max().unwrap_or_default();
        // A line's step begins at its label; a bar stands over it.
        let has_bars = self.rows.iter().any(|row| row.shape == Shape::Bars);
        let into = if has_bars { 0.5 } else { 0.0 };
        for (at, label) in self.ticks {
            let x = x(*at as f64 + into, steps);
            let y = HEIGHT - 6.0;
            writeln!(f, r#"<text x="{x:.1}" y="{y}" class="x">{}</text>"#, Escaped(label))?;
        }
        Ok(())
    }
}

/// Where a step begins.
fn x(step: f64, steps: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * step / steps.max(1) as f64
}

impl Row {
    fn draw(&self, f: &mut fmt::Formatter<'_>, y: impl Fn(f64) -> f64) -> fmt::Result {
        let steps = self.values.len();
        let at = |step: usize| x(step as f64 + 0.5, steps);
        if self.shape == Shape::Bars {
            let width = (x(1.0, steps) - x(0.0, steps)) * 0.7;
            for (step, value) in self.values.iter().enumerate() {
                let Some(value) = *value else { continue };
                let (left, top) = (at(step) - width / 2.0, y(value));
                let height = (BOTTOM - top).max(0.5);
                write!(f, r#"<rect class="{}" x="{left:.1}" y="{top:.1}" "#, self.class)?;
                writeln!(f, r#"width="{width:.1}" height="{height:.1}"/>"#)?;
            }
            return Ok(());
        }
        for (first, run) in runs(&self.values) {
            let points: Vec<_> = run
                .iter()
                .enumerate()
                .map(|(off, value)| format!("{:.1} {:.1}", at(first + off), y(*value)))
                .collect();
            let line = points.join("L");
            if self.shape == Shape::Area && run.len() > 1 {
                let (left, right) = (at(first), at(first + run.len() - 1));
                let class = self.class;
                write!(f, r#"<path class="area {class}" d="M{left:.1} {BOTTOM}L{line}"#)?;
                writeln!(f, r#"L{right:.1} {BOTTOM}Z"/>"#)?;
            }
            // A value alone would be a line of no length: round caps make it a dot.
            let dot = if run.len() == 1 { "h0" } else { "" };
            writeln!(f, r#"<path class="line {}" d="M{line}{dot}"/>"#, self.class)?;
        }
        Ok(())
    }
}

/// The stretches of known values, each with the index of its first.
fn runs(values: &[Option<f64>]) -> Vec<(usize, Vec<f64>)> {
    let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        match runs.last_mut() {
            Some((first, run)) if *first + run.len() == at => run.push(value),
            _ => runs.push((at, vec![value])),
        }
    }
    runs
}

/// 1, 2 or 5 times a power of ten, so that at most [`MAX_GRID`] steps reach `max`.
fn grid_step(max: f64) -> f64 {
    let least = if max > 0.0 { max / MAX_GRID } else { 1.0 };
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>, shape: Shape) -> String {
        let row = Row { label: "r", class: "c1", shape, values };
        Chart { title: "<t>", rows: vec![row], ticks: &[(0, "00:00".to_owned())], no_data: "none" }
            .to_string()
    }

    #[test]
    fn steps_of_the_grid_are_round_and_few() {
        let steps = [0.0, 1.0, 3.9, 4.1, 60.0, 100.0, 5.2e6].map(grid_step);
        assert_eq!(steps, [1.0, 0.5, 1.0, 2.0, 20.0, 50.0, 2e6]);
    }

    #[test]
    fn unknown_values_are_gaps() {
        let values = vec![Some(1.0), Some(2.0), None, Some(3.0), None];
        assert_eq!(runs(&values), [(0, vec![1.0, 2.0]), (3, vec![3.0])]);
        let svg = chart(values, Shape::Area);
        assert_eq!(svg.matches("class=\"line c1\"").count(), 2);
        assert_eq!(svg.matches("class=\"area c1\"").count(), 1, "a dot has no area");
        assert!(svg.contains("h0\"/>") && svg.contains("&lt;t&gt;") && svg.contains(">00:00<"));
    }

    #[test]
    fn bars_rise_from_zero() {
        let svg = chart(vec![Some(4.0), Some(2.0)], Shape::Bars);
        let heights: Vec<_> =
            svg.split("height=\"").skip(1).map(|s| &s[..s.find('"').unwrap()]).collect();
        assert_eq!(heights, ["174.0", "87.0"]);
    }

    #[test]
    fn a_chart_of_nothing_says_so() {
        let svg = chart(vec![None, None], Shape::Line);
        assert!(svg.contains("none") && !svg.contains("<svg"), "{svg}");
    }
}
