//! The report of a channel over a day, a week or a month.
//!
//! The first eight members of [`Report`] and their members carry the names of the tutorial; the
//! others are additions. Totals of nothing are 0. Any other figure that no record gives is null,
//! never 0. Times are RFC 3339 with the offset of the report's zone.

use schemars::JsonSchema;
use serde::Serialize;

/// Version of the layout, in [`Report::schema_version`].
pub const REPORT_VERSION: u32 = 1;

/// Which calendar period a report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportType {
    /// Midnight to midnight.
    Daily,
    /// An ISO week: Monday to Monday.
    Weekly,
    /// A calendar month.
    Monthly,
}

impl ReportType {
    /// Returns the value of `reportType`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Daily, weekly or monthly.
    pub report_type: ReportType,
    /// Channel: its id, of an ARN the last part.
    pub channel_id: String,
    /// The time covered, half-open.
    pub period: Period,
    /// Totals.
    pub summary: Summary,
    /// The latest ten sessions, latest first.
    pub sessions: Vec<Session>,
    /// The hours of the period that have rows, in order.
    pub hourly_breakdown: Vec<Hour>,
    /// The stream as it came from the encoder.
    pub quality_metrics: QualityMetrics,
    /// Chat.
    pub chat_analytics: ChatAnalytics,
    /// The players' experience.
    pub player_experience: PlayerExperience,
    /// The period in equal steps, for charts.
    pub series: Series,
    /// The highlights.
    pub highlights: Highlights,
    /// The period before, to compare with; null if it holds nothing.
    pub previous: Option<Previous>,
    /// Version of this layout.
    pub schema_version: u32,
    /// When the tables were read; sessions that are live count up to here.
    #[schemars(extend("format" = "date-time"))]
    pub as_of: String,
    /// Whether there were more sessions than are kept apart; then sessions beyond that number are
    /// missing in totals by session, and nowhere else.
    pub truncated: bool,
}

/// From `start` up to, not including, `end`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// Its first instant.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// The first instant after it.
    #[schemars(extend("format" = "date-time"))]
    pub end: String,
    /// Such as `2026-03-01`, `2026-W09` or `2026-03`.
    pub name: String,
    /// IANA name of the zone whose calendar it follows.
    pub time_zone: String,
}

/// Totals.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Sessions that were live in the period.
    pub total_sessions: u64,
    /// Time streamed in the period, seconds.
    pub total_stream_time: f64,
    /// Mean of the sessions' times in the period, seconds.
    pub avg_session_duration: Option<f64>,
    /// Largest number of viewers.
    pub max_concurrent_viewers: Option<f64>,
    /// Chat messages in the period.
    pub total_chat_messages: u64,
    /// Sum over minutes of the mean number of viewers.
    pub viewer_minutes: Option<f64>,
    /// Mean over minutes of the number of viewers.
    pub avg_viewers: Option<f64>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// It can be watched.
    Live,
    /// It is over.
    Ended,
    /// IVS gave it up.
    Failed,
    /// No end was reported, and it fell silent, another one began, or no stream lasts that long. It
    /// counts up to its last record.
    Lost,
}

/// A session. Figures are of its part in the period, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The IVS `stream_id`, or the application's own id.
    pub session_id: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// Start of the session, also outside the period.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// End of the session, also outside the period; null while none is known.
    pub ended_at: Option<String>,
    /// Seconds from start to end of the whole session; null while it has no end.
    pub duration: Option<f64>,
    /// Seconds in the period.
    pub duration_in_period: f64,
    /// Title.
    pub stream_title: Option<String>,
    /// Nominal quality, such as `720p`.
    pub stream_quality: Option<String>,
    /// The broadcaster.
    pub streamer_user_id: Option<String>,
    /// Largest number of viewers.
    pub peak_viewers: Option<f64>,
    /// Mean over minutes of the number of viewers.
    pub avg_viewers: Option<f64>,
    /// Sum over minutes of the mean number of viewers.
    pub viewer_minutes: Option<f64>,
    /// Chat messages.
    pub total_chat_messages: Option<u64>,
    /// Mean ingest bitrate, bits/s.
    pub avg_bitrate: Option<f64>,
    /// Mean ingest frame rate, frames/s.
    pub avg_frame_rate: Option<f64>,
    /// Stalled time over watch time, 0 to 1.
    pub rebuffer_ratio: Option<f64>,
    /// The outcomes of its views; null if players did not tell.
    pub views: Option<ViewFigures>,
    /// Score of the viewers' experience, 0 to 100.
    pub experience_score: Option<f64>,
    /// How often the ingest starved, over the whole session.
    pub starvation_count: u64,
}

