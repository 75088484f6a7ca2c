//! Streams, shards and resharding.

use super::*;
use crate::clients::code;
use aws_sdk_kinesis::types::{
    ScalingType, ShardFilter, ShardFilterType, StreamMode, StreamModeDetails, StreamStatus,
};

const HALF: u128 = 1 << 127;

impl Local {
    async fn list(&self, kind: ShardFilterType, after_ms: Option<u64>) -> Vec<String> {
        let time = after_ms.map(|ms| {
            aws_sdk_kinesis::primitives::DateTime::from_millis(
                i64::try_from(START_MS + ms).unwrap(),
            )
        });
        let filter = ShardFilter::builder().r#type(kind).set_timestamp(time).build().unwrap();
        let request = self.client.list_shards().stream_name(STREAM).shard_filter(filter);
        ids(&request.send().await.unwrap().shards.unwrap())
    }

    async fn scale(&self, target: i32) -> Result<(), String> {
        let request = self.client.update_shard_count().stream_name(STREAM);
        let request = request.target_shard_count(target).scaling_type(ScalingType::UniformScaling);
        let answer = request.send().await;
        self.settle();
        if answer.is_ok() { Ok(()) } else { Err(code(answer)) }
    }
}

fn ids(shards: &[Shard]) -> Vec<String> {
    shards.iter().map(|shard| shard.shard_id.clone()).collect()
}

fn shard_ids(indices: &[u32]) -> Vec<String> {
    indices.iter().map(|index| shard_id(*index)).collect()
}

/// Returns the open shards' ranges, which must cover all hash keys without a gap.
fn open_ranges(shards: &[Shard]) -> Vec<(u128, u128)> {
    let open = shards.iter().filter(|shard| {
        shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none()
    });
    let mut ranges: Vec<(u128, u128)> = open
        .map(|shard| {
            let range = shard.hash_key_range.as_ref().unwrap();
            (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap())
        })
        .collect();
    ranges.sort_unstable();
    assert_eq!(ranges[0].0, 0);
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
    assert_eq!(ranges.last().unwrap().1, u128::MAX);
    ranges
}

#[tokio::test]
async fn a_stream_is_made_described_and_deleted() {
    let local = Local::start().await;
    local.client.create_stream().stream_name(STREAM).shard_count(2).send().await.unwrap();
    let describe = || async {
        let answer = local.client.describe_stream_summary().stream_name(STREAM).send().await;
        answer.unwrap().stream_description_summary.unwrap()
    };
    assert_eq!(describe().await.stream_status, StreamStatus::Creating);
    local.settle();
    let summary = describe().await;
    assert_eq!(summary.stream_status, StreamStatus::Active);
    assert_eq!(summary.stream_arn, "arn:aws:kinesis:us-east-1:000000000000:stream/events");
    assert_eq!(summary.open_shard_count, 2);
    assert_eq!(summary.retention_period_hours, 24);
    let again = local.client.create_stream().stream_name(STREAM).shard_count(1).send().await;
    assert_eq!(code(again), "ResourceInUseException");
    let by_arn = local.client.describe_stream().stream_arn(&summary.stream_arn).limit(1);
    let described = by_arn.send().await.unwrap().stream_description.unwrap();
    assert_eq!((described.shards.len(), described.has_more_shards), (1, true));
    local.client.delete_stream().stream_name(STREAM).send().await.unwrap();
    let gone = local.client.describe_stream_summary().stream_name(STREAM).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}

#[tokio::test]
async fn on_demand_streams_begin_with_four_shards() {
    let local = Local::start().await;
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let request = local.client.create_stream().stream_name(STREAM).stream_mode_details(mode);
    request.send().await.unwrap();
    local.settle();
    assert_eq!(open_ranges(&local.shards().await).len(), 4);
    assert_eq!(local.scale(2).await.unwrap_err(), "ValidationException");
    let no_count = local.client.create_stream().stream_name("other").send().await;
    assert_eq!(code(no_count), "ValidationException");
    for (name, count) in [("bad name", 1), ("zero", 0), ("minus", -1)] {
        let request = local.client.create_stream().stream_name(name).shard_count(count);
        assert_eq!(code(request.send().await), "ValidationException", "{name}");
    }
    let request = local.client.create_stream().stream_name("many").shard_count(1_001);
    assert_eq!(code(request.send().await), "LimitExceededException");
}

