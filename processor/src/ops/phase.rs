//! Where a process stands in its life.

use kinesis_model::EpochMs;
use serde::{Deserialize, Serialize};

use crate::clock::{Instant, now};

/// Where the worker stands.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is joining its fleet.
    Starting,
    /// It works.
    Running,
    /// It is leaving: open epochs are committed and leases given back.
    Draining,
}

/// When a process began to serve, by the clock that never goes back and by the wall's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    pub(super) at: Instant,
    pub(super) ms: EpochMs,
}

impl Started {
    pub(super) fn now() -> Self {
        Self { at: crate::clock::instant(), ms: now() }
    }
}
