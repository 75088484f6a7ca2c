//! Alarms, topic and dashboard of `local`, from the same catalogue as CDK's.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use aws_calls::explain;
use aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Datapoint, MetricDataQuery, StandardUnit, Statistic as AwsStatistic,
};
use ivs_emulator::{Endpoint, Notices};
use ivs_schemas::catalogue::{ALARMS, Alarm, EXTERNAL, MissingData, Statistic, Switch};
use ivs_schemas::names;

use super::dashboard;
use crate::cloud::Clients;
use crate::config::Config;

/// The topic's name in messages, as in the CDK stack.
const DISPLAY_NAME: &str = "ライブ配信アラート";

/// How often the first heartbeat of a worker is looked for.
const LOOK: Duration = Duration::from_secs(2);

/// The alarms that are still to be created, and what they notify.
pub(super) struct Later {
    topic: String,
    alarms: Vec<&'static Alarm>,
}

/// Creates the topic with this program as its subscriber, every alarm of the catalogue whose setting is
/// on with the topic as its action, and the dashboard. Returns the topic's messages, and the alarms to
/// which silence is bad: with a worker they wait for its first word, or they would ring at every start.
///
/// # Errors
/// Names the resource that could not be created.
pub(super) async fn create(
    clients: &Clients,
    endpoint: &Endpoint,
    config: &Config,
    has_worker: bool,
) -> anyhow::Result<(Notices, Later)> {
    let (topic, notices) = endpoint
        .watch_topic(names::TOPIC, DISPLAY_NAME)
        .with_context(|| format!("topic {}", names::TOPIC))?;
    let waits = |alarm: &&Alarm| has_worker && alarm.missing_data == MissingData::Breaching;
    let (wanted, off): (Vec<&Alarm>, Vec<&Alarm>) =
        ALARMS.iter().partition(|alarm| is_wanted(alarm, config));
    let (later, now): (Vec<&Alarm>, Vec<&Alarm>) = wanted.into_iter().partition(waits);
    for alarm in now {
        put(clients, alarm, &topic).await?;
    }
    let old = later.iter().chain(&off).map(|alarm| alarm.name.to_owned()).collect();
    let deleted = clients.cloudwatch.delete_alarms().set_alarm_names(Some(old)).send().await;
    deleted.map_err(|error| anyhow::anyhow!("alarms of an earlier run: {}", explain(&error)))?;
    clients
        .cloudwatch
        .put_dashboard()
        .dashboard_name(names::DASHBOARD)
        .dashboard_body(dashboard::body())
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("dashboard {}: {}", names::DASHBOARD, explain(&error)))?;
    Ok((notices, Later { topic, alarms: later }))
}

/// Returns whether the setting that an alarm takes is on.
fn is_wanted(alarm: &Alarm, config: &Config) -> bool {
    match alarm.only_with {
        None => true,
        Some(Switch::Reconcile) => config.reconcile.enabled,
    }
}

impl Later {
    /// Creates each alarm once its metric has a value of this run, then never returns.
    pub(super) async fn create(mut self, clients: &Clients) {
        let started = crate::clock::wall();
        while !self.alarms.is_empty() {
            tokio::time::sleep(LOOK).await;
            let mut waiting = Vec::new();
            for alarm in self.alarms {
                let has_begun = has_value(clients, alarm, started).await;
                if !has_begun || put(clients, alarm, &self.topic).await.is_err() {
                    waiting.push(alarm);
                }
            }
            self.alarms = waiting;
        }
        std::future::pending::<()>().await;
    }
}

/// Returns whether the series of an alarm has a value since a time. What cannot be asked is asked
/// again.
async fn has_value(clients: &Clients, alarm: &Alarm, since: SystemTime) -> bool {
    let values = clients
        .cloudwatch
        .get_metric_statistics()
        .namespace(alarm.metric.namespace.as_str())
        .metric_name(alarm.metric.name)
        .statistics(AwsStatistic::SampleCount)
        .period(60)
        .start_time((since - Duration::from_secs(60)).into())
        .end_time(crate::clock::wall().into())
        .send()
        .await;
    // An alarm looks at minutes that are over.
    let over_s = DateTime::from(crate::clock::wall()).secs() - 60;
    let is_over = |point: &Datapoint| point.timestamp().is_some_and(|at| at.secs() <= over_s);
    values.is_ok_and(|values| values.datapoints().iter().any(is_over))
}

async fn put(clients: &Clients, alarm: &Alarm, topic: &str) -> anyhow::Result<()> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let description = format!(
        "{}\n\nFirst: ivs-processor status\nRunbook: docs/operations/{}.md in the sources",
        alarm.description, alarm.name
    );
    let request = clients
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
        .ok_actions(topic);
    let request = match alarm.query() {
        Some(query) => request.metrics(
            MetricDataQuery::builder()
                .id("expr_1")
                .expression(query)
                .period(number(alarm.period_s))
                .return_data(true)
                .build(),
        ),
        None => of_fleet(request, alarm),
    };
    let put = request.send().await;
    put.map_err(|error| anyhow::anyhow!("alarm {}: {}", alarm.name, explain(&error)))?;
    Ok(())
}

/// On the series without dimensions.
fn of_fleet(request: PutMetricAlarmFluentBuilder, alarm: &Alarm) -> PutMetricAlarmFluentBuilder {
    let request = request
        .namespace(alarm.metric.namespace.as_str())
        .metric_name(alarm.metric.name)
        .period(i32::try_from(alarm.period_s).unwrap_or(i32::MAX));
    // A unit that nobody sends would silence the alarm: it is named where this program sends.
    let request = match EXTERNAL.contains(&alarm.metric) {
        true => request,
        false => request.unit(StandardUnit::from(alarm.metric.unit.as_str())),
    };
    match alarm.statistic {
        Statistic::P50 | Statistic::P95 => request.extended_statistic(alarm.statistic.as_str()),
        statistic => request.statistic(AwsStatistic::from(statistic.as_str())),
    }
}
