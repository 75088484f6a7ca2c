//! Sessions that cross the period's ends, are live, or lost their end.

use ivs_schemas::report::SessionStatus;

use super::super::MAX_SESSIONS;
use super::*;
use crate::channel::SaidBy;

#[test]
fn a_session_crossing_midnight_counts_from_midnight() {
    // 23:50 to 00:10; viewers 1 a minute before midnight and 5 after.
    let mut fold = fold_at(24 * HOUR_S);
    let rows: Vec<_> =
        (-10..10).map(|m| (m * 60, row(if m < 0 { 1 } else { 5 }, 3.0, 30.0, 10))).collect();
    let summary = reported(summary(-600, Some(600)), 99, 200);
    add(&mut fold, "a", &rows, summary);
    let report = fold.finish();
    assert_eq!(report.summary.total_stream_time, 600.0);
    assert_eq!(report.summary.viewer_minutes, Some(50.0), "10 minutes × 5");
    assert_eq!(report.summary.total_chat_messages, 100, "10 a minute, not the reported 200 of all");
    assert_eq!(report.summary.max_concurrent_viewers, Some(5.0));
    assert_eq!(report.hourly_breakdown.len(), 1);
    let session = &report.sessions[0];
    assert_eq!(session.started_at, "2026-02-28T23:50:00+00:00");
    assert_eq!(session.ended_at.as_deref(), Some("2026-03-01T00:10:00+00:00"));
    assert_eq!((session.duration, session.duration_in_period), (Some(1_200.0), 600.0));
}

#[test]
fn the_same_session_counts_up_to_midnight_the_day_before() {
    let before = Period::containing(ReportType::Daily, date(2026, 2, 28), TimeZone::UTC).unwrap();
    let mut fold = ReportFold::new("ch-1", before, EpochMs((DAY_S + 86_400) * 1_000));
    add(
        &mut fold,
        "a",
        &[(-60, row(1, 3.0, 30.0, 0)), (0, row(5, 3.0, 30.0, 0))],
        summary(-600, Some(600)),
    );
    let report = fold.finish();
    assert_eq!(report.summary.total_stream_time, 600.0);
    assert_eq!(
        report.summary.max_concurrent_viewers,
        Some(1.0),
        "midnight belongs to the next day"
    );
}

#[test]
fn a_live_session_counts_up_to_now() {
    let mut fold = fold_at(1_830);
    add(
        &mut fold,
        "a",
        &[(60, row(3, 3.0, 30.0, 4)), (1_260, row(3, 3.0, 30.0, 4))],
        summary(30, None),
    );
    let report = fold.finish();
    assert_eq!(report.summary.total_stream_time, 1_800.0);
    let session = &report.sessions[0];
    assert_eq!((session.status, session.duration), (SessionStatus::Live, None));
    assert_eq!(report.as_of, "2026-03-01T00:30:30+00:00");
}

#[test]
fn a_live_session_counts_up_to_the_end_of_a_period_that_is_over() {
    let mut fold = fold_at(25 * HOUR_S);
    add(&mut fold, "a", &[], summary(23 * HOUR_S, None));
    assert_eq!(fold.finish().summary.total_stream_time, 3_600.0);
}

#[test]
fn a_session_whose_end_was_lost_counts_up_to_its_last_record() {
    // 48 hours after the start no stream can be live.
    let mut fold = fold_at(48 * HOUR_S + 100);
    add(&mut fold, "a", &[(600, row(3, 3.0, 30.0, 4))], summary(100, None));
    let report = fold.finish();
    assert_eq!(report.sessions[0].status, SessionStatus::Lost);
    assert_eq!(report.summary.total_stream_time, 560.0, "from 100 to the end of minute 600");
}

#[test]
fn a_session_whose_end_is_stated_before_its_start_is_known_by_its_rows() {
    let mut fold = fold_at(24 * HOUR_S);
    let rows = [(600, row(3, 3.0, 30.0, 4)), (900, row(3, 3.0, 30.0, 4))];
    add(&mut fold, "a", &rows, summary(800, Some(700)));
    let report = fold.finish();
    assert_eq!(report.summary.total_stream_time, 360.0, "from minute 10 to the end of minute 15");
    let session = &report.sessions[0];
    assert_eq!((session.status, session.ended_at.as_deref()), (SessionStatus::Ended, None));
    assert_eq!(session.started_at, "2026-03-01T00:10:00+00:00");
}

#[test]
fn a_session_without_any_event_is_known_by_its_rows() {
    let mut fold = fold_at(24 * HOUR_S);
    fold.add_row(&key("a", 120), row(3, 3.0, 30.0, 4));
    fold.add_row(&key("a", 240), row(3, 3.0, 30.0, 4));
    let report = fold.finish();
    assert_eq!(report.summary.total_sessions, 1);
    assert_eq!(report.summary.total_stream_time, 180.0, "from minute 2 to the end of minute 4");
}

