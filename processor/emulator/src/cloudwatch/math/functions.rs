//! The functions of metric math.

use std::collections::BTreeMap;

use super::search::Search;
use super::source::{Source, each};
use super::{Series, Value};
use crate::cloudwatch::store::Window;

/// Series that one `FILL` fills: with 100,800 points each a bound on memory, not one of AWS's.
const FILLED_MAX: usize = 50;

type Computed = Result<Value, String>;

/// Applies a function.
pub(super) fn call(name: &str, arguments: &[Value], source: &dyn Source) -> Computed {
    match (name, arguments) {
        ("METRICS", []) => Ok(metrics(source, "")),
        ("METRICS", [Value::Text(part)]) => Ok(metrics(source, part)),
        ("SEARCH", [Value::Text(query), Value::Text(stat), Value::Scalar(period_s)]) => {
            source.search(&Search::parse(query, stat, *period_s)?).map(Value::Many)
        }
        ("IF", [condition, then]) => choose(condition, then, None),
        ("IF", [condition, then, otherwise]) => choose(condition, then, Some(otherwise)),
        ("FILL", [value, filler]) => fill(value, filler, source.window()),
        ("TIME_SERIES", [Value::Scalar(number)]) => {
            let points = times(source.window()).map(|at_s| (at_s, *number)).collect();
            let period_s = source.window().period_s;
            Ok(Value::Series(Series { label: String::new(), period_s, points }))
        }
        ("METRIC_COUNT", [Value::Many(many)]) => Ok(Value::Scalar(count(many.len()))),
        (_, [Value::Many(many)]) if is_aggregate(name) => {
            Ok(Value::Series(across(many, |values| aggregate(name, values).unwrap_or_default())))
        }
        (_, [Value::Series(series)]) if is_aggregate(name) => {
            let values: Vec<f64> = series.points.values().copied().collect();
            Ok(Value::Scalar(aggregate(name, &values).unwrap_or_default()))
        }
        (_, [value]) => one(name, value),
        _ => Err(format!(
            "`{name}` is not a function here, or its arguments are not as it takes them"
        )),
    }
}

/// Functions of one value, applied to every series of several.
fn one(name: &str, value: &Value) -> Computed {
    let value = value.clone();
    let plain: fn(f64) -> f64 = match name {
        "ABS" => f64::abs,
        "CEIL" => f64::ceil,
        "FLOOR" => f64::floor,
        "LOG" => f64::ln,
        "LOG10" => f64::log10,
        _ => return series_function(name, value),
    };
    each(value, |series| series.map(plain), plain)
}

fn series_function(name: &str, value: Value) -> Computed {
    let step: fn(&Series) -> Series = match name {
        "DIFF" => |series| steps(series, |_, before, value| value - before),
        "DIFF_TIME" => |series| steps(series, |passed_s, _, _| passed_s),
        "RATE" => |series| steps(series, |passed_s, before, value| (value - before) / passed_s),
        "PERIOD" => |series| {
            let period_s = seconds(series.period_s);
            series.map(|_| period_s)
        },
        "RUNNING_SUM" => |series| {
            let mut sum = 0.0;
            let summed = series.points.iter().map(|(at_s, value)| {
                sum += value;
                (*at_s, sum)
            });
            series.with(summed.collect())
        },
        "REMOVE_EMPTY" => Series::clone,
        _ => return Err(format!("`{name}` is not a function here")),
    };
    match value {
        Value::Series(series) => Ok(Value::Series(step(&series))),
        Value::Many(many) if name == "REMOVE_EMPTY" => {
            Ok(Value::Many(many.into_iter().filter(|series| !series.points.is_empty()).collect()))
        }
        Value::Many(many) => Ok(Value::Many(many.iter().map(step).collect())),
        Value::Scalar(_) | Value::Text(_) => Err(format!("`{name}` takes a time series")),
    }
}

fn metrics(source: &dyn Source, part: &str) -> Value {
    let found = source.metrics().into_iter().filter(|(id, _)| id.contains(part));
    Value::Many(found.map(|(_, series)| series).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts and periods are far below 2^53")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts and periods are far below 2^53")]
fn count(length: usize) -> f64 {
    length as f64
}

/// Combines each point with the one before it: seconds between, value before, value.
fn steps(series: &Series, step: impl Fn(f64, f64, f64) -> f64) -> Series {
    let pairs = series.points.iter().zip(series.points.iter().skip(1));
    let points = pairs.map(|((before_s, before), (at_s, value))| {
        (*at_s, step(seconds(at_s - before_s), *before, *value))
    });
    series.with(points.filter(|(_, value)| value.is_finite()).collect())
}

