//! Requests and the records that they put into a stream of the embedded Kinesis.

use aws_sdk_kinesis::types::ShardIteratorType;
use ivs_emulator::Endpoint;
use kinesis_model::kpl::aggregate;

use super::*;
use crate::testing::Embedded;

const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:111122223333:stream/players";

struct World {
    endpoint: Endpoint,
    kinesis: Client,
    handler: Handler,
    stream: String,
}

impl World {
    async fn new() -> Self {
        let Embedded { endpoint, config, clients } = Embedded::start().await;
        let handler = Handler::new(&clients.kinesis, &config.stream.name);
        Self { endpoint, kinesis: clients.kinesis, handler, stream: config.stream.name }
    }

    async fn ask(&self, request: Value) -> anyhow::Result<Value> {
        self.ask_text(&request.to_string()).await
    }

    async fn ask_text(&self, request: &str) -> anyhow::Result<Value> {
        let request: Box<RawValue> = serde_json::from_str(request).unwrap();
        let reply = self.handler.handle(&request, "request-1").await?;
        Ok(serde_json::to_value(reply).unwrap())
    }

    /// Partition key and data of every record of the one shard.
    async fn stored(&self) -> Vec<(String, String)> {
        let text = |data| String::from_utf8(data).unwrap();
        self.stored_bytes().await.into_iter().map(|(key, data)| (key, text(data))).collect()
    }

    async fn stored_bytes(&self) -> Vec<(String, Vec<u8>)> {
        let shards = self.kinesis.list_shards().stream_name(&self.stream).send().await.unwrap();
        let iterator = self
            .kinesis
            .get_shard_iterator()
            .stream_name(&self.stream)
            .shard_id(shards.shards()[0].shard_id())
            .shard_iterator_type(ShardIteratorType::TrimHorizon)
            .send()
            .await
            .unwrap();
        let iterator = iterator.shard_iterator.unwrap();
        let records = self.kinesis.get_records().shard_iterator(iterator).send().await.unwrap();
        let stored = records.records.into_iter();
        stored.map(|record| (record.partition_key.unwrap(), record.data.into_inner())).collect()
    }
}

fn source(sequence: u32, data: &[u8]) -> Value {
    json!({
        "eventSource": "aws:kinesis",
        "eventID": format!("shardId-000000000000:{sequence}"),
        "eventSourceARN": STREAM_ARN,
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": format!("key-{sequence}"),
            "sequenceNumber": sequence.to_string(),
            "data": STANDARD.encode(data),
            "approximateArrivalTimestamp": 1_772_323_200.5,
        },
    })
}

