//! Metric math against values computed by hand: no other implementation was there to compare with.

use std::collections::BTreeMap;

use super::parse::DEPTH_MAX;
use super::search::Search;
use super::*;
use crate::cloudwatch::store::{MetricId, Window};

const WINDOW: Window = Window { start_s: 0, end_s: 300, period_s: 60 };

/// `m1` and `m2` as given, and the expressions `e1`, `e2`.
struct Given {
    metrics: Vec<(String, Series)>,
    expressions: BTreeMap<&'static str, Expr>,
}

fn series(points: &[(i64, f64)]) -> Series {
    Series { label: "s".to_owned(), period_s: 60, points: points.iter().copied().collect() }
}

impl Source for Given {
    fn named(&self, id: &str, depth: usize) -> Option<Result<Value, String>> {
        if let Some((_, series)) = self.metrics.iter().find(|(metric, _)| metric == id) {
            return Some(Ok(Value::Series(series.clone())));
        }
        self.expressions.get(id).map(|expression| evaluate(expression, self, depth))
    }

    fn metrics(&self) -> Vec<(String, Series)> {
        self.metrics.clone()
    }

    fn search(&self, _: &Search) -> Result<Vec<Series>, String> {
        Ok(self.metrics.iter().map(|(_, series)| series.clone()).collect())
    }

    fn window(&self) -> Window {
        WINDOW
    }
}

/// `m1` has 10, 20, 50, nothing, 25; `m2` has 2 and 0 at the second and third minute.
fn given() -> Given {
    let m1 = series(&[(0, 10.0), (60, 20.0), (120, 50.0), (240, 25.0)]);
    let m2 = series(&[(60, 2.0), (120, 0.0)]);
    let expressions = [("e1", "e2 + 1"), ("e2", "e1 + 1"), ("e3", "m1 * 2")];
    Given {
        metrics: vec![("m1".to_owned(), m1), ("m2".to_owned(), m2)],
        expressions: expressions.map(|(id, text)| (id, parse(text).unwrap())).into(),
    }
}

fn compute(text: &str) -> Result<Value, String> {
    evaluate(&parse(text)?, &given(), 0)
}

fn points(text: &str) -> Vec<(i64, f64)> {
    match compute(text) {
        Ok(Value::Series(series)) => series.points.into_iter().collect(),
        other => panic!("{text} came to {other:?}"),
    }
}

#[test]
fn arithmetic_counts_missing_values_as_zero_and_drops_divisions_by_zero() {
    assert_eq!(points("m1 + m2"), [(0, 10.0), (60, 22.0), (120, 50.0), (240, 25.0)]);
    assert_eq!(points("m1 / m2"), [(60, 10.0)]);
    assert_eq!(points("100 * (m1 - 5) / 10"), [(0, 50.0), (60, 150.0), (120, 450.0), (240, 200.0)]);
    assert_eq!(points("-m2 ^ 2"), [(60, -4.0), (120, 0.0)]);
    assert_eq!(points("e3 - m1"), points("m1"));
}

#[test]
fn operators_bind_as_in_arithmetic() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("2 * 3 ^ 2", 18.0),
        ("-2 ^ 2", -4.0),
        ("1 + 1 == 2 AND 3 > 2", 1.0),
        ("0 || 2 < 1", 0.0),
        ("1 != 1 OR 0.5 >= .5", 1.0),
    ] {
        assert_eq!(compute(text), Ok(Value::Scalar(expected)), "{text}");
    }
}

#[test]
fn diff_rate_and_their_kin_compare_with_the_point_before() {
    assert_eq!(points("DIFF(m1)"), [(60, 10.0), (120, 30.0), (240, -25.0)]);
    assert_eq!(points("DIFF_TIME(m1)"), [(60, 60.0), (120, 60.0), (240, 120.0)]);
    assert_eq!(points("RATE(m1)"), [(60, 10.0 / 60.0), (120, 0.5), (240, -25.0 / 120.0)]);
    assert_eq!(points("RUNNING_SUM(m2)"), [(60, 2.0), (120, 2.0)]);
    assert_eq!(points("PERIOD(m2)"), [(60, 60.0), (120, 60.0)]);
}

#[test]
fn the_drop_of_viewers_in_percent_is_a_formula() {
    let drop = "IF(m1 - DIFF(m1) >= 10, 100 * (0 - DIFF(m1)) / (m1 - DIFF(m1)), 0)";
    // Before the first point nothing is known: the difference counts as 0.
    assert_eq!(points(drop), [(0, 0.0), (60, -100.0), (120, -150.0), (240, 50.0)]);
}

#[test]
fn arrays_are_combined_point_by_point_and_series_to_a_number() {
    assert_eq!(points("SUM(METRICS())"), points("m1 + m2"));
    assert_eq!(points("MIN([m1, m2])"), [(0, 10.0), (60, 2.0), (120, 0.0), (240, 25.0)]);
    assert_eq!(points("MAX(METRICS(\"m2\"))"), points("m2"));
    assert_eq!(points("AVG(METRICS())"), [(0, 10.0), (60, 11.0), (120, 25.0), (240, 25.0)]);
    assert_eq!(compute("SUM(m1)"), Ok(Value::Scalar(105.0)));
    assert_eq!(compute("MAX(m1) - MIN(m1)"), Ok(Value::Scalar(40.0)));
    assert_eq!(compute("STDDEV(m2)"), Ok(Value::Scalar(1.0)));
    assert_eq!(compute("METRIC_COUNT(METRICS())"), Ok(Value::Scalar(2.0)));
    assert_eq!(compute("DATAPOINT_COUNT(m1)"), Ok(Value::Scalar(4.0)));
    assert_eq!(points("SUM(SEARCH('{N} x', 'Sum', 60))"), points("m1 + m2"));
}

