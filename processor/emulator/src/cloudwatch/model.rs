//! The inputs of CloudWatch's operations, as far as they are understood here.
//!
//! Numbers and flags are also read from text, because the query protocol has nothing else.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::alarm::decide::State;
use super::time;

/// A floating-point number; NaN and the infinities are kept, for validation to name them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Number(pub(super) f64);

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Whole(pub(super) i64);

/// A truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Flag(pub(super) bool);

/// A point in time, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64);

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "doubles are what CloudWatch keeps")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "doubles are what CloudWatch keeps")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<f64, E> {
        value
            .parse()
            .ok()
            .or_else(|| time::parse(value))
            .ok_or_else(|| E::custom(format!("`{value}` is not a number")))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Whole {
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(NumberVisitor)?;
        if value.fract() == 0.0 && value.abs() < 9.0e15 {
            Ok(Self(value as i64))
        } else {
            Err(de::Error::custom(format!("`{value}` is not a whole number")))
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = deserializer.deserialize_any(NumberVisitor)?;
        time::ms_of_seconds(seconds)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{seconds}` is not a time")))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Plain(bool),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Plain(flag) => Ok(Self(flag)),
            Form::Text(text) => match text.as_str() {
                "true" => Ok(Self(true)),
                "false" => Ok(Self(false)),
                other => Err(de::Error::custom(format!("`{other}` is neither true nor false"))),
            },
        }
    }
}

/// `Dimension` and `DimensionFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Dimension {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
}

/// `StatisticSet`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StatisticSet {
    pub(super) sample_count: Option<Number>,
    pub(super) sum: Option<Number>,
    pub(super) minimum: Option<Number>,
    pub(super) maximum: Option<Number>,
}

/// `MetricDatum`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct MetricDatum {
    pub(super) metric_name: String,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) timestamp: Option<Moment>,
    pub(super) value: Option<Number>,
    pub(super) statistic_values: Option<StatisticSet>,
    pub(super) values: Option<Vec<Number>>,
    pub(super) counts: Option<Vec<Number>>,
    pub(super) unit: Option<String>,
    pub(super) storage_resolution: Option<Whole>,
}

/// `PutMetricData`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PutMetricData {
    pub(super) namespace: String,
    pub(super) metric_data: Vec<MetricDatum>,
}

/// `GetMetricStatistics`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct GetMetricStatistics {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) start_time: Option<Moment>,
    pub(super) end_time: Option<Moment>,
    pub(super) period: Option<Whole>,
    pub(super) statistics: Vec<String>,
    pub(super) extended_statistics: Vec<String>,
    pub(super) unit: Option<String>,
}

/// `Metric`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Metric {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dimensions: Vec<Dimension>,
}

/// `MetricStat`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: Metric,
    pub(super) period: Whole,
    pub(super) stat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
}

/// `MetricDataQuery`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct MetricDataQuery {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metric_stat: Option<MetricStat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) return_data: Option<Flag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<Whole>,
}

impl MetricDataQuery {
    pub(super) fn returns_data(&self) -> bool {
        self.return_data.is_none_or(|flag| flag.0)
    }
}

/// `GetMetricData`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct GetMetricData {
    pub(super) metric_data_queries: Vec<MetricDataQuery>,
    pub(super) start_time: Option<Moment>,
    pub(super) end_time: Option<Moment>,
    pub(super) next_token: Option<String>,
    pub(super) scan_by: Option<String>,
    pub(super) max_datapoints: Option<Whole>,
}

/// `ListMetrics`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListMetrics {
    pub(super) namespace: Option<String>,
    pub(super) metric_name: Option<String>,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) next_token: Option<String>,
    pub(super) recently_active: Option<String>,
}

/// Which alarms an operation is about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AlarmSelection {
    pub(super) alarm_name: Option<String>,
    pub(super) alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    state_value: Option<String>,
    alarm_types: Vec<String>,
    pub(super) max_records: Option<Whole>,
    pub(super) next_token: Option<String>,
}

impl AlarmSelection {
    /// Returns whether alarms of a kind are asked for; without a word, metric alarms are.
    pub(super) fn wants(&self, is_composite: bool) -> bool {
        let kind = if is_composite { "CompositeAlarm" } else { "MetricAlarm" };
        let named = self.alarm_types.iter().any(|wanted| wanted == kind);
        named || self.alarm_types.is_empty() && !is_composite
    }

    pub(super) fn selects(&self, name: &str, state: State) -> bool {
        (self.alarm_names.is_empty() || self.alarm_names.iter().any(|wanted| wanted == name))
            && self.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && self.state_value.as_ref().is_none_or(|wanted| wanted == state.as_str())
    }
}

/// `SetAlarmState`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SetAlarmState {
    pub(super) alarm_name: String,
    pub(super) state_value: String,
    pub(super) state_reason: String,
}
