//! The alarms as CloudWatch has them.

use std::time::Duration;

use aws_calls::explain;
use aws_sdk_cloudwatch::types::{ComparisonOperator, MetricAlarm, Statistic};
use ivs_schemas::catalogue::{METRICS, Unit};
use serde::Serialize;

use super::room::Room;
use super::runbook;
use crate::clock::Instant;

/// Every alarm of the catalogue and of CDK begins so.
const PREFIX: &str = "LiveStreaming-";
/// Where an alarm's description names its article.
const RUNBOOK: &str = "Runbook: ";
/// Alarms shown: one page of DescribeAlarms.
const MAX_ALARMS: i32 = 100;
/// How often CloudWatch is asked, on AWS and on this machine.
const PACES: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(1)];

/// An alarm, for the browser.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlarmView {
    name: String,
    state: String,
    reason: String,
    description: String,
    /// When it fires, in words.
    rule: String,
    /// Since when it is in its state, epoch milliseconds.
    since_ms: Option<i64>,
    /// Its article.
    runbook: Option<String>,
}

/// The alarms as they were read last.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    known: Vec<AlarmView>,
    read: Option<Instant>,
}

impl Alarms {
    /// Reads them if it is time. Returns in words why that was refused.
    pub(super) async fn refresh(&mut self, room: &Room) -> Option<String> {
        let pace = PACES[usize::from(room.is_local())];
        if self.read.is_some_and(|at| at.elapsed() < pace) {
            return None;
        }
        self.read = Some(crate::clock::instant());
        let described = room
            .clients
            .cloudwatch
            .describe_alarms()
            .alarm_name_prefix(PREFIX)
            .max_records(MAX_ALARMS)
            .send()
            .await;
        match described {
            Err(error) => Some(format!("CloudWatch does not show the alarms: {}", explain(&error))),
            Ok(described) => {
                let alarms = described.metric_alarms.unwrap_or_default();
                self.known = alarms.iter().map(view).collect();
                // Those that fire first.
                self.known.sort_by_key(|alarm| (rank(&alarm.state), alarm.name.clone()));
                None
            }
        }
    }

    /// Returns how many fire.
    pub(super) fn firing(&self) -> usize {
        self.known.iter().filter(|alarm| alarm.state == "ALARM").count()
    }

    pub(super) fn views(&self) -> Vec<AlarmView> {
        self.known.clone()
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "ALARM" => 0,
        "INSUFFICIENT_DATA" => 1,
        _ => 2,
    }
}

fn view(alarm: &MetricAlarm) -> AlarmView {
    let name = alarm.alarm_name().unwrap_or_default();
    let text = alarm.alarm_description().unwrap_or_default();
    let description = text.split("\n\n").next().unwrap_or_default();
    let article = text.lines().find_map(|line| line.strip_prefix(RUNBOOK)).unwrap_or_default();
    let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
    AlarmView {
        name: name.to_owned(),
        state: alarm.state_value().map_or("", |state| state.as_str()).to_owned(),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        description: description.trim().to_owned(),
        rule: rule(alarm),
        since_ms: since.and_then(|at| at.to_millis().ok()),
        runbook: link(name, article.trim()),
    }
}

/// Returns the article of this program where it has one, else what the description names.
fn link(name: &str, article: &str) -> Option<String> {
    if runbook::has(name) {
        return Some(format!("/runbook/{name}"));
    }
    article.starts_with("https://").then(|| article.to_owned())
}

