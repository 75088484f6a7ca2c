//! The one lag: the age of the oldest uncommitted record, by arrival, of every unfinished lease,
//! whether or not a task works on it.
//!
//! A running task knows its own. A lease that nobody works on (held by nobody or by a dead worker,
//! waiting for a parent, between two tries) is asked for at the stream, by every worker that sees
//! it so, seldom. The lease of another live worker is that worker's to tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kinesis_fleet::admin::stream;
use kinesis_fleet::source::ShardCalls;
use kinesis_fleet::{Lease, Observer};
use kinesis_model::{EpochMs, ShardId};

use super::shards::Shards;
use crate::clock::{Instant, now};

/// Between two rounds of questions; CloudWatch wants a figure a minute.
const EVERY: Duration = Duration::from_secs(20);
/// Leases asked for in one round, the longest unasked first.
const ASKED_MAX: usize = 20;
/// Questions under way at once. One costs a call of a shard's five a second.
const AT_ONCE: usize = 4;

/// The lag of one unfinished lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardLag {
    /// The shard.
    pub shard: ShardId,
    /// The age in milliseconds.
    pub lag_ms: u64,
}

/// The stream's answers about leases that nobody works on.
#[derive(Clone, Debug, Default)]
pub(crate) struct LagBook(Arc<Mutex<BTreeMap<ShardId, Asked>>>);

#[derive(Clone, Debug)]
struct Asked {
    at: Instant,
    /// The lag then, or nothing if there was no answer.
    lag_ms: Option<u64>,
}

impl LagBook {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what to ask for now.
    fn due(&self, waiting: &[Lease]) -> Vec<Lease> {
        let mut book = self.lock();
        book.retain(|shard, _| waiting.iter().any(|lease| lease.key == *shard));
        let mut due: Vec<_> = waiting.to_vec();
        due.sort_by_key(|lease| book.get(&lease.key).map(|asked| asked.at));
        due.truncate(ASKED_MAX);
        due
    }

    /// Returns the lag of a lease that nobody works on. Without an answer of the stream it is as
    /// old as the last moment at which everything was done, which is the most it can be.
    fn lag_ms(&self, lease: &Lease, now: EpochMs) -> Option<u64> {
        let asked = self.lock().get(&lease.key).cloned();
        if let Some(Asked { at, lag_ms: Some(lag_ms) }) = asked {
            let since = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Some(if lag_ms > 0 { lag_ms.saturating_add(since) } else { 0 });
        }
        let done = lease.tip_seen.max(lease.checkpoint_arrival)?;
        Some(u64::try_from(now.0.saturating_sub(done.0)).unwrap_or(0))
    }
}

/// Asks for the lags of leases that nobody works on, until it is dropped.
pub(crate) async fn run(
    calls: Arc<dyn ShardCalls>,
    stream: Arc<str>,
    fleet: Observer,
    book: LagBook,
) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let due = book.due(&fleet.waiting());
        let ask = |lease: Lease| {
            let (calls, stream) = (&*calls, &stream);
            async move { (lease.key.clone(), stream::lag_ms(calls, stream, &lease, now()).await) }
        };
        let mut answers = futures::stream::iter(due).map(ask).buffer_unordered(AT_ONCE);
        while let Some((shard, answer)) = answers.next().await {
            let lag_ms = answer.inspect_err(|error| tracing::debug!(%error, "no lag")).ok();
            book.lock().insert(shard, Asked { at: crate::clock::instant(), lag_ms });
        }
    }
}

/// Returns the lag of every unfinished lease that this worker can tell of, by shard.
pub(crate) fn of(shards: &Shards, fleet: &Observer, book: &LagBook) -> Vec<ShardLag> {
    let now = now();
    let mut lags: BTreeMap<ShardId, u64> = BTreeMap::new();
    let mut note = |shard: &ShardId, lag_ms: u64| {
        let known = lags.entry(shard.clone()).or_default();
        *known = lag_ms.max(*known);
    };
    for (shard, status) in shards.lock().iter().filter(|(_, status)| status.is_running()) {
        note(shard, status.lag_ms(now));
    }
    for lease in fleet.waiting() {
        if let Some(lag_ms) = book.lag_ms(&lease, now) {
            note(&lease.key, lag_ms);
        }
        // Between two tries the last one knows what it had read.
        let last = shards.lock().get(&lease.key).cloned();
        if let Some(oldest) = last.and_then(|status| status.oldest()) {
            note(&lease.key, u64::try_from(now.0.saturating_sub(oldest.0)).unwrap_or(0));
        }
    }
    lags.into_iter().map(|(shard, lag_ms)| ShardLag { shard, lag_ms }).collect()
}

#[cfg(test)]
mod tests {
    use kinesis_fleet::Checkpoint;

    use super::*;

    fn lease(shard: &str) -> Lease {
        Lease::new(ShardId::new(shard), Checkpoint::TrimHorizon)
    }

    #[test]
    fn a_lease_without_an_answer_is_as_late_as_it_can_be() {
        let book = LagBook::default();
        let mut waiting = lease("0");
        assert_eq!(book.lag_ms(&waiting, EpochMs(9_000)), None);
        waiting.checkpoint_arrival = Some(EpochMs(2_000));
        assert_eq!(book.lag_ms(&waiting, EpochMs(9_000)), Some(7_000));
        waiting.tip_seen = Some(EpochMs(5_000));
        assert_eq!(book.lag_ms(&waiting, EpochMs(9_000)), Some(4_000));
        let asked = |lag_ms| Asked { at: crate::clock::instant(), lag_ms };
        book.lock().insert(ShardId::new("0"), asked(Some(0)));
        assert_eq!(book.lag_ms(&waiting, EpochMs(9_000)), Some(0), "the stream has nothing more");
        book.lock().insert(ShardId::new("0"), asked(Some(60_000)));
        assert!(book.lag_ms(&waiting, EpochMs(9_000)) >= Some(60_000));
    }

    #[test]
    fn those_asked_longest_ago_come_first_and_the_others_are_forgotten() {
        let book = LagBook::default();
        let all: Vec<_> = (0..30).map(|n| lease(&format!("{n:02}"))).collect();
        for lease in &all[..15] {
            let asked = Asked { at: crate::clock::instant(), lag_ms: None };
            book.lock().insert(lease.key.clone(), asked);
        }
        let due = book.due(&all);
        assert_eq!(due.len(), ASKED_MAX);
        assert!(due[..15].iter().all(|lease| lease.key.as_str() >= "15"));
        assert_eq!(book.due(&all[20..]).len(), 10);
        assert_eq!(book.lock().len(), 0);
    }
}