#[test]
fn sessions_that_only_touch_the_period_are_outside() {
    let mut fold = fold_at(48 * HOUR_S);
    add(&mut fold, "before", &[], summary(-600, Some(0)));
    add(&mut fold, "after", &[], summary(24 * HOUR_S, Some(25 * HOUR_S)));
    assert_eq!(fold.finish().summary.total_sessions, 0);
}

#[test]
fn figures_reported_at_the_end_stand_in_where_there_are_no_rows() {
    let mut fold = fold_at(24 * HOUR_S);
    add(&mut fold, "a", &[], reported(summary(0, Some(600)), 42, 30));
    add(&mut fold, "silent", &[], summary(1_200, Some(1_800)));
    let report = fold.finish();
    assert_eq!(report.summary.max_concurrent_viewers, Some(42.0));
    assert_eq!(report.summary.total_chat_messages, 30);
    assert_eq!(
        report.chat_analytics.messages_per_minute,
        Some(3.0),
        "30 in the 10 minutes of the session whose messages are known"
    );
    assert_eq!(report.sessions[0].total_chat_messages, None);
}

#[test]
fn rows_of_sessions_beyond_the_limit_still_count_in_totals() {
    let mut fold = fold_at(24 * HOUR_S);
    for id in 0..MAX_SESSIONS {
        fold.add_row(&key(&format!("s{id}"), 0), row(1, 3.0, 30.0, 0));
    }
    fold.add_row(&key("one too many", 60), row(7, 3.0, 30.0, 0));
    let report = fold.finish();
    assert!(report.truncated);
    assert_eq!(report.summary.total_sessions, MAX_SESSIONS as u64);
    assert_eq!(report.summary.viewer_minutes, Some(8.0), "1 in the first minute, 7 in the second");
}

#[test]
fn a_session_that_fell_silent_ends_at_its_last_record() {
    // Silent since 00:15, read at 06:20: 15 minutes, not 6 h 20 min.
    let mut fold = fold_at(6 * HOUR_S + 1_200);
    let rows: Vec<_> = (0..15).map(|minute| (minute * 60, row(9, 3.0, 30.0, 6))).collect();
    add(&mut fold, "a", &rows, summary(0, None));
    let report = fold.finish();
    let session = &report.sessions[0];
    assert_eq!((session.status, session.ended_at.as_deref()), (SessionStatus::Lost, None));
    assert_eq!(report.summary.total_stream_time, 900.0);
    assert_eq!(report.summary.avg_session_duration, Some(900.0));
    let chat = &report.chat_analytics;
    assert_eq!((chat.messages_per_minute, chat.avg_chat_rate), (Some(6.0), Some(6.0)));
    assert_eq!(chat.chat_engagement_score, Some(4));
}

#[test]
fn nine_silent_minutes_are_no_end_and_eleven_are() {
    let status = |now_s| {
        let mut fold = fold_at(now_s);
        add(&mut fold, "a", &[(0, row(9, 3.0, 30.0, 6))], summary(0, None));
        let report = fold.finish();
        (report.sessions[0].status, report.summary.total_stream_time)
    };
    assert_eq!(status(60 + 540), (SessionStatus::Live, 600.0));
    assert_eq!(status(60 + 660), (SessionStatus::Lost, 60.0));
}

#[test]
fn a_session_without_records_and_end_is_over_when_the_next_begins() {
    // IVS alone tells starts and ends; the end of `a` was lost.
    let mut fold = fold_at(2 * HOUR_S);
    add(&mut fold, "a", &[], summary(0, None));
    add(&mut fold, "b", &[], summary(HOUR_S, None));
    let report = fold.finish();
    let shown: Vec<_> = report
        .sessions
        .iter()
        .map(|session| (&*session.session_id, session.status, session.duration_in_period))
        .collect();
    assert_eq!(shown, [("b", SessionStatus::Live, 3_600.0), ("a", SessionStatus::Lost, 0.0)]);
    assert_eq!(report.summary.total_stream_time, 3_600.0);
}

#[test]
fn a_stream_is_over_when_the_next_of_the_channel_begins_though_its_players_go_on() {
    let of_ivs = |start| SummaryAgg { channel_said_by: SaidBy::Ivs, ..summary(start, None) };
    let mut fold = fold_at(HOUR_S + 90);
    let rows = |from: i64, minutes: i64| -> Vec<_> {
        (0..minutes).map(|minute| (from + minute * 60, row(9, 3.0, 30.0, 6))).collect()
    };
    add(&mut fold, "a", &rows(0, 62), of_ivs(0));
    add(&mut fold, "b", &rows(HOUR_S, 2), of_ivs(HOUR_S));
    let report = fold.finish();
    let shown: Vec<_> = report
        .sessions
        .iter()
        .map(|session| (&*session.session_id, session.status, session.duration_in_period))
        .collect();
    assert_eq!(shown, [("b", SessionStatus::Live, 90.0), ("a", SessionStatus::Lost, 3_600.0)]);
}
