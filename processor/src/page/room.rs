//! The state from which every answer of the page is made.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_calls::RetryPolicy;
use kinesis_model::EpochMs;
use tokio::sync::{Semaphore, watch};

use super::body::Watchers;
use crate::clock::Instant;
use crate::cloud::Clients;
use crate::config::Config;
use crate::ops::Phase;
use crate::worker::Watch;

/// Somebody waits for the answer: three tries within about half a second.
pub(super) const WHILE_THEY_LOOK: RetryPolicy =
    RetryPolicy { initial_ms: 50, max_ms: 500, attempts: 3 };

/// The state from which every answer is made.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) clients: Clients,
    pub(super) config: Config,
    /// The endpoint of all services; empty is AWS.
    pub(super) endpoint: String,
    pub(super) worker: Mutex<(Phase, Option<Watch>)>,
    /// The latest snapshot as JSON.
    pub(super) snapshots: watch::Sender<Arc<str>>,
    pub(super) headlines: watch::Sender<Headline>,
    pub(super) watchers: Watchers,
    pub(super) widgets: tokio::sync::Mutex<Drawn>,
    pub(super) reports: Semaphore,
    /// The sessions of the latest snapshot whose end was not reported, and up to where they count.
    pub(super) lost: Mutex<BTreeMap<Arc<str>, EpochMs>>,
}

impl Room {
    pub(super) fn worker(&self) -> (Phase, Option<Watch>) {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether AWS is an emulator: asking it costs nothing, so that the page asks more
    /// often.
    pub(super) fn is_local(&self) -> bool {
        crate::cloud::is_plain(&self.endpoint)
    }
}

/// The page in one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headline {
    /// Streams that are live.
    pub streams: usize,
    /// Their viewers.
    pub viewers: f64,
    /// Alarms that fire.
    pub firing: usize,
    /// Age of the newest figure; `None` while nothing is live.
    pub behind_ms: Option<i64>,
}

/// Widgets that were drawn lately, by channel.
#[derive(Debug, Default)]
pub(super) struct Drawn(pub(super) HashMap<String, (Instant, Arc<str>)>);
