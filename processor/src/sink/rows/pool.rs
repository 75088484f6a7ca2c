//! Calls that several share.
//!
//! Configuring, signing and sending a call takes the program as long as folding a hundred records,
//! whatever is in the call. So what is wanted waits while a few calls are under way, and goes together
//! in the next one; a calm system waits for nothing. Each has an answer of its own. Whoever gets none
//! asks by a call of its own, which decides.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_calls::{code, explain, is_transient};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_schemas::items::{metrics, sessions};
use tokio::sync::oneshot;

use crate::items::codec::Item;
use crate::sink::stats::Stats;

/// Bytes of what is wanted in a call at most. AWS documents no limit for statements (16 MB for
/// BatchWriteItem); this is a hundred times a call of usual rows, and bounds the memory of those under way.
pub(super) const MAX_CALL_BYTES: usize = 1 << 20;

/// As many that wait are worth another call under way: what a call of statements holds.
const CALL_MEMBERS: usize = 25;

/// Codes of a call that say: never, whatever is in it.
const DENIED: [&str; 2] = ["AccessDeniedException", "UnknownOperationException"];

/// The outcome of one that a shared call leaves to a call of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A failure that may pass: it may be done or not.
    Later,
    /// Nobody here may call this way, for this reason.
    Denied(String),
    /// It was refused for this other reason, and would be again.
    Refused(String),
    /// It was not tried.
    No,
}

impl Left {
    /// Returns what a call that failed leaves, of each that was in it.
    pub(super) fn by<E>(error: &SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let reason = explain(error);
        tracing::debug!(reason, "a shared call failed");
        match code(error) {
            _ if is_transient(error) => Self::Later,
            Some(code) if DENIED.contains(&code) => Self::Denied(reason),
            _ => Self::Refused(reason),
        }
    }
}

/// The answer to one of those in a call.
pub(super) type Answer<T> = Result<T, Left>;

/// A kind of call.
pub(super) trait Calls: Debug + Send + Sync + 'static {
    /// One of those that share a call.
    type Wanted: Debug + Send;
    type Told: Debug + Send;

    /// The most that share a call, by AWS.
    const MAX_MEMBERS: usize;
    /// The remedy when nobody here may call this way.
    const ADVICE: &'static str;

    /// Returns a hash of table and key, see [`hash_of`]: AWS refuses a call that names a key twice.
    fn hash(wanted: &Self::Wanted) -> u64;

    fn bytes(wanted: &Self::Wanted) -> usize;

    /// Returns the counters of calls, and of those in them.
    fn counters(stats: &Stats) -> [&AtomicU64; 2];

    /// Calls once; returns an answer for each, in their order.
    fn call<'a>(&'a self, wanted: &'a [Self::Wanted]) -> BoxFuture<'a, Vec<Answer<Self::Told>>>;
}

/// The calls of one kind of a process. Cheap to clone.
#[derive(Debug)]
pub(super) struct Pool<C: Calls>(Arc<Inner<C>>);

