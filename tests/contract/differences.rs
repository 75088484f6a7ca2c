//! Where an emulator answers otherwise than AWS documents it, and who is right.
//!
//! A difference that is not here fails the suite, and so does one that is gone.

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emulator {
    /// The embedded AWS.
    Embedded,
    /// `ministack`, for everything but Kinesis.
    Ministack,
    /// `kinesis-local`.
    KinesisLocal,
}

impl Emulator {
    /// Returns the name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Ministack => "ministack",
            Self::KinesisLocal => "kinesis-local",
        }
    }
}

/// One difference.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) emulator: Emulator,
    /// The case's name.
    pub(crate) case: &'static str,
    /// The answers instead of those that AWS documents.
    pub(crate) found: &'static str,
    /// Who is right, and by which page.
    pub(crate) right: &'static str,
}

const fn ministack(case: &'static str, found: &'static str, right: &'static str) -> Difference {
    Difference { emulator: Emulator::Ministack, case, found, right }
}

const fn kinesis_local(case: &'static str, found: &'static str, right: &'static str) -> Difference {
    Difference { emulator: Emulator::KinesisLocal, case, found, right }
}

/// All of them, by emulator. The embedded AWS has none.
pub(crate) const DIFFERENCES: &[Difference] = &[
    kinesis_local(
        "a stream has at least one shard",
        "LimitExceededException",
        "AWS: API_CreateStream, ShardCount",
    ),
    kinesis_local(
        "a stream takes records of 2 MiB when it is told to",
        "taken, taken, taken",
        "AWS: API_UpdateMaxRecordSize",
    ),
    kinesis_local(
        "a put has 1 to 500 records",
        "taken, taken, taken",
        "AWS: API_PutRecords, Records",
    ),
    kinesis_local(
        "a record of 1 MiB with its partition key is taken, a larger one is refused",
        "taken, taken",
        "AWS: API_Record, Data",
    ),
    kinesis_local(
        "a sequence number is given where one is needed, and is one",
        "InvalidArgumentException, ResourceNotFoundException",
        "AWS: API_GetShardIterator",
    ),
    kinesis_local(
        "a sequence number of another shard is refused",
        "taken",
        "AWS: API_GetShardIterator",
    ),
    kinesis_local(
        "an iterator that Kinesis has not made is refused",
        "HTTP 500",
        "AWS: API_GetRecords",
    ),
    kinesis_local(
        "a page of shards has 1 to 10,000",
        "HTTP 500, taken, taken",
        "AWS: API_ListShards, MaxResults",
    ),
    kinesis_local(
        "a shard is split inside its range only, and only once",
        "taken, ResourceInUseException, ResourceInUseException, not again",
        "AWS: API_SplitShard",
    ),
    kinesis_local(
        "a subscription to a closed shard ends with its children",
        "a; no end",
        "AWS: API_SubscribeToShardEvent",
    ),
    kinesis_local(
        "there is no subscription to a shard that is not there",
        "taken",
        "AWS: API_SubscribeToShard",
    ),
    ministack(
        "time to live that is on is not switched on again",
        "taken, taken",
        "AWS: API_UpdateTimeToLive",
    ),
    ministack(
        "an update that names an attribute twice is refused",
        "taken",
        "AWS, as users report (HENNGE/aiodynamo#2)",
    ),
    ministack(
        "an item that a put refuses, its insert refuses alone",
        "ValidationError, ValidationError, stored, stored, stored",
        "AWS: API_PutItem, Item",
    ),
    ministack(
        "a statement has up to 8,192 characters",
        "stored, stored",
        "AWS: API_BatchStatementRequest, Statement",
    ),
    ministack(
        "a batch that names a key twice is refused as a whole",
        "stored, DuplicateItem; at=0 id=twice",
        "AWS, as dynoxide's captures have it",
    ),
    ministack(
        "an update of an attribute of the key fails alone",
        "stored, stored; at=5 id=key-update version=1",
        "AWS: API_UpdateItem, Key",
    ),
    ministack(
        "a batch gives up to 16 MB, and says which keys it left out",
        "48 of 48 items, none left out",
        "AWS: API_BatchGetItem",
    ),
    ministack("a call has up to 1,000 datums", "taken, taken", "AWS: API_PutMetricData"),
    ministack("a call has at least one datum", "taken", "AWS: API_PutMetricData"),
    ministack("a datum has up to 150 values", "taken, taken", "AWS: API_MetricDatum, Values"),
    ministack("values and their counts are as many", "taken", "AWS: API_MetricDatum, Counts"),
    ministack(
        "a value is a finite number",
        "taken, taken, taken, taken",
        "AWS: API_MetricDatum, Value",
    ),
    ministack(
        "a metric has up to 30 dimensions",
        "taken, taken",
        "AWS: API_MetricDatum, Dimensions",
    ),
    ministack(
        "a dimension has a name and a value of printable ASCII",
        "taken, taken, taken",
        "AWS: API_Dimension",
    ),
    ministack(
        "a datum is up to two weeks old, and up to two hours ahead",
        "taken, taken, taken, taken",
        "AWS: API_PutMetricData",
    ),
    ministack(
        "a datum has a value, values or a statistic set, and only one of them",
        "taken, taken, taken, taken, taken, taken",
        "AWS: API_PutMetricData",
    ),
    ministack(
        "a namespace is given and does not begin with a colon",
        "taken, taken",
        "AWS: API_PutMetricData, Namespace",
    ),
    ministack("units are those of the list", "taken, taken", "AWS: API_MetricDatum, Unit"),
    ministack(
        "points are given newest first, unless asked for otherwise",
        "1 2 3; 1 2 3",
        "AWS: API_GetMetricData, ScanBy",
    ),
    ministack("dimensions are matched exactly", "3; 2; nothing", "AWS: Guide, cloudwatch_concepts"),
    ministack("an expression is computed from metrics", "nothing", "AWS: Guide, using-metric-math"),
    ministack(
        "SEARCH finds the metrics of a schema",
        "0 series",
        "AWS: Guide, using-search-expressions",
    ),
    ministack("an expression that cannot be read is refused", "taken", "AWS: API_GetMetricData"),
    ministack(
        "an alarm on metric math keeps its queries",
        "no queries",
        "AWS: API_PutMetricAlarm, Metrics",
    ),
    ministack(
        "an alarm has a period, and a number of them",
        "taken, taken",
        "AWS: API_PutMetricAlarm",
    ),
    ministack("a dashboard is JSON", "taken", "AWS: API_PutDashboard"),
    ministack(
        "a call has 1 to 10 events",
        "taken, taken, ValidationException",
        "AWS: API_PutEvents, Entries",
    ),
    ministack(
        "a detail that is not JSON is refused by itself",
        "0 failed: id, id, id",
        "AWS: API_PutEventsResultEntry",
    ),
    ministack("a detail is an object", "0 failed: id", "AWS: API_PutEventsRequestEntry, Detail"),
    ministack(
        "an event without source, type or detail is refused by itself",
        "0 failed: id, id, id, id",
        "AWS: API_PutEventsRequestEntry",
    ),
    ministack("events of a call stay below 1 MB", "taken, taken", "AWS: API_PutEvents"),
];
