//! Calls that wait for their turn, sent together.
//!
//! Each shard of a worker has a few datums of its own every interval. With a call each, 350 shards would
//! wait for the rate limit longer than an interval lasts; so whoever has a turn takes along what
//! others have for the same namespace.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use ivs_core::emit::{DatumBatch, MAX_BATCH_BYTES, MAX_BATCH_DATUMS, estimated_bytes};
use tokio::sync::oneshot;

use crate::sink::Rate;
use crate::sink::calls::{MetricCalls, NotTaken};
use crate::sink::stats::Stats;

type Answer = Result<(), NotTaken>;

/// The calls of a process that wait for their turn. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    calls: Arc<dyn MetricCalls>,
    max_datums: usize,
    calls_per_s: usize,
    rate: Rate,
    queue: Arc<Mutex<Queue>>,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Part>,
    /// Whether a task gives them turns.
    is_driven: bool,
}

/// The datums of one shard for a call, and who waits for the answer.
#[derive(Debug)]
struct Part {
    batch: DatumBatch,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

impl Part {
    fn answer(self, answer: Answer) {
        // Nobody listens if the shard was given up: its next owner emits again.
        drop(self.answer.send(answer));
    }
}

impl Pool {
    pub(super) fn new(
        calls: Arc<dyn MetricCalls>,
        (max_datums, calls_per_s): (usize, usize),
        rate: Rate,
        stats: Arc<Stats>,
    ) -> Self {
        Self { calls, max_datums, calls_per_s, rate, queue: Arc::default(), stats }
    }

    /// Returns what a call is named in errors.
    pub(super) fn operation(&self) -> &'static str {
        self.calls.operation()
    }

    /// Returns how many datums a call has at most when so many are to be sent: what waits must not
    /// take more than a second.
    pub(super) fn datums_of_a_call(&self, waiting: usize) -> usize {
        self.max_datums.max(waiting.div_ceil(self.calls_per_s)).min(MAX_BATCH_DATUMS)
    }

    /// Sends datums as soon as there is a turn for them, in one call with those of others.
    ///
    /// # Errors
    /// As the call says; of points that were refused without a word which, this has its share.
    pub(super) async fn put(&self, batch: &DatumBatch) -> Answer {
        let (answer, told) = oneshot::channel();
        let bytes = batch.datums.iter().map(estimated_bytes).sum();
        let is_driven = {
            let mut queue = self.lock();
            queue.parts.push_back(Part { batch: batch.clone(), bytes, answer });
            std::mem::replace(&mut queue.is_driven, true)
        };
        if !is_driven {
            tokio::spawn(self.clone().drive());
        }
        told.await.unwrap_or_else(|_| Err(NotTaken::Away("the task that sent it panicked".into())))
    }

    /// Gives turns to what waits until nothing does. The calls are tasks of their own: a shard that is
    /// given up meanwhile takes nothing from the others.
    async fn drive(self) {
        while self.is_wanted() {
            self.rate.ready().await;
            let parts = self.take();
            let pool = self.clone();
            tokio::spawn(async move { pool.send(parts).await });
        }
    }

    /// Returns whether something waits; if not, whoever comes next has to drive.
    fn is_wanted(&self) -> bool {
        let mut queue = self.lock();
        queue.parts.retain(|part| !part.answer.is_closed());
        queue.is_driven = !queue.parts.is_empty();
        queue.is_driven
    }

    /// Takes what waits longest, and as much of the same namespace as goes into one call with it.
    fn take(&self) -> Vec<Part> {
        let waiting = &mut self.lock().parts;
        waiting.retain(|part| !part.answer.is_closed());
        let datums = waiting.iter().map(|part| part.batch.datums.len()).sum();
        let max_datums = self.datums_of_a_call(datums);
        let Some(first) = waiting.pop_front() else { return Vec::new() };
        let (mut datums, mut bytes) = (first.batch.datums.len(), first.bytes);
        let mut taken = vec![first];
        for part in std::mem::take(waiting) {
            let fits = part.batch.namespace == taken[0].batch.namespace
                && datums + part.batch.datums.len() <= max_datums
                && bytes + part.bytes <= MAX_BATCH_BYTES;
            if fits {
                datums += part.batch.datums.len();
                bytes += part.bytes;
                taken.push(part);
            } else {
                waiting.push_back(part);
            }
        }
        taken
    }

    /// Sends parts in one call and answers each; a refused call says nothing about the others'
    /// datums in it, so then each goes alone.
    async fn send(&self, parts: Vec<Part>) {
        let Some((first, others)) = parts.split_first() else { return };
        let answer = if others.is_empty() {
            self.call(&first.batch).await
        } else {
            let datums = parts.iter().flat_map(|part| part.batch.datums.iter().cloned()).collect();
            self.call(&DatumBatch { namespace: first.batch.namespace, datums }).await
        };
        match answer {
            Err(NotTaken::Partly { points, reason }) => share(parts, points, &reason),
            Err(NotTaken::Refused(_)) if parts.len() > 1 => {
                for part in parts {
                    self.rate.ready().await;
                    let answer = self.call(&part.batch).await;
                    part.answer(answer);
                }
            }
            answer => parts.into_iter().for_each(|part| part.answer(answer.clone())),
        }
    }

    async fn call(&self, batch: &DatumBatch) -> Answer {
        let answer = self.calls.put(batch).await;
        if matches!(answer, Ok(()) | Err(NotTaken::Partly { .. })) {
            self.stats.metric_calls.fetch_add(1, Relaxed);
        }
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers parts of whose points so many were refused, without a word which.
fn share(parts: Vec<Part>, mut points: u64, reason: &str) {
    for part in parts {
        let mine = points.min(part.batch.datums.len() as u64);
        points -= mine;
        let refused = NotTaken::Partly { points: mine, reason: reason.to_owned() };
        part.answer(if mine == 0 { Ok(()) } else { Err(refused) });
    }
}

#[cfg(test)]
mod tests;
