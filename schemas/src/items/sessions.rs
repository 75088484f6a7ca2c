//! Items of `StreamingSessions`: the timeline of a session, and its summary.
//!
//! One Query by `sessionId` gives the summary (sort key [`SUMMARY_TIMESTAMP`]) and then the timeline
//! in the order of events.

// Keys, and attributes of both kinds of item.

/// S, partition key: the IVS `stream_id`, or the application's own session id.
pub const SESSION_ID: &str = "sessionId";
/// N, sort key: epoch seconds + rank/1000 of a fact; 0 for the summary.
pub const TIMESTAMP: &str = "timestamp";
/// S, partition key of `ChannelIdIndex`: last part of the channel ARN.
pub const CHANNEL_ID: &str = "channelId";
/// S: who says that `channelId` is the channel, and so what outweighs it in a merge: `guess`, `player`,
/// `backend` or `ivs`.
pub const CHANNEL_SAID_BY: &str = "channelSaidBy";
/// N: layout of the item, see [`super::SCHEMA_VERSION`].
pub const SCHEMA_VERSION: &str = "schemaVersion";
/// N, TTL: epoch seconds after which DynamoDB may delete the item; absent = keep.
pub const EXPIRES_AT: &str = "expiresAt";

// Timeline items: immutable, written once.

/// S: what happened, one of [`event_type`].
pub const EVENT_TYPE: &str = "eventType";
/// N: event time, epoch milliseconds.
pub const EVENT_TIME_MS: &str = "eventTimeMs";
/// S: id of the event, where it has one.
pub const EVENT_ID: &str = "eventId";
/// S: shard and epoch that wrote the item; tells a retried write from a duplicate event.
pub const ORIGIN: &str = "origin";
/// M: the event's own fields, as they came.
pub const DETAIL: &str = "detail";

// Summary item: merged like a metrics row.

/// S: pending, live, ended or failed, see [`status`].
pub const STATUS: &str = "status";
/// N: start, epoch seconds; the earliest one known.
pub const STARTED_AT: &str = "startedAt";
/// N: end, epoch seconds; the latest one known.
pub const ENDED_AT: &str = "endedAt";
/// N: of a live session only: from this time on, epoch seconds, it is stale unless the item has
/// changed. Ten minutes after its last minute with telemetry; without any, 48 hours after its start.
pub const STALE_AFTER: &str = "staleAfter";
/// N: seconds from start to end; absent while one of them is unknown.
pub const DURATION: &str = "duration";
/// N: largest number of viewers reported in the session.
pub const PEAK_VIEWERS: &str = "peakViewers";
/// N: chat messages of the session.
pub const TOTAL_CHAT_MESSAGES: &str = "totalChatMessages";
/// N: mean ingest bitrate, bits/s.
pub const AVG_BITRATE: &str = "avgBitrate";
/// S: the broadcaster, from `stream_start`.
pub const STREAMER_USER_ID: &str = "streamerUserId";
/// S: title, from `stream_start`.
pub const STREAM_TITLE: &str = "streamTitle";
/// S: nominal quality such as `720p`, from `stream_start`.
pub const STREAM_QUALITY: &str = "streamQuality";
/// S: why the stream failed, as IVS words it.
pub const FAILURE_REASON: &str = "failureReason";
/// S: IVS code of the failure or forced end.
pub const FAILURE_CODE: &str = "failureCode";
/// N: how often the ingest starved.
pub const STARVATION_COUNT: &str = "starvationCount";
/// N: total time of starvation; an interval open at the end closes at the end.
pub const STARVATION_SECONDS: &str = "starvationSeconds";
/// N: limit breaches of the stream.
pub const LIMIT_BREACHES: &str = "limitBreaches";
/// N: how often a stand-by encoder took the stream over.
pub const TAKEOVERS: &str = "takeovers";
/// N: ad breaks inserted.
pub const AD_BREAKS: &str = "adBreaks";
/// L of M: recordings, each with status, bucket, prefix and duration.
pub const RECORDINGS: &str = "recordings";
/// N: minutes watched by all viewers together: the mean of all reported numbers of viewers, times
/// the minutes from start to end (or to the last minute with telemetry).
pub const VIEWER_MINUTES: &str = "viewerMinutes";
/// N: distinct players of the session, estimated by the sketch.
pub const UNIQUE_PLAYERS: &str = "uniquePlayers";
/// N: time spent playing, milliseconds over all players.
pub const PLAYING_MS: &str = "playingMs";
/// N: time spent rebuffering, milliseconds over all players.
pub const BUFFERING_MS: &str = "bufferingMs";
/// N: how often playback stalled.
pub const REBUFFER_COUNT: &str = "rebufferCount";
/// N: `bufferingMs` / (`playingMs` + `bufferingMs`), 0 to 1; absent without watch time.
pub const REBUFFER_RATIO: &str = "rebufferRatio";
/// N: frames dropped, over all players.
pub const DROPPED_FRAMES: &str = "droppedFrames";
/// N: player errors.
pub const PLAYER_ERRORS: &str = "playerErrors";
/// N: sum of the reported ingest bitrates, bits/s.
pub const BITRATE_SUM: &str = "bitrateSum";
/// N: reports behind `bitrateSum`.
pub const BITRATE_COUNT: &str = "bitrateCount";
/// M: the lifecycle facts from which status, times and counts are derived.
pub const FACTS: &str = "facts";
/// M: the sums and counts from which viewers, chat and quality of experience are derived.
pub const TELEMETRY: &str = "telemetry";
/// M: the sums from which the figures of views are derived. Those have the names that they have in a
/// metrics row, and so has the score.
pub const VIEWS: &str = "views";
/// M: what the encoder sends, as IVS said latest, by the names in [`ingest`]. Only where a worker asks IVS
/// (`reconcile.enabled`).
pub const INGEST_CONFIGURATION: &str = "ingestConfiguration";
/// L: the time and the settings from which `ingestConfiguration` is derived.
pub const INGEST: &str = "ingest";
/// M of B: key [`super::metrics::sketch::PLAYERS`] is the Apache DataSketches HLL behind
/// `uniquePlayers`.
pub const SKETCHES: &str = "sketches";
/// N: accepted records, of every kind.
pub const RECORDS: &str = "records";
/// B: for each shard the position up to which its records are in this item, as in the metric rows.
pub const APPLIED: &str = "applied";
/// N: raised by one with every write; the condition of the next.
pub const VERSION: &str = "version";

