//! The latest figures of each channel, for `/metrics`: what CloudWatch is told, kept for who asks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivs_core::emit::{Datum, DatumValue, Series};
use ivs_schemas::catalogue::{Metric, Statistic, metrics};
use ivs_schemas::prometheus::{Kind, family};
use kinesis_model::EpochMs;

use crate::clock::Instant;

/// Channels remembered; the one that was silent longest gives way. About 2 KB each.
const MAX_CHANNELS: usize = 4_096;
/// A gauge that was not said again for so long tells nothing of now.
const FRESH: Duration = Duration::from_secs(180);

/// The figures of the channels that this process emitted.
#[derive(Debug, Default)]
pub struct ChannelFigures(Mutex<BTreeMap<Arc<str>, Channel>>);

#[derive(Debug)]
struct Channel {
    touched: Instant,
    figures: BTreeMap<&'static str, Figure>,
}

/// One metric of one channel.
#[derive(Debug)]
struct Figure {
    metric: &'static Metric,
    said: Instant,
    minute: EpochMs,
    latest: Samples,
    total: f64,
}

/// Samples of one minute, or of the part of it that came.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Samples {
    count: f64,
    sum: f64,
    max: f64,
    p95: f64,
}

/// A channel's figures at one moment, in the metrics' own units.
pub type ChannelReport = (Arc<str>, Vec<(&'static Metric, f64)>);

impl ChannelFigures {
    /// Takes in what is about to be emitted.
    pub fn note(&self, datums: &[Datum], now: Instant) {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for datum in datums {
            let Series::Channel(id) = &datum.series else { continue };
            if !channels.contains_key(id) && channels.len() >= MAX_CHANNELS {
                let oldest = channels.iter().min_by_key(|(_, channel)| channel.touched);
                if let Some(oldest) = oldest.map(|(id, _)| Arc::clone(id)) {
                    channels.remove(&oldest);
                }
            }
            let channel = channels
                .entry(Arc::clone(id))
                .or_insert_with(|| Channel { touched: now, figures: BTreeMap::new() });
            channel.note(datum, now);
        }
    }

    /// Returns the figures of the `limit` channels with the most viewers, by channel id.
    #[must_use]
    pub fn busiest(&self, limit: usize, now: Instant) -> Vec<ChannelReport> {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ranked: Vec<_> = channels
            .iter()
            .map(|(id, channel)| (Reverse(channel.viewers(now)), id, channel))
            .collect();
        ranked.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        ranked.truncate(limit);
        ranked.sort_by_key(|(_, id, _)| *id);
        ranked.iter().map(|(_, id, channel)| (Arc::clone(id), channel.report(now))).collect()
    }
}

impl Channel {
    fn note(&mut self, datum: &Datum, now: Instant) {
        self.touched = now;
        let samples = Samples::of(&datum.value);
        let figure = self.figures.entry(datum.metric.name).or_insert_with(|| Figure {
            metric: datum.metric,
            said: now,
            minute: datum.time,
            latest: Samples { count: 0.0, sum: 0.0, max: samples.max, p95: samples.p95 },
            total: 0.0,
        });
        figure.total += samples.sum;
        if datum.time > figure.minute {
            (figure.minute, figure.latest, figure.said) = (datum.time, samples, now);
        } else if datum.time == figure.minute {
            figure.latest.add(samples);
            figure.said = now;
        }
    }

    /// Viewers as reported, or else players that were heard of.
    fn viewers(&self, now: Instant) -> u64 {
        let value = |metric: &Metric| self.figures.get(metric.name).and_then(|f| f.value(now));
        let viewers = value(&metrics::CURRENT_VIEWERS).or_else(|| value(&metrics::ACTIVE_PLAYERS));
        // For an order only; counts are far below 2^53.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        viewers.map_or(0, |viewers| viewers as u64)
    }

    fn report(&self, now: Instant) -> Vec<(&'static Metric, f64)> {
        self.figures.values().filter_map(|f| f.value(now).map(|value| (f.metric, value))).collect()
    }
}

impl Figure {
    /// Returns the total of a counter, the latest minute of a gauge that is fresh.
    fn value(&self, now: Instant) -> Option<f64> {
        if family(self.metric)?.kind == Kind::Counter {
            return Some(self.total);
        }
        if now.saturating_duration_since(self.said) > FRESH {
            return None;
        }
        let Samples { count, sum, max, p95 } = self.latest;
        match self.metric.statistic {
            Statistic::Average if count > 0.0 => Some(sum / count),
            Statistic::P50 | Statistic::P95 => Some(p95),
            _ => Some(max),
        }
    }
}

impl Samples {
    fn of(value: &DatumValue) -> Self {
        match value {
            DatumValue::Single(value) => Self { count: 1.0, sum: *value, max: *value, p95: *value },
            DatumValue::Statistics { count, sum, max, .. } => {
                Self { count: *count, sum: *sum, max: *max, p95: *max }
            }
            DatumValue::Distribution(values) => {
                let count = values.iter().map(|(_, weight)| weight).sum();
                let sum = values.iter().map(|(value, weight)| value * weight).sum();
                let max = values.last().map_or(0.0, |(value, _)| *value);
                Self { count, sum, max, p95: percentile(values, count, 0.95).unwrap_or(max) }
            }
        }
    }

    fn add(&mut self, more: Self) {
        self.count += more.count;
        self.sum += more.sum;
        self.max = self.max.max(more.max);
        self.p95 = self.p95.max(more.p95);
    }
}

/// Returns the value below which the share of the weight lies; the values ascend.
fn percentile(values: &[(f64, f64)], weight: f64, share: f64) -> Option<f64> {
    let mut below = 0.0;
    values.iter().find_map(|(value, each)| {
        below += each;
        (below >= weight * share).then_some(*value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datum(metric: &'static Metric, channel: &str, minute: i64, value: DatumValue) -> Datum {
        Datum {
            metric,
            series: Series::Channel(channel.into()),
            time: EpochMs(minute * 60_000),
            value,
        }
    }

    fn viewers(channel: &str, count: f64) -> Datum {
        datum(&metrics::CURRENT_VIEWERS, channel, 1, DatumValue::Single(count))
    }

    #[test]
    fn gauges_say_the_latest_minute_and_counters_add_up() {
        let (figures, now) = (ChannelFigures::default(), crate::clock::instant());
        let latency = vec![(100.0, 90.0), (2_000.0, 10.0)];
        figures.note(
            &[
                viewers("a", 10.0),
                viewers("a", 30.0),
                datum(&metrics::LIVE_LATENCY, "a", 1, DatumValue::Distribution(latency)),
                datum(&metrics::PLAYER_ERRORS, "a", 1, DatumValue::Single(2.0)),
                datum(&metrics::PLAYER_ERRORS, "a", 0, DatumValue::Single(3.0)),
                Datum { series: Series::Fleet, ..viewers("a", 99.0) },
            ],
            now,
        );
        let value = |report: &[ChannelReport], metric: &Metric| {
            report[0].1.iter().find(|(each, _)| each.name == metric.name).map(|(_, value)| *value)
        };
        let report = figures.busiest(10, now);
        assert_eq!(report.len(), 1);
        assert_eq!(value(&report, &metrics::CURRENT_VIEWERS), Some(20.0));
        assert_eq!(value(&report, &metrics::LIVE_LATENCY), Some(2_000.0));
        assert_eq!(value(&report, &metrics::PLAYER_ERRORS), Some(5.0));

        figures.note(&[datum(&metrics::CURRENT_VIEWERS, "a", 2, DatumValue::Single(7.0))], now);
        figures.note(&[viewers("a", 1_000.0)], now);
        let report = figures.busiest(10, now);
        assert_eq!(value(&report, &metrics::CURRENT_VIEWERS), Some(7.0));

        let later = now + FRESH + Duration::from_secs(1);
        let report = figures.busiest(10, later);
        assert_eq!(value(&report, &metrics::CURRENT_VIEWERS), None);
        assert_eq!(value(&report, &metrics::PLAYER_ERRORS), Some(5.0));
    }

    #[test]
    fn only_the_busiest_are_told_and_a_bounded_number_remembered() {
        let (figures, now) = (ChannelFigures::default(), crate::clock::instant());
        for (channel, count) in [("a", 5.0), ("b", 50.0), ("c", 20.0)] {
            figures.note(&[viewers(channel, count)], now);
        }
        let ids = |limit, at| -> Vec<String> {
            figures.busiest(limit, at).iter().map(|(id, _)| id.to_string()).collect()
        };
        assert_eq!(ids(2, now), ["b", "c"]);
        assert_eq!(ids(0, now), [""; 0]);

        let later = now + Duration::from_secs(1);
        let many: Vec<_> = (0..MAX_CHANNELS).map(|n| viewers(&format!("x{n}"), 1.0)).collect();
        figures.note(&many, later);
        let kept = ids(usize::MAX, later);
        assert_eq!(kept.len(), MAX_CHANNELS);
        assert!(!kept.contains(&"a".to_owned()), "the silent ones gave way");
    }
}
