//! The catalogue in Prometheus's words: how a worker exposes a metric, and how it is asked for.
//!
//! Figures of channels that CloudWatch gets, `/metrics` has as `ivs_channel_*`, in base units. What it gets of
//! the processor is there under names of its own, `ivs_processor_*`.

use crate::catalogue::{Metric, Namespace, Statistic, Unit, metrics as m};

mod dashboard;
mod rules;
mod scrape;

pub use dashboard::dashboard;
pub use rules::rules;
pub use scrape::{OPS_PORT, scrape};

/// The label with the channel id.
pub const CHANNEL: &str = "channel";
/// Beginning of the names of everything about channels.
pub const CHANNEL_PREFIX: &str = "ivs_channel_";

/// How a family behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down: of the latest minute.
    Gauge,
    /// Only goes up; its samples are called `<name>_total`.
    Counter,
}

/// How a worker exposes a metric of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name, without `_total`.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// The unit at the end of the name; empty if there is none.
    pub unit: &'static str,
    /// By this a value in the metric's own unit is multiplied: milliseconds become seconds.
    pub scale: f64,
}

impl Family {
    /// Returns the name of its samples.
    #[must_use]
    pub fn series(&self) -> String {
        match self.kind {
            Kind::Gauge => self.name.clone(),
            Kind::Counter => format!("{}_total", self.name),
        }
    }
}

/// Returns how a metric of channels is exposed; none for those of the processor and of IVS itself.
#[must_use]
pub fn family(metric: &Metric) -> Option<Family> {
    let by_channel = metric.dimensions.iter().any(|set| !set.is_empty());
    if !by_channel || !matches!(metric.namespace, Namespace::Sessions | Namespace::Metrics) {
        return None;
    }
    let words = snake(metric.name);
    let (stem, unit, scale) = match metric.unit {
        Unit::Count | Unit::CountPerSecond => (words.as_str(), "", 1.0),
        Unit::Seconds => (words.trim_end_matches("_seconds"), "seconds", 1.0),
        Unit::Milliseconds => (words.as_str(), "seconds", 0.001),
        Unit::Percent => {
            (words.trim_end_matches("_percent").trim_end_matches("_ratio"), "ratio", 0.01)
        }
        Unit::BitsPerSecond => (words.as_str(), "bps", 1.0),
    };
    let kind = if metric.statistic == Statistic::Sum { Kind::Counter } else { Kind::Gauge };
    let end = if unit.is_empty() { String::new() } else { format!("_{unit}") };
    Some(Family { name: format!("{CHANNEL_PREFIX}{stem}{end}"), kind, unit, scale })
}

fn snake(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Returns the metric that stands in for one of IVS's own, where there is no CloudWatch to ask.
fn stand_in(metric: &Metric) -> Metric {
    let ours = [
        (m::CONCURRENT_VIEWS, m::CURRENT_VIEWERS),
        (m::INGEST_VIDEO_BITRATE, m::STREAM_BITRATE),
        (m::INGEST_FRAMERATE, m::FRAME_RATE),
    ];
    ours.iter().find(|(ivs, _)| ivs == metric).map_or(*metric, |(_, ours)| *ours)
}

/// A metric of the processor as `/metrics` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Own {
    /// A counter, by its selector.
    Counter(String),
    /// A gauge of which the largest of each value of a label counts.
    Largest(String, &'static str),
    /// A gauge of which the sum over the workers counts.
    Sum(String),
    /// Seconds of a summary: its name.
    Summary(String),
    /// The share of one counter in another.
    Share(String, String),
}

/// Returns how a metric of the processor is exposed; none if a worker has it for CloudWatch only.
///
/// Those whose names differ are listed; the others are called by convention.
fn own(metric: &Metric) -> Option<Own> {
    let named = |text: &str| format!("ivs_processor_{text}");
    let records = |outcome: &str| named(&format!("records_total{{outcome=\"{outcome}\"}}"));
    let known = [
        (m::RECORDS_READ, Own::Counter(named("records_total"))),
        (m::RECORDS_ACCEPTED, Own::Counter(records("accepted"))),
        (m::RECORDS_DUPLICATE, Own::Counter(records("duplicate"))),
        (m::RECORDS_REJECTED, Own::Counter(records("rejected"))),
        (m::REJECTED_PERCENT, Own::Share(records("rejected"), named("records_total"))),
        (m::ROWS_WRITTEN, Own::Counter(named("rows_total{outcome=\"written\"}"))),
        (m::ROW_CONFLICTS, Own::Counter(named("rows_total{outcome=\"conflict\"}"))),
        (m::EPOCH_DURATION, Own::Summary(named("epoch_seconds"))),
        (m::LAG, Own::Largest(named("shard_lag_seconds"), "shard")),
        (m::LEASES_HELD, Own::Sum(named("leases_held"))),
        (m::LEASES_LOST, Own::Counter(named("leases_total{event=\"lost\"}"))),
        (m::RETRIES, Own::Counter(named("aws_retries_total"))),
        (m::METRIC_BATCHES, Own::Counter(named("metric_calls_total"))),
        (m::DATUMS_REFUSED, Own::Counter(named("metric_datums_total{outcome=\"refused\"}"))),
    ];
    if let Some((_, own)) = known.iter().find(|(each, _)| each == metric) {
        return Some(own.clone());
    }
    let for_cloudwatch_only = [m::UNKNOWN_EVENTS, m::REPEATED_EMISSIONS];
    if metric.namespace != Namespace::Processor || for_cloudwatch_only.contains(metric) {
        return None;
    }
    let words = snake(metric.name);
    Some(match (metric.statistic, metric.unit) {
        (Statistic::Sum, _) => Own::Counter(named(&format!("{words}_total"))),
        (_, Unit::Milliseconds | Unit::Seconds) => {
            Own::Largest(named(&format!("{words}_seconds")), "instance")
        }
        _ => Own::Largest(named(&words), "instance"),
    })
}

/// Returns every series that rules and dashboard ask a worker for, without those of channels.
#[must_use]
pub fn processor_series() -> Vec<String> {
    let name = |selector: String| selector.split('{').next().unwrap_or_default().to_owned();
    let mut all: Vec<_> = crate::catalogue::METRICS
        .iter()
        .filter_map(own)
        .flat_map(|own| match own {
            Own::Counter(one) | Own::Largest(one, _) | Own::Sum(one) | Own::Summary(one) => {
                vec![one]
            }
            Own::Share(part, whole) => vec![part, whole],
        })
        .map(name)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns the factor from a metric's own unit to the base unit in which it is exposed.
fn scale(metric: &Metric) -> f64 {
    match metric.unit {
        Unit::Milliseconds => 0.001,
        Unit::Percent => 0.01,
        Unit::Count | Unit::Seconds | Unit::BitsPerSecond | Unit::CountPerSecond => 1.0,
    }
}

/// Returns a span as Prometheus writes it.
fn span(seconds: u32) -> String {
    if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests;
