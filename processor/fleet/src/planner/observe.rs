//! A worker's memory of the lease table, to judge expiry by its own clock.

use std::collections::HashMap;

use kinesis_model::ShardId;

use super::Limits;
use crate::clock::MonoMs;
use crate::lease::{Lease, WorkerId};

/// Since when each lease looks as it does. No worker's clock is ever compared with another's.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    rows: HashMap<ShardId, Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    counter: u64,
    /// When the counter was first seen to have this value.
    changed: MonoMs,
    /// Who asks for the lease, and when that was first seen.
    request: Option<(WorkerId, MonoMs)>,
}

/// The standing of a lease with the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody renews it.
    Available {
        /// Since when it could have been taken.
        since: MonoMs,
    },
    /// Its owner renews it.
    Held {
        /// Somebody asked for it and waited in vain.
        request_failed: bool,
    },
}

impl Observations {
    /// Notes the table as read at `now` (the end of the reading, so that nothing looks older
    /// than it is) and forgets rows that are gone.
    pub fn observe(&mut self, leases: &[Lease], now: MonoMs) {
        let mut rows = HashMap::with_capacity(leases.len());
        for lease in leases {
            let before = self.rows.get(&lease.key);
            let same = before.filter(|seen| seen.counter == lease.counter);
            let request = lease.hand_over_to.clone().map(|to| {
                let known = before.and_then(|seen| seen.request.clone());
                known.filter(|(who, _)| *who == to).unwrap_or((to, now))
            });
            let changed = same.map_or(now, |seen| seen.changed);
            rows.insert(lease.key.clone(), Seen { counter: lease.counter, changed, request });
        }
        self.rows = rows;
    }

    /// Returns when the counter of a lease was first seen to have the value it has.
    #[must_use]
    pub fn changed(&self, shard: &ShardId) -> Option<MonoMs> {
        self.rows.get(shard).map(|seen| seen.changed)
    }

    /// Returns when the lease expires unless its counter moves; `None` for an unowned or unknown
    /// one.
    #[must_use]
    pub fn expiry(&self, lease: &Lease, failover_ms: u64) -> Option<MonoMs> {
        let seen = self.rows.get(&lease.key)?;
        lease.owner.is_some().then(|| seen.changed.plus(failover_ms))
    }

    /// Returns what the lease is at `now`. A row never observed counts as just changed.
    #[must_use]
    pub fn standing(&self, lease: &Lease, limits: &Limits, now: MonoMs) -> Standing {
        let seen = self.rows.get(&lease.key);
        let changed = seen.map_or(now, |seen| seen.changed);
        if lease.owner.is_none() {
            return Standing::Available { since: changed };
        }
        let expiry = changed.plus(limits.failover_ms);
        if now >= expiry {
            return Standing::Available { since: expiry };
        }
        let request = seen.and_then(|seen| seen.request.as_ref());
        let request_failed =
            request.is_some_and(|(_, at)| now.since(*at) >= limits.hand_over_timeout_ms);
        Standing::Held { request_failed }
    }
}
