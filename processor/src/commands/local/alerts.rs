//! Alarms, topic and dashboard of `local`, from the same catalogue as CDK's.

use anyhow::Context as _;
use aws_calls::explain;
use aws_sdk_cloudwatch::types::{ComparisonOperator, StandardUnit, Statistic as AwsStatistic};
use ivs_emulator::{Endpoint, Notices};
use ivs_schemas::catalogue::{ALARMS, Alarm, EXTERNAL, Statistic};
use ivs_schemas::names;

use super::dashboard;
use crate::cloud::Clients;

/// What the topic is called in messages, as in the CDK stack.
const DISPLAY_NAME: &str = "ライブ配信アラート";

/// Creates the topic with this program as its subscriber, every alarm of the catalogue with the
/// topic as its action, and the dashboard. Returns the topic's messages.
///
/// # Errors
/// Names the resource that could not be created.
pub(super) async fn create(clients: &Clients, endpoint: &Endpoint) -> anyhow::Result<Notices> {
    let (topic, notices) = endpoint
        .watch_topic(names::TOPIC, DISPLAY_NAME)
        .with_context(|| format!("topic {}", names::TOPIC))?;
    for alarm in ALARMS {
        put(clients, alarm, &topic).await.with_context(|| format!("alarm {}", alarm.name))?;
    }
    clients
        .cloudwatch
        .put_dashboard()
        .dashboard_name(names::DASHBOARD)
        .dashboard_body(dashboard::body())
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("dashboard {}: {}", names::DASHBOARD, explain(&error)))?;
    Ok(notices)
}

async fn put(clients: &Clients, alarm: &Alarm, topic: &str) -> anyhow::Result<()> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let description =
        format!("{}\n\nRunbook: docs/operations/{}.md", alarm.description, alarm.name);
    let mut request = clients
        .cloudwatch
        .put_metric_alarm()
        .alarm_name(alarm.name)
        .alarm_description(description)
        .comparison_operator(ComparisonOperator::from(alarm.comparison.as_str()))
        .threshold(alarm.threshold)
        .evaluation_periods(number(alarm.evaluation_periods))
        .datapoints_to_alarm(number(alarm.datapoints_to_alarm))
        .treat_missing_data(alarm.missing_data.as_str())
        .alarm_actions(topic)
        .ok_actions(topic)
        .namespace(alarm.metric.namespace.as_str())
        .metric_name(alarm.metric.name)
        .period(number(alarm.period_s));
    request = match alarm.statistic {
        Statistic::P50 | Statistic::P95 => request.extended_statistic(alarm.statistic.as_str()),
        statistic => request.statistic(AwsStatistic::from(statistic.as_str())),
    };
    // A unit that nobody sends would silence the alarm: it is named where this program sends.
    if !EXTERNAL.contains(&alarm.metric) {
        request = request.unit(StandardUnit::from(alarm.metric.unit.as_str()));
    }
    request.send().await.map_err(|error| anyhow::anyhow!("{}", explain(&error)))?;
    Ok(())
}
