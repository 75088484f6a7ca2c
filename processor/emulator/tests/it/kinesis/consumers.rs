//! Registered consumers and SubscribeToShard.

use super::*;
use crate::clients::code;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::{
    ConsumerStatus, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};

const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/events";

impl Local {
    async fn register(&self, name: &str) -> String {
        let request = self.client.register_stream_consumer().stream_arn(STREAM_ARN);
        let consumer = request.consumer_name(name).send().await.unwrap().consumer.unwrap();
        self.settle();
        consumer.consumer_arn
    }

    async fn subscribe(
        &self,
        consumer: &str,
        shard: u32,
        kind: ShardIteratorType,
        sequence: Option<&str>,
    ) -> Result<SubscribeToShardOutput, String> {
        let position = StartingPosition::builder().r#type(kind);
        let position = position.set_sequence_number(sequence.map(str::to_owned)).build().unwrap();
        let request = self.client.subscribe_to_shard().consumer_arn(consumer);
        let request = request.shard_id(shard_id(shard)).starting_position(position);
        match request.send().await {
            Ok(output) => Ok(output),
            Err(error) => Err(aws_sdk_kinesis::error::ProvideErrorMetadata::code(&error)
                .unwrap_or("none")
                .to_owned()),
        }
    }
}

/// Returns the next event, or `None` when the subscription has ended.
async fn next(output: &mut SubscribeToShardOutput) -> Option<SubscribeToShardEvent> {
    match output.event_stream.recv().await.unwrap()? {
        SubscribeToShardEventStream::SubscribeToShardEvent(event) => Some(event),
        other => panic!("unexpected event {other:?}"),
    }
}

fn data(event: &SubscribeToShardEvent) -> Vec<&str> {
    let records = event.records.iter();
    records.map(|record| std::str::from_utf8(record.data.as_ref()).unwrap()).collect()
}

#[tokio::test]
async fn consumers_are_registered_once_listed_and_removed() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("b").await;
    local.register("a").await;
    assert_eq!(arn, format!("{STREAM_ARN}/consumer/b:1700000000"));
    let again = local.client.register_stream_consumer().stream_arn(STREAM_ARN).consumer_name("b");
    assert_eq!(code(again.send().await), "ResourceInUseException");
    let describe = || local.client.describe_stream_consumer().consumer_arn(&arn).send();
    let described = describe().await.unwrap().consumer_description.unwrap();
    assert_eq!(described.consumer_status, ConsumerStatus::Active);
    assert_eq!(described.stream_arn, STREAM_ARN);
    let list = |token: Option<String>| {
        let request = local.client.list_stream_consumers().stream_arn(STREAM_ARN).max_results(1);
        request.set_next_token(token).send()
    };
    let first = list(None).await.unwrap();
    assert_eq!(first.consumers.unwrap()[0].consumer_name, "a");
    let second = list(first.next_token).await.unwrap();
    assert_eq!(second.consumers.unwrap()[0].consumer_name, "b");
    assert!(second.next_token.is_none());
    local.client.deregister_stream_consumer().consumer_arn(&arn).send().await.unwrap();
    assert_eq!(code(describe().await), "ResourceNotFoundException");
    let names = ('c'..='u').map(String::from);
    for name in names {
        local.register(&name).await;
    }
    let request = local.client.register_stream_consumer().stream_arn(STREAM_ARN);
    assert_eq!(code(request.consumer_name("v").send().await), "LimitExceededException");
}

#[tokio::test]
async fn a_subscription_gives_the_backlog_then_what_comes_then_the_end() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("c").await;
    local.put("k", b"one").await;
    let (_, second) = local.put("k", b"two").await;
    let mut events = local.subscribe(&arn, 0, ShardIteratorType::TrimHorizon, None).await.unwrap();
    let backlog = next(&mut events).await.unwrap();
    assert_eq!(data(&backlog), ["one", "two"]);
    assert_eq!(backlog.continuation_sequence_number, second);
    assert_eq!(backlog.millis_behind_latest, 0);
    local.put("k", b"three").await;
    assert_eq!(data(&next(&mut events).await.unwrap()), ["three"]);
    local.split(&shard_id(0), 1 << 127).await;
    let last = next(&mut events).await.unwrap();
    assert!(last.records.is_empty());
    assert_eq!(last.child_shards.unwrap().len(), 2);
    assert!(next(&mut events).await.is_none());
}

#[tokio::test]
async fn a_continuation_goes_on_where_the_subscription_stopped() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("c").await;
    let mut events = local.subscribe(&arn, 0, ShardIteratorType::TrimHorizon, None).await.unwrap();
    let empty = next(&mut events).await.unwrap();
    assert!(empty.records.is_empty());
    local.put("k", b"one").await;
    local.clock.advance(5_000);
    let from = Some(empty.continuation_sequence_number.as_str());
    let again = local.subscribe(&arn, 0, ShardIteratorType::AfterSequenceNumber, from).await;
    assert_eq!(data(&next(&mut again.unwrap()).await.unwrap()), ["one"]);
}

#[tokio::test]
async fn a_second_subscription_waits_five_seconds_then_takes_over() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("c").await;
    let latest = ShardIteratorType::Latest;
    let mut first = local.subscribe(&arn, 0, latest.clone(), None).await.unwrap();
    assert!(next(&mut first).await.unwrap().records.is_empty());
    local.clock.advance(4_999);
    let refused = local.subscribe(&arn, 0, latest.clone(), None).await;
    assert_eq!(refused.unwrap_err(), "ResourceInUseException");
    local.clock.advance(1);
    let mut second = local.subscribe(&arn, 0, latest.clone(), None).await.unwrap();
    // The beat of the fifth second may still have come; then the first is over.
    while let Some(event) = next(&mut first).await {
        assert!(event.records.is_empty());
    }
    assert!(next(&mut second).await.unwrap().records.is_empty());
    local.put("k", b"x").await;
    assert_eq!(data(&next(&mut second).await.unwrap()), ["x"]);
    let other = local.register("d").await;
    local.subscribe(&other, 0, latest, None).await.unwrap();
}

#[tokio::test]
async fn an_idle_subscription_beats_and_ends_after_five_minutes() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("c").await;
    let mut events = local.subscribe(&arn, 0, ShardIteratorType::Latest, None).await.unwrap();
    assert!(next(&mut events).await.unwrap().records.is_empty());
    // Without a beat this would wait for ever.
    let beat = tokio::join!(next(&mut events), async { local.clock.advance(5_000) });
    assert!(beat.0.unwrap().records.is_empty());
    local.clock.advance(300_000);
    while let Some(event) = next(&mut events).await {
        assert!(event.records.is_empty());
    }
}

#[tokio::test]
async fn a_removed_consumer_or_stream_ends_its_subscriptions() {
    let local = Local::start().await;
    local.create(1).await;
    let arn = local.register("c").await;
    let other = local.register("d").await;
    let latest = ShardIteratorType::Latest;
    let mut of_removed = local.subscribe(&arn, 0, latest.clone(), None).await.unwrap();
    next(&mut of_removed).await.unwrap();
    let mut of_stream = local.subscribe(&other, 0, latest.clone(), None).await.unwrap();
    next(&mut of_stream).await.unwrap();
    local.client.deregister_stream_consumer().consumer_arn(&arn).send().await.unwrap();
    assert!(next(&mut of_removed).await.is_none());
    let gone = local.subscribe(&arn, 0, latest, None).await;
    assert_eq!(gone.unwrap_err(), "ResourceNotFoundException");
    local.client.delete_stream().stream_name(STREAM).send().await.unwrap();
    assert!(next(&mut of_stream).await.is_none());
}
