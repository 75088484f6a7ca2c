//! A row of `StreamingMetrics`: one session, one minute of event time.
//!
//! Sums and counts stand behind every mean, so that rows merge exactly and readers can combine
//! minutes without averaging averages. Means and quantiles are written for the reader's convenience.

// Keys.

/// S, partition key: the IVS `stream_id`, or the application's own session id.
pub const SESSION_ID: &str = "sessionId";
/// N, sort key: start of the minute, epoch seconds (a multiple of 60).
pub const METRIC_TIMESTAMP: &str = "metricTimestamp";
/// S, partition key of `ChannelIdIndex`: last part of the channel ARN.
pub const CHANNEL_ID: &str = "channelId";
/// S: who says that `channelId` is the channel, and so what outweighs it in a merge: `guess`, `player`,
/// `backend` or `ivs`.
pub const CHANNEL_SAID_BY: &str = "channelSaidBy";

// The stream as reported by `metrics_update`.

/// N: viewers at the latest event time of the minute; the larger value wins a tie.
pub const CURRENT_VIEWERS: &str = "currentViewers";
/// N: event time of `currentViewers`, epoch milliseconds.
pub const CURRENT_VIEWERS_AT_MS: &str = "currentViewersAtMs";
/// N: smallest reported number of viewers.
pub const VIEWERS_MIN: &str = "viewersMin";
/// N: largest reported number of viewers.
pub const VIEWERS_MAX: &str = "viewersMax";
/// N: sum of the reported numbers of viewers.
pub const VIEWERS_SUM: &str = "viewersSum";
/// N: how many reports had a number of viewers.
pub const VIEWERS_COUNT: &str = "viewersCount";
/// N: mean ingest bitrate, bits/s.
pub const BITRATE: &str = "bitrate";
/// N: smallest ingest bitrate, bits/s.
pub const BITRATE_MIN: &str = "bitrateMin";
/// N: largest ingest bitrate, bits/s.
pub const BITRATE_MAX: &str = "bitrateMax";
/// N: sum of the ingest bitrates, bits/s.
pub const BITRATE_SUM: &str = "bitrateSum";
/// N: reports behind `bitrateSum`.
pub const BITRATE_COUNT: &str = "bitrateCount";
/// N: mean ingest frame rate, frames/s.
pub const FRAME_RATE: &str = "frameRate";
/// N: smallest ingest frame rate, frames/s.
pub const FRAME_RATE_MIN: &str = "frameRateMin";
/// N: largest ingest frame rate, frames/s.
pub const FRAME_RATE_MAX: &str = "frameRateMax";
/// N: sum of the ingest frame rates, frames/s.
pub const FRAME_RATE_SUM: &str = "frameRateSum";
/// N: reports behind `frameRateSum`.
pub const FRAME_RATE_COUNT: &str = "frameRateCount";
/// N: mean of the reported chat rate, messages/min.
pub const CHAT_MESSAGES_PER_MINUTE: &str = "chatMessagesPerMinute";
/// N: smallest reported chat rate, messages/min.
pub const CHAT_RATE_MIN: &str = "chatRateMin";
/// N: largest reported chat rate, messages/min.
pub const CHAT_RATE_MAX: &str = "chatRateMax";
/// N: sum of the reported chat rates, messages/min.
pub const CHAT_RATE_SUM: &str = "chatRateSum";
/// N: reports behind `chatRateSum`.
pub const CHAT_RATE_COUNT: &str = "chatRateCount";
/// N: mean CPU use of the encoder, percent.
pub const CPU_USAGE: &str = "cpuUsage";
/// N: sum of the reported CPU uses, percent.
pub const CPU_SUM: &str = "cpuSum";
/// N: reports behind `cpuSum`.
pub const CPU_COUNT: &str = "cpuCount";
/// N: mean memory use of the encoder, percent.
pub const MEMORY_USAGE: &str = "memoryUsage";
/// N: sum of the reported memory uses, percent.
pub const MEMORY_SUM: &str = "memorySum";
/// N: reports behind `memorySum`.
pub const MEMORY_COUNT: &str = "memoryCount";
/// N: accepted `metrics_update` events.
pub const GAUGES: &str = "gauges";

// What the players saw.

