//! Streams: what they are, and that they are not there.

use aws_sdk_kinesis::types::ShardIteratorType;

use super::super::answers::{Wanted as _, said, said_of_bounds};
use super::super::{Case, Found, World};
use super::{ABSENT, FIRST, entry};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "CreateStream DescribeStreamSummary",
        name: "a stream is described with its state, shards and retention",
        expected: "ACTIVE, 3 shards open, 24 hours, named by its ARN",
        rule: "API_StreamDescriptionSummary; API_CreateStream: \"accessible for 24 hours\" by default",
        run: |world| Box::pin(summary(world)),
    },
    Case {
        calls: "CreateStream",
        name: "a stream that exists is not created again",
        expected: "ResourceInUseException",
        rule: "API_CreateStream: ResourceInUseException, the resource is not available",
        run: |world| Box::pin(recreation(world)),
    },
    Case {
        calls: "CreateStream",
        name: "a stream has at least one shard",
        expected: "refused",
        rule: "API_CreateStream, ShardCount: \"Valid Range: Minimum value of 1\"",
        run: |world| Box::pin(no_shards(world)),
    },
    Case {
        calls: "DescribeStreamSummary ListShards GetShardIterator PutRecords",
        name: "nothing is read or written where there is no stream",
        expected: "ResourceNotFoundException of 4",
        rule: "API_ListShards and its siblings: ResourceNotFoundException, \"could not be found\"",
        run: |world| Box::pin(absent_stream(world)),
    },
    Case {
        calls: "UpdateMaxRecordSize PutRecords",
        name: "a stream takes records of 2 MiB when it is told to",
        expected: "refused, taken, taken",
        rule: "API_UpdateMaxRecordSize: MaxRecordSizeInKiB of 1,024 to 10,240, for single records",
        run: |world| Box::pin(record_size(world)),
    },
    Case {
        calls: "UpdateMaxRecordSize",
        name: "no stream takes records of more than 10 MiB",
        expected: "refused",
        rule: "API_UpdateMaxRecordSize: \"Maximum value of 10240\"",
        run: |world| Box::pin(huge_record_size(world)),
    },
];

async fn summary(world: &World) -> Found {
    world.create_stream("summary", 3).await?;
    let described = world.kinesis.describe_stream_summary().stream_name("summary").send().await?;
    let summary = described.stream_description_summary.wanted("summary")?;
    let arn = &summary.stream_arn;
    let is_named = arn.starts_with("arn:aws:kinesis:") && arn.ends_with(":stream/summary");
    Ok(format!(
        "{}, {} shards open, {} hours, {}",
        summary.stream_status,
        summary.open_shard_count,
        summary.retention_period_hours,
        if is_named { "named by its ARN" } else { arn }
    ))
}

async fn recreation(world: &World) -> Found {
    world.create_stream("recreated", 1).await?;
    Ok(said(&world.kinesis.create_stream().stream_name("recreated").shard_count(1).send().await))
}

async fn no_shards(world: &World) -> Found {
    let create = world.kinesis.create_stream().stream_name("shardless").shard_count(0);
    Ok(said_of_bounds(&create.send().await))
}

async fn absent_stream(world: &World) -> Found {
    let kinesis = &world.kinesis;
    let describe = kinesis.describe_stream_summary().stream_name(ABSENT).send().await;
    let list = kinesis.list_shards().stream_name(ABSENT).send().await;
    let iterator = world.iterator(ABSENT, FIRST);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::Latest).send().await;
    let put = world.put_records(ABSENT).records(entry(b"x", 0)?).send().await;
    let codes = [said(&describe), said(&list), said(&iterator), said(&put)];
    if codes.iter().all(|code| *code == codes[0]) {
        return Ok(format!("{} of {}", codes[0], codes.len()));
    }
    Ok(codes.join(", "))
}

async fn record_size(world: &World) -> Found {
    world.create_stream("large", 1).await?;
    let described = world.kinesis.describe_stream_summary().stream_name("large").send().await?;
    let arn = described.stream_description_summary.wanted("summary")?.stream_arn;
    let large = vec![b'x'; 2_000_000];
    let put = || async { Ok(world.put_records("large").records(entry(&large, 0)?).send().await) };
    let before: Result<_, super::Failed> = put().await;
    let update = world.kinesis.update_max_record_size().stream_arn(arn);
    let update = update.max_record_size_in_kib(2_048).send().await;
    world.wait_until_active("large").await?;
    let after: Result<_, super::Failed> = put().await;
    let [before, after] = [before?, after?].map(|put| said_of_bounds(&put));
    Ok(format!("{before}, {}, {after}", said_of_bounds(&update)))
}

async fn huge_record_size(world: &World) -> Found {
    world.create_stream("huge", 1).await?;
    let described = world.kinesis.describe_stream_summary().stream_name("huge").send().await?;
    let arn = described.stream_description_summary.wanted("summary")?.stream_arn;
    let update = world.kinesis.update_max_record_size().stream_arn(arn);
    Ok(said_of_bounds(&update.max_record_size_in_kib(10_241).send().await))
}
