//! The outbox: metrics and domain events that a service has not acknowledged wait here, as objects
//! beside the rejects, so that the epoch they belong to can be committed.
//!
//! An object is sent by whoever owns its shard, or by the first of the fleet's workers once the shard is
//! finished (`worker/orphans.rs`), oldest first and each service by itself, and removed once it is
//! acknowledged; what was acknowledged of it is taken out of it at once. So nothing is sent twice unless
//! a worker dies between an acknowledgement and its note (E7). What is too old for its service, or
//! beyond the outbox's size, is counted and given up.

mod letter;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use ivs_core::emit::{Datum, DatumBatch, MAX_BATCH_BYTES, MAX_BATCH_DATUMS, OLDEST_MS, batches};
use kinesis_model::{EpochMs, Position, ShardId};
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::SinkError;
use super::events::{Entry, EventSink};
use super::metrics::MetricSink;
use super::objects::ObjectSink;
use super::patience::{Left, Patience, Refused};
use super::retry::persist_object;
use super::stats::Stats;
use crate::clock::now;
use crate::cloud::store_error::in_words;
use crate::cloud::store_url::StoreUrl;
use letter::{Content, Letter, StoredDatum};
use queue::{Queue, Waiting, epoch_text, folder};

pub use queue::Kind;

/// EventBridge events are news; after a day they are history.
const EVENTS_KEEP_MS: i64 = 24 * 3_600_000;
/// Between two looks at an empty outbox, or at a service that was away, to begin with.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a listing may take when a shard is taken, and the sending of one object when its shard
/// is given away.
const LET_GO: Duration = Duration::from_secs(5);

/// The outbox of a worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: StoreUrl,
    stream: Arc<str>,
    max_bytes: u64,
    queue: Mutex<Queue>,
    /// Held while an object of a kind is being sent.
    sending: [tokio::sync::Mutex<()>; 2],
    /// Whether the letters of a shard that was taken could not be listed.
    unlisted: AtomicBool,
    stats: Arc<Stats>,
}

/// Where the outbox sends.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) metrics: MetricSink,
    pub(super) events: EventSink,
    pub(super) objects: ObjectSink,
}

/// The result of sending an object.
enum Sent {
    /// It is gone, one way or the other.
    Gone,
    /// Its service, or the store, is away.
    Away(String),
}

impl Outbox {
    /// Returns an outbox of at most `max_bytes` at a URL.
    pub(super) fn new(url: StoreUrl, stream: &str, max_bytes: u64, stats: Arc<Stats>) -> Self {
        Self(Arc::new(Inner {
            url,
            stream: Arc::from(stream),
            max_bytes,
            queue: Mutex::default(),
            sending: Default::default(),
            unlisted: AtomicBool::new(false),
            stats,
        }))
    }

    /// Returns whether what comes now has to queue up behind what waits.
    #[must_use]
    pub fn is_behind(&self, shard: &ShardId, kind: Kind) -> bool {
        self.queue().is_behind(shard, kind)
    }

    /// Returns whether an epoch was put in here, whole: it need not be emitted again.
    #[must_use]
    pub fn has_epoch(&self, shard: &ShardId, to: Position) -> bool {
        self.queue().has_epoch(shard, &epoch_text(to))
    }

    /// Puts what an epoch could not send into the outbox.
    ///
    /// # Errors
    /// When the store does not take it in all tries.
    pub async fn spill(
        &self,
        (shard, to): (&ShardId, Position),
        metrics: Vec<DatumBatch>,
        events: Vec<Entry>,
    ) -> Result<(), SinkError> {
        let datums: Vec<Datum> = metrics.into_iter().flat_map(|batch| batch.datums).collect();
        let calls = batches(datums, MAX_BATCH_DATUMS, MAX_BATCH_BYTES);
        let mut contents: Vec<(Kind, Content)> = calls
            .iter()
            .map(|call| {
                (Kind::Metrics, Content::Metrics(call.datums.iter().map(Into::into).collect()))
            })
            .collect();
        if !events.is_empty() {
            contents.push((Kind::Events, Content::Events(events)));
        }
        let (made, epoch, last) = (now(), epoch_text(to), contents.len().wrapping_sub(1));
        let mut written = Vec::with_capacity(contents.len());
        for (number, (kind, content)) in contents.into_iter().enumerate() {
            let body = Letter::new(made, content).to_bytes();
            let name = Waiting::name(&self.0.stream, shard, &epoch, (number, kind, number == last));
            let bytes = body.len() as u64;
            self.put(&name, body).await?;
            written.extend(Waiting::of(&name, bytes, made));
        }
        tracing::warn!(%shard, %to, objects = written.len(), "put into the outbox");
        self.0.stats.outbox_spilled.fetch_add(written.len() as u64, Relaxed);
        for waiting in written {
            let mut queue = self.queue();
            // One shard has waited for all: the others need not find out by themselves.
            queue.set_away(waiting.kind, true);
            queue.push(waiting);
        }
        self.keep_small().await;
        self.show();
        Ok(())
    }

