//! The metrics: per name, dimensions and period of storage one summary.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::stat::{Summary, Totals};
use crate::error::StartError;
use crate::journal::Journal;

/// Points older than this are dropped; CloudWatch keeps minutes for as long.
const RETENTION_S: i64 = 15 * 86_400;

/// Bounds memory: a summary weighs this many units, each distinct value in it one (16 bytes).
const SUMMARY_WEIGHT: usize = 10;

/// About 64 MiB. Past it the oldest tenth of the time covered is dropped.
const WEIGHT_MAX: usize = 4_000_000;

/// The journal is rewritten from memory when it has grown past this and past twice its last size.
const JOURNAL_BYTES: u64 = 32 << 20;

/// Data per frame of a rewritten journal: at most about 10 MB.
const REWRITE_DATA: usize = 1_000;

/// A metric's identity. Dimensions are sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct MetricId {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Vec<(String, String)>,
}

impl MetricId {
    /// Returns the weight of the metric's name and dimensions.
    fn weight(&self) -> usize {
        let dimensions = self.dimensions.iter().map(|(name, value)| 48 + name.len() + value.len());
        (self.namespace.len() + self.name.len() + dimensions.sum::<usize>()) / 16 + SUMMARY_WEIGHT
    }
}

/// A unit, by its place in [`UNITS`]. Series of different units are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Unit(u8);

/// `StandardUnit`. The order is that of stored data: append only.
const UNITS: [&str; 27] = [
    "None",
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
];

impl Unit {
    /// The unit of a datum without one.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn parse(name: &str) -> Option<Self> {
        let at = UNITS.iter().position(|unit| *unit == name)?;
        u8::try_from(at).ok().map(Self)
    }

    pub(super) fn as_str(self) -> &'static str {
        UNITS.get(usize::from(self.0)).copied().unwrap_or(UNITS[0])
    }
}

/// The samples of one datum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Samples {
    /// Values with their counts.
    Values(Vec<(f64, f64)>),
    /// A statistic set.
    Set(Totals),
    /// An entry of a rewritten journal.
    Summary(Summary),
}

/// One valid datum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Datum {
    pub(super) metric: MetricId,
    pub(super) unit: Unit,
    /// Start of the minute, or second at high resolution, in seconds since the epoch.
    pub(super) at_s: i64,
    pub(super) samples: Samples,
}

/// Consecutive periods: from `start_s` on, before `end_s`, each `period_s` long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start_s: i64,
    pub(super) end_s: i64,
    pub(super) period_s: i64,
}

#[derive(Debug, Default)]
struct Series {
    points: BTreeMap<(i64, Unit), Summary>,
    /// When data last arrived, whatever its own time.
    touched_ms: i64,
}

/// All metrics.
#[derive(Debug, Default)]
pub(super) struct Store {
    metrics: BTreeMap<MetricId, Series>,
    weight: usize,
    journal: Option<Journal>,
    journal_limit_bytes: u64,
}

impl Store {
    /// Opens the metrics kept in `dir`, or none in memory.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, StartError> {
        let mut store = Self { journal_limit_bytes: JOURNAL_BYTES, ..Self::default() };
        let Some(dir) = dir else { return Ok(store) };
        let path = dir.join("metrics.log");
        let journal = Journal::open(path.clone(), |frame| {
            match ciborium::from_reader::<(i64, Vec<Datum>), _>(frame) {
                Ok((now_ms, data)) => store.apply(&data, now_ms),
                Err(error) => tracing::warn!(%error, "a frame of stored metrics is unreadable"),
            }
        });
        store.journal = Some(journal.map_err(|reason| StartError::State { path, reason })?);
        Ok(store)
    }

    /// Adds the data of one request, to the file first.
    pub(super) fn add(&mut self, data: &[Datum], now_ms: i64) -> std::io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&encode(now_ms, data))?;
        }
        self.apply(data, now_ms);
        if self.journal.as_ref().is_some_and(|kept| kept.bytes() > self.journal_limit_bytes) {
            self.rewrite()?;
        }
        Ok(())
    }

    fn apply(&mut self, data: &[Datum], now_ms: i64) {
        for datum in data {
            if !self.metrics.contains_key(&datum.metric) {
                self.weight += datum.metric.weight();
            }
            let series = self.metrics.entry(datum.metric.clone()).or_default();
            series.touched_ms = series.touched_ms.max(now_ms);
            let key = (datum.at_s, datum.unit);
            self.weight -= series.points.get(&key).map_or(0, weight_of);
            let summary = series.points.entry(key).or_default();
            match &datum.samples {
                Samples::Values(values) => {
                    values.iter().for_each(|(value, count)| summary.add(*value, *count));
                }
                Samples::Set(set) => summary.add_set(*set),
                Samples::Summary(kept) => summary.merge(kept),
            }
            self.weight += weight_of(summary);
        }
        if self.weight > WEIGHT_MAX {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let ends = |series: &Series| {
            let (first, last) = (series.points.first_key_value(), series.points.last_key_value());
            first.zip(last).map(|(first, last)| (first.0.0, last.0.0))
        };
        let oldest = self.metrics.values().filter_map(ends).map(|(first, _)| first).min();
        let newest = self.metrics.values().filter_map(ends).map(|(_, last)| last).max();
        if let Some((oldest, newest)) = oldest.zip(newest) {
            self.drop_before(oldest + ((newest - oldest) / 10).max(60));
        }
    }

    /// Drops what has outlived its retention.
    pub(super) fn trim(&mut self, now_ms: i64) {
        self.drop_before(now_ms / 1_000 - RETENTION_S);
    }

    fn drop_before(&mut self, at_s: i64) {
        self.metrics.retain(|_, series| {
            series.points = series.points.split_off(&(at_s, Unit::NONE));
            !series.points.is_empty()
        });
        let weights = self.metrics.iter().map(|(metric, series)| {
            metric.weight() + series.points.values().map(weight_of).sum::<usize>()
        });
        self.weight = weights.sum();
    }

    /// Puts a journal of what is in memory in the place of the grown one.
    fn rewrite(&mut self) -> std::io::Result<()> {
        let frames = self.metrics.iter().flat_map(|(metric, series)| {
            let datum = |(&(at_s, unit), summary): (&(i64, Unit), &Summary)| Datum {
                metric: metric.clone(),
                unit,
                at_s,
                samples: Samples::Summary(summary.clone()),
            };
            let data: Vec<Datum> = series.points.iter().map(datum).collect();
            let frames = data.chunks(REWRITE_DATA).map(|data| encode(series.touched_ms, data));
            frames.collect::<Vec<_>>()
        });
        if let Some(journal) = &mut self.journal {
            journal.replace(frames)?;
            self.journal_limit_bytes = JOURNAL_BYTES.max(2 * journal.bytes());
        }
        Ok(())
    }

    /// Returns the summaries of a metric's periods that hold data, by the periods' starts. Without
    /// a unit those of all units are merged.
    pub(super) fn summaries(
        &self,
        metric: &MetricId,
        unit: Option<Unit>,
        window: Window,
    ) -> BTreeMap<i64, Summary> {
        let mut periods: BTreeMap<i64, Summary> = BTreeMap::new();
        let Some(series) = self.metrics.get(metric) else { return periods };
        if window.start_s >= window.end_s {
            return periods;
        }
        let range = (window.start_s, Unit::NONE)..(window.end_s, Unit::NONE);
        for (&(at_s, of), summary) in series.points.range(range) {
            if unit.is_none_or(|unit| unit == of) {
                let past_s = (at_s - window.start_s) % window.period_s;
                periods.entry(at_s - past_s).or_default().merge(summary);
            }
        }
        periods
    }

    /// Returns the units that a metric has data of within the window.
    pub(super) fn units(&self, metric: &MetricId, window: Window) -> Vec<Unit> {
        let Some(series) = self.metrics.get(metric) else { return Vec::new() };
        let within = |at_s| (window.start_s..window.end_s).contains(&at_s);
        let mut units: Vec<Unit> =
            series.points.keys().filter(|(at_s, _)| within(*at_s)).map(|(_, unit)| *unit).collect();
        units.sort_unstable();
        units.dedup();
        units
    }

    /// Returns all metrics in order, each with the time at which data last arrived.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (&MetricId, i64)> {
        self.metrics.iter().map(|(metric, series)| (metric, series.touched_ms))
    }
}

