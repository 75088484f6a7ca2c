//! `local`: the whole path on one machine. An embedded AWS on loopback, the resources, traffic or
//! a file, and a worker that does exactly what it does in the cloud.

mod alerts;
mod dashboard;
mod disk;
mod ivs_metrics;
mod live;
mod place;
mod report;
pub mod setup;

use crate::commands::signals;
use crate::producer::input::{self, Sent};
use crate::producer::traffic;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use ivs_emulator::{Endpoint, Notices, State, Telemetry};
use ivs_traffic::{Ledger, Produced};
use tokio_util::sync::CancellationToken;

use place::Place;
pub(super) use place::layer;

use crate::cloud;
use crate::cloud::Clients;
use clap::Args;

use super::duration::duration;
use super::replay::rows_out;
use crate::archive::find;
use crate::commands::rows;
use crate::config::Config;
use crate::ops::{self, Ops, Site as _};
use crate::page::{self, Page, port_or_next};
use crate::printable;
use crate::producer::traffic::TrafficArgs;
use crate::sink::stats::Snapshot;
use crate::worker::{Worker, drained};
use ivs_metrics::IvsMetrics;
use live::Live;

/// `local`.
#[derive(Args, Debug)]
pub struct LocalArgs {
    /// Stop after this long, such as 60s or 5m; without it, at ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// Send the records of these files, folders, file:// or s3:// URLs (plain, gzip, zstd; - for
    /// standard input) instead of made-up traffic, wait until all is committed, and exit
    #[arg(long, num_args = 1.., value_name = "SOURCE")]
    pub input: Vec<String>,
    /// With --input: end well even if nine of ten records were rejected
    #[arg(long, requires = "input")]
    pub allow_rejects: bool,
    /// At the end write the metric rows to this file (.csv, .ndjson, .parquet)
    #[arg(long, value_name = "FILE", value_parser = rows_out::file)]
    pub rows_out: Option<PathBuf>,
    /// The summary at the end as one line of JSON, the last on standard output
    #[arg(long)]
    pub json: bool,
    /// Folder that keeps everything, or `:memory:`
    #[arg(long, default_value = ".ivs-local", value_name = "DIR")]
    pub state: String,
    /// Empty the state folder first
    #[arg(long)]
    pub fresh: bool,
    /// Only the embedded AWS, for workers and tools that run by themselves
    #[arg(long, conflicts_with_all = ["input", "rows_out", "json"])]
    pub endpoint_only: bool,
    /// Port of the embedded AWS on loopback; 0 takes any free one
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Port of the page on loopback, or the next free one; 0 takes any
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub page_port: u16,
    /// Shards of the stream, when it is created
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub shards: u16,
    /// The shape of the traffic.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// Runs `local`.
///
/// # Errors
/// When the endpoint, the resources or the worker cannot be started, when sending fails, or when
/// the tables do not hold what was sent.
pub async fn run(mut config: Config, args: LocalArgs) -> anyhow::Result<()> {
    find::are_there(&args.input)?;
    let place = Place::of(&args.state)?;
    let state = place.state();
    let endpoint = Endpoint::start(ivs_emulator::Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        state: state.map_or(State::Memory, |dir| State::Dir(dir.to_owned())),
        fresh: args.fresh,
        telemetry: Some(Telemetry {
            stream: config.stream.name.clone(),
            api_key: report::TELEMETRY_KEY.to_owned(),
        }),
        ..ivs_emulator::Config::default()
    })
    .await
    .context("the embedded AWS did not start")?;
    config.aws.endpoint_url = endpoint.url().to_owned();
    config.aws.dynamodb_endpoint_url = endpoint.dynamodb_url().to_owned();
    let clients = cloud::clients(&config.aws).await;
    setup::create(&clients, &config, args.shards).await.context("cannot create the resources")?;
    let (notices, later) = alerts::create(&clients, &endpoint, &config, !args.endpoint_only)
        .await
        .context("cannot create the alarms")?;
    let ops = if args.endpoint_only { None } else { ops::start_anywhere(&config.ops).await? };
    let page = if args.endpoint_only { None } else { Some(Page::new(&config, &clients)) };
    let server = match &page {
        Some(page) => Some(port_or_next(page, (Ipv4Addr::LOCALHOST, args.page_port).into()).await?),
        None => None,
    };
    let page_address = server.as_ref().map(page::Server::address);
    report::banner(&endpoint, &config, state, ops.as_ref(), page_address);
    let site = Site { endpoint: &endpoint, clients: &clients, config: &config };
    let outcome = if args.endpoint_only {
        signals::stop_or_after(args.run_for).await.map_err(Into::into)
    } else {
        tokio::select! {
            outcome = work(&site, &args, state, ops.as_ref(), page.as_deref(), notices) => outcome,
            full = disk::full(state) => Err(full),
            () = later.create(&clients) => unreachable!("it goes on for ever"),
        }
    };
    endpoint.shutdown().await;
    outcome
}