#[tokio::test]
async fn streams_are_listed_in_pages() {
    let local = Local::start().await;
    for name in ["c", "a", "b"] {
        local.client.create_stream().stream_name(name).shard_count(1).send().await.unwrap();
    }
    let first = local.client.list_streams().limit(2).send().await.unwrap();
    assert_eq!(first.stream_names, ["a", "b"]);
    assert!(first.has_more_streams);
    let token = first.next_token.unwrap();
    let second = local.client.list_streams().next_token(token).send().await.unwrap();
    assert_eq!((second.stream_names, second.has_more_streams), (vec!["c".to_owned()], false));
    let after = local.client.list_streams().exclusive_start_stream_name("a").send().await.unwrap();
    assert_eq!(after.stream_names, ["b", "c"]);
}

#[tokio::test]
async fn a_split_closes_the_parent_and_readers_are_sent_to_the_children() {
    let local = Local::start().await;
    local.create(1).await;
    let (_, before) = local.put_hash(1, b"before").await;
    let tip = local.iterator(&shard_id(0), ShardIteratorType::Latest).await;
    local.split(&shard_id(0), HALF).await;
    let (low, after) = local.put_hash(HALF - 1, b"low").await;
    let (high, _) = local.put_hash(HALF, b"high").await;
    assert_eq!((low, high), (shard_id(1), shard_id(2)));
    assert!(after > before);
    let shards = local.shards().await;
    assert_eq!(open_ranges(&shards), [(0, HALF - 1), (HALF, u128::MAX)]);
    for child in &shards[1..] {
        assert_eq!(child.parent_shard_id.as_deref(), Some(shard_id(0).as_str()));
        assert!(child.adjacent_parent_shard_id.is_none());
    }
    let page = local.get(&local.iterator(&shard_id(0), ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(page.records.len(), 1);
    assert!(page.next_shard_iterator.is_none());
    let children = page.child_shards.unwrap();
    assert_eq!(children.len(), 2);
    assert_eq!(children[0].shard_id, shard_id(1));
    assert_eq!(children[0].parent_shards, [shard_id(0)]);
    // A reader that waited at the tip learns of the end, too.
    let page = local.get(&tip).await;
    assert!(page.records.is_empty() && page.next_shard_iterator.is_none());
    assert_eq!(page.child_shards.unwrap().len(), 2);
}

#[tokio::test]
async fn a_merge_joins_neighbors_only() {
    let local = Local::start().await;
    local.create(3).await;
    let refused = local.client.merge_shards().stream_name(STREAM).shard_to_merge(shard_id(0));
    let refused = refused.adjacent_shard_to_merge(shard_id(2)).send().await;
    assert_eq!(code(refused), "InvalidArgumentException");
    local.merge(&shard_id(1), &shard_id(0)).await;
    let shards = local.shards().await;
    assert_eq!(open_ranges(&shards).len(), 2);
    assert_eq!(shards[3].parent_shard_id.as_deref(), Some(shard_id(1).as_str()));
    assert_eq!(shards[3].adjacent_parent_shard_id.as_deref(), Some(shard_id(0).as_str()));
    let page = local.get(&local.iterator(&shard_id(0), ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(page.child_shards.unwrap()[0].parent_shards, [shard_id(1), shard_id(0)]);
    let closed = local.client.merge_shards().stream_name(STREAM).shard_to_merge(shard_id(0));
    let closed = closed.adjacent_shard_to_merge(shard_id(1)).send().await;
    assert_eq!(code(closed), "InvalidArgumentException");
}

#[tokio::test]
async fn a_bad_split_is_refused_and_a_busy_stream_has_to_settle_first() {
    let local = Local::start().await;
    local.create(2).await;
    let split = |shard: u32, middle: &str| {
        let request = local.client.split_shard().stream_name(STREAM);
        request.shard_to_split(shard_id(shard)).new_starting_hash_key(middle).send()
    };
    let outside = HALF.to_string();
    for middle in ["0", "1", outside.as_str()] {
        assert_eq!(code(split(0, middle).await), "InvalidArgumentException", "{middle}");
    }
    assert_eq!(code(split(0, "x").await), "ValidationException");
    assert_eq!(code(split(7, "5").await), "ResourceNotFoundException");
    split(0, "500").await.unwrap();
    assert_eq!(code(split(1, &(HALF + 500).to_string()).await), "ResourceInUseException");
    local.settle();
    split(1, &(HALF + 500).to_string()).await.unwrap();
    local.settle();
    assert_eq!(code(split(0, "600").await), "InvalidArgumentException");
}

#[tokio::test]
async fn the_shard_count_is_doubled_and_halved_at_most() {
    let local = Local::start().await;
    local.create(2).await;
    for target in [4, 6, 3, 2, 1] {
        local.scale(target).await.unwrap();
        let open = open_ranges(&local.shards().await).len();
        assert_eq!(i32::try_from(open).unwrap(), target);
    }
    assert_eq!(local.scale(3).await.unwrap_err(), "LimitExceededException");
    local.scale(2).await.unwrap();
    local.scale(4).await.unwrap();
    assert_eq!(local.scale(1).await.unwrap_err(), "LimitExceededException");
    assert_eq!(local.scale(0).await.unwrap_err(), "ValidationException");
}

#[tokio::test]
async fn shards_are_listed_by_filter() {
    let local = Local::start().await;
    local.create(1).await;
    local.clock.advance(1_000);
    local.split(&shard_id(0), HALF).await;
    local.clock.advance(1_000);
    assert_eq!(local.list(ShardFilterType::AtLatest, None).await, shard_ids(&[1, 2]));
    assert_eq!(local.list(ShardFilterType::AtTrimHorizon, None).await, shard_ids(&[0]));
    assert_eq!(local.list(ShardFilterType::FromTrimHorizon, None).await, shard_ids(&[0, 1, 2]));
    assert_eq!(local.list(ShardFilterType::AtTimestamp, Some(500)).await, shard_ids(&[0]));
    assert_eq!(local.list(ShardFilterType::AtTimestamp, Some(1_500)).await, shard_ids(&[1, 2]));
    assert_eq!(local.list(ShardFilterType::FromTimestamp, Some(1_500)).await, shard_ids(&[1, 2]));
    assert_eq!(local.list(ShardFilterType::FromTimestamp, Some(500)).await.len(), 3);
    let request = local.client.list_shards().stream_name(STREAM);
    let rest = request.exclusive_start_shard_id(shard_id(1)).send().await.unwrap();
    assert_eq!(ids(&rest.shards.unwrap()), shard_ids(&[2]));
    local.clock.advance(24 * HOUR_MS);
    assert_eq!(ids(&local.shards().await), shard_ids(&[1, 2]));
}

#[tokio::test]
async fn pages_of_shards_keep_their_filter_and_expire() {
    let local = Local::start().await;
    local.create(4).await;
    local.merge(&shard_id(0), &shard_id(1)).await;
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().unwrap();
    let request = local.client.list_shards().stream_name(STREAM).shard_filter(filter);
    let first = request.max_results(2).send().await.unwrap();
    assert_eq!(ids(&first.shards.unwrap()), shard_ids(&[2, 3]));
    let token = first.next_token.unwrap();
    let second = local.client.list_shards().next_token(&token).send().await.unwrap();
    assert_eq!(ids(&second.shards.unwrap()), shard_ids(&[4]));
    assert!(second.next_token.is_none());
    let both = local.client.list_shards().next_token(&token).stream_name(STREAM).send().await;
    assert_eq!(code(both), "InvalidArgumentException");
    local.clock.advance(300_001);
    let late = local.client.list_shards().next_token(&token).send().await;
    assert_eq!(code(late), "ExpiredNextTokenException");
}
