//! Where an epoch's effects go. Each sink answers only when AWS has acknowledged everything (E3);
//! each is bounded in concurrency, rate and retries.

pub mod calls;
pub mod channels;
mod emit;
mod entry;
mod error;
pub mod events;
mod judged;
pub mod metrics;
pub mod objects;
mod otlp;
pub mod outbox;
pub mod patience;
mod retry;
pub mod rows;
mod set_aside;
pub mod stats;
mod upload;

pub use error::SinkError;
pub use judged::Judged;
pub use otlp::OtlpError;
pub use retry::Rate;
pub use set_aside::SetAside;

use std::sync::Arc;
use std::time::Duration;

use ivs_core::experience::Dimension;
use ivs_core::quality::Rule;

use crate::cloud::Clients;
use crate::cloud::store_url::{StoreUrl, StoreUrlError};
use crate::config::{Config, SendAs, breakdowns};
use crate::sink::stats::Stats;

/// Why the sinks cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Archive or rejects cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreUrlError),
    /// Metrics cannot be sent as OTLP.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// All sinks of a process.
#[derive(Clone, Debug)]
pub struct Sinks {
    /// The two tables.
    pub rows: rows::RowSink,
    /// Rejects and archive.
    pub objects: objects::ObjectSink,
    /// CloudWatch, or a receiver of OTLP.
    pub metrics: metrics::MetricSink,
    /// The domain bus.
    pub events: events::EventSink,
    /// The output that CloudWatch and the bus have not acknowledged.
    pub outbox: outbox::Outbox,
    /// The closed windows that were judged.
    pub judged: Judged,
    /// The rules by which closed windows are judged.
    rules: Arc<[Rule]>,
    /// The dimensions by which figures of viewers are sent too.
    by_dimension: Arc<[Dimension]>,
    patience: Duration,
    /// Their statistics.
    pub stats: Arc<Stats>,
}

/// The services behind the sinks, each behind its seam.
#[derive(Clone, Debug)]
pub struct Backends {
    /// The two tables.
    pub rows: Arc<dyn rows::RowStore>,
    /// CloudWatch.
    pub metrics: Arc<dyn calls::MetricCalls>,
    /// The domain bus.
    pub events: Arc<dyn calls::EventCalls>,
    /// Rejects, and beside them the outbox.
    pub rejects: StoreUrl,
    /// Archive segments, if they are wanted.
    pub archive: Option<StoreUrl>,
}

impl Backends {
    /// Returns AWS's own.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn aws(config: &Config, clients: &Clients, stats: &Arc<Stats>) -> Result<Self, SetupError> {
        let open = |url: &str| StoreUrl::open(url, &config.aws);
        let archive = Some(config.objects.archive.as_str()).filter(|url| !url.is_empty());
        let metrics: Arc<dyn calls::MetricCalls> = match config.metrics.send_as {
            SendAs::PutMetricData => Arc::new(calls::CloudWatch(clients.cloudwatch.clone())),
            SendAs::Otlp => Arc::new(otlp::Otlp::new(&config.metrics, &config.aws)?),
        };
        Ok(Self {
            rows: rows::dynamo_rows(clients.dynamodb.clone(), &config.tables, Arc::clone(stats)),
            metrics,
            events: Arc::new(calls::EventBus {
                eventbridge: clients.eventbridge.clone(),
                bus: Arc::from(config.events.bus.as_str()),
            }),
            rejects: open(&config.objects.rejects)?,
            archive: archive.map(open).transpose()?,
        })
    }
}

impl Sinks {
    /// Opens the sinks with the configured limits.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(config: &Config, clients: &Clients, stats: Arc<Stats>) -> Result<Self, SetupError> {
        let backends = Backends::aws(config, clients, &stats)?;
        Ok(Self::over(config, backends, stats))
    }

    /// Returns sinks with the configured limits into any services.
    #[must_use]
    pub fn over(config: &Config, backends: Backends, stats: Arc<Stats>) -> Self {
        let Backends { rows, metrics, events, rejects, archive } = backends;
        let share = || Arc::clone(&stats);
        let (stream, max_bytes) = (&config.stream.name, config.outbox.max_bytes());
        Self {
            outbox: outbox::Outbox::new(rejects.clone(), stream, max_bytes, share()),
            judged: Judged::default(),
            rules: config.rules.0.clone().into(),
            by_dimension: breakdowns::chosen(&config.cloudwatch.dimensions).into(),
            patience: Duration::from_millis(config.outbox.patience_ms),
            rows: rows::RowSink::over(
                rows,
                &config.tables,
                (config.worker.row_cache_bytes(), config.epoch.interval_ms.unsigned_abs()),
                share(),
            ),
            objects: objects::ObjectSink::new(rejects, archive, stream, share()),
            metrics: metrics::MetricSink::over(metrics, &config.cloudwatch, share()),
            events: events::EventSink::over(events, &config.events, share()),
            stats,
        }
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
