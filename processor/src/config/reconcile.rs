//! Asking IVS for the events that EventBridge never brought.

use serde::{Deserialize, Serialize};

/// Asking IVS for events that never came. One worker of the fleet does it, the one that holds the first
/// open shard.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconcile {
    /// Whether it is done. Needs `ivs:ListStreams`, `ivs:GetStreamSession`, `dynamodb:Query` on the sessions'
    /// table, and `kinesis:PutRecords` on the stream.
    pub enabled: bool,
    /// Between two rounds. A stream that began and ended between them is not seen at all, and IVS forgets
    /// no session within 60 days.
    pub interval_ms: u64,
    /// How long EventBridge has to bring an event before it counts as lost: it comes within seconds as a
    /// rule, and one that comes later does no harm.
    pub grace_ms: u64,
    /// Most calls to IVS a second, of the 5 that an account has for each of the two operations in a region.
    /// With the interval it bounds the sessions of a round: those that were asked about longest ago.
    pub calls_per_s: u32,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self { enabled: false, interval_ms: 60_000, grace_ms: 120_000, calls_per_s: 2 }
    }
}

impl Reconcile {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = vec![];
        if !(1_000..=3_600_000).contains(&self.interval_ms) {
            problems.push("reconcile.interval_ms is not between 1000 and 3600000".to_owned());
        }
        if self.grace_ms > 86_400_000 {
            problems.push("reconcile.grace_ms is above 86400000, a day".to_owned());
        }
        if !(1..=5).contains(&self.calls_per_s) {
            problems.push("reconcile.calls_per_s is not between 1 and 5, IVS's limit".to_owned());
        }
        problems
    }

    /// Returns the grace as times are counted.
    #[must_use]
    pub fn grace_ms(&self) -> i64 {
        i64::try_from(self.grace_ms).unwrap_or(i64::MAX)
    }

    /// Returns how many sessions a round asks about: as many as its calls last for.
    #[must_use]
    pub fn sessions_a_round(&self) -> usize {
        let calls = u64::from(self.calls_per_s) * self.interval_ms / 1_000;
        usize::try_from(calls).unwrap_or(usize::MAX).max(1)
    }
}