#[tokio::test]
async fn the_tutorials_events_are_put_and_answered_as_there() {
    let world = World::new().await;
    let start = json!({
        "eventType": "stream_start", "sessionId": "session-001", "channelId": "ch-1",
        "streamerUserId": "user-1", "streamTitle": "t", "streamQuality": "720p",
    });
    let reply = world.ask(start.clone()).await.unwrap();
    assert_eq!(reply["statusCode"], 200);
    let body: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
    let wanted = json!({
        "message": "Successfully processed stream_start", "sessionId": "session-001",
    });
    assert_eq!(body, wanted);
    let update = json!({
        "eventType": "metrics_update", "sessionId": "session-001", "channelId": "ch-1",
        "currentViewers": 3,
    });
    assert_eq!(world.ask(update).await.unwrap()["statusCode"], 200);
    let stored = world.stored().await;
    assert_eq!(stored[0], ("ch-1".to_owned(), start.to_string()), "a start is known by itself");
    assert!(stored[1].1.starts_with(r#"{"eventId":"request-1","#), "{}", stored[1].1);
    world.endpoint.shutdown().await;
}

#[tokio::test]
async fn an_event_that_no_retry_can_mend_is_refused_and_not_put() {
    let world = World::new().await;
    for event in [
        json!({ "eventType": "stream_paused", "sessionId": "s", "channelId": "c" }),
        json!({ "eventType": "metrics_update", "channelId": "c" }),
        json!({}),
        json!(null),
    ] {
        let reply = world.ask(event.clone()).await.unwrap();
        assert_eq!(reply["statusCode"], 400, "{event}");
    }
    assert_eq!(world.stored().await, []);
    world.endpoint.shutdown().await;
}

#[tokio::test]
async fn of_a_batch_only_what_was_not_taken_is_asked_for_again() {
    let world = World::new().await;
    let with_id =
        br#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","eventId":"e"}"#;
    let without = br#"{"eventType":"metrics_update","sessionId":"s","channelId":"c"}"#;
    let mut broken = source(3, b"");
    broken["kinesis"]["data"] = "&".into();
    // A record of Kinesis may be larger than one of ours: here its limit is 1 MiB with the key.
    let large = vec![b'x'; 1 << 20];
    let request = json!({ "Records": [
        source(1, with_id), source(2, without), broken, source(4, &large), source(5, b"no json"),
    ] });
    let reply = world.ask(request).await.unwrap();
    let wanted = json!({ "batchItemFailures": [
        { "itemIdentifier": "3" }, { "itemIdentifier": "4" },
    ] });
    assert_eq!(reply, wanted);
    let mut stored = world.stored().await;
    stored.sort();
    let id = r#"{"eventId":"shardId-000000000000:2","eventType""#;
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[0], ("key-1".to_owned(), String::from_utf8_lossy(with_id).into_owned()));
    assert!(stored[1].1.starts_with(id), "{}", stored[1].1);
    assert_eq!(stored[2].1, "no json", "what it is worth is for the worker to say, who keeps it");
    world.endpoint.shutdown().await;
}

/// A producer's aggregates share one partition key, and their user records have keys of their own.
#[tokio::test]
async fn an_aggregate_is_put_as_its_user_records_each_with_its_own_keys() {
    let world = World::new().await;
    let lines = [1, 2]
        .map(|n| format!(r#"{{"eventType":"metrics_update","sessionId":"s{n}","channelId":"c"}}"#));
    let whole =
        aggregate(&[("own-0", None, lines[0].as_bytes()), ("own-1", Some(7), lines[1].as_bytes())]);
    let mut broken = whole.clone();
    broken[6] ^= 1;
    let request = json!({ "Records": [source(1, &whole), source(2, &broken)] });
    assert_eq!(world.ask(request).await.unwrap(), json!({ "batchItemFailures": [] }));
    let mut stored = world.stored_bytes().await;
    stored.sort();
    let keys: Vec<&str> = stored.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["key-2", "own-0", "own-1"]);
    assert_eq!(stored[0].1, broken, "what is broken is for the worker to say, who keeps it");
    let second = String::from_utf8_lossy(&stored[2].1);
    assert!(second.starts_with(r#"{"eventId":"shardId-000000000000:1:1","#), "{second}");
    world.endpoint.shutdown().await;
}

/// What a worker reads as several events is several here, with ids and keys that a second delivery
/// has again; what it would refuse is left to it, whole.
#[tokio::test]
async fn a_record_is_taken_apart_as_a_worker_would_do_it() {
    let world = World::new().await;
    let line =
        |n: u32| format!(r#"{{"eventType":"metrics_update","sessionId":"s{n}","channelId":"c"}}"#);
    let pretty = line(1).replace(',', ",\n  ");
    let batch = [line(2), line(3)].concat();
    let packed = gzipped(format!("{}\nnot json\n", line(4)).as_bytes());
    let request = json!({ "Records": [
        source(1, pretty.as_bytes()), source(2, batch.as_bytes()), source(3, &packed),
    ] });
    assert_eq!(world.ask(request).await.unwrap(), json!({ "batchItemFailures": [] }));
    let stored = world.stored().await;
    let begin = |id: &str, rest: &str| {
        format!("{{\"eventId\":\"shardId-000000000000:{id}\",{}", &rest[1..])
    };
    let mut wanted = [
        ("key-1", begin("1", &pretty)),
        ("key-2", begin("2:0", &line(2))),
        ("key-2", begin("2:1", &line(3))),
        ("key-3", begin("3:0", &line(4))),
        ("key-3", "not json".to_owned()),
    ];
    wanted.sort();
    let mut stored: Vec<_> = stored.iter().map(|(key, data)| (&**key, data.clone())).collect();
    stored.sort();
    assert_eq!(stored, wanted);
    world.endpoint.shutdown().await;
}

/// An event may hold what other parsers refuse, and the body of the QoS sample's players several.
#[tokio::test]
async fn an_event_is_read_by_the_framing_too() {
    let world = World::new().await;
    let cut = r#"{"eventType":"stream_start","sessionId":"s","channelId":"c","streamTitle":"\ud83d","x":1e400}"#;
    assert_eq!(world.ask_text(cut).await.unwrap()["statusCode"], 200);
    let posted = |n: u32| {
        json!({ "Data": {
        "metric_type": "PLAYBACK_SUMMARY", "user_id": "u", "session_id": format!("p{n}"),
        "is_live": true, "channel_watched": "c", "playing_time_ms": 1_000, "buffering_time_ms": 0,
    } })
    };
    let reply = world.ask(json!({ "Records": [posted(1), posted(2)] })).await.unwrap();
    assert_eq!(reply["statusCode"], 200, "{reply}");
    let stored = world.stored().await;
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[0].1, cut);
    assert!(stored[2].1.contains("\"p2\""), "{}", stored[2].1);
    world.endpoint.shutdown().await;
}

#[tokio::test]
async fn log_events_of_a_subscription_are_put_with_their_room() {
    let world = World::new().await;
    let message = r#"{\"event_timestamp\":\"2026-03-31T12:00:00Z\",\"type\":\"MESSAGE\",\"payload\":{\"Id\":\"m1\"},\"version\":\"1.0\"}"#;
    let batch = |kind: &str| {
        let text = format!(
            r#"{{"messageType":"{kind}","owner":"1","logGroup":"g","logStream":"aws/IVSChatLogs/1.0/room_r","logEvents":[{{"id":"1","timestamp":1774958400000,"message":"{message}"}},{{"id":"2","timestamp":1774958400000,"message":"junk"}}]}}"#
        );
        json!({ "awslogs": { "data": STANDARD.encode(gzipped(text.as_bytes())) } })
    };
    assert_eq!(world.ask(batch("DATA_MESSAGE")).await.unwrap()["statusCode"], 200);
    let stored = world.stored().await;
    assert_eq!(stored.len(), 2, "the other is kept by the worker, who refuses it: {stored:?}");
    assert_eq!(stored[0].0, "m1", "its key is its own");
    assert!(stored[0].1.contains(r#""room_id":"r""#), "{}", stored[0].1);
    assert_eq!(stored[1].1, "junk");
    // Nothing is lost that is no batch: a worker says so and keeps it.
    let none = json!({ "awslogs": { "data": "bm8=" } });
    assert_eq!(world.ask(none).await.unwrap()["statusCode"], 200);
    assert_eq!(world.stored().await.len(), 3);
    let error = world.ask(json!({ "awslogs": { "data": "&" } })).await.unwrap_err();
    assert!(error.to_string().contains("awslogs"), "{error}");
    world.endpoint.shutdown().await;
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn batches_that_would_go_round_in_circles_or_are_of_no_stream_fail() {
    let world = World::new().await;
    let mut own = source(1, b"{}");
    own["eventSourceARN"] =
        format!("arn:aws:kinesis:us-east-1:111122223333:stream/{}", world.stream).into();
    let error = world.ask(json!({ "Records": [own] })).await.unwrap_err();
    assert!(error.to_string().contains("remove the event source mapping"), "{error}");
    // A reply without failures would tell SQS that every message was taken.
    let sqs = json!({ "Records": [{ "eventSource": "aws:sqs", "messageId": "1", "body": "{}" }] });
    let error = world.ask(sqs).await.unwrap_err();
    assert!(error.to_string().contains("not one of Kinesis"), "{error}");
    world.endpoint.shutdown().await;
}

#[tokio::test]
async fn a_stream_that_cannot_be_reached_fails_the_event_and_every_item() {
    let mut world = World::new().await;
    world.handler = Handler::new(&world.kinesis, "no-such-stream");
    let update = json!({ "eventType": "metrics_update", "sessionId": "s", "channelId": "c" });
    let error = world.ask(update).await.unwrap_err();
    assert!(error.to_string().contains("no-such-stream"), "{error}");
    let batch = json!({ "Records": [source(1, b"a"), source(2, b"b")] });
    let failures = world.ask(batch).await.unwrap();
    assert_eq!(failures["batchItemFailures"].as_array().unwrap().len(), 2);
    world.endpoint.shutdown().await;
}
