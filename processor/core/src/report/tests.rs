//! Figures worked out by hand.

mod calendar;
mod channel;
mod scores;
mod sessions;

use std::sync::Arc;

use ivs_schemas::report::{Report, ReportType};
use jiff::civil::date;
use jiff::tz::TimeZone;

use super::{Period, ReportFold};
use crate::decode::FactOrigin;
use crate::fixed::Fixed;
use crate::minute::Minute;
use crate::session::SummaryAgg;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// 2026-03-01T00:00:00Z, a Sunday.
const DAY_S: i64 = 1_772_323_200;
const HOUR_S: i64 = 3_600;

/// Returns the day of [`DAY_S`], in UTC.
fn day() -> Period {
    Period::containing(ReportType::Daily, date(2026, 3, 1), TimeZone::UTC).unwrap()
}

/// Returns an empty report of that day, made `second` seconds after its start.
fn fold_at(second: i64) -> ReportFold {
    ReportFold::new("ch-1", day(), EpochMs((DAY_S + second) * 1_000))
}

fn fixed(value: f64) -> Fixed {
    format!("{value}").parse().unwrap()
}

/// Returns a row with one `metrics_update`: viewers, bitrate in Mbit/s, frame rate, chat rate.
fn row(viewers: i64, bitrate_mbps: f64, frame_rate: f64, chat_rate: i64) -> WindowAgg {
    let mut row = WindowAgg { records: 1, gauges: 1, ..WindowAgg::default() };
    row.viewers.add_some(EpochMs(0), Fixed::from_int(viewers));
    row.bitrate.add(fixed(bitrate_mbps * 1e6));
    row.frame_rate.add(fixed(frame_rate));
    row.chat_rate.add_some(Fixed::from_int(chat_rate));
    row
}

/// Returns the row of `session`, in seconds after [`DAY_S`].
fn key(session: &str, second: i64) -> WindowKey {
    let minute = Minute::of(EpochMs((DAY_S + second) * 1_000));
    WindowKey { session_id: Arc::from(session), minute }
}

/// Returns a session from start to end, in seconds after [`DAY_S`]; without an end it is live.
fn summary(start: i64, end: Option<i64>) -> SummaryAgg {
    let at = |second: i64| EpochMs((DAY_S + second) * 1_000);
    let mut summary = SummaryAgg::default();
    summary.lifecycle.started.note(at(start), FactOrigin::Ivs);
    if let Some(end) = end {
        summary.lifecycle.stream_ended.note(at(end), FactOrigin::Ivs);
    }
    summary
}

/// Adds a session with the same row in every minute of `rows`.
fn add(fold: &mut ReportFold, id: &str, rows: &[(i64, WindowAgg)], mut summary: SummaryAgg) {
    for (second, row) in rows {
        let key = key(id, *second);
        fold.add_row(&key, row.clone());
        summary.absorb(key.minute, row);
    }
    fold.add_session(&Arc::from(id), &summary);
}

