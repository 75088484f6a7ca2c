//! Where an epoch's effects go. Each sink answers only when AWS has acknowledged everything (E3);
//! each is bounded in concurrency, rate and retries.

pub mod calls;
pub mod channels;
mod emit;
pub mod events;
mod judged;
pub mod metrics;
pub mod objects;
mod otlp;
pub mod outbox;
pub mod patience;
pub mod rows;
mod set_aside;
pub mod stats;
mod upload;

pub use judged::Judged;
pub use otlp::OtlpError;
pub use set_aside::SetAside;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use aws_calls::RetryPolicy;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};

use crate::cloud::Clients;
use crate::cloud::store_url::{StoreUrl, StoreUrlError};
use crate::config::{Config, SendAs};
use crate::items::codec::ItemError;
use crate::sink::stats::Stats;

/// For effects of an epoch: about half a minute, after which the shard's task gives up and whoever
/// holds the lease next starts the epoch again.
pub const EFFECT: RetryPolicy = RetryPolicy { initial_ms: 50, max_ms: 5_000, attempts: 12 };

/// Why an effect did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// AWS refused, or did not answer in all tries.
    #[error("{operation} on {target} failed: {reason}")]
    Aws {
        /// The API operation.
        operation: &'static str,
        /// The table, namespace, bus or object.
        target: String,
        /// AWS's words.
        reason: String,
    },
    /// A stored row cannot be read, so nothing can be merged into it.
    #[error("row {key} of {table} is not ours to merge into: {source}")]
    Row {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The attribute that is wrong.
        source: ItemError,
    },
    /// DynamoDB will never take the item.
    #[error("row {key} of {table} is refused: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// DynamoDB's words.
        reason: String,
    },
    /// Others kept writing the row in between.
    #[error("row {key} of {table} was contended in {tries} tries")]
    Contended {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// How often it was tried.
        tries: u32,
    },
    /// An object could not be stored.
    #[error("cannot store {path}: {reason}")]
    Object {
        /// Its path below the configured URL.
        path: String,
        /// The store's words.
        reason: String,
    },
}

impl SinkError {
    /// Returns whether one row is to blame, and trying again will never help.
    fn is_the_rows_own(&self) -> bool {
        matches!(self, Self::Row { .. } | Self::Refused { .. })
    }
}

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
    /// Sinks with the configured limits.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(config: &Config, clients: &Clients, stats: Arc<Stats>) -> Result<Self, SetupError> {
        let backends = Backends::aws(config, clients, &stats)?;
        Ok(Self::over(config, backends, stats))
    }

    /// Sinks with the configured limits into any services.
    #[must_use]
    pub fn over(config: &Config, backends: Backends, stats: Arc<Stats>) -> Self {
        let Backends { rows, metrics, events, rejects, archive } = backends;
        let share = || Arc::clone(&stats);
        let (stream, max_bytes) = (&config.stream.name, config.outbox.max_bytes());
        Self {
            outbox: outbox::Outbox::new(rejects.clone(), stream, max_bytes, share()),
            judged: Judged::default(),
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

/// A rate limit shared by all shard tasks; 0 calls a second means none.
#[derive(Clone, Debug)]
pub struct Rate(Option<Arc<DefaultDirectRateLimiter>>);

impl Rate {
    /// Returns a limit of `per_s` cells a second, with a burst of one second's worth.
    #[must_use]
    pub fn per_second(per_s: u32) -> Self {
        let limiter = |per_s| Arc::new(RateLimiter::direct(Quota::per_second(per_s)));
        Self(NonZeroU32::new(per_s).map(limiter))
    }

    /// Waits for a cell. Up to 5 ms of jitter keeps tasks that wait together from waking together.
    pub async fn ready(&self) {
        if let Some(limiter) = &self.0 {
            limiter
                .until_ready_with_jitter(Jitter::up_to(std::time::Duration::from_millis(5)))
                .await;
        }
    }
}

/// Sends a request until it succeeds, is refused for good, or the tries are used up.
pub(crate) async fn persist<T, E, F>(
    stats: &Stats,
    send: impl FnMut() -> F,
) -> Result<T, SdkError<E, Response>>
where
    F: Future<Output = Result<T, SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let count = || _ = stats.retries.fetch_add(1, Relaxed);
    aws_calls::persist(EFFECT, count, send).await
}
