//! Charts as inline SVG, one question each: a line with gaps where nothing is known, or bars. No
//! script, no font, no image; colors are the page's CSS classes.

use std::fmt;

use super::labels::Labels;
use super::text::{Escaped, fill, number, short};

/// The drawing, in units of its own; the page scales it to the width of its column.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 216.0;
/// The plot's edges: room for numbers on the left, times below, and a number over the peak.
const LEFT: f64 = 48.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = HEIGHT - 30.0;
/// Most lines of the grid above the lowest.
const MAX_GRID: f64 = 4.0;
/// Least part of the largest value that an axis shows which does not begin at 0: steadier than that
/// is as good as constant.
const LEAST_SPAN: f64 = 0.02;
/// So far the number over the peak stays from the sides.
const PEAK_MARGIN: f64 = 36.0;

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line over a filled area, from 0.
    Area,
    /// A line, from near its smallest value.
    Line,
    /// A bar each, from 0.
    Bars,
}

/// One figure in equal steps from left to right.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: &'static str,
    /// CSS class that gives the color.
    pub(super) class: &'static str,
    pub(super) shape: Shape,
    pub(super) values: Vec<Option<f64>>,
    /// Labels below, each at the step of an index, which may be a half.
    pub(super) ticks: &'a [(f64, String)],
    /// Steps at which a new day begins.
    pub(super) rules: &'a [usize],
    /// Names of the values, if they are few enough to be pointed at.
    pub(super) names: &'a [String],
    /// The step of the peak, and the number to be written above it.
    pub(super) peak: Option<(usize, f64)>,
    pub(super) labels: &'static Labels,
}

/// The axis of values: lowest, highest, and the step between lines of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Domain {
    low: f64,
    high: f64,
    step: f64,
}

impl Domain {
    fn of(shape: Shape, min: f64, max: f64) -> Self {
        if shape != Shape::Line || min < max / 2.0 {
            let step = grid_step(max);
            return Self { low: 0.0, high: step * (max / step).ceil().max(1.0), step };
        }
        let step = grid_step((max - min).max(max * LEAST_SPAN));
        let low = (min / step).floor() * step;
        Self { low, high: ((max / step).ceil() * step).max(low + step), step }
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low)
    }

    /// Returns the values of the grid's lines.
    fn grid(&self) -> impl Iterator<Item = f64> {
        let lines = std::iter::successors(Some(0.0), |line: &f64| Some(line + 1.0));
        let (low, step, end) = (self.low, self.step, self.high + self.step / 2.0);
        lines.map(move |line| low + line * step).take_while(move |value| *value < end)
    }
}

