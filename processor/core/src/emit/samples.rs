//! Samples of one series and minute, before they become a datum.

use std::collections::BTreeMap;

use super::datum::{DatumValue, MAX_VALUES};
use crate::fixed::FixedSum;
use crate::merge::{Merge as _, Range, Stat};
use crate::sketch::Quantiles;

/// Samples that can be added to others of the same metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Samples {
    /// Count, sum, minimum and maximum; the count may be a weight.
    Statistics {
        /// Greater than 0.
        count: FixedSum,
        sum: FixedSum,
        min: FixedSum,
        max: FixedSum,
    },
    /// Whole milliseconds.
    Distribution {
        /// How often each occurred, within the sketch's error; not empty, the ends exact.
        values: BTreeMap<u32, u64>,
        /// Their sum, exact.
        sum: u64,
    },
}

impl Samples {
    /// Returns one sample.
    pub(super) fn single(value: FixedSum) -> Self {
        Self::Statistics { count: whole(1), sum: value, min: value, max: value }
    }

    /// Returns every sample of a figure; `None` of none.
    pub(super) fn of_stat(stat: &Stat) -> Option<Self> {
        let range = stat.range?;
        Some(Self::Statistics {
            count: whole(stat.total.count),
            sum: stat.total.sum,
            min: range.min.into(),
            max: range.max.into(),
        })
    }

    /// Counts of single events: how many there were in how many records, and the fewest and the
    /// most in one. `None` without records.
    pub(super) fn of_counts(events: u64, records: u64, range: Option<Range>) -> Option<Self> {
        let Range { min, max } = range?;
        let (count, sum) = (whole(records), whole(events));
        Some(Self::Statistics { count, sum, min: min.into(), max: max.into() })
    }

    /// Returns single events, a sample of 1 each; `None` of none.
    pub(super) fn of_events(events: u64) -> Option<Self> {
        let one = whole(1);
        let all =
            || Self::Statistics { count: whole(events), sum: whole(events), min: one, max: one };
        (events > 0).then(all)
    }

    /// Returns a time in milliseconds, each of which is a sample of 1, so that parts add up to the whole
    /// in count and sum; `None` of none.
    pub(super) fn of_time(ms: FixedSum) -> Option<Self> {
        let one = whole(1);
        (ms.0 > 0).then_some(Self::Statistics { count: ms, sum: ms, min: one, max: one })
    }

    /// Returns shares in percent, each weighted by the seconds it is a share of: so the average
    /// over any parts is the share of the whole. `range` has the smallest and the largest; `None`
    /// without a whole. Exact for times in whole microseconds.
    pub(super) fn of_shares(
        part_ms: FixedSum,
        whole_ms: FixedSum,
        range: Option<Range>,
    ) -> Option<Self> {
        let Range { min, max } = range?;
        // Percent × seconds = 100 × part in seconds.
        let (weight_s, sum) = ((whole_ms.0 / 1_000).max(1), part_ms.0 / 10);
        let (count, sum) = (FixedSum(weight_s), FixedSum(sum));
        Some(Self::Statistics { count, sum, min: min.into(), max: max.into() })
    }

    /// Returns a sketch's values, and their sum, which the sketch keeps within its error only;
    /// `None` of none.
    pub(super) fn of_sketch(sketch: &Quantiles, sum: u64) -> Option<Self> {
        let mut values: BTreeMap<u32, u64> = BTreeMap::new();
        for (value, count) in sketch.values() {
            values.entry(value).or_default().merge(&count);
        }
        let (first, last) = (*values.first_key_value()?.0, *values.last_key_value()?.0);
        // The sketch gives a bin's middle, but knows its smallest and largest value.
        move_one(&mut values, first, sketch.min_ms()?);
        move_one(&mut values, last, sketch.max_ms()?);
        Some(Self::Distribution { values, sum })
    }

