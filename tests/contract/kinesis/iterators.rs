//! GetShardIterator.

use std::time::Duration;

use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;

use super::super::answers::{Wanted as _, said};
use super::super::{Case, Found, World};
use super::{FIRST, MIDDLE, texts};

/// Between records whose arrival times must differ.
const APART: Duration = Duration::from_millis(30);

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "GetShardIterator GetRecords",
        name: "TRIM_HORIZON begins with the oldest record",
        expected: "a b c",
        rule: "API_GetShardIterator, TRIM_HORIZON: \"the last untrimmed record\", the oldest in the shard",
        run: |world| Box::pin(trim_horizon(world)),
    },
    Case {
        calls: "GetShardIterator GetRecords",
        name: "LATEST begins with what is put after it",
        expected: "new",
        rule: "API_GetShardIterator, LATEST: \"just after the most recent record in the shard\"",
        run: |world| Box::pin(latest(world)),
    },
    Case {
        calls: "GetShardIterator GetRecords",
        name: "AT_SEQUENCE_NUMBER begins with the record, AFTER_SEQUENCE_NUMBER behind it",
        expected: "b c; c",
        rule: "API_GetShardIterator: \"from the position denoted by\", \"right after the position denoted by\"",
        run: |world| Box::pin(by_sequence(world)),
    },
    Case {
        calls: "GetShardIterator GetRecords",
        name: "AT_TIMESTAMP begins with the first record of that time or later, to the millisecond",
        expected: "b c; a b c",
        rule: "API_GetShardIterator, AT_TIMESTAMP: the next later record; older than the horizon: the oldest",
        run: |world| Box::pin(by_time(world)),
    },
    Case {
        calls: "GetShardIterator",
        name: "a sequence number is given where one is needed, and is one",
        expected: "InvalidArgumentException, InvalidArgumentException",
        rule: "API_GetShardIterator: InvalidArgumentException, a parameter \"exceeds its restrictions\"",
        run: |world| Box::pin(wrong_sequence(world)),
    },
    Case {
        calls: "GetShardIterator",
        name: "a sequence number of another shard is refused",
        expected: "InvalidArgumentException",
        rule: "API_GetShardIterator: the number must be one of the shard; InvalidArgumentException",
        run: |world| Box::pin(sequence_of_another(world)),
    },
    Case {
        calls: "GetShardIterator",
        name: "a shard that is not there has no iterator",
        expected: "ResourceNotFoundException",
        rule: "API_GetShardIterator: ResourceNotFoundException, \"the requested resource could not be found\"",
        run: |world| Box::pin(absent_shard(world)),
    },
];

/// Creates a stream with three records.
async fn create(world: &World, stream: &str) -> Result<Vec<String>, super::Failed> {
    world.create_stream(stream, 1).await?;
    world.put_texts(stream, 0, &["a", "b", "c"]).await
}

/// Returns the records from an iterator on.
async fn from(world: &World, iterator: GetShardIteratorFluentBuilder) -> Found {
    let iterator = iterator.send().await?.shard_iterator.wanted("iterator")?;
    Ok(texts(&world.read(iterator).await?.0))
}

async fn trim_horizon(world: &World) -> Found {
    create(world, "horizon").await?;
    let iterator = world.iterator("horizon", FIRST);
    from(world, iterator.shard_iterator_type(ShardIteratorType::TrimHorizon)).await
}

async fn latest(world: &World) -> Found {
    create(world, "latest").await?;
    let iterator = world.iterator("latest", FIRST).shard_iterator_type(ShardIteratorType::Latest);
    let iterator = iterator.send().await?.shard_iterator.wanted("iterator")?;
    world.put_texts("latest", 0, &["new"]).await?;
    Ok(texts(&world.read(iterator).await?.0))
}

async fn by_sequence(world: &World) -> Found {
    let numbers = create(world, "by-sequence").await?;
    let mut found = vec![];
    for kind in [ShardIteratorType::AtSequenceNumber, ShardIteratorType::AfterSequenceNumber] {
        let iterator = world.iterator("by-sequence", FIRST).shard_iterator_type(kind);
        found.push(from(world, iterator.starting_sequence_number(&numbers[1])).await?);
    }
    Ok(found.join("; "))
}

async fn by_time(world: &World) -> Found {
    world.create_stream("by-time", 1).await?;
    for text in ["a", "b", "c"] {
        world.put_texts("by-time", 0, &[text]).await?;
        tokio::time::sleep(APART).await;
    }
    let (records, _) = world.read(world.oldest("by-time", FIRST).await?).await?;
    let second = records.get(1).and_then(|record| record.approximate_arrival_timestamp);
    let second = second.wanted("arrival time")?;
    let mut found = vec![];
    for time in [second, DateTime::from_secs(second.secs() - 3_600)] {
        let iterator = world.iterator("by-time", FIRST).timestamp(time);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::AtTimestamp);
        found.push(from(world, iterator).await?);
    }
    Ok(found.join("; "))
}

async fn wrong_sequence(world: &World) -> Found {
    create(world, "wrong-sequence").await?;
    let at = || {
        let iterator = world.iterator("wrong-sequence", FIRST);
        iterator.shard_iterator_type(ShardIteratorType::AtSequenceNumber)
    };
    let none = at().send().await;
    let nonsense = at().starting_sequence_number("12345678901234567890").send().await;
    Ok(format!("{}, {}", said(&none), said(&nonsense)))
}

async fn sequence_of_another(world: &World) -> Found {
    world.create_stream("another", 2).await?;
    let numbers = world.put_texts("another", MIDDLE + 9, &["x"]).await?;
    let iterator = world.iterator("another", FIRST).starting_sequence_number(&numbers[0]);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::AtSequenceNumber);
    Ok(said(&iterator.send().await))
}

async fn absent_shard(world: &World) -> Found {
    world.create_stream("absent-shard", 1).await?;
    let iterator = world.iterator("absent-shard", "shardId-000000000077");
    Ok(said(&iterator.shard_iterator_type(ShardIteratorType::Latest).send().await))
}
