//! The lines that a generator yields.

use std::sync::Arc;

/// The kinds of line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The application's report on a live stream.
    MetricsUpdate,
    /// A player's report.
    PlayerTelemetry,
    /// The application's word that a stream went live.
    StreamStart,
    /// The application's word that a stream is over.
    StreamEnd,
    /// IVS: life of a stream.
    IvsStreamState,
    /// IVS: starvation.
    IvsStreamHealth,
    /// IVS: limit exceeded.
    IvsLimitBreach,
    /// IVS: recording.
    IvsRecordingState,
    /// IVS: ad break.
    IvsAdBreak,
}

/// How a line is meant to travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight into the stream with PutRecords.
    Stream,
    /// Through an EventBridge bus and its rules with PutEvents; the line is what would come out.
    EventBus(Arc<BusEvent>),
}

/// The arguments of PutEvents for an IVS event. The bus itself adds id, account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// `Source`.
    pub source: String,
    /// `DetailType`.
    pub detail_type: &'static str,
    /// `Resources`.
    pub resources: Vec<String>,
    /// `Detail`, a JSON object.
    pub detail: String,
    /// `Time`, epoch milliseconds, a multiple of 1000.
    pub time_ms: i64,
}

/// The view that a player's report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewEvent {
    /// The play request.
    Attempt,
    /// The first frame.
    Start,
    /// It could not start.
    FailureTechnical,
    /// It was not to start.
    FailureBusiness,
    /// It broke off.
    Error,
    /// It is over.
    End,
    /// It is over before it began.
    ExitBeforeStart,
}

/// The content of a player's report, as far as the ledger counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `bufferingMs`.
    pub buffering_ms: u64,
    /// `playingMs`.
    pub playing_ms: Option<u64>,
    /// `viewEvent`, with what goes with it.
    pub event: Option<ViewEvent>,
}

/// The content of a line, as far as the ledger counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A `metrics_update`.
    Gauge {
        /// Session.
        session_id: Arc<str>,
        /// `currentViewers`.
        viewers: u64,
    },
    /// A player's report.
    Player {
        /// Session.
        session_id: Arc<str>,
        /// Its content.
        told: Told,
    },
    /// Something that happened; it belongs to no minute.
    Fact,
}

/// One line, ready to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// The JSON text, without a newline; damaged if `is_malformed`.
    pub line: Vec<u8>,
    /// Kinesis partition key.
    pub partition_key: String,
    /// Kind of the line, or of what it was before it was damaged.
    pub kind: Kind,
    /// When it happened, epoch milliseconds.
    pub event_time_ms: i64,
    /// When it is to be delivered, epoch milliseconds; never before `event_time_ms`.
    pub arrival_ms: i64,
    /// Whether the same bytes were delivered before, at most 20 s earlier.
    pub is_duplicate: bool,
    /// Whether the line is not JSON.
    pub is_malformed: bool,
    /// How the line is meant to travel.
    pub route: Route,
    /// The content of the line, before any damage.
    pub sample: Sample,
}