    /// Adds samples of the same metric.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (
                Self::Statistics { count, sum, min, max },
                Self::Statistics { count: counts, sum: sums, min: mins, max: maxs },
            ) => {
                *count += *counts;
                *sum += *sums;
                *min = (*min).min(*mins);
                *max = (*max).max(*maxs);
            }
            (
                Self::Distribution { values, sum },
                Self::Distribution { values: more, sum: sums },
            ) => {
                for (value, count) in more {
                    values.entry(*value).or_default().merge(count);
                }
                sum.merge(sums);
            }
            (Self::Statistics { .. }, Self::Distribution { .. })
            | (Self::Distribution { .. }, Self::Statistics { .. }) => {
                unreachable!("every metric has one kind of samples")
            }
        }
    }

    /// Returns the datum's value.
    pub(super) fn value(&self) -> DatumValue {
        match self {
            Self::Statistics { count, sum, min, max } if *count == whole(1) && min == max => {
                DatumValue::Single(sum.to_f64())
            }
            Self::Statistics { count, sum, min, max } => DatumValue::Statistics {
                count: count.to_f64(),
                sum: sum.to_f64(),
                min: min.to_f64(),
                max: max.to_f64(),
            },
            Self::Distribution { values, sum } => DatumValue::Distribution(coarsen(values, *sum)),
        }
    }
}

fn whole(count: u64) -> FixedSum {
    FixedSum(i128::from(count) * 1_000_000)
}

/// Gives one of the samples at `from` its exact value.
fn move_one(runs: &mut BTreeMap<u32, u64>, from: u32, to: u32) {
    take_one(runs, from);
    *runs.entry(to).or_default() += 1;
}

/// Returns at most [`MAX_VALUES`] values for as many samples, whose sum is `sum`.
///
/// One sample each at the smallest and the largest value stays as it is. The others are grouped by
/// rank into groups of about equal size, each for its mean, so the rank of a percentile is off by
/// less than 1 % of the samples, or by one value that is more frequent. What the sketch's bins and
/// the groups still lack to the sum is made up by drawing them all a little towards one end.
fn coarsen(values: &BTreeMap<u32, u64>, sum: u64) -> Vec<(f64, f64)> {
    let weigh = |(value, count): (&u32, &u64)| u128::from(*value) * u128::from(*count);
    let weighed: u128 = values.iter().map(weigh).sum();
    if values.len() <= MAX_VALUES && weighed == u128::from(sum) {
        return values.iter().map(|(v, c)| (f64::from(*v), *c as f64)).collect();
    }
    let (Some((&min, _)), Some((&max, _))) = (values.first_key_value(), values.last_key_value())
    else {
        return Vec::new();
    };
    let mut inner = values.clone();
    take_one(&mut inner, min);
    take_one(&mut inner, max);
    let mut pairs = grouped(&inner);
    let (low, high) = (f64::from(min), f64::from(max));
    // Exact integers, and a small difference: nothing is lost in it.
    let lacking = i128::from(sum) - i128::try_from(weighed).unwrap_or(i128::MAX);
    draw(&mut pairs, lacking as f64, if lacking > 0 { high } else { low });
    pairs.insert(0, (low, 1.0));
    pairs.push((high, 1.0));
    pairs.dedup_by(|next, kept| {
        let equal = next.0.total_cmp(&kept.0).is_eq();
        if equal {
            kept.1 += next.1;
        }
        equal
    });
    pairs
}

/// Takes one of the samples at `value` out, if there is one.
fn take_one(values: &mut BTreeMap<u32, u64>, value: u32) {
    if let Some(count) = values.get_mut(&value) {
        *count -= 1;
        if *count == 0 {
            values.remove(&value);
        }
    }
}

/// Returns the means of at most [`MAX_VALUES`] - 2 groups of neighbors with their counts,
/// ascending.
fn grouped(values: &BTreeMap<u32, u64>) -> Vec<(f64, f64)> {
    /// Groups between the two ends.
    const GROUPS: u128 = MAX_VALUES as u128 - 2;

    let total: u128 = values.values().map(|count| u128::from(*count)).sum();
    let mut groups: BTreeMap<u128, (u128, u128)> = BTreeMap::new();
    let mut below = 0_u128;
    for (rank, (value, count)) in (0_u128..).zip(values) {
        let count = u128::from(*count);
        let few = values.len() as u128 <= GROUPS;
        let by_rank = || (below + count / 2) * GROUPS / total;
        let group = groups.entry(if few { rank } else { by_rank() }).or_default();
        group.0 += u128::from(*value) * count;
        group.1 += count;
        below += count;
    }
    groups.into_values().map(|(sum, count)| (sum as f64 / count as f64, count as f64)).collect()
}

