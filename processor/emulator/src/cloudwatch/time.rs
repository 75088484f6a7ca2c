//! Times as CloudWatch takes and shows them.

use jiff::Timestamp;

/// Returns milliseconds of a time in seconds since the epoch; `None` if it is not finite or beyond
/// reason.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn ms_of_seconds(seconds: f64) -> Option<i64> {
    // The years -9999 to 9999, as far as RFC 3339 goes.
    (seconds.abs() < 2.5e11).then(|| (seconds * 1_000.0).round() as i64)
}

/// Reads RFC 3339 into seconds since the epoch.
#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
pub(super) fn parse(text: &str) -> Option<f64> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_millisecond() as f64 / 1_000.0)
}

/// Formats seconds since the epoch as `2026-03-01T12:00:07.000Z`; the epoch itself for what has no
/// such form.
pub(super) fn rfc3339(seconds: f64) -> String {
    let ms = ms_of_seconds(seconds).unwrap_or_default();
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written() {
        assert_eq!(rfc3339(1_772_366_407.0), "2026-03-01T12:00:07.000Z");
        assert_eq!(parse("2026-03-01T12:00:07Z"), Some(1_772_366_407.0));
        assert_eq!(ms_of_seconds(f64::NAN), None);
        assert_eq!(parse("yesterday"), None);
    }
}
