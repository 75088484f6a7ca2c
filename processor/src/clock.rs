//! The one place where the program asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use kinesis_model::EpochMs;

/// Now, by the system's clock; 0 before 1970.
#[must_use]
pub fn now() -> EpochMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EpochMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
