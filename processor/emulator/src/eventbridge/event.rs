//! Events: what `PutEvents` accepts, and the envelope that rules and targets see.

use serde::Deserialize;
use serde_json::Value;

use crate::ident;
use crate::service::Shared;

/// Events per `PutEvents`.
pub(super) const ENTRIES_MAX: usize = 10;

/// All entries of a `PutEvents` together stay below this.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The bytes that AWS counts for a given time.
const TIME_BYTES: usize = 14;

/// `PutEventsRequestEntry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Entry {
    time: Option<Value>,
    source: Option<String>,
    resources: Option<Vec<String>>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
}

/// The refusal of one entry: a code and a text.
pub(super) type Refusal = (&'static str, String);

/// An accepted event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    /// Seconds since the epoch.
    pub(super) time_s: i64,
    /// The whole envelope.
    pub(super) json: String,
}

impl Entry {
    /// Returns the size as AWS counts it.
    pub(super) fn size_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let resources = self.resources.iter().flatten().map(String::len).sum::<usize>();
        let time = if self.time.is_some() { TIME_BYTES } else { 0 };
        time + length(&self.source) + length(&self.detail_type) + length(&self.detail) + resources
    }

    /// Returns the name of the bus the event is for.
    pub(super) fn bus(&self) -> &str {
        bus_name(self.event_bus_name.as_deref())
    }

    /// Returns the event, or why it is refused.
    pub(super) fn accept(&self, shared: &Shared, admit_aws: bool) -> Result<Event, Refusal> {
        let required = |text: &Option<String>, name: &str| {
            text.clone().filter(|text| !text.is_empty()).ok_or_else(|| {
                let reason = format!("{name} is a required argument.");
                ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {reason}"))
            })
        };
        let source = required(&self.source, "Source")?;
        let detail_type = required(&self.detail_type, "DetailType")?;
        let detail = required(&self.detail, "Detail")?;
        if source.starts_with("aws.") && !admit_aws {
            let message = "Not authorized for the source.".to_owned();
            return Err(("NotAuthorizedForSourceException", message));
        }
        if !serde_json::from_str::<Value>(&detail).is_ok_and(|detail| detail.is_object()) {
            return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
        }
        let now_s = i64::try_from(shared.clock.now_ms() / 1_000).unwrap_or(i64::MAX);
        let time_s = match &self.time {
            None | Some(Value::Null) => now_s,
            Some(time) => seconds(time).ok_or_else(|| {
                let message = "Parameter Time is not valid. Reason: it is not a time.".to_owned();
                ("InvalidArgument", message)
            })?,
        };
        let resources = self.resources.clone().unwrap_or_default();
        let id = ident::uuid();
        let json = format!(
            "{{\"version\":\"0\",\"id\":{},\"detail-type\":{},\"source\":{},\"account\":{},\
             \"time\":{},\"region\":{},\"resources\":{},\"detail\":{}}}",
            quoted(&id),
            quoted(&detail_type),
            quoted(&source),
            quoted(&shared.account),
            quoted(&rfc3339(time_s)),
            quoted(&shared.region),
            Value::from(resources),
            compact(&detail),
        );
        Ok(Event { id, time_s, json })
    }
}

impl Event {
    /// Returns the event as a replay sends it: with the replay's name in the envelope.
    pub(super) fn replayed(&self, replay: &str) -> Self {
        let inside = self.json.strip_suffix('}').unwrap_or(&self.json);
        let json = format!("{inside},\"replay-name\":{}}}", quoted(replay));
        Self { json, ..self.clone() }
    }

    /// Returns the bytes an archive keeps: the time, the id's length, the id, the envelope.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.time_s.to_le_bytes().to_vec();
        bytes.push(u8::try_from(self.id.len()).expect("ids are 36 bytes long"));
        bytes.extend(self.id.as_bytes());
        bytes.extend(self.json.as_bytes());
        bytes
    }

    /// Reads [`Event::to_bytes`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first()?;
        let (id, json) = rest.split_at_checked(usize::from(*length))?;
        Some(Self {
            id: std::str::from_utf8(id).ok()?.to_owned(),
            time_s: i64::from_le_bytes(*time),
            json: std::str::from_utf8(json).ok()?.to_owned(),
        })
    }
}

/// Returns the name in a bus's name or ARN; without either the default bus.
pub(super) fn bus_name(name_or_arn: Option<&str>) -> &str {
    let text = name_or_arn.unwrap_or("default");
    text.rsplit_once("event-bus/").map_or(text, |(_, name)| name)
}

/// Returns seconds since the epoch of a time in JSON: a number of them, or RFC 3339.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn seconds(time: &Value) -> Option<i64> {
    match time {
        Value::Number(number) => {
            let seconds = number.as_f64()?;
            (seconds.abs() < 2.5e11).then_some(seconds.floor() as i64)
        }
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second),
        _ => None,
    }
}

/// `2026-03-01T12:00:07Z`.
fn rfc3339(time_s: i64) -> String {
    jiff::Timestamp::from_second(time_s).unwrap_or_default().to_string()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// JSON without the spaces between its tokens, otherwise as it came: the order of keys and the
/// spelling of numbers stay.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |character: &char| {
        let was_quoted = quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        was_quoted || !character.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compaction_touches_no_text_and_no_number() {
        let json =
            "{ \"b \\\" \" : [ 1.50 , 12345678901234567890123 ],\n \"a\": \"\\\\\" , \"c\":{} }";
        assert_eq!(
            compact(json),
            "{\"b \\\" \":[1.50,12345678901234567890123],\"a\":\"\\\\\",\"c\":{}}"
        );
    }

    #[test]
    fn events_read_back_from_an_archive() {
        let event = Event { id: "i".repeat(36), time_s: -5, json: "{}".to_owned() };
        assert_eq!(Event::from_bytes(&event.to_bytes()), Some(event.clone()));
        for cut in 0..45 {
            let _ = Event::from_bytes(&event.to_bytes()[..cut]);
        }
        assert_eq!(Event::from_bytes(&[1, 2]), None);
    }

    #[test]
    fn a_bus_is_known_by_name_and_arn() {
        assert_eq!(bus_name(None), "default");
        assert_eq!(bus_name(Some("mine")), "mine");
        assert_eq!(bus_name(Some("arn:aws:events:us-east-1:000000000000:event-bus/mine")), "mine");
    }

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(seconds(&Value::from(1_772_366_407.9)), Some(1_772_366_407));
        assert_eq!(seconds(&Value::from("2026-03-01T12:00:07Z")), Some(1_772_366_407));
        assert_eq!(seconds(&Value::from(1e300)), None);
        assert_eq!(rfc3339(1_772_366_407), "2026-03-01T12:00:07Z");
    }
}
