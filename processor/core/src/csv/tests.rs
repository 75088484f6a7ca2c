use std::sync::Arc;

use super::*;
use crate::decode::{DecodeLimits, Event, decode};
use crate::minute::Minute;
use crate::window::WindowFold;
use kinesis_model::EpochMs;

/// Folds lines and writes the windows.
fn csv(lines: &[&str]) -> String {
    let mut fold = WindowFold::new();
    for line in lines {
        match decode(line.as_bytes(), EpochMs(1_748_785_900_000), &DecodeLimits::default()) {
            Ok(Event::Gauge(event)) => fold.add_gauge(&event),
            Ok(Event::Player(event)) => fold.add_player(&event),
            other => panic!("{other:?}"),
        }
    }
    let mut out = String::new();
    for (key, agg) in fold.drain() {
        write_row(&mut out, &key, &agg).unwrap();
    }
    out
}

const GAUGE: &str = r#"{"eventType":"metrics_update","sessionId":"st-1","channelId":"c1","timestamp":"2025-06-01T13:47:31Z","currentViewers":32,"bitrate":5755375,"frameRate":59.99,"chatMessagesPerMinute":1,"cpuUsage":65.59,"memoryUsage":69.46}"#;
const PLAYER: &str = r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e1","sessionId":"st-1","channelId":"c1","playerId":"p1","timestamp":"2025-06-01T13:47:02Z","state":"PLAYING","bitrate":4315097,"frameRate":29.7,"droppedFrames":0,"bufferingMs":961,"latencyMs":2789}"#;

#[test]
fn a_full_window_fills_every_measured_column() {
    let expected = "st-1,1748785620,c1,2,1,32,32,32,32,5755375,5755375,5755375,59.99,1,1,65.59,\
69.46,1,1,4315097,4315097,4315097,29.7,0,961,2789,2789,2789,2789,2789,,,0,0,0,0,,,,,,,,,,,,\n";
    assert_eq!(csv(&[GAUGE, PLAYER]), expected);
}

#[test]
fn what_no_record_carried_is_empty() {
    let gauge = "st-1,1748785620,c1,1,1,32,32,32,32,5755375,5755375,5755375,59.99,1,1,65.59,69.46,\
0,0,,,,,0,0,,,,,,,,0,0,0,0,,,,,,,,,,,,\n";
    assert_eq!(csv(&[GAUGE]), gauge);
    let player = "st-1,1748785620,c1,1,0,,,,,,,,,,,,,1,1,4315097,4315097,4315097,29.7,0,961,\
2789,2789,2789,2789,2789,,,0,0,0,0,,,,,,,,,,,,\n";
    assert_eq!(csv(&[PLAYER]), player);
}

#[test]
fn views_and_breakdowns_stand_at_the_end() {
    let view = PLAYER.replace(
        r#""latencyMs":2789"#,
        r#""playingMs":9039,"startupMs":700,"viewId":"v","viewEvent":"start","cdn":"ivs""#,
    );
    let slice = r#""{""cdn"":{""ivs"":{""records"":1,""attempts"":0,""starts"":1,""failures"":0,""playingMs"":9039,""stalledMs"":961,""stalls"":0}}}""#;
    let line = csv(&[&view]);
    // Watched 10 s, of which 961 ms were stalled: 20 + 40 × 0.039 + 25 + 15 points.
    assert!(line.ends_with(&format!(",,1,0,0,0,0,0,10000,1,61.56,700,{slice}\n")), "{line}");
}

#[test]
fn rows_have_as_many_columns_as_the_header() {
    let mut header = String::new();
    write_header(&mut header).unwrap();
    assert!(header.starts_with("session_id,window_start,channel_id,records,"), "{header}");
    assert!(header.ends_with(",startup_sum_ms,breakdowns\n"), "{header}");
    for lines in [&[GAUGE, PLAYER][..], &[GAUGE], &[PLAYER]] {
        assert_eq!(csv(lines).matches(',').count(), header.matches(',').count());
    }
}

/// Returns the row of a session of a channel.
fn named(session_id: &str, channel_id: &str) -> String {
    let agg = WindowAgg { channel_id: Arc::from(channel_id), ..WindowAgg::default() };
    let key = WindowKey { session_id: Arc::from(session_id), minute: Minute::of(EpochMs(0)) };
    let mut out = String::new();
    write_row(&mut out, &key, &agg).unwrap();
    out
}

#[test]
fn no_cell_is_a_formula() {
    for id in ["=1+1", "+1", "-rf", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
        let line = named(id, "c1");
        assert!(line.starts_with(&format!("\"'{id}\",0,c1,")), "{line:?}");
    }
    assert!(named("st-1", "a=b").starts_with("st-1,0,a=b,"), "only at the beginning");
    assert!(named("=\"x\"", "c1").starts_with("\"'=\"\"x\"\"\",0,"));
}

#[test]
fn control_characters_are_escaped() {
    let line = named("a\u{1b}[31m\0", "c\u{9b}1,\u{7f}");
    assert!(line.starts_with(r#"a\u{1b}[31m\u{0},0,"c\u{9b}1,\u{7f}","#), "{line:?}");
}

#[test]
fn names_with_separators_are_quoted() {
    let out = named("s,1", "a \"b\"\nc");
    assert!(out.starts_with("\"s,1\",0,\"a \"\"b\"\"\nc\",0,0,"), "{out}");
}
