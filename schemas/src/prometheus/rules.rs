//! Alert rules: one for each alarm of the catalogue, under the same name.

use std::fmt::Write as _;

use super::{CHANNEL, Kind, Own, family, own, scale, span, stand_in};
use crate::catalogue::{ALARMS, Alarm, Comparison, MissingData, Statistic, metrics};

/// Counters jump once an epoch; a shorter window would often see nothing.
const MIN_COUNTER_WINDOW_S: u32 = 300;

/// Returns the rules file, YAML.
#[must_use]
pub fn rules() -> String {
    let mut text = "\
# Generated from the alarms of schemas/src/catalogue; a test keeps the two equal.
# After a change: UPDATE_SCHEMAS=1 cargo test -p ivs-schemas
groups:
  - name: live-streaming
    rules:
"
    .to_owned();
    for alarm in ALARMS {
        let Alarm { name, .. } = alarm;
        let severity = if alarm.missing_data == MissingData::Breaching { "page" } else { "ticket" };
        let lines = [
            format!("    - alert: {name}"),
            "      expr: |-".to_owned(),
            format!("        {}", expression(alarm)),
            format!("      for: {}", span(wait_s(alarm))),
            "      labels:".to_owned(),
            format!("        severity: {severity}"),
            "      annotations:".to_owned(),
            format!("        summary: \"{}\"", alarm.description.replace('"', "'")),
            "        first: ivs-processor status".to_owned(),
            format!("        runbook_url: \"{{{{ $externalLabels.runbook_base }}}}/{name}.md\""),
        ];
        for line in lines {
            writeln!(text, "  {line}").expect("a text takes everything");
        }
    }
    text
}

/// Returns how long the expression must hold: CloudWatch wants M periods, the last of them just
/// over.
fn wait_s(alarm: &Alarm) -> u32 {
    match (alarm.missing_data, own(&alarm.metric)) {
        (MissingData::Breaching, _) => alarm.datapoints_to_alarm * alarm.period_s,
        // Their windows are all periods together already.
        (_, Some(Own::Share(..) | Own::Counter(_))) => 0,
        _ => (alarm.datapoints_to_alarm - 1) * alarm.period_s,
    }
}

fn expression(alarm: &Alarm) -> String {
    let metric = stand_in(&alarm.metric);
    // Thresholds are round numbers: six digits are enough and hide what binary fractions add.
    let limit = (alarm.threshold * scale(&metric) * 1e6).round() / 1e6;
    let moves = matches!(own(&metric), Some(Own::Counter(_))) && alarm.datapoints_to_alarm > 1;
    let compare = if moves {
        format!(">= {}", alarm.datapoints_to_alarm)
    } else {
        format!("{} {limit}", operator(alarm.comparison))
    };
    let value = match (family(&metric), own(&metric)) {
        (Some(family), _) if alarm.group_by.is_none() && alarm.statistic == Statistic::Average => {
            mean_of_viewers(&family.series(), &span(alarm.period_s))
        }
        (Some(family), _) => channel(&family.series(), family.kind, alarm),
        (None, Some(own)) => processor(own, alarm),
        (None, None) => unreachable!("a test gives every alarm a series"),
    };
    match (alarm.missing_data, own(&metric)) {
        (MissingData::Breaching, Some(Own::Sum(series))) => {
            format!("{value} {compare} or absent({series})")
        }
        _ => format!("{value} {compare}"),
    }
}

/// Returns the mean of a gauge over all channels, each weighed by its players: CloudWatch's series
/// without dimensions weighs by watch time, which workers do not expose.
fn mean_of_viewers(series: &str, window: &str) -> String {
    let players = family(&metrics::ACTIVE_PLAYERS).map(|players| players.series());
    let players = players.unwrap_or_default();
    let (value, weight) = (
        format!("avg_over_time({series}[{window}])"),
        format!("avg_over_time({players}[{window}])"),
    );
    format!("sum({value} * {weight}) / sum({weight} and {value})")
}

fn channel(series: &str, kind: Kind, alarm: &Alarm) -> String {
    let window = span(alarm.period_s);
    // Several workers may hold parts of one channel: the one that is worst counts.
    let worst = if alarm.comparison == Comparison::LessThanThreshold { "min" } else { "max" };
    match kind {
        Kind::Gauge => {
            let over = over_time(alarm.statistic);
            format!("{worst} by ({CHANNEL}) ({over}({series}[{window}]))")
        }
        Kind::Counter => format!("sum by ({CHANNEL}) (increase({series}[{window}]))"),
    }
}

fn processor(own: Own, alarm: &Alarm) -> String {
    let window = span(alarm.period_s);
    let counted = span(MIN_COUNTER_WINDOW_S.max(alarm.period_s * alarm.evaluation_periods));
    match own {
        // M of N periods: as many times it must have moved, for one move is seen for N periods.
        Own::Counter(series) if alarm.datapoints_to_alarm > 1 => {
            format!("sum by (instance) (changes({}))", within(&series, &counted))
        }
        Own::Counter(series) => {
            format!("sum by (instance) (increase({}))", within(&series, &counted))
        }
        Own::Largest(series, label) => {
            format!("max by ({label}) ({}({series}[{window}]))", over_time(alarm.statistic))
        }
        Own::Sum(series) => format!("sum({series})"),
        Own::Summary(name) => {
            format!("max(rate({name}_sum[{counted}]) / rate({name}_count[{counted}]))")
        }
        Own::Share(part, whole) => format!(
            "sum by (instance) (increase({})) / sum by (instance) (increase({}))",
            within(&part, &counted),
            within(&whole, &counted)
        ),
    }
}

fn within(selector: &str, window: &str) -> String {
    format!("{selector}[{window}]")
}

fn over_time(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Average => "avg_over_time",
        Statistic::Minimum => "min_over_time",
        Statistic::Sum => "sum_over_time",
        Statistic::Maximum | Statistic::P50 | Statistic::P95 => "max_over_time",
    }
}

fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::GreaterThanThreshold => ">",
        Comparison::GreaterThanOrEqualToThreshold => ">=",
        Comparison::LessThanThreshold => "<",
    }
}
