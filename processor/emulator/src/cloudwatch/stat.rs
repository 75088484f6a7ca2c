//! The kept form of a period's samples, and the statistics drawn from it.

use serde::{Deserialize, Serialize};

/// Distinct values kept per summary. Beyond it the two closest are merged, which moves a
/// percentile by no more than their distance.
const VALUES_MAX: usize = 512;

/// A statistic of CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stat {
    Sum,
    SampleCount,
    Minimum,
    Maximum,
    Average,
    /// `p0` to `p100`.
    Percentile(f64),
}

impl Stat {
    /// Reads the name of a statistic. Trimmed statistics (`tm`, `wm`, `tc`, `ts`, `pr`, `iqm`) are
    /// not known here.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Sum" => Self::Sum,
            "SampleCount" => Self::SampleCount,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "Average" => Self::Average,
            _ => {
                let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
                return (0.0..=100.0).contains(&percent).then_some(Self::Percentile(percent));
            }
        })
    }
}

/// `StatisticSet`, validated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// The samples of a period, summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    totals: Totals,
    /// Ascending values with their counts; `None` once a statistic set hid them.
    values: Option<Vec<(f64, f64)>>,
}

impl Default for Summary {
    fn default() -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { totals: Totals { count: 0.0, sum: 0.0, min, max }, values: Some(Vec::new()) }
    }
}

impl Summary {
    /// Adds `count` samples of one value.
    pub(super) fn add(&mut self, value: f64, count: f64) {
        self.add_totals(Totals { count, sum: value * count, min: value, max: value });
        let Some(values) = &mut self.values else { return };
        match values.binary_search_by(|(kept, _)| kept.total_cmp(&value)) {
            Ok(at) => values[at].1 += count,
            Err(at) => values.insert(at, (value, count)),
        }
        if values.len() > VALUES_MAX {
            merge_closest(values);
        }
    }

    /// Adds a statistic set. Percentiles survive only if all its samples are alike.
    pub(super) fn add_set(&mut self, set: Totals) {
        if set.min.total_cmp(&set.max).is_eq() {
            self.add(set.min, set.count);
        } else {
            self.add_totals(set);
            self.values = None;
        }
    }

    /// Adds all samples of another summary.
    pub(super) fn merge(&mut self, other: &Self) {
        let Some(values) = &other.values else {
            self.add_totals(other.totals);
            self.values = None;
            return;
        };
        // Totals are taken from the other summary, where merged neighbors left them exact.
        let totals = self.totals;
        values.iter().for_each(|(value, count)| self.add(*value, *count));
        self.totals = totals;
        self.add_totals(other.totals);
    }

    fn add_totals(&mut self, other: Totals) {
        self.totals.count += other.count;
        self.totals.sum += other.sum;
        self.totals.min = self.totals.min.min(other.min);
        self.totals.max = self.totals.max.max(other.max);
    }

    /// Returns the statistic; a percentile is absent where statistic sets hid the values.
    pub(super) fn stat(&self, stat: Stat) -> Option<f64> {
        Some(match stat {
            Stat::Sum => self.totals.sum,
            Stat::SampleCount => self.totals.count,
            Stat::Minimum => self.totals.min,
            Stat::Maximum => self.totals.max,
            Stat::Average => self.totals.sum / self.totals.count,
            Stat::Percentile(percent) => percentile(self.values.as_ref()?, percent)?,
        })
    }

    /// Returns how many distinct values are held, for the bound on memory.
    pub(super) fn values_held(&self) -> usize {
        self.values.as_ref().map_or(0, Vec::len)
    }
}

/// Returns the smallest value that at least `percent` of the samples do not exceed.
fn percentile(values: &[(f64, f64)], percent: f64) -> Option<f64> {
    let total: f64 = values.iter().map(|(_, count)| count).sum();
    let rank = total * percent / 100.0;
    let mut below = 0.0;
    for (value, count) in values {
        below += count;
        if below >= rank {
            return Some(*value);
        }
    }
    values.last().map(|(value, _)| *value)
}

fn merge_closest(values: &mut Vec<(f64, f64)>) {
    let gap = |at: &usize| values[at + 1].0 - values[*at].0;
    let closest = (0..values.len() - 1).min_by(|a, b| gap(a).total_cmp(&gap(b)));
    if let Some(at) = closest {
        let (high, high_count) = values.remove(at + 1);
        let (low, low_count) = values[at];
        let count = low_count + high_count;
        values[at] = ((low * low_count + high * high_count) / count, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_values_and_counts() {
        let mut summary = Summary::default();
        summary.add(1.0, 3.0);
        summary.add(10.0, 1.0);
        let stat = |name: &str| summary.stat(Stat::parse(name).unwrap()).unwrap();
        assert_eq!(stat("Sum"), 13.0);
        assert_eq!(stat("SampleCount"), 4.0);
        assert_eq!(stat("Average"), 3.25);
        assert_eq!((stat("Minimum"), stat("Maximum")), (1.0, 10.0));
        assert_eq!((stat("p50"), stat("p75"), stat("p75.1")), (1.0, 1.0, 10.0));
    }

    #[test]
    fn a_statistic_set_hides_percentiles_and_nothing_else() {
        let mut summary = Summary::default();
        summary.add(5.0, 1.0);
        summary.add_set(Totals { count: 2.0, sum: 4.0, min: 2.0, max: 2.0 });
        assert_eq!(summary.stat(Stat::Percentile(50.0)), Some(2.0));
        summary.add_set(Totals { count: 2.0, sum: 10.0, min: 1.0, max: 9.0 });
        assert_eq!(summary.stat(Stat::Percentile(50.0)), None);
        assert_eq!(summary.stat(Stat::Average), Some(19.0 / 5.0));
    }

    #[test]
    fn past_the_bound_totals_stay_exact_and_percentiles_close() {
        let (mut one, mut two) = (Summary::default(), Summary::default());
        for value in 0..4_000 {
            let half = if value % 2 == 0 { &mut one } else { &mut two };
            half.add(f64::from(value), 1.0);
        }
        one.merge(&two);
        assert!(one.values_held() <= VALUES_MAX);
        assert_eq!(one.stat(Stat::Sum), Some(f64::from(3_999 * 2_000)));
        assert_eq!(one.stat(Stat::SampleCount), Some(4_000.0));
        let median = one.stat(Stat::Percentile(50.0)).unwrap();
        assert!((median - 2_000.0).abs() < 40.0, "the median came out as {median}");
    }

    #[test]
    fn unknown_statistics_are_refused() {
        for name in ["p101", "p-1", "pNaN", "tm99", "average", ""] {
            assert_eq!(Stat::parse(name), None, "{name}");
        }
    }
}
