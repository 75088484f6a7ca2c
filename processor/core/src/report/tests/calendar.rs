//! Calendar periods in zones, and hours of the clock.

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn period(kind: ReportType, year: i16, month: i8, day: i8, name: &str) -> Period {
    Period::containing(kind, date(year, month, day), zone(name)).unwrap()
}

/// Name, start, end.
fn shown(period: &Period) -> (String, String, String) {
    let described = period.describe();
    (described.name, described.start, described.end)
}

fn texts(name: &str, start: &str, end: &str) -> (String, String, String) {
    (name.to_owned(), start.to_owned(), end.to_owned())
}

#[test]
fn days_weeks_and_months_follow_the_zones_calendar() {
    let cases = [
        (
            period(ReportType::Daily, 2026, 3, 1, "Asia/Tokyo"),
            texts("2026-03-01", "2026-03-01T00:00:00+09:00", "2026-03-02T00:00:00+09:00"),
        ),
        (
            // A Sunday belongs to the week that began on Monday.
            period(ReportType::Weekly, 2026, 3, 1, "Asia/Tokyo"),
            texts("2026-W09", "2026-02-23T00:00:00+09:00", "2026-03-02T00:00:00+09:00"),
        ),
        (
            // New Year's Day of 2027 lies in the 53rd week of 2026.
            period(ReportType::Weekly, 2027, 1, 1, "UTC"),
            texts("2026-W53", "2026-12-28T00:00:00+00:00", "2027-01-04T00:00:00+00:00"),
        ),
        (
            period(ReportType::Monthly, 2028, 2, 29, "UTC"),
            texts("2028-02", "2028-02-01T00:00:00+00:00", "2028-03-01T00:00:00+00:00"),
        ),
        (
            // Egypt's clocks went from 00:00 to 01:00: the day begins at 01:00.
            period(ReportType::Daily, 2024, 4, 26, "Africa/Cairo"),
            texts("2024-04-26", "2024-04-26T01:00:00+03:00", "2024-04-27T00:00:00+03:00"),
        ),
    ];
    for (period, expected) in cases {
        assert_eq!(shown(&period), expected);
    }
}

#[test]
fn the_last_complete_period_ends_before_now() {
    // 2026-03-01T15:30Z is 00:30 on Monday, 2 March in Tokyo.
    let now = EpochMs((DAY_S + 15 * HOUR_S + 1_800) * 1_000);
    for (kind, tokyo, utc) in [
        (ReportType::Daily, "2026-03-01", "2026-02-28"),
        (ReportType::Weekly, "2026-W09", "2026-W08"),
        (ReportType::Monthly, "2026-02", "2026-02"),
    ] {
        let last = |name: &str| Period::last_complete(kind, now, &zone(name)).unwrap();
        assert_eq!((last("Asia/Tokyo").name(), last("UTC").name()), (tokyo, utc));
    }
}

/// Returns a day of New York with a row each minute, and one session all day long.
fn new_york(month: i8, day: i8) -> Report {
    let period = period(ReportType::Daily, 2026, month, day, "America/New_York");
    let (start_s, end_s) = (period.start().0 / 1_000, period.end().0 / 1_000);
    let mut fold = ReportFold::new("ch-1", period, EpochMs(end_s * 1_000));
    let rows: Vec<_> = (start_s - DAY_S..end_s - DAY_S)
        .step_by(60)
        .map(|second| (second, row(2, 5.0, 30.0, 1)))
        .collect();
    add(&mut fold, "a", &rows, summary(start_s - DAY_S, Some(end_s - DAY_S)));
    fold.finish()
}

#[test]
fn the_day_that_clocks_go_forward_has_23_hours() {
    let report = new_york(3, 8);
    assert_eq!(report.period.start, "2026-03-08T00:00:00-05:00");
    assert_eq!(report.period.end, "2026-03-09T00:00:00-04:00");
    assert_eq!(report.summary.total_stream_time, 82_800.0, "23 × 3,600");
    assert_eq!(report.summary.viewer_minutes, Some(2_760.0), "23 × 60 × 2");
    assert_eq!(report.series.points.len(), 276);
    let hours: Vec<_> = report.hourly_breakdown.iter().map(|hour| &hour.hour[11..]).collect();
    assert_eq!(hours.len(), 23);
    assert_eq!(hours[..4], ["00:00", "01:00", "03:00", "04:00"], "there is no 02:00");
    assert!(report.hourly_breakdown.iter().all(|hour| hour.figures.minutes == 60));
}

