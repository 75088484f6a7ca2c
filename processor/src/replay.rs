//! `replay`: rows again, from an archive or from what a stream still holds.
//!
//! Sources are read in parallel ([`job`]): the worker's own segments shard by shard through the
//! worker's state machine ([`epochs`]), objects of others in contiguous ranges ([`ranges`]). Partial
//! rows are sorted and merged in bounded memory ([`sorter`]), and go to a file ([`rows_out`]) or to
//! the tables ([`apply`]).

pub(crate) mod apply;
mod bytes;
pub(crate) mod entry;
mod epochs;
mod eventbridge;
mod ids;
pub(crate) mod job;
mod kinesis;
mod object;
pub(crate) mod output;
mod parts;
pub(crate) mod progress;
mod ranges;
mod rows_out;
mod segment;
pub(crate) mod sorter;
mod split;

use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use anyhow::Context as _;
use ivs_core::epoch::Counts;
use serde_json::{Value, json};

use crate::aws;
use crate::cli::{ReadArgs, ReplayArgs};
use crate::commands::DataError;
use crate::config::{Config, Tables};
use crate::sink::rows::RowSink;
use crate::stats::Stats;
use crate::worker::shard_config;
use apply::Apply;
use job::{Computed, Context};
use output::{Output, Wanted};
use progress::{Progress, show_while};
use rows_out::Format;

/// Memory for partial rows, over all threads, once in windows and once in the sorter; beyond it
/// they wait in files.
const MEMORY_BYTES: usize = 32 << 20;
/// Marks a stream among the sources.
const KINESIS: &str = "kinesis:";

/// Runs `replay`.
///
/// # Errors
/// When sources or tables cannot be read or written, and when a part of the source was damaged or
/// missing: the rest was processed then, and each part is named.
pub(crate) async fn run(config: &Config, args: &ReplayArgs) -> anyhow::Result<()> {
    if let Some(archive) = &args.eventbridge_archive {
        return eventbridge::run(config, args, archive).await;
    }
    if args.from.zip(args.until).is_some_and(|(from, until)| from >= until) {
        return Err(
            DataError("--from is not before --to, so there is nothing between".into()).into()
        );
    }
    let started = Instant::now();
    let format = args.rows_out.as_deref().map(Format::of).transpose()?;
    let mut reading = Reading::open(config, args).await?;
    let mut computed = reading.compute(config, args).await?;
    let result = match (&args.rows_out, format) {
        (Some(path), Some(format)) => {
            let metrics = &mut computed.metrics;
            json!({ "rowsWritten": rows_out::write(metrics, path, format)? })
        }
        _ => return reading.apply(config, args, computed, started).await,
    };
    report(&computed.counts, &result, args.how.json, started);
    problems(&computed)?;
    usable(&computed.counts, args.allow_rejects)
}

/// Sources that are being read.
pub(crate) struct Reading {
    cx: Arc<Context>,
    streams: Vec<String>,
    threads: usize,
}

impl Reading {
    async fn open(config: &Config, args: &ReplayArgs) -> anyhow::Result<Self> {
        let tables = args.apply.then_some(&config.tables);
        Self::of(config, &args.sources, &args.how, tables, args.rejects_out.is_some()).await
    }