#[test]
fn fill_covers_the_whole_window() {
    assert_eq!(points("FILL(m2, 7)"), [(0, 7.0), (60, 2.0), (120, 0.0), (180, 7.0), (240, 7.0)]);
    assert_eq!(points("FILL(m2, REPEAT)"), [(60, 2.0), (120, 0.0), (180, 0.0), (240, 0.0)]);
    let linear = [(0, 10.0), (60, 20.0), (120, 50.0), (180, 37.5), (240, 25.0)];
    assert_eq!(points("FILL(m1, LINEAR)"), linear);
    assert_eq!(points("FILL(m2, m1)"), [(0, 10.0), (60, 2.0), (120, 0.0), (240, 25.0)]);
}

#[test]
fn if_chooses_at_the_times_of_its_condition() {
    assert_eq!(points("IF(m1 > 15, m1)"), [(60, 20.0), (120, 50.0), (240, 25.0)]);
    assert_eq!(points("IF(m2, 1, m1)"), [(60, 1.0), (120, 50.0)]);
    assert_eq!(points("IF(1, m2, m1)"), points("m2"));
    assert_eq!(
        points("TIME_SERIES(3) * m2"),
        [(0, 0.0), (60, 6.0), (120, 0.0), (180, 0.0), (240, 0.0)]
    );
}

#[test]
fn mistakes_are_named() {
    for text in [
        "",
        "1 +",
        "(1",
        "m1 m2",
        "FILL(m1",
        "\"a",
        "1..2",
        "m9",
        "NOPE(m1)",
        "DIFF(3)",
        "IF(m1)",
        "[1, 2]",
        "METRICS() + METRICS()",
        "m1 + \"a\"",
        "FILL(m1, SIDEWAYS)",
        "e1",
        "é",
        "SEARCH('no schema', 'Sum', 60)",
        "SEARCH('{N} a OR b', 'Sum', 60)",
        "SEARCH('{N}', 'Median', 60)",
        "SEARCH('{N}', 'Sum', 0.5)",
    ] {
        assert!(compute(text).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    for text in [
        format!("{}1{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX)),
        "-".repeat(1_000),
        "1+".repeat(DEPTH_MAX) + "1",
        "[".repeat(1_000),
        "ABS(".repeat(500),
        "1".repeat(2_049),
    ] {
        assert!(parse(&text).is_err(), "{text}");
    }
}

#[test]
fn a_search_finds_by_schema_and_terms() {
    let metric = |name: &str, channel: Option<&str>| MetricId {
        namespace: "LiveStreaming/Metrics".to_owned(),
        name: name.to_owned(),
        dimensions: channel.map(|id| ("ChannelId".to_owned(), id.to_owned())).into_iter().collect(),
    };
    let viewers = metric("CurrentViewers", Some("channel-a"));
    for (query, expected) in [
        ("{LiveStreaming/Metrics,ChannelId} MetricName=\"CurrentViewers\"", true),
        ("{\"LiveStreaming/Metrics\", ChannelId} currentviewers", true),
        ("{LiveStreaming/Metrics,ChannelId} ChannelId=\"channel-a\" MetricName=viewers", true),
        ("{LiveStreaming/Metrics,ChannelId} MetricName=\"Viewers\"", false),
        ("{LiveStreaming/Metrics} MetricName=\"CurrentViewers\"", false),
        ("{LiveStreaming/Other,ChannelId}", false),
    ] {
        let search = Search::parse(query, "Maximum", 60.0).unwrap();
        assert_eq!(search.finds(&viewers), expected, "{query}");
    }
    let fleet = Search::parse("{LiveStreaming/Metrics}", "Sum", 300.0).unwrap();
    assert!(fleet.finds(&metric("CurrentViewers", None)));
}

#[test]
fn random_expressions_are_computed_or_refused_but_never_panic() {
    let words = [
        "m1",
        "m2",
        "e1",
        "e3",
        "1",
        ".5",
        "1e",
        "+",
        "-",
        "*",
        "/",
        "^",
        "<",
        ">=",
        "==",
        "AND",
        "OR",
        "&&",
        "(",
        ")",
        "[",
        "]",
        ",",
        "IF(",
        "FILL(",
        "REPEAT",
        "LINEAR",
        "METRICS()",
        "SUM(",
        "DIFF(",
        "RATE(",
        "TIME_SERIES(",
        "SEARCH(",
        "'{N,A} x=\"y\"'",
        "'Sum'",
        "\"",
    ];
    let mut state = 1_u64;
    let mut computed = 0;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..1 + (state >> 40) % 9 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(words[usize::try_from(state >> 33).unwrap() % words.len()]);
            text.push(' ');
        }
        computed += usize::from(compute(&text).is_ok());
    }
    assert!(computed > 100, "only {computed} random expressions made sense");
}
