//! The limits of Kinesis per shard: 5 calls and 2 MB a second, for all polling readers together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kinesis_model::ShardId;
use tokio::time::Instant;

/// GetRecords calls per second and shard.
const CALLS_PER_S: u64 = 5;
/// Bytes per second and shard; Kinesis counts 2 MiB.
const BYTES_PER_S: u64 = 2 * 1024 * 1024;
const CALL_GAP: Duration = Duration::from_millis(1_000 / CALLS_PER_S);

/// One budget per shard, shared by every reader that holds a clone.
#[derive(Clone, Debug, Default)]
pub struct ReadBudgets {
    /// `None` means no limit.
    shards: Option<Arc<Mutex<HashMap<ShardId, Spent>>>>,
}

/// Until when a shard's allowance is used up.
#[derive(Clone, Copy, Debug)]
struct Spent {
    calls: Instant,
    bytes: Instant,
}

impl ReadBudgets {
    /// Returns the limits of the service.
    #[must_use]
    pub fn service() -> Self {
        Self { shards: Some(Arc::default()) }
    }

    /// Returns no limits, for an endpoint that has none.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { shards: None }
    }

    /// Waits for a call's turn. A full second of calls may go at once, and a call may exceed the
    /// bytes of its second: the calls after it wait until that is paid off.
    pub(crate) async fn call(&self, shard: &ShardId) {
        if let Some(at) = self.reserve(shard, crate::clock::instant()) {
            tokio::time::sleep_until(at).await;
        }
    }

    fn reserve(&self, shard: &ShardId, now: Instant) -> Option<Instant> {
        let mut shards = self.shards.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = entry(&mut shards, shard, now);
        spent.calls = spent.calls.max(now) + CALL_GAP;
        let burst = CALL_GAP * u32::try_from(CALLS_PER_S).unwrap_or(1);
        let turn = spent.calls.checked_sub(burst).unwrap_or(now);
        Some(turn.max(spent.bytes))
    }

    /// Notes what a call brought.
    pub(crate) fn received(&self, shard: &ShardId, bytes: u64) {
        self.charge(shard, bytes, crate::clock::instant());
    }

    fn charge(&self, shard: &ShardId, bytes: u64, now: Instant) {
        let Some(shards) = &self.shards else { return };
        let mut shards = shards.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = entry(&mut shards, shard, now);
        let cost = Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_S);
        spent.bytes = spent.bytes.max(now) + cost;
    }
}

/// Returns a shard's entry. Before one is added, those go whose allowance has grown back: they say
/// the same as none, and shards that are finished would stay for ever.
fn entry<'a>(
    shards: &'a mut HashMap<ShardId, Spent>,
    shard: &ShardId,
    now: Instant,
) -> &'a mut Spent {
    if !shards.contains_key(shard) {
        shards.retain(|_, spent| spent.calls > now || spent.bytes > now);
    }
    shards.entry(shard.clone()).or_insert(Spent { calls: now, bytes: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_calls_a_second_are_shared_by_all_readers_of_a_shard() {
        let (one, shard, now) =
            (ReadBudgets::service(), ShardId::new("s"), crate::clock::instant());
        let other = one.clone();
        let turns: Vec<_> = [&one, &other]
            .into_iter()
            .cycle()
            .take(20)
            .map(|budgets| budgets.reserve(&shard, now).unwrap().max(now) - now)
            .collect();
        // 20 calls: a burst of five, then one every 200 ms.
        assert_eq!(turns[4], Duration::ZERO);
        assert_eq!(turns[5], Duration::from_millis(200));
        assert_eq!(turns[19], Duration::from_millis(3_000));
    }

    #[test]
    fn a_large_answer_is_paid_off_before_the_next_call() {
        let (budgets, shard, now) =
            (ReadBudgets::service(), ShardId::new("s"), crate::clock::instant());
        assert!(budgets.reserve(&shard, now).unwrap() <= now);
        budgets.charge(&shard, 10 * 1024 * 1024, now);
        let paid = now + Duration::from_secs(5);
        assert_eq!(budgets.reserve(&shard, now), Some(paid));
        assert!(budgets.reserve(&ShardId::new("other"), now).unwrap() <= now);
    }

    #[test]
    fn shards_that_are_read_no_more_are_forgotten() {
        let (budgets, now) = (ReadBudgets::service(), crate::clock::instant());
        for n in 0..50 {
            budgets.reserve(&ShardId::new(&n.to_string()), now);
        }
        budgets.charge(&ShardId::new("7"), 4 * 1024 * 1024, now);
        budgets.reserve(&ShardId::new("new"), now + Duration::from_secs(1));
        let known = budgets.shards.as_ref().unwrap().lock().unwrap().len();
        assert_eq!(known, 2, "the new one, and one that is not paid off");
    }

    #[test]
    fn without_limits_nothing_waits() {
        let (budgets, shard) = (ReadBudgets::unlimited(), ShardId::new("s"));
        budgets.received(&shard, u64::MAX);
        assert_eq!(budgets.reserve(&shard, crate::clock::instant()), None);
    }
}
