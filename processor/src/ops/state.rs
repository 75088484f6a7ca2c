//! The state of the operations server.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::phase::{Phase, Started};
use super::site::Site;
use crate::worker::Watch;

/// The state from which the server answers.
#[derive(Debug)]
pub(super) struct OpsState {
    pub(super) started: Started,
    /// Names by which it may be asked, besides addresses and localhost.
    pub(super) hosts: Vec<String>,
    /// Channels told of in `/metrics`.
    pub(super) channels: usize,
    worker: Mutex<(Phase, Option<Watch>)>,
    pub(super) page: OnceLock<Arc<dyn Site>>,
}

impl OpsState {
    pub(super) fn new(channels: usize, hosts: &[String]) -> Self {
        Self {
            started: Started::now(),
            hosts: hosts.to_vec(),
            channels,
            worker: Mutex::new((Phase::Starting, None)),
            page: OnceLock::new(),
        }
    }

    pub(super) fn worker(&self) -> MutexGuard<'_, (Phase, Option<Watch>)> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
