//! Records that are accepted and in their schema, and yet hardly as their producer meant them.

use ivs_schemas::names::{CHANNEL_DETAIL_TYPES, STAGE_DETAIL_TYPES};
use serde_json::{Map, Value};

/// Something suspicious about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// The member, as the record spells it.
    pub(super) field: String,
    /// The suspicion, and the advice.
    pub(super) detail: String,
}

/// A bitrate below this, bits/s, is likelier a number of kilobits: audio alone has more.
const LOW_BITRATE_BPS: f64 = 50_000.0;
/// The members that hold bitrates.
const BITRATES: [&str; 5] =
    ["bitrate", "avgBitrate", "to_bitrate", "from_bitrate", "to_rendition_bitrate"];
/// The members that hold latencies.
const LATENCIES: [&str; 3] = ["latencyMs", "live_latency_ms", "live_latency_sec"];
/// The states of IVS's players.
const STATES: [&str; 5] = ["IDLE", "READY", "BUFFERING", "PLAYING", "ENDED"];
/// The kinds of which a record that is sent twice counts twice, unless it has an id.
const COUNTED_BY_ID: [&str; 2] = ["metrics-update", "player-telemetry"];
/// The version of telemetry that this program was written for.
const SCHEMA_VERSION: f64 = 1.0;

/// Returns what is suspicious about a record, given its schema's name and the members that it
/// names.
pub(super) fn warnings(record: &Value, schema: Option<(&str, &Vec<String>)>) -> Vec<Warning> {
    let Some(record) = record.as_object() else { return Vec::new() };
    let mut found = Vec::new();
    let mut warn = |field: &str, detail: String| {
        found.push(Warning { field: field.to_owned(), detail });
    };
    for name in BITRATES {
        if let Some(bps) = number(record, name).filter(|bps| *bps > 0.0 && *bps < LOW_BITRATE_BPS) {
            warn(name, format!("{bps} bits a second is too little for video; is it kilobits?"));
        }
    }
    for name in LATENCIES {
        if number(record, name).is_some_and(|ms| ms < 0.0 && ms.to_bits() != (-1.0_f64).to_bits()) {
            let detail = "below zero, so it is left out: the viewer's clock is ahead";
            warn(name, detail.to_owned());
        }
    }
    if let Some(state) = record.get("state").and_then(Value::as_str)
        && schema.is_some_and(|(name, _)| name == "player-telemetry")
        && !STATES.iter().any(|known| known.eq_ignore_ascii_case(state))
    {
        warn("state", format!("`{state}` is not a state of an IVS player ({})", STATES.join(", ")));
    }
    if let Some(version) = number(record, "schemaVersion")
        && version.to_bits() != SCHEMA_VERSION.to_bits()
    {
        warn("schemaVersion", format!("{version}, and this program knows {SCHEMA_VERSION}"));
    }
    if let Some((name, members)) = schema {
        if COUNTED_BY_ID.contains(&name) && record.get("eventId").is_none_or(Value::is_null) {
            let detail = "absent, so a record that is sent twice counts twice";
            warn("eventId", detail.to_owned());
        }
        for (unknown, known) in misspelt(record, members) {
            warn(unknown, format!("unknown, so it is ignored; is `{known}` meant?"));
        }
    }
    if let Some(given) = record.get("detail-type").and_then(Value::as_str) {
        let mut known = CHANNEL_DETAIL_TYPES.iter().chain(STAGE_DETAIL_TYPES);
        if let Some(known) =
            known.find(|known| known.eq_ignore_ascii_case(given) && **known != given)
        {
            warn("detail-type", format!("unknown, so it is only counted; is `{known}` meant?"));
        }
    }
    found
}

fn number(record: &Map<String, Value>, name: &str) -> Option<f64> {
    match record.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// Members that the schema does not name, each with a name of it that is spelt much alike.
fn misspelt<'a>(
    record: &'a Map<String, Value>,
    members: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let unknown = record.keys().filter(|name| !members.contains(name));
    unknown.filter_map(|unknown| {
        let plain = plain(unknown);
        let is_close = |known: &&String| {
            let most = if plain.len() > 5 { 2 } else { 1 };
            !record.contains_key(*known) && distance(&plain, &self::plain(known)) <= most
        };
        // A short name is close to many.
        let known = members.iter().find(is_close).filter(|_| plain.len() > 3)?;
        Some((unknown.as_str(), known.as_str()))
    })
}

/// Returns a name without case and what joins its words.
fn plain(name: &str) -> Vec<u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// Returns how many bytes must be put in, left out or changed to make one of the other.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for column in 0..other.len() {
            let changed = diagonal + usize::from(*byte != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("framerate", "framrate", 1),
            ("latencyms", "latencysm", 2),
        ] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
            assert_eq!(distance(other.as_bytes(), one.as_bytes()), expected, "{one} {other}");
        }
    }
}