#[test]
fn a_day_of_two_sessions_has_the_tutorials_totals_means_and_maxima() {
    // a: 10:00 to 10:03, b: 11:30 to 11:32; one sample a minute, so the tutorial's sums over rows
    // and sessions are right, and ours must be the same.
    let mut fold = fold_at(24 * HOUR_S);
    let a = [(10, 4.0, 30.0, 6), (20, 5.0, 30.0, 0), (60, 6.0, 30.0, 3)];
    let rows: Vec<_> = a
        .iter()
        .zip([36_000, 36_060, 36_120])
        .map(|((v, b, f, c), at)| (at, row(*v, *b, *f, *c)))
        .collect();
    add(&mut fold, "a", &rows, summary(36_000, Some(36_180)));
    let rows = [(41_400, row(40, 5.0, 60.0, 12)), (41_460, row(20, 5.0, 60.0, 4))];
    add(&mut fold, "b", &rows, summary(41_400, Some(41_520)));
    let report = fold.finish();

    let summary = &report.summary;
    assert_eq!(summary.total_sessions, 2);
    assert_eq!(summary.total_stream_time, 300.0, "180 + 120");
    assert_eq!(summary.avg_session_duration, Some(150.0));
    assert_eq!(summary.max_concurrent_viewers, Some(60.0));
    assert_eq!(summary.total_chat_messages, 25, "a: 3 a minute × 3, b: 8 a minute × 2");
    assert_eq!(summary.viewer_minutes, Some(150.0), "10 + 20 + 60 + 40 + 20");
    assert_eq!(summary.avg_viewers, Some(30.0), "150 / 5");

    let hours: Vec<_> = report
        .hourly_breakdown
        .iter()
        .map(|h| {
            (&*h.hour, h.figures.avg_viewers, h.figures.avg_bitrate, h.figures.avg_chat_activity)
        })
        .collect();
    assert_eq!(
        hours,
        [
            ("2026-03-01 10:00", Some(30.0), Some(5e6), Some(3.0)),
            ("2026-03-01 11:00", Some(30.0), Some(5e6), Some(8.0)),
        ]
    );

    let quality = &report.quality_metrics;
    assert_eq!(quality.avg_bitrate, Some(5e6), "(4 + 5 + 6 + 5 + 5) / 5 Mbit/s");
    assert_eq!((quality.min_bitrate, quality.max_bitrate), (Some(4e6), Some(6e6)));
    assert_eq!(quality.avg_frame_rate, Some(42.0), "(3 × 30 + 2 × 60) / 5");
    // a varies by 1 of 5 Mbit/s: 0.8 with 3 minutes; b not at all: 1 with 2.
    assert_eq!(quality.bitrate_stability, Some(0.88), "(0.8 × 3 + 1 × 2) / 5");
    // Each session keeps its rate; that they differ is not an instability.
    assert_eq!(quality.frame_rate_stability, Some(1.0));
    assert_eq!(quality.quality_score, Some(98.2), "40 + 30 + 15 × 1.88");

    let chat = &report.chat_analytics;
    assert_eq!(chat.total_messages, 25);
    assert_eq!(chat.messages_per_minute, Some(5.0), "25 in 5 minutes");
    assert_eq!((chat.peak_chat_rate, chat.avg_chat_rate), (Some(12.0), Some(5.0)));
    assert_eq!(chat.chat_engagement_score, Some(4));
    assert_eq!(ids(&report), ["b", "a"], "latest first");
}

#[test]
fn no_data_is_null_and_not_zero() {
    let fold = fold_at(24 * HOUR_S);
    let report = serde_json::to_value(fold.finish()).unwrap();
    assert_eq!(report["summary"]["totalSessions"], 0);
    assert_eq!(report["summary"]["totalStreamTime"], 0.0);
    assert_eq!(report["summary"]["totalChatMessages"], 0);
    for (part, names) in [
        ("summary", &["avgSessionDuration", "maxConcurrentViewers", "viewerMinutes"][..]),
        ("qualityMetrics", &["avgBitrate", "minBitrate", "bitrateStability", "qualityScore"]),
        ("chatAnalytics", &["messagesPerMinute", "peakChatRate", "chatEngagementScore"]),
        ("playerExperience", &["uniquePlayers", "rebufferRatio", "latencyMs", "startupMs"]),
    ] {
        for name in names {
            assert!(report[part].as_object().unwrap()[*name].is_null(), "{part}.{name}");
        }
    }
    assert_eq!(report["hourlyBreakdown"], serde_json::json!([]));
    assert_eq!(report["series"]["points"].as_array().unwrap().len(), 288, "every 5 minutes");
}

#[test]
fn one_sample_has_means_but_no_stability_and_no_score() {
    let mut fold = fold_at(24 * HOUR_S);
    add(&mut fold, "a", &[(600, row(7, 2.5, 15.0, 2))], summary(600, Some(660)));
    let report = fold.finish();
    let quality = &report.quality_metrics;
    assert_eq!(quality.avg_bitrate, Some(2.5e6));
    assert_eq!((quality.min_bitrate, quality.max_bitrate), (Some(2.5e6), Some(2.5e6)));
    assert_eq!((quality.bitrate_stability, quality.frame_rate_stability), (None, None));
    assert_eq!(quality.quality_score_parts.bitrate, Some(20.0), "half of 5 Mbit/s");
    assert_eq!(quality.quality_score_parts.frame_rate, Some(15.0), "half of 30");
    assert_eq!((quality.quality_score_parts.stability, quality.quality_score), (None, None));
    assert_eq!(report.chat_analytics.messages_per_minute, Some(2.0));
    assert_eq!(report.summary.avg_viewers, Some(7.0));
}

