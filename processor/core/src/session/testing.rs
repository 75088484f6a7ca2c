//! Facts for tests.

use crate::decode::{AppEnd, AppStart, Fact, FactKind, FactOrigin, FactScope, LimitBreach};
use crate::decode::{IngestAudio, IngestConfiguration, IngestVideo};
use crate::decode::{Recording, RecordingPhase};
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

/// A second that is not the first of a minute: 2026-03-01T12:00:07Z.
pub(crate) const BASE_S: i64 = 1_772_366_407;

pub(crate) fn number(value: i64) -> Option<Fixed> {
    Fixed::from_int(value)
}

/// Returns a time, in seconds after [`BASE_S`].
pub(crate) fn at(second: i64) -> EpochMs {
    EpochMs((BASE_S + second) * 1_000)
}

/// Returns a fact of session `st-1` on channel `ch-1`, in seconds after [`BASE_S`].
pub(crate) fn fact(second: i64, kind: FactKind) -> Fact {
    let application = matches!(kind, FactKind::AppStart(_) | FactKind::AppEnd(_));
    let origin = if application { FactOrigin::Application } else { FactOrigin::Ivs };
    let (session_id, channel_id) = ("st-1".to_owned(), "ch-1".to_owned());
    let scope = FactScope::Session { session_id, channel_id };
    Fact { scope, time: at(second), kind, event_id: Some(format!("{second}")), origin }
}

pub(crate) fn app_start(title: &str) -> FactKind {
    let title = (!title.is_empty()).then(|| title.to_owned());
    FactKind::AppStart(AppStart { streamer_user_id: Some("u-9".to_owned()), title, quality: None })
}

pub(crate) fn app_end(duration_s: i64, peak_viewers: i64) -> FactKind {
    FactKind::AppEnd(AppEnd {
        duration_s: number(duration_s),
        peak_viewers: number(peak_viewers),
        total_chat_messages: number(77),
        avg_bitrate_bps: number(4_000_000),
    })
}

pub(crate) fn breach(limit: &str, exceeded_by: i64) -> FactKind {
    FactKind::LimitBreach(LimitBreach {
        limit: limit.to_owned(),
        value: number(8_500_000),
        exceeded_by: number(exceeded_by),
        unit: Some("bits per second".to_owned()),
    })
}

pub(crate) fn recording(phase: RecordingPhase, prefix: &str) -> FactKind {
    FactKind::Recording(Recording {
        phase,
        reason: None,
        bucket: Some("rec-bucket".to_owned()),
        key_prefix: Some(prefix.to_owned()),
        duration_ms: number(5_400_123),
        recording_id: Some("rS1".to_owned()),
        stream_ids: vec!["st-1".to_owned()],
    })
}

pub(crate) fn ingest(height: i64, encoder: &str) -> FactKind {
    let encoder = IngestConfiguration::kept(encoder);
    let video = IngestVideo { height: number(height), encoder, ..IngestVideo::default() };
    FactKind::Ingest(Box::new(IngestConfiguration { video, audio: IngestAudio::default() }))
}
