//! Where an epoch's effects go. Each sink answers only when AWS has acknowledged everything (E3);
//! each is bounded in concurrency, rate and retries.

mod calls;
pub mod channels;
mod emit;
mod error;
pub mod events;
mod judged;
pub mod metrics;
pub mod objects;
pub mod outbox;
pub mod patience;
pub mod rows;
mod set_aside;
pub mod stats;
mod upload;

pub use calls::Rate;
pub use error::SinkError;
pub use judged::Judged;
pub use set_aside::SetAside;

use std::sync::Arc;
use std::time::Duration;

use ivs_core::quality::Rule;

use crate::cloud::Clients;
use crate::cloud::store_url::{StoreUrl, StoreUrlError};
use crate::config::Config;
use crate::sink::stats::Stats;

/// All sinks of a process.
#[derive(Clone, Debug)]
pub struct Sinks {
    /// The two tables.
    pub rows: rows::RowSink,
    /// Rejects and archive.
    pub objects: objects::ObjectSink,
    /// CloudWatch.
    pub metrics: metrics::MetricSink,
    /// The domain bus.
    pub events: events::EventSink,
    /// The output that CloudWatch and the bus have not acknowledged.
    pub outbox: outbox::Outbox,
    /// The closed windows that were judged.
    pub judged: Judged,
    /// The rules by which closed windows are judged.
    rules: Arc<[Rule]>,
    patience: Duration,
    /// Their statistics.
    pub stats: Arc<Stats>,
}

impl Sinks {
    /// Opens the sinks with the configured limits.
    ///
    /// # Errors
    /// When the archive or the rejects cannot be opened.
    pub fn new(
        config: &Config,
        clients: &Clients,
        stats: Arc<Stats>,
    ) -> Result<Self, StoreUrlError> {
        let share = || Arc::clone(&stats);
        let outbox = outbox::Outbox::new(
            StoreUrl::open(&config.objects.rejects, &config.aws)?,
            &config.stream.name,
            config.outbox.max_bytes(),
            share(),
        );
        Ok(Self {
            outbox,
            judged: Judged::default(),
            rules: config.rules.0.clone().into(),
            patience: Duration::from_millis(config.outbox.patience_ms),
            rows: rows::RowSink::new(
                clients.dynamodb.clone(),
                &config.tables,
                config.worker.row_cache_bytes(),
                share(),
            ),
            objects: objects::ObjectSink::open(
                &config.objects,
                &config.aws,
                &config.stream.name,
                share(),
            )?,
            metrics: metrics::MetricSink::new(
                clients.cloudwatch.clone(),
                &config.cloudwatch,
                share(),
            ),
            events: events::EventSink::new(clients.eventbridge.clone(), &config.events, share()),
            stats,
        })
    }
}

impl Sinks {
    /// Sends what waits in the outbox, until it is dropped.
    pub async fn run_outbox(self) {
        let services =
            outbox::Services { metrics: self.metrics, events: self.events, objects: self.objects };
        self.outbox.run(services).await;
    }
}
