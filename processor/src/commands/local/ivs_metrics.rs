//! Plays IVS's own metrics: what it would measure of the streams that made-up traffic tells of.

use std::collections::BTreeMap;

use ivs_emulator::Endpoint;
use ivs_schemas::catalogue::{
    IVS_CHANNEL, Metric,
    metrics::{CONCURRENT_VIEWS, INGEST_FRAMERATE, INGEST_VIDEO_BITRATE},
};
use ivs_traffic::{Kind, Produced};
use serde::Deserialize;

/// Channels that are played: each sends values every few seconds.
const MAX_CHANNELS: usize = 100;
/// A channel that has not reported for this long has no viewers any more.
const GONE_MS: i64 = 30_000;

/// A report of a stream's backend, as far as IVS would know it by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    channel_id: &'a str,
    current_viewers: f64,
    bitrate: f64,
    frame_rate: f64,
}

/// The metrics of some channels.
pub(super) struct IvsMetrics<'a> {
    endpoint: &'a Endpoint,
    /// When each reported last, and its viewers.
    channels: BTreeMap<String, (i64, f64)>,
}

impl<'a> IvsMetrics<'a> {
    /// Sends to an endpoint.
    pub(super) fn new(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, channels: BTreeMap::new() }
    }

    /// Sends what IVS would measure meanwhile.
    pub(super) fn observe(&mut self, produced: &[Produced]) {
        let sound = |line: &&Produced| {
            line.kind == Kind::MetricsUpdate && !line.is_malformed && !line.is_duplicate
        };
        let mut newest_ms = None;
        for line in produced.iter().filter(sound) {
            let Ok(report) = serde_json::from_slice::<Report<'_>>(&line.line) else { continue };
            let is_known = self.channels.contains_key(report.channel_id);
            if !is_known && self.channels.len() >= MAX_CHANNELS {
                continue;
            }
            let seen = (line.event_time_ms, report.current_viewers);
            self.channels.insert(report.channel_id.to_owned(), seen);
            newest_ms = newest_ms.max(Some(line.event_time_ms));
            let of = [(IVS_CHANNEL, report.channel_id)];
            self.play(INGEST_FRAMERATE, &of, report.frame_rate);
            self.play(INGEST_FRAMERATE, &[], report.frame_rate);
            self.play(INGEST_VIDEO_BITRATE, &of, report.bitrate);
            self.play(CONCURRENT_VIEWS, &of, report.current_viewers);
        }
        if let Some(now_ms) = newest_ms {
            self.channels.retain(|_, (at_ms, _)| now_ms - *at_ms < GONE_MS);
            // Of the account as a whole IVS counts all views together.
            let views = self.channels.values().map(|(_, viewers)| viewers).sum();
            self.play(CONCURRENT_VIEWS, &[], views);
        }
    }

    fn play(&self, metric: Metric, dimensions: &[(&str, &str)], value: f64) {
        let name = (metric.namespace.as_str(), metric.name);
        let played = self.endpoint.play_metric(name, dimensions, metric.unit.as_str(), value);
        if let Err(error) = played {
            tracing::debug!(%error, "a metric of IVS could not be played");
        }
    }
}
