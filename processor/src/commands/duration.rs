//! Times as a user writes them.

use std::time::Duration;

/// Reads a time such as `60s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(signed).map_err(|_| "expected a time that is not negative".to_owned())
}
