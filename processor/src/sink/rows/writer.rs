//! Drives the row writer of [`ivs_core::writer`]: puts and waits on tasks of their own, so that a
//! shard that is given up takes nothing from the others whose partials are in the same put.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use ivs_core::epoch::Rows;
use ivs_core::merge::Merge as _;
use ivs_core::row::Row;
use ivs_core::writer::{Blame, Effect, How, Part, RowWriter};
use kinesis_model::{Position, ShardId};
use tokio::sync::oneshot;

use super::SinkError;
use super::kind::{Kept, Merged, from_item, to_item};
use super::shared::Shared;
use super::store::{Condition, PutOutcome};
use crate::items::codec::{Item, size_bytes};

/// Mean of the first wait for a row that others write too; it doubles with every refusal.
const FIRST_WAIT_MS: u64 = 10;
/// Longest mean wait.
const LONGEST_WAIT_MS: u64 = 1_000;
/// Refusals in a row after which it is worth a line in the log, and again after as many more.
const MANY_REFUSALS: u32 = 20;
/// The memory of an image's sketches and texts by the bytes of its item: they are unpacked there.
const IMAGE_FACTOR: usize = 2;
/// An image's key, twice, and its places in maps.
const IMAGE_ENTRY_BYTES: usize = 500;

/// A row as it stands with the part in it, and how the part got there.
pub(super) type Landed<A> = Result<(Arc<A>, How), SinkError>;

/// The part of an epoch for one row.
#[derive(Debug)]
pub(super) struct Share<M: Merged> {
    shard: ShardId,
    to: Position,
    rows: Arc<Rows>,
    index: usize,
    answer: oneshot::Sender<Landed<M::Agg>>,
}

impl<M: Merged> Share<M> {
    fn delta(&self) -> &M::Agg {
        &M::partials(&self.rows)[self.index].1
    }
}

impl<M: Merged> Part<Kept<M::Agg>> for Share<M> {
    fn shard(&self) -> &ShardId {
        &self.shard
    }

    fn to(&self) -> Position {
        self.to
    }

    fn alone(&self) -> Kept<M::Agg> {
        Kept::new(self.delta().clone())
    }

    fn add_to(&self, row: &mut Kept<M::Agg>) {
        Arc::make_mut(&mut row.agg).merge(self.delta());
    }

    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }
}

type Machine<M> = RowWriter<<M as Merged>::Key, Kept<<M as Merged>::Agg>, Share<M>>;
type Asked<M> = Effect<<M as Merged>::Key, Kept<<M as Merged>::Agg>, Share<M>, SinkError>;

/// The writer of one kind of row. Cheap to clone.
#[derive(Debug)]
pub(super) struct Writer<M: Merged>(Arc<Inner<M>>);

impl<M: Merged> Clone for Writer<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<M: Merged> {
    machine: Mutex<Machine<M>>,
    calls: Mutex<Calls<M>>,
    shared: Shared,
}

/// A put that the machine has asked for.
#[derive(Debug)]
struct Put<M: Merged> {
    key: M::Key,
    seen: Option<u64>,
}

/// A call that the machine has asked for.
#[derive(Debug)]
enum Call<M: Merged> {
    Read(M::Key),
    Put(Put<M>),
}

/// The calls that wait for a task. An epoch may ask for tens of thousands at once: each is begun when its
/// turn has come, or they would take a gigabyte (E8).
#[derive(Debug)]
struct Calls<M: Merged> {
    waiting: VecDeque<Call<M>>,
    /// Tasks that work them off.
    tasks: usize,
}

impl<M: Merged> Writer<M> {
    pub(super) fn new(shared: Shared, max_image_bytes: usize) -> Self {
        let machine = Mutex::new(RowWriter::new(max_image_bytes));
        let calls = Mutex::new(Calls { waiting: VecDeque::new(), tasks: 0 });
        Self(Arc::new(Inner { machine, calls, shared }))
    }

    /// Takes an epoch's partials, which wait for the next flush. The answers are in their order.
    pub(super) fn submit(
        &self,
        rows: &Arc<Rows>,
        (shard, to): (&ShardId, Position),
    ) -> Vec<oneshot::Receiver<Landed<M::Agg>>> {
        let mut machine = self.0.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = M::partials(rows).iter().map(|(key, _)| key.clone()).enumerate();
        keys.map(|(index, key)| {
            let (answer, landed) = oneshot::channel();
            let rows = Arc::clone(rows);
            machine.submit(key, Share { shard: shard.clone(), to, rows, index, answer });
            self.0.shared.stats.partials_waiting.fetch_add(1, Relaxed);
            landed
        })
        .collect()
    }

    /// Lets everything submitted go.
    pub(super) fn flush(&self) {
        self.tell(RowWriter::flush);
    }

    fn tell(&self, input: impl FnOnce(&mut Machine<M>, &mut Vec<Asked<M>>)) {
        let mut asked = Vec::new();
        {
            let mut machine = self.0.machine.lock().unwrap_or_else(PoisonError::into_inner);
            input(&mut machine, &mut asked);
        }
        asked.into_iter().for_each(|effect| self.execute(effect));
    }

