use super::{ARRIVAL, read};
use crate::decode::{
    AdBreak, AppEnd, AppStart, Event, Fact, FactKind, FactOrigin, FactScope, IngestAudio,
    IngestConfiguration, IngestVideo, LimitBreach, Reason, Recording, RecordingPhase, StageEvent,
};
use crate::fixed::Fixed;
use kinesis_model::EpochMs;

const CHANNEL: &str = r#""arn:aws:ivs:ap-northeast-1:111122223333:channel/Qw3r""#;
const STAGE: &str = r#""arn:aws:ivs:ap-northeast-1:111122223333:stage/Ab1""#;

/// Returns an envelope with the given type, resources and detail.
fn envelope(detail_type: &str, resources: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"6b1f","detail-type":"{detail_type}","source":"aws.ivs",
        "account":"111122223333","time":"2025-06-01T12:00:07Z","region":"ap-northeast-1",
        "resources":[{resources}],"detail":{{{detail}}}}}"#
    )
}

fn fact(line: &str) -> Fact {
    match read(line) {
        Ok(Event::Fact(fact)) => *fact,
        other => panic!("{line}: {other:?}"),
    }
}

fn session() -> FactScope {
    FactScope::Session { session_id: "st-7".into(), channel_id: "Qw3r".into() }
}

