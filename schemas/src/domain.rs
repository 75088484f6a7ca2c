//! The events of the domain bus: facts about streams, for other applications.
//!
//! The types are the `detail` of EventBridge events with source `ivs.processor` and the
//! `detail-type` given by [`DomainEvent::detail_type`]. `eventId` is derived from what happened, so
//! an event sent twice has one id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where and when, in every domain event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Deterministic id of the event.
    pub event_id: String,
    /// Session: the IVS `stream_id`.
    pub session_id: String,
    /// Channel: the last part of its ARN.
    pub channel_id: String,
    /// When it happened, RFC 3339, UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

/// `Session Started`: a stream can be watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SessionStarted {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// The broadcaster, if the application said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamer_user_id: Option<String>,
    /// Title, if the application said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_title: Option<String>,
}

/// `Session Ended`: a stream is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SessionEnded {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// The session as known at this moment; late records may still change the stored one.
    pub summary: SessionSummary,
}

/// The summary in [`SessionEnded`]. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// Start, epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// End, epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Seconds from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Largest number of viewers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_viewers: Option<f64>,
    /// Minutes watched by all viewers together: the mean of all reported numbers of viewers, times
    /// the minutes of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer_minutes: Option<f64>,
    /// Distinct players, estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_players: Option<f64>,
    /// Chat messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_chat_messages: Option<f64>,
    /// Mean ingest bitrate, bits/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_bitrate: Option<f64>,
    /// Rebuffering as a share of watch time, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuffer_ratio: Option<f64>,
    /// Play requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_attempts: Option<u64>,
    /// Views that started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_starts: Option<u64>,
    /// Views that could not start because something broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_failures_technical: Option<u64>,
    /// Views that could not start, and should not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_failures_business: Option<u64>,
    /// Play requests that neither started nor failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exits_before_start: Option<u64>,
    /// Views that broke off after their start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback_failures: Option<u64>,
    /// Views that ended otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views_ended: Option<u64>,
    /// Time with the picture on, milliseconds over all views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_time_ms: Option<f64>,
    /// Score of the viewers' experience, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experience_score: Option<f64>,
    /// How often the ingest starved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starvation_count: Option<u64>,
    /// For how long it starved, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starvation_seconds: Option<f64>,
}

/// `Session Failed`: a stream that IVS gave up or that never became watchable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SessionFailed {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// IVS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// IVS's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A problem of a stream's quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum QualityIssue {
    /// The ingest starves.
    Starvation,
    /// The ingest frame rate is low.
    FrameRate,
    /// The ingest bitrate is low.
    Bitrate,
    /// Players spend much of their time rebuffering.
    Rebuffering,
    /// The stream exceeds a limit.
    LimitBreach,
    /// Views cannot start.
    StartFailures,
    /// Viewers leave before the picture comes.
    ExitsBeforeStart,
    /// Views break off.
    PlaybackFailures,
    /// The picture comes late.
    StartupTime,
    /// The score of the viewers' experience is low.
    ExperienceScore,
}

/// The viewers that a problem hits most: those whose part of it exceeds their part of the audience by
/// most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MostAffected {
    /// The dimension that tells them apart: `device`, `os`, `country`, `playerVersion`, `cdn` or `rendition`.
    pub dimension: String,
    /// Their value of it.
    pub value: String,
    /// Their part of the problem (of stalled time, of failed views), percent.
    pub percent_of_problem: f64,
    /// Their part of the audience (of watch time, of views), percent.
    pub percent_of_audience: f64,
}

/// `Quality Degraded`: the stream got worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct QualityDegraded {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// The problem.
    pub issue: QualityIssue,
    /// The value observed, in the issue's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// The threshold passed, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The rule of the configuration that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How much it matters, by that rule: `warning` or `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Who suffers most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_affected: Option<MostAffected>,
}

/// `Quality Recovered`: the stream is good again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct QualityRecovered {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// The problem that is over.
    pub issue: QualityIssue,
    /// For how long it was bad, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted_seconds: Option<f64>,
    /// The value observed, in the issue's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// The rule of the configuration that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How much it matters, by that rule: `warning` or `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
}

