//! The page of a report, and reading it from tables of more than one page.

mod tables;

use std::sync::Arc;

use ivs_core::decode::FactOrigin;
use ivs_core::fixed::Fixed;
use ivs_core::minute::Minute;
use ivs_core::report::ReportFold;
use ivs_core::session::SummaryAgg;
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::report::{Previous, Report, ReportType};
use kinesis_model::EpochMs;

use super::html::{Lang, page};
use super::{Format, key, period};

/// 2026-03-01T00:00:00Z.
const DAY_S: i64 = 1_772_323_200;
const HOSTILE: &str = r#"</td><script>alert("x")</script>&'"#;

fn row(viewers: i64) -> WindowAgg {
    let mut row = WindowAgg { channel_id: "ch-1".into(), records: 1, ..WindowAgg::default() };
    row.viewers.add_some(EpochMs(0), Fixed::from_int(viewers));
    row.bitrate.add_some(Fixed::from_int(5_000_000));
    row.frame_rate.add_some(Fixed::from_int(30));
    row.chat_rate.add_some(Fixed::from_int(6));
    row.player_records = 1;
    row.playing_ms.add_some(Fixed::from_int(57_000));
    row.watch_buffering_ms += Fixed::from_int(3_000).unwrap();
    row
}

fn window(session: &str, second: i64) -> WindowKey {
    let minute = Minute::of(EpochMs((DAY_S + second) * 1_000));
    WindowKey { session_id: Arc::from(session), minute }
}

/// Returns a session from start to end, in seconds after [`DAY_S`].
fn summary(start: i64, end: i64) -> SummaryAgg {
    let mut summary = SummaryAgg { channel_id: "ch-1".into(), ..SummaryAgg::default() };
    let facts = &mut summary.lifecycle;
    facts.started.note(EpochMs((DAY_S + start) * 1_000), FactOrigin::Ivs);
    facts.stream_ended.note(EpochMs((DAY_S + end) * 1_000), FactOrigin::Ivs);
    facts.stream_title.note(EpochMs(0), Arc::from(HOSTILE));
    summary
}

/// Returns a day with one session from 20:00 to 20:10, of 1,000 to 1,009 viewers.
fn report(kind: ReportType) -> Report {
    let period = period(kind, Some(jiff::civil::date(2026, 3, 1)), "UTC", EpochMs(0)).unwrap();
    let mut fold = ReportFold::new("ch-1", period, EpochMs((DAY_S + 90_000) * 1_000));
    for minute in 0..10 {
        fold.add_row(&window("st-1", 72_000 + minute * 60), row(1_000 + minute));
    }
    fold.add_session(&Arc::from("st-1"), &summary(72_000, 72_600));
    fold.finish()
}

#[test]
fn the_page_has_a_chart_for_each_question_and_the_figures() {
    for kind in [ReportType::Daily, ReportType::Weekly, ReportType::Monthly] {
        let html = page(&report(kind), Lang::En);
        // Of a day the hours would be the first chart again.
        let is_daily = kind == ReportType::Daily;
        assert_eq!(html.matches("<svg ").count(), if is_daily { 5 } else { 6 }, "{kind:?}");
        assert_ne!(html.contains("At what time of day?"), is_daily);
        for title in [
            "How many were watching?",
            "Bitrate from the encoder (Mbit/s)",
            "Frames per second from the encoder",
            "How lively was the chat?",
            "How much of the time was buffering? (%)",
        ] {
            assert!(html.contains(&format!("aria-label=\"{title}")), "{kind:?}: {title}");
        }
        for figure in [
            "<b>167 h</b> <span>watched</span>",
            "<b>1,009 viewers · Sun 1 Mar, 20:09</b>",
            "<b>1</b><span>Streams",
            "<b>1,009</b><span>Peak viewers",
            "<b>10 min</b><span>Time on air",
            "<b>60</b><span>Chat messages",
            "<b>100 / 100</b><span>Quality score",
            "4 / 10",
            "5.00 Mbit/s",
            "5.00%",
            "Sun 1 Mar, 20:00",
            "There is nothing to compare with from the",
        ] {
            assert!(html.contains(figure), "{kind:?}: {figure}");
        }
        for jargon in ["p95", "p99", "Stalled share", "Ingest"] {
            assert!(!html.contains(jargon), "{kind:?}: {jargon}");
        }
    }
    let weekly = page(&report(ReportType::Weekly), Lang::En);
    assert!(weekly.contains("23 February – 1 March 2026") && weekly.contains(">Mon 23</text>"));
}