impl<C: Calls> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<C: Calls> {
    calls: C,
    max_calls: usize,
    queue: Mutex<Queue<C>>,
    is_off: AtomicBool,
    /// A refusal was told in the log; others are counted only.
    has_told: AtomicBool,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Queue<C: Calls> {
    waiting: VecDeque<Waiting<C>>,
    /// Tasks that call, each one call at a time.
    callers: usize,
}

/// One that is wanted, and who waits for the answer.
#[derive(Debug)]
struct Waiting<C: Calls> {
    wanted: C::Wanted,
    answer: oneshot::Sender<Answer<C::Told>>,
}

impl<C: Calls> Pool<C> {
    /// Returns a pool for so many that wait at once: it has as many calls under way as those fill.
    pub(super) fn new(calls: C, concurrency: usize, stats: Arc<Stats>) -> Self {
        let max_calls = concurrency.div_ceil(CALL_MEMBERS);
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), callers: 0 });
        let [is_off, has_told] = [false, false].map(AtomicBool::new);
        Self(Arc::new(Inner { calls, max_calls, queue, is_off, has_told, stats }))
    }

    /// Returns whether this way is open.
    pub(super) fn is_on(&self) -> bool {
        !self.0.is_off.load(Relaxed)
    }

    /// Asks in one call with others that wait.
    pub(super) async fn ask(&self, wanted: C::Wanted) -> Answer<C::Told> {
        if !self.is_on() {
            return Err(Left::No);
        }
        let (answer, told) = oneshot::channel();
        {
            let mut queue = self.lock();
            queue.waiting.push_back(Waiting { wanted, answer });
            if queue.callers < self.0.max_calls {
                queue.callers += 1;
                tokio::spawn(self.clone().call_while_wanted());
            }
        }
        // Without an answer it was not tried any more, or the call panicked.
        told.await.unwrap_or(Err(Left::No))
    }

    async fn call_while_wanted(self) {
        // Others that are ready in this moment go along.
        tokio::task::yield_now().await;
        while let Some(taken) = self.take() {
            if AssertUnwindSafe(self.call(taken)).catch_unwind().await.is_err() {
                tracing::error!("a shared call panicked: what was in it is asked one by one");
            }
        }
    }

    /// Takes what waits longest and goes into one call; without any, the task that asks is over. Of two
    /// with one key, one waits.
    fn take(&self) -> Option<Vec<Waiting<C>>> {
        let mut queue = self.lock();
        let (mut taken, mut bytes) = (Vec::<Waiting<C>>::new(), 0);
        let is_on = self.is_on();
        for waiting in std::mem::take(&mut queue.waiting) {
            if !is_on || waiting.answer.is_closed() {
                // It is asked by itself; or its shard was given up, and whoever owns it next asks.
                continue;
            }
            let hash = C::hash(&waiting.wanted);
            let is_named = |other: &Waiting<C>| C::hash(&other.wanted) == hash;
            let fits = taken.len() < C::MAX_MEMBERS
                && bytes + C::bytes(&waiting.wanted) <= MAX_CALL_BYTES
                && !taken.iter().any(is_named);
            if fits {
                bytes += C::bytes(&waiting.wanted);
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
    async fn call(&self, taken: Vec<Waiting<C>>) {
        let [calls, members] = C::counters(&self.0.stats);
        calls.fetch_add(1, Relaxed);
        members.fetch_add(taken.len() as u64, Relaxed);
        let (wanted, answers): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.wanted, waiting.answer)).unzip();
        let told = self.0.calls.call(&wanted).await;
        for (answer, told) in answers.into_iter().zip(told) {
            if let Err(left) = &told {
                self.0.stats.batch_left.fetch_add(1, Relaxed);
                self.note(left);
            }
            // Nobody listens if the shard was given up meanwhile.
            drop(answer.send(told));
        }
    }

    /// Says once why calls are not shared. If they are denied, everything goes by calls of its own from now on.
    fn note(&self, left: &Left) {
        match left {
            Left::Denied(reason) if !self.0.is_off.swap(true, Relaxed) => {
                let advice = C::ADVICE;
                tracing::warn!(reason, advice, "rows go one by one, which takes more CPU");
            }
            Left::Refused(reason) if !self.0.has_told.swap(true, Relaxed) => {
                tracing::warn!(
                    reason,
                    "a row was refused in a shared call and goes by one of its own; \
                     ivs_processor_batch_left_total counts such rows from now on"
                );
            }
            Left::Denied(_) | Left::Refused(_) | Left::Later | Left::No => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<C>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a hash of table and key of an item: equal for equal ones. Others may have the same, and then
/// wait in vain. `None` for what has no key of ours.
pub(super) fn hash_of(table: &str, item: &Item) -> Option<u64> {
    let session = item.get(metrics::SESSION_ID)?.as_s().ok()?;
    let sort = item.get(metrics::METRIC_TIMESTAMP).or_else(|| item.get(sessions::TIMESTAMP))?;
    let mut hasher = DefaultHasher::new();
    (table, session, sort.as_n().ok()?).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests;
