//! The operations server: what a worker says about itself to who asks over HTTP.
//!
//! `/healthz`: the process lives and its loops turn. `/readyz`: it can do its work. `/metrics`:
//! OpenMetrics or Prometheus text. `/status`: JSON. It serves from before the worker joins its fleet until after it
//! has left.

pub mod client;
mod http;
pub mod metrics;
pub mod openmetrics;
pub mod probe;
pub mod status;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kinesis_model::EpochMs;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::{Instant, now};
use crate::page::Page;
use crate::worker::Watch;

/// Why the operations server did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The setting is wrong.
    #[error("{0}")]
    Setting(String),
    /// The port is taken or the address is not this machine's.
    #[error(
        "the operations server cannot listen on {address}: {}; choose another address with \
         ops.listen, port 0 for any free one, or turn it off with an empty one",
        .reason.kind()
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        reason: std::io::Error,
    },
}

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

/// The state from which the server answers.
#[derive(Debug)]
struct OpsState {
    started: Instant,
    started_ms: EpochMs,
    /// Names by which it may be asked, besides addresses and localhost.
    hosts: Vec<String>,
    /// Channels told of in `/metrics`.
    channels: usize,
    worker: Mutex<(Phase, Option<Watch>)>,
    page: OnceLock<Arc<Page>>,
}

impl OpsState {
    fn new(channels: usize, hosts: &[String]) -> Self {
        Self {
            started: crate::clock::instant(),
            started_ms: now(),
            hosts: hosts.to_vec(),
            channels,
            worker: Mutex::new((Phase::Starting, None)),
            page: OnceLock::new(),
        }
    }

    fn worker(&self) -> MutexGuard<'_, (Phase, Option<Watch>)> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running operations server. Dropping it ends it and cuts its connections.
#[derive(Debug)]
pub struct Ops {
    address: SocketAddr,
    state: Arc<OpsState>,
    accepting: JoinHandle<()>,
}

impl Ops {
    /// Binds and serves, telling of the `channels` with the most viewers. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// See [`OpsError`].
    pub async fn start(address: SocketAddr, channels: usize) -> Result<Self, OpsError> {
        Self::start_as(address, channels, &[]).await
    }

    /// As [`Ops::start`], answering to these names too.
    ///
    /// # Errors
    /// See [`OpsError`].
    pub async fn start_as(
        address: SocketAddr,
        channels: usize,
        hosts: &[String],
    ) -> Result<Self, OpsError> {
        let refused = |reason| OpsError::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let state = Arc::new(OpsState::new(channels, hosts));
        let accepting = tokio::spawn(http::accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the page under `/` too, from now on.
    pub fn serve_page(&self, page: Arc<Page>) {
        // A second one would show the same.
        let _is_first = self.state.page.set(page).is_ok();
    }

    /// The worker has joined its fleet.
    pub fn running(&self, worker: Watch) {
        if let Some(page) = self.state.page.get() {
            page.running(worker.clone());
        }
        *self.state.worker() = (Phase::Running, Some(worker));
    }

    /// The worker is about to leave.
    pub fn draining(&self) {
        if let Some(page) = self.state.page.get() {
            page.draining();
        }
        self.state.worker().0 = Phase::Draining;
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Returns the server that a worker's configuration asks for, if any. A worker whose probes cannot
/// be served does not start: it would be killed as dead, or be trusted unseen.
///
/// # Errors
/// See [`OpsError`].
pub async fn start(config: &crate::config::Ops) -> Result<Option<Ops>, OpsError> {
    match config.address().map_err(OpsError::Setting)? {
        None => Ok(None),
        Some(address) => Ops::start_as(address, config.channels, &config.hosts).await.map(Some),
    }
}

/// As [`start`], but a port that is taken is replaced by any free one, for a program that somebody
/// watches and that may run twice on one machine.
///
/// # Errors
/// See [`OpsError`].
pub async fn start_anywhere(config: &crate::config::Ops) -> Result<Option<Ops>, OpsError> {
    match start(config).await {
        Err(OpsError::Listen { address, reason })
            if reason.kind() == std::io::ErrorKind::AddrInUse =>
        {
            let free = SocketAddr::new(address.ip(), 0);
            let ops = Ops::start_as(free, config.channels, &config.hosts).await?;
            eprintln!("ops.listen {address} is in use; serving on {} instead", ops.address);
            Ok(Some(ops))
        }
        result => result,
    }
}
