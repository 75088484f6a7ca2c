//! `local` creates the resources of `schemas/json/resources.json`, against which CDK is tested: so
//! a laptop and an account have the same tables, indexes, stream, bus, rules, topic, dashboard and
//! alarms.

use aws_sdk_cloudwatch::types::{ComparisonOperator, MetricAlarm, Statistic};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use serde_json::{Value, json};

use crate::process::{Program, Running};

const CONTRACT: &str = include_str!("../../schemas/json/resources.json");

#[tokio::test]
async fn local_creates_what_the_template_defines() {
    let (clients, _endpoint) = local(&[]).await;
    let want: Value = serde_json::from_str(CONTRACT).unwrap();
    for table in want["tables"].as_array().unwrap() {
        assert_eq!(&table_of(&clients, table["name"].as_str().unwrap()).await, table);
    }
    let stream = want["stream"].as_str().unwrap();
    let summary = clients.kinesis.describe_stream_summary().stream_name(stream).send().await;
    let summary = summary.unwrap().stream_description_summary.unwrap();
    let bus = want["domainBus"].as_str().unwrap();
    clients.eventbridge.describe_event_bus().name(bus).send().await.unwrap();
    for rule in want["rules"].as_array().unwrap() {
        assert_eq!(&rule_of(&clients, rule, &summary.stream_arn).await, rule);
    }
    let dashboard = want["dashboard"].as_str().unwrap();
    let body = clients.cloudwatch.get_dashboard().dashboard_name(dashboard).send().await.unwrap();
    let body: Value = serde_json::from_str(&body.dashboard_body.unwrap()).unwrap();
    let titles = |widgets: &[Value], pointer: &str| -> Vec<String> {
        let titles = widgets.iter().filter_map(|widget| widget.pointer(pointer)?.as_str());
        titles.map(str::to_owned).collect()
    };
    let sections = want["dashboardSections"].as_array().unwrap();
    let rows = sections.iter().flat_map(|section| section["rows"].as_array().unwrap());
    let wanted: Vec<Value> = rows.flat_map(|row| row.as_array().unwrap().clone()).collect();
    let drawn = titles(body["widgets"].as_array().unwrap(), "/properties/title");
    assert_eq!(drawn, titles(&wanted, "/title"));
    let wanted = want["alarms"].as_array().unwrap();
    let always: Vec<&Value> = wanted.iter().filter(|alarm| alarm["onlyWith"].is_null()).collect();
    check_alarms(&clients, &always, &want).await;
}

/// An alarm that takes a setting is there with it, and it is the only one more.
#[tokio::test]
async fn an_alarm_of_what_is_off_by_default_comes_with_its_setting() {
    let (clients, _endpoint) = local(&["--set", "reconcile.enabled=true"]).await;
    let want: Value = serde_json::from_str(CONTRACT).unwrap();
    let wanted: Vec<&Value> = want["alarms"].as_array().unwrap().iter().collect();
    assert!(wanted.iter().any(|alarm| alarm["onlyWith"] == "reconcile.enabled"));
    check_alarms(&clients, &wanted, &want).await;
}

/// Starts the embedded AWS; it lives as long as what is returned.
async fn local(settings: &[&str]) -> (Clients, Running) {
    let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--state", ":memory:"])
        .args(settings)
        .start();
    let (endpoint_url, endpoint) = endpoint.wait_for_ready();
    (clients(&Aws { endpoint_url, ..Aws::default() }).await, endpoint)
}

async fn check_alarms(clients: &Clients, wanted: &[&Value], contract: &Value) {
    let topic = contract["topic"].as_str().unwrap();
    let topic = format!("arn:aws:sns:us-east-1:000000000000:{topic}");
    let described = clients.cloudwatch.describe_alarms().send().await.unwrap();
    let alarms = described.metric_alarms.unwrap();
    assert_eq!(alarms.len(), wanted.len());
    for want in wanted {
        let alarm = alarms.iter().find(|alarm| alarm.alarm_name() == want["name"].as_str());
        let alarm = alarm.unwrap_or_else(|| panic!("{want} is missing"));
        assert_eq!(alarm_of(alarm), alarm_wanted(want));
        assert_eq!(
            (alarm.alarm_actions(), alarm.ok_actions()),
            (&[topic.clone()][..], &[topic.clone()][..])
        );
    }
}

