//! GetShardIterator: the five types and their refusals.

use super::*;
use crate::clients::code;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;

impl Local {
    fn start_of(&self, shard: &str, kind: ShardIteratorType) -> GetShardIteratorFluentBuilder {
        let request = self.client.get_shard_iterator().stream_name(STREAM).shard_id(shard);
        request.shard_iterator_type(kind)
    }

    async fn read_from(&self, request: GetShardIteratorFluentBuilder) -> Vec<Vec<u8>> {
        let iterator = request.send().await.unwrap().shard_iterator.unwrap();
        let records = self.get(&iterator).await.records;
        records.into_iter().map(|record| record.data.into_inner()).collect()
    }
}

fn at_ms(ms: u64) -> DateTime {
    DateTime::from_millis(i64::try_from(ms).unwrap())
}

#[tokio::test]
async fn each_type_starts_where_it_says() {
    let local = Local::start().await;
    local.create(1).await;
    let shard = shard_id(0);
    let mut sequences = Vec::new();
    for data in ["one", "two", "three"] {
        sequences.push(local.put("k", data.as_bytes()).await.1);
        local.clock.advance(1);
    }
    let latest = local.iterator(&shard, ShardIteratorType::Latest).await;
    let horizon = local.start_of(&shard, ShardIteratorType::TrimHorizon);
    assert_eq!(texts(&local.read_from(horizon).await), ["one", "two", "three"]);
    let at = local.start_of(&shard, ShardIteratorType::AtSequenceNumber);
    let at = at.starting_sequence_number(&sequences[1]);
    assert_eq!(texts(&local.read_from(at).await), ["two", "three"]);
    let after = local.start_of(&shard, ShardIteratorType::AfterSequenceNumber);
    let after = after.starting_sequence_number(&sequences[1]);
    assert_eq!(texts(&local.read_from(after).await), ["three"]);
    for (ms, expected) in [(0, vec!["one", "two", "three"]), (1, vec!["two", "three"]), (3, vec![])]
    {
        let time = at_ms(START_MS + 100 + ms);
        let request = local.start_of(&shard, ShardIteratorType::AtTimestamp).timestamp(time);
        assert_eq!(texts(&local.read_from(request).await), expected, "{ms} ms later");
    }
    local.put("k", b"four").await;
    let page = local.get(&latest).await;
    assert_eq!(page.records[0].data.as_ref(), b"four");
}

#[tokio::test]
async fn positions_that_are_not_the_shards_are_refused() {
    let local = Local::start().await;
    local.create(2).await;
    let (_, of_first) = local.put_hash(0, b"x").await;
    let (_, of_second) = local.put_hash(u128::MAX, b"x").await;
    let later = format!("{}9{}", &of_first[..30], &of_first[31..]);
    for wrong in ["7", "49", &of_second, &later] {
        let request = local.start_of(&shard_id(0), ShardIteratorType::AtSequenceNumber);
        let answer = request.starting_sequence_number(wrong).send().await;
        assert_eq!(code(answer), "InvalidArgumentException", "{wrong}");
    }
    let request = local.start_of(&shard_id(0), ShardIteratorType::AtSequenceNumber);
    assert_eq!(code(request.send().await), "InvalidArgumentException");
    let request = local.start_of(&shard_id(0), ShardIteratorType::Latest);
    let request = request.starting_sequence_number(&of_first);
    assert_eq!(code(request.send().await), "InvalidArgumentException");
    let request = local.start_of(&shard_id(0), ShardIteratorType::AtTimestamp);
    let request = request.timestamp(at_ms(START_MS + 1_000_000));
    assert_eq!(code(request.send().await), "InvalidArgumentException");
    let request = local.start_of("shardId-000000000009", ShardIteratorType::Latest);
    assert_eq!(code(request.send().await), "ResourceNotFoundException");
    let request = local.start_of(&shard_id(0), ShardIteratorType::from("SOMEWHERE"));
    assert_eq!(code(request.send().await), "ValidationException");
}

#[tokio::test]
async fn an_iterator_expires_after_five_minutes() {
    let local = Local::start().await;
    local.create(1).await;
    let iterator = local.iterator(&shard_id(0), ShardIteratorType::Latest).await;
    local.clock.advance(300_000);
    local.get(&iterator).await;
    local.clock.advance(1);
    let answer = local.client.get_records().shard_iterator(&iterator).send().await;
    assert_eq!(code(answer), "ExpiredIteratorException");
    let answer = local.client.get_records().shard_iterator("nonsense").send().await;
    assert_eq!(code(answer), "InvalidArgumentException");
}

#[tokio::test]
async fn an_iterator_of_an_earlier_stream_of_the_name_is_refused() {
    let local = Local::start().await;
    local.create(1).await;
    let iterator = local.iterator(&shard_id(0), ShardIteratorType::TrimHorizon).await;
    local.client.delete_stream().stream_name(STREAM).send().await.unwrap();
    let get = || local.client.get_records().shard_iterator(&iterator).send();
    assert_eq!(code(get().await), "ResourceNotFoundException");
    local.create(1).await;
    assert_eq!(code(get().await), "InvalidArgumentException");
}