fn account() -> FactScope {
    FactScope::Account { account: "111122223333".into(), region: "ap-northeast-1".into() }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn stream_state_and_health() {
    let state = "IVS Stream State Change";
    let health = "IVS Stream Health Change";
    for (detail_type, name, rest, kind, event_type) in [
        (state, "Session Created", "", FactKind::SessionCreated, "session_created"),
        (
            state,
            "Session Ended",
            r#","code":"MultitrackInputNotAllowed""#,
            FactKind::SessionEnded { code: text("MultitrackInputNotAllowed") },
            "session_ended",
        ),
        (state, "Session Ended", "", FactKind::SessionEnded { code: None }, "session_ended"),
        (state, "Stream Start", "", FactKind::StreamStart, "stream_start"),
        (state, "Stream End", "", FactKind::StreamEnd, "stream_end"),
        (
            state,
            "Stream Failure",
            r#","reason":"capacity""#,
            FactKind::StreamFailure { reason: text("capacity") },
            "stream_failure",
        ),
        (state, "Stream Takeover", "", FactKind::Takeover, "stream_takeover"),
        (
            state,
            "Stream Takeover Failure",
            r#","code":"StreamTakeoverInvalidPriority""#,
            FactKind::TakeoverFailure { code: text("StreamTakeoverInvalidPriority") },
            "stream_takeover_failure",
        ),
        (health, "Starvation Start", "", FactKind::StarvationStart, "starvation_start"),
        (health, "Starvation End", "", FactKind::StarvationEnd, "starvation_end"),
    ] {
        let detail = format!(r#""event_name":"{name}","channel_name":"","stream_id":"st-7"{rest}"#);
        let expected = Fact {
            scope: session(),
            time: EpochMs(ARRIVAL.0 + 7000),
            kind,
            event_id: text("6b1f"),
            origin: FactOrigin::Ivs,
        };
        let fact = fact(&envelope(detail_type, CHANNEL, &detail));
        assert_eq!(fact.kind.event_type(), Some(event_type));
        assert_eq!(fact, expected, "{name}");
    }
}

#[test]
fn limit_breaches_of_streams_and_accounts() {
    let breach = |limit: &str, unit: Option<&str>| {
        FactKind::LimitBreach(LimitBreach {
            limit: limit.into(),
            value: Fixed::from_int(100),
            exceeded_by: Fixed::from_int(3),
            unit: unit.map(Into::into),
        })
    };
    let numbers = r#""limit_value":100,"exceeded_by":3"#;
    for (name, resources, rest, unit, scope) in [
        (
            "limit_name",
            CHANNEL,
            r#","limit_unit":"bps","stream_id":"st-7""#,
            Some("bps"),
            session(),
        ),
        ("limit", CHANNEL, "", None, FactScope::Channel { channel_id: "Qw3r".into() }),
        ("limit_name", "", r#","limit_unit":"viewers""#, Some("viewers"), account()),
        ("limit", "", "", None, account()),
    ] {
        let detail = format!(r#""{name}":"Some Limit",{numbers}{rest}"#);
        let fact = fact(&envelope("IVS Limit Breach", resources, &detail));
        assert_eq!((fact.kind, fact.scope), (breach("Some Limit", unit), scope), "{detail}");
    }
}

#[test]
fn recordings() {
    for (status, phase, event_type) in [
        ("Recording Start", RecordingPhase::Start, "recording_start"),
        ("Recording End", RecordingPhase::End, "recording_end"),
        ("Recording Start Failure", RecordingPhase::StartFailure, "recording_start_failure"),
        ("Recording End Failure", RecordingPhase::EndFailure, "recording_end_failure"),
    ] {
        let detail = format!(
            r#""channel_name":"a","stream_id":"st-7","recording_status":"{status}",
            "recording_status_reason":"","recording_s3_bucket_name":"b",
            "recording_s3_key_prefix":"ivs/v1","recording_duration_ms":5400123,
            "recording_session_id":"r1","recording_session_stream_ids":["st-7","st-8"]"#
        );
        let fact = fact(&envelope("IVS Recording State Change", CHANNEL, &detail));
        let expected = Recording {
            phase,
            reason: None,
            bucket: text("b"),
            key_prefix: text("ivs/v1"),
            duration_ms: Fixed::from_int(5_400_123),
            recording_id: text("r1"),
            stream_ids: vec!["st-7".into(), "st-8".into()],
        };
        assert_eq!(fact.kind.event_type(), Some(event_type));
        assert_eq!((fact.kind, fact.scope), (FactKind::Recording(expected), session()));
    }
}

#[test]
fn ad_breaks() {
    let detail = r#""event_name":"Ad Break Inserted","stream_id":"st-7","ad_break_id":"a1",
        "duration_seconds":30,"target_start_time":"2026-03-01T12:20:00Z""#;
    let fact = fact(&envelope("IVS Ad Break State Change", CHANNEL, detail));
    let expected = AdBreak {
        ad_break_id: text("a1"),
        duration_s: Fixed::from_int(30),
        target_start: text("2026-03-01T12:20:00Z"),
    };
    assert_eq!(fact.kind.event_type(), Some("ad_break_inserted"));
    assert_eq!((fact.kind, fact.scope), (FactKind::AdBreak(expected), session()));
}

#[test]
fn stages_compositions_and_participants() {
    let stage = |session_id| FactScope::Stage { stage_id: "Ab1".into(), session_id };
    let composition = CHANNEL.replace("channel/Qw3r", "composition/Co1");
    for (detail_type, resources, detail, scope, error_code, stage_id) in [
        (
            "IVS Stage Update",
            STAGE,
            r#""session_id":"st-Ab","event_name":"N","participant_id":"p","error_code":"E""#,
            stage(text("st-Ab")),
            text("E"),
            None,
        ),
        (
            "IVS Participant Recording State Change",
            STAGE,
            r#""event_name":"N","participant_id":"p""#,
            stage(None),
            None,
            None,
        ),
        (
            "IVS Composition State Change",
            &composition,
            r#""event_name":"N","participant_id":"p","stage_arn":"arn:aws:ivs:r:1:stage/St1""#,
            FactScope::Composition { composition_id: "Co1".into() },
            None,
            text("St1"),
        ),
    ] {
        let fact = fact(&envelope(detail_type, resources, detail));
        let expected = FactKind::Stage(StageEvent {
            detail_type: detail_type.into(),
            name: text("N"),
            participant_id: text("p"),
            stage_id,
            destination_id: None,
            error_code,
            reason: None,
        });
        assert_eq!((fact.kind, fact.scope), (expected, scope), "{detail_type}");
    }
}

#[test]
fn failures_of_stages_have_types_of_their_own() {
    for (detail_type, name, event_type) in [
        ("IVS Stage Update", "Participant Publish Error", "participant_publish_error"),
        ("IVS Stage Update", "Participant Published", "stage_update"),
        ("IVS Composition State Change", "Session Failure", "composition_failure"),
        ("IVS Composition State Change", "Destination Failure", "composition_destination_failure"),
        ("IVS Composition State Change", "Session Start", "composition_update"),
        ("IVS Participant Recording State Change", "Recording Start", "participant_recording"),
        (
            "IVS Participant Recording State Change",
            "Recording End Failure",
            "participant_recording_failure",
        ),
    ] {
        let fact = fact(&envelope(detail_type, STAGE, &format!(r#""event_name":"{name}""#)));
        assert_eq!(fact.kind.event_type(), Some(event_type), "{name}");
    }
}

#[test]
fn of_a_type_that_is_not_known_nothing_is_known_to_be_wrong() {
    let line = envelope("IVS Something New", CHANNEL, r#""event_name":true,"stream_id":5"#);
    let fact = fact(&line);
    assert_eq!(fact.scope, FactScope::Channel { channel_id: "Qw3r".into() });
    let detail_type = "IVS Something New".to_owned();
    assert_eq!(fact.kind, FactKind::Unknown { detail_type, name: None });
}

#[test]
fn what_is_new_is_kept_as_unknown() {
    for (detail_type, resources, detail, name, scope) in [
        (
            "IVS Publisher Recording State Change",
            CHANNEL,
            r#""event_name":"New","stream_id":"st-7""#,
            text("New"),
            session(),
        ),
        ("IVS Stream State Change", CHANNEL, r#""stream_id":"st-7""#, None, session()),
        (
            "IVS Recording State Change",
            CHANNEL,
            r#""recording_status":"Recording Paused","stream_id":"st-7""#,
            text("Recording Paused"),
            session(),
        ),
        ("Something", "", r#""stream_id":"st-7""#, None, account()),
    ] {
        let fact = fact(&envelope(detail_type, resources, detail));
        assert_eq!(fact.kind.event_type(), Some("unknown"));
        let kind = FactKind::Unknown { detail_type: detail_type.into(), name };
        assert_eq!((fact.kind, fact.scope), (kind, scope), "{detail_type}");
    }
}

#[test]
fn api_calls_are_ignored_and_substitute_sources_are_not() {
    let call = fact(&envelope("AWS API Call via CloudTrail", "", r#""eventName":"GetStream""#));
    assert_eq!(
        (call.kind.event_type(), call.kind, call.scope),
        (None, FactKind::Ignored, account())
    );

    let detail = r#""event_name":"Stream Start","stream_id":"st-7""#;
    let line = envelope("IVS Stream State Change", CHANNEL, detail);
    let substitute = fact(&line.replace("aws.ivs", "local.ivs"));
    assert_eq!(substitute, fact(&line));
    let refused = read(&line.replace("\"aws.ivs", "\"aws.s3")).unwrap_err();
    assert_eq!((refused.reason, refused.field), (Reason::NoKind, Some("source")));
}

#[test]
fn a_stream_event_without_its_stream_is_about_the_channel() {
    let line = envelope("IVS Stream State Change", CHANNEL, r#""event_name":"Stream Start""#);
    let fact = fact(&line);
    let channel = FactScope::Channel { channel_id: "Qw3r".into() };
    assert_eq!((fact.kind, fact.scope), (FactKind::StreamStart, channel));
}

#[test]
fn application_events() {
    let ids = r#""sessionId":"st-7","channelId":"Qw3r""#;
    let start = format!(
        r#"{{"eventType":"stream_start",{ids},"eventId":"e","timestamp":"2025-06-01T12:00:01Z",
        "streamerUserId":"u","streamTitle":"日本語 \"live\"","streamQuality":"720p"}}"#
    );
    let expected = Fact {
        scope: session(),
        time: EpochMs(ARRIVAL.0 + 1000),
        kind: FactKind::AppStart(AppStart {
            streamer_user_id: text("u"),
            title: text("日本語 \"live\""),
            quality: text("720p"),
        }),
        event_id: text("e"),
        origin: FactOrigin::Application,
    };
    assert_eq!(expected.kind.event_type(), Some("stream_start"));
    assert_eq!(fact(&start), expected);

    let end = format!(
        r#"{{"eventType":"stream_end",{ids},"duration":3600.5,"peakViewers":10,
        "totalChatMessages":7,"avgBitrate":2500000}}"#
    );
    let fact = fact(&end);
    let expected = FactKind::AppEnd(AppEnd {
        duration_s: Some("3600.5".parse().unwrap()),
        peak_viewers: Fixed::from_int(10),
        total_chat_messages: Fixed::from_int(7),
        avg_bitrate_bps: Fixed::from_int(2_500_000),
    });
    assert_eq!(fact.kind.event_type(), Some("stream_end"));
    assert_eq!((fact.kind, fact.time), (expected, ARRIVAL));
}

/// Exactness of a repair hangs on this: an event that comes late after all is the fact that is there.
#[test]
fn a_fact_from_the_reconciler_is_the_fact_of_ivs() {
    let detail = r#""event_name":"Stream Start","channel_name":"","stream_id":"st-7""#;
    let genuine = envelope("IVS Stream State Change", CHANNEL, detail);
    let repaired = genuine.replace("aws.ivs", "reconciler").replace("6b1f", "reconciler-1");
    let expected = Fact { event_id: text("reconciler-1"), ..fact(&genuine) };
    assert_eq!(fact(&repaired), expected);
    let other = genuine.replace("aws.ivs", "reconcilers");
    assert_eq!(read(&other).unwrap_err().reason, Reason::NoKind);
}

#[test]
fn settings_of_an_encoder() {
    let ingest = |detail: &str| envelope("IVS Ingest Configuration", CHANNEL, detail);
    let detail = r#""stream_id":"st-7","video":{"codec":"avc1.4D401F","encoder":"","avcProfile":"Main",
        "avcLevel":"3.1","videoWidth":1280,"videoHeight":720,"targetFramerate":29.97,"more":[]},
        "audio":{"codec":"mp4a.40.2","channels":2,"sampleRate":48000,"targetBitrate":160000}"#;
    let arc = |text: &str| Some(text.into());
    let video = IngestVideo {
        codec: arc("avc1.4D401F"),
        encoder: None,
        profile: arc("Main"),
        level: arc("3.1"),
        width: Fixed::from_int(1_280),
        height: Fixed::from_int(720),
        frame_rate: Some("29.97".parse().unwrap()),
        bitrate_bps: None,
    };
    let audio = IngestAudio {
        codec: arc("mp4a.40.2"),
        channels: Fixed::from_int(2),
        sample_rate_hz: Fixed::from_int(48_000),
        bitrate_bps: Fixed::from_int(160_000),
    };
    let told = fact(&ingest(detail));
    let expected = FactKind::Ingest(Box::new(IngestConfiguration { video, audio }));
    assert_eq!((&told.kind, &told.scope), (&expected, &session()));
    assert_eq!(told.kind.event_type(), None);
    let bare = fact(&ingest(r#""stream_id":"st-7","video":null"#)).kind;
    assert_eq!(bare, FactKind::Ingest(Box::default()));
    for (broken, expected) in [
        (r#""video":{}"#, "missing_field: stream_id"),
        (r#""stream_id":"st-7","video":[]"#, "ill_typed: video"),
        (r#""stream_id":"st-7","audio":{"channels":"2"}"#, "ill_typed: channels"),
        (r#""stream_id":"st-7","video":{"videoWidth":-1}"#, "negative: videoWidth"),
    ] {
        let said = read(&ingest(broken)).unwrap_err().to_string();
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_long_text_of_an_encoder_is_kept_in_part_and_the_same_part_everywhere() {
    let long = "語".repeat(300);
    let kept = IngestConfiguration::kept(&long).unwrap();
    assert_eq!((kept.len(), IngestConfiguration::kept(&kept)), (255, Some(kept.clone())));
    assert_eq!(IngestConfiguration::known(0), None);
    assert_eq!(IngestConfiguration::known(30), Fixed::from_int(30));
}
