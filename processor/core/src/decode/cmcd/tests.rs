use super::*;
use crate::decode::Reason;
use kinesis_model::EpochMs;

const ARRIVAL: EpochMs = EpochMs(1_772_000_060_000);

fn read_line(line: &str) -> Option<Result<Event<'static>, Rejection>> {
    read(line.as_bytes(), &Context::from(ARRIVAL), &DecodeLimits::default())
}

fn sample(line: &str) -> PlayerSample<'static> {
    match read_line(line) {
        Some(Ok(Event::Player(sample))) => sample,
        other => panic!("{line}: {other:?}"),
    }
}

/// A report with what every one needs, and `more`.
fn report(more: &str) -> String {
    format!("cid=\"ch/st-1\",sid=\"6e2f\",sn=3,ts=1772000000000,v=2,{more}")
}

fn whole(value: i64) -> Option<Fixed> {
    Fixed::from_int(value)
}

#[test]
fn an_event_report_is_a_sample_of_its_view() {
    let line = report(r#"br=(2300;v 128;a),cdn="cf",e=t,ltc=3200,sta=p,bl=(4200)"#);
    let sample = sample(&line);
    assert_eq!((&*sample.channel_id, &*sample.session_id), ("ch", "st-1"));
    assert_eq!((&*sample.player_id, sample.view_id.as_deref()), ("6e2f", Some("6e2f")));
    assert_eq!(sample.event_id.as_deref(), Some("6e2f:3:1772000000000"));
    assert_eq!(sample.time, EpochMs(1_772_000_000_000));
    assert_eq!(sample.state, PlayerState::Playing);
    assert_eq!((sample.bitrate_bps, sample.latency_ms), (whole(2_300_000), whole(3_200)));
    assert_eq!(sample.labels[4].as_deref(), Some("cf"));
    let absent = [sample.playing_ms, sample.buffering_ms, sample.rebuffer_count, sample.startup_ms];
    assert_eq!(absent, [None; 4]);
    assert_eq!((sample.view_event, sample.error_count), (None, None));
}

#[test]
fn channel_and_session_come_from_cid() {
    let named = |cid: &str| {
        let sample = sample(&report("e=t").replace("ch/st-1", cid));
        format!("{} {}", sample.channel_id, sample.session_id)
    };
    assert_eq!(named("abcd"), "abcd qos:abcd");
    assert_eq!(named("abcd/st-7"), "abcd st-7");
    assert_eq!(named("arn:aws:ivs:us-east-1:1:channel/abcd"), "abcd qos:abcd");
    assert_eq!(named("arn:aws:ivs:us-east-1:1:channel/abcd/st-7"), "abcd st-7");
    let refused = read_line(&report("e=t").replace("ch/st-1", "ch/")).unwrap().unwrap_err();
    assert_eq!((refused.reason, refused.field), (Reason::MissingField, Some("cid")));
}

#[test]
fn a_start_a_stall_an_error_and_an_end_are_told() {
    let start = sample(&report("e=ps,sta=p,msd=812"));
    assert_eq!((start.view_event, start.startup_ms), (Some(ViewEvent::Start), whole(812)));
    assert_eq!(sample(&report("e=ps,sta=p")).view_event, None);
    let stall = sample(&report("e=ps,sta=r,bs,bsa=(4)"));
    assert_eq!((stall.state, stall.rebuffer_count), (PlayerState::Buffering, whole(1)));
    let over = sample(&report("e=ps,sta=p,bsd=(640 20;v)"));
    assert_eq!((over.buffering_ms, over.rebuffer_count), (whole(660), None));
    assert_eq!(sample(&report("e=t,sta=r,bs")).rebuffer_count, None);
    assert_eq!(sample(&report("e=t,sta=p,bsd=(640)")).buffering_ms, None, "it is told again");
    let error = sample(&report(r#"e=e,ec=("frag\"LoadError" "b"),sta=f"#));
    assert_eq!(error.error_code.as_deref(), Some("frag\"LoadError"));
    assert_eq!(error.error_count, whole(2));
    for over in ["e", "q"] {
        let sample = sample(&report(&format!("e=ps,sta={over}")));
        assert_eq!((sample.view_event, sample.state), (Some(ViewEvent::End), PlayerState::Ended));
    }
}

#[test]
fn a_response_is_counted_and_no_more() {
    let read = read_line(&report(r#"e=rr,rc=200,url="https://cdn/1.ts",ttfb=20,ttlb=80"#));
    let Some(Ok(Event::Fact(fact))) = read else { panic!("{read:?}") };
    assert_eq!(fact.kind, FactKind::Foreign);
}

#[test]
fn a_real_time_log_of_cloudfront_is_read() {
    let query = "CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Ccid%3D%22ch%22%2Cd%3D4004%2Cnor%3D%22..%252F300kbps%252Ft.m4v%22\
                 %2Cot%3Dv%2Csf%3Dh%2Csid%3D%226e2f%22%2Cst%3Dl%2Csu";
    for query in [query.to_owned(), format!("a=1&{query}&b=2"), query.replace('%', "%25")] {
        let sample = sample(&format!("1772000000.123\t203.0.113.9\t200\t{query}\tGET"));
        assert_eq!(sample.time, EpochMs(1_772_000_000_123));
        assert_eq!((&*sample.session_id, sample.event_id), ("qos:ch", None));
        assert_eq!((sample.bitrate_bps, sample.rebuffer_count), (whole(3_200_000), whole(1)));
    }
}

#[test]
fn without_a_time_it_is_of_its_arrival_and_a_time_ahead_is_refused() {
    assert_eq!(sample(&report("e=t").replace(",ts=1772000000000", "")).time, ARRIVAL);
    let ahead = report("e=t").replace("1772000000000", "1772009000000");
    let refused = read_line(&ahead).unwrap().unwrap_err();
    assert_eq!((refused.reason, refused.field), (Reason::ClockSkew, Some("ts")));
    let refused = read_line("e=t,sid=\"6e2f\",v=2").unwrap().unwrap_err();
    assert!(refused.to_string().contains("a CMCD report needs it"), "{refused}");
}

#[test]
fn other_lines_are_not_cmcd() {
    let others = [
        "level=info msg=\"it\" sid=\"1\"",
        "sid=6e2f,",
        "sid=\"6e2f",
        "sid=\"6e\\n2f\"",
        "Sid=\"6e2f\"",
        "sid=\"\u{7}",
        "br=(1 2,sid=\"6e2f\"",
        "v=2,e=t",
        "1772000000.1\tCMCD=%zz",
        "1772000000.1\tCMCD=sid%3D%ff",
        "x\tCMCD=sid%3D%226e2f%22",
        "",
    ];
    for line in others {
        assert!(read_line(line).is_none(), "{line}");
    }
    let many = format!("sid=\"6e2f\"{}", ",a".repeat(10_000));
    assert_eq!(read_line(&many).map(|read| read.is_ok()), Some(false), "repeated keys are one");
    let keys: String = (0..10_000).map(|n| format!(",k{n}")).collect();
    assert!(read_line(&format!("sid=\"6e2f\"{keys}")).is_none());
}

/// `tests/cmcd` holds the same files to what the players write by their own code.
#[test]
fn the_reports_of_players_are_read() {
    let bodies = [
        include_str!("../../../../../tests/cmcd/bodies/hls.js.txt"),
        include_str!("../../../../../tests/cmcd/bodies/common-media-library.txt"),
        include_str!("../../../../../tests/cmcd/bodies/shaka-player.txt"),
        include_str!("../../../../../tests/cmcd/bodies/dash.js.txt"),
    ];
    let read = bodies.map(|body| {
        let context = Context::from(EpochMs(1_795_995_800_000));
        let samples: Vec<_> = body
            .lines()
            .map(|line| match read(line.as_bytes(), &context, &DecodeLimits::default()) {
                Some(Ok(Event::Player(sample))) => sample,
                other => panic!("{line}: {other:?}"),
            })
            .collect();
        let told = |event| samples.iter().filter(|one| one.view_event == Some(event)).count();
        let sum = |figure: fn(&PlayerSample<'_>) -> Option<Fixed>| -> i64 {
            samples.iter().filter_map(figure).map(Fixed::round).sum()
        };
        let stalls = sum(|sample| sample.rebuffer_count);
        let figures = (stalls, sum(|sample| sample.buffering_ms), sum(|sample| sample.startup_ms));
        (told(ViewEvent::Start), told(ViewEvent::End), figures)
    });
    assert_eq!(
        read,
        [
            (0, 0, (1, 0, 0)),
            (1, 1, (1, 400, 812)),
            // Shaka tells the wait for the first picture as rebuffering.
            (0, 1, (2, 0, 0)),
            (1, 1, (1, 0, 812)),
        ]
    );
}

#[test]
fn lines_of_cmcd_stand_among_others_in_a_record() {
    let (first, second) = (report("e=t"), report("e=t,sta=p"));
    let record = format!("{first}\r\njunk\nmore junk\n{second}\n{{\"a\":1}}\n{first}\n");
    let mut decoder = crate::decode::Decoder::new(DecodeLimits::default());
    let mut seen = Vec::new();
    let read: Result<(), ()> =
        decoder.read(record.as_bytes(), &Context::from(ARRIVAL), |bytes, decoded| {
            seen.push((String::from_utf8_lossy(bytes).into_owned(), decoded.is_ok()));
            Ok(())
        });
    read.unwrap();
    let expected = [
        (format!("{first}\r"), true),
        ("junk\nmore junk".to_owned(), false),
        (second, true),
        ("{\"a\":1}".to_owned(), false),
        (first, true),
    ];
    assert_eq!(seen, expected);
}
