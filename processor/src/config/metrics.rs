//! Which way metrics leave the program.

use serde::{Deserialize, Serialize};

/// The protocol that metrics are sent by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SendAs {
    /// CloudWatch's PutMetricData.
    #[default]
    PutMetricData,
    /// OTLP by HTTP and protobuf, to CloudWatch's OTLP endpoint or an OpenTelemetry collector.
    Otlp,
}

/// Which way metrics leave the program. What holds for both ways is in [`super::CloudWatch`]: whether
/// they are sent, how many datums a call has, and how many calls a second there are.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// `put-metric-data` or `otlp`.
    pub send_as: SendAs,
    /// Where OTLP goes, such as `https://monitoring.eu-west-1.amazonaws.com/v1/metrics` or
    /// `http://127.0.0.1:4318/v1/metrics`. Headers, which may be secret, are taken from the variable
    /// `OTEL_EXPORTER_OTLP_METRICS_HEADERS`, or `OTEL_EXPORTER_OTLP_HEADERS`.
    pub otlp_url: String,
    /// Whether calls are signed for CloudWatch (SigV4) whatever the host. Those to AWS always are.
    pub otlp_sign: bool,
}

impl Metrics {
    pub(super) fn problems(&self) -> Vec<String> {
        let url = &self.otlp_url;
        let mut problems = vec![];
        if self.send_as == SendAs::Otlp && url.is_empty() {
            problems.push("metrics.otlp_url is empty, and metrics.send_as is `otlp`".to_owned());
        }
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            problems.push(format!(
                "metrics.otlp_url is `{url}`: write http://HOST:PORT/v1/metrics or https://…"
            ));
        }
        problems
    }
}
