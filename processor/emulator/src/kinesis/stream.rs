//! A stream: its description, its shards' records and who reads them, under one lock.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ids;
use super::limits::Pace;
use super::log::{Files, Memory, ShardLog};
use super::model::{Meta, Status};
use super::subscriptions::Subscriptions;
use super::wire;
use crate::service::AwsError;

const META_FILE: &str = "stream.json";

/// A stream that exists, or did until a moment ago.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) id: u64,
    pub(super) account: String,
    pub(super) arn: String,
    folder: Option<PathBuf>,
    memory: Arc<Memory>,
    state: Mutex<StreamState>,
    /// Rung after every append and change.
    pub(super) bell: watch::Sender<()>,
}

/// The state under the lock of a [`Stream`]. The lock is never held across an await.
#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) meta: Meta,
    pub(super) logs: BTreeMap<u32, ShardLog>,
    /// Last hash key and index of the open shards, by hash key.
    routes: Vec<(u128, u32)>,
    pub(super) paces: HashMap<u32, Pace>,
    pub(super) subscriptions: Subscriptions,
    /// Set when the stream is deleted; whoever still holds it gives up.
    pub(super) deleted: bool,
}

impl Stream {
    /// Returns a stream with this description and no records; `folder` is made if it keeps any.
    pub(super) fn create(
        meta: Meta,
        account: &str,
        arn: String,
        folder: Option<PathBuf>,
        memory: Arc<Memory>,
    ) -> io::Result<Self> {
        if let Some(folder) = &folder {
            fs::create_dir_all(folder)?;
            save(folder, &meta)?;
        }
        Ok(Self::assemble(meta, BTreeMap::new(), account, arn, folder, memory))
    }

    /// Returns the stream of a folder, or `None` if the folder holds no whole one.
    pub(super) fn recover(
        folder: PathBuf,
        account: &str,
        arn: impl FnOnce(&str) -> String,
        memory: Arc<Memory>,
        now_ms: u64,
    ) -> io::Result<Option<Self>> {
        let text = match fs::read(folder.join(META_FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut meta: Meta = serde_json::from_slice(&text)?;
        let mut logs = BTreeMap::new();
        for index in meta.shards.keys() {
            let files = Files::new(&folder, &ids::shard_id(*index));
            let log = ShardLog::recover(files, Arc::clone(&memory))?;
            meta.counter = meta.counter.max(log.newest().0);
            logs.insert(*index, log);
        }
        // Records that have expired and gone took their numbers with them: as counters start
        // from the clock, with 2^20 a millisecond to spare, now is above them.
        meta.counter = meta.counter.max(now_ms << 20);
        let arn = arn(&meta.name);
        Ok(Some(Self::assemble(meta, logs, account, arn, Some(folder), memory)))
    }

    fn assemble(
        meta: Meta,
        logs: BTreeMap<u32, ShardLog>,
        account: &str,
        arn: String,
        folder: Option<PathBuf>,
        memory: Arc<Memory>,
    ) -> Self {
        let (name, id) = (meta.name.clone(), meta.id);
        let mut state = StreamState {
            meta,
            logs,
            routes: Vec::new(),
            paces: HashMap::new(),
            subscriptions: Subscriptions::default(),
            deleted: false,
        };
        state.follow_meta(folder.as_deref(), &memory);
        let state = Mutex::new(state);
        let (account, bell) = (account.to_owned(), watch::Sender::new(()));
        Self { name, id, account, arn, folder, memory, state, bell }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the stream if it still exists and is past CREATING.
    pub(super) fn lock_usable(&self, now_ms: u64) -> Result<MutexGuard<'_, StreamState>, AwsError> {
        let state = self.lock();
        if state.deleted || state.meta.status(now_ms) == Status::Creating {
            return Err(not_found(&self.name, &self.account));
        }
        Ok(state)
    }

    /// Changes the description: on a copy, then on disk, then here. An error changes nothing.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Meta) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let mut state = self.lock();
        if state.deleted {
            return Err(not_found(&self.name, &self.account));
        }
        let mut meta = state.meta.clone();
        let done = change(&mut meta)?;
        if let Some(folder) = &self.folder {
            save(folder, &meta)
                .map_err(|error| wire::internal(format!("cannot save the stream: {error}")))?;
        }
        state.meta = meta;
        state.follow_meta(self.folder.as_deref(), &self.memory);
        drop(state);
        self.bell.send_replace(());
        Ok(done)
    }

    /// As [`Stream::change`], for changes that only an ACTIVE stream takes.
    pub(super) fn change_active<T>(
        &self,
        now_ms: u64,
        change: impl FnOnce(&mut Meta) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.change(|meta| {
            let status = meta.status(now_ms);
            if status != Status::Active {
                return Err(wire::in_use(format!(
                    "Stream {} under account {} not ACTIVE, instead in state {}",
                    self.name,
                    self.account,
                    status.as_str()
                )));
            }
            let done = change(meta)?;
            meta.touch(now_ms);
            Ok(done)
        })
    }

    /// Drops what has expired: records, their files, and closed shards without records.
    pub(super) fn expire(&self, now_ms: u64) {
        let mut state = self.lock();
        let horizon_ms = state.meta.horizon_ms(now_ms);
        for log in state.logs.values_mut() {
            log.expire(horizon_ms);
        }
        let meta = &state.meta;
        let gone = meta.shards.iter().any(|(_, shard)| !meta.listed(shard, now_ms));
        drop(state);
        if gone {
            let forgotten = self.change(|meta| {
                let listed = meta.clone();
                meta.shards.retain(|_, shard| listed.listed(shard, now_ms));
                Ok(())
            });
            if let Err(error) = forgotten {
                tracing::warn!(stream = self.name, %error, "cannot forget expired shards");
            }
        }
    }

    /// Deletes the stream's records and files.
    pub(super) fn delete(&self) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(folder) = &self.folder {
            // Without its description a folder is not a stream, should the rest be cut short.
            fs::remove_file(folder.join(META_FILE))?;
            fs::remove_dir_all(folder)?;
        }
        state.deleted = true;
        state.logs.clear();
        drop(state);
        self.bell.send_replace(());
        Ok(())
    }

