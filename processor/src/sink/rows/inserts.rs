//! Items that are new, inserted together.
//!
//! Configuring, signing and sending a call takes the program as long as folding a hundred records,
//! whatever is in the call. So what is new waits while a few calls are under way, and goes together
//! in the next one; a calm system waits for nothing. Each statement is a conditional put of its own
//! and has an answer of its own. Whoever is told anything but "stored" asks by a put, which decides.

mod dynamo;
mod seam;
mod statement;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use tokio::sync::oneshot;

use crate::items::codec::Item;
use crate::sink::stats::Stats;
use dynamo::Batches;
use seam::InsertCalls;
pub(super) use seam::Inserted;
use statement::{MAX_CALL_BYTES, Statement};

/// Statements of a call at most, by AWS.
const MAX_STATEMENTS: usize = 25;

/// The inserts of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Inserts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    calls: Arc<dyn InsertCalls>,
    max_calls: usize,
    queue: Mutex<Queue>,
    is_off: AtomicBool,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Tasks that call, each one call at a time.
    callers: usize,
}

/// A statement, and who waits for the answer.
#[derive(Debug)]
struct Waiting {
    statement: Statement,
    answer: oneshot::Sender<Inserted>,
}

impl Inserts {
    /// Returns a pool for so many puts at once: it has as many calls under way as those fill.
    pub(super) fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        concurrency: usize,
        stats: Arc<Stats>,
    ) -> Self {
        Self::over(Arc::new(Batches(dynamodb)), concurrency, stats)
    }

    fn over(calls: Arc<dyn InsertCalls>, concurrency: usize, stats: Arc<Stats>) -> Self {
        let max_calls = concurrency.div_ceil(MAX_STATEMENTS);
        let (queue, is_off) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Inner { calls, max_calls, queue, is_off, stats }))
    }

    /// Inserts an item if there is none of its key, in one call with others that wait.
    pub(super) async fn put(&self, table: &str, item: &Item) -> Inserted {
        if self.0.is_off.load(Relaxed) {
            return Inserted::No;
        }
        let Some(statement) = Statement::of(table, item) else { return Inserted::No };
        let (answer, told) = oneshot::channel();
        {
            let mut queue = self.lock();
            queue.waiting.push_back(Waiting { statement, answer });
            if queue.callers < self.0.max_calls {
                queue.callers += 1;
                tokio::spawn(self.clone().call_while_wanted());
            }
        }
        // Without an answer it was not tried any more, or the call panicked.
        told.await.unwrap_or(Inserted::No)
    }

    async fn call_while_wanted(self) {
        // Others that are ready in this moment go along.
        tokio::task::yield_now().await;
        while let Some(taken) = self.take() {
            if AssertUnwindSafe(self.call(taken)).catch_unwind().await.is_err() {
                tracing::error!("a call that inserts rows panicked: they are put one by one");
            }
        }
    }

    /// Takes what waits longest and goes into one call; without any, the task that asks is over. AWS
    /// refuses a call that names a key twice: of two facts that say the same, one waits.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.lock();
        let (mut taken, mut bytes) = (Vec::<Waiting>::new(), 0);
        let is_off = self.0.is_off.load(Relaxed);
        for waiting in std::mem::take(&mut queue.waiting) {
            if is_off || waiting.answer.is_closed() {
                // It is put by itself; or its shard was given up, and whoever owns it next writes it.
                continue;
            }
            let statement = &waiting.statement;
            let is_named = |other: &Waiting| other.statement.key == statement.key;
            let fits = taken.len() < MAX_STATEMENTS
                && bytes + statement.json.len() <= MAX_CALL_BYTES
                && !taken.iter().any(is_named);
            if fits {
                bytes += statement.json.len();
                taken.push(waiting);
            } else {
                queue.waiting.push_back(waiting);
            }
        }
        if taken.is_empty() {
            queue.callers -= 1;
            return None;
        }
        Some(taken)
    }

    /// Calls once and answers each.
    async fn call(&self, taken: Vec<Waiting>) {
        let stats = &self.0.stats;
        stats.insert_calls.fetch_add(1, Relaxed);
        stats.inserts.fetch_add(taken.len() as u64, Relaxed);
        let (statements, answers): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.statement, waiting.answer)).unzip();
        let told = self.0.calls.insert(&statements).await;
        for (answer, told) in answers.into_iter().zip(told) {
            if let Inserted::Denied(reason) = &told {
                self.switch_off(reason);
            }
            // Nobody listens if the shard was given up meanwhile.
            drop(answer.send(told));
        }
    }

    /// Leaves everything to puts from now on, and says so once.
    fn switch_off(&self, reason: &str) {
        if !self.0.is_off.swap(true, Relaxed) {
            tracing::warn!(
                reason,
                "new rows are put one by one, which takes more CPU: allow dynamodb:PartiQLInsert on both \
                 tables (the CDK app of this release does) and start again, or set \
                 tables.batch_inserts = false"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