    /// Takes over what waits for a shard. What cannot be listed is noted, for the next sweep.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn adopt(&self, shard: &ShardId) -> Result<(), SinkError> {
        let folder = format!("{}/{shard}", folder(&self.0.stream));
        let listed = tokio::time::timeout(LET_GO, self.list(&folder)).await;
        let listed = listed.unwrap_or_else(|_| {
            let reason = "it took too long to list it".to_owned();
            Err(SinkError::Object { path: folder, reason })
        });
        self.0.unlisted.fetch_or(listed.is_err(), Relaxed);
        let found = listed?;
        let mut queue = self.queue();
        found.into_iter().for_each(|waiting| queue.push(waiting));
        drop(queue);
        self.show();
        Ok(())
    }

    /// Returns whether something could not be taken over since the last call.
    pub fn take_unlisted(&self) -> bool {
        self.0.unlisted.swap(false, Relaxed)
    }

    /// Takes over what waits for any shard that is this worker's, by `is_ours`.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn sweep(&self, is_ours: impl Fn(&ShardId) -> bool) -> Result<(), SinkError> {
        let found = self.list(&folder(&self.0.stream)).await?;
        let mut queue = self.queue();
        let ours = found.into_iter().filter(|waiting| is_ours(&waiting.shard));
        ours.for_each(|waiting| queue.push(waiting));
        drop(queue);
        self.show();
        Ok(())
    }

    /// Forgets what another worker sends from now on.
    pub fn keep(&self, is_ours: impl Fn(&ShardId) -> bool) {
        self.queue().keep(is_ours);
        self.show();
    }

    /// Forgets a shard that goes to another worker, once what is being sent of it is noted.
    pub async fn release(&self, shard: &ShardId) {
        self.queue().forget(shard);
        self.show();
        for sending in &self.0.sending {
            drop(tokio::time::timeout(LET_GO, sending.lock()).await);
        }
    }

    /// Sends what waits, until it is dropped.
    pub(super) async fn run(self, services: Services) {
        let [metrics, events] = Kind::ALL;
        tokio::join!(self.send_all(metrics, &services), self.send_all(events, &services));
    }

    async fn send_all(&self, kind: Kind, services: &Services) {
        let mut pause = PAUSE;
        loop {
            let sent = {
                let _sending = self.0.sending[kind as usize].lock().await;
                let first = self.queue().first(kind);
                match first {
                    None => None,
                    Some(waiting) => Some(self.send(&waiting, services).await),
                }
            };
            match sent {
                None => pause = PAUSE,
                Some(Sent::Gone) => {
                    self.queue().set_away(kind, false);
                    self.show();
                    pause = PAUSE;
                    continue;
                }
                Some(Sent::Away(error)) => {
                    self.queue().set_away(kind, true);
                    tracing::debug!(kind = kind.as_str(), error, "the outbox waits");
                    self.0.stats.note_error(format!("outbox, {}: {error}", kind.as_str()));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            self.show();
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, waiting: &Waiting, services: &Services) -> Sent {
        let letter = match self.read(&waiting.name).await {
            Ok(Some(bytes)) => Letter::from_bytes(&bytes),
            Ok(None) => {
                self.queue().remove(&waiting.name);
                return Sent::Gone;
            }
            Err(error) => return Sent::Away(error.to_string()),
        };
        let letter = match letter {
            Ok(letter) => letter,
            Err(error) => {
                // It stays in the store: somebody may want to look at it.
                let name = &waiting.name;
                tracing::error!(name, %error, "an object of the outbox is left alone");
                self.0.stats.note_error(format!("{name} {error}"));
                self.queue().remove(name);
                return Sent::Gone;
            }
        };
        let made_ms = letter.made_ms;
        let (left, rest) = match letter.content {
            Content::Metrics(datums) => send_metrics(&datums, services, &self.0.stats).await,
            Content::Events(_) if now().0 - made_ms.0 > EVENTS_KEEP_MS => {
                self.expire(waiting).await;
                return Sent::Gone;
            }
            Content::Events(entries) => {
                let before = entries.len();
                let left = services.events.try_send(entries, &once()).await;
                let rest = (!left.waiting.is_empty()).then(|| {
                    let progress = left.waiting.len() + left.refused.len() < before;
                    (Content::Events(left.waiting), progress)
                });
                (Outcome { refused: left.refused, error: left.error }, rest)
            }
        };
        if !left.refused.is_empty() {
            let kept = services
                .objects
                .store_refused(&waiting.shard, &waiting.epoch, made_ms, &left.refused)
                .await;
            if let Err(error) = kept {
                return Sent::Away(error.to_string());
            }
        }
        self.note_progress(waiting, made_ms, rest, left.error).await
    }

    /// Removes an object that was sent, or takes out of it what was.
    async fn note_progress(
        &self,
        waiting: &Waiting,
        made_ms: EpochMs,
        rest: Option<(Content, bool)>,
        error: Option<SinkError>,
    ) -> Sent {
        let Some((content, progress)) = rest else {
            return match self.delete(&waiting.name).await {
                Ok(()) => {
                    self.0.stats.outbox_sent.fetch_add(1, Relaxed);
                    self.queue().remove(&waiting.name);
                    Sent::Gone
                }
                Err(error) => Sent::Away(error.to_string()),
            };
        };
        if progress
            && let Err(error) =
                self.put(&waiting.name, Letter::new(made_ms, content).to_bytes()).await
        {
            return Sent::Away(error.to_string());
        }
        Sent::Away(error.map_or_else(|| "not acknowledged".to_owned(), |error| error.to_string()))
    }

    /// Gives up the oldest while there is too much.
    async fn keep_small(&self) {
        loop {
            let beyond = self.queue().beyond(self.0.max_bytes);
            let Some(waiting) = beyond else { return };
            self.expire(&waiting).await;
        }
    }

    async fn expire(&self, waiting: &Waiting) {
        let name = &waiting.name;
        tracing::error!(name, bytes = waiting.bytes, "given up: too old, or the outbox is full");
        self.0.stats.outbox_expired.fetch_add(1, Relaxed);
        self.0.stats.note_error(format!("{name} was given up: too old, or the outbox is full"));
        self.queue().remove(name);
        if let Err(error) = self.delete(name).await {
            tracing::warn!(name, %error, "an object of the outbox could not be removed");
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<Waiting>, SinkError> {
        let prefix = self.0.url.path(folder);
        let above = self.0.url.prefix().to_string();
        let objects: Result<Vec<_>, _> = self.0.url.store().list(Some(&prefix)).try_collect().await;
        let objects = objects.map_err(|error| failed(folder, &error))?;
        let waiting = |meta: object_store::ObjectMeta| {
            let name = meta.location.to_string();
            let name = name.strip_prefix(&above).unwrap_or(&name).trim_start_matches('/');
            Waiting::of(name, meta.size, EpochMs(meta.last_modified.timestamp_millis()))
        };
        Ok(objects.into_iter().filter_map(waiting).collect())
    }

    async fn put(&self, name: &str, body: Bytes) -> Result<(), SinkError> {
        let (store, path) = (self.0.url.store(), self.0.url.path(name));
        let put = || store.put(&path, body.clone().into());
        persist_object(&self.0.stats, put).await.map_err(|error| failed(name, &error))?;
        Ok(())
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, SinkError> {
        let path = self.0.url.path(name);
        let found = async { self.0.url.store().get(&path).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(name, &error)),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), SinkError> {
        match self.0.url.store().delete(&self.0.url.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(name, &error)),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) {
        let queue = self.queue();
        let oldest_ms = queue.oldest().map_or(0, |made| made.0);
        let stats = &self.0.stats;
        stats.outbox_objects.store(queue.len() as u64, Relaxed);
        stats.outbox_bytes.store(queue.bytes(), Relaxed);
        stats.outbox_oldest_ms.store(u64::try_from(oldest_ms).unwrap_or(0), Relaxed);
    }
}

/// The result of sending, apart from the letters that still wait.
struct Outcome {
    refused: Vec<Refused>,
    error: Option<SinkError>,
}

/// Sends stored datums; returns what is left of them and whether any were taken.
async fn send_metrics(
    stored: &[StoredDatum],
    services: &Services,
    stats: &Stats,
) -> (Outcome, Option<(Content, bool)>) {
    let read = |stored: &StoredDatum| match Datum::try_from(stored) {
        Ok(datum) => Some(datum),
        Err(error) => {
            tracing::error!(%error, "a datum of the outbox is given up");
            stats.datums_dropped.fetch_add(1, Relaxed);
            None
        }
    };
    let now = now();
    let (datums, old): (Vec<Datum>, Vec<Datum>) =
        stored.iter().filter_map(read).partition(|datum| datum.time.0 >= now.0 - OLDEST_MS);
    if !old.is_empty() {
        tracing::error!(datums = old.len(), "given up: CloudWatch takes two weeks at most");
        stats.datums_dropped.fetch_add(old.len() as u64, Relaxed);
        stats.outbox_expired.fetch_add(1, Relaxed);
    }
    let calls = batches(datums, MAX_BATCH_DATUMS, MAX_BATCH_BYTES);
    let Left { waiting, refused, error } = services.metrics.try_send(calls, &once()).await;
    let rest: Vec<StoredDatum> =
        waiting.iter().flat_map(|batch| &batch.datums).map(Into::into).collect();
    let progress = rest.len() < stored.len();
    let rest = (!rest.is_empty()).then_some((Content::Metrics(rest), progress));
    (Outcome { refused, error }, rest)
}

/// Returns the patience for one try of each call.
fn once() -> Patience {
    Patience::of(Duration::ZERO)
}

fn failed(name: &str, error: &object_store::Error) -> SinkError {
    SinkError::Object { path: name.to_owned(), reason: in_words(error) }
}
