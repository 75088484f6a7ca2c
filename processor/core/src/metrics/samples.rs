//! Samples of one series and minute, before they become a datum.

use std::collections::BTreeMap;

use super::datum::{DatumValue, MAX_VALUES};
use crate::fixed::FixedSum;
use crate::merge::{Stat, Total};
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
    /// Whole milliseconds and how often each occurred; not empty.
    Distribution(BTreeMap<u32, u64>),
}

/// A quotient, rounded down and up to a millionth; `None` by 0.
fn around(dividend: i128, divisor: i128) -> Option<(FixedSum, FixedSum)> {
    let down = dividend.checked_div_euclid(divisor)?;
    let up = down + i128::from(dividend.rem_euclid(divisor) != 0);
    Some((FixedSum(down), FixedSum(up)))
}

impl Samples {
    /// One sample.
    pub(super) fn single(value: FixedSum) -> Self {
        Self::Statistics { count: FixedSum(1_000_000), sum: value, min: value, max: value }
    }

    /// Every sample of a figure; `None` of none.
    pub(super) fn of_stat(stat: &Stat) -> Option<Self> {
        let range = stat.range?;
        Some(Self::Statistics {
            count: whole(stat.total.count),
            sum: stat.total.sum,
            min: range.min.into(),
            max: range.max.into(),
        })
    }

    /// Every sample of a figure whose ends are not kept: the mean stands for both, rounded down
    /// and up so that the sum lies between their multiples, as CloudWatch wants it. Of such a
    /// metric only count, sum and average are to be read.
    pub(super) fn of_total(total: &Total) -> Option<Self> {
        let (min, max) = around(total.sum.0, i128::from(total.count))?;
        Some(Self::Statistics { count: whole(total.count), sum: total.sum, min, max })
    }

    /// A share in percent, weighted by the seconds it is a share of: so the average over any parts
    /// is the share of the whole, while minimum and maximum are those of the parts. `None` without
    /// a whole.
    pub(super) fn of_share(part_ms: FixedSum, whole_ms: FixedSum) -> Option<Self> {
        if whole_ms.0 <= 0 {
            return None;
        }
        // Percent × seconds = 100 × part in seconds.
        let (weight_s, sum) = ((whole_ms.0 / 1_000).max(1), part_ms.0 / 10);
        let (down, up) = around(sum.saturating_mul(1_000_000), weight_s)?;
        let (count, sum) = (FixedSum(weight_s), FixedSum(sum));
        Some(Self::Statistics { count, sum, min: down, max: up })
    }

    /// A sketch's values; `None` of none.
    pub(super) fn of_sketch(sketch: &Quantiles) -> Option<Self> {
        let last = sketch.count().checked_sub(1)?;
        let mut runs = BTreeMap::new();
        let ends = (Ranked::of(sketch, 0, last)?, Ranked::of(sketch, last, last)?);
        collect_runs(sketch, last, ends, &mut runs);
        // The sketch gives a bin's middle, but knows its smallest and largest value.
        move_one(&mut runs, ends.0.value, sketch.min_ms()?);
        move_one(&mut runs, ends.1.value, sketch.max_ms()?);
        Some(Self::Distribution(runs))
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
            (Self::Distribution(values), Self::Distribution(more)) => {
                for (value, count) in more {
                    let sum: &mut u64 = values.entry(*value).or_default();
                    *sum = sum.saturating_add(*count);
                }
            }
            (Self::Statistics { .. }, Self::Distribution(_))
            | (Self::Distribution(_), Self::Statistics { .. }) => {
                unreachable!("every metric has one kind of samples")
            }
        }
    }

    /// The datum's value.
    pub(super) fn value(&self) -> DatumValue {
        match self {
            Self::Statistics { count, sum, .. } if *count == FixedSum(1_000_000) => {
                DatumValue::Single(sum.to_f64())
            }
            Self::Statistics { count, sum, min, max } => DatumValue::Statistics {
                count: count.to_f64(),
                sum: sum.to_f64(),
                min: min.to_f64(),
                max: max.to_f64(),
            },
            Self::Distribution(values) => DatumValue::Distribution(coarsen(values)),
        }
    }
}

fn whole(count: u64) -> FixedSum {
    FixedSum(i128::from(count) * 1_000_000)
}

/// The value at a rank of a sketch.
#[derive(Clone, Copy)]
struct Ranked {
    rank: u64,
    value: u32,
}

impl Ranked {
    /// `last` is the largest rank. Half a rank is added so that rounding cannot reach the one
    /// below.
    fn of(sketch: &Quantiles, rank: u64, last: u64) -> Option<Self> {
        let p = if last == 0 { 0.0 } else { (rank as f64 + 0.5) / last as f64 };
        sketch.quantile_ms(p).map(|value| Self { rank, value })
    }
}