    fn execute(&self, effect: Asked<M>) {
        match effect {
            Effect::Put { key, seen, .. } => self.enqueue(Call::Put(Put { key, seen })),
            Effect::Read { key } => self.enqueue(Call::Read(key)),
            Effect::Wait { key, refusals } => {
                if refusals % MANY_REFUSALS == 0 {
                    let table = M::table(&self.0.shared.tables);
                    tracing::warn!(?key, table, refusals, "others keep writing this row");
                }
                let writer = self.clone();
                tokio::spawn(async move {
                    let doubled = FIRST_WAIT_MS << refusals.saturating_sub(2).min(16);
                    let mean_ms = doubled.min(LONGEST_WAIT_MS);
                    aws_calls::pause(mean_ms).await;
                    writer.tell(|machine, asked| machine.wake(&key, asked));
                });
            }
            Effect::Done { part, row, how } => {
                if how == How::Already {
                    self.0.shared.stats.rows_already.fetch_add(1, Relaxed);
                }
                self.answer(part, Ok((Arc::clone(&row.agg.agg), how)));
            }
            Effect::Failed { part, error } => self.answer(part, Err(error)),
        }
    }

    /// Calls at once if there are tasks to spare, else as soon as one is.
    fn enqueue(&self, call: Call<M>) {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.waiting.push_back(call);
        if calls.tasks < self.0.shared.tables.write_concurrency {
            calls.tasks += 1;
            let writer = self.clone();
            tokio::spawn(async move {
                while let Some(call) = writer.next_call() {
                    match call {
                        Call::Read(key) => writer.read(&key).await,
                        Call::Put(put) => writer.put(put).await,
                    }
                }
            });
        }
    }

    /// Returns the next call; without one the task that asks is over.
    fn next_call(&self) -> Option<Call<M>> {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let next = calls.waiting.pop_front();
        if next.is_none() {
            calls.tasks -= 1;
        }
        next
    }

    fn answer(&self, part: Share<M>, landed: Landed<M::Agg>) {
        self.0.shared.stats.partials_waiting.fetch_sub(1, Relaxed);
        // Nobody listens if the shard was given up: its next owner will find the row as it is.
        drop(part.answer.send(landed));
    }

    /// Tells the machine what is stored. A row that cannot be read, or is none of ours, is put as if
    /// it had not been asked for: the answer to that says what is wrong.
    async fn read(&self, key: &M::Key) {
        let tables = &self.0.shared.tables;
        let get = self.0.shared.store.get(M::table(tables), M::item_key(key));
        let image = match AssertUnwindSafe(get).catch_unwind().await {
            Ok(Ok(None)) => Some(None),
            Ok(Ok(Some(item))) => {
                let bytes = image_bytes::<M>(&item);
                from_item::<M>(item).ok().map(|row| Some((row, bytes)))
            }
            Ok(Err(_)) | Err(_) => None,
        };
        self.tell(|machine, asked| match image {
            Some(image) => machine.read(key, image, asked),
            None => machine.unread(key, asked),
        });
    }

    /// Puts a row with all that came for it while it waited for its turn: in a backlog that is seconds.
    async fn put(&self, Put { key, seen }: Put<M>) {
        let (row, parts) = {
            let mut machine = self.0.machine.lock().unwrap_or_else(PoisonError::into_inner);
            machine.board(&key)
        };
        let attempt = AssertUnwindSafe(self.attempt(&key, &row, seen)).catch_unwind().await;
        let error = match attempt {
            Ok(Ok(Outcome::Stored(bytes))) => {
                self.0.shared.stats.partials_merged.fetch_add(parts as u64, Relaxed);
                self.0.shared.stats.merged_puts.fetch_add(1, Relaxed);
                return self.tell(|machine, asked| machine.stored(&key, bytes, asked));
            }
            Ok(Ok(Outcome::Refused(image))) => {
                self.0.shared.stats.conflicts.fetch_add(1, Relaxed);
                self.0.shared.phase.collided(crate::clock::elapsed());
                return self.tell(|machine, asked| machine.refused(&key, image, asked));
            }
            Ok(Err(error)) => error,
            Err(_) => SinkError::Aws {
                operation: "PutItem",
                target: M::table(&self.0.shared.tables).to_owned(),
                reason: format!("the task that writes {key:?} panicked"),
            },
        };
        self.0.shared.stats.puts_failed.fetch_add(1, Relaxed);
        let blame = if error.is_the_rows_own() { Blame::Item } else { Blame::Table };
        self.tell(|machine, asked| machine.failed(&key, &error, blame, asked));
    }

    async fn attempt(
        &self,
        key: &M::Key,
        row: &Row<Kept<M::Agg>>,
        seen: Option<u64>,
    ) -> Result<Outcome<M::Agg>, SinkError> {
        let table = M::table(&self.0.shared.tables);
        let item = to_item::<M>(key, row, &self.0.shared.tables);
        let bytes = image_bytes::<M>(&item);
        match self.0.shared.store.put(table, &item, Condition::Version(seen)).await? {
            PutOutcome::Stored => Ok(Outcome::Stored(bytes)),
            PutOutcome::Refused(None) => Ok(Outcome::Refused(None)),
            PutOutcome::Refused(Some(item)) => {
                let bytes = image_bytes::<M>(&item);
                let row = from_item::<M>(item).map_err(|source| SinkError::Row {
                    table: table.to_owned(),
                    key: format!("{key:?}"),
                    source,
                })?;
                Ok(Outcome::Refused(Some((row, bytes))))
            }
        }
    }
}

/// Returns about what the image of an item takes in memory.
fn image_bytes<M: Merged>(item: &Item) -> usize {
    size_bytes(item) * IMAGE_FACTOR + size_of::<M::Agg>() + IMAGE_ENTRY_BYTES
}

/// The result of a put; images with their sizes.
enum Outcome<A> {
    Stored(usize),
    Refused(Option<(Row<Kept<A>>, usize)>),
}
