//! The names that a merged row may have beside its key: whoever changes a stored row by naming attributes
//! has to remove those of ours that it does not have any more.

use std::collections::HashSet;
use std::sync::LazyLock;

use ivs_schemas::items::{metrics, sessions};

/// Names of a row of `StreamingMetrics`.
pub(crate) const METRIC: [&str; 86] = [
    metrics::CHANNEL_ID,
    metrics::CHANNEL_SAID_BY,
    metrics::CURRENT_VIEWERS,
    metrics::CURRENT_VIEWERS_AT_MS,
    metrics::VIEWERS_MIN,
    metrics::VIEWERS_MAX,
    metrics::VIEWERS_SUM,
    metrics::VIEWERS_COUNT,
    metrics::BITRATE,
    metrics::BITRATE_MIN,
    metrics::BITRATE_MAX,
    metrics::BITRATE_SUM,
    metrics::BITRATE_COUNT,
    metrics::FRAME_RATE,
    metrics::FRAME_RATE_MIN,
    metrics::FRAME_RATE_MAX,
    metrics::FRAME_RATE_SUM,
    metrics::FRAME_RATE_COUNT,
    metrics::CHAT_MESSAGES_PER_MINUTE,
    metrics::CHAT_RATE_MIN,
    metrics::CHAT_RATE_MAX,
    metrics::CHAT_RATE_SUM,
    metrics::CHAT_RATE_COUNT,
    metrics::CPU_USAGE,
    metrics::CPU_SUM,
    metrics::CPU_COUNT,
    metrics::MEMORY_USAGE,
    metrics::MEMORY_SUM,
    metrics::MEMORY_COUNT,
    metrics::GAUGES,
    metrics::ACTIVE_PLAYERS,
    metrics::PLAYER_RECORDS,
    metrics::PLAYER_BITRATE,
    metrics::PLAYER_BITRATE_MIN,
    metrics::PLAYER_BITRATE_MAX,
    metrics::PLAYER_BITRATE_SUM,
    metrics::PLAYER_BITRATE_COUNT,
    metrics::PLAYER_FRAME_RATE,
    metrics::PLAYER_FRAME_RATE_SUM,
    metrics::PLAYER_FRAME_RATE_COUNT,
    metrics::PLAYING_MS,
    metrics::PLAYING_COUNT,
    metrics::BUFFERING_MS,
    metrics::BUFFERING_COUNT,
    metrics::WATCH_BUFFERING_MS,
    metrics::REBUFFER_COUNT,
    metrics::REBUFFER_RECORDS,
    metrics::REBUFFER_RATIO,
    metrics::REBUFFER_PERCENT_MIN,
    metrics::REBUFFER_PERCENT_MAX,
    metrics::DROPPED_FRAMES,
    metrics::DROPPED_FRAMES_MIN,
    metrics::DROPPED_FRAMES_MAX,
    metrics::DROPPED_FRAMES_COUNT,
    metrics::PLAYER_ERRORS,
    metrics::PLAYER_ERRORS_MIN,
    metrics::PLAYER_ERRORS_MAX,
    metrics::LATENCY_SUM_MS,
    metrics::LATENCY_MIN_MS,
    metrics::LATENCY_MAX_MS,
    metrics::LATENCY_P50_MS,
    metrics::LATENCY_P95_MS,
    metrics::LATENCY_P99_MS,
    metrics::STARTUP_SUM_MS,
    metrics::STARTUP_P50_MS,
    metrics::STARTUP_P95_MS,
    metrics::VIEW_EVENTS,
    metrics::VIEW_ATTEMPTS,
    metrics::VIEW_STARTS,
    metrics::START_FAILURES_TECHNICAL,
    metrics::START_FAILURES_BUSINESS,
    metrics::EXITS_BEFORE_START,
    metrics::PLAYBACK_FAILURES,
    metrics::VIEWS_ENDED,
    metrics::VIEW_TIME_MS,
    metrics::CONCURRENT_VIEWS,
    metrics::VIEW_SKETCH,
    metrics::BREAKDOWNS,
    metrics::EXPERIENCE,
    metrics::CHAT_MESSAGES,
    metrics::SKETCHES,
    metrics::RECORDS,
    metrics::APPLIED,
    metrics::VERSION,
    metrics::SCHEMA_VERSION,
    metrics::EXPIRES_AT,
];