/// Adds `lacking` to the sum of the values by moving each by the same share of its way to `end`,
/// which none of them passes. Their order stays.
fn draw(pairs: &mut [(f64, f64)], lacking: f64, end: f64) {
    let way: f64 = pairs.iter().map(|(value, count)| (end - value) * count).sum();
    if lacking == 0.0 || way == 0.0 {
        return;
    }
    let share = (lacking / way).clamp(0.0, 1.0);
    for (value, _) in pairs {
        *value += (end - *value) * share;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixed::Fixed;
    use crate::sketch::Sketch;

    fn sketch(values: &[u32]) -> Quantiles {
        let mut sketch = Quantiles::default();
        sketch.insert_all(&mut values.to_vec());
        sketch
    }

    #[test]
    fn nothing_gives_no_samples() {
        assert_eq!(Samples::of_sketch(&sketch(&[]), 0), None);
        assert_eq!(Samples::of_stat(&Stat::default()), None);
        assert_eq!(Samples::of_time(FixedSum(0)), None);
        assert_eq!(Samples::of_counts(0, 0, None), None);
        assert_eq!(Samples::of_shares(FixedSum(0), FixedSum(0), None), None);
    }

    fn percent(min: i64, max: i64) -> Option<Range> {
        Fixed::from_int(min).zip(Fixed::from_int(max)).map(|(min, max)| Range { min, max })
    }

    #[test]
    fn shares_of_parts_average_to_the_share_of_the_whole() {
        let ms = |ms: i128| FixedSum(ms * 1_000_000);
        let mut sum = Samples::of_shares(ms(10_000), ms(40_000), percent(5, 40)).unwrap();
        sum.add(&Samples::of_shares(ms(0), ms(60_000), percent(0, 0)).unwrap());
        let DatumValue::Statistics { count, sum, min, max } = sum.value() else { panic!() };
        assert_eq!((count, sum / count, min, max), (100.0, 10.0, 0.0, 40.0));
    }

    #[test]
    fn shares_of_one_second_keep_their_ends() {
        let ms = |ms: i128| FixedSum(ms * 1_000_000);
        let samples = Samples::of_shares(ms(250), ms(1_000), percent(0, 50)).unwrap();
        let expected = DatumValue::Statistics { count: 1.0, sum: 25.0, min: 0.0, max: 50.0 };
        assert_eq!(samples.value(), expected);
    }

    proptest! {
        #[test]
        fn distributions_keep_count_ends_and_sum_and_nearly_the_percentiles(
            values in prop::collection::vec(0_u32..2_000, 1..900),
            more in prop::collection::vec(1_990_u32..60_000, 0..900),
        ) {
            let sum_of = |values: &[u32]| values.iter().copied().map(u64::from).sum();
            let mut samples = Samples::of_sketch(&sketch(&values), sum_of(&values)).unwrap();
            if let Some(others) = Samples::of_sketch(&sketch(&more), sum_of(&more)) {
                samples.add(&others);
            }
            let values = [values, more].concat();
            let DatumValue::Distribution(pairs) = samples.value() else { panic!() };
            prop_assert!(pairs.len() <= MAX_VALUES);
            prop_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
            let count: f64 = pairs.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(count, values.len() as f64);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            prop_assert_eq!(pairs[0].0, f64::from(sorted[0]));
            prop_assert_eq!(pairs[pairs.len() - 1].0, f64::from(sorted[sorted.len() - 1]));
            let sum: f64 = pairs.iter().map(|(value, count)| value * count).sum();
            let exact: f64 = values.iter().copied().map(f64::from).sum();
            prop_assert!((sum - exact).abs() <= 1e-9 * exact.max(1.0), "{sum} {exact}");
            let mut below = 0.0;
            for (value, count) in pairs {
                let rank = sorted.partition_point(|v| f64::from(*v) <= value) as f64;
                let slack = 0.03 * values.len() as f64 + 3.0;
                prop_assert!(rank >= below - slack && rank <= below + count + slack);
                below += count;
            }
        }
    }
}
