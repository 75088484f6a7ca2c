//! Entries, rules, and what their targets receive.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{InputTransformer, PutEventsRequestEntry, RuleState, Target};
use ivs_emulator::{Config, State};
use serde_json::json;

use super::{Local, STREAM, entry, stream_target};
use crate::clients::code;

const CHANNEL: &str = "arn:aws:ivs:us-east-1:000000000000:channel/abc";

#[tokio::test]
async fn the_target_receives_the_whole_envelope_under_the_key_of_the_path() {
    let local = Local::start().await;
    local.put_rule("ivs", r#"{"source":["aws.ivs"],"detail-type":[{"prefix":"IVS "}]}"#).await;
    let detail = r#"{ "event_name": "Stream Start", "n": 1.50 }"#;
    let answer = local
        .put(vec![
            entry(detail).resources(CHANNEL).time(DateTime::from_secs(1_772_366_000)).build(),
            entry(r#"{"event_name":"Limit"}"#).build(),
            PutEventsRequestEntry::builder().source("x").detail_type("y").detail("{}").build(),
        ])
        .await;
    assert_eq!(answer.failed_entry_count(), 0);
    let ids: Vec<&str> = answer.entries().iter().filter_map(|entry| entry.event_id()).collect();
    let received = local.received().await;
    assert_eq!(received.len(), 2, "the third entry is of another source");
    assert_eq!(received[0].0, CHANNEL);
    assert_eq!(
        received[0].1,
        json!({
            "version": "0",
            "id": ids[0],
            "detail-type": "IVS Stream State Change",
            "source": "aws.ivs",
            "account": "000000000000",
            "time": "2026-03-01T11:53:20Z",
            "region": "us-east-1",
            "resources": [CHANNEL],
            "detail": {"event_name": "Stream Start", "n": 1.5},
        })
    );
    assert_eq!(received[1].0, ids[1], "an absent path falls back to the event's id");
    assert_eq!(received[1].1["time"], "2026-03-01T12:00:00Z");
    assert_eq!(received[1].1["resources"], json!([]));
}

#[tokio::test]
async fn entries_are_refused_one_by_one_and_requests_as_a_whole() {
    let local = Local::start_with(Config { admit_aws_sources: false, ..Config::default() }).await;
    let own = || PutEventsRequestEntry::builder().source("own").detail_type("t").detail("{}");
    let answer = local
        .put(vec![
            own().build(),
            own().detail("{").build(),
            own().detail("[]").build(),
            own().set_detail(None).build(),
            own().set_source(None).build(),
            own().detail_type("").build(),
            own().source("aws.ivs").build(),
            own().event_bus_name("nowhere").build(),
        ])
        .await;
    assert_eq!(answer.failed_entry_count(), 6);
    let codes: Vec<&str> =
        answer.entries().iter().map(|entry| entry.error_code().unwrap_or("ok")).collect();
    assert_eq!(
        codes,
        [
            "ok",
            "MalformedDetail",
            "MalformedDetail",
            "InvalidArgument",
            "InvalidArgument",
            "InvalidArgument",
            "NotAuthorizedForSourceException",
            // For a bus that is not there: taken, and lost.
            "ok",
        ]
    );
    let put = |entries| local.client.put_events().set_entries(Some(entries)).send();
    assert!(put(vec![own().build(); 10]).await.is_ok());
    assert_eq!(code(put(vec![own().build(); 11]).await), "ValidationException");
    assert_eq!(code(put(Vec::new()).await), "ValidationException");
    let large = own().detail(format!("{{\"x\":\"{}\"}}", "x".repeat(110_000))).build();
    assert!(put(vec![large.clone(); 9]).await.is_ok());
    assert_eq!(code(put(vec![large; 10]).await), "ValidationException");
}

#[tokio::test]
async fn rules_are_switched_changed_listed_and_deleted() {
    let local = Local::start().await;
    local.put_rule("a", r#"{"source":["aws.ivs"]}"#).await;
    local.put_rule("b", r#"{"source":["other"]}"#).await;
    let one = || vec![entry("{}").resources(CHANNEL).build()];
    local.client.disable_rule().name("a").send().await.unwrap();
    local.put(one()).await;
    assert_eq!(local.received().await.len(), 0);
    local.client.enable_rule().name("a").send().await.unwrap();
    local.put(one()).await;
    assert_eq!(local.received().await.len(), 1);
    // A changed rule keeps its targets.
    let change = local.client.put_rule().name("b").event_pattern(r#"{"source":["aws.ivs"]}"#);
    change.description("all").send().await.unwrap();
    local.put(one()).await;
    assert_eq!(local.received().await.len(), 3);
    let listed = local.client.list_rules().name_prefix("b").send().await.unwrap();
    assert_eq!(listed.rules()[0].description(), Some("all"));
    assert_eq!(listed.rules()[0].state(), Some(&RuleState::Enabled));
    let targets = local.client.list_targets_by_rule().rule("b").send().await.unwrap();
    assert_eq!(targets.targets(), [stream_target()]);

    let delete = || local.client.delete_rule().name("b").send();
    assert_eq!(code(delete().await), "ValidationException");
    local.client.remove_targets().rule("b").ids("stream").send().await.unwrap();
    delete().await.unwrap();
    let gone = local.client.describe_rule().name("b").send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
    let bad = local.client.put_rule().name("c").event_pattern(r#"{"source":"x"}"#).send().await;
    assert_eq!(code(bad), "InvalidEventPatternException");
}

#[tokio::test]
async fn a_bus_of_its_own_has_its_own_rules() {
    let local = Local::start().await;
    local.client.create_event_bus().name("ivs-domain").send().await.unwrap();
    let again = local.client.create_event_bus().name("ivs-domain").send().await;
    assert_eq!(code(again), "ResourceAlreadyExistsException");
    let rule = local.client.put_rule().name("r").event_bus_name("ivs-domain");
    let rule = rule.event_pattern(r#"{"source":["ivs.processor"]}"#).send().await.unwrap();
    let arn = "arn:aws:events:us-east-1:000000000000:rule/ivs-domain/r";
    assert_eq!(rule.rule_arn(), Some(arn));
    let put = local.client.put_targets().rule("r").event_bus_name("ivs-domain");
    put.targets(stream_target()).send().await.unwrap();
    let domain = || PutEventsRequestEntry::builder().source("ivs.processor").detail_type("t");
    let bus_arn = "arn:aws:events:us-east-1:000000000000:event-bus/ivs-domain";
    local.put(vec![domain().detail("{}").build()]).await;
    local.put(vec![domain().detail("{}").event_bus_name(bus_arn).build()]).await;
    assert_eq!(local.received().await.len(), 1);
    let delete = || local.client.delete_event_bus().name("ivs-domain").send();
    assert_eq!(code(delete().await), "ValidationException");
    let buses = local.client.list_event_buses().send().await.unwrap();
    assert_eq!(buses.event_buses().len(), 2);
}

#[tokio::test]
async fn inputs_are_transformed_and_impossible_targets_refused() {
    let local = Local::start().await;
    local.put_rule("r", r#"{"source":["aws.ivs"]}"#).await;
    let transformer = InputTransformer::builder()
        .input_paths_map("name", "$.detail.event_name")
        .input_template(r#"{"told":"it is <name>","raw":<name>}"#);
    let arn = format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}");
    let target = Target::builder().id("stream").arn(arn);
    let target = target.input_transformer(transformer.build().unwrap()).build().unwrap();
    local.client.put_targets().rule("r").targets(target).send().await.unwrap();
    local.put(vec![entry(r#"{"event_name":"a \"b\""}"#).build()]).await;
    let received = local.received().await;
    assert_eq!(received[0].1, json!({"told": "it is a \"b\"", "raw": "a \"b\""}));

    let lambda = Target::builder().id("f").arn("arn:aws:lambda:us-east-1:000000000000:function:f");
    let put = local.client.put_targets().rule("r").targets(lambda.build().unwrap());
    assert_eq!(put.send().await.unwrap().failed_entry_count(), 1);
}

#[tokio::test]
async fn patterns_can_be_tried() {
    let local = Local::start().await;
    let event = r#"{"id":"1","account":"0","source":"aws.ivs","time":"2026-03-01T12:00:00Z",
                    "region":"us-east-1","resources":[],"detail-type":"t","detail":{"n":5}}"#;
    for (pattern, expected) in [
        (r#"{"detail":{"n":[{"numeric":["<",6]}]}}"#, true),
        (r#"{"$or":[{"source":["x"]},{"detail":{"n":[6]}}]}"#, false),
    ] {
        let test = local.client.test_event_pattern().event_pattern(pattern).event(event);
        assert_eq!(test.send().await.unwrap().result(), expected, "{pattern}");
    }
    let test = local.client.test_event_pattern().event_pattern("{}").event(event).send().await;
    assert_eq!(code(test), "InvalidEventPatternException");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_stream_gets_its_events_later() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: State::Dir(folder.path().to_owned()),
        limits: true,
        ..Config::default()
    };
    let local = Local::start_with(config()).await;
    local.create_stream().await;
    local.put_rule("r", r#"{"source":["aws.ivs"]}"#).await;
    // Two of these fit into the megabyte that a shard takes in a second.
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(400_000));
    for _ in 0..2 {
        local.put(vec![entry(&large).build(), entry(&large).build()]).await;
    }
    assert_eq!(local.received().await.len(), 2);
    assert_eq!(local.local("GET /_local/events"), json!({"waiting": 2, "givenUp": 0}));
    drop(local);
    let local = Local::start_with(config()).await;
    local.clock.advance(2_000);
    local.local("POST /_local/tick");
    assert_eq!(local.local("GET /_local/events"), json!({"waiting": 0, "givenUp": 0}));
    assert_eq!(local.received().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_for_a_stream_that_is_gone_are_counted_as_given_up() {
    let local = Local::start_with(Config::default()).await;
    local.put_rule("r", r#"{"source":["aws.ivs"]}"#).await;
    assert_eq!(local.put(vec![entry("{}").build()]).await.failed_entry_count(), 0);
    assert_eq!(local.local("GET /_local/events"), json!({"waiting": 0, "givenUp": 1}));
}
