//! `replay`: rows again, into a file ([`rows_out`]) or into the tables ([`apply`]), or the events that follow
//! from them ([`events_out`]).

mod apply;
mod args;
mod eventbridge;
mod events_out;
mod kinesis;
pub(super) mod rows_out;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use ivs_core::epoch::Counts;
use serde_json::{Value, json};

pub(super) use args::ReplayArgs;

use super::DataError;
use super::failure::not_empty;
use super::text_table::count;
use crate::clock::Instant;
use crate::cloud;
use crate::config::{Config, Tables};
use crate::printable::OneLine;
use crate::replay::context::Computed;
use crate::replay::output::Output;
use crate::replay::progress::show_while;
use crate::replay::{Purpose, Reading};
use crate::sink::rows::RowSink;
use crate::sink::stats::Stats;
use apply::Apply;
use rows_out::Format;

/// Runs `replay`.
///
/// # Errors
/// When sources or tables cannot be read or written, and when a part of the source was damaged or
/// missing: the rest was processed then, and each part is named.
pub(super) async fn run(config: &Config, args: &ReplayArgs) -> anyhow::Result<()> {
    if args.from.zip(args.until).is_some_and(|(from, until)| from >= until) {
        return Err(
            DataError("--from is not before --to, so there is nothing between".into()).into()
        );
    }
    if let Some(archive) = &args.eventbridge_archive {
        return eventbridge::run(config, args, archive).await;
    }
    let started = crate::clock::instant();
    let format = args.rows_out.as_deref().map(Format::of).transpose()?;
    let purpose = match (args.apply, &args.events_out) {
        (true, _) => Purpose::Tables(&config.tables),
        (false, Some(_)) => Purpose::Events(&config.tables),
        (false, None) => Purpose::Rows,
    };
    let rejects = args.rejects_out.is_some();
    let reading = Reading::of(config, &args.sources, &args.how, purpose, rejects).await?;
    reading.left_out().iter().for_each(|one| eprintln!("ivs-processor: {one}"));
    let computing = compute(config, args, &reading);
    let mut computed = show_while(reading.progress(), args.how.json, computing).await?;
    let result = match (&args.rows_out, format, &args.events_out) {
        (Some(path), Some(format), _) => {
            json!({ "rowsWritten": rows_out::write(&mut computed.metrics, path, format)? })
        }
        (_, _, Some(path)) => {
            json!({ "eventsWritten": events_out::write(&mut computed, &config.rules.0, path)? })
        }
        _ => return apply(config, args, &reading, computed, started).await,
    };
    report(&computed.counts, &result, args.how.json, started);
    problems(&computed)?;
    usable(&computed.counts, args)
}

async fn compute(
    config: &Config,
    args: &ReplayArgs,
    reading: &Reading,
) -> anyhow::Result<Computed> {
    let rejects = args.rejects_out.as_deref().map(rejects_file).transpose()?;
    let mut streamed = None;
    if !reading.streams().is_empty() {
        let out = streamed.insert(Output::new(&reading.context().wanted)?);
        let kinesis = cloud::clients(&config.aws).await.kinesis;
        for stream in reading.streams() {
            kinesis::read(&kinesis, stream, args, reading.context(), out).await?;
        }
    }
    reading.recompute(streamed, rejects).await
}

fn rejects_file(path: &Path) -> anyhow::Result<Box<dyn io::Write + Send>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

async fn apply(
    config: &Config,
    args: &ReplayArgs,
    reading: &Reading,
    computed: Computed,
    started: Instant,
) -> anyhow::Result<()> {
    let clients = cloud::clients(&config.aws).await;
    // Most of what it puts is there, and an insert in vain takes as many write units as the put after it.
    let tables = Tables { batch_writes: false, ..config.tables.clone() };
    let sink = RowSink::new(clients.dynamodb, &tables, (0, 0), Arc::new(Stats::default()));
    let (counts, problems) = (computed.counts.clone(), problems(&computed));
    let progress = reading.progress();
    let chains = reading.context().chains.len();
    let apply = Apply::run(&sink, &config.tables, progress, computed, chains);
    let applied = show_while(progress, args.how.json, apply).await?;
    report(&counts, &json!({ "rows": applied }), args.how.json, started);
    problems?;
    usable(&counts, args)
}

/// Names what could not be read.
fn problems(computed: &Computed) -> anyhow::Result<()> {
    for damage in &computed.damages {
        eprintln!("ivs-processor: {damage}");
    }
    for gap in &computed.gaps {
        eprintln!("ivs-processor: {}", OneLine(gap));
    }
    let damaged = computed.damages.len();
    let missing = match computed.gaps.len() {
        0 => String::new(),
        1 => ", 1 stretch is missing".to_owned(),
        gaps => format!(", {gaps} stretches are missing"),
    };
    anyhow::ensure!(
        damaged == 0 && missing.is_empty(),
        "{} could not be read to the end{missing}; the rest was processed",
        count(damaged, "object")
    );
    Ok(())
}

/// Refuses a result of mostly rejected records, see [`super::usable`], and of none at all, unless only
/// those of a time were asked for.
fn usable(counts: &Counts, args: &ReplayArgs) -> anyhow::Result<()> {
    if args.from.is_none() && args.until.is_none() {
        not_empty(counts.read, &args.sources)?;
    }
    let most = counts.rejected.iter().max_by_key(|(_, count)| **count);
    let most = most.map_or("", |(reason, _)| reason.as_str());
    super::usable(counts.read, counts.rejected_total(), most, args.allow_rejects)
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
    match (&result["rowsWritten"], &result["eventsWritten"]) {
        (Value::Null, Value::Null) => {
            for (name, text) in [
                ("created", "were not there"),
                ("replaced", "said something else"),
                ("same", "were right"),
                ("kept", "left alone: they hold data that were not replayed"),
            ] {
                println!("rows {name:<12} {:>10}   {text}", result["rows"][name].to_string());
            }
        }
        (Value::Null, events) => println!("events written    {:>10}", events.to_string()),
        (rows, _) => println!("rows written      {:>10}", rows.to_string()),
    }
}
