//! `worker`.

use std::time::Duration;

use anyhow::Context as _;

use crate::cloud;
use crate::commands::signals;
use crate::config::Config;
use crate::config::Consumer;
use crate::ops;
use crate::page::Page;
use crate::worker::{Worker, drained};
use clap::Args;

/// `worker`.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Stop once every shard was read to its tip and all of it is committed; for the only worker of a
    /// stream
    #[arg(long)]
    pub until_drained: bool,
    /// How records are fetched; instead of `stream.consumer`
    #[arg(long)]
    pub consumer: Option<Consumer>,
    /// Ask IVS for events that never came, and put them into the stream; as `reconcile.enabled`
    #[arg(long)]
    pub reconcile: bool,
}

/// Joins the fleet until SIGTERM or ctrl-C, then commits and releases everything.
///
/// # Errors
/// When the worker or its operations server cannot start, when something it writes to is missing,
/// when leases had to be taken away at the deadline, or when shards that were to be drained were not.
pub(super) async fn run(config: &Config, args: &WorkerArgs) -> anyhow::Result<()> {
    // From the first moment on: an orchestrator may change its mind while the worker still starts.
    let mut stop = std::pin::pin!(signals::stop()?);
    let ops = ops::start(&config.ops).await?;
    if let Some(ops) = &ops {
        tracing::info!(address = %ops.address(), "operations server started");
    }
    let clients = cloud::clients_with_faults(&config.aws, &config.chaos).await;
    let mut config = config.clone();
    config.stream.consumer = args.consumer.unwrap_or(config.stream.consumer);
    config.reconcile.enabled |= args.reconcile;
    if let Some(ops) = ops.as_ref().filter(|_| config.ops.page) {
        ops.serve_page(Page::new(&config, &clients));
    }
    let worker = tokio::select! {
        biased;
        () = &mut stop => {
            tracing::info!("stopped before it had started; nothing was read");
            return Ok(());
        }
        worker = Worker::start(&config, &clients) => worker.context("the worker did not start")?,
    };
    tracing::info!(worker = %worker.id(), stream = config.stream.name, "worker started");
    if let Some(ops) = &ops {
        ops.running(worker.watch());
    }
    let drained = tokio::select! {
        biased;
        () = &mut stop => {
            tracing::info!("stopping: closing epochs and releasing leases");
            let undrained = || anyhow::anyhow!("stopped before every shard was read to its tip");
            if args.until_drained { Err(undrained()) } else { Ok(()) }
        }
        drained = drained(&worker), if args.until_drained => drained.map_err(Into::into),
    };
    if let Some(ops) = &ops {
        ops.draining();
    }
    let stats = std::sync::Arc::clone(worker.stats());
    let report = worker.shutdown(Duration::from_millis(config.shutdown.deadline_ms)).await;
    println!("{}", serde_json::to_string(&stats.snapshot())?);
    anyhow::ensure!(
        report.forced == 0,
        "{} leases were not given back within {} ms; their epochs will be done again",
        report.forced,
        config.shutdown.deadline_ms
    );
    drained
}