#[test]
fn the_page_compares_with_the_period_before() {
    let mut report = report(ReportType::Daily);
    let mut before = report.clone();
    before.summary.viewer_minutes = Some(8_000.0);
    before.summary.max_concurrent_viewers = Some(2_018.0);
    report.previous = Some(Previous {
        period: before.period,
        summary: before.summary,
        quality_score: Some(100.0),
        rebuffer_ratio: None,
    });
    let html = page(&report, Lang::En);
    for text in [
        "<p>26% more than the day before</p>",
        "<span>Peak viewers</span><small>▼ 50% · was 2,018</small>",
        "<span>Quality score</span><small>= · was 100 / 100</small>",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    let html = page(&report, Lang::Ja);
    assert!(html.contains("<p>前日より26%増</p>"), "{html}");
}

#[test]
fn the_page_says_what_is_odd_about_its_period() {
    let mut going_on = report(ReportType::Daily);
    going_on.as_of = "2026-03-01T21:30:00+00:00".to_owned();
    let html = page(&going_on, Lang::En);
    assert!(html.contains("This period is not over: figures are up to 1 March 2026, 21:30."));
    assert!(html.contains("from the day before up to the same time."), "{html}");
    let zone = "America/New_York";
    let date = Some(jiff::civil::date(2026, 3, 8));
    let period = period(ReportType::Daily, date, zone, EpochMs(0)).unwrap();
    let short = page(&ReportFold::new("ch-1", period, EpochMs(0)).finish(), Lang::En);
    assert!(short.contains("Clocks changed on this day: it has 23 hours."), "{short}");
}

#[test]
fn the_page_loads_and_runs_nothing_and_escapes_what_came_from_outside() {
    let html = page(&report(ReportType::Daily), Lang::En);
    for forbidden in ["<script", "http://", "https://", "src=", "url(", "@import", "<link"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(
        html.contains("&lt;/td&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;")
    );
}

#[test]
fn the_page_speaks_japanese() {
    let html = page(&report(ReportType::Weekly), Lang::Ja);
    for text in [
        "<html lang=\"ja\">",
        "週次レポート",
        "<h1>2026年2月23日(月)〜3月1日(日)</h1>",
        "何人が見ていたか",
        ">23(月)<",
        "3/1(日) 20:00",
        "10分",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("iewers") && !html.contains("2026-"), "{html}");
}

#[test]
fn a_page_without_data_says_so() {
    let period = period(ReportType::Daily, None, "UTC", EpochMs(DAY_S * 1_000)).unwrap();
    let html = page(&ReportFold::new("ch-1", period, EpochMs(DAY_S * 1_000)).finish(), Lang::En);
    assert!(!html.contains("<svg "));
    let sentence = "Nothing was streamed or watched on channel ch-1 in this period.";
    assert_eq!(html.matches("class=\"empty\"").count(), 1);
    assert!(html.contains(sentence) && !html.contains("<table"), "{html}");
    assert!(!html.contains("NaN") && !html.contains("null"));
}

#[test]
fn the_key_names_channel_type_and_period() {
    let keys = [ReportType::Daily, ReportType::Weekly, ReportType::Monthly]
        .map(|kind| key(&report(kind), Format::Json));
    assert_eq!(
        keys,
        [
            "reports/ch-1/daily_2026-03-01.json",
            "reports/ch-1/weekly_2026-W09.json",
            "reports/ch-1/monthly_2026-03.json",
        ]
    );
    assert_eq!(super::channel_id("arn:aws:ivs:us-east-1:111122223333:channel/AbC"), "AbC");
    for id in ["AbC", "https://d1.cloudfront.net/ivs/v1/master.m3u8", "a/b"] {
        assert_eq!(super::channel_id(id), id, "no ARN");
    }
}

#[test]
fn an_unknown_zone_is_named() {
    let error = period(ReportType::Daily, None, "Mars/Olympus", EpochMs(0)).unwrap_err();
    assert!(format!("{error:#}").contains("Mars/Olympus"), "{error:#}");
}
