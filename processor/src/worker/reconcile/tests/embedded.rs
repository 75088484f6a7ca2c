//! Against the embedded AWS: the calls themselves, and what they mean.

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::decode::IngestConfiguration;
use ivs_core::reconcile::{LostFact, missing};
use serde_json::json;

use super::super::seam::Surroundings as _;
use super::{CHANNEL, ago, live};
use crate::testing::Embedded;
use crate::worker::reconcile::Aws;

/// The ids of two streams: IVS's have 26 characters.
const FIRST: &str = "st-00000000000000000000001";
const SECOND: &str = "st-00000000000000000000002";

#[tokio::test]
async fn ivs_rows_and_stream_are_asked_and_told_in_their_own_words() {
    let embedded = Embedded::start().await;
    let start_s = ago(60).0 / 1_000;
    let start = jiff::Timestamp::from_second(start_s).unwrap().to_string();
    let told = json!({ "sessions": [{
        "channelArn": CHANNEL,
        "streamId": FIRST,
        "startTime": start,
        "ingestConfiguration": {
            "video": { "codec": "avc1.4D401F", "videoHeight": 720, "videoWidth": 1280 },
            "audio": { "channels": 2 },
        },
        "truncatedEvents": [
            { "name": "Stream Start", "type": "IVS Stream State Change", "eventTime": start },
            { "name": "Session Created", "type": "IVS Stream State Change", "eventTime": start },
        ],
    }] });
    embedded.endpoint.play_streams(told.to_string().as_bytes()).unwrap();
    let aws = Aws::new(&embedded.config, &embedded.clients);
    assert_eq!(aws.live().await.unwrap(), [live(FIRST)]);
    assert_eq!(aws.session(&live(SECOND)).await.unwrap(), None);
    let session = aws.session(&live(FIRST)).await.unwrap().unwrap();
    assert_eq!(session.started.map(|time| time.0), Some(start_s * 1_000));
    let video = session.ingest.as_ref().unwrap().video.clone();
    assert_eq!(video.height, IngestConfiguration::known(720));

    let known = aws.known(FIRST).await.unwrap();
    let lost = missing(&session, &known, ago(0), 0);
    let names: Vec<_> = lost.iter().map(LostFact::name).collect();
    assert_eq!(names, ["Session Created", "Stream Start", "IVS Ingest Configuration"]);
    aws.put(&lost).await.unwrap();
    let put = embedded.clients.kinesis.get_shard_iterator();
    let put = put.stream_name(&embedded.config.stream.name).shard_id("shardId-000000000000");
    let put = put.shard_iterator_type("TRIM_HORIZON".into()).send().await.unwrap();
    let records = embedded.clients.kinesis.get_records();
    let records = records.set_shard_iterator(put.shard_iterator).send().await.unwrap().records;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.partition_key.as_deref() == Some(CHANNEL)));
    let first: serde_json::Value = serde_json::from_slice(records[0].data.as_ref()).unwrap();
    assert_eq!(
        (&first["source"], &first["detail"]["stream_id"]),
        (&json!("reconciler"), &json!(FIRST))
    );

    // The start as a row holds it, and one of the application, which is another statement.
    for (sort_key, event_type, source) in
        [("1.02", "stream_start", "ivs"), ("1.03", "session_created", "application")]
    {
        let put = embedded.clients.dynamodb.put_item();
        put.table_name(&embedded.config.tables.sessions)
            .item("sessionId", AttributeValue::S(FIRST.to_owned()))
            .item("timestamp", AttributeValue::N(sort_key.to_owned()))
            .item("eventType", AttributeValue::S(event_type.to_owned()))
            .item("eventTimeMs", AttributeValue::N((start_s * 1_000).to_string()))
            .item("source", AttributeValue::S(source.to_owned()))
            .send()
            .await
            .unwrap();
    }
    let lost = missing(&session, &aws.known(FIRST).await.unwrap(), ago(0), 0);
    let names: Vec<_> = lost.iter().map(LostFact::name).collect();
    assert_eq!(names, ["Session Created", "IVS Ingest Configuration"]);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named_with_what_may_be_missing() {
    let mut embedded = Embedded::start().await;
    embedded.config.stream.name = "no-stream".to_owned();
    let told = json!({ "sessions": [{
        "channelArn": CHANNEL,
        "streamId": FIRST,
        "truncatedEvents": [{ "name": "Stream End", "eventTime": "2026-03-01T12:00:07Z" }],
    }] });
    embedded.endpoint.play_streams(told.to_string().as_bytes()).unwrap();
    let aws = Aws::new(&embedded.config, &embedded.clients);
    let session = aws.session(&live(FIRST)).await.unwrap().unwrap();
    let lost = missing(&session, &aws.known(FIRST).await.unwrap(), ago(0), 0);
    let error = aws.put(&lost).await.unwrap_err().to_string();
    assert!(error.contains("no-stream") && error.contains("kinesis:PutRecords"), "{error}");
}
