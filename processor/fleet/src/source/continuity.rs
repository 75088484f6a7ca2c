//! Whether reading goes on where it stopped, or retention has removed records in between.
//!
//! Kinesis does not say so by itself: an iterator at a record that has expired starts at the
//! oldest record that is left, without a word.

use kinesis_model::{Gap, Position, Record};

/// A shorter retention than 24 hours does not exist. What is younger than this by an hour's
/// margin is still in the stream, whatever its retention.
const SURELY_KEPT_MS: u64 = 23 * 3_600_000;

/// The proof that the next records owe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Continuity {
    owed: Option<Owed>,
}

/// A record that must be met again, or one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owed {
    at: Position,
    /// It was delivered already, and everything before it.
    is_delivered: bool,
}

impl Continuity {
    /// Begins after a position whose own record must be met, or one before it.
    pub(super) fn after(position: Option<Position>) -> Self {
        Self { owed: position.map(|at| Owed { at, is_delivered: false }) }
    }

    /// Notes that the next answer starts at the record that was delivered last.
    pub(super) fn overlap(&mut self, last: Position) {
        self.owed.get_or_insert(Owed { at: last, is_delivered: true });
    }

    /// Returns whether the next records have to prove something.
    pub(super) const fn is_owed(&self) -> bool {
        self.owed.is_some()
    }

    /// Judges an answer, and drops from it what was delivered before. `is_tip`: nothing more was
    /// in the shard when it was given.
    pub(super) fn judge(&mut self, records: &mut Vec<Record>, is_tip: bool) -> Option<Gap> {
        let owed = self.owed?;
        let first = match records.first() {
            Some(first) => first.sequence,
            None if !is_tip => return None,
            None => {
                self.owed = None;
                return Some(Gap { after: Some(owed.at), first_seen: None });
            }
        };
        self.owed = None;
        if owed.is_delivered {
            records.retain(|record| record.sequence > owed.at.sequence);
        }
        let is_gap = first > owed.at.sequence;
        is_gap.then_some(Gap { after: Some(owed.at), first_seen: Some(first) })
    }
}

/// Returns whether records after the last answer can have expired, if that answer was this far
/// behind the tip and came this long ago.
pub(super) const fn is_at_risk(behind_ms: u64, ago_ms: u64) -> bool {
    behind_ms.saturating_add(ago_ms) >= SURELY_KEPT_MS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kinesis_model::EpochMs;

    use super::*;

    fn record(n: u128) -> Record {
        let (partition_key, data) = (Arc::from("k"), Bytes::new());
        Record { sequence: n.into(), partition_key, arrival: EpochMs(0), data }
    }

    fn at(n: u128) -> Position {
        Position { sequence: n.into(), sub: 0 }
    }

    fn resumed(checkpoint: u128) -> Continuity {
        Continuity::after(Some(at(checkpoint)))
    }

    fn numbers(records: &[Record]) -> Vec<Record> {
        records.to_vec()
    }

    #[test]
    fn meeting_the_checkpoint_or_a_record_before_it_proves_that_nothing_is_missing() {
        for first in [3, 5] {
            let mut records = vec![record(first), record(9)];
            assert_eq!(resumed(5).judge(&mut records, false), None);
            assert_eq!(numbers(&records), [record(first), record(9)], "the caller drops them");
        }
    }

    #[test]
    fn a_first_record_past_the_checkpoint_is_a_gap_told_once() {
        let mut reading = resumed(5);
        let gap = Gap { after: Some(at(5)), first_seen: Some(7.into()) };
        assert_eq!(reading.judge(&mut vec![record(7)], true), Some(gap));
        assert_eq!(reading.judge(&mut vec![record(8)], true), None);
    }

    #[test]
    fn an_empty_answer_says_something_only_at_the_tip() {
        let mut reading = resumed(5);
        assert_eq!(reading.judge(&mut vec![], false), None);
        let gap = Gap { after: Some(at(5)), first_seen: None };
        assert_eq!(reading.judge(&mut vec![], true), Some(gap));
    }

    #[test]
    fn where_nothing_was_read_before_nothing_is_owed() {
        assert_eq!(Continuity::after(None).judge(&mut vec![record(7)], true), None);
    }

    #[test]
    fn an_overlap_drops_what_was_delivered_and_finds_what_expired() {
        let mut reading = Continuity::default();
        reading.overlap(at(5));
        let mut records = vec![record(5), record(6)];
        assert_eq!(reading.judge(&mut records, false), None);
        assert_eq!(numbers(&records), [record(6)]);
        reading.overlap(at(6));
        let mut records = vec![record(9)];
        let gap = Gap { after: Some(at(6)), first_seen: Some(9.into()) };
        assert_eq!(reading.judge(&mut records, false), Some(gap));
        assert_eq!(numbers(&records), [record(9)]);
    }

    #[test]
    fn nothing_is_at_risk_before_the_shortest_retention_is_nearly_over() {
        assert!(!is_at_risk(22 * 3_600_000, 1_000));
        assert!(is_at_risk(22 * 3_600_000, 3_600_000));
        assert!(is_at_risk(u64::MAX, 1));
    }
}
