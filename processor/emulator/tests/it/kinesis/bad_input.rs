//! Whatever is sent, the answer is a refusal, never a crash.

use super::*;
use crate::clients::http;

const OPERATIONS: [&str; 23] = [
    "PutRecords",
    "PutRecord",
    "GetRecords",
    "GetShardIterator",
    "SubscribeToShard",
    "ListShards",
    "CreateStream",
    "DeleteStream",
    "DescribeStream",
    "DescribeStreamSummary",
    "ListStreams",
    "SplitShard",
    "MergeShards",
    "UpdateShardCount",
    "IncreaseStreamRetentionPeriod",
    "DecreaseStreamRetentionPeriod",
    "UpdateStreamMode",
    "UpdateMaxRecordSize",
    "RegisterStreamConsumer",
    "DeregisterStreamConsumer",
    "DescribeStreamConsumer",
    "ListStreamConsumers",
    "NoSuchOperation",
];

const FIELDS: [&str; 22] = [
    "StreamName",
    "StreamARN",
    "ConsumerARN",
    "ConsumerName",
    "ShardId",
    "ShardIteratorType",
    "StartingSequenceNumber",
    "StartingPosition",
    "Timestamp",
    "ShardIterator",
    "Limit",
    "NextToken",
    "ShardFilter",
    "MaxResults",
    "ShardCount",
    "TargetShardCount",
    "ScalingType",
    "Records",
    "Data",
    "PartitionKey",
    "ShardToSplit",
    "RetentionPeriodHours",
];

const VALUES: [&str; 18] = [
    "null",
    "0",
    "-1",
    "1e308",
    "18446744073709551616",
    "\"\"",
    "\"events\"",
    "\"shardId-000000000000\"",
    "\"shardId-999999999999\"",
    "\"AT_TIMESTAMP\"",
    "\"AT_SEQUENCE_NUMBER\"",
    "\"49999999999999999999999999999999999999999999999999999999\"",
    "\"arn:aws:kinesis:us-east-1:0:stream/events/consumer/x:y\"",
    "\"bnVsbA==\"",
    "[]",
    "[{}]",
    "{}",
    "{\"Type\":\"AT_TIMESTAMP\",\"Timestamp\":-1e300}",
];

/// A small generator: the sequence must only be varied and repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn object(&mut self) -> String {
        let fields: Vec<String> = (0..self.below(7))
            .map(|_| {
                let (field, value) = (self.below(FIELDS.len()), self.below(VALUES.len()));
                format!("\"{}\":{}", FIELDS[field], VALUES[value])
            })
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_requests_never_break_the_endpoint() {
    let local = Local::start().await;
    local.create(1).await;
    let url = local.endpoint.url().to_owned();
    let answers = tokio::task::spawn_blocking(move || {
        let mut random = Random(7);
        let mut answers = Vec::new();
        for operation in OPERATIONS {
            let head = format!("POST / HTTP/1.1\r\nx-amz-target: Kinesis_20131202.{operation}");
            let fixed = [&b""[..], b"{", b"[]", b"null", b"\"x\"", b"\xff\xfe\x00", b"{\"a\":1}}"];
            for body in fixed {
                answers.push((operation, body.to_vec(), http(&url, &head, body)));
            }
            for _ in 0..40 {
                let body = random.object().into_bytes();
                let answer = http(&url, &head, &body);
                answers.push((operation, body, answer));
            }
        }
        answers
    });
    for (operation, body, (status, answer)) in answers.await.unwrap() {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(matches!(status, 200 | 400), "{operation} {text}: {status} {answer:?}");
        let object: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(object["__type"].is_string(), status == 400, "{operation} {text}: {object}");
    }
    local.client.list_streams().send().await.unwrap();
}

#[tokio::test]
async fn calls_for_no_service_are_refused() {
    let local = Local::start().await;
    let url = local.endpoint.url().to_owned();
    let answer = tokio::task::spawn_blocking(move || http(&url, "POST / HTTP/1.1", b"{}"));
    let (status, body) = answer.await.unwrap();
    assert_eq!(status, 400);
    assert!(String::from_utf8(body).unwrap().contains("UnknownOperationException"));
}
