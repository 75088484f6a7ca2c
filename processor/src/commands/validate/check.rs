//! The verdicts of the worker and of the schemas on a record.

use std::borrow::Cow;
use std::collections::HashMap;

use ivs_core::decode::frame::room_of;
use ivs_core::decode::{Context, DecodeLimits, Decoder, Event, Rejection};
use ivs_schemas::contract::{Contract, contract_of};
use jsonschema::Validator;
use serde_json::Value;

use super::warn::{Warning, warnings};
use crate::archive::records::unwrapped;
use crate::clock::now;

/// The verdict on a record.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Accepted, and as its schema says; perhaps not what its producer meant.
    Sound(Vec<Warning>),
    /// The worker accepts it, since it reads only what it needs; its schema does not.
    Strays {
        /// The schema's name.
        schema: &'static str,
        /// The place in the record, a JSON pointer.
        at: String,
        /// The schema's words.
        why: String,
    },
    /// The worker would keep it as a reject.
    Rejected(Rejection),
}

/// A schema, compiled, and the members that it names.
struct Schema {
    validator: Validator,
    members: Vec<String>,
}

/// The decoder, and the schemas met so far.
pub(super) struct Checker {
    decoder: Decoder,
    schemas: HashMap<&'static str, Schema>,
}

impl Default for Checker {
    fn default() -> Self {
        Self { decoder: Decoder::new(DecodeLimits::default()), schemas: HashMap::new() }
    }
}

impl Checker {
    /// Checks all records of a stretch of the object `name`: of one that the worker rejected, or
    /// archived, the record inside.
    ///
    /// # Errors
    /// When a schema of ours is not a JSON Schema.
    pub(super) fn check(
        &mut self,
        name: &str,
        stretch: &[u8],
        mut each: impl FnMut(Verdict),
    ) -> anyhow::Result<()> {
        let Self { decoder, schemas } = self;
        let (data, arrival) = match unwrapped(stretch) {
            Some((data, arrival)) => (Cow::Owned(data), arrival),
            None => (Cow::Borrowed(stretch), now()),
        };
        let context = Context { arrival, room: room_of(name) };
        decoder.read(&data, &context, |piece, decoded| {
            each(match decoded {
                Err(rejection) => Verdict::Rejected(rejection.clone()),
                Ok(event) => accepted(schemas, piece, room_beside(event))?,
            });
            Ok(())
        })
    }
}

/// Returns the room of a chat log's record: it may stand in the name of the log alone, where its schema
/// does not look.
fn room_beside<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    match event {
        Event::Chat(message) => Some(&message.room_id),
        _ => None,
    }
}

/// Returns what the schema says of a record that the worker accepts.
fn accepted(
    schemas: &mut HashMap<&'static str, Schema>,
    piece: &[u8],
    room: Option<&str>,
) -> anyhow::Result<Verdict> {
    // What the worker accepts is sound where this parser gives up: numbers beyond its range, texts
    // with half of a pair of surrogates.
    let Ok(mut record) = serde_json::from_slice::<Value>(piece) else {
        return Ok(Verdict::Sound(Vec::new()));
    };
    let Some(contract) = contract_of(&record) else {
        return Ok(Verdict::Sound(warnings(&record, None)));
    };
    let schema = match schemas.entry(contract.name) {
        std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::hash_map::Entry::Vacant(new) => new.insert(compile(contract)?),
    };
    if let Some(room) = room.filter(|_| !schema.validator.is_valid(&record)) {
        record["room_id"] = room.into();
    }
    Ok(match schema.validator.validate(&record) {
        Err(error) => Verdict::Strays {
            schema: contract.name,
            at: error.instance_path().to_string(),
            why: error.to_string(),
        },
        Ok(()) => Verdict::Sound(warnings(&record, Some((contract.name, &schema.members)))),
    })
}

