//! Times as a user writes them.

#[cfg(feature = "local")]
use std::time::Duration;

/// Reads a date.
pub(super) fn date(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| "expected a date such as 2026-03-01".to_owned())
}

/// Reads the name of a time zone.
pub(super) fn zone(name: &str) -> Result<String, &'static str> {
    let expected = "expected the name of a time zone such as Asia/Tokyo, Europe/Berlin or UTC";
    jiff::tz::TimeZone::get(name).map(|_| name.to_owned()).map_err(|_| expected)
}

#[cfg(feature = "local")]
/// Reads a time such as `60s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 60s, 5m or 1h30m".to_owned();
    let signed: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| expected())
}

/// Reads a moment: RFC 3339, or the midnight UTC at which a date begins.
pub(super) fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let midnight = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC);
    text.parse().or_else(|_| match text.parse().map(midnight) {
        Ok(Ok(zoned)) => Ok(zoned.timestamp()),
        _ => Err("expected a time such as 2026-03-01T12:00:00Z or 2026-03-01".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_told_how_to_write_one() {
        for wrong in ["yesterday", "2026-13-01", ""] {
            assert_eq!(date(wrong).unwrap_err(), "expected a date such as 2026-03-01");
            assert!(moment(wrong).unwrap_err().ends_with("2026-03-01"), "{wrong}");
        }
        assert!(zone("Mars/Base").unwrap_err().contains("Asia/Tokyo"));
        assert_eq!(zone("Europe/Berlin").unwrap(), "Europe/Berlin");
        assert_eq!(moment("2026-03-01").unwrap().to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(duration("soon").unwrap_err(), "expected a time such as 60s, 5m or 1h30m");
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5_400));
    }
}
