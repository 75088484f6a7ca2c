//! The traffic generator: a seeded model of channels, encoders and audiences that yields what IVS,
//! players and an application backend would send.
//!
//! It is pure: no clock, no I/O, no randomness but its own. The same [`GeneratorConfig`] gives the
//! same bytes on every machine, however the time is sliced. The caller moves time by asking for
//! everything up to a moment, and delivers what it gets; a [`Ledger`] keeps count of what was
//! delivered, so that the rows can be checked afterwards.
//!
//! ```text
//! Schedule (times, actions) ─► Channel: stream lifecycle, gauges ─┐
//!                           └► Viewer: joins, reports, leaves ────┴► Outbox: late, repeated, torn ─► Produced
//! ```

mod channel;
mod incident;
mod ivs;
mod ledger;
mod line;
mod outbox;
mod plan;
mod rng;
mod viewer;
mod world;

use std::sync::Arc;

pub use ledger::{Ledger, Mismatch, StoredWindow, Totals, Views, Window};
use world::World;

/// The settings of a generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Channels follow from it; sessions, players and events from it and `start_ms`.
    pub seed: u64,
    /// How many channels there are; their audiences follow Zipf's law. At least one.
    pub channels: u32,
    /// About how many viewers watch when every channel is live.
    pub viewers: u32,
    /// Time of the first event, epoch milliseconds.
    pub start_ms: i64,
    /// How often a player reports, milliseconds; each report is up to a tenth early or late.
    pub report_interval_ms: u32,
    /// How often a live channel reports, milliseconds.
    pub gauge_interval_ms: u32,
    /// Typical length of a stream, milliseconds; streams run for half to one and a half of it.
    pub stream_ms: u32,
    /// Share of reports sent twice, in millionths.
    pub duplicate_ppm: u32,
    /// Share of lines that arrive 1 ms to 90 s after their event time, in millionths.
    pub late_ppm: u32,
    /// Share of reports damaged on their way, in millionths.
    pub malformed_ppm: u32,
    /// When incidents begin that make alarms fire, epoch milliseconds; `None`: there are none but
    /// those of chance.
    pub incidents_from_ms: Option<i64>,
    /// Account id in IVS events.
    pub account: String,
    /// Region in IVS events.
    pub region: String,
    /// `source` of IVS events: `aws.ivs` or, where the bus refuses that, a stand-in.
    pub ivs_source: String,
}

impl Default for GeneratorConfig {
    /// Twenty channels and a thousand viewers: about 110 lines a second, and streams short enough
    /// that starts and ends are seen within minutes.
    fn default() -> Self {
        Self {
            seed: 1,
            channels: 20,
            viewers: 1_000,
            start_ms: 1_772_366_400_000,
            report_interval_ms: 10_000,
            gauge_interval_ms: 5_000,
            stream_ms: 8 * 60_000,
            duplicate_ppm: 10_000,
            late_ppm: 50_000,
            malformed_ppm: 500,
            incidents_from_ms: None,
            account: ivs_schemas::names::LOCAL_ACCOUNT.to_owned(),
            region: ivs_schemas::names::LOCAL_REGION.to_owned(),
            ivs_source: ivs_schemas::names::IVS_SOURCE.to_owned(),
        }
    }
}

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

/// What a player's report tells of its view.
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

/// What a player's report tells, as far as the ledger counts it.
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
        /// What it tells.
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

/// The generator; an endless iterator in order of arrival.
#[derive(Debug)]
pub struct Generator {
    world: World,
}

impl Generator {
    /// Sets the scene; nothing has happened yet. Zero channels or intervals count as one.
    #[must_use]
    pub fn new(config: GeneratorConfig) -> Self {
        Self { world: World::new(config) }
    }

    /// Returns everything that arrives up to and including `until_ms`, epoch milliseconds.
    ///
    /// The longer the span, the longer the list: ask second by second.
    pub fn next_batch(&mut self, until_ms: i64) -> Vec<Produced> {
        std::iter::from_fn(|| self.world.next_until(until_ms)).collect()
    }
}

impl Iterator for Generator {
    type Item = Produced;

    fn next(&mut self) -> Option<Produced> {
        self.world.next_until(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
