use super::*;
use crate::decode::{Context, DecodeLimits, Decoder, Event, Reason};
use kinesis_model::EpochMs;

const ARRIVAL: EpochMs = EpochMs(1_795_995_800_000);
/// As version 2.7 of the Common Media Library writes a change to playing.
const PLAYING: &str = r#"bl=(2000),br=(3000;v 128;a),bsa=(1),bsd=(0 400),cid="Qw3rTy8UiOp1",dfa=3,e=ps,ec=("E1"),ltc=2300,msd=812,mtp=(5000),pt=100,sf=h,sid="6e2fb550",sn=2,st=l,sta=p,ts=1795995795704,v=2"#;

fn number(value: i64) -> Option<Fixed> {
    Fixed::from_int(value)
}

/// Returns what a record of some bytes holds.
fn read(data: &str) -> Vec<Result<PlayerSample<'static>, Reason>> {
    let mut found = Vec::new();
    let mut decoder = Decoder::new(DecodeLimits::default());
    let read = decoder.read(data.as_bytes(), &Context::from(ARRIVAL), |_, decoded| {
        found.push(match decoded {
            Ok(Event::Player(sample)) => Ok(owned(sample)),
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => Err(rejection.reason),
        });
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = read;
    found
}

fn owned(sample: &PlayerSample<'_>) -> PlayerSample<'static> {
    let own = |text: &Cow<'_, str>| Cow::Owned(text.as_ref().to_owned());
    PlayerSample {
        session_id: own(&sample.session_id),
        channel_id: own(&sample.channel_id),
        player_id: own(&sample.player_id),
        event_id: sample.event_id.as_ref().map(own),
        error_code: sample.error_code.as_ref().map(own),
        view_id: sample.view_id.as_ref().map(own),
        labels: sample.labels.each_ref().map(|label| label.as_ref().map(own)),
        time: sample.time,
        state: sample.state,
        bitrate_bps: sample.bitrate_bps,
        frame_rate: sample.frame_rate,
        dropped_frames: sample.dropped_frames,
        buffering_ms: sample.buffering_ms,
        latency_ms: sample.latency_ms,
        latency_below_zero: sample.latency_below_zero,
        playing_ms: sample.playing_ms,
        rebuffer_count: sample.rebuffer_count,
        startup_ms: sample.startup_ms,
        error_count: sample.error_count,
        view_event: sample.view_event,
    }
}

fn one(line: &str) -> PlayerSample<'static> {
    let found = read(line);
    let [Ok(sample)] = &found[..] else { panic!("{line}: {found:?}") };
    sample.clone()
}

#[test]
fn a_report_says_who_watches_what_and_how() {
    let sample = one(PLAYING);
    assert_eq!((&*sample.session_id, &*sample.channel_id), ("cmcd:Qw3rTy8UiOp1", "Qw3rTy8UiOp1"));
    assert_eq!((&*sample.player_id, sample.view_id.as_deref()), ("6e2fb550", Some("6e2fb550")));
    assert_eq!(sample.event_id.as_deref(), Some("6e2fb550/2/1795995795704"));
    assert_eq!((sample.time, sample.state), (EpochMs(1_795_995_795_704), PlayerState::Playing));
    assert_eq!((sample.bitrate_bps, sample.latency_ms), (number(3_128_000), number(2_300)));
    assert_eq!((sample.startup_ms, sample.view_event), (number(812), Some(ViewEvent::Start)));
    assert_eq!((sample.buffering_ms, sample.rebuffer_count), (number(400), None));
    assert_eq!((sample.error_code.as_deref(), sample.playing_ms), (None, None), "not of this event");
}

#[test]
fn each_report_counts_for_what_it_is_about() {
    let with = |more: &str| one(&format!(r#"sid="s",cid="c",ts=1795995795704,sn=9,v=2,{more}"#));
    assert_eq!(with("e=ps,sta=r,bs").rebuffer_count, number(1));
    assert_eq!(with("e=t,sta=r,bs,bsd=(400)").rebuffer_count, None, "it goes on");
    assert_eq!(with("e=t,sta=p,bsd=(400)").buffering_ms, None, "it was told when it ended");
    let error = with(r#"e=e,ec=("manifestLoadError" "x"),sta=f"#);
    assert_eq!(error.error_code.as_deref(), Some("manifestLoadError"));
    assert_eq!((error.error_count, error.view_event), (number(2), None));
    assert_eq!(with("e=ps,sta=f").view_event, Some(ViewEvent::PlaybackFailure));
    assert_eq!(with("e=ps,sta=e").view_event, Some(ViewEvent::End));
    assert_eq!(with("e=ps,sta=q").view_event, Some(ViewEvent::End));
    assert_eq!(with("e=ps,sta=s").view_event, None, "players ask more than once");
    assert_eq!(with("e=t,pb=(1200),br=(3000)").bitrate_bps, number(1_200_000));
    assert_eq!(with(r#"cdn="ivs""#).labels[4].as_deref(), Some("ivs"));
    assert_eq!(&*with(r#"com.example-session="st-7Hq2""#).session_id, "st-7Hq2");
}

#[test]
fn a_body_is_its_lines_and_garbage_between_them_is_refused_by_itself() {
    let body = format!("{PLAYING}\n{}\n", PLAYING.replace("sn=2", "sn=3"));
    assert_eq!(read(&body).len(), 2);
    let body = format!("{PLAYING}\nnonsense\nmore of it\n{PLAYING}\r\n");
    let found = read(&body);
    assert!(matches!(&found[..], [Ok(_), Err(Reason::NotJson), Ok(_)]), "{found:?}");
    let found = read(&format!("{PLAYING}\n{{\"type\":\"x\"}}\n{PLAYING}"));
    assert!(matches!(&found[..], [Ok(_), Err(Reason::NoKind), Ok(_)]), "{found:?}");
}

#[test]
fn a_query_string_in_a_log_is_read_once_or_twice_encoded() {
    let query = "CMCD=bl%3D2000%2Cbr%3D1500%2Cbs%2Ccid%3D%22chan%22%2Csid%3D%22s-1%22%2Cst%3Dl";
    let twice = query.replace('%', "%25");
    for query in [query.to_owned(), twice] {
        let line = format!("1795995795.704\t203.0.113.7\t0.002\t200\tGET\t/a.ts\tx=1&{query}&y=2\tJP");
        let sample = one(&line);
        assert_eq!((&*sample.player_id, &*sample.channel_id), ("s-1", "chan"));
        assert_eq!((sample.time, sample.event_id), (EpochMs(1_795_995_795_704), None));
        assert_eq!((sample.bitrate_bps, sample.rebuffer_count), (number(1_500_000), number(1)));
        assert_eq!(sample.state, PlayerState::Other);
    }
    assert_eq!(one(query).time, ARRIVAL, "a query string alone has no time");
}

#[test]
fn what_is_wrong_with_a_report_is_named() {
    let reason = |line: &str| {
        let found = read(line);
        let [Err(reason)] = found[..] else { panic!("{line}: {found:?}") };
        reason
    };
    assert_eq!(reason(r#"sid="s",e=t,ts=1795995795704"#), Reason::MissingField);
    assert_eq!(reason(r#"sid="s",cid="",e=t"#), Reason::EmptyId);
    assert_eq!(reason(r#"sid="s",cid="c",ts=17959957957040"#), Reason::OutOfRange);
    assert_eq!(reason(r#"sid="s",cid="c",ts=1795999999999"#), Reason::ClockSkew);
    // Not reports at all.
    for line in [r#"cid="c",e=t"#, r#"sid="s,cid="#, r#"sid="s" cid="c""#, "CMCD=%zz", "sid=s,"] {
        assert_eq!(reason(line), Reason::NotJson, "{line}");
    }
}

/// Returns what a window of a player's own reports adds up to. `tests/cmcd` holds the files to the
/// players.
fn window_of(body: &str) -> crate::window::WindowAgg {
    let mut fold = crate::window::WindowFold::new();
    for sample in read(body) {
        fold.add_player(&sample.unwrap());
    }
    let mut windows = fold.drain();
    assert_eq!(windows.len(), 1);
    windows.remove(0).1
}

#[test]
fn what_hls_js_reports_is_counted() {
    let agg = window_of(include_str!("../../../../../tests/cmcd/bodies/hls.js.txt"));
    assert_eq!((agg.player_records, agg.active_players()), (8, 1));
    assert_eq!(agg.concurrent_views(), Some(1));
    assert_eq!((agg.rebuffers.sum.to_string(), agg.player_errors), ("1".to_owned(), 1));
    let views = agg.views;
    assert_eq!((views.playback_failures, views.starts, views.known_attempts()), (1, 0, None));
}

#[test]
fn what_the_common_media_library_reports_is_counted() {
    let body = include_str!("../../../../../tests/cmcd/bodies/common-media-library.txt");
    let agg = window_of(body);
    assert_eq!((agg.player_records, agg.concurrent_views()), (9, Some(1)));
    assert_eq!((agg.views.starts, agg.startup.max_ms()), (1, Some(812)));
    assert_eq!((agg.views.ended, agg.views.events), (1, 2));
    assert_eq!(agg.buffering_ms.sum.to_string(), "400", "once, though every later report has it");
    assert_eq!((agg.rebuffers.sum.to_string(), agg.player_errors), ("1".to_owned(), 1));
    assert_eq!(agg.player_bitrate.max(), number(3_000_000));
    let cdn: Vec<_> = agg.breakdown.of(crate::experience::Dimension::Cdn).collect();
    assert_eq!((cdn.len(), &**cdn[0].0, cdn[0].1.records), (1, "ivs", 8));
}
