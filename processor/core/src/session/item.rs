//! The derived attributes of the summary item, as readers see them.

use std::sync::Arc;

use ivs_schemas::items::sessions::ingest;
use ivs_schemas::items::{metrics, sessions as names};

use super::attribute::{Attribute, AttributeValue, Attributes};
use super::summary::{RecordingFact, SummaryAgg};
use super::timeline::attribute_names as own;
use crate::decode::{IngestConfiguration, RecordingPhase};
use crate::experience::Score;
use crate::fixed::FixedSum;

impl SummaryAgg {
    /// Returns status, times, tutorial attributes and totals; what is unknown is absent. The state
    /// behind them (`facts`, sums, sketch) is stored beside these, and is not among them.
    #[must_use]
    pub fn attributes(&self) -> Vec<Attribute> {
        let facts = &self.lifecycle;
        let mut found = Attributes::default();
        found.text(names::STATUS, Some(self.status().as_str()));
        found.seconds(names::STARTED_AT, self.started_at());
        found.seconds(names::ENDED_AT, self.ended_at());
        found.seconds(names::STALE_AFTER, self.stale_after());
        found.number(names::DURATION, self.duration_s());
        found.text(names::STREAMER_USER_ID, facts.streamer_user_id.value().map(Arc::as_ref));
        found.text(names::STREAM_TITLE, facts.stream_title.value().map(Arc::as_ref));
        found.text(names::STREAM_QUALITY, facts.stream_quality.value().map(Arc::as_ref));
        let reason = facts.failed.value().and_then(Option::as_deref);
        found.text(names::FAILURE_REASON, reason);
        let code = facts.session_ended.value().and_then(Option::as_deref);
        found.text(names::FAILURE_CODE, code);
        self.incidents(&mut found);
        self.totals(&mut found);
        self.experience(&mut found);
        if let Some(told) = self.ingest.value() {
            found.0.push((names::INGEST_CONFIGURATION, ingest_attribute(told)));
        }
        found.0
    }

    fn incidents(&self, found: &mut Attributes) {
        let facts = &self.lifecycle;
        let starvation = self.starvation();
        found.count(names::STARVATION_COUNT, starvation.count);
        let closed_s = FixedSum(i128::from(starvation.closed_ms) * 1_000);
        found.number(names::STARVATION_SECONDS, Some(closed_s));
        found.count(names::LIMIT_BREACHES, facts.limit_breaches.len() as u64);
        found.count(names::TAKEOVERS, facts.takeovers.len() as u64);
        found.count(names::AD_BREAKS, facts.ad_breaks.len() as u64);
        found.list(names::RECORDINGS, facts.recordings.iter().map(recording).collect());
    }

    fn experience(&self, found: &mut Attributes) {
        let views = &self.views.views;
        let whole = |count: Option<u64>| count.map(|n| FixedSum(i128::from(n) * 1_000_000));
        for (name, count) in [
            (metrics::VIEW_ATTEMPTS, views.known_attempts()),
            (metrics::VIEW_STARTS, views.known(views.starts)),
            (metrics::START_FAILURES_TECHNICAL, views.known(views.start_failures_technical)),
            (metrics::START_FAILURES_BUSINESS, views.known(views.start_failures_business)),
            (metrics::EXITS_BEFORE_START, self.exits_before_start()),
            (metrics::PLAYBACK_FAILURES, views.known(views.playback_failures)),
            (metrics::VIEWS_ENDED, views.known(views.ended)),
        ] {
            found.number(name, whole(count));
        }
        found.number(metrics::VIEW_TIME_MS, self.view_time_ms());
        if let Some(score) = self.score() {
            found.0.push((metrics::EXPERIENCE, score_attribute(&score)));
        }
    }

    fn totals(&self, found: &mut Attributes) {
        let telemetry = &self.telemetry;
        found.number(names::PEAK_VIEWERS, self.peak_viewers());
        found.number(names::TOTAL_CHAT_MESSAGES, self.total_chat_messages());
        found.number(names::AVG_BITRATE, self.avg_bitrate_bps());
        found.number(names::VIEWER_MINUTES, self.viewer_minutes());
        if telemetry.player_records == 0 {
            return;
        }
        found.count(names::UNIQUE_PLAYERS, telemetry.players.estimate());
        found.number(names::PLAYING_MS, Some(telemetry.playing_ms.sum));
        found.number(names::BUFFERING_MS, Some(telemetry.buffering_ms.sum));
        found.number(names::REBUFFER_COUNT, Some(telemetry.rebuffers.sum));
        found.number(names::REBUFFER_RATIO, self.rebuffer_ratio());
        found.number(names::DROPPED_FRAMES, Some(telemetry.dropped_frames.sum));
        found.count(names::PLAYER_ERRORS, telemetry.player_errors);
    }
}

/// Returns a score with its parts.
fn score_attribute(score: &Score) -> AttributeValue {
    let mut found = Attributes::default();
    for (name, part) in score.named() {
        found.number(name, part);
    }
    AttributeValue::Map(found.0)
}

fn ingest_attribute(told: &IngestConfiguration) -> AttributeValue {
    let IngestConfiguration { video, audio } = told;
    let mut found = Attributes::default();
    for (name, text) in [
        (ingest::VIDEO_CODEC, &video.codec),
        (ingest::VIDEO_PROFILE, &video.profile),
        (ingest::VIDEO_LEVEL, &video.level),
        (ingest::ENCODER, &video.encoder),
        (ingest::AUDIO_CODEC, &audio.codec),
    ] {
        found.text(name, text.as_deref());
    }
    for (name, number) in [
        (ingest::WIDTH, video.width),
        (ingest::HEIGHT, video.height),
        (ingest::FRAME_RATE, video.frame_rate),
        (ingest::VIDEO_BITRATE, video.bitrate_bps),
        (ingest::AUDIO_CHANNELS, audio.channels),
        (ingest::SAMPLE_RATE, audio.sample_rate_hz),
        (ingest::AUDIO_BITRATE, audio.bitrate_bps),
    ] {
        found.number(name, number);
    }
    AttributeValue::Map(found.0)
}

fn recording(step: &RecordingFact) -> AttributeValue {
    let status = match step.phase {
        RecordingPhase::Start => "start",
        RecordingPhase::End => "end",
        RecordingPhase::StartFailure => "start_failure",
        RecordingPhase::EndFailure => "end_failure",
    };
    let mut found = Attributes::default();
    found.seconds(names::TIMESTAMP, Some(step.time));
    found.text(names::STATUS, Some(status));
    found.text(own::RECORDING_ID, step.recording_id.as_deref());
    found.text(own::BUCKET, step.bucket.as_deref());
    found.text(own::KEY_PREFIX, step.key_prefix.as_deref());
    found.number(own::DURATION_MS, step.duration_ms);
    found.text(own::REASON, step.reason.as_deref());
    AttributeValue::Map(found.0)
}
