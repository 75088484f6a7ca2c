//! Stored rows and how an epoch's delta gets into one exactly once (invariants E1, E10).
//!
//! A row knows, for each shard, up to which position that shard's records are in it. An epoch is a
//! range of one shard that always ends at the same position (its prepare is durable), so a row
//! holds either all of an epoch or nothing of it, and that position tells which.

pub mod applied;

use std::collections::BTreeMap;

use crate::merge::Merge;
use kinesis_model::{Position, ShardId};

/// A row: the fold of the records that `applied` spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<A> {
    /// The fold.
    pub agg: A,
    /// For each shard that gave records: the end of its last epoch in here.
    pub applied: BTreeMap<ShardId, Position>,
    /// Counts the writes of the row; a put is conditional on the version it was computed from.
    pub version: u64,
}

/// The step that an epoch needs for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied<A> {
    /// The row already holds this epoch: write nothing.
    Already,
    /// Put `row`, on condition that the stored version is `seen` (`None`: that there is no row).
    Put {
        /// The row with the epoch in it.
        row: Row<A>,
        /// The version it was computed from.
        seen: Option<u64>,
    },
}

/// Returns whether a row holds a shard's epoch that ends at `to`.
#[must_use]
pub fn holds<A>(row: &Row<A>, shard: &ShardId, to: Position) -> bool {
    row.applied.get(shard).is_some_and(|done| *done >= to)
}

/// Merges `delta`, the fold of a shard's epoch that ends at `to`, into the stored row.
#[must_use]
pub fn apply<A: Merge + Clone>(
    stored: Option<&Row<A>>,
    delta: &A,
    shard: &ShardId,
    to: Position,
) -> Applied<A> {
    let Some(stored) = stored else {
        let applied = BTreeMap::from([(shard.clone(), to)]);
        return Applied::Put { row: Row { agg: delta.clone(), applied, version: 1 }, seen: None };
    };
    if holds(stored, shard, to) {
        return Applied::Already;
    }
    let mut row = stored.clone();
    row.agg.merge(delta);
    row.applied.insert(shard.clone(), to);
    row.version += 1;
    Applied::Put { row, seen: Some(stored.version) }
}

/// The reach of a source: of each shard, every record from its beginning up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<ShardId, Position>);

impl Coverage {
    /// Notes that a shard is covered up to `to`.
    pub fn note(&mut self, shard: &ShardId, to: Position) {
        let covered = self.0.entry(shard.clone()).or_insert(to);
        *covered = (*covered).max(to);
    }

    /// Returns whether a shard is covered up to a position.
    #[must_use]
    pub fn reaches(&self, shard: &ShardId, to: Position) -> bool {
        self.0.get(shard).is_some_and(|covered| *covered >= to)
    }

    /// Returns whether everything that a row holds, by its `applied`, can be recomputed. Only then
    /// may a recomputed row take its place, and only then can it be judged by one.
    #[must_use]
    pub fn contains(&self, applied: &BTreeMap<ShardId, Position>) -> bool {
        applied.iter().all(|(shard, to)| self.reaches(shard, *to))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use kinesis_model::SequenceNumber;

    fn at(sequence: u128) -> Position {
        Position { sequence: SequenceNumber::from(sequence), sub: 0 }
    }

    /// Applies and stores, as a table that accepts the put would; whether it wrote.
    fn write(table: &mut Option<Row<u64>>, delta: u64, shard: &str, to: Position) -> bool {
        match apply(table.as_ref(), &delta, &ShardId::new(shard), to) {
            Applied::Already => false,
            Applied::Put { row, seen } => {
                assert_eq!(seen, table.as_ref().map(|row| row.version));
                *table = Some(row);
                true
            }
        }
    }

    #[test]
    fn an_epoch_goes_in_once_however_often_it_is_written() {
        let mut table = None;
        assert!(write(&mut table, 5, "a", at(10)));
        assert!(!write(&mut table, 5, "a", at(10)));
        assert!(write(&mut table, 2, "a", at(20)));
        assert!(!write(&mut table, 5, "a", at(10)), "a zombie's late write");
        let row = table.unwrap();
        assert_eq!((row.agg, row.version), (7, 2));
    }

    #[test]
    fn epochs_that_end_inside_an_aggregate_are_told_apart() {
        let mut table = None;
        let inner = |sub| Position { sub, ..at(10) };
        assert!(write(&mut table, 1, "a", inner(3)));
        assert!(write(&mut table, 1, "a", inner(4)));
        assert!(!write(&mut table, 1, "a", inner(3)));
        assert_eq!(table.unwrap().agg, 2);
    }

    #[test]
    fn shards_do_not_hide_each_other() {
        let mut table = None;
        assert!(write(&mut table, 1, "a", at(1_000)));
        assert!(write(&mut table, 1, "b", at(10)));
        assert_eq!(table.unwrap().agg, 2);
    }

    #[test]
    fn a_row_is_contained_only_if_every_shard_of_it_is_covered_that_far() {
        let mut coverage = Coverage::default();
        coverage.note(&ShardId::new("a"), at(10));
        coverage.note(&ShardId::new("a"), at(5));
        let applied = |pairs: &[(&str, u128)]| {
            pairs.iter().map(|(shard, to)| (ShardId::new(shard), at(*to))).collect()
        };
        assert!(coverage.contains(&applied(&[("a", 10)])));
        assert!(!coverage.contains(&applied(&[("a", 11)])), "the row is ahead");
        assert!(!coverage.contains(&applied(&[("a", 1), ("b", 1)])), "another shard's records");
    }

    proptest! {
        /// Each shard's epochs come in order, shards interleave anyhow, and any epoch may be
        /// written again at any later time.
        #[test]
        fn any_interleaving_with_repeats_gives_the_same_row(
            steps in prop::collection::vec((0_usize..3, any::<bool>(), 0_usize..8), 1..60),
        ) {
            let shards = ["a", "b", "c"];
            let mut next = [1_u64; 3];
            let mut table = None;
            for (shard, repeat, back) in steps {
                let done = next[shard] - 1;
                if repeat && done > 0 {
                    let epoch = done.saturating_sub(back as u64).max(1);
                    let to = at(u128::from(epoch) * 100);
                    prop_assert!(!write(&mut table, epoch, shards[shard], to));
                } else {
                    let epoch = next[shard];
                    next[shard] += 1;
                    let to = at(u128::from(epoch) * 100);
                    prop_assert!(write(&mut table, epoch, shards[shard], to));
                }
            }
            let row = table.expect("the first step of a shard always writes");
            let sums = next.map(|n| n * (n - 1) / 2);
            prop_assert_eq!(row.agg, sums.iter().sum::<u64>());
            prop_assert_eq!(row.version, next.iter().map(|n| n - 1).sum::<u64>());
        }
    }
}
