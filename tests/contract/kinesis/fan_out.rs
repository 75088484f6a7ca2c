//! Enhanced fan-out.

use std::time::Duration;

use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEventStream,
};

use super::super::answers::{Failed, Wanted as _, said};
use super::super::{Case, Found, World};
use super::{FIRST, MIDDLE, texts};

/// A subscription has something to say every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Looks at a new consumer, and the time between two.
const LOOKS: u32 = 200;
const LOOK: Duration = Duration::from_millis(50);
/// Events in which the records must have come.
const EVENTS_MAX: usize = 6;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "RegisterStreamConsumer DescribeStreamConsumer",
        name: "a consumer becomes active under its name",
        expected: "reader, ACTIVE",
        rule: "API_RegisterStreamConsumer; API_DescribeStreamConsumer: ConsumerStatus",
        run: |world| Box::pin(register(world)),
    },
    Case {
        calls: "RegisterStreamConsumer",
        name: "a consumer is registered once",
        expected: "ResourceInUseException",
        rule: "API_RegisterStreamConsumer: ResourceInUseException, also for a name that is taken",
        run: |world| Box::pin(register_twice(world)),
    },
    Case {
        calls: "DescribeStreamConsumer",
        name: "a consumer that is not there is not described",
        expected: "ResourceNotFoundException",
        rule: "API_DescribeStreamConsumer: ResourceNotFoundException, \"could not be found\"",
        run: |world| Box::pin(absent_consumer(world)),
    },
    Case {
        calls: "SubscribeToShard",
        name: "a subscription brings what is there, and then what comes",
        expected: "a b c",
        rule: "API_SubscribeToShard: the \"consumer starts receiving events\" over the connection",
        run: |world| Box::pin(subscription(world)),
    },
    Case {
        calls: "SubscribeToShard SplitShard",
        name: "a subscription to a closed shard ends with its children",
        expected: "a; 1 2",
        rule: "API_SubscribeToShardEvent: ContinuationSequenceNumber is null at the end, ChildShards",
        run: |world| Box::pin(end_of_subscription(world)),
    },
    Case {
        calls: "SubscribeToShard",
        name: "there is no subscription to a shard that is not there",
        expected: "ResourceNotFoundException",
        rule: "API_SubscribeToShard: ResourceNotFoundException, \"could not be found\"",
        run: |world| Box::pin(absent_shard(world)),
    },
];

impl World {
    async fn stream_arn(&self, stream: &str) -> Result<String, Failed> {
        let described = self.kinesis.describe_stream_summary().stream_name(stream).send().await?;
        Ok(described.stream_description_summary.wanted("summary")?.stream_arn)
    }

    /// Registers a consumer and waits until it is active; returns its ARN.
    async fn consumer(&self, stream: &str) -> Result<String, Failed> {
        let register = self.kinesis.register_stream_consumer().consumer_name("reader");
        let register = register.stream_arn(self.stream_arn(stream).await?).send().await?;
        let arn = register.consumer.wanted("consumer")?.consumer_arn;
        for _ in 0..LOOKS {
            let describe = self.kinesis.describe_stream_consumer().consumer_arn(&arn);
            let described = describe.send().await?.consumer_description.wanted("consumer")?;
            if described.consumer_status == ConsumerStatus::Active {
                return Ok(arn);
            }
            tokio::time::sleep(LOOK).await;
        }
        None.wanted("consumer that is active at last")
    }
}

fn oldest() -> Result<StartingPosition, Failed> {
    Ok(StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build()?)
}

async fn register(world: &World) -> Found {
    world.create_stream("consumed", 1).await?;
    let arn = world.consumer("consumed").await?;
    let described = world.kinesis.describe_stream_consumer().consumer_arn(arn).send().await?;
    let described = described.consumer_description.wanted("consumer")?;
    Ok(format!("{}, {}", described.consumer_name, described.consumer_status))
}

async fn register_twice(world: &World) -> Found {
    world.create_stream("consumed-twice", 1).await?;
    world.consumer("consumed-twice").await?;
    let register = world.kinesis.register_stream_consumer().consumer_name("reader");
    Ok(said(&register.stream_arn(world.stream_arn("consumed-twice").await?).send().await))
}

async fn absent_consumer(world: &World) -> Found {
    world.create_stream("unconsumed", 1).await?;
    let describe = world.kinesis.describe_stream_consumer().consumer_name("nobody");
    Ok(said(&describe.stream_arn(world.stream_arn("unconsumed").await?).send().await))
}

/// Returns texts from the oldest on, until there are `wanted` or the shard ends, and at its end
/// the children. Whenever some came, `then` is put.
async fn subscribed(
    world: &World,
    stream: &str,
    wanted: usize,
    then: &[&str],
) -> Result<(Vec<String>, String), Failed> {
    let arn = world.consumer(stream).await?;
    let subscribe = world.kinesis.subscribe_to_shard().consumer_arn(arn).shard_id(FIRST);
    let mut answer = subscribe.starting_position(oldest()?).send().await?;
    let (mut found, mut left) = (vec![], then.iter());
    for _ in 0..EVENTS_MAX {
        let event = tokio::time::timeout(SILENCE_MAX, answer.event_stream.recv()).await;
        let event = event.ok().wanted("event in time")?;
        let event = event.ok().wanted("event that can be read")?;
        let Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) = event else { break };
        if !event.records.is_empty() {
            found.push(texts(&event.records));
            if let Some(text) = left.next() {
                world.put_texts(stream, 0, &[text]).await?;
            }
        }
        let count = found.iter().map(|texts| texts.split(' ').count()).sum::<usize>();
        let children = event.child_shards.unwrap_or_default();
        if !children.is_empty() {
            let mut ids: Vec<_> = children
                .iter()
                .map(|child| child.shard_id[child.shard_id.len() - 1..].to_owned())
                .collect();
            ids.sort_unstable();
            return Ok((found, ids.join(" ")));
        }
        if count >= wanted {
            return Ok((found, String::new()));
        }
    }
    Ok((found, "no end".to_owned()))
}

async fn subscription(world: &World) -> Found {
    world.create_stream("subscribed", 1).await?;
    world.put_texts("subscribed", 0, &["a", "b"]).await?;
    Ok(subscribed(world, "subscribed", 3, &["c"]).await?.0.join(" "))
}

async fn end_of_subscription(world: &World) -> Found {
    world.create_stream("subscription-end", 1).await?;
    world.put_texts("subscription-end", 0, &["a"]).await?;
    world.split_first("subscription-end", MIDDLE).await?;
    let (records, children) = subscribed(world, "subscription-end", usize::MAX, &[]).await?;
    Ok(format!("{}; {children}", records.join(" ")))
}

async fn absent_shard(world: &World) -> Found {
    world.create_stream("unsubscribed", 1).await?;
    let arn = world.consumer("unsubscribed").await?;
    let subscribe = world.kinesis.subscribe_to_shard().consumer_arn(arn);
    let subscribe = subscribe.shard_id("shardId-000000000077").starting_position(oldest()?);
    Ok(said(&subscribe.send().await))
}
