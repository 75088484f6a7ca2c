//! Metric math: the expressions of dashboards and alarms.
//!
//! Known are arithmetic, comparison and logic, `METRICS`, `SEARCH` with a schema, and the functions
//! in [`functions`]. A missing value counts as 0 in arithmetic, a division by zero drops the point.

pub(super) mod eval;
mod functions;
mod parse;
pub(super) mod search;
mod source;

use std::collections::BTreeMap;

pub(super) use eval::evaluate;
pub(super) use parse::{Expr, parse};
pub(super) use source::Source;

/// A time series: values by the start of their period, in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    pub(super) label: String,
    pub(super) period_s: i64,
    pub(super) points: BTreeMap<i64, f64>,
}

impl Series {
    /// Returns the series with every value changed; values that are not finite are dropped.
    fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        let points = self.points.iter().map(|(at_s, value)| (*at_s, change(*value)));
        self.with(points.filter(|(_, value)| value.is_finite()).collect())
    }

    fn with(&self, points: BTreeMap<i64, f64>) -> Self {
        Self { label: self.label.clone(), period_s: self.period_s, points }
    }
}

/// The result of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// One number for all times.
    Scalar(f64),
    /// One time series.
    Series(Series),
    /// Several, as from `METRICS()` or `SEARCH`.
    Many(Vec<Series>),
    /// A quoted text, the argument of some functions.
    Text(String),
}

#[cfg(test)]
mod tests;
