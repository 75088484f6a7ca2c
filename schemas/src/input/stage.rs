//! IVS events of stages and compositions (real-time streaming).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, Resources};
use super::{Id, Measure, Open, fixed_text};

fixed_text! {
    /// `detail-type` of [`StageUpdateEvent`].
    StageUpdateType = "IVS Stage Update";
    /// `detail-type` of [`CompositionStateEvent`].
    CompositionStateType = "IVS Composition State Change";
    /// `detail-type` of [`ParticipantRecordingEvent`].
    ParticipantRecordingType = "IVS Participant Recording State Change";
}

/// Participants of a stage come, go and fail.
pub type StageUpdateEvent = Envelope<StageUpdateType, StageUpdate, Resources>;
/// A server-side composition or one of its destinations changes.
pub type CompositionStateEvent = Envelope<CompositionStateType, CompositionState, Resources>;
/// The recording of one participant begins, ends or fails.
pub type ParticipantRecordingEvent =
    Envelope<ParticipantRecordingType, ParticipantRecording, Resources>;

/// Values of [`StageUpdate::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StageUpdateName {
    /// A participant sends.
    #[serde(rename = "Participant Published")]
    Published,
    /// A participant no longer sends.
    #[serde(rename = "Participant Unpublished")]
    Unpublished,
    /// A participant failed to send.
    #[serde(rename = "Participant Publish Error")]
    PublishError,
    /// A participant is copied to another stage.
    #[serde(rename = "Participant Replication Start")]
    ReplicationStart,
    /// A participant is no longer copied.
    #[serde(rename = "Participant Replication End")]
    ReplicationEnd,
    /// A participant's token was exchanged for another.
    #[serde(rename = "Token Exchanged")]
    TokenExchanged,
}

/// `detail` of [`StageUpdateEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageUpdate {
    /// The event.
    pub event_name: Open<StageUpdateName>,
    /// Session of the stage.
    pub session_id: Option<Id>,
    /// When it happened; zero to nine fractional digits.
    pub event_time: Option<String>,
    /// When it happened, to the microsecond.
    pub event_time_precise: Option<String>,
    /// The application's user id.
    pub user_id: Option<String>,
    /// Id of the participant.
    pub participant_id: Option<String>,
    /// Whether the participant is a copy from another stage.
    pub replica: Option<bool>,
    /// Code of a publish error.
    pub error_code: Option<String>,
    /// Stage the participant is copied to.
    pub destination_stage_arn: Option<String>,
    /// Session the participant is copied to.
    pub destination_session_id: Option<String>,
    /// Token given up.
    pub previous_token: Option<Token>,
    /// Token received.
    pub new_token: Option<Token>,
}

/// A participant token in [`StageUpdate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// `SUBSCRIBE`, `PUBLISH`.
    pub capabilities: Option<Vec<String>>,
    /// The application's user id.
    pub user_id: Option<String>,
    /// End of validity.
    pub expiration_time: Option<String>,
}

/// Values of [`CompositionState::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CompositionStateName {
    /// The composition began.
    #[serde(rename = "Session Start")]
    SessionStart,
    /// The composition ended.
    #[serde(rename = "Session End")]
    SessionEnd,
    /// The composition failed.
    #[serde(rename = "Session Failure")]
    SessionFailure,
    /// A destination began.
    #[serde(rename = "Destination Start")]
    DestinationStart,
    /// A destination ended.
    #[serde(rename = "Destination End")]
    DestinationEnd,
    /// A destination failed.
    #[serde(rename = "Destination Failure")]
    DestinationFailure,
    /// A destination tries to reconnect.
    #[serde(rename = "Destination Reconnecting")]
    DestinationReconnecting,
}

/// `detail` of [`CompositionStateEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompositionState {
    /// The event.
    pub event_name: Open<CompositionStateName>,
    /// The stage that is composed.
    pub stage_arn: Option<String>,
    /// Id of the destination.
    pub id: Option<String>,
    /// Code of a failure.
    pub error_code: Option<String>,
    /// Words for the code.
    pub reason: Option<String>,
}

/// Values of [`ParticipantRecording::event_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ParticipantRecordingName {
    /// A recording began.
    #[serde(rename = "Recording Start")]
    Start,
    /// A recording is complete.
    #[serde(rename = "Recording End")]
    End,
    /// A recording could not begin.
    #[serde(rename = "Recording Start Failure")]
    StartFailure,
    /// A recording could not be completed.
    #[serde(rename = "Recording End Failure")]
    EndFailure,
}

/// `detail` of [`ParticipantRecordingEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParticipantRecording {
    /// The event.
    pub event_name: Open<ParticipantRecordingName>,
    /// Session of the stage.
    pub session_id: Option<Id>,
    /// Id of the participant.
    pub participant_id: Option<String>,
    /// S3 bucket.
    pub recording_s3_bucket_name: Option<String>,
    /// S3 key prefix.
    pub recording_s3_key_prefix: Option<String>,
    /// Length of the recording, milliseconds.
    pub recording_duration_ms: Option<Measure>,
    /// Code of a failure.
    pub error_code: Option<String>,
    /// Words for the code.
    pub reason: Option<String>,
}
