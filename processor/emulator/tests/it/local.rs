//! The paths of the endpoint itself: who may use them, and which calls they tell of.

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_emulator::{Config, Endpoint};
use serde_json::{Value, json};

use crate::clients::{self, http};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_access_key_was_used_for_is_told_as_iam_names_it() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let url = endpoint.url();
    clients::kinesis(url).list_shards().stream_name("none").send().await.unwrap_err();
    clients::kinesis(url).list_streams().send().await.unwrap();
    clients::kinesis(url).list_streams().send().await.unwrap();
    let get = clients::dynamodb(url).get_item().table_name("rows");
    get.key("id", AttributeValue::S("a".to_owned())).send().await.unwrap_err();
    clients::dynamodb(url).list_tables().send().await.unwrap();
    clients::cloudwatch(url).list_metrics().send().await.unwrap();
    clients::eventbridge(url).list_rules().send().await.unwrap();
    clients::ivs(url).list_streams().send().await.unwrap();

    let told = json!({
        "cloudwatch:ListMetrics": 1,
        "dynamodb:GetItem rows": 1,
        "dynamodb:ListTables": 1,
        "events:ListRules": 1,
        "ivs:ListStreams": 1,
        "kinesis:ListShards": 1,
        "kinesis:ListStreams": 2,
    });
    assert_eq!(json!(endpoint.calls("test")), told);
    assert!(endpoint.calls("other").is_empty());
    let (status, report) = http(url, "GET /_local/calls?key=test HTTP/1.1", b"");
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((status, report), (200, json!({ "calls": told, "leftOut": 0 })));
    assert_eq!(http(url, "GET /_local/calls HTTP/1.1", b"").0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_a_browser_shows_cannot_change_what_the_endpoint_does() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let rule = br#"{"kind":"throttle"}"#;
    let post = "POST /_local/faults HTTP/1.1\r\norigin: http://evil.test";
    assert_eq!(http(endpoint.url(), post, rule).0, 403);
    // Nothing was changed.
    clients::kinesis(endpoint.url()).list_streams().send().await.unwrap();
    assert_eq!(http(endpoint.url(), "POST /_local/faults HTTP/1.1", rule).0, 200);
    clients::kinesis(endpoint.url()).list_streams().send().await.unwrap_err();
}