/// N: distinct players, estimated by the sketch.
pub const ACTIVE_PLAYERS: &str = "activePlayers";
/// N: accepted player records.
pub const PLAYER_RECORDS: &str = "playerRecords";
/// N: mean bitrate played, bits/s.
pub const PLAYER_BITRATE: &str = "playerBitrate";
/// N: smallest bitrate played, bits/s.
pub const PLAYER_BITRATE_MIN: &str = "playerBitrateMin";
/// N: largest bitrate played, bits/s.
pub const PLAYER_BITRATE_MAX: &str = "playerBitrateMax";
/// N: sum of the bitrates played, bits/s.
pub const PLAYER_BITRATE_SUM: &str = "playerBitrateSum";
/// N: records behind `playerBitrateSum`.
pub const PLAYER_BITRATE_COUNT: &str = "playerBitrateCount";
/// N: mean frame rate played, frames/s.
pub const PLAYER_FRAME_RATE: &str = "playerFrameRate";
/// N: sum of the frame rates played, frames/s.
pub const PLAYER_FRAME_RATE_SUM: &str = "playerFrameRateSum";
/// N: records behind `playerFrameRateSum`.
pub const PLAYER_FRAME_RATE_COUNT: &str = "playerFrameRateCount";
/// N: time spent playing, milliseconds over all players.
pub const PLAYING_MS: &str = "playingMs";
/// N: records behind `playingMs`.
pub const PLAYING_COUNT: &str = "playingCount";
/// N: time spent rebuffering, milliseconds over all players.
pub const BUFFERING_MS: &str = "bufferingMs";
/// N: records behind `bufferingMs`.
pub const BUFFERING_COUNT: &str = "bufferingCount";
/// N: the part of `bufferingMs` from records that tell `playingMs` too, the only ones that enter
/// `rebufferRatio`.
pub const WATCH_BUFFERING_MS: &str = "watchBufferingMs";
/// N: how often playback stalled.
pub const REBUFFER_COUNT: &str = "rebufferCount";
/// N: records behind `rebufferCount`.
pub const REBUFFER_RECORDS: &str = "rebufferRecords";
/// N: `watchBufferingMs` / (`playingMs` + `watchBufferingMs`), 0 to 1; absent without watch time.
pub const REBUFFER_RATIO: &str = "rebufferRatio";
/// N: smallest share of watch time that one record tells as stalled, percent, rounded down to a
/// millionth.
pub const REBUFFER_PERCENT_MIN: &str = "rebufferPercentMin";
/// N: largest share of watch time that one record tells as stalled, percent, rounded up to a
/// millionth.
pub const REBUFFER_PERCENT_MAX: &str = "rebufferPercentMax";
/// N: frames dropped, over all players.
pub const DROPPED_FRAMES: &str = "droppedFrames";
/// N: fewest frames dropped, of one player record.
pub const DROPPED_FRAMES_MIN: &str = "droppedFramesMin";
/// N: most frames dropped, of one player record.
pub const DROPPED_FRAMES_MAX: &str = "droppedFramesMax";
/// N: records behind `droppedFrames`.
pub const DROPPED_FRAMES_COUNT: &str = "droppedFramesCount";
/// N: player errors.
pub const PLAYER_ERRORS: &str = "playerErrors";
/// N: fewest errors of one player record.
pub const PLAYER_ERRORS_MIN: &str = "playerErrorsMin";
/// N: most errors of one player record.
pub const PLAYER_ERRORS_MAX: &str = "playerErrorsMax";
/// N: sum of the live latencies, each rounded to whole milliseconds.
pub const LATENCY_SUM_MS: &str = "latencySumMs";
/// N: smallest live latency, milliseconds.
pub const LATENCY_MIN_MS: &str = "latencyMinMs";
/// N: largest live latency, milliseconds.
pub const LATENCY_MAX_MS: &str = "latencyMaxMs";
/// N: median live latency, milliseconds, from the sketch.
pub const LATENCY_P50_MS: &str = "latencyP50Ms";
/// N: 95th percentile of live latency, milliseconds, from the sketch.
pub const LATENCY_P95_MS: &str = "latencyP95Ms";
/// N: 99th percentile of live latency, milliseconds, from the sketch.
pub const LATENCY_P99_MS: &str = "latencyP99Ms";
/// N: sum of the start-up times, each rounded to whole milliseconds.
pub const STARTUP_SUM_MS: &str = "startupSumMs";
/// N: median start-up time, milliseconds, from the sketch.
pub const STARTUP_P50_MS: &str = "startupP50Ms";
/// N: 95th percentile of start-up time, milliseconds, from the sketch.
pub const STARTUP_P95_MS: &str = "startupP95Ms";