/// Means over the minutes of some time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Minutes with a record. Two sessions in one minute are one minute of the channel.
    pub minutes: u64,
    /// Viewers, as the backend reports them.
    pub avg_viewers: Option<f64>,
    /// Largest number of viewers.
    pub max_viewers: Option<f64>,
    /// Distinct players of each minute.
    pub avg_active_players: Option<f64>,
    /// Ingest bitrate, bits/s.
    pub avg_bitrate: Option<f64>,
    /// Ingest frame rate, frames/s.
    pub avg_frame_rate: Option<f64>,
    /// Chat messages a minute.
    pub avg_chat_activity: Option<f64>,
    /// Stalled time over watch time, 0 to 1.
    pub rebuffer_ratio: Option<f64>,
    /// Distinct views that played, of each minute.
    pub avg_concurrent_views: Option<f64>,
    /// Score of the viewers' experience, 0 to 100.
    pub experience_score: Option<f64>,
}

/// The highlights.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Highlights {
    /// The minute with most viewers; null if no minute tells viewers.
    pub peak: Option<Peak>,
    /// Of several sessions the one with most viewer minutes in the period, or the longest if none
    /// tells viewers.
    pub best_session: Option<Session>,
}

/// The minute with most viewers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// How many.
    pub viewers: f64,
    /// The minute's first instant.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The session that was on air.
    pub session_id: Option<String>,
}

/// The period before. Of a report whose period is not over, as much of it as is over of this.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// The time covered, half-open.
    pub period: Period,
    /// Its totals.
    pub summary: Summary,
    /// Its quality score.
    pub quality_score: Option<f64>,
    /// Its stalled time over watch time, 0 to 1.
    pub rebuffer_ratio: Option<f64>,
}

/// An hour of the period, by the clock of its zone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// Such as `2026-03-01 20:00`; twice where clocks go back.
    pub hour: String,
    /// Its first instant.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The period in equal steps. Steps without rows are there, with null figures.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Length of a step, seconds.
    pub step_seconds: u32,
    /// The steps.
    pub points: Vec<Point>,
}

/// A step of the period.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Its first instant.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The stream as it came from the encoder.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualityMetrics {
    /// Mean over minutes, bits/s.
    pub avg_bitrate: Option<f64>,
    /// Smallest bitrate, bits/s.
    pub min_bitrate: Option<f64>,
    /// Largest bitrate, bits/s.
    pub max_bitrate: Option<f64>,
    /// Mean over minutes, frames/s.
    pub avg_frame_rate: Option<f64>,
    /// 1 - coefficient of variation of the minutes of a session, at least 0; mean over sessions,
    /// weighted by minutes.
    pub bitrate_stability: Option<f64>,
    /// The same of the frame rate.
    pub frame_rate_stability: Option<f64>,
    /// 0 to 100: sum of the three parts; null if one of them is unknown.
    pub quality_score: Option<f64>,
    /// The parts of the score.
    pub quality_score_parts: QualityScoreParts,
}

/// The parts of the quality score, each capped.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualityScoreParts {
    /// Up to 40, reached at 5 Mbit/s.
    pub bitrate: Option<f64>,
    /// Up to 30, reached at 30 frames/s.
    pub frame_rate: Option<f64>,
    /// Up to 30: 15 × (bitrate stability + frame rate stability).
    pub stability: Option<f64>,
}

