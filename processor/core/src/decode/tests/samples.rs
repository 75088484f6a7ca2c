use std::borrow::Cow;

use super::{ARRIVAL, read};
use crate::channel::SaidBy;
use crate::decode::{
    ChatMessage, Event, FactKind, Gauge, Labels, PlayerSample, PlayerState, ViewEvent,
};
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

#[expect(clippy::unnecessary_wraps, reason = "it stands for a number that is there")]
fn some(text: &str) -> Option<Fixed> {
    Some(text.parse().unwrap())
}

/// Returns a sample in which only the ids are set.
fn sample<'a>(session: &'a str, channel: &'a str, player: &'a str) -> PlayerSample<'a> {
    PlayerSample {
        session_id: session.into(),
        channel_id: channel.into(),
        player_id: player.into(),
        event_id: None,
        time: ARRIVAL,
        state: PlayerState::Playing,
        bitrate_bps: None,
        frame_rate: None,
        dropped_frames: None,
        buffering_ms: None,
        latency_ms: None,
        latency_below_zero: false,
        playing_ms: None,
        rebuffer_count: None,
        startup_ms: None,
        error_code: None,
        error_count: None,
        view_id: None,
        view_event: None,
        labels: Default::default(),
    }
}

#[test]
fn a_full_metrics_update() {
    let line = concat!(
        r#"{"eventType":"metrics_update","sessionId":"st-1","channelId":"c1","eventId":"e1","#,
        r#""timestamp":"2025-06-01T12:00:00.036Z","currentViewers":49,"bitrate":5713585,"#,
        r#""frameRate":59.27,"chatMessagesPerMinute":1,"cpuUsage":20.7,"memoryUsage":56.68}"#
    );
    let gauge = Gauge {
        session_id: "st-1".into(),
        channel_id: "c1".into(),
        event_id: Some("e1".into()),
        time: EpochMs(ARRIVAL.0 + 36),
        viewers: some("49"),
        bitrate_bps: some("5713585"),
        frame_rate: some("59.27"),
        chat_rate: some("1"),
        cpu: some("20.7"),
        memory: some("56.68"),
    };
    assert_eq!(read(line), Ok(Event::Gauge(gauge)));
}

#[test]
fn a_bare_metrics_update_has_no_zeros_and_the_arrival_time() {
    let line = r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","bitrate":null}"#;
    let Ok(Event::Gauge(gauge)) = read(line) else {
        panic!("{:?}", read(line));
    };
    let numbers = [
        gauge.viewers,
        gauge.bitrate_bps,
        gauge.frame_rate,
        gauge.chat_rate,
        gauge.cpu,
        gauge.memory,
    ];
    assert_eq!((numbers, gauge.time, gauge.event_id), ([None; 6], ARRIVAL, None));
}

/// Returns what is told of device, country and rendition.
fn labels<'a>(device: &'a str, country: &'a str, rendition: &'a str) -> Labels<'a> {
    let told = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    [told(device), None, told(country), None, None, told(rendition)]
}

#[test]
fn a_full_player_sample_in_any_order_with_unknown_members() {
    let line = concat!(
        r#" {"latencyMs":3433,"resolution":"720p","country":"DE","extra":{"a":[1,{}]},"#,
        r#""schemaVersion":1,"type":"player_telemetry","eventId":"e-1","sessionId":"st-1","#,
        r#""channelId":"c1","playerId":"p-1","timestamp":1748779200072,"state":"BUFFERING","#,
        r#""bitrate":2961985,"frameRate":59.79,"droppedFrames":2,"bufferingMs":961,"#,
        r#""playingMs":9000,"rebufferCount":1,"startupMs":1234.5,"errorCode":"E1","errorCount":2,"#,
        r#""sequence":7,"device":"fire-tv"} "#
    );
    let expected = PlayerSample {
        event_id: Some("e-1".into()),
        time: EpochMs(ARRIVAL.0 + 72),
        state: PlayerState::Buffering,
        bitrate_bps: some("2961985"),
        frame_rate: some("59.79"),
        dropped_frames: some("2"),
        buffering_ms: some("961"),
        latency_ms: some("3433"),
        latency_below_zero: false,
        playing_ms: some("9000"),
        rebuffer_count: some("1"),
        startup_ms: some("1234.5"),
        error_code: Some("E1".into()),
        error_count: some("2"),
        labels: labels("fire-tv", "DE", "720p"),
        ..sample("st-1", "c1", "p-1")
    };
    assert_eq!(read(line), Ok(Event::Player(expected)));
}

