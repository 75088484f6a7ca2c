//! Alarms and the dashboard.

use aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Metric, MetricDataQuery, MetricStat, Statistic,
};

use super::super::answers::{Wanted as _, said, said_of_data};
use super::super::{Case, Found, World};
use super::NAMESPACE;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutMetricAlarm DescribeAlarms",
        name: "an alarm is described as it was put, and replaced by its next version",
        expected: "over 5, Sum of Frames; over 6, Sum of Frames",
        rule: "API_PutMetricAlarm: \"creates or updates an alarm\"; an update overwrites the previous one",
        run: |world| Box::pin(version_of_alarm(world)),
    },
    Case {
        calls: "PutMetricAlarm DescribeAlarms",
        name: "an alarm on metric math keeps its queries",
        expected: "e: m * 2, m",
        rule: "API_PutMetricAlarm, Metrics: an array of MetricDataQuery; API_MetricAlarm has it",
        run: |world| Box::pin(alarm_on_math(world)),
    },
    Case {
        calls: "DescribeAlarms PutMetricAlarm",
        name: "alarms are found by the beginning of their names",
        expected: "prefix-a prefix-b",
        rule: "API_DescribeAlarms, AlarmNamePrefix: alarms that have names that start with it",
        run: |world| Box::pin(by_prefix(world)),
    },
    Case {
        calls: "PutMetricAlarm",
        name: "an alarm has a period, and a number of them",
        expected: "refused, refused",
        rule: "API_PutMetricAlarm: EvaluationPeriods is required, \"Minimum value of 1\"; so is Period",
        run: |world| Box::pin(wrong_alarms(world)),
    },
    Case {
        calls: "DeleteAlarms DescribeAlarms",
        name: "alarms are deleted",
        expected: "taken; 0 left",
        rule: "API_DeleteAlarms: \"deletes the specified alarms\"",
        run: |world| Box::pin(deletion(world)),
    },
    Case {
        calls: "DescribeAlarms",
        name: "alarms that are not there are not described, and no error",
        expected: "0 alarms",
        rule: "API_DescribeAlarms, AlarmNames: information about the alarms of these names",
        run: |world| Box::pin(absent_alarm(world)),
    },
    Case {
        calls: "PutDashboard",
        name: "a dashboard is taken without messages",
        expected: "0 messages",
        rule: "API_PutDashboard, DashboardValidationMessages: empty if the dashboard is sound",
        run: |world| Box::pin(dashboard(world)),
    },
    Case {
        calls: "PutDashboard",
        name: "a dashboard is JSON",
        expected: "InvalidParameterInput",
        rule: "API_PutDashboard: InvalidParameterInput, \"some part of the dashboard data is invalid\"",
        run: |world| Box::pin(wrong_dashboard(world)),
    },
];

/// An alarm without a period.
fn unfinished(world: &World, name: &str, threshold: f64) -> PutMetricAlarmFluentBuilder {
    let put = world.cloudwatch.put_metric_alarm().alarm_name(name).threshold(threshold);
    put.comparison_operator(ComparisonOperator::GreaterThanThreshold).evaluation_periods(2)
}

fn alarm(world: &World, name: &str, threshold: f64) -> PutMetricAlarmFluentBuilder {
    let put = unfinished(world, name, threshold).namespace(NAMESPACE).metric_name("Frames");
    put.statistic(Statistic::Sum).period(60)
}

async fn version_of_alarm(world: &World) -> Found {
    let mut found = vec![];
    for threshold in [5.0, 6.0] {
        alarm(world, "version", threshold).send().await?;
        let described = world.cloudwatch.describe_alarms().alarm_names("version").send().await?;
        let alarms = described.metric_alarms();
        let alarm = alarms.first().filter(|_| alarms.len() == 1).wanted("one alarm")?;
        found.push(format!(
            "over {}, {} of {}",
            alarm.threshold().unwrap_or(f64::NAN),
            alarm.statistic().map_or("nothing", Statistic::as_str),
            alarm.metric_name().unwrap_or("nothing")
        ));
    }
    Ok(found.join("; "))
}

async fn alarm_on_math(world: &World) -> Found {
    let metric = Metric::builder().namespace(NAMESPACE).metric_name("Frames").build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let metric = MetricDataQuery::builder().id("m").metric_stat(stat).return_data(false);
    let expression = MetricDataQuery::builder().id("e").expression("m * 2").return_data(true);
    let put = unfinished(world, "math", 5.0).metrics(expression.build());
    put.metrics(metric.build()).send().await?;
    let described = world.cloudwatch.describe_alarms().alarm_names("math").send().await?;
    let alarm = described.metric_alarms().first().wanted("alarm")?;
    let mut queries: Vec<_> = alarm.metrics().iter().collect();
    queries.sort_by_key(|query| query.id());
    let shown = queries.iter().map(|query| {
        let id = query.id().unwrap_or_default();
        query.expression().map_or(id.to_owned(), |expression| format!("{id}: {expression}"))
    });
    let shown: Vec<_> = shown.collect();
    Ok(if shown.is_empty() { "no queries".to_owned() } else { shown.join(", ") })
}

async fn by_prefix(world: &World) -> Found {
    for name in ["prefix-a", "prefix-b", "other"] {
        alarm(world, name, 1.0).send().await?;
    }
    let described = world.cloudwatch.describe_alarms().alarm_name_prefix("prefix-").send().await?;
    let alarms = described.metric_alarms().iter();
    let mut names: Vec<_> = alarms.filter_map(|alarm| alarm.alarm_name()).collect();
    names.sort_unstable();
    Ok(names.join(" "))
}

async fn wrong_alarms(world: &World) -> Found {
    let without = unfinished(world, "wrong", 1.0).namespace(NAMESPACE).metric_name("Frames");
    let without = without.statistic(Statistic::Sum).send().await;
    let never = alarm(world, "wrong", 1.0).evaluation_periods(0).send().await;
    Ok(format!("{}, {}", said_of_data(&without), said_of_data(&never)))
}

async fn deletion(world: &World) -> Found {
    alarm(world, "deleted", 1.0).send().await?;
    let deleted = world.cloudwatch.delete_alarms().alarm_names("deleted").send().await;
    let left = world.cloudwatch.describe_alarms().alarm_names("deleted").send().await?;
    Ok(format!("{}; {} left", said(&deleted), left.metric_alarms().len()))
}

async fn absent_alarm(world: &World) -> Found {
    let described = world.cloudwatch.describe_alarms().alarm_names("absent").send().await?;
    Ok(format!("{} alarms", described.metric_alarms().len()))
}

async fn dashboard(world: &World) -> Found {
    let body = r##"{"widgets":[{"type":"text","x":0,"y":0,"width":6,"height":3,
        "properties":{"markdown":"# Contract"}}]}"##;
    let put = world.cloudwatch.put_dashboard().dashboard_name("Contract").dashboard_body(body);
    Ok(format!("{} messages", put.send().await?.dashboard_validation_messages().len()))
}

async fn wrong_dashboard(world: &World) -> Found {
    let put = world.cloudwatch.put_dashboard().dashboard_name("Wrong").dashboard_body("nonsense");
    Ok(said(&put.send().await))
}
