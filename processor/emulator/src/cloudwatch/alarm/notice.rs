//! The message of an alarm to an SNS topic.

use serde_json::{Value, json};

use super::decide::State;
use super::{Alarm, Change, arn};
use crate::cloudwatch::time::rfc3339;
use crate::service::Shared;

/// A message to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cloudwatch) struct Notice {
    pub(in crate::cloudwatch) topic_arn: String,
    pub(in crate::cloudwatch) subject: String,
    pub(in crate::cloudwatch) message: String,
}

/// Returns the messages that a change of state sends. Actions other than topics have nobody here.
pub(in crate::cloudwatch) fn notices(
    alarm: &Alarm,
    change: &Change,
    shared: &Shared,
) -> Vec<Notice> {
    let spec = &alarm.spec;
    if !spec.acts() {
        return Vec::new();
    }
    let actions = match change.to {
        State::Ok => &spec.ok_actions,
        State::Alarm => &spec.alarm_actions,
        State::InsufficientData => &spec.insufficient_data_actions,
    };
    let topics = actions.iter().filter(|action| action.starts_with("arn:aws:sns:"));
    topics
        .map(|topic| Notice {
            topic_arn: topic.clone(),
            subject: subject(alarm, change, shared),
            message: message(alarm, change, shared).to_string(),
        })
        .collect()
}

/// SNS takes subjects of up to 100 characters.
fn subject(alarm: &Alarm, change: &Change, shared: &Shared) -> String {
    let subject =
        format!("{}: \"{}\" in {}", change.to.as_str(), alarm.spec.alarm_name, shared.region);
    subject.chars().take(100).collect()
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
fn time(ms: i64) -> String {
    rfc3339(ms as f64 / 1_000.0)
}

fn message(alarm: &Alarm, change: &Change, shared: &Shared) -> Value {
    let spec = &alarm.spec;
    let definition = serde_json::to_value(spec).unwrap_or(Value::Null);
    let of_trigger = [
        "MetricName",
        "Namespace",
        "Statistic",
        "ExtendedStatistic",
        "Unit",
        "Dimensions",
        "Period",
        "EvaluationPeriods",
        "DatapointsToAlarm",
        "ComparisonOperator",
        "Threshold",
        "TreatMissingData",
        "Metrics",
    ];
    let trigger: serde_json::Map<String, Value> = of_trigger
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), definition.get(name)?.clone())))
        .collect();
    json!({
        "AlarmName": spec.alarm_name,
        "AlarmDescription": spec.alarm_description,
        "AWSAccountId": shared.account,
        "AlarmConfigurationUpdatedTimestamp": time(alarm.configured_ms),
        "NewStateValue": change.to.as_str(),
        "NewStateReason": change.reason,
        "StateChangeTime": time(change.at_ms),
        "Region": shared.region,
        "AlarmArn": arn(shared, &spec.alarm_name),
        "OldStateValue": change.from.as_str(),
        "OKActions": spec.ok_actions,
        "AlarmActions": spec.alarm_actions,
        "InsufficientDataActions": spec.insufficient_data_actions,
        "Trigger": trigger,
    })
}
