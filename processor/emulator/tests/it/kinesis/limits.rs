//! Throttling as AWS does it, when asked for.

use super::*;
use crate::clients::code;

async fn limited() -> Local {
    let local = Local::start_with(Config { limits: true, ..Config::default() }).await;
    local.create(2).await;
    local
}

#[tokio::test]
async fn a_shard_takes_a_thousand_records_a_second_and_refuses_the_others_one_by_one() {
    let local = limited().await;
    let batch = || {
        // "a" hashes into the first shard, "b" into the second.
        let entries = (0..500).map(|i| entry(if i < 490 { "a" } else { "b" }, b"x"));
        local.client.put_records().stream_name(STREAM).set_records(Some(entries.collect())).send()
    };
    assert_eq!(batch().await.unwrap().failed_record_count, Some(0));
    assert_eq!(batch().await.unwrap().failed_record_count, Some(0));
    let third = batch().await.unwrap();
    assert_eq!(third.failed_record_count, Some(470));
    let refused: Vec<_> =
        third.records.iter().filter(|record| record.error_code.is_some()).collect();
    assert_eq!(refused.len(), 470);
    for record in refused {
        assert_eq!(record.error_code.as_deref(), Some("ProvisionedThroughputExceededException"));
        assert_eq!(
            record.error_message.as_deref(),
            Some(
                "Rate exceeded for shard shardId-000000000000 in stream events under account \
                 000000000000."
            )
        );
        assert!(record.sequence_number.is_none());
    }
    assert!(third.records[495].sequence_number.is_some());
    let one = local.client.put_record().stream_name(STREAM).partition_key("a");
    let one = one.data(Blob::new(b"x")).send().await;
    assert_eq!(code(one), "ProvisionedThroughputExceededException");
    local.clock.advance(1_000);
    assert_eq!(batch().await.unwrap().failed_record_count, Some(0));
}

#[tokio::test]
async fn a_shard_takes_a_mebibyte_a_second() {
    let local = limited().await;
    local.put("a", &vec![0; 900_000]).await;
    let more = local.client.put_record().stream_name(STREAM).partition_key("a");
    let more = more.data(Blob::new(vec![0; 200_000])).send().await;
    assert_eq!(code(more), "ProvisionedThroughputExceededException");
    local.put("b", &vec![0; 900_000]).await;
}

#[tokio::test]
async fn a_shard_is_read_five_times_a_second_and_rests_after_ten_mebibytes() {
    let local = limited().await;
    let iterator = local.iterator(&shard_id(0), ShardIteratorType::TrimHorizon).await;
    let get = || local.client.get_records().shard_iterator(&iterator).send();
    for _ in 0..5 {
        get().await.unwrap();
    }
    assert_eq!(code(get().await), "ProvisionedThroughputExceededException");
    for _ in 0..11 {
        local.clock.advance(1_000);
        local.put("a", &vec![0; (1 << 20) - 1]).await;
    }
    local.clock.advance(1_000);
    assert_eq!(get().await.unwrap().records.len(), 10);
    local.clock.advance(3_000);
    assert_eq!(code(get().await), "ProvisionedThroughputExceededException");
    local.clock.advance(2_000);
    get().await.unwrap();
}
