//! The metrics, by namespace.

use super::{
    DimensionSet, FLEET, IVS_CHANNEL, Metric, Namespace, PER_CHANNEL, PER_SHARD, Statistic, Unit,
};

mod views;

pub use views::{
    EXITS_BEFORE_START, EXPERIENCE_SCORE, STALLED_TIME, VIEW_ATTEMPTS, VIEW_FAILURES, VIEW_STARTS,
    VIEW_TIME, VIEWS_PLAYING,
};

const fn metric(
    (namespace, dimensions): (Namespace, &'static [DimensionSet]),
    name: &'static str,
    unit: Unit,
    statistic: Statistic,
    description: &'static str,
) -> Metric {
    Metric { namespace, name, unit, dimensions, statistic, description }
}

const SESSIONS: (Namespace, &[DimensionSet]) = (Namespace::Sessions, PER_CHANNEL);
const STREAMS: (Namespace, &[DimensionSet]) = (Namespace::Metrics, PER_CHANNEL);
const SHARDS: (Namespace, &[DimensionSet]) = (Namespace::Processor, PER_SHARD);
const WORKERS: (Namespace, &[DimensionSet]) = (Namespace::Processor, FLEET);
const IVS_FLEET: (Namespace, &[DimensionSet]) = (Namespace::Ivs, &[&[IVS_CHANNEL], &[]]);
const IVS_ONE: (Namespace, &[DimensionSet]) = (Namespace::Ivs, &[&[IVS_CHANNEL]]);

/// Streams that became watchable; once per stream.
pub const STREAMS_STARTED: Metric = metric(
    SESSIONS,
    "StreamsStarted",
    Unit::Count,
    Statistic::Sum,
    "Streams that became watchable; once per stream.",
);

/// Streams that came to an end; once per stream.
pub const STREAMS_ENDED: Metric = metric(
    SESSIONS,
    "StreamsEnded",
    Unit::Count,
    Statistic::Sum,
    "Streams that came to an end; once per stream.",
);

/// Streams that IVS gave up or that never became watchable; once per stream.
pub const STREAMS_FAILED: Metric = metric(
    SESSIONS,
    "StreamsFailed",
    Unit::Count,
    Statistic::Sum,
    "Streams that IVS gave up or that never became watchable; once per stream.",
);

/// Length of a stream, at its end.
pub const STREAM_DURATION: Metric = metric(
    SESSIONS,
    "StreamDuration",
    Unit::Seconds,
    Statistic::Average,
    "Length of a stream, at its end.",
);

/// Largest number of viewers of a stream, at its end.
pub const PEAK_VIEWERS: Metric = metric(
    SESSIONS,
    "PeakViewers",
    Unit::Count,
    Statistic::Maximum,
    "Largest number of viewers of a stream, at its end.",
);

/// Limits exceeded; breaches of the account count in the fleet series only.
pub const LIMIT_BREACHES: Metric = metric(
    SESSIONS,
    "LimitBreaches",
    Unit::Count,
    Statistic::Sum,
    "Limits exceeded; breaches of the account count in the fleet series only.",
);

/// Publish errors of stages, and failures of compositions, their destinations and recordings.
pub const REAL_TIME_FAILURES: Metric = metric(
    (Namespace::Sessions, FLEET),
    "RealTimeFailures",
    Unit::Count,
    Statistic::Sum,
    "Publish errors of stages, and failures of compositions, their destinations and recordings.",
);

/// Viewers of a stream as reported.
pub const CURRENT_VIEWERS: Metric = metric(
    STREAMS,
    "CurrentViewers",
    Unit::Count,
    Statistic::Average,
    "Viewers of a stream as reported.",
);

/// Ingest bitrate of a stream as reported.
pub const STREAM_BITRATE: Metric = metric(
    STREAMS,
    "StreamBitrate",
    Unit::BitsPerSecond,
    Statistic::Average,
    "Ingest bitrate of a stream as reported.",
);

/// Ingest frame rate of a stream as reported.
pub const FRAME_RATE: Metric = metric(
    STREAMS,
    "FrameRate",
    Unit::CountPerSecond,
    Statistic::Average,
    "Ingest frame rate of a stream as reported.",
);

/// Chat messages a minute of a stream, as reported or else counted from the log; a rate, so never to be summed.
///
/// Maximum, because parts of a minute's log arrive apart, and the largest is the latest.
pub const CHAT_ACTIVITY: Metric = metric(
    STREAMS,
    "ChatActivity",
    Unit::Count,
    Statistic::Maximum,
    "Chat messages a minute of a stream, as reported or else counted from the log; a rate, so never to be summed.",
);

/// Distinct players in the minute; parts of a minute arrive apart, the largest is the latest.
pub const ACTIVE_PLAYERS: Metric = metric(
    STREAMS,
    "ActivePlayers",
    Unit::Count,
    Statistic::Maximum,
    "Distinct players in the minute; parts of a minute arrive apart, the largest is the latest.",
);

/// Share of watch time spent rebuffering; one sample per record of a player, weighted by its seconds.
pub const REBUFFER_RATIO: Metric = metric(
    STREAMS,
    "RebufferRatio",
    Unit::Percent,
    Statistic::Average,
    "Share of watch time spent rebuffering; one sample per record of a player, weighted by its seconds.",
);

/// Time from the play request to the first frame.
pub const STARTUP_TIME: Metric = metric(
    STREAMS,
    "StartupTime",
    Unit::Milliseconds,
    Statistic::P95,
    "Time from the play request to the first frame.",
);

/// Delay between camera and player.
pub const LIVE_LATENCY: Metric = metric(
    STREAMS,
    "LiveLatency",
    Unit::Milliseconds,
    Statistic::P95,
    "Delay between camera and player.",
);

/// Errors that players reported; one sample per record of a player.
pub const PLAYER_ERRORS: Metric = metric(
    STREAMS,
    "PlayerErrors",
    Unit::Count,
    Statistic::Sum,
    "Errors that players reported; one sample per record of a player.",
);

/// Frames that players dropped; one sample per record of a player.
pub const DROPPED_FRAMES: Metric = metric(
    STREAMS,
    "DroppedFrames",
    Unit::Count,
    Statistic::Sum,
    "Frames that players dropped; one sample per record of a player.",
);

/// Loss of viewers from one closed five-minute window to the next; only of live streams with an audience.
pub const VIEWER_DROP_PERCENT: Metric = metric(
    STREAMS,
    "ViewerDropPercent",
    Unit::Percent,
    Statistic::Maximum,
    "Loss of viewers from one closed five-minute window to the next; only of live streams with an audience.",
);

/// Time during which a stream's ingest starved; counted when the interval closes.
pub const STARVATION_SECONDS: Metric = metric(
    STREAMS,
    "StarvationSeconds",
    Unit::Seconds,
    Statistic::Sum,
    "Time during which a stream's ingest starved; counted when the interval closes.",
);

/// User records read: accepted, duplicate and rejected together.
pub const RECORDS_READ: Metric = metric(
    SHARDS,
    "RecordsRead",
    Unit::Count,
    Statistic::Sum,
    "User records read: accepted, duplicate and rejected together.",
);

/// Records folded into rows.
pub const RECORDS_ACCEPTED: Metric =
    metric(SHARDS, "RecordsAccepted", Unit::Count, Statistic::Sum, "Records folded into rows.");

/// Records dropped as duplicates.
pub const RECORDS_DUPLICATE: Metric = metric(
    SHARDS,
    "RecordsDuplicate",
    Unit::Count,
    Statistic::Sum,
    "Records dropped as duplicates.",
);

/// Records set aside with a reason.
pub const RECORDS_REJECTED: Metric = metric(
    SHARDS,
    "RecordsRejected",
    Unit::Count,
    Statistic::Sum,
    "Records set aside with a reason.",
);

/// Share of an epoch's records that were rejected; one sample per epoch.
pub const REJECTED_PERCENT: Metric = metric(
    SHARDS,
    "RejectedPercent",
    Unit::Percent,
    Statistic::Maximum,
    "Share of an epoch's records that were rejected; one sample per epoch.",
);

/// Accepted records too old for CloudWatch; their rows are right, their metrics are not sent.
pub const LATE_RECORDS: Metric = metric(
    SHARDS,
    "LateRecords",
    Unit::Count,
    Statistic::Sum,
    "Accepted records too old for CloudWatch; their rows are right, their metrics are not sent.",
);

/// IVS events of a type this version does not know.
pub const UNKNOWN_EVENTS: Metric = metric(
    SHARDS,
    "UnknownEvents",
    Unit::Count,
    Statistic::Sum,
    "IVS events of a type this version does not know.",
);

/// Ranges of the stream that expired before they were read.
pub const RETENTION_GAPS: Metric = metric(
    SHARDS,
    "RetentionGaps",
    Unit::Count,
    Statistic::Sum,
    "Ranges of the stream that expired before they were read.",
);

/// Rows put into the two tables.
pub const ROWS_WRITTEN: Metric =
    metric(SHARDS, "RowsWritten", Unit::Count, Statistic::Sum, "Rows put into the two tables.");

/// Row puts refused because another worker had written first; each is retried.
pub const ROW_CONFLICTS: Metric = metric(
    SHARDS,
    "RowConflicts",
    Unit::Count,
    Statistic::Sum,
    "Row puts refused because another worker had written first; each is retried.",
);

/// Time from an epoch's prepare to its commit.
pub const EPOCH_DURATION: Metric = metric(
    SHARDS,
    "EpochDuration",
    Unit::Milliseconds,
    Statistic::Maximum,
    "Time from an epoch's prepare to its commit.",
);

/// Age of a shard's oldest record that is not committed, whether or not a worker reads it.
pub const LAG: Metric = metric(
    SHARDS,
    "Lag",
    Unit::Milliseconds,
    Statistic::Maximum,
    "Age of a shard's oldest record that is not committed, whether or not a worker reads it.",
);

/// Tasks of a shard that failed; each is tried again from the last checkpoint.
pub const FAILED_TASKS: Metric = metric(
    WORKERS,
    "FailedTasks",
    Unit::Count,
    Statistic::Sum,
    "Tasks of a shard that failed; each is tried again from the last checkpoint.",
);

/// Shards owned by a worker; one sample per worker and minute, which makes it the heartbeat too.
pub const LEASES_HELD: Metric = metric(
    WORKERS,
    "LeasesHeld",
    Unit::Count,
    Statistic::Sum,
    "Shards owned by a worker; one sample per worker and minute, which makes it the heartbeat too.",
);

/// Leases that another worker took over.
pub const LEASES_LOST: Metric = metric(
    WORKERS,
    "LeasesLost",
    Unit::Count,
    Statistic::Sum,
    "Leases that another worker took over.",
);

/// Calls to AWS that were repeated.
pub const RETRIES: Metric =
    metric(WORKERS, "Retries", Unit::Count, Statistic::Sum, "Calls to AWS that were repeated.");

/// PutMetricData calls.
pub const METRIC_BATCHES: Metric =
    metric(WORKERS, "MetricBatches", Unit::Count, Statistic::Sum, "PutMetricData calls.");

/// Metric samples that CloudWatch refused or that were invalid before sending.
pub const DATUMS_REFUSED: Metric = metric(
    WORKERS,
    "DatumsRefused",
    Unit::Count,
    Statistic::Sum,
    "Metric samples that CloudWatch refused or that were invalid before sending.",
);

/// How long metrics or domain events have waited for their service in a worker's outbox.
pub const OUTBOX_AGE: Metric = metric(
    WORKERS,
    "OutboxAge",
    Unit::Milliseconds,
    Statistic::Maximum,
    "How long metrics or domain events have waited for their service in a worker's outbox.",
);

/// Epochs whose metrics and domain events may have been sent twice because a worker died between sending and commit.
pub const REPEATED_EMISSIONS: Metric = metric(
    WORKERS,
    "RepeatedEmissions",
    Unit::Count,
    Statistic::Sum,
    "Epochs whose metrics and domain events may have been sent twice because a worker died between sending and commit.",
);

/// Rounds of asking IVS for events that never came that ended early; sent where it is asked (`reconcile.enabled`).
pub const RECONCILE_FAILURES: Metric = metric(
    WORKERS,
    "ReconcileFailures",
    Unit::Count,
    Statistic::Sum,
    "Rounds of asking IVS for events that never came that ended early; sent where it is asked (`reconcile.enabled`).",
);

/// Views of a channel as IVS counts them: playing sessions, not people.
pub const CONCURRENT_VIEWS: Metric = metric(
    IVS_FLEET,
    "ConcurrentViews",
    Unit::Count,
    Statistic::Average,
    "Views of a channel as IVS counts them: playing sessions, not people.",
);

/// Video bitrate that IVS receives.
pub const INGEST_VIDEO_BITRATE: Metric = metric(
    IVS_ONE,
    "IngestVideoBitrate",
    Unit::BitsPerSecond,
    Statistic::Average,
    "Video bitrate that IVS receives.",
);

/// Frame rate that IVS receives.
pub const INGEST_FRAMERATE: Metric = metric(
    IVS_FLEET,
    "IngestFramerate",
    Unit::CountPerSecond,
    Statistic::Average,
    "Frame rate that IVS receives.",
);

/// Distance of key frames that IVS receives; there is no fleet series.
pub const KEYFRAME_INTERVAL: Metric = metric(
    IVS_ONE,
    "KeyframeInterval",
    Unit::Seconds,
    Statistic::Average,
    "Distance of key frames that IVS receives; there is no fleet series.",
);

/// Every metric this processor emits.
pub const METRICS: &[Metric] = &[
    STREAMS_STARTED,
    STREAMS_ENDED,
    STREAMS_FAILED,
    STREAM_DURATION,
    PEAK_VIEWERS,
    LIMIT_BREACHES,
    REAL_TIME_FAILURES,
    CURRENT_VIEWERS,
    STREAM_BITRATE,
    FRAME_RATE,
    CHAT_ACTIVITY,
    ACTIVE_PLAYERS,
    REBUFFER_RATIO,
    STARTUP_TIME,
    LIVE_LATENCY,
    PLAYER_ERRORS,
    DROPPED_FRAMES,
    VIEWER_DROP_PERCENT,
    STARVATION_SECONDS,
    VIEW_ATTEMPTS,
    VIEW_STARTS,
    VIEW_FAILURES,
    EXITS_BEFORE_START,
    VIEWS_PLAYING,
    EXPERIENCE_SCORE,
    RECORDS_READ,
    RECORDS_ACCEPTED,
    RECORDS_DUPLICATE,
    RECORDS_REJECTED,
    REJECTED_PERCENT,
    LATE_RECORDS,
    UNKNOWN_EVENTS,
    RETENTION_GAPS,
    ROWS_WRITTEN,
    ROW_CONFLICTS,
    EPOCH_DURATION,
    LAG,
    FAILED_TASKS,
    LEASES_HELD,
    LEASES_LOST,
    RETRIES,
    METRIC_BATCHES,
    DATUMS_REFUSED,
    OUTBOX_AGE,
    REPEATED_EMISSIONS,
    RECONCILE_FAILURES,
];

/// Metrics that are sent by the value of a dimension too, where the configuration asks for it
/// (`cloudwatch.dimensions`); by default none is.
pub const BY_DIMENSION: &[Metric] = &[VIEW_STARTS, VIEW_FAILURES, VIEW_TIME, STALLED_TIME];

/// Metrics of IVS itself, which the dashboard shows and an alarm watches.
pub const EXTERNAL: &[Metric] =
    &[CONCURRENT_VIEWS, INGEST_VIDEO_BITRATE, INGEST_FRAMERATE, KEYFRAME_INTERVAL];
