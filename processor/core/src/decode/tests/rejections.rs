use std::collections::BTreeSet;

use super::{ARRIVAL, read};
use crate::decode::{DecodeLimits, Reason, decode};

/// Returns a player_telemetry line with further members; the last of a name counts.
fn player(members: &str) -> String {
    let base = r#""type":"player_telemetry","sessionId":"s","channelId":"c","playerId":"p""#;
    format!(r#"{{{base},"timestamp":"2025-06-01T12:00:00Z","state":"PLAYING",{members}}}"#)
}

fn gauge(members: &str) -> String {
    format!(r#"{{"eventType":"metrics_update","sessionId":"s","channelId":"c",{members}}}"#)
}

fn qos(members: &str) -> String {
    let base = r#""metric_type":"PLAY","session_id":"p","channel_watched":"c""#;
    format!("{{{base},{members}}}")
}

fn ivs(members: &str) -> String {
    let base = r#""detail-type":"IVS Stream State Change","source":"aws.ivs","id":"i""#;
    let rest = r#""time":"2025-06-01T12:00:00Z","resources":["arn:aws:ivs:r:1:channel/c"]"#;
    let detail = r#""detail":{"event_name":"Stream Start","stream_id":"st-1"}"#;
    format!("{{{base},{rest},{detail},{members}}}")
}

fn chat(members: &str) -> String {
    format!(r#"{{"event_timestamp":"2025-06-01T12:00:00Z",{members}}}"#)
}

/// Returns each line with the text its rejection must have.
#[expect(clippy::too_many_lines, reason = "a table, one line a case")]
fn cases() -> Vec<(String, &'static str)> {
    let long_id = format!(r#""playerId":"{}""#, "x".repeat(257));
    let many = format!("[{}\"x\"]", "\"x\",".repeat(2000));
    vec![
        ("{]".into(), "not_json: no string where one is due at byte 1"),
        ("[1]".into(), "not_an_object: a value that is not an object at byte 0"),
        (
            "{}".into(),
            "no_kind: none of detail-type, eventType, type, metric_type, event_timestamp",
        ),
        (r#"{"type":"x"}"#.into(), "no_kind: type: `x` names no kind of record known here"),
        (
            r#"{"eventType":"stream_pause"}"#.into(),
            "no_kind: eventType: `stream_pause` names no kind of record known here",
        ),
        (chat(r#""type":"OTHER""#), "no_kind: type: `OTHER` names no kind of record known here"),
        (r#"{"type":7}"#.into(), "ill_typed: type: a string is expected, not the number 7"),
        (
            player(r#""sessionId":null"#),
            "missing_field: sessionId: a player_telemetry record needs it",
        ),
        (player(r#""state":null"#), "missing_field: state: a player_telemetry record needs it"),
        (
            player(r#""timestamp":null"#),
            "missing_field: timestamp: a player_telemetry record needs it",
        ),
        (
            r#"{"eventType":"stream_end","sessionId":"s"}"#.into(),
            "missing_field: channelId: a stream_end record needs it",
        ),
        (
            r#"{"detail-type":"IVS Stage Update"}"#.into(),
            "missing_field: source: an IVS event needs it",
        ),
        (ivs(r#""detail":null"#), "missing_field: detail: an IVS event needs it"),
        (ivs(r#""time":null"#), "missing_field: time: an IVS event needs it"),
        (ivs(r#""resources":[]"#), "missing_field: resources: an IVS event needs it"),
        (chat(r#""type":"MESSAGE""#), "missing_field: room_arn: a chat log record needs it"),
        (chat(r#""room_id":"r""#), "missing_field: type: a chat log record needs it"),
        (
            qos(r#""channel_watched":null"#),
            "missing_field: channel_watched: a QoS sample record needs it",
        ),
        (player(r#""playerId":5"#), "ill_typed: playerId: a string is expected, not the number 5"),
        (
            player(r#""bitrate":"5""#),
            "ill_typed: bitrate: a number is expected, not the string `5`",
        ),
        (player(r#""bitrate":[5]"#), "ill_typed: bitrate: a number is expected, not an array"),
        (player(r#""bitrate":true"#), "ill_typed: bitrate: a number is expected, not a boolean"),
        (
            player(r#""timestamp":"2025-06-01 12:00, \u00e9t\u00e9 and then some more text""#),
            "ill_typed: timestamp: `2025-06-01 12:00, \\u{e9}t\\u{e9} and t...` is neither an RFC 3339 \
             time nor epoch milliseconds",
        ),
        (player(r#""timestamp":{}"#), "ill_typed: timestamp: a time is expected, not an object"),
        (ivs(r#""detail":"x""#), "ill_typed: detail: an object is expected, not the string `x`"),
        (
            ivs(r#""resources":"x""#),
            "ill_typed: resources: an array is expected, not the string `x`",
        ),
        (ivs(r#""resources":[1]"#), "ill_typed: resources: a string is expected, not the number 1"),
        (ivs(r#""resources":[null]"#), "ill_typed: resources: a string is expected, not null"),
        (
            qos(r#""error_count":"x""#),
            "ill_typed: error_count: a number is expected, not the string `x`",
        ),
        (player(r#""sessionId":"""#), "empty_id: sessionId: the id is empty"),
        (player(r#""eventId":"""#), "empty_id: eventId: the id is empty"),
        (
            player(r#""channelId":"arn:aws:ivs:us-west-2:1:channel/""#),
            "empty_id: channelId: the id is empty",
        ),
        (player(r#""bitrate":"NaN""#), "not_finite: bitrate: `NaN` is not a finite number"),
        (
            qos(r#""startup_latency_ms":"-Infinity""#),
            "not_finite: startup_latency_ms: `-Infinity` is not a finite number",
        ),
        (player(r#""bufferingMs":-0.5"#), "negative: bufferingMs: -0.5 is below zero"),
        (player(r#""bufferingMs":-1e-9"#), "negative: bufferingMs: -0.000001 is below zero"),
        (gauge(r#""bitrate":-0.0000001"#), "negative: bitrate: -0.000001 is below zero"),
        (qos(r#""error_count":"-0.0000001""#), "negative: error_count: -0.000001 is below zero"),
        (gauge(r#""currentViewers":-1"#), "negative: currentViewers: -1 is below zero"),
        (
            player(r#""startupMs":4294967295.000001"#),
            "out_of_range: startupMs: 4294967295.000001 is beyond 2^32 milliseconds, which is 49 days",
        ),
        (
            qos(r#""metric_type":"PLAYBACK_SUMMARY","live_latency_sec":4294968"#),
            "out_of_range: live_latency_sec: 4294968000 is beyond 2^32 milliseconds, which is 49 days",
        ),
        (qos(r#""startup_latency_ms":"-3""#), "negative: startup_latency_ms: -3 is below zero"),
        (
            gauge(r#""bitrate":1000000000000.000001"#),
            "out_of_range: bitrate: the number is beyond 10^12",
        ),
        (gauge(r#""bitrate":1e400"#), "out_of_range: bitrate: the number is beyond 10^12"),
        (gauge(r#""bitrate":-1e13"#), "out_of_range: bitrate: the number is beyond 10^12"),
        (
            player(r#""timestamp":1748779200"#),
            "out_of_range: timestamp: the time is outside the years 2000 to 2099 (numbers are \
             epoch milliseconds)",
        ),
        (
            player(r#""timestamp":"9223372036854775807000""#),
            "out_of_range: timestamp: the time is outside the years 2000 to 2099 (numbers are \
             epoch milliseconds)",
        ),
        (
            player(r#""timestamp":"1999-12-31T23:59:59.999Z""#),
            "out_of_range: timestamp: the time is outside the years 2000 to 2099 (numbers are \
             epoch milliseconds)",
        ),
        (
            player(r#""timestamp":1e300"#),
            "out_of_range: timestamp: the time is outside the years 2000 to 2099 (numbers are \
             epoch milliseconds)",
        ),
        (
            player(r#""timestamp":"2025-06-01T12:05:00.001Z""#),
            "clock_skew: timestamp: the event is 300001 ms ahead of its arrival",
        ),
        (player(&long_id), "too_large: playerId: 257 characters, the limit is 256"),
        (
            ivs(&format!(r#""resources":{many}"#)),
            "too_large: resources: 2001 elements, the limit is 2000",
        ),
        (format!("{{\"a\":{}", "[".repeat(100)), "too_large: nesting deeper than 64 at byte 68"),
    ]
}

#[test]
fn each_rejection_reads_well() {
    for (line, expected) in cases() {
        let rejection = read(&line).expect_err(&line);
        assert_eq!(rejection.to_string(), expected, "{line}");
    }
}

#[test]
fn the_cases_cover_every_reason_of_a_line() {
    let seen: BTreeSet<Reason> = cases().iter().map(|(l, _)| read(l).unwrap_err().reason).collect();
    let all =
        Reason::ALL.into_iter().filter(|r| !matches!(r, Reason::BadAggregate | Reason::HashRange));
    assert_eq!(seen, all.collect());
}

#[test]
fn limits_are_inclusive() {
    assert!(read(&gauge(r#""bitrate":1000000000000"#)).is_ok());
    assert!(read(&player(r#""startupMs":4294967295"#)).is_ok());
    assert!(read(&player(r#""timestamp":"2025-06-01T12:05:00Z""#)).is_ok());
    for character in ["x", "\u{65e5}", "\u{1f600}"] {
        let id =
            |count| read(&player(&format!(r#""playerId":"{}""#, character.repeat(count)))).is_ok();
        assert!(id(256) && !id(257), "{character}");
    }
}

#[test]
fn a_line_is_bounded_before_it_is_read() {
    let limits = DecodeLimits { max_line_bytes: 5, ..DecodeLimits::default() };
    let refused = |line: &[u8]| decode(line, ARRIVAL, &limits).unwrap_err().to_string();
    assert_eq!(refused(b"\xff\xff\xff\xff\xff\xff"), "too_large: 6 bytes, the limit is 5");
    assert_eq!(refused(b"\xff\xff\xff\xff\xff"), "not_json: no UTF-8 at byte 0");
}

#[test]
fn an_arrival_time_that_stands_in_is_checked_too() {
    let line = gauge(r#""cpuUsage":1"#);
    let arrival = kinesis_model::EpochMs(0);
    let rejection = decode(line.as_bytes(), arrival, &DecodeLimits::default()).unwrap_err();
    assert_eq!((rejection.reason, rejection.field), (Reason::OutOfRange, Some("timestamp")));
}