/// `Viewer Drop`: the audience shrank from one closed five-minute window to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ViewerDrop {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// Mean number of viewers in the window before.
    pub previous_viewers: f64,
    /// Mean number of viewers in this window.
    pub viewers: f64,
    /// The loss, percent of the window before.
    pub drop_percent: f64,
}

/// `Chat Spike`: the chat is faster than the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ChatSpike {
    /// Where and when.
    #[serde(flatten)]
    pub subject: Subject,
    /// Messages a minute observed.
    pub messages_per_minute: f64,
    /// Messages a minute allowed.
    pub threshold: f64,
}

/// `Account Limit Breached`: the account as a whole exceeds a limit of IVS; it names no session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AccountLimitBreached {
    /// Deterministic id of the event.
    pub event_id: String,
    /// Account id.
    pub account: String,
    /// Region.
    pub region: String,
    /// When it happened, RFC 3339, UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Name of the limit, as IVS words it.
    pub limit_name: String,
    /// The limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_value: Option<f64>,
    /// By how much it is exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceeded_by: Option<f64>,
    /// Unit of both numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_unit: Option<String>,
}

/// A failure on a real-time stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RealTimeIssue {
    /// A participant could not publish.
    PublishError,
    /// The recording of a participant could not begin or be completed.
    Recording,
    /// A composition failed.
    Composition,
    /// A destination of a composition failed.
    Destination,
}

/// `Real-Time Failure`: something failed on a stage or in a composition of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RealTimeFailure {
    /// Deterministic id of the event.
    pub event_id: String,
    /// Where its timeline is in `StreamingSessions`: the session of the stage, or `stage:` or
    /// `composition:` with the id of one that names no session.
    pub session_id: String,
    /// When it happened, RFC 3339, UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// The failure.
    pub issue: RealTimeIssue,
    /// Stage: the last part of its ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_id: Option<String>,
    /// Composition: the last part of its ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composition_id: Option<String>,
    /// Participant of the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_id: Option<String>,
    /// IVS's code, or else its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Any domain event. Serializes as its `detail` alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DomainEvent {
    /// A stream can be watched.
    SessionStarted(SessionStarted),
    /// A stream is over.
    SessionEnded(SessionEnded),
    /// A stream failed.
    SessionFailed(SessionFailed),
    /// A stream got worse.
    QualityDegraded(QualityDegraded),
    /// A stream is good again.
    QualityRecovered(QualityRecovered),
    /// The audience shrank.
    ViewerDrop(ViewerDrop),
    /// The chat is too fast.
    ChatSpike(ChatSpike),
    /// The account exceeds a limit.
    AccountLimitBreached(AccountLimitBreached),
    /// Something failed on a stage.
    RealTimeFailure(RealTimeFailure),
}

impl DomainEvent {
    /// Returns the `detail-type` under which the event is put on the bus.
    #[must_use]
    pub const fn detail_type(&self) -> &'static str {
        match self {
            Self::SessionStarted(_) => "Session Started",
            Self::SessionEnded(_) => "Session Ended",
            Self::SessionFailed(_) => "Session Failed",
            Self::QualityDegraded(_) => "Quality Degraded",
            Self::QualityRecovered(_) => "Quality Recovered",
            Self::ViewerDrop(_) => "Viewer Drop",
            Self::ChatSpike(_) => "Chat Spike",
            Self::AccountLimitBreached(_) => "Account Limit Breached",
            Self::RealTimeFailure(_) => "Real-Time Failure",
        }
    }

    /// Returns the deterministic id of the event.
    #[must_use]
    pub fn event_id(&self) -> &str {
        match self {
            Self::SessionStarted(event) => &event.subject.event_id,
            Self::SessionEnded(event) => &event.subject.event_id,
            Self::SessionFailed(event) => &event.subject.event_id,
            Self::QualityDegraded(event) => &event.subject.event_id,
            Self::QualityRecovered(event) => &event.subject.event_id,
            Self::ViewerDrop(event) => &event.subject.event_id,
            Self::ChatSpike(event) => &event.subject.event_id,
            Self::AccountLimitBreached(event) => &event.event_id,
            Self::RealTimeFailure(event) => &event.event_id,
        }
    }
}
