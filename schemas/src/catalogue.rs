//! The metric catalogue: every CloudWatch metric this processor emits, every alarm, and the widgets
//! of the dashboard.
//!
//! CloudWatch does not roll custom metrics up over dimensions, so a metric is sent once per
//! dimension set listed here. An alarm can only name a metric of this catalogue.

use serde::Serialize;

pub mod alarms;
pub mod metrics;
pub mod widgets;

pub use alarms::ALARMS;
pub use metrics::{BY_DIMENSION, EXTERNAL, METRICS};

/// A CloudWatch namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Namespace {
    /// Starts, ends and outcomes of streams.
    #[serde(rename = "LiveStreaming/Sessions")]
    Sessions,
    /// The reports of streams, players and chat.
    #[serde(rename = "LiveStreaming/Metrics")]
    Metrics,
    /// The processor itself.
    #[serde(rename = "LiveStreaming/Processor")]
    Processor,
    /// Amazon IVS's own metrics; read, never written.
    #[serde(rename = "AWS/IVS")]
    Ivs,
}

impl Namespace {
    /// Returns the name as CloudWatch knows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "LiveStreaming/Sessions",
            Self::Metrics => "LiveStreaming/Metrics",
            Self::Processor => "LiveStreaming/Processor",
            Self::Ivs => "AWS/IVS",
        }
    }
}

/// A CloudWatch unit; only those in use. CloudWatch has no unit per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Unit {
    /// `Count`.
    Count,
    /// `Seconds`.
    Seconds,
    /// `Milliseconds`.
    Milliseconds,
    /// `Percent`, 0 to 100.
    Percent,
    /// `Bits/Second`.
    #[serde(rename = "Bits/Second")]
    BitsPerSecond,
    /// `Count/Second`.
    #[serde(rename = "Count/Second")]
    CountPerSecond,
}

impl Unit {
    /// Returns the exact name of CloudWatch's `StandardUnit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
            Self::Percent => "Percent",
            Self::BitsPerSecond => "Bits/Second",
            Self::CountPerSecond => "Count/Second",
        }
    }
}

/// A CloudWatch statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Statistic {
    /// Mean of the samples.
    Average,
    /// Sum of the samples.
    Sum,
    /// Smallest sample.
    Minimum,
    /// Largest sample.
    Maximum,
    /// Median.
    #[serde(rename = "p50")]
    P50,
    /// 95th percentile.
    #[serde(rename = "p95")]
    P95,
}

impl Statistic {
    /// Returns the name as CloudWatch's API takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::P50 => "p50",
            Self::P95 => "p95",
        }
    }
}

/// The dimension names of one series.
pub type DimensionSet = &'static [&'static str];

/// Dimension with the channel id: the last part of the channel ARN.
pub const CHANNEL_ID: &str = "ChannelId";
/// Dimension with the Kinesis shard id.
pub const SHARD: &str = "Shard";
/// Dimension of IVS's own metrics, with the same value as [`CHANNEL_ID`].
pub const IVS_CHANNEL: &str = "Channel";

/// Dimensions by which viewers are told apart, each beside [`CHANNEL_ID`], where the configuration asks
/// for it. The order is that of rows.
pub const VIEWER_DIMENSIONS: [&str; 6] =
    ["Device", "Os", "Country", "PlayerVersion", "Cdn", "Rendition"];

/// One series per channel and value of each of [`VIEWER_DIMENSIONS`].
pub const PER_VIEWER_DIMENSION: &[DimensionSet] = &[
    &[CHANNEL_ID, VIEWER_DIMENSIONS[0]],
    &[CHANNEL_ID, VIEWER_DIMENSIONS[1]],
    &[CHANNEL_ID, VIEWER_DIMENSIONS[2]],
    &[CHANNEL_ID, VIEWER_DIMENSIONS[3]],
    &[CHANNEL_ID, VIEWER_DIMENSIONS[4]],
    &[CHANNEL_ID, VIEWER_DIMENSIONS[5]],
];
/// One series per channel, and one over the whole fleet.
pub const PER_CHANNEL: &[DimensionSet] = &[&[CHANNEL_ID], &[]];
/// One series per shard, and one over the whole fleet.
pub const PER_SHARD: &[DimensionSet] = &[&[SHARD], &[]];
/// One series over the whole fleet.
pub const FLEET: &[DimensionSet] = &[&[]];

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Namespace.
    pub namespace: Namespace,
    /// Name.
    pub name: &'static str,
    /// Unit of every sample.
    pub unit: Unit,
    /// The series that exist; the empty set is the series without dimensions.
    pub dimensions: &'static [DimensionSet],
    /// The statistic that gives the metric's meaning.
    pub statistic: Statistic,
    /// One line for people.
    pub description: &'static str,
}