#[test]
fn the_day_that_clocks_go_back_has_the_same_hour_twice() {
    let report = new_york(11, 1);
    assert_eq!(report.summary.total_stream_time, 90_000.0, "25 × 3,600");
    assert_eq!(report.hourly_breakdown.len(), 25);
    let twice: Vec<_> =
        report.hourly_breakdown.iter().filter(|hour| hour.hour.ends_with("01:00")).collect();
    let starts: Vec<_> = twice.iter().map(|hour| &*hour.start).collect();
    assert_eq!(starts, ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"]);
    assert!(report.hourly_breakdown.iter().all(|hour| hour.figures.minutes == 60));
}

#[test]
fn hours_of_zones_with_half_hours_begin_by_their_own_clock() {
    let period = period(ReportType::Daily, 2026, 3, 1, "Asia/Kolkata");
    let mut fold = ReportFold::new("ch-1", period, EpochMs((DAY_S + 86_400) * 1_000));
    // 00:29 and 00:30 UTC are 05:59 and 06:00 in India.
    fold.add_row(&key("a", 29 * 60), row(1, 5.0, 30.0, 0));
    fold.add_row(&key("a", 30 * 60), row(3, 5.0, 30.0, 0));
    let report = fold.finish();
    let hours: Vec<_> =
        report.hourly_breakdown.iter().map(|h| (&*h.hour, h.figures.avg_viewers)).collect();
    assert_eq!(hours, [("2026-03-01 05:00", Some(1.0)), ("2026-03-01 06:00", Some(3.0))]);
}

#[test]
fn a_change_of_half_an_hour_begins_a_new_hour() {
    // Lord Howe Island goes back from 02:00 to 01:30 on 5 April 2026.
    let period = period(ReportType::Daily, 2026, 4, 5, "Australia/Lord_Howe");
    let (start_s, end_s) = (period.start().0 / 1_000, period.end().0 / 1_000);
    let mut fold = ReportFold::new("ch-1", period, EpochMs(end_s * 1_000));
    for second in (start_s - DAY_S..end_s - DAY_S).step_by(60) {
        fold.add_row(&key("a", second), row(1, 5.0, 30.0, 0));
    }
    let report = fold.finish();
    let hours: Vec<_> =
        report.hourly_breakdown.iter().map(|h| (&h.hour[11..], h.figures.minutes)).collect();
    assert_eq!(hours.len(), 25);
    assert_eq!(hours[..4], [("00:00", 60), ("01:00", 60), ("01:00", 30), ("02:00", 60)]);
}

#[test]
fn a_day_that_never_was_says_so_and_is_stepped_over() {
    // Samoa went from 29 to 31 December 2011.
    let apia = || zone("Pacific/Apia");
    let never = Period::containing(ReportType::Daily, date(2011, 12, 30), apia()).unwrap_err();
    assert_eq!(
        never.to_string(),
        "2011-12-30 never was in Pacific/Apia: clocks there jumped over it; ask for the day before \
         or after"
    );
    let after = Period::containing(ReportType::Daily, date(2011, 12, 31), apia()).unwrap();
    let now = after.end();
    assert_eq!(after.before(now).unwrap().name(), "2011-12-29");
    let morning = EpochMs(after.start().0 + 1);
    let last = Period::last_complete(ReportType::Daily, morning, &apia()).unwrap();
    assert_eq!(last.name(), "2011-12-29");
    assert_eq!(last.end(), after.start(), "nothing lies between them");
    let week = Period::containing(ReportType::Weekly, date(2011, 12, 30), apia()).unwrap();
    assert_eq!(week.end().0 - week.start().0, 6 * 86_400_000);
}

#[test]
fn half_a_day_compares_with_half_of_the_day_before() {
    let noon = EpochMs((DAY_S + 12 * HOUR_S) * 1_000 + 30_500);
    let before = day().before(noon).unwrap();
    assert_eq!(
        shown(&before),
        texts("2026-02-28", "2026-02-28T00:00:00+00:00", "2026-02-28T12:00:00+00:00")
    );
    let whole = day().before(EpochMs((DAY_S + 24 * HOUR_S) * 1_000)).unwrap();
    assert_eq!(whole.end(), day().start());
    assert_eq!(day().before(EpochMs(DAY_S * 1_000)), None, "it has not begun");
}
