//! Which records of a shard were read and are not committed, as far as their ages go. Pure.

use std::collections::VecDeque;

use kinesis_model::{EpochMs, Position, Record, SequenceNumber};

/// Records between two marks: what the oldest age may be off by.
const MARK_EVERY: usize = 256;

/// The oldest uncommitted record, by arrival, of one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// Everything up to here is committed.
    done: Option<SequenceNumber>,
    /// Of the records read since, every so many: number and arrival, in order.
    marks: VecDeque<(SequenceNumber, EpochMs)>,
    /// The last record read.
    last: Option<SequenceNumber>,
    /// The record that an earlier task had read and not committed, until this one has read it
    /// again.
    inherited: Option<EpochMs>,
    /// The last answer reached the tip.
    at_tip: bool,
}

impl Backlog {
    /// Returns a backlog behind `done`, of which `inherited` is the arrival of the oldest record
    /// known.
    pub(super) fn after(done: Option<Position>, inherited: Option<EpochMs>) -> Self {
        Self { done: done.map(|done| done.sequence), inherited, ..Self::default() }
    }

    /// Notes an answer. What is at or before the checkpoint is committed already.
    pub(super) fn read(&mut self, records: &[Record], at_tip: bool) {
        self.at_tip = at_tip;
        let fresh = records.iter().filter(|record| Some(record.sequence) > self.done);
        for (n, record) in fresh.enumerate() {
            if n % MARK_EVERY == 0 {
                self.marks.push_back((record.sequence, record.arrival));
            }
            self.last = Some(record.sequence);
        }
        if at_tip || !self.marks.is_empty() {
            self.inherited = None;
        }
    }

    /// Notes that everything up to `to` is committed.
    pub(super) fn committed(&mut self, to: Position) {
        self.done = Some(to.sequence);
        self.inherited = None;
        while self.marks.get(1).is_some_and(|(next, _)| *next <= to.sequence) {
            self.marks.pop_front();
        }
        if self.last <= self.done {
            self.marks.clear();
        }
    }

    /// Returns the arrival of the oldest record that is not committed.
    pub(super) fn oldest(&self) -> Option<EpochMs> {
        self.marks.front().map(|(_, arrival)| *arrival).or(self.inherited)
    }

    /// Returns whether everything that was in the shard at the last answer is committed.
    pub(super) fn is_at_tip(&self) -> bool {
        self.at_tip && self.oldest().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn records(numbers: std::ops::Range<u128>) -> Vec<Record> {
        let record = |n: u128| Record {
            sequence: n.into(),
            partition_key: Arc::from("k"),
            arrival: EpochMs(i64::try_from(n).unwrap() * 10),
            data: Bytes::new(),
        };
        numbers.map(record).collect()
    }

    fn at(n: u128) -> Position {
        Position { sequence: n.into(), sub: 0 }
    }

    #[test]
    fn the_oldest_record_goes_with_the_commit_that_holds_it() {
        let mut backlog = Backlog::after(Some(at(9)), None);
        backlog.read(&records(5..10), true);
        assert!(backlog.is_at_tip(), "those were committed before");
        backlog.read(&records(10..1_000), true);
        assert_eq!(backlog.oldest(), Some(EpochMs(100)));
        backlog.committed(at(300));
        // By marks: at most 256 records too old, and never too young.
        assert_eq!(backlog.oldest(), Some(EpochMs(2_660)));
        backlog.committed(at(999));
        assert_eq!((backlog.oldest(), backlog.is_at_tip()), (None, true));
    }

    #[test]
    fn what_an_earlier_task_left_counts_until_it_is_read_again_or_the_tip_is_met() {
        let mut backlog = Backlog::after(None, Some(EpochMs(7)));
        backlog.read(&[], false);
        assert_eq!(backlog.oldest(), Some(EpochMs(7)));
        let mut other = backlog.clone();
        backlog.read(&records(3..4), false);
        assert_eq!(backlog.oldest(), Some(EpochMs(30)));
        other.read(&[], true);
        assert_eq!(other.oldest(), None);
    }
}
