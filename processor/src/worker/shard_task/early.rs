//! Epochs that close before their interval is over: rows are wanted soon after a shard was taken, and
//! as soon as a backlog was read to its end.

use std::time::Duration;

use ivs_core::epoch::ElapsedMs;

use crate::sink::rows::TICK_MS;

/// The first epoch of a shard that was taken closes this long after its first records were read.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Or up to so much later, by the worker's phase: shards of several workers may begin at the same moment.
const FIRST_SPREAD_MS: u64 = 1_000;
/// Shards of a process whose first records are read within this time close together, so that rows in
/// common cost one put. Measured with 350 shards: closing each by itself, 2.7 puts instead of 1.
const FIRST_TOGETHER_MS: u64 = 1_000;

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
    ClosesAt(ElapsedMs),
    Over,
}

/// Why the open epoch is to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is the first one: at once.
    First,
    /// A backlog was read to its end: with those of other shards.
    Backlog,
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
        // Between two ticks: at one, some would see it as theirs and some the next.
        let spread_ms = spread_ms / TICK_MS * TICK_MS + TICK_MS / 2;
        let first_after = FIRST_AFTER + Duration::from_millis(spread_ms);
        let first = if interval > first_after { First::Unread } else { First::Over };
        Self { interval, first_after, first, backlog: Backlog::None }
    }

    /// Notes a batch: whether it had records, and how far behind the tip of the shard it ended.
    pub(super) fn read(&mut self, has_records: bool, behind: Duration, now: ElapsedMs) {
        if self.first == First::Unread && has_records {
            let second_ms = now.0.next_multiple_of(FIRST_TOGETHER_MS);
            self.first = First::ClosesAt(after(ElapsedMs(second_ms), self.first_after));
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

    /// Returns why the open epoch is to close now, if it is; says so once. `all_folded`: whatever was read
    /// is in it.
    pub(super) fn due(&mut self, all_folded: bool, now: ElapsedMs) -> Option<Due> {
        if self.backlog == Backlog::ReadToItsEnd && all_folded {
            (self.backlog, self.first) = (Backlog::None, First::Over);
            return Some(Due::Backlog);
        }
        let is_due = matches!(self.first, First::ClosesAt(at) if now >= at);
        if is_due {
            self.first = First::Over;
        }
        is_due.then_some(Due::First)
    }
}

/// Returns the time that is `by` later.
fn after(at: ElapsedMs, by: Duration) -> ElapsedMs {
    ElapsedMs(at.0 + u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NONE: Duration = Duration::ZERO;
    const NOW: ElapsedMs = ElapsedMs(1_234_567);

    impl Early {
        fn is_due(&mut self, all_folded: bool, now: ElapsedMs) -> bool {
            self.due(all_folded, now).is_some()
        }
    }

    #[test]
    fn the_first_epoch_closes_soon_after_its_first_records_and_no_other() {
        let mut early = Early::new(MINUTE, None);
        early.read(false, NONE, NOW);
        assert!(!early.is_due(true, after(NOW, MINUTE)), "nothing was read");
        early.read(true, NONE, after(NOW, MINUTE));
        assert!(!early.is_due(true, after(NOW, MINUTE)));
        let soon = FIRST_AFTER + Duration::from_millis(FIRST_TOGETHER_MS + TICK_MS);
        assert_eq!(early.due(false, after(NOW, MINUTE + soon)), Some(Due::First));
        early.read(true, NONE, after(NOW, MINUTE * 2));
        assert!(!early.is_due(true, after(NOW, MINUTE * 3)));
    }

    #[test]
    fn first_epochs_of_one_second_close_together() {
        for phase_ms in [0, 700, 749] {
            let closing = [1_001, 1_300, 1_999, 2_000].map(|read_ms| {
                let mut early = Early::new(MINUTE, Some(phase_ms));
                early.read(true, NONE, ElapsedMs(read_ms));
                let mut ticks = (read_ms / TICK_MS..).map(|tick| ElapsedMs(tick * TICK_MS));
                ticks.find(|tick| early.is_due(true, *tick))
            });
            assert_eq!(closing, [closing[0]; 4], "{phase_ms}");
        }
    }

    #[test]
    fn the_epoch_after_one_that_its_interval_closed_is_not_the_first() {
        let mut early = Early::new(MINUTE, None);
        early.read(true, NONE, NOW);
        assert!(early.is_first_open());
        early.closes();
        early.read(true, NONE, NOW);
        assert!(!early.is_first_open() && !early.is_due(true, after(NOW, MINUTE)));
    }

    #[test]
    fn a_backlog_closes_at_its_end_when_all_of_it_is_folded() {
        let mut early = Early::new(FIRST_AFTER, None);
        early.read(true, MINUTE, NOW);
        early.read(true, Duration::from_millis(1), NOW);
        assert!(!early.is_due(true, NOW), "not at the tip yet");
        early.read(true, NONE, NOW);
        assert!(!early.is_due(false, NOW));
        assert_eq!(early.due(true, NOW), Some(Due::Backlog));
        assert!(!early.is_due(true, after(NOW, MINUTE)));
        early.read(true, Duration::from_millis(1_999), NOW);
        early.read(true, NONE, NOW);
        assert!(!early.is_due(true, NOW), "less than an interval is not a backlog");
        let mut early = Early::new(MINUTE, None);
        early.read(true, BACKLOG, NOW);
        early.read(true, NONE, NOW);
        assert!(early.is_due(true, NOW), "nor need it be as long as a long interval");
    }
}