/// Names of a summary.
pub(crate) const SUMMARY: [&str; 51] = [
    sessions::CHANNEL_ID,
    sessions::CHANNEL_SAID_BY,
    sessions::SCHEMA_VERSION,
    sessions::EXPIRES_AT,
    sessions::STATUS,
    sessions::STARTED_AT,
    sessions::ENDED_AT,
    sessions::STALE_AFTER,
    sessions::DURATION,
    sessions::PEAK_VIEWERS,
    sessions::TOTAL_CHAT_MESSAGES,
    sessions::AVG_BITRATE,
    sessions::STREAMER_USER_ID,
    sessions::STREAM_TITLE,
    sessions::STREAM_QUALITY,
    sessions::FAILURE_REASON,
    sessions::FAILURE_CODE,
    sessions::STARVATION_COUNT,
    sessions::STARVATION_SECONDS,
    sessions::LIMIT_BREACHES,
    sessions::TAKEOVERS,
    sessions::AD_BREAKS,
    sessions::RECORDINGS,
    sessions::VIEWER_MINUTES,
    sessions::UNIQUE_PLAYERS,
    sessions::PLAYING_MS,
    sessions::BUFFERING_MS,
    sessions::REBUFFER_COUNT,
    sessions::REBUFFER_RATIO,
    sessions::DROPPED_FRAMES,
    sessions::PLAYER_ERRORS,
    sessions::BITRATE_SUM,
    sessions::BITRATE_COUNT,
    sessions::FACTS,
    sessions::TELEMETRY,
    sessions::VIEWS,
    sessions::INGEST_CONFIGURATION,
    sessions::INGEST,
    sessions::SKETCHES,
    sessions::RECORDS,
    sessions::APPLIED,
    sessions::VERSION,
    metrics::VIEW_ATTEMPTS,
    metrics::VIEW_STARTS,
    metrics::START_FAILURES_TECHNICAL,
    metrics::START_FAILURES_BUSINESS,
    metrics::EXITS_BEFORE_START,
    metrics::PLAYBACK_FAILURES,
    metrics::VIEWS_ENDED,
    metrics::VIEW_TIME_MS,
    metrics::EXPERIENCE,
];

/// Names of a row and its key.
pub(crate) static METRIC_AND_KEY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    METRIC.into_iter().chain([metrics::SESSION_ID, metrics::METRIC_TIMESTAMP]).collect()
});

/// Names of a summary and its key.
pub(crate) static SUMMARY_AND_KEY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    SUMMARY.into_iter().chain([sessions::SESSION_ID, sessions::TIMESTAMP]).collect()
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const METRICS_SOURCE: &str = include_str!("../../../schemas/src/items/metrics.rs");
    const SESSIONS_SOURCE: &str = include_str!("../../../schemas/src/items/sessions.rs");
    const FACTS: [&str; 5] = [
        sessions::EVENT_TYPE,
        sessions::EVENT_TIME_MS,
        sessions::EVENT_ID,
        sessions::ORIGIN,
        sessions::DETAIL,
    ];

    /// Returns the attributes that a source declares, without those inside modules, which are no names of
    /// attributes.
    fn declared(source: &str) -> BTreeSet<&str> {
        let constants = source.lines().filter(|line| line.starts_with("pub const "));
        let texts = constants.filter_map(|line| line.split_once(": &str = \""));
        texts.map(|(_, text)| text.split_once('"').unwrap().0).collect()
    }

    #[test]
    fn every_attribute_of_the_schema_is_named_and_no_key() {
        let mut of_rows = declared(METRICS_SOURCE);
        assert!(of_rows.remove(metrics::SESSION_ID) && of_rows.remove(metrics::METRIC_TIMESTAMP));
        assert_eq!(BTreeSet::from(METRIC), of_rows);
        let mut of_summaries = declared(SESSIONS_SOURCE);
        for name in FACTS.into_iter().chain([sessions::SESSION_ID, sessions::TIMESTAMP]) {
            assert!(of_summaries.remove(name), "{name}");
        }
        let named = BTreeSet::from(SUMMARY);
        assert!(of_summaries.is_subset(&named), "{:?}", of_summaries.difference(&named));
        assert_eq!((METRIC.len(), SUMMARY.len()), (of_rows.len(), named.len()), "a name twice");
    }
}