// Views, as their players told them: absent where no record told of views.

/// N: records that told of a view.
pub const VIEW_EVENTS: &str = "viewEvents";
/// N: play requests; absent where none was told.
pub const VIEW_ATTEMPTS: &str = "viewAttempts";
/// N: first frames shown.
pub const VIEW_STARTS: &str = "viewStarts";
/// N: views that could not start because something broke.
pub const START_FAILURES_TECHNICAL: &str = "startFailuresTechnical";
/// N: views that could not start, and should not.
pub const START_FAILURES_BUSINESS: &str = "startFailuresBusiness";
/// N: viewers that left before the first frame. Of a minute those that were told; of a session the
/// play requests that neither started nor failed.
pub const EXITS_BEFORE_START: &str = "exitsBeforeStart";
/// N: views that broke off after their start.
pub const PLAYBACK_FAILURES: &str = "playbackFailures";
/// N: views that ended otherwise.
pub const VIEWS_ENDED: &str = "viewsEnded";
/// N: `playingMs` + `watchBufferingMs`: time with the picture on, over all views.
pub const VIEW_TIME_MS: &str = "viewTimeMs";
/// N: distinct views that played in the minute, estimated by the sketch; absent where no record named
/// one.
pub const CONCURRENT_VIEWS: &str = "concurrentViews";
/// B: Apache DataSketches HLL of 4,096 registers behind `concurrentViews`. Not in `sketches`, so that
/// releases that do not know it keep it.
pub const VIEW_SKETCH: &str = "viewSketch";
/// M of M of L of N: figures by dimension and value, see [`mod@slice`].
pub const BREAKDOWNS: &str = "breakdowns";
/// M of N: the score of the experience and its parts, see [`experience`].
pub const EXPERIENCE: &str = "experience";

/// N: messages counted from the chat log.
pub const CHAT_MESSAGES: &str = "chatMessages";
/// M of B: Apache DataSketches binaries, each by itself so that other engines can union them, see
/// [`sketch`].
pub const SKETCHES: &str = "sketches";

// Bookkeeping.

/// N: accepted records of the minute: `metrics_update`, player and chat records.
pub const RECORDS: &str = "records";
/// B: for each shard the position up to which its records are in this row; `rows --explain` shows
/// it. Layout 1: M of S.
pub const APPLIED: &str = "applied";
/// N: raised by one with every write; the condition of the next.
pub const VERSION: &str = "version";
/// N: layout of the item, see [`super::SCHEMA_VERSION`].
pub const SCHEMA_VERSION: &str = "schemaVersion";
/// N, TTL: epoch seconds after which DynamoDB may delete the row; absent = keep.
pub const EXPIRES_AT: &str = "expiresAt";

/// Places in the list of a slice of [`BREAKDOWNS`], and the names of its figures elsewhere.
pub mod slice {
    /// The figures in the order of the list.
    pub const FIGURES: [&str; 7] =
        ["records", "attempts", "starts", "failures", "playingMs", "stalledMs", "stalls"];
}

/// Keys of [`EXPERIENCE`].
pub mod experience {
    /// 0 to 100.
    pub const SCORE: &str = "score";
    /// 0 to 1, from the mean time to the first frame.
    pub const STARTUP: &str = "startup";
    /// 0 to 1, from the share of watch time that was stalled.
    pub const STALLS: &str = "stalls";
    /// 0 to 1, from the share of views that failed.
    pub const FAILURES: &str = "failures";
    /// 0 to 1, from the mean bitrate.
    pub const BITRATE: &str = "bitrate";
}

/// Keys of [`SKETCHES`].
pub mod sketch {
    /// HLL of the players' ids.
    pub const PLAYERS: &str = "players";
    /// t-digest of the live latencies, milliseconds.
    pub const LATENCY: &str = "latency";
    /// t-digest of the start-up times, milliseconds.
    pub const STARTUP: &str = "startup";
}
