//! Merging: the one operation behind folds, rows and replays (invariant E4).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fixed::{Fixed, FixedSum};
use kinesis_model::EpochMs;

/// A value that two folds of different records combine into the fold of all of them.
///
/// `merge` is commutative, associative and exact: the same records give the same value, whatever
/// the split and the order. It is not idempotent; [`crate::row`] keeps a delta from being merged
/// twice. `Default` is the fold of no record.
pub trait Merge {
    /// Adds what `other` has folded.
    fn merge(&mut self, other: &Self);
}

impl Merge for u64 {
    /// Counters add; they saturate, which takes more records than a stream can hold.
    #[inline]
    fn merge(&mut self, other: &Self) {
        *self = self.saturating_add(*other);
    }
}

/// Lets an absent part stand for the fold of nothing.
impl<T: Merge + Clone> Merge for Option<T> {
    fn merge(&mut self, other: &Self) {
        match (self.as_mut(), other) {
            (_, None) => {}
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (None, Some(theirs)) => *self = Some(theirs.clone()),
        }
    }
}

/// Merges into a copy where the value is shared.
impl<T: Merge + Clone> Merge for Arc<T> {
    fn merge(&mut self, other: &Self) {
        Self::make_mut(self).merge(other);
    }
}

/// A sum and how many values are in it: absent values count nothing, zeros count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Sum of the values present.
    pub sum: FixedSum,
    /// How many values were present.
    pub count: u64,
}

impl Total {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, value: Fixed) {
        self.sum += value;
        self.count = self.count.saturating_add(1);
    }

    /// Adds a value if there is one.
    #[inline]
    pub fn add_some(&mut self, value: Option<Fixed>) {
        if let Some(value) = value {
            self.add(value);
        }
    }

    /// Returns whether no value was present.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the mean of the values present, rounded to a millionth; `None` of none.
    #[must_use]
    pub fn mean(&self) -> Option<FixedSum> {
        self.sum.mean_fixed(self.count)
    }
}

impl Merge for Total {
    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count.merge(&other.count);
    }
}

/// The smallest and the largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    pub min: Fixed,
    /// Largest value.
    pub max: Fixed,
}

impl Range {
    /// Returns the range of one value.
    #[must_use]
    #[inline]
    pub const fn of(value: Fixed) -> Self {
        Self { min: value, max: value }
    }
}

impl Merge for Range {
    #[inline]
    fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// Sum, count, smallest and largest of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Sum and count.
    pub total: Total,
    /// `None` exactly if the count is 0.
    pub range: Option<Range>,
}

impl Stat {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, value: Fixed) {
        self.total.add(value);
        self.range.merge(&Some(Range::of(value)));
    }

    /// Adds a value if there is one.
    #[inline]
    pub fn add_some(&mut self, value: Option<Fixed>) {
        if let Some(value) = value {
            self.add(value);
        }
    }

    /// Returns the smallest value, `None` of none.
    #[must_use]
    pub fn min(&self) -> Option<Fixed> {
        self.range.map(|range| range.min)
    }

    /// Returns the largest value, `None` of none.
    #[must_use]
    pub fn max(&self) -> Option<Fixed> {
        self.range.map(|range| range.max)
    }
}

impl Merge for Stat {
    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.range.merge(&other.range);
    }
}

/// The latest reading: by event time, and among readings of one instant the largest.
///
/// Field order is the order of `Ord`, so "later" is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    /// When it was read.
    pub time: EpochMs,
    /// The reading.
    pub value: Fixed,
}

impl Merge for Last {
    fn merge(&mut self, other: &Self) {
        *self = (*self).max(*other);
    }
}

/// A reading that stands until the next one: a [`Stat`] and the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Sum, count, smallest and largest reading.
    pub stat: Stat,
    /// `None` exactly if there was no reading.
    pub last: Option<Last>,
}

impl Gauge {
    /// Adds a reading if there is one.
    #[inline]
    pub fn add_some(&mut self, time: EpochMs, value: Option<Fixed>) {
        if let Some(value) = value {
            self.stat.add(value);
            self.last.merge(&Some(Last { time, value }));
        }
    }
}

impl Merge for Gauge {
    fn merge(&mut self, other: &Self) {
        self.stat.merge(&other.stat);
        self.last.merge(&other.last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gauge(readings: &[(i64, i64)]) -> Gauge {
        let mut gauge = Gauge::default();
        for &(time, value) in readings {
            gauge.add_some(EpochMs(time), Some(Fixed::from_micros(value)));
        }
        gauge
    }

    #[test]
    fn absent_is_not_zero() {
        let mut total = Total::default();
        total.add_some(None);
        assert_eq!(total.mean(), None);
        total.add_some(Some(Fixed::ZERO));
        assert_eq!((total.count, total.mean()), (1, Some(FixedSum::ZERO)));
    }

    #[test]
    fn the_larger_of_two_readings_at_one_instant_is_the_last() {
        let last = gauge(&[(5, 7), (5, 9), (5, 8), (4, 100)]).last.unwrap();
        assert_eq!((last.time, last.value), (EpochMs(5), Fixed::from_micros(9)));
    }

    #[test]
    fn a_stat_of_one_value_has_it_for_both_ends() {
        let mut stat = Stat::default();
        assert_eq!((stat.min(), stat.max()), (None, None));
        stat.add_some(Some(Fixed::from_micros(-3)));
        assert_eq!(stat.min(), stat.max());
        assert_eq!(stat.max(), Some(Fixed::from_micros(-3)));
    }

    proptest! {
        #[test]
        fn gauges_merge_to_the_gauge_of_all_readings(
            readings in prop::collection::vec((0_i64..20, -50_i64..50), 0..40),
            cut in 0_usize..40,
        ) {
            let (left, right) = readings.split_at(cut.min(readings.len()));
            let (mut ab, mut ba) = (gauge(left), gauge(right));
            ab.merge(&gauge(right));
            ba.merge(&gauge(left));
            prop_assert_eq!(ab, gauge(&readings));
            prop_assert_eq!(ba, gauge(&readings));
        }
    }
}
