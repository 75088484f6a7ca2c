//! Kinesis Data Streams, JSON 1.1.
//!
//! A stream's description ([`model`]) is replaced as a whole when it changes; its records
//! ([`log`]) are only ever appended. Every operation holds one stream's lock for the time of a
//! copy and a write to the file, and never across an await.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::response::Response;

use crate::error::StartError;
use crate::service::{AwsError, Call, Shared, json_response};

mod consumers;
mod frame;
mod ids;
mod limits;
mod log;
mod manage;
mod model;
mod monitoring;
mod put;
mod read;
mod reshard;
mod shards;
mod stream;
mod subscribe;
mod subscriptions;
mod tagging;
mod wire;

use log::Memory;
use stream::Stream;

/// Streams and open shards of an endpoint; AWS grants 1,000 shards or more by default.
const MAX_STREAMS: usize = 1_000;
const MAX_SHARDS: usize = 1_000;

/// How often expired records and their files are dropped.
const SWEEP_MS: u64 = 60_000;

/// How this Kinesis behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Whether it throttles as AWS does.
    pub(crate) limits: bool,
    /// How many bytes of records stay in memory.
    pub(crate) memory_bytes: usize,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Kinesis {
    shared: Arc<Shared>,
    settings: Settings,
    memory: Arc<Memory>,
    /// The folder with one folder for each stream.
    root: Option<PathBuf>,
    streams: RwLock<BTreeMap<String, Arc<Stream>>>,
    next_id: AtomicU64,
}

impl Kinesis {
    /// Reads the streams of the state folder and starts the sweeping of expired records.
    pub(crate) fn open(shared: &Arc<Shared>, settings: Settings) -> Result<Arc<Self>, StartError> {
        let root = shared.state_dir.as_ref().map(|dir| dir.join("kinesis"));
        let mut kinesis = Self {
            memory: Memory::new(settings.memory_bytes),
            shared: Arc::clone(shared),
            settings,
            root,
            streams: RwLock::default(),
            next_id: AtomicU64::new(1),
        };
        if let Some(root) = kinesis.root.clone() {
            let recovered = kinesis.recover(&root);
            recovered.map_err(|reason| StartError::State { path: root, reason })?;
        }
        let kinesis = Arc::new(kinesis);
        let weak = Arc::downgrade(&kinesis);
        let clock = shared.clock.clone();
        shared.spawn(async move {
            loop {
                clock.sleep(SWEEP_MS).await;
                let Some(kinesis) = weak.upgrade() else { return };
                kinesis.expire();
            }
        });
        Ok(kinesis)
    }

    fn recover(&mut self, root: &std::path::Path) -> io::Result<()> {
        fs::create_dir_all(root)?;
        let mut streams = BTreeMap::new();
        let now_ms = self.shared.clock.now_ms();
        for entry in fs::read_dir(root)? {
            let folder = entry?.path();
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Ok(id) = name.parse::<u64>() else { continue };
            *self.next_id.get_mut() = (*self.next_id.get_mut()).max(id + 1);
            let memory = Arc::clone(&self.memory);
            let account = &self.shared.account;
            let arn = |name: &str| self.arn(name);
            match Stream::recover(folder.clone(), account, arn, memory, now_ms)? {
                Some(stream) => {
                    streams.insert(stream.name.clone(), Arc::new(stream));
                }
                // The making or deletion of a stream was cut short.
                None => fs::remove_dir_all(folder)?,
            }
        }
        self.streams = RwLock::new(streams);
        Ok(())
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        let body = &*call.body;
        let answer = match call.operation.as_str() {
            "PutRecords" => self.put_records(body),
            "PutRecord" => self.put_record(body),
            "GetRecords" => self.get_records(body),
            "GetShardIterator" => self.get_shard_iterator(body),
            "SubscribeToShard" => {
                let response = self.subscribe_to_shard(body);
                return response.unwrap_or_else(|error| error.json_response());
            }
            "ListShards" => self.list_shards(body),
            "CreateStream" => self.create_stream(body),
            "DeleteStream" => self.delete_stream(body),
            "DescribeStream" => self.describe_stream(body),
            "DescribeStreamSummary" => self.describe_stream_summary(body),
            "ListStreams" => self.list_streams(body),
            "SplitShard" => self.split_shard(body),
            "MergeShards" => self.merge_shards(body),
            "UpdateShardCount" => self.update_shard_count(body),
            "IncreaseStreamRetentionPeriod" => self.increase_retention(body),
            "DecreaseStreamRetentionPeriod" => self.decrease_retention(body),
            "UpdateStreamMode" => self.update_stream_mode(body),
            "UpdateMaxRecordSize" => self.update_max_record_size(body),
            "EnableEnhancedMonitoring" => self.switch_monitoring(body, true),
            "DisableEnhancedMonitoring" => self.switch_monitoring(body, false),
            "AddTagsToStream" | "TagResource" => self.add_tags(body),
            "RemoveTagsFromStream" | "UntagResource" => self.remove_tags(body),
            "ListTagsForStream" => self.list_tags_for_stream(body),
            "ListTagsForResource" => self.list_tags_for_resource(body),
            "DescribeLimits" => Ok(self.describe_limits()),
            "RegisterStreamConsumer" => self.register_stream_consumer(body),
            "DeregisterStreamConsumer" => self.deregister_stream_consumer(body),
            "DescribeStreamConsumer" => self.describe_stream_consumer(body),
            "ListStreamConsumers" => self.list_stream_consumers(body),
            _ => Err(AwsError::unknown_operation(&call)),
        };
        match answer {
            Ok(json) => json_response(json),
            Err(error) => error.json_response(),
        }
    }

    fn stream(&self, name: &str) -> Result<Arc<Stream>, AwsError> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams
            .get(name)
            .map(Arc::clone)
            .ok_or_else(|| stream::not_found(name, &self.shared.account))
    }

    fn arn(&self, name: &str) -> String {
        self.shared.arn("kinesis", &format!("stream/{name}"))
    }

    fn folder(&self, id: u64) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(format!("{id:08}")))
    }

    fn take_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Open shards of all streams.
    fn open_shards(&self) -> usize {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.values().map(|stream| stream.lock().meta.open_shards().len()).sum()
    }

    fn expire(&self) {
        let streams: Vec<_> = {
            let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
            streams.values().map(Arc::clone).collect()
        };
        let now_ms = self.shared.clock.now_ms();
        for stream in streams {
            stream.expire(now_ms);
        }
    }
}