/// Sort key of the summary item: before every timeline item.
pub const SUMMARY_TIMESTAMP: i64 = 0;

/// Keys of [`INGEST_CONFIGURATION`]; what is unknown is absent.
pub mod ingest {
    /// S: codec of the pictures, such as `avc1.4D401F`.
    pub const VIDEO_CODEC: &str = "videoCodec";
    /// S: profile of that codec.
    pub const VIDEO_PROFILE: &str = "videoProfile";
    /// S: level of that codec.
    pub const VIDEO_LEVEL: &str = "videoLevel";
    /// N: pixels.
    pub const WIDTH: &str = "width";
    /// N: pixels.
    pub const HEIGHT: &str = "height";
    /// N: frames a second that the encoder aims at.
    pub const FRAME_RATE: &str = "frameRate";
    /// N: bits/s that the encoder aims at.
    pub const VIDEO_BITRATE: &str = "videoBitrate";
    /// S: codec of the sound, such as `mp4a.40.2`.
    pub const AUDIO_CODEC: &str = "audioCodec";
    /// N: channels of the sound.
    pub const AUDIO_CHANNELS: &str = "audioChannels";
    /// N: samples a second.
    pub const SAMPLE_RATE: &str = "sampleRate";
    /// N: bits/s that the encoder aims at.
    pub const AUDIO_BITRATE: &str = "audioBitrate";
    /// S: the encoder, as it calls itself.
    pub const ENCODER: &str = "encoder";
}

/// Values of [`STATUS`].
pub mod status {
    /// A session exists, but nothing has been watchable yet.
    pub const PENDING: &str = "pending";
    /// The stream can be watched.
    pub const LIVE: &str = "live";
    /// The stream is over.
    pub const ENDED: &str = "ended";
    /// The stream never became watchable, or IVS gave it up.
    pub const FAILED: &str = "failed";
}

/// Values of [`EVENT_TYPE`].
pub mod event_type {
    /// IVS accepted the stream key.
    pub const SESSION_CREATED: &str = "session_created";
    /// The stream became watchable.
    pub const STREAM_START: &str = "stream_start";
    /// Nothing more to watch.
    pub const STREAM_END: &str = "stream_end";
    /// The encoder is gone.
    pub const SESSION_ENDED: &str = "session_ended";
    /// IVS could not process the stream.
    pub const STREAM_FAILURE: &str = "stream_failure";
    /// An encoder of higher priority took over.
    pub const STREAM_TAKEOVER: &str = "stream_takeover";
    /// A takeover was refused.
    pub const STREAM_TAKEOVER_FAILURE: &str = "stream_takeover_failure";
    /// The ingest began to starve.
    pub const STARVATION_START: &str = "starvation_start";
    /// The ingest recovered.
    pub const STARVATION_END: &str = "starvation_end";
    /// The stream exceeded a limit.
    pub const LIMIT_BREACH: &str = "limit_breach";
    /// A recording began.
    pub const RECORDING_START: &str = "recording_start";
    /// A recording is complete.
    pub const RECORDING_END: &str = "recording_end";
    /// A recording could not begin.
    pub const RECORDING_START_FAILURE: &str = "recording_start_failure";
    /// A recording could not be completed.
    pub const RECORDING_END_FAILURE: &str = "recording_end_failure";
    /// An ad break was inserted.
    pub const AD_BREAK_INSERTED: &str = "ad_break_inserted";
    /// Something happened on a real-time stage.
    pub const STAGE_UPDATE: &str = "stage_update";
    /// A participant of a stage could not publish.
    pub const PARTICIPANT_PUBLISH_ERROR: &str = "participant_publish_error";
    /// The recording of a participant began or is complete.
    pub const PARTICIPANT_RECORDING: &str = "participant_recording";
    /// The recording of a participant failed.
    pub const PARTICIPANT_RECORDING_FAILURE: &str = "participant_recording_failure";
    /// A composition of a stage or one of its destinations changed.
    pub const COMPOSITION_UPDATE: &str = "composition_update";
    /// A composition failed.
    pub const COMPOSITION_FAILURE: &str = "composition_failure";
    /// A destination of a composition failed.
    pub const COMPOSITION_DESTINATION_FAILURE: &str = "composition_destination_failure";
    /// An event of a type this version does not know.
    pub const UNKNOWN: &str = "unknown";

    // Milestones are not events: markers with fixed keys (0.001 to 0.003, between the summary and the
    // timeline) that say what has been told to CloudWatch and the bus, so that it is told once.

    /// The start of the session was told.
    pub const MILESTONE_STARTED: &str = "milestone_started";
    /// The end of the session was told.
    pub const MILESTONE_ENDED: &str = "milestone_ended";
    /// The failure of the session was told.
    pub const MILESTONE_FAILED: &str = "milestone_failed";
}
