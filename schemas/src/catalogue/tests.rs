use std::collections::BTreeSet;

use serde_json::json;

use super::{ALARMS, BY_DIMENSION, EXTERNAL, METRICS, VIEWER_DIMENSIONS};

#[test]
fn a_metric_is_listed_once() {
    let names: BTreeSet<_> = METRICS.iter().map(|m| (m.namespace, m.name)).collect();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn every_emitted_metric_has_a_fleet_series() {
    for metric in METRICS {
        assert!(metric.dimensions.contains(&[].as_slice()), "{}", metric.name);
    }
}

#[test]
fn what_is_sent_by_dimension_is_a_sum_and_has_a_series_for_each_or_is_sent_by_channel() {
    for metric in BY_DIMENSION {
        assert_eq!(metric.statistic, super::Statistic::Sum, "{}: parts add up", metric.name);
        let last: Vec<_> = metric.dimensions.iter().filter_map(|set| set.last()).collect();
        let is_listed = METRICS.contains(metric);
        assert_eq!(is_listed, last.iter().all(|name| **name == super::CHANNEL_ID));
        let is_by_viewer = last.iter().map(|name| **name).eq(VIEWER_DIMENSIONS);
        assert_ne!(is_listed, is_by_viewer, "{}", metric.name);
    }
}

#[test]
fn names_and_values_serialize_as_cloudwatch_writes_them() {
    for metric in METRICS.iter().chain(EXTERNAL) {
        assert_eq!(json!(metric.unit), metric.unit.as_str());
        assert_eq!(json!(metric.statistic), metric.statistic.as_str());
        assert_eq!(json!(metric.namespace), metric.namespace.as_str());
    }
    for alarm in ALARMS {
        assert_eq!(json!(alarm.comparison), alarm.comparison.as_str());
        assert_eq!(json!(alarm.missing_data), alarm.missing_data.as_str());
    }
}

#[test]
fn only_aws_writes_to_an_aws_namespace() {
    assert!(METRICS.iter().all(|m| !m.namespace.as_str().starts_with("AWS/")));
    assert!(EXTERNAL.iter().all(|m| m.namespace.as_str().starts_with("AWS/")));
}

#[test]
fn an_alarm_watches_a_series_that_exists() {
    for alarm in ALARMS {
        let known = METRICS.iter().chain(EXTERNAL).any(|m| *m == alarm.metric);
        assert!(known, "{}", alarm.name);
        let series: Vec<&str> = alarm.group_by.into_iter().collect();
        assert!(alarm.metric.dimensions.contains(&series.as_slice()), "{}", alarm.name);
    }
}

#[test]
fn an_alarm_on_each_channel_asks_for_the_worst_first() {
    let query = super::alarms::INGEST_FRAME_RATE.query().unwrap();
    assert_eq!(
        query,
        "SELECT AVG(IngestFramerate) FROM SCHEMA(\"AWS/IVS\", Channel) \
         GROUP BY Channel ORDER BY AVG() ASC"
    );
    for alarm in ALARMS {
        assert_eq!(alarm.query().is_some(), alarm.group_by.is_some(), "{}", alarm.name);
    }
}

#[test]
fn a_query_keeps_to_the_three_hours_that_cloudwatch_looks_back() {
    let grouped: Vec<_> = ALARMS.iter().filter(|alarm| alarm.group_by.is_some()).collect();
    assert!(!grouped.is_empty());
    for alarm in grouped {
        assert!(alarm.period_s * alarm.evaluation_periods <= 3 * 3_600, "{}", alarm.name);
    }
}

#[test]
fn an_alarm_keeps_to_cloudwatch_s_limits() {
    for alarm in ALARMS {
        let whole_minutes = alarm.period_s > 0 && alarm.period_s.is_multiple_of(60);
        assert!(whole_minutes, "{}: period", alarm.name);
        assert!(alarm.period_s * alarm.evaluation_periods <= 86_400, "{}: span", alarm.name);
        let m_of_n = (1..=alarm.evaluation_periods).contains(&alarm.datapoints_to_alarm);
        assert!(m_of_n, "{}: datapoints", alarm.name);
    }
}

#[test]
fn a_widget_shows_series_that_exist_in_rows_of_24_columns() {
    use super::widgets::{SECTIONS, Scope};
    for row in SECTIONS.iter().flat_map(|section| section.rows) {
        assert!(row.iter().map(|widget| widget.width).sum::<u8>() <= 24);
        for widget in *row {
            let labels: BTreeSet<_> = lines(widget).map(|line| line.label).collect();
            assert_eq!(labels.len(), lines(widget).count(), "{}: labels", widget.title);
            for line in lines(widget) {
                let by = if line.scope == Scope::Fleet { 0 } else { 1 };
                let found = line.metric.dimensions.iter().any(|set| set.len() == by);
                assert!(found, "{}: {}", widget.title, line.metric.name);
            }
        }
    }
}

#[test]
fn every_emitted_metric_is_on_the_dashboard_or_has_an_alarm() {
    let shown: BTreeSet<_> = super::widgets::SECTIONS
        .iter()
        .flat_map(|section| section.rows)
        .flat_map(|row| row.iter())
        .flat_map(lines)
        .map(|line| (line.metric.namespace, line.metric.name))
        .collect();
    for metric in METRICS {
        let watched = ALARMS.iter().any(|alarm| alarm.metric == *metric);
        assert!(watched || shown.contains(&(metric.namespace, metric.name)), "{}", metric.name);
    }
}

fn lines(widget: &super::widgets::Widget) -> impl Iterator<Item = &super::widgets::Line> {
    widget.left.iter().chain(widget.right)
}