    /// Finds the objects of all sources. With `tables` their rows are recomputed, sessions
    /// included; without, metric rows alone.
    ///
    /// # Errors
    /// When a source cannot be listed, or is none from which rows of tables can be made.
    pub(crate) async fn of(
        config: &Config,
        sources: &[String],
        how: &ReadArgs,
        tables: Option<&Tables>,
        rejects: bool,
    ) -> anyhow::Result<Self> {
        let (streams, sources): (Vec<_>, Vec<_>) =
            sources.iter().cloned().partition(|source| source.starts_with(KINESIS));
        let streams: Vec<String> =
            streams.iter().map(|stream| stream[KINESIS.len()..].to_owned()).collect();
        let (chains, objects) = segment::chains(object::find(&sources, &config.aws).await?);
        if tables.is_some() {
            anyhow::ensure!(
                streams.is_empty(),
                "a stretch of a stream begins and ends inside epochs, so it cannot be told which of \
                 its records a row holds already: write it to a file, or apply the stream's archive"
            );
            let mut names: Vec<&String> = chains.iter().map(|chain| &chain.stream).collect();
            names.dedup();
            anyhow::ensure!(
                names.len() <= 1,
                "the archive holds several streams ({names:?}), the tables rows of one: name its folder"
            );
        }
        let progress = Arc::new(Progress::default());
        let segments = chains.iter().flat_map(|chain| &chain.segments).map(|one| &one.object);
        let total = segments.chain(&objects).map(|object| object.size_bytes).sum();
        progress.total_bytes.store(total, Relaxed);
        let threads = match how.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let wanted = Wanted {
            tables: tables.cloned().map(Arc::new),
            rejects,
            memory_bytes: MEMORY_BYTES / threads,
        };
        let cx = Context::new(shard_config(config), wanted, chains, objects, progress);
        Ok(Self { cx: Arc::new(cx), streams, threads })
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> &Progress {
        &self.cx.progress
    }

    async fn compute(&mut self, config: &Config, args: &ReplayArgs) -> anyhow::Result<Computed> {
        let mut rejects = match &args.rejects_out {
            None => None,
            Some(path) => {
                let context = || format!("cannot write {}", path.display());
                Some(BufWriter::new(File::create(path).with_context(context)?))
            }
        };
        let streams = std::mem::take(&mut self.streams);
        let reading = async {
            let mut streamed = None;
            if !streams.is_empty() {
                let out = streamed.insert(Output::new(&self.cx.wanted)?);
                let kinesis = aws::clients(&config.aws).await.kinesis;
                for stream in &streams {
                    kinesis::read(&kinesis, stream, args, &self.cx, out).await?;
                }
            }
            let (cx, threads) = (Arc::clone(&self.cx), self.threads);
            let run = tokio::task::spawn_blocking(move || {
                job::run(&cx, threads, streamed, rejects.as_mut().map(|out| out as _))
            });
            anyhow::Ok(run.await??)
        };
        show_while(&self.cx.progress, args.how.json, reading).await
    }

    /// Recomputes what the archive says.
    ///
    /// # Errors
    /// When temporary files cannot be written.
    pub(crate) async fn recompute(&self) -> anyhow::Result<Computed> {
        let (cx, threads) = (Arc::clone(&self.cx), self.threads);
        let run = tokio::task::spawn_blocking(move || job::run(&cx, threads, None, None));
        Ok(run.await??)
    }

    async fn apply(
        &self,
        config: &Config,
        args: &ReplayArgs,
        computed: Computed,
        started: Instant,
    ) -> anyhow::Result<()> {
        let clients = aws::clients(&config.aws).await;
        let sink = RowSink::new(clients.dynamodb, &config.tables, Arc::new(Stats::default()));
        let (counts, problems) = (computed.counts.clone(), problems(&computed));
        let progress = &self.cx.progress;
        let apply = Apply::run(&sink, &config.tables, progress, computed, self.cx.chains.len());
        let applied = show_while(progress, args.how.json, apply).await?;
        report(&counts, &json!({ "rows": applied }), args.how.json, started);
        problems?;
        usable(&counts, args.allow_rejects)
    }
}

/// Names what could not be read.
fn problems(computed: &Computed) -> anyhow::Result<()> {
    for damage in &computed.damages {
        eprintln!("ivs-processor: {damage}");
    }
    for gap in &computed.gaps {
        eprintln!("ivs-processor: {gap}");
    }
    let (damaged, gaps) = (computed.damages.len(), computed.gaps.len());
    anyhow::ensure!(
        damaged + gaps == 0,
        "{damaged} objects are damaged and {gaps} stretches are missing; the rest was processed"
    );
    Ok(())
}

/// Refuses to call it a success when most of what came in was rejected: it was hardly meant so.
fn usable(counts: &Counts, allow_rejects: bool) -> anyhow::Result<()> {
    let (read, rejected) = (counts.read, counts.rejected_total());
    if allow_rejects || rejected <= read / 2 {
        return Ok(());
    }
    let most = counts.rejected.iter().max_by_key(|(_, count)| **count);
    let most = most.map_or("", |(reason, _)| reason.as_str());
    let all = if rejected == read { "all".to_owned() } else { format!("{rejected} of") };
    Err(DataError(format!(
        "{all} {read} records were rejected, most as {most}: is this the right source? \
         --rejects-out keeps them with their reasons, --allow-rejects takes it as it is"
    ))
    .into())
}

fn report(counts: &Counts, result: &Value, as_json: bool, started: Instant) {
    let elapsed_s = started.elapsed().as_secs_f64();
    let reasons = counts.rejected.iter().map(|(reason, count)| (reason.as_str(), count));
    if as_json {
        let mut summary = json!({
            "read": counts.read,
            "accepted": counts.accepted,
            "duplicate": counts.duplicate,
            "rejected": counts.rejected_total(),
            "rejectedByReason": reasons.collect::<std::collections::BTreeMap<_, _>>(),
            "elapsedMs": (elapsed_s * 1_000.0).round(),
        });
        for (name, value) in result.as_object().into_iter().flatten() {
            summary[name] = value.clone();
        }
        println!("{}", json!({ "summary": summary }));
        return;
    }
    println!("records read      {:>10}   in {elapsed_s:.1} s", counts.read);
    println!("  accepted        {:>10}", counts.accepted);
    println!("  duplicate       {:>10}", counts.duplicate);
    println!("  rejected        {:>10}", counts.rejected_total());
    for (reason, count) in reasons {
        println!("    {reason:<16}{count:>8}");
    }
    match &result["rowsWritten"] {
        Value::Null => {
            for (name, text) in [
                ("created", "were not there"),
                ("replaced", "said something else"),
                ("same", "were right"),
                ("kept", "left alone: they hold data that were not replayed"),
            ] {
                println!("rows {name:<12} {:>10}   {text}", result["rows"][name].to_string());
            }
        }
        rows => println!("rows written      {:>10}", rows.to_string()),
    }
}
