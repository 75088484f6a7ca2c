//! Epochs that close before their interval is over: rows are wanted soon after a shard was taken, and
//! as soon as a backlog was read to its end.

use std::time::Duration;

use crate::clock::Instant;

/// The first epoch of a shard that was taken closes this long after its first records were read.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Or up to so much later, by the worker's phase: shards of several workers may begin at the same moment.
const FIRST_SPREAD_MS: u64 = 1_000;

/// Records that were put so long before they are read are a backlog; where the interval is shorter, that.
const BACKLOG: Duration = Duration::from_secs(5);

/// The rule by which the open epoch of a shard is closed early.
#[derive(Debug)]
pub(super) struct Early {
    interval: Duration,
    first_after: Duration,
    first: First,
    backlog: Backlog,
}

/// The first epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Unread,
    ClosesAt(Instant),
    Over,
}

/// Records that were put long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    None,
    Reading,
    ReadToItsEnd,
}

impl Early {
    /// Returns the decision for a shard of which nothing was read yet, for a worker of that phase.
    pub(super) fn new(interval: Duration, phase_ms: Option<u64>) -> Self {
        let spread_ms = phase_ms.unwrap_or_default() % FIRST_SPREAD_MS;
        let first_after = FIRST_AFTER + Duration::from_millis(spread_ms);
        let first = if interval > first_after { First::Unread } else { First::Over };
        Self { interval, first_after, first, backlog: Backlog::None }
    }

    /// Notes a batch: whether it had records, and how far behind the tip of the shard it ended.
    pub(super) fn read(&mut self, has_records: bool, behind: Duration, now: Instant) {
        if self.first == First::Unread && has_records {
            self.first = First::ClosesAt(now + self.first_after);
        }
        if behind >= self.interval.min(BACKLOG) {
            self.backlog = Backlog::Reading;
        } else if behind.is_zero() && self.backlog == Backlog::Reading {
            self.backlog = Backlog::ReadToItsEnd;
        }
    }

    /// Returns whether the first epoch is open and will close soon: it may as well close with another's.
    pub(super) fn is_first_open(&self) -> bool {
        matches!(self.first, First::ClosesAt(_))
    }

    /// Notes that an epoch closes, whatever the reason: by its interval, with another's, for want of memory.
    /// The next one is not the first any more.
    pub(super) fn closes(&mut self) {
        self.first = First::Over;
    }

    /// Returns whether the open epoch is to close now; says so once. `all_folded`: whatever was read
    /// is in it.
    pub(super) fn is_due(&mut self, all_folded: bool, now: Instant) -> bool {
        if self.backlog == Backlog::ReadToItsEnd && all_folded {
            (self.backlog, self.first) = (Backlog::None, First::Over);
            return true;
        }
        let is_due = matches!(self.first, First::ClosesAt(at) if now >= at);
        if is_due {
            self.first = First::Over;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NONE: Duration = Duration::ZERO;

    #[test]
    fn the_first_epoch_closes_soon_after_its_first_records_and_no_other() {
        let now = crate::clock::instant();
        let mut early = Early::new(MINUTE, None);
        early.read(false, NONE, now);
        assert!(!early.is_due(true, now + MINUTE), "nothing was read");
        early.read(true, NONE, now + MINUTE);
        assert!(!early.is_due(true, now + MINUTE));
        assert!(early.is_due(false, now + MINUTE + FIRST_AFTER));
        early.read(true, NONE, now + MINUTE * 2);
        assert!(!early.is_due(true, now + MINUTE * 3));
    }

    #[test]
    fn the_epoch_after_one_that_its_interval_closed_is_not_the_first() {
        let now = crate::clock::instant();
        let mut early = Early::new(MINUTE, None);
        early.read(true, NONE, now);
        assert!(early.is_first_open());
        early.closes();
        early.read(true, NONE, now);
        assert!(!early.is_first_open() && !early.is_due(true, now + MINUTE));
    }

    #[test]
    fn a_backlog_closes_at_its_end_when_all_of_it_is_folded() {
        let now = crate::clock::instant();
        let mut early = Early::new(FIRST_AFTER, None);
        early.read(true, MINUTE, now);
        early.read(true, Duration::from_millis(1), now);
        assert!(!early.is_due(true, now), "not at the tip yet");
        early.read(true, NONE, now);
        assert!(!early.is_due(false, now));
        assert!(early.is_due(true, now) && !early.is_due(true, now + MINUTE));
        early.read(true, Duration::from_millis(1_999), now);
        early.read(true, NONE, now);
        assert!(!early.is_due(true, now), "less than an interval is not a backlog");
        let mut early = Early::new(MINUTE, None);
        early.read(true, BACKLOG, now);
        early.read(true, NONE, now);
        assert!(early.is_due(true, now), "nor need it be as long as a long interval");
    }
}
