//! Where callers notice that it is not AWS: ARNs, tags, refusals, and forms that AWS takes too.

use aws_sdk_cloudwatch::types::{
    AlarmType, ComparisonOperator, MetricDataQuery, StateValue, Tag as MetricTag,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, Tag,
};
use aws_sdk_eventbridge::types::Tag as RuleTag;
use aws_sdk_kinesis::types::{MetricsName, ShardIteratorType};
use ivs_emulator::{Clock, Config, Endpoint, Telemetry};
use serde_json::Value;

use crate::clients::{self, code};

async fn start() -> Endpoint {
    let telemetry = Some(Telemetry { stream: "s".to_owned(), api_key: "k".to_owned() });
    let region = "ap-northeast-1".to_owned();
    Endpoint::start(Config { region, telemetry, ..Config::default() }).await.unwrap()
}

async fn stream(endpoint: &Endpoint) -> aws_sdk_kinesis::Client {
    let kinesis = clients::kinesis(endpoint.url());
    kinesis
        .create_stream()
        .stream_name("s")
        .shard_count(2)
        .tags("team", "live")
        .send()
        .await
        .unwrap();
    loop {
        let summary = kinesis.describe_stream_summary().stream_name("s").send().await.unwrap();
        if summary.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE" {
            return kinesis;
        }
    }
}

#[tokio::test]
async fn a_stream_has_tags_and_shard_level_metrics() {
    let endpoint = start().await;
    let kinesis = stream(&endpoint).await;
    kinesis.add_tags_to_stream().stream_name("s").tags("stage", "dev").send().await.unwrap();
    let page = kinesis.list_tags_for_stream().stream_name("s").limit(1).send().await.unwrap();
    assert_eq!((page.tags[0].key.as_str(), page.has_more_tags), ("stage", true));
    let rest = kinesis.list_tags_for_stream().stream_name("s").exclusive_start_tag_key("stage");
    assert_eq!(rest.send().await.unwrap().tags[0].value.as_deref(), Some("live"));
    let arn = "arn:aws:kinesis:ap-northeast-1:000000000000:stream/s";
    kinesis.untag_resource().resource_arn(arn).tag_keys("team").send().await.unwrap();
    let left = kinesis.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(left.tags.unwrap().len(), 1);
    let bad = kinesis.add_tags_to_stream().stream_name("s").tags("aws:x", "y").send().await;
    assert_eq!(code(bad), "InvalidArgumentException");

    let on = kinesis.enable_enhanced_monitoring().stream_name("s");
    let on = on.shard_level_metrics(MetricsName::All).send().await.unwrap();
    assert_eq!(on.desired_shard_level_metrics.unwrap().len(), 7);
    assert!(on.current_shard_level_metrics.unwrap().is_empty());
}

