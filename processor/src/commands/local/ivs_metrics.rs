//! Plays IVS's own metrics: what it would measure of the encoders that made-up traffic tells of.

use ivs_emulator::Endpoint;
use ivs_schemas::catalogue::{IVS_CHANNEL, Metric, metrics::INGEST_FRAMERATE};
use ivs_traffic::{Kind, Produced};
use serde::Deserialize;

/// Channels that are played: each sends a value every few seconds.
const MAX_CHANNELS: usize = 100;

/// A report of a stream's backend, as far as IVS would know it by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    channel_id: &'a str,
    frame_rate: f64,
}

/// The metrics of some channels.
pub(super) struct IvsMetrics<'a> {
    endpoint: &'a Endpoint,
    channels: std::collections::BTreeSet<String>,
}

impl<'a> IvsMetrics<'a> {
    /// Sends to an endpoint.
    pub(super) fn new(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, channels: std::collections::BTreeSet::new() }
    }

    /// Sends what IVS would measure meanwhile.
    pub(super) fn observe(&mut self, produced: &[Produced]) {
        let sound = |line: &&Produced| {
            line.kind == Kind::MetricsUpdate && !line.is_malformed && !line.is_duplicate
        };
        for line in produced.iter().filter(sound) {
            let Ok(report) = serde_json::from_slice::<Report<'_>>(&line.line) else { continue };
            if !self.channels.contains(report.channel_id) {
                if self.channels.len() >= MAX_CHANNELS {
                    continue;
                }
                self.channels.insert(report.channel_id.to_owned());
            }
            self.play(INGEST_FRAMERATE, report.channel_id, report.frame_rate);
        }
    }

    /// IVS sends a channel's series and one of all channels.
    fn play(&self, metric: Metric, channel: &str, value: f64) {
        let name = (metric.namespace.as_str(), metric.name);
        for dimensions in [&[(IVS_CHANNEL, channel)][..], &[]] {
            let unit = metric.unit.as_str();
            if let Err(error) = self.endpoint.play_metric(name, dimensions, unit, value) {
                tracing::debug!(%error, "a metric of IVS could not be played");
            }
        }
    }
}
