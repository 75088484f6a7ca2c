//! PutRecord, PutRecords, GetRecords.

use super::*;
use crate::clients::code;
use ivs_emulator::State;

const HALF: u128 = 1 << 127;
const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_record_comes_back_as_it_went_in() {
    let local = Local::start().await;
    local.create(1).await;
    let data: Vec<u8> = (0..=255).collect();
    let (shard, sequence) = local.put("schlüssel \"1\"", &data).await;
    assert_eq!(shard, shard_id(0));
    assert_eq!(sequence.len(), 56);
    let page = local.get(&local.iterator(&shard, ShardIteratorType::TrimHorizon).await).await;
    let [record] = page.records.as_slice() else { panic!("{page:?}") };
    assert_eq!(record.data.as_ref(), data);
    assert_eq!(record.partition_key.as_deref(), Some("schlüssel \"1\""));
    assert_eq!(record.sequence_number, sequence);
    // On the wire it is a double of seconds, which the SDK cuts: a millisecond may be missing.
    let arrival = record.approximate_arrival_timestamp.unwrap().to_millis().unwrap();
    assert!((START_MS + 99..=START_MS + 100).contains(&u64::try_from(arrival).unwrap()));
    assert_eq!(page.millis_behind_latest, Some(0));
    assert!(page.child_shards.is_none());
}

#[tokio::test]
async fn records_go_to_the_shard_of_their_hash_key() {
    let local = Local::start().await;
    local.create(2).await;
    for (hash, shard) in [(0, 0), (HALF - 1, 0), (HALF, 1), (u128::MAX, 1)] {
        assert_eq!(local.put_hash(hash, b"x").await.0, shard_id(shard), "{hash}");
    }
    // MD5("a") = 0cc1..., MD5("b") = 92eb...
    assert_eq!(local.put("a", b"x").await.0, shard_id(0));
    assert_eq!(local.put("b", b"x").await.0, shard_id(1));
}

