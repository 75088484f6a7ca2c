//! What `local` creates is what `schemas/json/resources.json` says, which is what CDK is tested
//! against: so a laptop and an account have the same tables, indexes, stream, bus and rules.

use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use serde_json::{Value, json};

use crate::process::Program;

#[tokio::test]
async fn local_creates_what_the_template_defines() {
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (endpoint_url, _endpoint) = endpoint.wait_for_ready();
    let aws = Aws { endpoint_url, ..Aws::default() };
    let clients = clients(&aws).await;
    let text = include_str!("../../schemas/json/resources.json");
    let want: Value = serde_json::from_str(text).unwrap();
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
