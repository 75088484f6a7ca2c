//! Names of resources, and the fixed strings by which events are told apart.
//!
//! Tables, dashboard and topic carry the names of the tutorial this project implements. A deployment
//! has exactly these names, so there is one per account and region; local mode has them too.

/// DynamoDB table of sessions: a timeline and one summary item per session.
pub const SESSIONS_TABLE: &str = "StreamingSessions";
/// DynamoDB table of one row per session and minute.
pub const METRICS_TABLE: &str = "StreamingMetrics";
/// DynamoDB table of shard leases; KCL's contract, so its name is the KCL application name.
pub const LEASE_TABLE: &str = "ivs-processor";
/// Index by channel; both data tables have one of this name, with their own sort key.
pub const CHANNEL_INDEX: &str = "ChannelIdIndex";
/// Index by owner which KCL 3.x keeps on the lease table (keys only).
pub const LEASE_OWNER_INDEX: &str = "LeaseOwnerToLeaseKeyIndex";

/// Kinesis data stream into which everything flows.
pub const STREAM: &str = "ivs-events";
/// EventBridge bus on which AWS services publish; the rules and the archive hang on it.
pub const SERVICE_BUS: &str = "default";
/// EventBridge bus to which domain events go.
pub const DOMAIN_BUS: &str = "ivs-domain";
/// EventBridge archive of the IVS events, from which they can be replayed into the stream.
pub const EVENT_ARCHIVE: &str = "ivs-events-archive";
/// Rule for events that name a channel, stage or composition.
pub const RESOURCE_RULE: &str = "ivs-resource-events";
/// Rule for events of the account, which name no resource.
pub const ACCOUNT_RULE: &str = "ivs-account-events";
/// JSONPath of a record's partition key: the resource's ARN, so that one channel stays in one shard.
pub const PARTITION_KEY_PATH: &str = "$.resources[0]";

/// SNS topic that receives every alarm.
pub const TOPIC: &str = "LiveStreamingAlerts";
/// CloudWatch dashboard.
pub const DASHBOARD: &str = "LiveStreamingDashboard";

/// `source` of IVS events, for channels as well as for stages and compositions.
pub const IVS_SOURCE: &str = "aws.ivs";
/// Beginning of every `detail-type` of IVS, those of tomorrow too.
///
/// A rule on the source alone would also let `AWS API Call via CloudTrail` in.
pub const DETAIL_TYPE_PREFIX: &str = "IVS ";
/// Stand-in for [`IVS_SOURCE`]: PutEvents refuses sources that begin with `aws.`.
pub const STAND_IN_SOURCE: &str = "local.ivs";
/// `source` of the events that a worker puts into the stream in the place of those that EventBridge
/// never brought. They go to Kinesis and never to a bus, so no rule has to let them in.
pub const RECONCILER_SOURCE: &str = "reconciler";
/// `source` of the domain events this processor emits.
pub const DOMAIN_SOURCE: &str = "ivs.processor";

/// Account id used where there is no account: local mode and samples.
pub const LOCAL_ACCOUNT: &str = "000000000000";
/// Region used in local mode.
pub const LOCAL_REGION: &str = "us-east-1";

/// `detail-type` of stream lifecycle events.
pub const STREAM_STATE_CHANGE: &str = "IVS Stream State Change";
/// `detail-type` of starvation events.
pub const STREAM_HEALTH_CHANGE: &str = "IVS Stream Health Change";
/// `detail-type` of quota breaches, of a stream or of the account.
pub const LIMIT_BREACH: &str = "IVS Limit Breach";
/// `detail-type` of recordings to S3.
pub const RECORDING_STATE_CHANGE: &str = "IVS Recording State Change";
/// `detail-type` of server-side ad insertion.
pub const AD_BREAK_STATE_CHANGE: &str = "IVS Ad Break State Change";
/// `detail-type` of what an encoder sends, as IVS tells it when it is asked. Ours: IVS has no such event.
pub const INGEST_CONFIGURATION: &str = "IVS Ingest Configuration";
/// `detail-type` of participants joining and leaving a stage.
pub const STAGE_UPDATE: &str = "IVS Stage Update";
/// `detail-type` of server-side composition.
pub const COMPOSITION_STATE_CHANGE: &str = "IVS Composition State Change";
/// `detail-type` of the recording of one participant.
pub const PARTICIPANT_RECORDING_STATE_CHANGE: &str = "IVS Participant Recording State Change";
/// `detail-type` listed by the EventBridge reference without a schema; accepted as unknown.
pub const PUBLISHER_RECORDING_STATE_CHANGE: &str = "IVS Publisher Recording State Change";

/// Every `detail-type` of a channel that this version knows.
pub const CHANNEL_DETAIL_TYPES: &[&str] = &[
    STREAM_STATE_CHANGE,
    STREAM_HEALTH_CHANGE,
    LIMIT_BREACH,
    RECORDING_STATE_CHANGE,
    AD_BREAK_STATE_CHANGE,
    INGEST_CONFIGURATION,
];

/// Every `detail-type` of a stage or composition that this version knows.
pub const STAGE_DETAIL_TYPES: &[&str] = &[
    STAGE_UPDATE,
    COMPOSITION_STATE_CHANGE,
    PARTICIPANT_RECORDING_STATE_CHANGE,
    PUBLISHER_RECORDING_STATE_CHANGE,
];
