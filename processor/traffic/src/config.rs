//! The settings of a generator.

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
