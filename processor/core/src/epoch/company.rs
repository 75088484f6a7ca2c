//! A full epoch that waits for those of other shards.
//!
//! In a backlog each shard's next epoch is full by the time the last one is committed. Closed then, by
//! itself, it would put rows that the others put again soon after; together they cost one put.

use super::message::ElapsedMs;

/// Whether there are others to wait for, and since when.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Other shards of the worker have epochs in flight: the next ones will follow.
    pub(super) is_there: bool,
    /// The open epoch is full below its limits, see [`Input::Enough`](super::Input::Enough).
    pub(super) is_enough: bool,
    full_at: Option<ElapsedMs>,
}

impl Company {
    /// Notes that the open epoch is full and could take flight.
    pub(super) fn full(&mut self, now: ElapsedMs) {
        self.full_at.get_or_insert(now);
    }

    /// Notes that it closed.
    pub(super) fn closed(&mut self) {
        (self.full_at, self.is_enough) = (None, false);
    }

    /// Returns whether the full epoch is to wait on, `most_ms` in all.
    pub(super) fn is_awaited(&self, now: ElapsedMs, most_ms: u64) -> bool {
        let is_over = |at: ElapsedMs| now.0 >= at.0.saturating_add(most_ms);
        self.is_there && !self.full_at.is_some_and(is_over)
    }
}
