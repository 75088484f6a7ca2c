//! Rows that name no session, minutes that two sessions share, and what stands out.

use super::*;
use crate::session::LONGEST_STREAM_MS;

/// Returns a row of one player that knows its channel alone: 57 s played, 3 s stalled.
fn qos() -> WindowAgg {
    let mut row = WindowAgg { records: 1, player_records: 1, ..WindowAgg::default() };
    row.playing_ms.add(Fixed::from_int(57_000).unwrap());
    row.watch_buffering_ms += Fixed::from_int(3_000).unwrap();
    row
}

/// Returns a row of a chat log that knows its room alone.
fn chat(messages: u64) -> WindowAgg {
    WindowAgg { records: messages, chat_messages: messages, ..WindowAgg::default() }
}

fn gauge(viewers: i64) -> WindowAgg {
    let mut row = WindowAgg { records: 1, gauges: 1, ..WindowAgg::default() };
    row.viewers.add_some(EpochMs(0), Fixed::from_int(viewers));
    row
}

#[test]
fn players_and_chat_that_name_no_session_belong_to_the_stream_on_air() {
    let mut fold = fold_at(24 * HOUR_S);
    for minute in 0..60 {
        let second = 12 * HOUR_S + minute * 60;
        fold.add_row(&key("chat:roomA", second), chat(2));
        fold.add_row(&key("qos:ch-1", second), qos());
        fold.add_row(&key("st-1", second), gauge(100));
    }
    // After the stream the chat goes on for a minute.
    fold.add_row(&key("chat:roomA", 13 * HOUR_S), chat(5));
    fold.add_session(&Arc::from("st-1"), &summary(12 * HOUR_S, Some(13 * HOUR_S)));
    let report = fold.finish();
    assert_eq!(report.summary.total_sessions, 1);
    assert_eq!(report.summary.total_stream_time, 3_600.0);
    assert_eq!(report.summary.viewer_minutes, Some(6_000.0));
    assert_eq!(report.summary.total_chat_messages, 125, "60 × 2 on air, 5 after it");
    assert_eq!(report.hourly_breakdown[0].figures.minutes, 60);
    assert_eq!(ids(&report), ["st-1"]);
    let session = &report.sessions[0];
    assert_eq!(session.total_chat_messages, Some(120));
    assert_eq!(session.rebuffer_ratio, Some(0.05), "3 of 60 seconds");
    assert_eq!(report.chat_analytics.messages_per_minute, Some(2.0), "120 in 60 minutes on air");
}

#[test]
fn a_minute_without_a_message_had_none_if_there_is_a_chat_log() {
    let mut fold = fold_at(24 * HOUR_S);
    for minute in 0..10 {
        if minute == 4 {
            fold.add_row(&key("chat:roomA", minute * 60), chat(5));
        }
        fold.add_row(&key("st-1", minute * 60), gauge(100));
    }
    fold.add_session(&Arc::from("st-1"), &summary(0, Some(600)));
    let report = fold.finish();
    let chat = &report.chat_analytics;
    assert_eq!((chat.messages_per_minute, chat.avg_chat_rate), (Some(0.5), Some(0.5)));
    assert_eq!(chat.peak_chat_rate, Some(5.0));
    assert_eq!(report.hourly_breakdown[0].figures.avg_chat_activity, Some(0.5));
    assert_eq!(report.series.points[0].figures.avg_chat_activity, Some(1.0), "5 in 5 minutes");
    assert_eq!(report.series.points[1].figures.avg_chat_activity, Some(0.0));
}

#[test]
fn players_that_name_no_session_prove_that_a_stream_is_alive() {
    // The backend's last report is of minute 0; players are seen up to minute 29, read at minute 35.
    let mut fold = fold_at(35 * 60);
    fold.add_row(&key("st-1", 0), gauge(100));
    for minute in 0..30 {
        fold.add_row(&key("qos:ch-1", minute * 60), qos());
    }
    let mut heard = summary(0, None);
    heard.absorb(key("st-1", 0).minute, &gauge(100));
    fold.add_session(&Arc::from("st-1"), &heard);
    assert_eq!(fold.finish().summary.total_stream_time, 35.0 * 60.0);
    // A stream that only IVS tells of is over after 48 hours, and was alive as long as its players.
    let mut fold = fold_at(600 + LONGEST_STREAM_MS / 1_000);
    fold.add_row(&key("qos:ch-1", 1_200), qos());
    fold.add_session(&Arc::from("st-1"), &summary(600, None));
    assert_eq!(fold.finish().summary.total_stream_time, 660.0, "00:10 to 00:21");
}

#[test]
fn a_minute_that_two_sessions_share_is_one_minute() {
    // The encoder reconnects at 12:30:20; 100 viewers all the hour.
    let mut fold = fold_at(24 * HOUR_S);
    for minute in 0..60 {
        let second = 12 * HOUR_S + minute * 60;
        if minute <= 30 {
            fold.add_row(&key("st-1", second), gauge(100));
        }
        if minute >= 30 {
            fold.add_row(&key("st-2", second), gauge(100));
        }
    }
    let report = fold.finish();
    assert_eq!(report.summary.viewer_minutes, Some(6_000.0));
    assert_eq!(report.hourly_breakdown[0].figures.minutes, 60);
    assert_eq!(report.summary.total_sessions, 2);
    let peak = report.highlights.peak.unwrap();
    assert_eq!(peak.session_id.as_deref(), Some("st-1"), "the first of equal ones");
}

#[test]
fn the_peak_and_the_best_stream_stand_out() {
    let mut fold = fold_at(24 * HOUR_S);
    add(
        &mut fold,
        "short",
        &[(3_600, gauge(90)), (3_660, gauge(120))],
        summary(3_600, Some(3_720)),
    );
    let long: Vec<_> = (0..10).map(|minute| (7_200 + minute * 60, gauge(50))).collect();
    add(&mut fold, "long", &long, summary(7_200, Some(7_800)));
    let highlights = fold.finish().highlights;
    let peak = highlights.peak.unwrap();
    assert_eq!((peak.viewers, &*peak.at), (120.0, "2026-03-01T01:01:00+00:00"));
    assert_eq!(peak.session_id.as_deref(), Some("short"));
    let best = highlights.best_session.unwrap();
    assert_eq!((&*best.session_id, best.viewer_minutes), ("long", Some(500.0)), "not 210");
}

#[test]
fn one_stream_is_not_the_best_of_several() {
    let mut fold = fold_at(24 * HOUR_S);
    add(&mut fold, "a", &[], summary(0, Some(60)));
    let highlights = fold.finish().highlights;
    assert_eq!((highlights.peak, highlights.best_session), (None, None));
}