/// Chat.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatAnalytics {
    /// Messages in the period.
    pub total_messages: u64,
    /// Messages per minute streamed, over the sessions whose messages are known.
    pub messages_per_minute: Option<f64>,
    /// Largest rate of a minute, messages/min.
    pub peak_chat_rate: Option<f64>,
    /// Mean over minutes, messages/min: of all with records if there is a chat log, else of those
    /// whose rate was reported.
    pub avg_chat_rate: Option<f64>,
    /// 0 to 10, by messages per minute.
    pub chat_engagement_score: Option<u8>,
}

/// The players' experience.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerExperience {
    /// Distinct players, estimated by a sketch.
    pub unique_players: Option<u64>,
    /// Time played, minutes over all players.
    pub watch_minutes: Option<f64>,
    /// Stalled time over watch time, 0 to 1.
    pub rebuffer_ratio: Option<f64>,
    /// Stalls.
    pub rebuffer_count: Option<f64>,
    /// Errors of players.
    pub player_errors: Option<u64>,
    /// Frames that players dropped.
    pub dropped_frames: Option<f64>,
    /// Mean over minutes of the bitrate played, bits/s.
    pub avg_bitrate: Option<f64>,
    /// Live latency, milliseconds; null if no player reports it.
    pub latency_ms: Option<Quantiles>,
    /// Time to the first frame, milliseconds; null if no player reports it.
    pub startup_ms: Option<Quantiles>,
    /// The outcomes of views; null if players did not tell.
    pub views: Option<ViewFigures>,
    /// Mean over minutes of the distinct views that played.
    pub avg_concurrent_views: Option<f64>,
    /// The score; null if nothing is known that it could judge.
    pub score: Option<ExperienceScore>,
    /// Figures by dimension, of the records that tell it.
    pub breakdowns: Vec<DimensionFigures>,
}

/// The outcomes of views.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewFigures {
    /// Play requests; null where players do not tell them.
    pub attempts: Option<u64>,
    /// Views whose first frame was shown.
    pub starts: u64,
    /// Views that could not start because something broke.
    pub start_failures_technical: u64,
    /// Views that could not start, and should not.
    pub start_failures_business: u64,
    /// Play requests that neither started nor failed.
    pub exits_before_start: Option<u64>,
    /// Views that broke off after their start.
    pub playback_failures: u64,
    /// Views that ended otherwise.
    pub ended: u64,
}

/// The score of the viewers' experience, 0 to 100, and its parts, 0 to 1 each; a part is null where
/// nothing is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperienceScore {
    /// The mean of the parts by weight.
    pub score: f64,
    /// From the mean time to the first frame.
    pub startup: Option<f64>,
    /// From the share of watch time that was stalled.
    pub stalls: Option<f64>,
    /// From the share of views that failed.
    pub failures: Option<f64>,
    /// From the mean bitrate.
    pub bitrate: Option<f64>,
}

/// The figures of one dimension.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DimensionFigures {
    /// `device`, `os`, `country`, `playerVersion`, `cdn` or `rendition`.
    pub dimension: String,
    /// By value, those with most time watched first. `other` are all that the configuration does not
    /// list.
    pub values: Vec<ValueFigures>,
}

/// The figures of the viewers that have one value of a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFigures {
    /// The value.
    pub value: String,
    /// Records of players.
    pub records: u64,
    /// Play requests.
    pub attempts: u64,
    /// First frames.
    pub starts: u64,
    /// Views that failed for a technical reason.
    pub failures: u64,
    /// Time played, minutes.
    pub watch_minutes: f64,
    /// Stalls.
    pub stalls: f64,
    /// Stalled time over watch time, 0 to 1.
    pub rebuffer_ratio: Option<f64>,
    /// Its part of all watch time of the dimension, 0 to 1.
    pub share_of_watch_time: Option<f64>,
}

/// Quantiles of all values of the period, not means of quantiles.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// Median.
    pub p50: u32,
    /// 95th percentile.
    pub p95: u32,
    /// 99th percentile.
    pub p99: u32,
    /// Largest.
    pub max: u32,
}
