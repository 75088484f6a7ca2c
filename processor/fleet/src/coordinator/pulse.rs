//! Signs of life of a worker's loops, for its probes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::MonoMs;
use crate::config::FleetConfig;

/// One of the loops of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopName {
    /// Heartbeats: writes to the lease table.
    Renew,
    /// Reads the lease table, takes and hands out leases.
    Scan,
    /// Compares the lease table with the stream's shards.
    Sync,
}

impl LoopName {
    /// Returns the name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renew => "renew",
            Self::Scan => "scan",
            Self::Sync => "sync",
        }
    }
}

/// How one loop is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopStatus {
    /// Which.
    pub name: LoopName,
    /// How long it pauses between two turns, in milliseconds.
    pub every_ms: u64,
    /// Since the end of its last turn, however that went; at first since the start.
    pub since_turn_ms: u64,
    /// Since the end of its last turn without a failure; `None` before the first.
    pub since_success_ms: Option<u64>,
    /// The error of the last turn.
    pub error: Option<String>,
}

/// The last turn of one loop.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Turn>);

#[derive(Clone, Debug)]
struct Turn {
    ended: MonoMs,
    succeeded: Option<MonoMs>,
    error: Option<String>,
}

impl Pulse {
    pub(super) fn new(now: MonoMs) -> Self {
        Self(Mutex::new(Turn { ended: now, succeeded: None, error: None }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the end of a turn.
    pub(super) fn beat(&self, now: MonoMs, error: Option<String>) {
        let mut turn = self.turn();
        turn.ended = now;
        if error.is_none() {
            turn.succeeded = Some(now);
        }
        turn.error = error;
    }

    fn status(&self, name: LoopName, every_ms: u64, now: MonoMs) -> LoopStatus {
        let turn = self.turn().clone();
        LoopStatus {
            name,
            every_ms,
            since_turn_ms: now.since(turn.ended),
            since_success_ms: turn.succeeded.map(|at| now.since(at)),
            error: turn.error,
        }
    }
}

/// The loops of a worker, each once.
#[derive(Debug)]
pub(super) struct Pulses {
    pub(super) renew: Pulse,
    pub(super) scan: Pulse,
    pub(super) sync: Pulse,
}

impl Pulses {
    pub(super) fn new(now: MonoMs) -> Self {
        Self { renew: Pulse::new(now), scan: Pulse::new(now), sync: Pulse::new(now) }
    }

    /// Returns all loops now; the table has so many rows.
    pub(super) fn statuses(&self, config: &FleetConfig, rows: usize) -> [LoopStatus; 3] {
        let now = config.clock.mono();
        let scan_ms = config.scan_interval_for(rows);
        [
            self.renew.status(LoopName::Renew, config.renew_interval_ms(), now),
            self.scan.status(LoopName::Scan, scan_ms, now),
            self.sync.status(LoopName::Sync, config.sync_interval_ms, now),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_turn_is_a_turn_and_no_success() {
        let pulse = Pulse::new(MonoMs(100));
        pulse.beat(MonoMs(200), None);
        pulse.beat(MonoMs(300), Some("throttled".to_owned()));
        let status = pulse.status(LoopName::Scan, 50, MonoMs(350));
        assert_eq!((status.since_turn_ms, status.since_success_ms), (50, Some(150)));
        assert_eq!(status.error.as_deref(), Some("throttled"));
        pulse.beat(MonoMs(400), None);
        let status = pulse.status(LoopName::Scan, 50, MonoMs(400));
        assert_eq!((status.since_success_ms, status.error), (Some(0), None));
    }
}
