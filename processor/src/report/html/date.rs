//! Dates and times as people write them.

use ivs_schemas::report::{Period, ReportType};
use jiff::ToSpan as _;
use jiff::civil::Date;

use super::labels::Lang;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const WEEKDAYS_JA: [&str; 7] = ["月", "火", "水", "木", "金", "土", "日"];

/// Returns the date of an RFC 3339 time, by its own offset.
pub(super) fn date_of(rfc3339: &str) -> Option<Date> {
    rfc3339.get(..10)?.parse().ok()
}

/// Returns `20:05` of an RFC 3339 time; Japanese has no zero before the hour.
pub(super) fn clock(rfc3339: &str, lang: Lang) -> &str {
    let clock = rfc3339.get(11..16).unwrap_or_default();
    match lang {
        Lang::En => clock,
        Lang::Ja => clock.strip_prefix('0').unwrap_or(clock),
    }
}

/// Writes `Sunday, 1 March 2026`, `2026年3月1日(日)`.
pub(super) fn full(date: Date, lang: Lang) -> String {
    let (year, day) = (date.year(), date.day());
    match lang {
        Lang::En => format!("{}, {day} {} {year}", weekday(date), month(date)),
        Lang::Ja => format!("{year}年{}({})", month_day(date, lang), weekday_ja(date)),
    }
}

/// Writes `Sun 1 Mar`, `3/1(日)`: where there is little room.
pub(super) fn short(date: Date, lang: Lang) -> String {
    let day = date.day();
    match lang {
        Lang::En => format!("{} {day} {}", &weekday(date)[..3], &month(date)[..3]),
        Lang::Ja => format!("{}/{day}({})", date.month(), weekday_ja(date)),
    }
}

/// Writes `Sun 1`, `1(日)`: below a chart of a week.
pub(super) fn weekday_and_day(date: Date, lang: Lang) -> String {
    let day = date.day();
    match lang {
        Lang::En => format!("{} {day}", &weekday(date)[..3]),
        Lang::Ja => format!("{day}({})", weekday_ja(date)),
    }
}

/// Writes `1 Mar`, `3/1`: below a chart of a month.
pub(super) fn day(date: Date, lang: Lang) -> String {
    match lang {
        Lang::En => format!("{} {}", date.day(), &month(date)[..3]),
        Lang::Ja => format!("{}/{}", date.month(), date.day()),
    }
}

/// Writes `1 March`, `3月1日`.
fn month_day(date: Date, lang: Lang) -> String {
    let day = date.day();
    match lang {
        Lang::En => format!("{day} {}", month(date)),
        Lang::Ja => format!("{}月{day}日", date.month()),
    }
}

/// Writes `Sun 1 Mar, 20:05`, `3/1(日) 20:05` of an RFC 3339 time.
pub(super) fn moment(rfc3339: &str, lang: Lang) -> String {
    let Some(date) = date_of(rfc3339) else { return rfc3339.to_owned() };
    let between = if lang == Lang::En { ", " } else { " " };
    format!("{}{between}{}", short(date, lang), clock(rfc3339, lang))
}

/// Writes `2 March 2026, 09:00`, `2026年3月2日 9:00` of an RFC 3339 time.
pub(super) fn full_moment(rfc3339: &str, lang: Lang) -> String {
    let Some(date) = date_of(rfc3339) else { return rfc3339.to_owned() };
    let (year, day, clock) = (date.year(), month_day(date, lang), clock(rfc3339, lang));
    match lang {
        Lang::En => format!("{day} {year}, {clock}"),
        Lang::Ja => format!("{year}年{day} {clock}"),
    }
}

/// Names a period: `Sunday, 1 March 2026`, `23 February – 1 March 2026`, `March 2026`, and in
/// Japanese.
pub(super) fn period(period: &Period, kind: ReportType, lang: Lang) -> String {
    let Some(first) = date_of(&period.start) else { return period.name.clone() };
    match kind {
        ReportType::Daily => full(first, lang),
        ReportType::Weekly => week(first, lang),
        ReportType::Monthly => match lang {
            Lang::En => format!("{} {}", month(first), first.year()),
            Lang::Ja => format!("{}年{}月", first.year(), first.month()),
        },
    }
}

fn week(first: Date, lang: Lang) -> String {
    let last = first.checked_add(6.days()).unwrap_or(first);
    let (same_year, same_month) = (first.year() == last.year(), first.month() == last.month());
    match lang {
        Lang::En => {
            let from = match (same_year, same_month) {
                (true, true) => first.day().to_string(),
                (true, false) => month_day(first, lang),
                _ => format!("{} {}", month_day(first, lang), first.year()),
            };
            format!("{from} – {} {}", month_day(last, lang), last.year())
        }
        Lang::Ja => {
            let year = if same_year { String::new() } else { format!("{}年", last.year()) };
            let last_day = month_day(last, lang);
            format!("{}〜{year}{last_day}({})", full(first, lang), weekday_ja(last))
        }
    }
}

fn month(date: Date) -> &'static str {
    MONTHS.get(usize::from(date.month().unsigned_abs()) - 1).copied().unwrap_or_default()
}

fn weekday(date: Date) -> &'static str {
    WEEKDAYS[weekday_index(date)]
}

fn weekday_ja(date: Date) -> &'static str {
    WEEKDAYS_JA[weekday_index(date)]
}

fn weekday_index(date: Date) -> usize {
    usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()) % WEEKDAYS.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn of(start: &str) -> Period {
        Period {
            start: format!("{start}T00:00:00+09:00"),
            end: String::new(),
            name: String::new(),
            time_zone: "Asia/Tokyo".to_owned(),
        }
    }

    #[test]
    fn periods_are_named_as_people_name_them() {
        let named =
            |start: &str, kind| [Lang::En, Lang::Ja].map(|lang| period(&of(start), kind, lang));
        assert_eq!(
            named("2026-03-01", ReportType::Daily),
            ["Sunday, 1 March 2026", "2026年3月1日(日)"]
        );
        assert_eq!(
            named("2026-02-23", ReportType::Weekly),
            ["23 February – 1 March 2026", "2026年2月23日(月)〜3月1日(日)"]
        );
        assert_eq!(named("2026-03-02", ReportType::Weekly)[0], "2 – 8 March 2026");
        assert_eq!(
            named("2026-12-28", ReportType::Weekly),
            ["28 December 2026 – 3 January 2027", "2026年12月28日(月)〜2027年1月3日(日)"]
        );
        assert_eq!(named("2026-03-01", ReportType::Monthly), ["March 2026", "2026年3月"]);
    }

    #[test]
    fn moments_are_short_in_tables_and_full_in_sentences() {
        let time = "2026-03-02T09:05:00+09:00";
        assert_eq!(moment(time, Lang::En), "Mon 2 Mar, 09:05");
        assert_eq!(moment(time, Lang::Ja), "3/2(月) 9:05");
        assert_eq!(full_moment(time, Lang::En), "2 March 2026, 09:05");
        assert_eq!(full_moment(time, Lang::Ja), "2026年3月2日 9:05");
        assert_eq!(weekday_and_day(date(2026, 2, 23), Lang::Ja), "23(月)");
    }
}
