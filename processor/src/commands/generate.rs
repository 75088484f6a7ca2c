//! `generate`: traffic, or a file, into a stream or into a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use ivs_traffic::{Generator, Ledger};
use tokio_util::sync::CancellationToken;

use super::duration::duration;
use crate::cloud;
use crate::cloud::Clients;
use crate::commands::signals;
use crate::config::Config;
use crate::producer::traffic::TrafficArgs;
use crate::producer::{input, traffic};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Send these NDJSON files instead of made-up traffic
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// Where sending notes what was acknowledged, so that a run that was cut off can go on
    #[arg(long, requires = "input", value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Write to this NDJSON file instead of the stream
    #[arg(long, conflicts_with = "input", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How much time the traffic covers
    #[arg(long = "for", default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub run_for: Duration,
    /// As fast as possible instead of in real time
    #[arg(long)]
    pub fast: bool,
    /// Write what was produced, for a later check, to this JSON file
    #[arg(long, conflicts_with = "input", value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// What the traffic looks like.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// Time generated at once when it goes as fast as it can.
const SLICE_MS: i64 = 1_000;

/// Runs `generate`.
///
/// # Errors
/// When files or stream cannot be read or written.
pub(super) async fn run(config: &Config, args: GenerateArgs) -> anyhow::Result<()> {
    if !args.input.is_empty() {
        let clients = cloud::clients(&config.aws).await;
        let stream = &config.stream.name;
        let sent = input::send(&clients, stream, &args.input, args.journal.as_deref()).await?;
        println!("{} lines sent, {} sent earlier", sent.lines, sent.earlier);
        return Ok(());
    }
    let ledger = Mutex::new(Ledger::new(traffic::LEDGER_WINDOWS));
    if let Some(path) = &args.out {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut out = BufWriter::new(file);
        for batch in slices(&args) {
            for line in &batch {
                out.write_all(&line.line)?;
                out.write_all(b"\n")?;
            }
            traffic::note(&ledger, &batch);
        }
        out.flush()?;
    } else {
        let clients = cloud::clients(&config.aws).await;
        if args.fast {
            send_fast(&clients, config, &args, &ledger).await?;
        } else {
            send_paced(&clients, config, &args, &ledger).await?;
        }
    }
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", serde_json::to_string(ledger.totals())?);
    if let Some(path) = &args.ledger {
        let windows: Vec<_> = ledger.windows().collect();
        let all = serde_json::json!({ "totals": ledger.totals(), "windows": windows });
        std::fs::write(path, all.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The whole time asked for, second by second.
fn slices(args: &GenerateArgs) -> impl Iterator<Item = Vec<ivs_traffic::Produced>> {
    let settings = traffic::generator(&args.traffic);
    let start_ms = settings.start_ms;
    let end_ms =
        start_ms.saturating_add(i64::try_from(args.run_for.as_millis()).unwrap_or(i64::MAX));
    let mut generator = Generator::new(settings);
    let mut until_ms = start_ms;
    std::iter::from_fn(move || {
        if until_ms >= end_ms {
            return None;
        }
        until_ms = end_ms.min(until_ms + SLICE_MS);
        Some(generator.next_batch(until_ms))
    })
}

async fn send_fast(
    clients: &Clients,
    config: &Config,
    args: &GenerateArgs,
    ledger: &Mutex<Ledger>,
) -> anyhow::Result<()> {
    for batch in slices(args) {
        traffic::deliver(clients, &config.stream.name, &batch).await?;
        traffic::note(ledger, &batch);
    }
    Ok(())
}

async fn send_paced(
    clients: &Clients,
    config: &Config,
    args: &GenerateArgs,
    ledger: &Mutex<Ledger>,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let time: Duration = args.run_for;
    let timer = async move {
        signals::stop_or_after(Some(time)).await;
        ended.cancel();
    };
    let sending = traffic::run(clients, config, &args.traffic, ledger, &stop, |_| {});
    let ((), sent) = futures::join!(timer, sending);
    sent
}