/// A player_telemetry line with `members` in place of the usual ones; the last of a name counts.
fn player(members: &str) -> String {
    let base = r#""type":"player_telemetry","sessionId":"s","channelId":"c","playerId":"p""#;
    format!(r#"{{{base},"timestamp":"2025-06-01T12:00:00Z","state":"PLAYING"{members}}}"#)
}

#[test]
fn variants_of_a_player_sample() {
    type Change = fn(&mut PlayerSample<'_>);
    let cases: [(&str, Change); 25] = [
        ("", |_| ()),
        (r#","sessionId":"last wins""#, |s| s.session_id = "last wins".into()),
        (r#","\u0073essionId":"\ud83d\ude00\n""#, |s| s.session_id = "😀\n".into()),
        (r#","channelId":"arn:aws:ivs:us-west-2:1:channel/xY9""#, |s| s.channel_id = "xY9".into()),
        (r#","channelId":"arn:aws:ivs:us-west-2:1:channel\/xY9""#, |s| {
            s.channel_id = "xY9".into();
        }),
        (r#","channelId":"a/b""#, |s| s.channel_id = "a/b".into()),
        (r#","state":"Ready""#, |s| s.state = PlayerState::Ready),
        (r#","state":"idle""#, |s| s.state = PlayerState::Idle),
        (r#","state":"ENDED""#, |s| s.state = PlayerState::Ended),
        (r#","state":"SEEKING""#, |s| s.state = PlayerState::Other),
        (r#","errorCode":404"#, |s| s.error_code = Some("404".into())),
        (r#","timestamp":"1748779200001""#, |s| s.time.0 += 1),
        (r#","timestamp":"2025-06-01T21:05:00+09:00""#, |s| s.time.0 += 300_000),
        (r#","timestamp":"2000-01-01T00:00:00Z""#, |s| s.time.0 = 946_684_800_000),
        (r#","viewId":"v","viewEvent":"Attempt""#, |s| {
            s.view_id = Some("v".into());
            s.view_event = Some(ViewEvent::Attempt);
        }),
        (r#","viewEvent":"start","failureKind":"business""#, |s| {
            s.view_event = Some(ViewEvent::Start);
        }),
        (r#","viewEvent":"failure""#, |s| s.view_event = Some(ViewEvent::StartFailureTechnical)),
        (r#","viewEvent":"failure","failureKind":"Business""#, |s| {
            s.view_event = Some(ViewEvent::StartFailureBusiness);
        }),
        (r#","viewEvent":"failure","failureKind":"new""#, |s| {
            s.view_event = Some(ViewEvent::StartFailureTechnical);
        }),
        (r#","viewEvent":"error""#, |s| s.view_event = Some(ViewEvent::PlaybackFailure)),
        (r#","viewEvent":"end""#, |s| s.view_event = Some(ViewEvent::End)),
        (r#","viewEvent":"end","viewStarted":true"#, |s| s.view_event = Some(ViewEvent::End)),
        (r#","viewEvent":"\u0065nd","viewStarted":false"#, |s| {
            s.view_event = Some(ViewEvent::ExitBeforeStart);
        }),
        (r#","viewEvent":"paused","viewStarted":false"#, |_| ()),
        (r#","device":"","country":7,"resolution":null,"os":"\u0069os""#, |s| {
            s.labels[1] = Some("ios".into());
        }),
    ];
    for (members, change) in cases {
        let mut expected = sample("s", "c", "p");
        change(&mut expected);
        assert_eq!(read(&player(members)), Ok(Event::Player(expected)), "{members}");
    }
}

#[test]
fn texts_are_borrowed_unless_they_have_escapes() {
    let line = player(r#","playerId":"\u0070""#);
    let Ok(Event::Player(sample)) = read(&line) else {
        panic!("{:?}", read(&line));
    };
    assert!(matches!(sample.session_id, Cow::Borrowed("s")));
    assert_eq!(sample.player_id, Cow::<str>::Owned("p".to_owned()));
}

/// Returns a sample of a player of the QoS sample in which only the ids are set.
fn qos_base() -> PlayerSample<'static> {
    PlayerSample { view_id: Some("p-9".into()), ..sample("qos:chan", "chan", "p-9") }
}

fn assert_qos(members: &str, expected: PlayerSample<'_>) {
    let common = r#""user_id":"u","session_id":"p-9","client_platform":"web","is_live":true"#;
    let line = format!(r#"{{{common},"channel_watched":"chan",{members}}}"#);
    assert_eq!(read(&line), Ok(Event::Player(expected)), "{members}");
}

#[test]
fn the_records_of_the_qos_sample() {
    let base = qos_base;
    let started = Some(ViewEvent::Start);
    let cases = [
        (
            r#""metric_type":"PLAY","start_playback_position_sec":0,"startup_latency_ms":812"#,
            PlayerSample { startup_ms: some("812"), view_event: started, ..base() },
        ),
        (
            concat!(
                r#""metric_type":"PLAYBACK_SUMMARY","event_time":"1748779199000","error_count":1,"#,
                r#""playing_time_ms":59000,"buffering_time_ms":"1000","buffering_count":2,"#,
                r#""rendition_height":720,"rendition_name":"720p","live_latency_ms":2500"#
            ),
            PlayerSample {
                time: EpochMs(ARRIVAL.0 - 1000),
                error_count: some("1"),
                playing_ms: some("59000"),
                buffering_ms: some("1000"),
                rebuffer_count: some("2"),
                latency_ms: some("2500"),
                labels: labels("", "", "720p"),
                ..base()
            },
        ),
        (
            concat!(
                r#""metric_type":"PLAYBACK_SUMMARY","CloudFront-Is-Mobile-Viewer":"true","#,
                r#""CloudFront-Is-Desktop-Viewer":false,"CloudFront-Viewer-Country":"JP""#
            ),
            PlayerSample { labels: labels("mobile", "JP", ""), ..base() },
        ),
        // Clients repeat the time to the first frame in every summary, or say 0.
        (r#""metric_type":"PLAYBACK_SUMMARY","startup_latency_ms":812"#, base()),
        (r#""metric_type":"QUALITY_CHANGED","startup_latency_ms":0"#, base()),
        (
            // A published client sends its PLAY under this type.
            r#""metric_type":"STOP","startup_latency_ms":1500"#,
            PlayerSample {
                state: PlayerState::Ended,
                startup_ms: some("1500"),
                view_event: started,
                ..base()
            },
        ),
        (
            r#""metric_type":"QUALITY_CHANGED","from_bitrate":1,"to_bitrate":3000000"#,
            PlayerSample { bitrate_bps: some("3000000"), ..base() },
        ),
        (
            r#""metric_type":"STOP","end_playback_position_sec":"12","event_time":1748779200000"#,
            PlayerSample { state: PlayerState::Ended, view_event: Some(ViewEvent::End), ..base() },
        ),
        (
            r#""metric_type":"QUALITY_CHANGED","client_platform":"ios","to_rendition_name":"480p""#,
            PlayerSample {
                labels: [None, Some("ios".into()), None, None, None, Some("480p".into())],
                ..base()
            },
        ),
    ];
    for (members, expected) in cases {
        assert_qos(members, expected);
    }
}

#[test]
fn the_latencies_of_the_qos_sample() {
    let base = qos_base;
    let cases = [
        (r#""metric_type":"PLAYBACK_SUMMARY","live_latency_ms":-1"#, base()),
        (r#""metric_type":"PLAYBACK_SUMMARY","live_latency_ms":"-1""#, base()),
        (
            r#""metric_type":"PLAYBACK_SUMMARY","live_latency_sec":"-1","live_latency_ms":null"#,
            base(),
        ),
        (
            r#""metric_type":"PLAYBACK_SUMMARY","live_latency_sec":"3""#,
            PlayerSample { latency_ms: some("3000"), ..base() },
        ),
        (
            r#""metric_type":"PLAYBACK_SUMMARY","live_latency_sec":3,"live_latency_ms":"2750""#,
            PlayerSample { latency_ms: some("2750"), ..base() },
        ),
        (
            r#""metric_type":"PLAYBACK_SUMMARY","live_latency_ms":-250,"error_count":1"#,
            PlayerSample { latency_below_zero: true, error_count: some("1"), ..base() },
        ),
        (
            r#""metric_type":"PLAYBACK_SUMMARY","live_latency_sec":"-0.5""#,
            PlayerSample { latency_below_zero: true, ..base() },
        ),
    ];
    for (members, expected) in cases {
        assert_qos(members, expected);
    }
}

#[test]
fn other_records_of_the_qos_sample_are_counted_as_unknown_and_no_more() {
    for (line, time) in [
        (
            r#"{"metric_type":"QUIZ_ANSWER","session_id":"p","answer":"b","event_time":1748779199000}"#,
            EpochMs(ARRIVAL.0 - 1_000),
        ),
        (r#"{"metric_type":"STREAM_START","channel_watched":"c","region":"r"}"#, ARRIVAL),
        (r#"{"metric_type":"CHANNEL_CONCURRENCY","channel_count":3}"#, ARRIVAL),
    ] {
        let Ok(Event::Fact(fact)) = read(line) else { panic!("{line}") };
        assert_eq!((&fact.kind, fact.time), (&FactKind::Foreign, time), "{line}");
        assert!(fact.kind.is_unknown() && fact.kind.is_counted_only());
    }
}

#[test]
fn a_latency_below_zero_is_left_out_and_the_rest_counts() {
    let line = player(r#","latencyMs":-250,"playingMs":5"#);
    let Ok(Event::Player(sample)) = read(&line) else { panic!("{:?}", read(&line)) };
    assert_eq!((sample.latency_ms, sample.latency_below_zero), (None, true));
    assert_eq!(sample.playing_ms, some("5"));
}

#[test]
fn half_an_emoji_is_a_replacement_character() {
    let cut = player(r#","playerId":"cut \ud83d","device":"\udc00\ud83d\ud83d\ude00""#);
    let Ok(Event::Player(sample)) = read(&cut) else { panic!("{:?}", read(&cut)) };
    assert_eq!(sample.player_id, "cut \u{fffd}");
}

#[test]
fn chat_log_records() {
    let base = ChatMessage {
        room_id: "room1".into(),
        session_id: "chat:room1".into(),
        channel_id: "room1".into(),
        channel_said_by: SaidBy::Guess,
        event_id: Some("m1".into()),
        time: EpochMs(ARRIVAL.0 + 5),
        messages: 1,
    };
    let time = r#""event_timestamp":"2025-06-01T12:00:00.005Z","version":"1.0""#;
    let chat = |rest: &str| format!("{{{time},{rest}}}");
    let arn = r#""arn:aws:ivschat:us-west-2:111122223333:room/room1""#;
    let cases = [
        (
            format!(r#""type":"MESSAGE","room_arn":{arn},"payload":{{"Id":"m1","Content":"hi"}}"#),
            base.clone(),
        ),
        (format!(r#""type":"MESSAGE","payload":{{"Id":"m1","RoomArn":{arn}}}"#), base.clone()),
        (
            r#""type":"EVENT","room_id":"room1","payload":"gone""#.to_owned(),
            ChatMessage { messages: 0, event_id: None, ..base.clone() },
        ),
        (
            r#""type":"MESSAGE","room_id":"room1","sessionId":"st-1","channelId":"c1""#.to_owned(),
            ChatMessage {
                session_id: "st-1".into(),
                channel_id: "c1".into(),
                channel_said_by: SaidBy::Backend,
                event_id: None,
                ..base
            },
        ),
    ];
    for (members, expected) in cases {
        assert_eq!(read(&chat(&members)), Ok(Event::Chat(expected)), "{members}");
    }
}

#[test]
fn every_kind_tells_its_time_and_id() {
    for line in [
        r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","eventId":"e"}"#,
        r#"{"eventType":"stream_start","sessionId":"s","channelId":"c","eventId":"e"}"#,
        r#"{"type":"player_telemetry","sessionId":"s","channelId":"c","playerId":"p",
            "timestamp":1748779200000,"state":"IDLE","eventId":"e"}"#,
        r#"{"event_timestamp":1748779200000,"type":"MESSAGE","room_id":"r","payload":{"Id":"e"}}"#,
    ] {
        let event = read(line).unwrap();
        assert_eq!((event.time(), event.event_id()), (ARRIVAL, Some("e")), "{line}");
    }
}
