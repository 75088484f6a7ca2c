//! The contract of the embedded IVS, through the real SDK.

use aws_sdk_ivs::types::StreamState;
use ivs_emulator::{Config, Endpoint};
use serde_json::json;

use crate::clients::{self, code, http};

const CHANNEL: &str = "arn:aws:ivs:us-east-1:000000000000:channel/c";

/// Returns the id of a stream, which has 26 characters.
fn id(number: u32) -> String {
    format!("st-{number:023}")
}

/// Starts an endpoint whose IVS has three live streams and one that is over.
async fn start() -> Endpoint {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let session = |number| {
        let started = "2026-03-01T12:00:07Z";
        json!({ "channelArn": CHANNEL, "streamId": id(number), "startTime": started })
    };
    let mut over = session(0);
    over["endTime"] = json!("2026-03-01T13:00:00Z");
    over["ingestConfiguration"] = json!({ "video": { "videoHeight": 720 } });
    over["truncatedEvents"] = json!([{
        "name": "Stream End",
        "type": "IVS Stream State Change",
        "eventTime": "2026-03-01T13:00:00Z",
    }]);
    let told = json!({ "sessions": [over, session(1), session(2), session(3)] });
    endpoint.play_streams(told.to_string().as_bytes()).unwrap();
    endpoint
}

#[tokio::test]
async fn live_streams_are_listed_page_by_page() {
    let endpoint = start().await;
    let ivs = clients::ivs(endpoint.url());
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page = ivs.list_streams().max_results(2).set_next_token(token).send().await.unwrap();
        assert!(page.streams.len() <= 2);
        found.extend(page.streams);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let ids: Vec<_> = found.iter().filter_map(|stream| stream.stream_id.as_deref()).collect();
    assert_eq!(ids, [id(1), id(2), id(3)]);
    assert_eq!(found[0].channel_arn.as_deref(), Some(CHANNEL));
    assert_eq!(found[0].state, Some(StreamState::StreamLive));
    let many = ivs.list_streams().max_results(101).send().await;
    assert_eq!(code(many), "ValidationException");
    let foreign = ivs.list_streams().next_token("x").send().await;
    assert_eq!(code(foreign), "ValidationException");
}

#[tokio::test]
async fn a_session_is_told_with_its_events_and_its_encoder() {
    let endpoint = start().await;
    let ivs = clients::ivs(endpoint.url());
    let told = ivs.get_stream_session().channel_arn(CHANNEL).stream_id(id(0)).send().await;
    let told = told.unwrap().stream_session.unwrap();
    assert_eq!(told.stream_id, Some(id(0)));
    assert_eq!(told.end_time.unwrap().secs(), 1_772_370_000);
    let video = told.ingest_configuration.unwrap().video.unwrap();
    assert_eq!((video.video_height, video.video_width), (720, 0));
    let events = told.truncated_events.unwrap();
    assert_eq!(events[0].name.as_deref(), Some("Stream End"));
    let latest = ivs.get_stream_session().channel_arn(CHANNEL).send().await.unwrap();
    assert_eq!(latest.stream_session.unwrap().stream_id, Some(id(3)));
    let unknown = ivs.get_stream_session().channel_arn(CHANNEL).stream_id(id(9)).send().await;
    assert_eq!(code(unknown), "ResourceNotFoundException");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_told_over_http_and_calls_are_counted() {
    let endpoint = start().await;
    let (ivs, url) = (clients::ivs(endpoint.url()), endpoint.url());
    let put = "PUT /_local/ivs HTTP/1.1";
    assert_eq!(http(url, put, br#"{"streams":[]}"#).0, 400);
    assert_eq!(ivs.list_streams().send().await.unwrap().streams.len(), 3);
    assert_eq!(http(url, put, br#"{"sessions":[]}"#).0, 200);
    assert!(ivs.list_streams().send().await.unwrap().streams.is_empty());
    let (_, report) = http(url, "GET /_local/ivs HTTP/1.1", b"");
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report, json!({ "calls": { "ListStreams": 2 } }));
}

#[tokio::test]
async fn events_are_told_newest_first_and_the_oldest_beyond_500_are_not() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let event = |second: i64| {
        let time = jiff::Timestamp::from_second(second).unwrap();
        json!({ "name": "Starvation Start", "eventTime": time.to_string() })
    };
    let events: Vec<_> = (1..=501).map(event).collect();
    let session = json!({ "channelArn": CHANNEL, "streamId": id(1), "truncatedEvents": events });
    let told = json!({ "sessions": [session] });
    endpoint.play_streams(told.to_string().as_bytes()).unwrap();
    let asked = clients::ivs(endpoint.url()).get_stream_session().channel_arn(CHANNEL);
    let told = asked.send().await.unwrap().stream_session.unwrap().truncated_events.unwrap();
    let seconds = told.iter().map(|event| event.event_time.unwrap().secs());
    assert!(seconds.eq((2..=501).rev()));
}

#[tokio::test]
async fn a_stream_whose_end_is_null_is_live() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let session = json!({ "channelArn": CHANNEL, "streamId": id(1), "endTime": null });
    let told = json!({ "sessions": [session] });
    endpoint.play_streams(told.to_string().as_bytes()).unwrap();
    let ivs = clients::ivs(endpoint.url());
    assert_eq!(ivs.list_streams().send().await.unwrap().streams.len(), 1);
}

#[tokio::test]
async fn what_names_no_channel_or_no_stream_is_neither_told_nor_asked_for() {
    let endpoint = start().await;
    let ivs = clients::ivs(endpoint.url());
    let long = format!("{CHANNEL}{}", "c".repeat(128 - CHANNEL.len()));
    assert_eq!(long.len(), 128);
    let absent = ivs.get_stream_session().channel_arn(long.clone()).send().await;
    assert_eq!(code(absent), "ResourceNotFoundException");
    let (longer, right) = (format!("{long}c"), id(1));
    for (arn, id) in [
        (longer.as_str(), right.as_str()),
        ("", &right),
        ("c", &right),
        ("arn:aws:ivs:us-east-1:000000000000:channel/", &right),
        ("arn:aws:ivs:us-east-1:000000000000:channel/c_1", &right),
        ("arn:aws:ivs:us-east-1:000000000000:stage/c", &right),
        ("arn:aws:ivs:us-east-1:a:channel/c", &right),
        ("arn:aws:ivs:US:000000000000:channel/c", &right),
        ("arn:aws:ivschat:us-east-1:000000000000:channel/c", &right),
        (CHANNEL, "st-1"),
        (CHANNEL, &right.replace('-', "_")),
        (CHANNEL, &right.replace('1', "-")),
    ] {
        let asked = ivs.get_stream_session().channel_arn(arn).stream_id(id).send().await;
        assert_eq!(code(asked), "ValidationException", "{arn} {id}");
        let told = json!({ "sessions": [{ "channelArn": arn, "streamId": id }] });
        assert!(endpoint.play_streams(told.to_string().as_bytes()).is_err(), "{arn} {id}");
    }
    assert_eq!(ivs.list_streams().send().await.unwrap().streams.len(), 3);
}