/// `ChatActivity, Maximum of 1 min > 100, 8 times in 10`.
fn rule(alarm: &MetricAlarm) -> String {
    let sign = match alarm.comparison_operator() {
        Some(ComparisonOperator::GreaterThanThreshold) => ">",
        Some(ComparisonOperator::GreaterThanOrEqualToThreshold) => "≥",
        Some(ComparisonOperator::LessThanThreshold) => "<",
        Some(ComparisonOperator::LessThanOrEqualToThreshold) => "≤",
        _ => "outside",
    };
    let query = alarm.metrics().iter().find_map(|query| query.expression()).and_then(each_of);
    let metric = alarm.metric_name().map(str::to_owned).or(query);
    let metric = metric.unwrap_or_else(|| "an expression".to_owned());
    let stat = alarm.statistic().map(Statistic::as_str).or(alarm.extended_statistic());
    let period = alarm.period().or_else(|| {
        alarm.metrics().iter().find_map(|query| query.metric_stat()?.period().or(query.period()))
    });
    let of_period = match (stat, period) {
        (Some(stat), Some(period)) => format!(", {stat} of {}", minutes(period)),
        (None, Some(period)) => format!(" over {}", minutes(period)),
        _ => String::new(),
    };
    let periods = alarm.evaluation_periods().unwrap_or(1);
    let times = match alarm.datapoints_to_alarm().unwrap_or(periods) {
        _ if periods == 1 => String::new(),
        count if count == periods => format!(", {count} times in a row"),
        count => format!(", {count} times in {periods}"),
    };
    let threshold = threshold(alarm);
    format!("{metric}{of_period} {sign} {threshold}{times}")
}

/// `5 min`, `5 %`, `100`: by the unit that the catalogue gives the metric.
fn threshold(alarm: &MetricAlarm) -> String {
    let value = alarm.threshold().unwrap_or_default();
    let known = METRICS.iter().find(|metric| Some(metric.name) == alarm.metric_name());
    match known.map(|metric| metric.unit) {
        Some(Unit::Percent) => format!("{value} %"),
        Some(Unit::Seconds) => seconds(value),
        Some(Unit::Milliseconds) => seconds(value / 1_000.0),
        _ => value.to_string(),
    }
}

fn seconds(value: f64) -> String {
    if value >= 60.0 && value % 60.0 == 0.0 {
        format!("{} min", value / 60.0)
    } else {
        format!("{value} s")
    }
}

/// `AVG(IngestFramerate) of each Channel`, of a Metrics Insights query.
fn each_of(query: &str) -> Option<String> {
    let (what, rest) = query.strip_prefix("SELECT ")?.split_once(" FROM ")?;
    let (_, group) = rest.split_once("GROUP BY ")?;
    Some(format!("{what} of each {}", group.split_whitespace().next()?))
}

fn minutes(period_s: i32) -> String {
    if period_s % 60 == 0 { format!("{} min", period_s / 60) } else { format!("{period_s} s") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::types::StateValue;

    use super::*;

    #[test]
    fn an_alarm_says_when_it_fires_and_where_to_read_on() {
        let alarm = MetricAlarm::builder()
            .alarm_name("LiveStreaming-ChatActivity")
            .alarm_description(
                "Too much chat.\n\nFirst: x\nRunbook: https://example.com/x.md\nDashboard: y",
            )
            .metric_name("ChatActivity")
            .statistic(Statistic::Maximum)
            .comparison_operator(ComparisonOperator::GreaterThanThreshold)
            .threshold(100.0)
            .period(60)
            .evaluation_periods(10)
            .datapoints_to_alarm(8)
            .state_value(StateValue::Alarm)
            .build();
        let view = view(&alarm);
        assert_eq!(view.rule, "ChatActivity, Maximum of 1 min > 100, 8 times in 10");
        assert_eq!(view.description, "Too much chat.");
        assert_eq!(view.runbook.as_deref(), Some("/runbook/LiveStreaming-ChatActivity"));
        let threshold = |metric: &str, value| {
            threshold(&MetricAlarm::builder().metric_name(metric).threshold(value).build())
        };
        assert_eq!(threshold("Lag", 300_000.0), "5 min");
        assert_eq!(threshold("Lag", 1_500.0), "1.5 s");
        assert_eq!(threshold("RebufferRatio", 5.0), "5 %");
        assert_eq!(threshold("Unknown", 5.0), "5");
        assert_eq!(link("Other", "https://a/b").as_deref(), Some("https://a/b"));
        assert_eq!(link("Other", "javascript:alert(1)"), None);
        let query = ivs_schemas::catalogue::alarms::INGEST_FRAME_RATE.query().unwrap();
        assert_eq!(each_of(&query).unwrap(), "AVG(IngestFramerate) of each Channel");
    }
}
