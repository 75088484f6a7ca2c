//! Which subscription of a consumer to a shard is in force.

use std::collections::HashMap;

/// A subscription ends after five minutes.
pub(super) const LIFE_MS: u64 = 300_000;

/// A second subscription of a consumer to a shard within this time is refused; later it takes over.
const TAKEOVER_MS: u64 = 5_000;

/// The latest subscription of each consumer to each shard.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    latest: HashMap<(String, u32), Latest>,
    generation: u64,
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    generation: u64,
    started_ms: u64,
}

impl Subscriptions {
    /// Starts a subscription and ends the one before it; `None` within 5 s of that.
    pub(super) fn start(&mut self, consumer: &str, shard: u32, now_ms: u64) -> Option<u64> {
        let key = (consumer.to_owned(), shard);
        let young = |latest: &Latest| now_ms < latest.started_ms + TAKEOVER_MS;
        if self.latest.get(&key).is_some_and(young) {
            return None;
        }
        // One that is over says nothing any more.
        self.latest.retain(|_, latest| now_ms < latest.started_ms + LIFE_MS);
        self.generation += 1;
        let generation = self.generation;
        self.latest.insert(key, Latest { generation, started_ms: now_ms });
        Some(generation)
    }

    /// Returns whether no later subscription has taken over.
    pub(super) fn is_latest(&self, consumer: &str, shard: u32, generation: u64) -> bool {
        let latest = self.latest.get(&(consumer.to_owned(), shard));
        latest.is_none_or(|latest| latest.generation == generation)
    }
}