#[tokio::test]
async fn a_batch_keeps_its_order_in_each_shard_and_its_numbers_grow() {
    let local = Local::start().await;
    local.create(2).await;
    let entries = (0..500).map(|i| entry(&format!("key-{}", i % 7), format!("{i}").as_bytes()));
    let request = local.client.put_records().stream_name(STREAM);
    let done = request.set_records(Some(entries.collect())).send().await.unwrap();
    assert_eq!(done.failed_record_count, Some(0));
    assert_eq!(done.records.len(), 500);
    let mut seen = 0;
    for shard in [shard_id(0), shard_id(1)] {
        let stored = local.read_all(&shard).await;
        let numbers: Vec<u32> = texts(&stored).iter().map(|text| text.parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        let of_shard = done.records.iter().filter(|r| r.shard_id.as_deref() == Some(&shard));
        let sequences: Vec<_> = of_shard.map(|r| r.sequence_number.clone().unwrap()).collect();
        assert!(sequences.is_sorted());
        assert_eq!(sequences.len(), numbers.len());
        seen += numbers.len();
    }
    assert_eq!(seen, 500);
}

#[tokio::test]
async fn what_aws_refuses_is_refused_whole() {
    let local = Local::start().await;
    local.create(1).await;
    let batch = |entries: Vec<PutRecordsRequestEntry>| {
        local.client.put_records().stream_name(STREAM).set_records(Some(entries)).send()
    };
    assert_eq!(code(batch(vec![]).await), "ValidationException");
    assert_eq!(code(batch(vec![entry("k", b"x"); 501]).await), "ValidationException");
    let long_key = "k".repeat(257);
    assert_eq!(
        code(batch(vec![entry("k", b"x"), entry(&long_key, b"x")]).await),
        "ValidationException"
    );
    let large = vec![0; MIB];
    assert_eq!(code(batch(vec![entry("k", &large)]).await), "ValidationException");
    let ten = vec![entry("k", &large[1..]); 11];
    assert_eq!(code(batch(ten).await), "InvalidArgumentException");
    let request = local.client.put_record().stream_name(STREAM).partition_key("k");
    let request =
        request.data(Blob::new(b"x")).explicit_hash_key("340282366920938463463374607431768211456");
    assert_eq!(code(request.send().await), "InvalidArgumentException");
    let request = local.client.put_record().stream_name("other").partition_key("k");
    assert_eq!(code(request.data(Blob::new(b"x")).send().await), "ResourceNotFoundException");
    assert!(local.read_all(&shard_id(0)).await.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_still_creating_takes_no_records() {
    let local = Local::start().await;
    local.client.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    let put = || {
        let request = local.client.put_record().stream_name(STREAM).partition_key("k");
        request.data(Blob::new(b"x")).send()
    };
    assert_eq!(code(put().await), "ResourceNotFoundException");
    local.settle();
    put().await.unwrap();
}

#[tokio::test]
async fn larger_records_are_taken_once_the_stream_allows_them() {
    let local = Local::start().await;
    local.create(1).await;
    let summary = local.client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    let arn = summary.stream_description_summary.unwrap().stream_arn;
    let request = local.client.update_max_record_size().stream_arn(arn);
    request.max_record_size_in_kib(4_096).send().await.unwrap();
    local.put("k", &vec![7; 3 * MIB]).await;
    assert_eq!(local.read_all(&shard_id(0)).await[0].len(), 3 * MIB);
}

#[tokio::test]
async fn pages_end_at_the_limit_and_at_ten_mebibytes() {
    let local = Local::start().await;
    local.create(1).await;
    for i in 0..12_u8 {
        local.put("k", &vec![i; MIB - 1]).await;
        local.clock.advance(1_000);
    }
    let start = local.iterator(&shard_id(0), ShardIteratorType::TrimHorizon).await;
    let limited = local.client.get_records().shard_iterator(&start).limit(3).send().await.unwrap();
    assert_eq!(limited.records.len(), 3);
    assert_eq!(limited.millis_behind_latest, Some(9_000));
    let full = local.get(&start).await;
    assert_eq!(full.records.len(), 10);
    assert_eq!(full.millis_behind_latest, Some(2_000));
    let rest = local.get(&full.next_shard_iterator.unwrap()).await;
    assert_eq!(rest.records.len(), 2);
    assert_eq!(rest.millis_behind_latest, Some(0));
    for limit in [0, 10_001] {
        let request = local.client.get_records().shard_iterator(&start).limit(limit);
        assert_eq!(code(request.send().await), "ValidationException");
    }
}

#[tokio::test]
async fn records_expire_after_the_retention_period() {
    let local = Local::start().await;
    local.create(1).await;
    local.put("k", b"old").await;
    local.clock.advance(20 * HOUR_MS);
    local.put("k", b"young").await;
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["old", "young"]);
    local.clock.advance(5 * HOUR_MS);
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["young"]);
    let request = local.client.increase_stream_retention_period().stream_name(STREAM);
    request.retention_period_hours(48).send().await.unwrap();
    local.clock.advance(20 * HOUR_MS);
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["young"]);
    let request = local.client.increase_stream_retention_period().stream_name(STREAM);
    assert_eq!(code(request.retention_period_hours(24).send().await), "InvalidArgumentException");
}

#[tokio::test]
async fn records_beyond_the_memory_cap_are_read_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::Dir(folder.path().to_owned());
    let config = Config { state, kinesis_memory_bytes: MIB, ..Config::default() };
    let local = Local::start_with(config).await;
    local.create(2).await;
    for i in 0..20_u8 {
        let entries = (0..10).map(|_| entry(&format!("{i}"), &[i; 50_000]));
        let request = local.client.put_records().stream_name(STREAM);
        request.set_records(Some(entries.collect())).send().await.unwrap();
    }
    let mut all = local.read_all(&shard_id(0)).await;
    all.extend(local.read_all(&shard_id(1)).await);
    all.sort();
    let expected: Vec<Vec<u8>> = (0..20).flat_map(|i| vec![vec![i; 50_000]; 10]).collect();
    assert!(all == expected);
}

#[tokio::test]
async fn without_a_folder_the_memory_cap_refuses_writes() {
    let local = Local::start_with(Config { kinesis_memory_bytes: MIB, ..Config::default() }).await;
    local.create(1).await;
    local.put("k", &vec![0; MIB - 1]).await;
    let request = local.client.put_record().stream_name(STREAM).partition_key("k");
    assert_eq!(code(request.data(Blob::new(b"x")).send().await), "LimitExceededException");
    local.clock.advance(25 * HOUR_MS);
    // The sweep runs on its own; a put is taken again as soon as it has.
    for _ in 0..200 {
        let request = local.client.put_record().stream_name(STREAM).partition_key("k");
        if request.data(Blob::new(b"x")).send().await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("expired records still hold their memory");
}
