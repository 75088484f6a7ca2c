//! `GetMetricData`, and the queries it shares with alarms.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ciborium::Value as Cbor;

use super::insight::{self, Insight};
use super::math::search::{FOUND_MAX, Search};
use super::math::{self, Expr, Series, Source, Value};
use super::model::{GetMetricData, MetricDataQuery, MetricStat};
use super::statistics::{metric_id, period, stat, unit, window};
use super::store::{Store, Window};
use super::wire::{list, map, map_some, text, time_ms};
use crate::service::AwsError;

const QUERIES_MAX: usize = 500;
const DATAPOINTS_MAX: usize = 100_800;

fn refused(message: String) -> AwsError {
    AwsError::bad_request("ValidationError", message)
}

/// Queries found sound, with their expressions parsed.
#[derive(Debug)]
pub(super) struct Queries<'a> {
    queries: &'a [MetricDataQuery],
    expressions: BTreeMap<&'a str, Expr>,
    /// Metrics Insights queries.
    insights: BTreeMap<&'a str, Insight>,
    /// The shortest period of a metric among the queries; a minute if there is none.
    pub(super) period_s: i64,
}

impl<'a> Queries<'a> {
    /// Checks ids, statistics, periods and expressions.
    pub(super) fn new(queries: &'a [MetricDataQuery]) -> Result<Self, AwsError> {
        if queries.is_empty() || queries.len() > QUERIES_MAX {
            return Err(refused(format!("1 to {QUERIES_MAX} queries are needed.")));
        }
        let (mut expressions, mut insights) = (BTreeMap::new(), BTreeMap::new());
        let mut periods_s = Vec::new();
        for (query, at) in queries.iter().zip(0_usize..) {
            let id = query.id.as_str();
            if !is_id(id) || queries[..at].iter().any(|earlier| earlier.id == id) {
                return Err(refused(format!("The id `{id}` is invalid or used twice.")));
            }
            match (&query.metric_stat, &query.expression) {
                (Some(metric), None) => {
                    let sound = stat(&metric.stat)
                        .and_then(|_| period(metric.period.0))
                        .and_then(|()| unit(metric.unit.as_deref()));
                    sound.map_err(|error| refused(error.message))?;
                    periods_s.push(metric.period.0);
                }
                (None, Some(expression)) if insight::is_query(expression) => {
                    let parsed = Insight::parse(expression)
                        .map_err(|error| refused(format!("Error in expression '{id}': {error}")))?;
                    let period_s = query.period.map_or(60, |period| period.0);
                    period(period_s).map_err(|error| refused(error.message))?;
                    insights.insert(id, parsed);
                    periods_s.push(period_s);
                }
                (None, Some(expression)) => {
                    let parsed = math::parse(expression)
                        .map_err(|error| refused(format!("Error in expression '{id}': {error}")))?;
                    expressions.insert(id, parsed);
                }
                _ => {
                    return Err(refused(format!(
                        "The query `{id}` needs either a MetricStat or an Expression."
                    )));
                }
            }
        }
        let period_s = periods_s.into_iter().min().unwrap_or(60);
        Ok(Self { queries, expressions, insights, period_s })
    }

    /// Returns whether a query is one of Metrics Insights.
    pub(super) fn is_insight(&self, id: &str) -> bool {
        self.insights.contains_key(id)
    }

    /// Returns all expressions, for what an alarm refuses in them.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.expressions.values()
    }
}

/// Returns whether an id is a letter in lower case, then letters, digits and underscores.
fn is_id(id: &str) -> bool {
    id.len() <= 255
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The evaluation of queries over one window.
#[derive(Debug)]
pub(super) struct Evaluation<'a> {
    store: &'a Store,
    queries: &'a Queries<'a>,
    window: Window,
    /// Each query is computed once, however often it is referred to.
    done: RefCell<BTreeMap<String, Result<Value, String>>>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(store: &'a Store, queries: &'a Queries<'a>, window: Window) -> Self {
        Self { store, queries, window, done: RefCell::default() }
    }

    /// Returns the value of one query.
    pub(super) fn value(&self, id: &str) -> Result<Value, String> {
        self.named(id, 0).unwrap_or_else(|| Err(format!("`{id}` is the id of no query")))
    }

    fn series(&self, query: &MetricDataQuery, metric: &MetricStat) -> Result<Series, String> {
        let (of, wanted) = (&metric.metric, (stat(&metric.stat), unit(metric.unit.as_deref())));
        let (Ok(stat), Ok(unit)) = wanted else {
            return Err(format!("the query `{}` has no statistic", query.id));
        };
        let window = Window { period_s: metric.period.0, ..self.window };
        let id = metric_id(&of.namespace, &of.metric_name, &of.dimensions);
        let summaries = self.store.summaries(&id, unit, window);
        Ok(Series {
            label: query.label.clone().unwrap_or_else(|| of.metric_name.clone()),
            period_s: window.period_s,
            points: summaries
                .iter()
                .filter_map(|(at_s, summary)| Some((*at_s, summary.stat(stat)?)))
                .collect(),
        })
    }
}

