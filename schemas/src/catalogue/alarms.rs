//! The alarms. The first three are the tutorial's, the fourth watches what all viewers see, the others
//! watch the processor.

use super::{Alarm, Comparison, IVS_CHANNEL, MissingData, Statistic, Switch, metrics};

/// The audience of some channel halved within five minutes.
///
/// The processor compares closed windows of a live stream above an audience floor, so the end of a
/// stream and a drop from two viewers to one do not alarm; CloudWatch has no such condition itself.
pub const VIEWER_DROP: Alarm = Alarm {
    name: "LiveStreaming-ViewerDrop",
    description: "A live channel lost at least half of its viewers within five minutes.",
    metric: metrics::VIEWER_DROP_PERCENT,
    group_by: None,
    statistic: Statistic::Maximum,
    comparison: Comparison::GreaterThanOrEqualToThreshold,
    threshold: 50.0,
    period_s: 300,
    evaluation_periods: 1,
    datapoints_to_alarm: 1,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// IVS received fewer than 20 frames a second from some channel, on average over two minutes.
///
/// Each channel by itself, because an average over the fleet hides the one bad channel; no data
/// means that the channel is not live.
pub const INGEST_FRAME_RATE: Alarm = Alarm {
    name: "LiveStreaming-IngestFrameRate",
    description: "IVS receives fewer than 20 frames a second from a channel, on average over two minutes.",
    metric: metrics::INGEST_FRAMERATE,
    group_by: Some(IVS_CHANNEL),
    statistic: Statistic::Average,
    comparison: Comparison::LessThanThreshold,
    threshold: 20.0,
    period_s: 120,
    evaluation_periods: 1,
    datapoints_to_alarm: 1,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Some channel's chat ran above 100 messages a minute for ten minutes: spam.
///
/// `ChatActivity` is a rate already, so minutes are compared one by one and never summed. Eight of
/// ten, because the last minute is often still on its way.
pub const CHAT_ACTIVITY: Alarm = Alarm {
    name: "LiveStreaming-ChatActivity",
    description: "The chat of a channel exceeds 100 messages a minute for ten minutes (spam?).",
    metric: metrics::CHAT_ACTIVITY,
    group_by: None,
    statistic: Statistic::Maximum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 100.0,
    period_s: 60,
    evaluation_periods: 10,
    datapoints_to_alarm: 8,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Viewers wait more than 5 % of the time: delivery, a player release or an origin is at fault.
///
/// All channels together, each viewer by the seconds watched, so that one small channel does not ring;
/// a single stream is judged by the rule `rebuffering`. Two of three periods, because one stall of an
/// encoder passes.
pub const REBUFFERING: Alarm = Alarm {
    name: "LiveStreaming-Rebuffering",
    description: "Viewers of all channels spend over 5 % of their watch time rebuffering, in ten of fifteen minutes.",
    metric: metrics::REBUFFER_RATIO,
    group_by: None,
    statistic: Statistic::Average,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 5.0,
    period_s: 300,
    evaluation_periods: 3,
    datapoints_to_alarm: 2,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Some shard's oldest uncommitted record is more than five minutes old: dashboards and alarms show
/// the past.
pub const PROCESSOR_LAG: Alarm = Alarm {
    name: "LiveStreaming-ProcessorLag",
    description: "A shard's oldest uncommitted record has been over five minutes old for five minutes.",
    metric: metrics::LAG,
    group_by: None,
    statistic: Statistic::Maximum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 300_000.0,
    period_s: 60,
    evaluation_periods: 5,
    datapoints_to_alarm: 5,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Metrics or domain events have waited for more than five minutes: CloudWatch or the bus is away.
///
/// Ten minutes of it, because a short outage mends itself. While CloudWatch is away it cannot say so:
/// then the worker's own `/metrics` does, and this alarm when it is back.
pub const PROCESSOR_OUTBOX_AGE: Alarm = Alarm {
    name: "LiveStreaming-ProcessorOutboxAge",
    description: "Metrics or domain events have waited more than five minutes for their service, for ten minutes.",
    metric: metrics::OUTBOX_AGE,
    group_by: None,
    statistic: Statistic::Maximum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 300_000.0,
    period_s: 60,
    evaluation_periods: 10,
    datapoints_to_alarm: 10,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// More than 5 % of some shard's records are unusable: a producer has changed or is broken.
///
/// A share and not a count, because a few torn lines are normal and grow with the traffic.
pub const REJECTED_RECORDS: Alarm = Alarm {
    name: "LiveStreaming-RejectedRecords",
    description: "More than 5 % of a shard's records are rejected; see the stored rejects for why.",
    metric: metrics::REJECTED_PERCENT,
    group_by: None,
    statistic: Statistic::Maximum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 5.0,
    period_s: 60,
    evaluation_periods: 5,
    datapoints_to_alarm: 3,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Work on some shard fails again and again.
///
/// A single failure is got over by the next try; three minutes of five are not.
pub const FAILED_TASKS: Alarm = Alarm {
    name: "LiveStreaming-FailedTasks",
    description: "Tasks of a shard fail again and again; `ivs-processor leases verify` says why.",
    metric: metrics::FAILED_TASKS,
    group_by: None,
    statistic: Statistic::Sum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 0.0,
    period_s: 60,
    evaluation_periods: 5,
    datapoints_to_alarm: 3,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// No worker holds a shard, or no worker reports at all.
pub const WORKER_HEALTH: Alarm = Alarm {
    name: "LiveStreaming-WorkerHealth",
    description: "No worker owns a shard, or none has reported for three minutes.",
    metric: metrics::LEASES_HELD,
    group_by: None,
    statistic: Statistic::Sum,
    comparison: Comparison::LessThanThreshold,
    threshold: 1.0,
    period_s: 60,
    evaluation_periods: 3,
    datapoints_to_alarm: 3,
    missing_data: MissingData::Breaching,
    only_with: None,
};

/// Records expired from the stream before a worker read them: the one alarm that means lost data.
pub const RETENTION_GAP: Alarm = Alarm {
    name: "LiveStreaming-RetentionGap",
    description: "Records expired from the stream before they were read: rows of that time are incomplete.",
    metric: metrics::RETENTION_GAPS,
    group_by: None,
    statistic: Statistic::Sum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 0.0,
    period_s: 60,
    evaluation_periods: 1,
    datapoints_to_alarm: 1,
    missing_data: MissingData::NotBreaching,
    only_with: None,
};

/// Asking IVS for events that never came fails again and again: what EventBridge loses is not repaired.
///
/// The next round does what one has left undone, and a fleet's first one may fail, so it takes three of
/// the six periods of half an hour.
pub const RECONCILE_FAILURES: Alarm = Alarm {
    name: "LiveStreaming-ReconcileFailures",
    description: "Asking IVS for lost events fails again and again; the status of the worker that asks says why.",
    metric: metrics::RECONCILE_FAILURES,
    group_by: None,
    statistic: Statistic::Sum,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 0.0,
    period_s: 300,
    evaluation_periods: 6,
    datapoints_to_alarm: 3,
    missing_data: MissingData::NotBreaching,
    only_with: Some(Switch::Reconcile),
};

/// Every alarm. All of them notify [`crate::names::TOPIC`].
pub const ALARMS: &[Alarm] = &[
    VIEWER_DROP,
    INGEST_FRAME_RATE,
    CHAT_ACTIVITY,
    REBUFFERING,
    PROCESSOR_LAG,
    PROCESSOR_OUTBOX_AGE,
    REJECTED_RECORDS,
    FAILED_TASKS,
    WORKER_HEALTH,
    RETENTION_GAP,
    RECONCILE_FAILURES,
];