impl Chart<'_> {
    /// Returns whether there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    fn known(&self) -> impl Iterator<Item = f64> {
        self.values.iter().copied().flatten()
    }

    fn max(&self) -> f64 {
        self.known().reduce(f64::max).unwrap_or_default()
    }

    fn min(&self) -> f64 {
        self.known().reduce(f64::min).unwrap_or_default()
    }

    /// Describes the chart for those who do not see it.
    fn described(&self) -> String {
        let count = self.known().count().max(1) as f64;
        let mean = self.known().sum::<f64>() / count;
        let title = Escaped(self.title).to_string();
        let values = [
            ("{title}", title.as_str()),
            ("{low}", &number(self.min())),
            ("{mean}", &number(mean)),
            ("{high}", &number(self.max())),
        ];
        fill(self.labels.described, &values)
    }
}

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = Domain::of(self.shape, self.min(), self.max());
        write!(f, "<figure><figcaption><h3>{}</h3>", Escaped(self.title))?;
        if domain.low > 0.0 {
            write!(f, r#"<span class="note">{}</span>"#, self.labels.not_from_zero)?;
        }
        f.write_str("</figcaption>")?;
        let described = self.described();
        writeln!(f, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{described}">"#)?;
        for value in domain.grid() {
            let (at, label) = (domain.y(value), short(value, domain.step));
            write!(f, r#"<path class="grid" d="M{LEFT} {at:.1}H{RIGHT}"/>"#)?;
            let (x, y) = (LEFT - 6.0, at + 4.0);
            writeln!(f, r#"<text x="{x}" y="{y:.1}" class="y">{label}</text>"#)?;
        }
        for step in self.rules.iter().filter(|step| **step > 0) {
            let x = self.x(*step as f64);
            writeln!(f, r#"<path class="grid" d="M{x:.1} {TOP}V{BOTTOM}"/>"#)?;
        }
        match self.shape {
            Shape::Bars => self.bars(f, domain)?,
            Shape::Area | Shape::Line => self.lines(f, domain)?,
        }
        if let Some((step, value)) = self.peak {
            self.mark(f, domain, step, value)?;
        }
        for (at, label) in self.ticks {
            let (x, y) = (self.x(*at), HEIGHT - 6.0);
            writeln!(f, r#"<text x="{x:.1}" y="{y}" class="x">{}</text>"#, Escaped(label))?;
        }
        f.write_str("</svg></figure>\n")
    }
}

impl Chart<'_> {
    /// Returns where a step begins.
    fn x(&self, step: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * step / self.values.len().max(1) as f64
    }

    fn bars(&self, f: &mut fmt::Formatter<'_>, domain: Domain) -> fmt::Result {
        let width = (self.x(1.0) - self.x(0.0)) * 0.7;
        for (step, value) in self.values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let (left, top) = (self.x(step as f64 + 0.5) - width / 2.0, domain.y(value));
            let height = (BOTTOM - top).max(0.5);
            write!(f, r#"<rect class="{}" x="{left:.1}" y="{top:.1}" "#, self.class)?;
            write!(f, r#"width="{width:.1}" height="{height:.1}">"#)?;
            if let Some(name) = self.names.get(step) {
                write!(f, "<title>{}: {}</title>", Escaped(name), number(value))?;
            }
            f.write_str("</rect>\n")?;
        }
        Ok(())
    }

    fn lines(&self, f: &mut fmt::Formatter<'_>, domain: Domain) -> fmt::Result {
        let (class, at) = (self.class, |step: usize| self.x(step as f64 + 0.5));
        for (first, run) in runs(&self.values) {
            let points: Vec<_> = run
                .iter()
                .enumerate()
                .map(|(off, value)| format!("{:.1} {:.1}", at(first + off), domain.y(*value)))
                .collect();
            let line = points.join("L");
            if self.shape == Shape::Area && run.len() > 1 {
                let (left, right) = (at(first), at(first + run.len() - 1));
                write!(f, r#"<path class="area {class}" d="M{left:.1} {BOTTOM}L{line}"#)?;
                writeln!(f, r#"L{right:.1} {BOTTOM}Z"/>"#)?;
            }
            // A value alone would be a line of no length: round caps make it a dot.
            let dot = if run.len() == 1 { "h0" } else { "" };
            writeln!(f, r#"<path class="line {class}" d="M{line}{dot}"/>"#)?;
        }
        Ok(())
    }

    /// Marks a step with a number.
    fn mark(
        &self,
        f: &mut fmt::Formatter<'_>,
        domain: Domain,
        step: usize,
        value: f64,
    ) -> fmt::Result {
        let Some(drawn) = self.values.get(step).copied().flatten() else { return Ok(()) };
        let (x, y) = (self.x(step as f64 + 0.5), domain.y(drawn));
        if self.shape != Shape::Bars {
            writeln!(f, r#"<circle class="{}" cx="{x:.1}" cy="{y:.1}" r="4"/>"#, self.class)?;
        }
        let (text_x, text_y) = (x.clamp(LEFT + PEAK_MARGIN, RIGHT - PEAK_MARGIN), y - 7.0);
        let value = number(value.round());
        writeln!(f, r#"<text x="{text_x:.1}" y="{text_y:.1}" class="x peak">{value}</text>"#)
    }
}

/// Returns the stretches of known values, each with the index of its first.
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
    use super::super::labels::Lang;
    use super::*;

    fn chart(values: Vec<Option<f64>>, shape: Shape) -> String {
        Chart {
            title: "<t>",
            class: "c1",
            shape,
            values,
            ticks: &[(0.0, "00:00".to_owned())],
            rules: &[],
            names: &["first".to_owned()],
            peak: Some((0, 5.0)),
            labels: Labels::of(Lang::En),
        }
        .to_string()
    }

    #[test]
    fn steps_of_the_grid_are_round_and_few() {
        let steps = [0.0, 1.0, 3.9, 4.1, 60.0, 100.0, 5.2e6].map(grid_step);
        assert_eq!(steps, [1.0, 0.5, 1.0, 2.0, 20.0, 50.0, 2e6]);
    }

    #[test]
    fn steady_lines_are_not_flattened_by_an_axis_from_zero() {
        let domain = |min, max| {
            let Domain { low, high, step } = Domain::of(Shape::Line, min, max);
            [low, high, step].map(|value| (value * 1e3).round() / 1e3)
        };
        assert_eq!(domain(4.53, 4.74), [4.5, 4.8, 0.1]);
        assert_eq!(domain(59.94, 59.94), [59.5, 60.0, 0.5], "constant");
        assert_eq!(domain(1.0, 5.0), [0.0, 6.0, 2.0], "it varies enough to begin at 0");
        assert_eq!(Domain::of(Shape::Area, 99.0, 100.0).low, 0.0, "areas begin at 0");
        let svg = chart(vec![Some(4.53), Some(4.74)], Shape::Line);
        for label in [">4.5<", ">4.8<", "The axis does not begin at 0."] {
            assert!(svg.contains(label), "{label}: {svg}");
        }
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
    fn bars_rise_from_zero_and_tell_their_value() {
        let svg = chart(vec![Some(4.0), Some(2.0)], Shape::Bars);
        let heights: Vec<_> =
            svg.split(" height=\"").skip(1).map(|s| &s[..s.find('"').unwrap()]).collect();
        assert_eq!(heights, ["160.0", "80.0"]);
        assert!(svg.contains("<title>first: 4</title>"), "{svg}");
        assert!(svg.contains("class=\"x peak\">5</text>"), "{svg}");
    }

    #[test]
    fn a_chart_tells_its_values_to_who_does_not_see_it() {
        let svg = chart(vec![Some(1.0), None, Some(3.0)], Shape::Area);
        assert!(svg.contains("aria-label=\"&lt;t&gt;. Lowest 1, average 2, highest 3.\""), "{svg}");
        assert!(Chart { values: vec![None], ..empty() }.is_empty());
    }

    fn empty() -> Chart<'static> {
        Chart {
            title: "",
            class: "",
            shape: Shape::Line,
            values: Vec::new(),
            ticks: &[],
            rules: &[],
            names: &[],
            peak: None,
            labels: Labels::of(Lang::En),
        }
    }
}