/// Returns what an alarm watches and when it rings, in the contract's words.
fn alarm_of(alarm: &MetricAlarm) -> Value {
    let query = alarm.metrics().first();
    let series = match query {
        Some(query) => json!({ "query": query.expression(), "periodS": query.period() }),
        None => json!({
            "metric": [alarm.namespace(), alarm.metric_name()],
            "statistic": alarm.statistic().map(Statistic::as_str),
            "periodS": alarm.period(),
        }),
    };
    json!({
        "series": series,
        "comparison": alarm.comparison_operator().map(ComparisonOperator::as_str),
        "threshold": alarm.threshold(),
        "evaluationPeriods": alarm.evaluation_periods(),
        "datapointsToAlarm": alarm.datapoints_to_alarm(),
        "missingData": alarm.treat_missing_data(),
    })
}

/// Returns the same of the contract.
fn alarm_wanted(want: &Value) -> Value {
    let series = match want["query"].as_str() {
        Some(query) => json!({ "query": query, "periodS": want["periodS"] }),
        None => json!({
            "metric": [want["metric"]["namespace"], want["metric"]["name"]],
            "statistic": want["statistic"],
            "periodS": want["periodS"],
        }),
    };
    json!({
        "series": series,
        "comparison": want["comparison"],
        "threshold": want["threshold"],
        "evaluationPeriods": want["evaluationPeriods"],
        "datapointsToAlarm": want["datapointsToAlarm"],
        "missingData": want["missingData"],
    })
}

async fn table_of(clients: &Clients, name: &str) -> Value {
    let table = clients.dynamodb.describe_table().table_name(name).send().await.unwrap();
    let table = table.table.unwrap();
    let kinds = table.attribute_definitions.unwrap();
    let key = |name: &str| {
        let kind = kinds.iter().find(|kind| kind.attribute_name == name).unwrap();
        json!({ "name": name, "type": kind.attribute_type.as_str() })
    };
    let keys = table.key_schema.unwrap();
    let mut indexes = vec![];
    for index in table.global_secondary_indexes.unwrap_or_default() {
        let keys = index.key_schema.unwrap();
        indexes.push(json!({
            "name": index.index_name.unwrap(),
            "partitionKey": key(&keys[0].attribute_name),
            "sortKey": key(&keys[1].attribute_name),
            "projection": index.projection.unwrap().projection_type.unwrap().as_str(),
        }));
    }
    let ttl = clients.dynamodb.describe_time_to_live().table_name(name).send().await.unwrap();
    let ttl = ttl.time_to_live_description.and_then(|ttl| ttl.attribute_name);
    json!({
        "name": name,
        "partitionKey": key(&keys[0].attribute_name),
        "sortKey": keys.get(1).map(|sort| key(&sort.attribute_name)),
        "indexes": indexes,
        "ttlAttribute": ttl,
    })
}

async fn rule_of(clients: &Clients, want: &Value, stream_arn: &str) -> Value {
    let name = want["name"].as_str().unwrap();
    let rule = clients.eventbridge.describe_rule().name(name).send().await.unwrap();
    let targets = clients.eventbridge.list_targets_by_rule().rule(name).send().await.unwrap();
    let targets = targets.targets.unwrap();
    assert_eq!(targets.len(), 1, "{name} has one target");
    assert_eq!(targets[0].arn, stream_arn, "{name} goes to the stream");
    let path = targets[0].kinesis_parameters.as_ref().map(|kinesis| &kinesis.partition_key_path);
    json!({
        "name": name,
        "description": rule.description.unwrap(),
        "pattern": serde_json::from_str::<Value>(&rule.event_pattern.unwrap()).unwrap(),
        "partitionKeyPath": path,
    })
}