fn weight_of(summary: &Summary) -> usize {
    SUMMARY_WEIGHT + summary.values_held()
}

fn encode(now_ms: i64, data: &[Datum]) -> Vec<u8> {
    let mut frame = Vec::new();
    ciborium::into_writer(&(now_ms, data), &mut frame).expect("writing into memory cannot fail");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::stat::Stat;

    fn datum(name: &str, at_s: i64, values: &[f64]) -> Datum {
        let metric = MetricId { namespace: "N".into(), name: name.into(), dimensions: Vec::new() };
        let samples = Samples::Values(values.iter().map(|value| (*value, 1.0)).collect());
        Datum { metric, unit: Unit::NONE, at_s, samples }
    }

    fn sum(store: &Store, name: &str) -> f64 {
        let window = Window { start_s: 0, end_s: i64::MAX, period_s: 86_400 };
        let periods = store.summaries(&datum(name, 0, &[]).metric, None, window);
        periods.values().filter_map(|summary| summary.stat(Stat::Sum)).sum()
    }

    #[test]
    fn metrics_survive_a_restart_and_a_rewritten_journal() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(dir.path())).unwrap();
        for put in 0..100 {
            store.add(&[datum("a", put % 10 * 60, &[1.0, 2.5])], 7).unwrap();
        }
        assert_eq!(sum(&Store::open(Some(dir.path())).unwrap(), "a"), 350.0);
        let before = store.journal.as_ref().unwrap().bytes();
        store.rewrite().unwrap();
        assert!(store.journal.as_ref().unwrap().bytes() < before);
        store.add(&[datum("a", 0, &[50.0])], 8).unwrap();
        let reopened = Store::open(Some(dir.path())).unwrap();
        assert_eq!(sum(&reopened, "a"), 400.0);
        assert_eq!(reopened.metrics().next().map(|(_, touched_ms)| touched_ms), Some(8));
    }

    #[test]
    fn memory_is_bounded_by_dropping_the_oldest_minutes() {
        let mut store = Store::default();
        let values: Vec<f64> = (0..500).map(f64::from).collect();
        for minute in 0..9_000 {
            store.apply(&[datum("a", minute * 60, &values)], 0);
        }
        assert!(store.weight <= WEIGHT_MAX);
        let series = store.metrics.values().next().unwrap();
        assert!(
            series.points.len() > 5_000 && series.points.contains_key(&(8_999 * 60, Unit::NONE))
        );
        let weight: usize = series.points.values().map(weight_of).sum();
        assert_eq!(store.weight, weight + datum("a", 0, &[]).metric.weight());
    }

    #[test]
    fn retention_drops_points_and_then_the_metric() {
        let mut store = Store::default();
        store.apply(&[datum("a", 0, &[1.0]), datum("a", 120, &[2.0])], 0);
        store.trim((RETENTION_S + 60) * 1_000);
        assert_eq!(sum(&store, "a"), 2.0);
        store.trim((RETENTION_S + 121) * 1_000);
        assert_eq!(store.metrics().count(), 0);
    }
}