impl Source for Evaluation<'_> {
    fn named(&self, id: &str, depth: usize) -> Option<Result<Value, String>> {
        let query = self.queries.queries.iter().find(|query| query.id == id)?;
        if let Some(done) = self.done.borrow().get(id) {
            return Some(done.clone());
        }
        let value = match (&query.metric_stat, self.queries.expressions.get(id)) {
            _ if self.queries.is_insight(id) => {
                let insight = &self.queries.insights[id];
                let period_s = query.period.map_or(60, |period| period.0);
                let window = Window { period_s, ..self.window };
                bounded(window).map(|()| Value::Many(insight.series(self.store, window)))
            }
            (Some(metric), _) => self.series(query, metric).map(Value::Series),
            (None, Some(expression)) => math::evaluate(expression, self, depth),
            (None, None) => return None,
        };
        self.done.borrow_mut().insert(id.to_owned(), value.clone());
        Some(value)
    }

    fn metrics(&self) -> Vec<(String, Series)> {
        let series = |query: &MetricDataQuery| {
            let metric = query.metric_stat.as_ref()?;
            Some((query.id.clone(), self.series(query, metric).ok()?))
        };
        self.queries.queries.iter().filter_map(series).collect()
    }

    fn search(&self, search: &Search) -> Result<Vec<Series>, String> {
        let window = Window { period_s: search.period_s, ..self.window };
        bounded(window)?;
        let found = self.store.metrics().filter(|(metric, _)| search.finds(metric));
        let series = found.take(FOUND_MAX).map(|(metric, _)| {
            let values: Vec<&str> =
                metric.dimensions.iter().map(|(_, value)| value.as_str()).collect();
            let label = if values.is_empty() { metric.name.clone() } else { values.join(" ") };
            let summaries = self.store.summaries(metric, None, window);
            let points = summaries
                .iter()
                .filter_map(|(at_s, summary)| Some((*at_s, summary.stat(search.stat)?)))
                .collect();
            Series { label, period_s: window.period_s, points }
        });
        Ok(series.filter(|series| !series.points.is_empty()).collect())
    }

    fn window(&self) -> Window {
        self.window
    }
}

/// Refuses a window of more periods than one answer may have points.
fn bounded(window: Window) -> Result<(), String> {
    let periods = (window.end_s - window.start_s) / window.period_s;
    if usize::try_from(periods).is_ok_and(|periods| periods <= DATAPOINTS_MAX) {
        return Ok(());
    }
    Err(format!("{periods} periods are asked for, {DATAPOINTS_MAX} at most are computed"))
}

/// Answers `GetMetricData`. A page holds the same stretch of points of every series.
pub(super) fn get(store: &Store, input: &GetMetricData) -> Result<Cbor, AwsError> {
    let queries = Queries::new(&input.metric_data_queries)?;
    let window = window(input.start_time, input.end_time, queries.period_s)?;
    bounded(window).map_err(refused)?;
    let newest_first = match input.scan_by.as_deref() {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => {
            return Err(refused(format!("The value {other} for parameter ScanBy is invalid.")));
        }
    };
    let page: usize = match &input.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| {
            AwsError::bad_request("InvalidNextToken", "The NextToken is not one of this service.")
        })?,
    };
    let evaluation = Evaluation::new(store, &queries, window);
    let mut results = Vec::new();
    for query in input.metric_data_queries.iter().filter(|query| query.returns_data()) {
        let value = evaluation.value(&query.id);
        let value = value
            .map_err(|error| refused(format!("Error in expression '{}': {error}", query.id)))?;
        match value {
            Value::Series(series) => {
                let label = query.label.clone().unwrap_or_else(|| match query.metric_stat {
                    Some(_) => series.label.clone(),
                    None => query.id.clone(),
                });
                results.push((query.id.as_str(), label, series));
            }
            Value::Many(many) => results.extend(many.into_iter().map(|series| {
                let label = query.label.iter().chain([&series.label]).cloned();
                (query.id.as_str(), label.collect::<Vec<_>>().join(" "), series)
            })),
            Value::Scalar(_) | Value::Text(_) => {
                return Err(refused(format!(
                    "Error in expression '{}': the result is not a time series.",
                    query.id
                )));
            }
        }
    }
    let wanted = input.max_datapoints.and_then(|max| usize::try_from(max.0).ok());
    let per_page = wanted.unwrap_or(DATAPOINTS_MAX).clamp(1, DATAPOINTS_MAX);
    Ok(paged(&results, newest_first, page, (per_page / results.len().max(1)).max(1)))
}

fn paged(
    results: &[(&str, String, Series)],
    newest_first: bool,
    page: usize,
    per_series: usize,
) -> Cbor {
    let skip = page.saturating_mul(per_series);
    let last = skip.saturating_add(per_series);
    let shown = results.iter().map(|(id, label, series)| {
        let ascending = series.points.iter().map(|(at_s, value)| (*at_s, *value));
        let mut points: Vec<(i64, f64)> = ascending.collect();
        if newest_first {
            points.reverse();
        }
        let status = if points.len() > last { "PartialData" } else { "Complete" };
        let points = points.into_iter().skip(skip).take(per_series);
        let (times, values): (Vec<Cbor>, Vec<Cbor>) =
            points.map(|(at_s, value)| (time_ms(at_s * 1_000), Cbor::Float(value))).unzip();
        map([
            ("Id", text(*id)),
            ("Label", text(label)),
            ("Timestamps", list(times)),
            ("Values", list(values)),
            ("StatusCode", text(status)),
        ])
    });
    let more = results.iter().any(|(_, _, series)| series.points.len() > last);
    map_some([
        ("MetricDataResults", Some(list(shown))),
        ("Messages", Some(list([]))),
        ("NextToken", more.then(|| text((page + 1).to_string()))),
    ])
}
