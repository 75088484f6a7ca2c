//! IVS events, as the bus takes them and as the stream gets them.

use std::sync::Arc;

use ivs_schemas::names;
use seeded::Rng;

use super::line::Line;
use super::{BusEvent, GeneratorConfig, Kind, Produced, Route, Sample};

/// Returns `len` random characters of an IVS id.
pub(super) fn ivs_id(rng: &mut Rng, len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..len).map(|_| char::from(rng.pick(ALPHABET))).collect()
}

/// The `detail` of an event, and which kind it is.
#[derive(Debug)]
pub(super) struct Detail {
    kind: Kind,
    detail_type: &'static str,
    json: String,
}

impl Detail {
    fn new(kind: Kind, detail_type: &'static str, line: Line) -> Self {
        Self { kind, detail_type, json: line.finish_text() }
    }
}

/// Which channel and stream an event is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) channel_name: &'a str,
    pub(super) stream_id: &'a str,
}

impl About<'_> {
    fn detail(&self, line: Line) -> Line {
        line.text("channel_name", self.channel_name).text("stream_id", self.stream_id)
    }

    /// Makes a Stream State Change; `extra` is the code or reason that some have.
    pub(super) fn state(&self, name: &str, extra: Option<(&str, &str)>) -> Detail {
        let line = self.detail(Line::new().text("event_name", name));
        let line = match extra {
            Some((key, value)) => line.text(key, value),
            None => line,
        };
        Detail::new(Kind::IvsStreamState, names::STREAM_STATE_CHANGE, line)
    }

    /// Makes a Stream Health Change.
    pub(super) fn health(&self, name: &str) -> Detail {
        let line = self.detail(Line::new().text("event_name", name));
        Detail::new(Kind::IvsStreamHealth, names::STREAM_HEALTH_CHANGE, line)
    }

    /// Makes a Limit Breach of the stream.
    pub(super) fn breach(&self, name: &str, limit: u64, over: u64, unit: &str) -> Detail {
        let line = self.detail(limit_breach(name, limit, over, unit));
        Detail::new(Kind::IvsLimitBreach, names::LIMIT_BREACH, line)
    }

    /// Makes a Recording State Change; `reason` is empty unless it failed.
    pub(super) fn recording(&self, status: &str, reason: &str, recorded_ms: u64) -> Detail {
        let line = self
            .detail(Line::new())
            .text("recording_status", status)
            .text("recording_status_reason", reason)
            .text("recording_s3_bucket_name", "live-recordings")
            .text("recording_s3_key_prefix", &format!("ivs/v1/{}", self.stream_id))
            .number("recording_duration_ms", recorded_ms)
            .text("recording_session_id", &format!("rec-{}", self.stream_id));
        let line = match status {
            "Recording End" => {
                line.list("recording_session_stream_ids", &[self.stream_id.to_owned()])
            }
            _ => line,
        };
        Detail::new(Kind::IvsRecordingState, names::RECORDING_STATE_CHANGE, line)
    }

    /// Makes an Ad Break State Change.
    pub(super) fn ad_break(&self, id: &str, seconds: u64, start_ms: i64) -> Detail {
        let line = self
            .detail(Line::new().text("event_name", "Ad Break Inserted"))
            .text("ad_break_id", id)
            .number("duration_seconds", seconds)
            .second("target_start_time", start_ms);
        Detail::new(Kind::IvsAdBreak, names::AD_BREAK_STATE_CHANGE, line)
    }
}

/// Makes a Limit Breach of the account.
pub(super) fn account_breach(over: u64) -> Detail {
    let line = limit_breach("Concurrent Viewers", 15_000, over, "viewers");
    Detail::new(Kind::IvsLimitBreach, names::LIMIT_BREACH, line)
}

fn limit_breach(name: &str, limit: u64, over: u64, unit: &str) -> Line {
    Line::new()
        .text("limit_name", name)
        .number("limit_value", limit)
        .number("exceeded_by", over)
        .text("limit_unit", unit)
}

/// Returns the event, at `now_ms`; `resource` is the channel's ARN.
pub(super) fn event(
    config: &GeneratorConfig,
    rng: &mut Rng,
    now_ms: i64,
    resource: Option<&str>,
    detail: Detail,
) -> Produced {
    // IVS gives whole seconds.
    let time_ms = now_ms - now_ms.rem_euclid(1000);
    let resources: Vec<String> = resource.map(str::to_owned).into_iter().collect();
    let line = Line::new()
        .text("version", "0")
        .uuid("id", rng)
        .text("detail-type", detail.detail_type)
        .text("source", &config.ivs_source)
        .text("account", &config.account)
        .second("time", time_ms)
        .text("region", &config.region)
        .list("resources", &resources)
        .raw("detail", &detail.json)
        .finish();
    // As the rules have it: the resource, else an id of the event's own.
    let partition_key = resource.map_or_else(|| ivs_id(rng, 16), str::to_owned);
    let bus_event = BusEvent {
        source: config.ivs_source.clone(),
        detail_type: detail.detail_type,
        resources,
        detail: detail.json,
        time_ms,
    };
    Produced {
        line,
        partition_key,
        kind: detail.kind,
        event_time_ms: time_ms,
        arrival_ms: now_ms,
        is_duplicate: false,
        is_malformed: false,
        route: Route::EventBus(Arc::new(bus_event)),
        sample: Sample::Fact,
    }
}