fn is_aggregate(name: &str) -> bool {
    aggregate(name, &[]).is_some()
}

/// Returns the functions that make one number of several; `None` for other names.
fn aggregate(name: &str, values: &[f64]) -> Option<f64> {
    let number = count(values.len());
    let sum: f64 = values.iter().sum();
    let result = match name {
        "SUM" => sum,
        "AVG" => sum / number,
        "MIN" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "MAX" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "STDDEV" => {
            let mean = sum / number;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number).sqrt()
        }
        "DATAPOINT_COUNT" => number,
        _ => return None,
    };
    Some(result)
}

/// Returns one value per time of all the values that the series have there.
fn across(many: &[Series], combine: impl Fn(&[f64]) -> f64) -> Series {
    let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at_s, value) in many.iter().flat_map(|series| &series.points) {
        columns.entry(*at_s).or_default().push(*value);
    }
    let points = columns.into_iter().map(|(at_s, values)| (at_s, combine(&values))).collect();
    let period_s = many.iter().map(|series| series.period_s).min().unwrap_or(60);
    Series { label: String::new(), period_s, points }
}

fn choose(condition: &Value, then: &Value, otherwise: Option<&Value>) -> Computed {
    let series = match condition {
        Value::Scalar(truth) if *truth != 0.0 => return Ok(then.clone()),
        Value::Scalar(_) => {
            return otherwise.cloned().ok_or_else(|| "the `IF` yields nothing".to_owned());
        }
        Value::Series(series) => series,
        Value::Many(_) | Value::Text(_) => {
            return Err("the condition of `IF` is a number or one time series".to_owned());
        }
    };
    let at = |value: Option<&Value>, at_s: i64| match value {
        None => Ok(None),
        Some(Value::Scalar(number)) => Ok(Some(*number)),
        Some(Value::Series(series)) => Ok(series.points.get(&at_s).copied()),
        Some(_) => Err("`IF` chooses between numbers and time series".to_owned()),
    };
    let mut points = BTreeMap::new();
    for (at_s, truth) in &series.points {
        let chosen = if *truth == 0.0 { at(otherwise, *at_s)? } else { at(Some(then), *at_s)? };
        if let Some(value) = chosen {
            points.insert(*at_s, value);
        }
    }
    Ok(Value::Series(series.with(points)))
}

fn times(window: Window) -> impl Iterator<Item = i64> {
    let starts = (0..).map(move |step| window.start_s + step * window.period_s);
    starts.take_while(move |at_s| *at_s < window.end_s)
}

fn fill(value: &Value, filler: &Value, window: Window) -> Computed {
    let filled = |series: &Series| match filler {
        Value::Scalar(number) => Ok(fill_with(series, window, |_| Some(*number))),
        Value::Series(other) => {
            Ok(fill_with(series, window, |at_s| other.points.get(&at_s).copied()))
        }
        Value::Text(way) if way == "REPEAT" => Ok(fill_with(series, window, |at_s| {
            series.points.range(..at_s).next_back().map(|(_, value)| *value)
        })),
        Value::Text(way) if way == "LINEAR" => {
            Ok(fill_with(series, window, |at_s| linear(at_s, series)))
        }
        _ => Err("`FILL` fills with a number, a time series, REPEAT or LINEAR".to_owned()),
    };
    match value {
        Value::Series(series) => filled(series).map(Value::Series),
        Value::Many(many) if many.len() <= FILLED_MAX => {
            many.iter().map(filled).collect::<Result<_, _>>().map(Value::Many)
        }
        Value::Many(_) => Err(format!("`FILL` fills {FILLED_MAX} time series at most here")),
        Value::Scalar(_) | Value::Text(_) => Err("`FILL` takes a time series".to_owned()),
    }
}

fn fill_with(series: &Series, window: Window, filler: impl Fn(i64) -> Option<f64>) -> Series {
    let window = Window { period_s: series.period_s, ..window };
    let mut points = series.points.clone();
    for at_s in times(window) {
        if !points.contains_key(&at_s)
            && let Some(value) = filler(at_s)
        {
            points.insert(at_s, value);
        }
    }
    series.with(points)
}

/// On the line between the neighbors, or nothing outside of them.
fn linear(at_s: i64, series: &Series) -> Option<f64> {
    let (before_s, before) = series.points.range(..at_s).next_back()?;
    let (after_s, after) = series.points.range(at_s..).next()?;
    let part = seconds(at_s - before_s) / seconds(after_s - before_s);
    Some(before + (after - before) * part)
}
