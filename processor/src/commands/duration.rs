//! Times as a user writes them.

use std::time::Duration;

/// Reads a time such as `60s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(signed).map_err(|_| "expected a time that is not negative".to_owned())
}

/// Reads a moment: RFC 3339, or the midnight UTC at which a date begins.
pub(super) fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let midnight = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC);
    text.parse().or_else(|error: jiff::Error| match text.parse().map(midnight) {
        Ok(Ok(zoned)) => Ok(zoned.timestamp()),
        _ => Err(format!("expected 2026-03-01T12:00:00Z or 2026-03-01 ({error})")),
    })
}