    /// Returns the index of a listed shard.
    pub(super) fn shard(
        &self,
        state: &StreamState,
        id: &str,
        now_ms: u64,
    ) -> Result<u32, AwsError> {
        let known = ids::parse_shard_id(id).filter(|index| {
            let shard = state.meta.shards.get(index);
            shard.is_some_and(|shard| state.meta.listed(shard, now_ms))
        });
        known.ok_or_else(|| {
            let (name, account) = (&self.name, &self.account);
            wire::not_found(format!(
                "Shard {id} in stream {name} under account {account} does not exist"
            ))
        })
    }

    /// Says that a shard has taken or given all it may for now.
    pub(super) fn rate_exceeded(&self, shard: u32) -> AwsError {
        let (id, name, account) = (ids::shard_id(shard), &self.name, &self.account);
        AwsError::bad_request(
            "ProvisionedThroughputExceededException",
            format!("Rate exceeded for shard {id} in stream {name} under account {account}."),
        )
    }
}

impl StreamState {
    /// Returns the open shard that takes a hash key.
    pub(super) fn route(&self, hash: u128) -> Option<u32> {
        let at = self.routes.partition_point(|(end, _)| *end < hash);
        self.routes.get(at).map(|(_, index)| *index)
    }

    /// Brings logs and routes in line with the description.
    fn follow_meta(&mut self, folder: Option<&Path>, memory: &Arc<Memory>) {
        let shards = &self.meta.shards;
        self.logs.retain(|index, _| shards.contains_key(index));
        self.paces.retain(|index, _| shards.contains_key(index));
        for index in shards.keys() {
            self.logs.entry(*index).or_insert_with(|| {
                let files = folder.map(|folder| Files::new(folder, &ids::shard_id(*index)));
                ShardLog::new(files, Arc::clone(memory))
            });
        }
        let open = self.meta.open_shards();
        self.routes = open.iter().map(|index| (self.meta.shards[index].end, *index)).collect();
    }
}

/// Returns the answer for a stream that does not exist.
pub(super) fn not_found(name: &str, account: &str) -> AwsError {
    wire::not_found(format!("Stream {name} under account {account} not found."))
}

/// Replaces the description in one step: a reader of the folder sees the old one or the new.
fn save(folder: &Path, meta: &Meta) -> io::Result<()> {
    let fresh = folder.join("stream.json.new");
    fs::write(&fresh, serde_json::to_vec_pretty(meta)?)?;
    fs::rename(fresh, folder.join(META_FILE))
}
