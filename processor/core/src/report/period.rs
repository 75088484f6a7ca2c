//! Calendar periods: half-open, in the calendar of a zone.

use ivs_schemas::report::{self, ReportType};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use kinesis_model::EpochMs;

/// A day, week or month of a zone's calendar.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    kind: ReportType,
    zone: TimeZone,
    name: String,
    start: EpochMs,
    end: EpochMs,
}

/// A period that no calendar has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Beyond the calendar.
    #[error("no {} report around {around}: years go from -9999 to 9999", .kind.as_str())]
    Beyond {
        /// Which kind was asked for.
        kind: ReportType,
        /// Where.
        around: String,
    },
    /// The zone's clocks jumped over the whole of it.
    #[error(
        "{date} never was in {zone}: clocks there jumped over it; ask for the day before or after"
    )]
    NeverWas {
        /// The day.
        date: Date,
        /// The zone's IANA name.
        zone: String,
    },
}

impl Period {
    /// Returns the period that holds a date.
    ///
    /// # Errors
    /// At the ends of the calendar, in the years -9999 and 9999; and for a day that the zone's
    /// clocks jumped over.
    pub fn containing(kind: ReportType, date: Date, zone: TimeZone) -> Result<Self, PeriodError> {
        let error = |_| PeriodError::Beyond { kind, around: date.to_string() };
        let (first, next, name) = match kind {
            ReportType::Daily => (date, date.tomorrow().map_err(error)?, date.to_string()),
            ReportType::Weekly => {
                let week = date.iso_week_date();
                let since_monday = date.weekday().since(Weekday::Monday);
                let first = date.checked_sub(since_monday.days()).map_err(error)?;
                let name = format!("{:04}-W{:02}", week.year(), week.week());
                (first, first.checked_add(7.days()).map_err(error)?, name)
            }
            ReportType::Monthly => {
                let first = date.first_of_month();
                let name = format!("{:04}-{:02}", date.year(), date.month());
                (first, first.checked_add(1.month()).map_err(error)?, name)
            }
        };
        let instant = |date: Date| -> Result<EpochMs, PeriodError> {
            let midnight = date.to_zoned(zone.clone()).and_then(|at| at.start_of_day());
            Ok(EpochMs(midnight.map_err(error)?.timestamp().as_millisecond()))
        };
        let (start, end) = (instant(first)?, instant(next)?);
        if start >= end {
            let zone = zone.iana_name().unwrap_or("UTC").to_owned();
            return Err(PeriodError::NeverWas { date, zone });
        }
        Ok(Self { kind, name, start, end, zone })
    }

    /// Returns the latest period that is over.
    ///
    /// # Errors
    /// At the ends of the calendar.
    pub fn last_complete(
        kind: ReportType,
        now: EpochMs,
        zone: &TimeZone,
    ) -> Result<Self, PeriodError> {
        let error = |_| PeriodError::Beyond { kind, around: format!("{} ms", now.0) };
        let today = Timestamp::from_millisecond(now.0).map_err(error)?.to_zoned(zone.clone());
        let current = Self::containing(kind, today.date(), zone.clone())?;
        current.last_before()
    }

    /// Returns the period before this one. Of a period that is not over, only as much of the one
    /// before as is over of this: half a day compares with half a day. `None` if nothing of it is
    /// over, and where the calendar begins.
    #[must_use]
    pub fn before(&self, now: EpochMs) -> Option<Self> {
        let mut before = self.last_before().ok()?;
        let over_ms = now.min(self.end).0 - self.start.0;
        if now < self.end {
            let minutes_ms = over_ms - over_ms.rem_euclid(60_000);
            before.end = before.end.min(EpochMs(before.start.0 + minutes_ms));
        }
        (before.start < before.end).then_some(before)
    }

    fn last_before(&self) -> Result<Self, PeriodError> {
        let beyond = |date: Date| PeriodError::Beyond { kind: self.kind, around: date.to_string() };
        let first = self.zoned(self.start).date();
        let date = first.yesterday().map_err(|_| beyond(first))?;
        match Self::containing(self.kind, date, self.zone.clone()) {
            Err(PeriodError::NeverWas { .. }) => {
                let date = date.yesterday().map_err(|_| beyond(first))?;
                Self::containing(self.kind, date, self.zone.clone())
            }
            found => found,
        }
    }

    /// Returns which kind it is.
    #[must_use]
    pub fn kind(&self) -> ReportType {
        self.kind
    }

    /// Names the period, as `2026-03-01`, `2026-W09` or `2026-03`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its first instant.
    #[must_use]
    pub fn start(&self) -> EpochMs {
        self.start
    }

    /// Returns the first instant after it.
    #[must_use]
    pub fn end(&self) -> EpochMs {
        self.end
    }

    /// Returns whether an instant lies in it.
    #[must_use]
    pub fn contains(&self, time: EpochMs) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// Returns how the report names it.
    #[must_use]
    pub fn describe(&self) -> report::Period {
        report::Period {
            start: self.rfc3339(self.start),
            end: self.rfc3339(self.end),
            name: self.name.clone(),
            time_zone: self.zone.iana_name().unwrap_or("UTC").to_owned(),
        }
    }

    /// Returns an instant by the clock of the zone; beyond the years -9999 to 9999 the nearer end.
    pub(super) fn zoned(&self, time: EpochMs) -> Zoned {
        let nearest = if time.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(time.0).unwrap_or(nearest).to_zoned(self.zone.clone())
    }

    /// Formats a time as RFC 3339 with the zone's offset.
    pub(super) fn rfc3339(&self, time: EpochMs) -> String {
        let zoned = self.zoned(time);
        zoned.timestamp().display_with_offset(zoned.offset()).to_string()
    }

    /// Returns the zone's next change of offset after an instant.
    pub(super) fn next_change(&self, after: EpochMs) -> Option<EpochMs> {
        let after = Timestamp::from_millisecond(after.0).ok()?;
        let next = self.zone.following(after).next()?;
        Some(EpochMs(next.timestamp().as_millisecond()))
    }
}
