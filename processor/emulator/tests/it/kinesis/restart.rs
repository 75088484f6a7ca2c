//! State in a folder: what outlives the endpoint.

use std::path::{Path, PathBuf};

use super::*;
use ivs_emulator::{StartError, State};

fn kept_in(folder: &Path) -> Config {
    Config { state: State::Dir(folder.to_owned()), ..Config::default() }
}

impl Local {
    /// Ends the endpoint as `kill -9` would and starts another one on its folder.
    async fn restart(self, folder: &Path) -> Self {
        let now_ms = self.clock.now_ms();
        drop(self);
        Self::start_at(kept_in(folder), now_ms).await
    }
}

fn record_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("kinesis")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                files.push(path);
            }
        }
    }
    files
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start_with(kept_in(folder.path())).await;
    local.create(1).await;
    let (_, first) = local.put("k", b"one").await;
    local.split(&shard_id(0), 1 << 127).await;
    local.put_hash(0, b"two").await;
    let request = local.client.increase_stream_retention_period().stream_name(STREAM);
    request.retention_period_hours(48).send().await.unwrap();
    local.settle();
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/events";
    let request = local.client.register_stream_consumer().stream_arn(arn).consumer_name("c");
    let consumer = request.send().await.unwrap().consumer.unwrap();
    let iterator = local.iterator(&shard_id(1), ShardIteratorType::TrimHorizon).await;
    let shards = local.shards().await;

    let local = local.restart(folder.path()).await;
    assert_eq!(local.shards().await, shards);
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["one"]);
    assert_eq!(local.get(&iterator).await.records[0].data.as_ref(), b"two");
    let described =
        local.client.describe_stream_consumer().consumer_arn(&consumer.consumer_arn).send().await;
    assert_eq!(described.unwrap().consumer_description.unwrap().consumer_name, "c");
    let summary = local.client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    assert_eq!(summary.stream_description_summary.unwrap().retention_period_hours, 48);
    let (_, later) = local.put_hash(0, b"three").await;
    assert!(later > first);
    assert_eq!(texts(&local.read_all(&shard_id(1)).await), ["two", "three"]);
    local.split(&shard_id(2), 3 << 126).await;
    let shards = local.shards().await;
    assert_eq!(shards.last().unwrap().shard_id, shard_id(4));

    let local = local.restart(folder.path()).await;
    assert_eq!(texts(&local.read_all(&shard_id(1)).await), ["two", "three"]);
    assert_eq!(local.shards().await.len(), 5);
}

#[tokio::test]
async fn numbers_grow_even_if_every_record_before_them_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start_with(kept_in(folder.path())).await;
    local.create(1).await;
    let (_, before) = local.put("k", b"one").await;
    local.clock.advance(25 * HOUR_MS);
    // The sweep deletes the file some moments after the clock has moved.
    for _ in 0..500 {
        if record_files(folder.path()).is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(record_files(folder.path()).is_empty());
    let local = local.restart(folder.path()).await;
    let (_, after) = local.put("k", b"two").await;
    assert!(after > before);
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["two"]);
}

#[tokio::test]
async fn a_torn_tail_loses_only_what_was_never_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start_with(kept_in(folder.path())).await;
    local.create(1).await;
    local.put("k", b"one").await;
    local.put("k", b"two").await;
    let [file] = record_files(folder.path()).try_into().unwrap();
    let clock = local.clock.clone();
    local.endpoint.shutdown().await;
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.len();
    bytes.extend_from_within(..whole / 2 - 5);
    std::fs::write(&file, &bytes).unwrap();
    let local = Local::start_at(kept_in(folder.path()), clock.now_ms()).await;
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["one", "two"]);
    local.put("k", b"three").await;
    let local = local.restart(folder.path()).await;
    assert_eq!(texts(&local.read_all(&shard_id(0)).await), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_deleted_stream_stays_deleted_and_half_made_ones_vanish() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start_with(kept_in(folder.path())).await;
    local.create(1).await;
    local.put("k", b"one").await;
    local.client.delete_stream().stream_name(STREAM).send().await.unwrap();
    let half_made = folder.path().join("kinesis").join("00000009");
    std::fs::create_dir(&half_made).unwrap();
    let local = local.restart(folder.path()).await;
    assert!(local.client.list_streams().send().await.unwrap().stream_names.is_empty());
    assert!(!half_made.exists());
    local.create(1).await;
    assert!(local.read_all(&shard_id(0)).await.is_empty());
}

#[tokio::test]
async fn a_folder_serves_one_endpoint_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start_with(kept_in(folder.path())).await;
    let second = Endpoint::start(kept_in(folder.path())).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    local.endpoint.shutdown().await;
    Endpoint::start(kept_in(folder.path())).await.unwrap();
}

#[tokio::test]
async fn only_loopback_is_served_unless_allowed() {
    let listen = ([0, 0, 0, 0], 0).into();
    let refused = Endpoint::start(Config { listen, ..Config::default() }).await;
    assert!(matches!(refused, Err(StartError::NotLoopback(_))), "{refused:?}");
    Endpoint::start(Config { listen, allow_remote: true, ..Config::default() }).await.unwrap();
}