#[tokio::test]
async fn a_shard_may_be_named_in_short_and_a_body_left_out() {
    let endpoint = start().await;
    let kinesis = stream(&endpoint).await;
    let iterator = kinesis.get_shard_iterator().stream_name("s").shard_id("shardId-1");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
    assert!(iterator.unwrap().shard_iterator.is_some());
    let url = endpoint.url().to_owned();
    let (status, body) = tokio::task::spawn_blocking(move || {
        let head = "POST / HTTP/1.1\r\nx-amz-target: Kinesis_20131202.ListStreams";
        clients::http(&url, head, b"")
    })
    .await
    .unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn tables_have_the_region_in_their_arns_and_tags_by_them() {
    let endpoint = start().await;
    let dynamodb = clients::dynamodb(endpoint.url());
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let of = AttributeDefinition::builder().attribute_name("id");
    let created = dynamodb
        .create_table()
        .table_name("tab")
        .key_schema(key.build().unwrap())
        .attribute_definitions(of.attribute_type(ScalarAttributeType::S).build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    let arn = created.table_description.unwrap().table_arn.unwrap();
    assert_eq!(arn, "arn:aws:dynamodb:ap-northeast-1:000000000000:table/tab");
    let tag = Tag::builder().key("team").value("live").build().unwrap();
    dynamodb.tag_resource().resource_arn(&arn).tags(tag).send().await.unwrap();
    let tags = dynamodb.list_tags_of_resource().resource_arn(&arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap()[0].value, "live");
    let backups = dynamodb.describe_continuous_backups().table_name("tab").send().await.unwrap();
    let backups = backups.continuous_backups_description.unwrap();
    assert_eq!(backups.continuous_backups_status.as_str(), "DISABLED");
    let absent = dynamodb.describe_continuous_backups().table_name("absent").send().await;
    assert_eq!(code(absent), "TableNotFoundException");
}

#[tokio::test]
async fn rules_and_alarms_have_tags() {
    let endpoint = start().await;
    let events = clients::eventbridge(endpoint.url());
    let tag = RuleTag::builder().key("team").value("live").build().unwrap();
    let rule = events.put_rule().name("r").event_pattern(r#"{"source":["a"]}"#).tags(tag);
    let arn = rule.send().await.unwrap().rule_arn.unwrap();
    let tags = events.list_tags_for_resource().resource_arn(&arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap()[0].key, "team");
    events.delete_rule().name("r").send().await.unwrap();
    let gone = events.list_tags_for_resource().resource_arn(&arn).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");

    let cloudwatch = clients::cloudwatch(endpoint.url());
    plain_alarm(&cloudwatch, "a", 5.0).await;
    let arn = "arn:aws:cloudwatch:ap-northeast-1:000000000000:alarm:a";
    let tag = MetricTag::builder().key("team").value("live").build();
    cloudwatch.tag_resource().resource_arn(arn).tags(tag).send().await.unwrap();
    let tags = cloudwatch.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap()[0].value.as_deref(), Some("live"));
}

async fn plain_alarm(cloudwatch: &aws_sdk_cloudwatch::Client, name: &str, threshold: f64) {
    cloudwatch
        .put_metric_alarm()
        .alarm_name(name)
        .namespace("n")
        .metric_name("m")
        .statistic(aws_sdk_cloudwatch::types::Statistic::Sum)
        .period(60)
        .evaluation_periods(1)
        .threshold(threshold)
        .comparison_operator(ComparisonOperator::GreaterThanThreshold)
        .send()
        .await
        .unwrap();
}

async fn tick(endpoint: &Endpoint) {
    let url = endpoint.url().to_owned();
    tokio::task::spawn_blocking(move || clients::http(&url, "POST /_local/tick HTTP/1.1", b""))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_composite_alarm_follows_its_children() {
    let endpoint = start().await;
    let cloudwatch = clients::cloudwatch(endpoint.url());
    plain_alarm(&cloudwatch, "child", 5.0).await;
    let rule = "ALARM(\"child\") AND NOT ALARM(absent)";
    let put = cloudwatch.put_composite_alarm().alarm_name("all").alarm_rule(rule);
    put.send().await.unwrap();
    let nonsense = cloudwatch.put_composite_alarm().alarm_name("x").alarm_rule("MAYBE(a)");
    assert_eq!(code(nonsense.send().await), "ValidationError");
    let state = async || {
        let all = cloudwatch.describe_alarms().alarm_types(AlarmType::CompositeAlarm);
        let all = all.send().await.unwrap().composite_alarms.unwrap();
        assert_eq!(all.len(), 1);
        all[0].state_value.clone().unwrap()
    };
    tick(&endpoint).await;
    assert_eq!(state().await, StateValue::Ok);
    let set = cloudwatch.set_alarm_state().alarm_name("child").state_reason("a test");
    set.state_value(StateValue::Alarm).send().await.unwrap();
    assert_eq!(state().await, StateValue::Alarm);
    let plain = cloudwatch.describe_alarms().send().await.unwrap();
    assert_eq!(plain.metric_alarms.unwrap().len(), 1);
    assert!(plain.composite_alarms.unwrap_or_default().is_empty(), "only those asked for");
}

#[tokio::test]
async fn an_alarm_on_every_channel_names_the_one_that_breaches() {
    let clock = Clock::manual(1_772_000_040_000);
    let config = Config { clock: clock.clone(), ..Config::default() };
    let endpoint = Endpoint::start(config).await.unwrap();
    let cloudwatch = clients::cloudwatch(endpoint.url());
    for (channel, rate) in [("good", 30.0), ("bad", 12.0)] {
        let metric = ("AWS/IVS", "IngestFramerate");
        endpoint.play_metric(metric, &[("Channel", channel)], "Count/Second", rate).unwrap();
    }
    let query = MetricDataQuery::builder()
        .id("q")
        .expression(
            "SELECT AVG(IngestFramerate) FROM SCHEMA(\"AWS/IVS\", Channel) GROUP BY Channel \
             ORDER BY AVG() ASC",
        )
        .period(60);
    cloudwatch
        .put_metric_alarm()
        .alarm_name("slow")
        .metrics(query.build())
        .evaluation_periods(3)
        .datapoints_to_alarm(1)
        .threshold(20.0)
        .comparison_operator(ComparisonOperator::LessThanThreshold)
        .send()
        .await
        .unwrap();
    // The minute that is running counts once it is over.
    clock.advance(60_000);
    tick(&endpoint).await;
    let described = cloudwatch.describe_alarms().alarm_names("slow").send().await.unwrap();
    let alarm = described.metric_alarms.unwrap().remove(0);
    assert_eq!(alarm.state_value, Some(StateValue::Alarm));
    assert!(alarm.state_reason.unwrap().starts_with("bad: Threshold Crossed"));
}

/// Returns a request with a signature for a service, and a content type.
async fn ask(
    endpoint: &Endpoint,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let lines = headers.iter().map(|(name, value)| format!("\r\n{name}: {value}"));
    let head = format!("{line} HTTP/1.1{}", lines.collect::<String>());
    let (url, body) = (endpoint.url().to_owned(), body.to_owned());
    let answer = tokio::task::spawn_blocking(move || clients::http(&url, &head, body.as_bytes()));
    let (status, body) = answer.await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn services_that_are_absent_refuse_in_their_own_protocol() {
    let endpoint = start().await;
    let signed = |service: &str| {
        format!("AWS4-HMAC-SHA256 Credential=t/20260301/us-east-1/{service}/aws4_request, x")
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let iam = signed("iam");
    let (status, xml) =
        ask(&endpoint, "POST /", &[("authorization", &iam), form], "Action=ListUsers").await;
    assert_eq!(status, 400);
    assert!(
        xml.contains("<Code>InvalidAction</Code>") && xml.contains("no service `iam`"),
        "{xml}"
    );
    let s3 = signed("s3");
    let (status, xml) = ask(&endpoint, "GET /bucket/key", &[("authorization", &s3)], "").await;
    assert_eq!(status, 501);
    assert!(xml.contains("<Error><Code>NotImplemented</Code>"), "{xml}");
    let logs = signed("logs");
    let target = ("x-amz-target", "Logs_20140328.DescribeLogGroups");
    let (_, json) = ask(&endpoint, "POST /", &[("authorization", &logs), target], "{}").await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["__type"], "UnknownOperationException");
    let sns = signed("sns");
    let (_, xml) =
        ask(&endpoint, "POST /", &[("authorization", &sns), form], "Action=Nonsense").await;
    assert!(xml.contains("<Code>InvalidAction</Code>"), "{xml}");
}

#[tokio::test]
async fn a_visitor_is_told_what_this_is() {
    let endpoint = start().await;
    let (status, text) = ask(&endpoint, "GET /", &[], "").await;
    assert_eq!(status, 200);
    for part in ["embedded AWS", "ap-northeast-1", "AWS_ENDPOINT_URL", "/_local/sns"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn telemetry_goes_into_the_stream_as_through_api_gateway() {
    let endpoint = start().await;
    let kinesis = stream(&endpoint).await;
    let record = r#"{"type":"player_telemetry","eventId":"e","sessionId":"st-1","channelId":"c","playerId":"p","timestamp":1}"#;
    let body = format!("{{\"records\":[{record},{record}]}}");
    let key = ("x-api-key", "k");
    let (status, answer) = ask(&endpoint, "POST /v1/telemetry", &[key], &body).await;
    assert_eq!(
        (status, answer.as_str()),
        (200, r#"{"failed":0,"records":[{"stored":true},{"stored":true}]}"#)
    );
    let (status, answer) = ask(&endpoint, "POST /telemetry", &[], &body).await;
    assert_eq!((status, answer.as_str()), (403, r#"{"message":"Forbidden"}"#));
    let (status, _) = ask(&endpoint, "OPTIONS /telemetry", &[("origin", "http://x")], "").await;
    assert_eq!(status, 204);
    let fault = r#"{"kind":"throttle","operation":"PutRecords","count":1}"#;
    ask(&endpoint, "POST /_local/faults", &[], fault).await;
    assert_eq!(ask(&endpoint, "POST /telemetry", &[key], &body).await.0, 503);
    let mut found = Vec::new();
    for shard in ["shardId-0", "shardId-1"] {
        let iterator = kinesis.get_shard_iterator().stream_name("s").shard_id(shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        let records =
            kinesis.get_records().shard_iterator(iterator.unwrap().shard_iterator.unwrap());
        found.extend(records.send().await.unwrap().records);
    }
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].data.as_ref(), record.as_bytes());
    assert_eq!(found[0].partition_key.as_deref(), Some("st-1:p"));
}

#[tokio::test]
async fn whoever_runs_the_endpoint_hears_its_topic() {
    let endpoint = start().await;
    let (arn, mut notices) = endpoint.watch_topic("alerts", "Alerts").unwrap();
    assert_eq!(arn, "arn:aws:sns:ap-northeast-1:000000000000:alerts");
    let authorization = "AWS4-HMAC-SHA256 Credential=t/20260301/us-east-1/sns/aws4_request, x";
    let form = format!("Action=Publish&TopicArn={arn}&Subject=hello&Message=world");
    let (status, _) = ask(&endpoint, "POST /", &[("authorization", authorization)], &form).await;
    assert_eq!(status, 200);
    let notice = notices.recv().await.unwrap();
    assert_eq!((notice.subject.as_str(), notice.message.as_str()), ("hello", "world"));
    let again = endpoint.watch_topic("alerts", "Alerts").unwrap();
    assert_eq!(again.0, arn);
    let form = format!("Action=ListSubscriptionsByTopic&TopicArn={arn}");
    let (_, xml) = ask(&endpoint, "POST /", &[("authorization", authorization)], &form).await;
    assert_eq!(xml.matches("<SubscriptionArn>").count(), 1, "{xml}");
}