/// How an alarm compares the statistic with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Comparison {
    /// Alarm when above.
    GreaterThanThreshold,
    /// Alarm when at or above.
    GreaterThanOrEqualToThreshold,
    /// Alarm when below.
    LessThanThreshold,
}

impl Comparison {
    /// Returns the name as CloudWatch's API takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
        }
    }

    /// Returns whether `value` breaches `threshold`.
    #[must_use]
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanThreshold => value > threshold,
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::LessThanThreshold => value < threshold,
        }
    }
}

/// The meaning of a period without samples to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MissingData {
    /// All is well: nothing is live.
    NotBreaching,
    /// As bad as a bad value: the reporter is gone.
    Breaching,
}

impl MissingData {
    /// Returns the name as CloudWatch's API takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotBreaching => "notBreaching",
            Self::Breaching => "breaching",
        }
    }
}

/// A setting without which nobody sends the metric of an alarm, so that no deployment has the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Switch {
    /// One worker asks IVS for events that never came.
    #[serde(rename = "reconcile.enabled")]
    Reconcile,
}

/// An alarm on one metric: on its series without dimensions, or on each series of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// Alarm name.
    pub name: &'static str,
    /// One line for the person who is woken by it.
    pub description: &'static str,
    /// The metric watched.
    pub metric: Metric,
    /// The dimension whose every value is watched by itself; the alarm rings when one breaches.
    /// Without it the series without dimensions is watched.
    pub group_by: Option<&'static str>,
    /// The statistic watched.
    pub statistic: Statistic,
    /// How the statistic is compared.
    pub comparison: Comparison,
    /// The threshold, in the metric's unit.
    pub threshold: f64,
    /// Length of one period, seconds.
    pub period_s: u32,
    /// How many of the latest periods are looked at.
    pub evaluation_periods: u32,
    /// How many of them must breach.
    pub datapoints_to_alarm: u32,
    /// The meaning of a period without samples.
    pub missing_data: MissingData,
    /// The setting that it takes, if any.
    pub only_with: Option<Switch>,
}

impl Alarm {
    /// Returns the Metrics Insights query of an alarm that watches each value of a dimension.
    ///
    /// CloudWatch looks at 10,000 metrics and 500 series of a query at most; the order brings the
    /// worst ones in.
    ///
    /// ```
    /// use ivs_schemas::catalogue::ALARMS;
    ///
    /// for alarm in ALARMS.iter().filter(|alarm| alarm.group_by.is_some()) {
    ///     assert!(alarm.query().is_some_and(|query| query.contains(alarm.metric.name)));
    /// }
    /// ```
    #[must_use]
    pub fn query(&self) -> Option<String> {
        let dimension = self.group_by?;
        let function = match self.statistic {
            Statistic::Average => "AVG",
            Statistic::Sum => "SUM",
            Statistic::Minimum => "MIN",
            Statistic::Maximum => "MAX",
            // Metrics Insights has no percentiles; a test keeps them out of the catalogue.
            Statistic::P50 | Statistic::P95 => return None,
        };
        let order = if self.comparison == Comparison::LessThanThreshold { "ASC" } else { "DESC" };
        Some(format!(
            "SELECT {function}({name}) FROM SCHEMA(\"{namespace}\", {dimension}) \
             GROUP BY {dimension} ORDER BY {function}() {order}",
            name = self.metric.name,
            namespace = self.metric.namespace.as_str(),
        ))
    }
}

#[cfg(test)]
mod tests;