/// Where everything is that `local` started.
struct Site<'a> {
    endpoint: &'a Endpoint,
    clients: &'a Clients,
    config: &'a Config,
}

/// Worker and traffic, from start to summary.
async fn work(
    site: &Site<'_>,
    args: &LocalArgs,
    state: Option<&Path>,
    ops: Option<&Ops>,
    page: Option<&Page>,
    notices: Notices,
) -> anyhow::Result<()> {
    let Site { clients, config, .. } = site;
    let started = crate::clock::instant();
    let worker = Worker::start(config, clients).await.context("the worker did not start")?;
    if let Some(ops) = ops {
        ops.running(worker.watch());
    }
    if let Some(page) = page {
        page.running(worker.watch());
    }
    // A file goes through at full speed: nobody follows its streams.
    let followed = page.filter(|_| args.input.is_empty());
    let mut live = Live::new(&worker, followed, notices, &config.objects.rejects);
    let mut sent = Sent::default();
    let ledger = if args.input.is_empty() {
        Some(make_traffic(site, args, &mut live).await?)
    } else {
        let stream = &config.stream.name;
        setup::take_large_records(&clients.kinesis, stream)
            .await
            .with_context(|| format!("stream {stream}"))?;
        let journal = state.map(|dir| dir.join("input.journal"));
        let sending = input::send(clients, config, &args.input, journal.as_deref());
        sent = until_stopped(live.show_while(sending)).await??;
        report::sent(&sent);
        None
    };
    until_stopped(live.show_while(drained(&worker))).await??;
    drop(live);
    if let Some(ops) = ops {
        ops.draining();
    }
    if let Some(page) = page {
        page.draining();
    }
    let stats = Arc::clone(worker.stats());
    let report = worker.shutdown(Duration::from_millis(config.shutdown.deadline_ms)).await;
    anyhow::ensure!(report.forced == 0, "{} leases were not given back in time", report.forced);
    let snapshot = stats.snapshot();
    if !args.json {
        report::summary(&snapshot, started.elapsed());
    }
    report::all_accounted(&snapshot)?;
    if let Some(out) = &args.rows_out {
        let written = rows::export(&clients.dynamodb, &config.tables.metrics, out).await?;
        println!("  rows              {written:>10}   in {}", out.display());
    }
    let outcome = match ledger {
        None => all_used(&sent, &snapshot, args),
        Some(ledger) => report::check_ledger(clients, config, &ledger).await,
    };
    if args.json {
        println!("{}", printable::json(&snapshot)?);
    }
    outcome
}

/// Refuses to call it a success when input was left out, or nearly all of it rejected.
fn all_used(sent: &Sent, stats: &Snapshot, args: &LocalArgs) -> anyhow::Result<()> {
    super::failure::all_sent(sent, &args.input)?;
    let most = stats.rejected_by_reason.iter().max_by_key(|(_, count)| *count);
    let most = most.map_or("", |(reason, _)| reason.as_str());
    super::usable(stats.read, stats.rejected, most, args.allow_rejects)
}

/// Sends made-up traffic until the time is over or a signal comes; returns what was sent.
async fn make_traffic(
    site: &Site<'_>,
    args: &LocalArgs,
    live: &mut Live<'_>,
) -> anyhow::Result<Ledger> {
    let Site { clients, config, endpoint } = site;
    let ledger = Mutex::new(Ledger::new(traffic::LEDGER_WINDOWS));
    let stop = CancellationToken::new();
    let mut ivs = IvsMetrics::new(endpoint);
    let observe = |produced: &[Produced]| ivs.observe(produced);
    let sending = traffic::run(clients, config, &args.traffic, &ledger, &stop, observe);
    let timer = async {
        let timed = signals::stop_or_after(args.run_for).await;
        live::say_over("stopping: what was sent is being read and committed");
        stop.cancel();
        timed
    };
    let (timed, sent) = live.show_while(futures::future::join(timer, sending)).await;
    timed?;
    sent?;
    Ok(ledger.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Returns what `work` comes to, or an error at a signal: the state is kept, and a later run goes
/// on.
async fn until_stopped<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        () = signals::stop()? => anyhow::bail!("stopped; the same command goes on from here"),
        done = work => Ok(done),
    }
}
