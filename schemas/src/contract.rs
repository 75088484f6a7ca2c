//! The list of JSON Schemas, and how to tell which of them a record belongs to.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::input::envelope::{Envelope, ResourcesIfAny};
use crate::input::{Id, application, chat, ingest, ivs, player, qos, stage};
use crate::{domain, names, report};

/// Which way the described objects travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the stream.
    Input,
    /// Out: on the domain bus, or as a file.
    Output,
}

/// The field by which an object is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// This field has this text.
    Text(&'static str, &'static str),
    /// This field is there.
    Present(&'static str),
    /// None: the envelope's `detail-type` or the file's name tells, outside the described object.
    Outside(&'static str),
}

/// One JSON Schema.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// File stem: `schemas/json/<name>.schema.json` and the folder `schemas/samples/<name>/`.
    pub name: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// Which way the objects travel.
    pub direction: Direction,
    /// How the objects are recognized.
    pub mark: Mark,
    schema: fn() -> Value,
}

impl Contract {
    /// Returns the JSON Schema (draft 2020-12).
    #[must_use]
    pub fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        schema["title"] = self.title.into();
        tidy(&mut schema);
        schema
    }

    fn marks(&self, object: &Map<String, Value>) -> bool {
        match self.mark {
            Mark::Text(field, text) => object.get(field).and_then(Value::as_str) == Some(text),
            Mark::Present(field) => object.contains_key(field),
            Mark::Outside(_) => false,
        }
    }
}

/// Returns the input schema a record belongs to, told by its fields as the decoder does; `None` if
/// the value is not an object or of no known kind.
///
/// ```
/// use ivs_schemas::contract::contract_of;
/// use serde_json::json;
///
/// let record = json!({ "type": "player_telemetry", "playerId": "p-1" });
/// assert_eq!(contract_of(&record).map(|contract| contract.name), Some("player-telemetry"));
/// assert!(contract_of(&json!({ "type": "something else" })).is_none());
/// ```
#[must_use]
pub fn contract_of(record: &Value) -> Option<&'static Contract> {
    let object = record.as_object()?;
    CONTRACTS.iter().find(|contract| contract.marks(object))
}

const fn event<T: JsonSchema>(
    name: &'static str,
    detail_type: &'static str,
    title: &'static str,
) -> Contract {
    input::<T>(name, Mark::Text("detail-type", detail_type), title)
}

const fn input<T: JsonSchema>(name: &'static str, mark: Mark, title: &'static str) -> Contract {
    Contract { name, title, direction: Direction::Input, mark, schema: read_schema::<T> }
}

const fn output<T: JsonSchema>(name: &'static str, detail_type: &'static str) -> Contract {
    Contract {
        name,
        title: detail_type,
        direction: Direction::Output,
        mark: Mark::Outside(detail_type),
        schema: write_schema::<T>,
    }
}

fn read_schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

fn write_schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

/// Makes a generated schema pleasant to read: no Rust links in descriptions, and a choice of one
/// constant becomes the constant.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            let only = members.get("oneOf").and_then(Value::as_array).filter(|all| all.len() == 1);
            if let Some(constant) = only.and_then(|all| all[0].get("const")).cloned() {
                members.remove("oneOf");
                members.insert("const".into(), constant);
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Every schema. The order matters to [`contract_of`]: the general IVS event comes last.
pub const CONTRACTS: &[Contract] = &[
    event::<ivs::StreamStateEvent>(
        "ivs-stream-state-change",
        names::STREAM_STATE_CHANGE,
        "IVS: life of a stream",
    ),
    event::<ivs::StreamHealthEvent>(
        "ivs-stream-health-change",
        names::STREAM_HEALTH_CHANGE,
        "IVS: starvation of a stream",
    ),
    event::<ivs::LimitBreachEvent>("ivs-limit-breach", names::LIMIT_BREACH, "IVS: limit exceeded"),
    event::<ivs::RecordingStateEvent>(
        "ivs-recording-state-change",
        names::RECORDING_STATE_CHANGE,
        "IVS: recording of a stream",
    ),
    event::<ivs::AdBreakEvent>(
        "ivs-ad-break-state-change",
        names::AD_BREAK_STATE_CHANGE,
        "IVS: ad break in a stream",
    ),
    event::<ingest::IngestConfigurationEvent>(
        "ivs-ingest-configuration",
        names::INGEST_CONFIGURATION,
        "IVS: what an encoder sends",
    ),
    event::<stage::StageUpdateEvent>(
        "ivs-stage-update",
        names::STAGE_UPDATE,
        "IVS real-time: participants of a stage",
    ),
    event::<stage::CompositionStateEvent>(
        "ivs-composition-state-change",
        names::COMPOSITION_STATE_CHANGE,
        "IVS real-time: composition of a stage",
    ),
    event::<stage::ParticipantRecordingEvent>(
        "ivs-participant-recording-state-change",
        names::PARTICIPANT_RECORDING_STATE_CHANGE,
        "IVS real-time: recording of a participant",
    ),
    input::<application::StreamStart>(
        "stream-start",
        Mark::Text("eventType", "stream_start"),
        "Application: a stream went live",
    ),
    input::<application::StreamEnd>(
        "stream-end",
        Mark::Text("eventType", "stream_end"),
        "Application: a stream is over",
    ),
    input::<application::MetricsUpdate>(
        "metrics-update",
        Mark::Text("eventType", "metrics_update"),
        "Application: state of a live stream",
    ),
    input::<player::PlayerTelemetry>(
        "player-telemetry",
        Mark::Text("type", "player_telemetry"),
        "Player telemetry",
    ),
    input::<qos::Play>("qos-play", Mark::Text("metric_type", "PLAY"), "QoS sample: playback began"),
    input::<qos::PlaybackSummary>(
        "qos-playback-summary",
        Mark::Text("metric_type", "PLAYBACK_SUMMARY"),
        "QoS sample: the last minute of playback",
    ),
    input::<qos::QualityChanged>(
        "qos-quality-changed",
        Mark::Text("metric_type", "QUALITY_CHANGED"),
        "QoS sample: another rendition",
    ),
    input::<qos::Stop>("qos-stop", Mark::Text("metric_type", "STOP"), "QoS sample: playback ended"),
    input::<chat::ChatLogRecord>(
        "chat-log",
        Mark::Present("event_timestamp"),
        "IVS Chat: a line of the log",
    ),
    input::<Envelope<Id, Map<String, Value>, ResourcesIfAny>>(
        "ivs-event",
        Mark::Present("detail-type"),
        "IVS: an event of any type",
    ),
    output::<domain::SessionStarted>("domain-session-started", "Session Started"),
    output::<domain::SessionEnded>("domain-session-ended", "Session Ended"),
    output::<domain::SessionFailed>("domain-session-failed", "Session Failed"),
    output::<domain::QualityDegraded>("domain-quality-degraded", "Quality Degraded"),
    output::<domain::QualityRecovered>("domain-quality-recovered", "Quality Recovered"),
    output::<domain::ViewerDrop>("domain-viewer-drop", "Viewer Drop"),
    output::<domain::ChatSpike>("domain-chat-spike", "Chat Spike"),
    output::<domain::AccountLimitBreached>(
        "domain-account-limit-breached",
        "Account Limit Breached",
    ),
    output::<domain::RealTimeFailure>("domain-real-time-failure", "Real-Time Failure"),
    output::<report::Report>("report", "Report of a channel"),
];
