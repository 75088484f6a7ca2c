//! The outgoing data: CloudWatch datums and domain events, built from folds without any I/O.

mod batch;
mod building;
mod closed_run;
mod closed_window;
mod datum;
mod events;
mod processor;
mod row_judge;
mod samples;
#[cfg(test)]
mod tests;

use crate::emit::closed_window as windows;
pub use batch::{
    Bisected, DEFAULT_BATCH_DATUMS, DatumBatch, MAX_BATCH_BYTES, MAX_BATCH_DATUMS, batches,
    estimated_bytes,
};
pub use building::{
    account_datums, closed_window_datums, session_datums, stored_datums, window_datums,
};
pub use closed_run::{ClosedRun, closed_runs};
pub use datum::{
    Datum, DatumError, DatumValue, FARTHEST_AHEAD_MS, MAX_DIMENSION_CHARS, MAX_MAGNITUDE,
    MAX_VALUES, MIN_MAGNITUDE, OLDEST_MS, Series, Timeliness, too_old_or_ahead, validate,
};
pub use events::{
    CHAT_SPIKE_PER_MINUTE, VIEWER_DROP_PERCENT, account_events, closed_window_events, rule_events,
    session_events,
};
pub use processor::{EpochFigures, WorkerFigures, epoch_datums, worker_datums};
pub use row_judge::RowJudge;
pub use windows::{
    AUDIENCE_FLOOR, ComparedSpan, GRACE_MS, WINDOW_MS, minutes_needed, viewer_drop_percent,
    windows_to_judge,
};