fn compile(contract: &Contract) -> anyhow::Result<Schema> {
    let schema = contract.schema();
    let members = schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned());
    Ok(Schema { members: members.collect(), validator: jsonschema::validator_for(&schema)? })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn verdicts(name: &str, stretch: &[u8]) -> Vec<Verdict> {
        let mut found = Vec::new();
        Checker::default().check(name, stretch, |verdict| found.push(verdict)).unwrap();
        found
    }

    fn fields(verdict: &Verdict) -> Vec<&str> {
        match verdict {
            Verdict::Sound(warnings) => warnings.iter().map(|one| one.field.as_str()).collect(),
            other => panic!("{other:?}"),
        }
    }

    const GAUGE: &str = r#"{"eventType":"metrics_update","eventId":"e","sessionId":"s","channelId":"c","timestamp":"2026-03-01T12:00:00Z","bitrate":5000000}"#;

    #[test]
    fn the_decoder_rejects_and_the_schema_is_stricter() {
        assert_eq!(verdicts("f", GAUGE.as_bytes()), [Verdict::Sound(vec![])]);
        let wrong = verdicts("f", GAUGE.replace("5000000", "\"x\"").as_bytes());
        let [Verdict::Rejected(rejection)] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!((rejection.reason.as_str(), rejection.field), ("ill_typed", Some("bitrate")));
        let line = r#"{"type":"player_telemetry","schemaVersion":"one","eventId":"e","sessionId":"s","channelId":"c","playerId":"p","timestamp":1772366407089,"state":"PLAYING"}"#;
        let strayed = verdicts("f", line.as_bytes());
        let [Verdict::Strays { schema, at, .. }] = &strayed[..] else { panic!("{strayed:?}") };
        assert_eq!((*schema, at.as_str()), ("player-telemetry", "/schemaVersion"));
    }

    #[test]
    fn a_number_that_only_the_worker_can_hold_ends_nothing() {
        let huge = GAUGE.replace("\"bitrate\"", "\"x\":1e400,\"bitrate\"");
        let stretch = format!("{huge}{GAUGE}{{}}");
        let found = verdicts("f", stretch.as_bytes());
        let [Verdict::Sound(_), Verdict::Sound(_), Verdict::Rejected(_)] = &found[..] else {
            panic!("{found:?}")
        };
    }

    #[test]
    fn a_rejects_object_is_read_by_what_it_holds() {
        for data in [
            serde_json::json!({ "data": GAUGE }),
            serde_json::json!({ "dataBase64": STANDARD.encode(GAUGE) }),
        ] {
            let mut line = serde_json::json!({
                "shardId": "s", "sequenceNumber": "7", "line": 0, "partitionKey": "k",
                "arrivalMs": 1_772_366_407_089_i64, "reason": "clock_skew", "error": "clock_skew: x",
            });
            for (name, value) in data.as_object().unwrap() {
                line[name] = value.clone();
            }
            assert_eq!(verdicts("f", line.to_string().as_bytes()), [Verdict::Sound(vec![])]);
        }
    }

    #[test]
    fn a_chat_log_of_ivs_is_sound_by_its_name() {
        let line = r#"{"event_timestamp":"2026-03-31T12:00:00Z","type":"MESSAGE","payload":{"Id":"m"},"version":"1.0"}"#;
        let name = "AWSLogs/111122223333/IVSChatLogs/1.0/us-west-2/room_ab/2026/x.log.gz";
        assert_eq!(verdicts(name, line.as_bytes()), [Verdict::Sound(vec![])]);
        assert!(matches!(verdicts("x", line.as_bytes())[..], [Verdict::Rejected(_)]));
    }

    #[test]
    fn what_is_accepted_may_not_be_what_was_meant() {
        let player = r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e","sessionId":"s","channelId":"c","playerId":"p","timestamp":1772366407089,"state":"PLAYING"}"#;
        let with = |from: &str, to: &str| {
            assert!(player.contains(from), "{from}");
            fields(&verdicts("f", player.replace(from, to).as_bytes())[0]).join(" ")
        };
        assert_eq!(with("}", "}"), "");
        assert_eq!(with("}", ",\"bitrate\":3000}"), "bitrate");
        assert_eq!(with("}", ",\"bitrate\":0}"), "", "a player that has stopped");
        assert_eq!(with("}", ",\"frame_rate\":30}"), "frame_rate");
        assert_eq!(with("}", ",\"latencyMS\":30}"), "latencyMS");
        assert_eq!(with("}", ",\"bufferingMss\":30}"), "bufferingMss");
        assert_eq!(with("}", ",\"favouriteColour\":\"red\"}"), "", "others are nobody's business");
        assert_eq!(with("}", ",\"latencyMs\":-5}"), "latencyMs");
        assert_eq!(with("PLAYING", "Stalled"), "state");
        assert_eq!(with("PLAYING", "playing"), "");
        assert_eq!(with("\"schemaVersion\":1", "\"schemaVersion\":2"), "schemaVersion");
        assert_eq!(with("\"eventId\":\"e\",", ""), "eventId");
        let ivs = r#"{"version":"0","id":"i","detail-type":"IVS Stream state change","source":"aws.ivs","account":"1","time":"2026-03-01T12:00:00Z","region":"r","resources":["arn:aws:ivs:r:1:channel/c"],"detail":{"event_name":"Stream Start","stream_id":"st-1"}}"#;
        assert_eq!(fields(&verdicts("f", ivs.as_bytes())[0]), ["detail-type"]);
        let right = ivs.replace("state change", "State Change");
        assert_eq!(verdicts("f", right.as_bytes()), [Verdict::Sound(vec![])]);
    }
}