#[test]
fn a_month_of_rows_adds_up() {
    // February 2026, one session a day of 24 hours: 28 × 1,440 = 40,320 rows, far more than a page.
    let month = Period::containing(ReportType::Monthly, date(2026, 2, 9), TimeZone::UTC).unwrap();
    let mut fold = ReportFold::new("ch-1", month, EpochMs(DAY_S * 1_000));
    for day in 1..=28_i64 {
        let start = (day - 29) * 86_400;
        let rows: Vec<_> = (0..1_440).map(|m| (start + m * 60, row(day, 5.0, 30.0, 1))).collect();
        add(&mut fold, &format!("s{day:02}"), &rows, summary(start, Some(start + 86_400)));
    }
    let report = fold.finish();
    assert_eq!(report.summary.total_sessions, 28);
    assert_eq!(report.summary.total_stream_time, 2_419_200.0);
    assert_eq!(report.summary.avg_viewers, Some(14.5), "(1 + … + 28) / 28");
    assert_eq!(report.summary.viewer_minutes, Some(584_640.0), "14.5 × 40,320");
    assert_eq!(report.summary.total_chat_messages, 40_320);
    assert_eq!(report.hourly_breakdown.len(), 672);
    assert_eq!(report.series.points.len(), 336, "every 2 hours");
    assert_eq!(report.quality_metrics.quality_score, Some(100.0));
    assert_eq!(ids(&report).len(), 10);
    assert_eq!(ids(&report)[0], "s28");
}

#[test]
fn players_are_counted_once_and_quantiles_are_of_all_values() {
    use crate::sketch::{Coupon, Sketch as _};
    let mut fold = fold_at(24 * HOUR_S);
    // Minute m: players 0 to m, latencies 100 × m to 100 × m + 99 ms.
    for m in 0..10_u32 {
        let mut row = WindowAgg { records: 1, player_records: 1, ..WindowAgg::default() };
        row.players.insert_all(&mut (0..=m).map(|p| Coupon::of(&format!("p{p}"))).collect());
        row.latency.insert_all(&mut (100 * m..100 * m + 100).collect());
        row.playing_ms.add(Fixed::from_int(57_000).unwrap());
        row.watch_buffering_ms += Fixed::from_int(3_000).unwrap();
        row.player_errors = 2;
        fold.add_row(&key("a", i64::from(m) * 60), row);
    }
    let players = fold.finish().player_experience;
    assert_eq!(players.unique_players, Some(10));
    assert_eq!(players.rebuffer_ratio, Some(0.05), "3 of 60 seconds");
    assert_eq!(players.watch_minutes, Some(9.5));
    assert_eq!(players.player_errors, Some(20));
    assert_eq!(players.startup_ms, None);
    // 1,000 values 0 to 999 fill the 512 bins at two bits' loss, so a bin may hold up to four.
    let latency = players.latency_ms.unwrap();
    for (found, exact) in [(latency.p50, 499), (latency.p95, 949), (latency.p99, 989)] {
        assert!(found.abs_diff(exact) <= 4, "{found} instead of {exact}");
    }
    assert_eq!(latency.max, 999);
}

fn ids(report: &Report) -> Vec<&str> {
    report.sessions.iter().map(|session| &*session.session_id).collect()
}

/// Returns a summary whose application reported figures at its end.
fn reported(mut summary: SummaryAgg, peak: i64, messages: i64) -> SummaryAgg {
    let end = summary.ended_at().unwrap();
    summary.lifecycle.reported.peak_viewers.note(end, Fixed::from_int(peak).unwrap());
    summary.lifecycle.reported.total_chat_messages.note(end, Fixed::from_int(messages).unwrap());
    summary
}
