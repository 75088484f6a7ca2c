//! `GetMetricStatistics` and `ListMetrics`.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;

use super::model::{Dimension, GetMetricStatistics, ListMetrics, Moment};
use super::stat::Stat;
use super::store::{MetricId, Store, Unit, Window};
use super::wire::{list, map, map_some, text, time_ms};
use crate::service::AwsError;

const DATAPOINTS_MAX: i64 = 1_440;
const METRICS_PER_PAGE: usize = 500;

/// How long `RecentlyActive=PT3H` looks back.
const RECENT_MS: i64 = 3 * 3_600_000;

/// Returns a metric's identity from a request.
pub(super) fn metric_id(namespace: &str, name: &str, dimensions: &[Dimension]) -> MetricId {
    let mut dimensions: Vec<(String, String)> = dimensions
        .iter()
        .map(|one| (one.name.clone(), one.value.clone().unwrap_or_default()))
        .collect();
    dimensions.sort();
    MetricId { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
}

/// Returns a statistic by its name.
pub(super) fn stat(name: &str) -> Result<Stat, AwsError> {
    Stat::parse(name).ok_or_else(|| {
        AwsError::bad_request(
            "InvalidParameterValue",
            format!("The value {name} for parameter Stat is not supported."),
        )
    })
}

/// Returns a unit by its name.
pub(super) fn unit(name: Option<&str>) -> Result<Option<Unit>, AwsError> {
    let Some(name) = name else { return Ok(None) };
    Unit::parse(name).map(Some).ok_or_else(|| {
        AwsError::bad_request(
            "InvalidParameterValue",
            format!("The value {name} for parameter Unit is invalid."),
        )
    })
}

/// Returns the periods between two times: the start is rounded down to a minute, or for a period
/// below a minute to a multiple of it.
pub(super) fn window(
    start: Option<Moment>,
    end: Option<Moment>,
    period_s: i64,
) -> Result<Window, AwsError> {
    let missing = |name: &str| {
        AwsError::bad_request("MissingParameter", format!("The parameter {name} is required."))
    };
    let start = start.ok_or_else(|| missing("StartTime"))?;
    let end = end.ok_or_else(|| missing("EndTime"))?;
    if start >= end {
        return Err(AwsError::bad_request(
            "ValidationError",
            "The parameter StartTime must be less than the parameter EndTime.",
        ));
    }
    period(period_s)?;
    let step_s = period_s.min(60);
    let start_s = start.0.div_euclid(1_000 * step_s) * step_s;
    Ok(Window { start_s, end_s: end.0.div_euclid(1_000), period_s })
}

/// Checks a period: 1, 5, 10, 20 or 30 seconds, or whole minutes up to a day.
pub(super) fn period(period_s: i64) -> Result<(), AwsError> {
    let minutes = period_s % 60 == 0 && (60..=86_400).contains(&period_s);
    if minutes || [1, 5, 10, 20, 30].contains(&period_s) {
        return Ok(());
    }
    Err(AwsError::bad_request(
        "InvalidParameterValue",
        format!("The value {period_s} for parameter Period is invalid."),
    ))
}

/// Answers `GetMetricStatistics`.
pub(super) fn get(store: &Store, input: &GetMetricStatistics) -> Result<Cbor, AwsError> {
    if input.statistics.is_empty() && input.extended_statistics.is_empty() {
        return Err(AwsError::bad_request(
            "MissingParameter",
            "Must specify either Statistics or ExtendedStatistics",
        ));
    }
    let period_s = input.period.map(|seconds| seconds.0).ok_or_else(|| {
        AwsError::bad_request("MissingParameter", "The parameter Period is required.")
    })?;
    let window = window(input.start_time, input.end_time, period_s)?;
    let wanted = (window.end_s - window.start_s) / period_s;
    if wanted > DATAPOINTS_MAX {
        return Err(AwsError::bad_request(
            "InvalidParameterCombination",
            format!(
                "You have requested up to {wanted} datapoints, which exceeds the limit of 1,440. \
                 You may reduce the datapoints requested by increasing Period, or decreasing the \
                 time range."
            ),
        ));
    }
    let stats = parse_all(&input.statistics)?;
    let extended = parse_all(&input.extended_statistics)?;
    let metric = metric_id(&input.namespace, &input.metric_name, &input.dimensions);
    let units = match unit(input.unit.as_deref())? {
        Some(unit) => vec![unit],
        None => store.units(&metric, window),
    };
    let mut points = Vec::new();
    for unit in units {
        for (at_s, summary) in store.summaries(&metric, Some(unit), window) {
            let value = |stat| summary.stat(stat).map(Cbor::Float);
            let mut members: BTreeMap<&str, Cbor> = stats
                .iter()
                .filter_map(|(name, stat)| Some((name.as_str(), value(*stat)?)))
                .collect();
            members.insert("Timestamp", time_ms(at_s * 1_000));
            members.insert("Unit", text(unit.as_str()));
            let percentiles: Vec<(&str, Cbor)> = extended
                .iter()
                .filter_map(|(name, stat)| Some((name.as_str(), value(*stat)?)))
                .collect();
            if !percentiles.is_empty() {
                members.insert("ExtendedStatistics", map(percentiles));
            }
            points.push(map(members));
        }
    }
    Ok(map([("Label", text(&input.metric_name)), ("Datapoints", list(points))]))
}

fn parse_all(names: &[String]) -> Result<Vec<(String, Stat)>, AwsError> {
    names.iter().map(|name| Ok((name.clone(), stat(name)?))).collect()
}

/// Answers `ListMetrics`: 500 a page, in the order of namespace, name and dimensions.
pub(super) fn list_metrics(
    store: &Store,
    input: &ListMetrics,
    now_ms: i64,
) -> Result<Cbor, AwsError> {
    let skip: usize = match &input.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| {
            AwsError::bad_request(
                "InvalidParameterValue",
                "Request parameter NextToken is invalid.",
            )
        })?,
    };
    let recent = input.recently_active.is_some();
    let mut found = store
        .metrics()
        .filter(|(metric, touched_ms)| {
            input.namespace.as_ref().is_none_or(|wanted| *wanted == metric.namespace)
                && input.metric_name.as_ref().is_none_or(|wanted| *wanted == metric.name)
                && input.dimensions.iter().all(|wanted| has_dimension(metric, wanted))
                && (!recent || *touched_ms >= now_ms - RECENT_MS)
        })
        .skip(skip);
    let page: Vec<Cbor> =
        found.by_ref().take(METRICS_PER_PAGE).map(|(metric, _)| describe(metric)).collect();
    let next = found.next().map(|_| text((skip + METRICS_PER_PAGE).to_string()));
    Ok(map_some([("Metrics", Some(list(page))), ("NextToken", next)]))
}

fn has_dimension(metric: &MetricId, wanted: &Dimension) -> bool {
    metric.dimensions.iter().any(|(name, value)| {
        *name == wanted.name && wanted.value.as_ref().is_none_or(|wanted| wanted == value)
    })
}

fn describe(metric: &MetricId) -> Cbor {
    let dimensions = metric
        .dimensions
        .iter()
        .map(|(name, value)| map([("Name", text(name)), ("Value", text(value))]));
    map([
        ("Namespace", text(&metric.namespace)),
        ("MetricName", text(&metric.name)),
        ("Dimensions", list(dimensions)),
    ])
}