/// Finds how often each value occurs between two ranks: where both ends have one value, all do.
fn collect_runs(
    sketch: &Quantiles,
    last: u64,
    (low, high): (Ranked, Ranked),
    runs: &mut BTreeMap<u32, u64>,
) {
    if low.value == high.value {
        *runs.entry(low.value).or_default() += high.rank - low.rank + 1;
        return;
    }
    let middle = low.rank + (high.rank - low.rank) / 2;
    let at = |rank| Ranked::of(sketch, rank, last).expect("a sketch with ranks has values");
    collect_runs(sketch, last, (low, at(middle)), runs);
    collect_runs(sketch, last, (at(middle + 1), high), runs);
}

/// Gives one of the samples at `from` its exact value.
fn move_one(runs: &mut BTreeMap<u32, u64>, from: u32, to: u32) {
    if let Some(count) = runs.get_mut(&from) {
        *count -= 1;
        if *count == 0 {
            runs.remove(&from);
        }
        *runs.entry(to).or_default() += 1;
    }
}

/// At most [`MAX_VALUES`] values for as many samples.
///
/// The smallest and the largest stay as they are, the others are grouped by rank into groups of
/// about equal size, each for its mean: minimum, maximum and sum survive, and the rank of a
/// percentile is off by less than 1 % of the samples, or by one value that is more frequent.
fn coarsen(values: &BTreeMap<u32, u64>) -> Vec<(f64, f64)> {
    /// Groups between the two ends.
    const GROUPS: u128 = MAX_VALUES as u128 - 2;

    if values.len() <= MAX_VALUES {
        return values.iter().map(|(v, c)| (f64::from(*v), *c as f64)).collect();
    }
    let ends = [values.first_key_value(), values.last_key_value()];
    let is_end = |value: &u32| ends.iter().flatten().any(|(end, _)| *end == value);
    let inner = || values.iter().filter(|(value, _)| !is_end(value));
    let total: u128 = inner().map(|(_, count)| u128::from(*count)).sum();
    let mut groups: BTreeMap<u128, (u128, u128)> = BTreeMap::new();
    let mut below = 0_u128;
    for (value, count) in inner() {
        let count = u128::from(*count);
        let group = groups.entry((below + count / 2) * GROUPS / total).or_default();
        group.0 += u128::from(*value) * count;
        group.1 += count;
        below += count;
    }
    let exact = |end: Option<(&u32, &u64)>| end.map(|(v, c)| (f64::from(*v), *c as f64));
    let means = groups.into_values().map(|(sum, count)| (sum as f64 / count as f64, count as f64));
    exact(ends[0]).into_iter().chain(means).chain(exact(ends[1])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sketch::Sketch;

    fn sketch(values: &[u32]) -> Quantiles {
        let mut sketch = Quantiles::default();
        sketch.insert_all(&mut values.to_vec());
        sketch
    }

    #[test]
    fn nothing_gives_no_samples() {
        assert_eq!(Samples::of_sketch(&sketch(&[])), None);
        assert_eq!(Samples::of_stat(&Stat::default()), None);
        assert_eq!(Samples::of_total(&Total::default()), None);
        assert_eq!(Samples::of_share(FixedSum(0), FixedSum(0)), None);
    }

    #[test]
    fn shares_of_parts_average_to_the_share_of_the_whole() {
        let ms = |ms: i128| FixedSum(ms * 1_000_000);
        let mut sum = Samples::of_share(ms(10_000), ms(40_000)).unwrap();
        sum.add(&Samples::of_share(ms(0), ms(60_000)).unwrap());
        let DatumValue::Statistics { count, sum, min, max } = sum.value() else { panic!() };
        assert_eq!((count, sum / count, min, max), (100.0, 10.0, 0.0, 25.0));
    }

    proptest! {
        #[test]
        fn distributions_keep_count_ends_and_sum_and_nearly_the_percentiles(
            values in prop::collection::vec(0_u32..2_000, 1..900),
        ) {
            let samples = Samples::of_sketch(&sketch(&values)).unwrap();
            let DatumValue::Distribution(pairs) = samples.value() else { panic!() };
            prop_assert!(pairs.len() <= MAX_VALUES);
            prop_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
            let count: f64 = pairs.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(count, values.len() as f64);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            prop_assert_eq!(pairs[0].0, f64::from(sorted[0]));
            prop_assert_eq!(pairs[pairs.len() - 1].0, f64::from(sorted[sorted.len() - 1]));
            // The sketch itself is exact up to 512 distinct values.
            let mut distinct = sorted.clone();
            distinct.dedup();
            if distinct.len() <= 512 {
                let sum: f64 = pairs.iter().map(|(value, count)| value * count).sum();
                let exact: f64 = values.iter().copied().map(f64::from).sum();
                prop_assert!((sum - exact).abs() <= 1e-9 * exact.max(1.0), "{sum} {exact}");
            }
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
