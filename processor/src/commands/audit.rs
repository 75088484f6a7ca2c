//! `audit`: the tables against what the worker's archive says they should hold.
//!
//! A row is judged only if its `applied` lies within the archive, which has every epoch from the
//! beginning of a shard up to some position: an epoch is archived after its rows were written, so
//! such a row must hold exactly what the archive says. A row of which an open epoch was written is
//! ahead of the archive, and is counted, not judged.

mod args;
mod expected;
mod judge;
mod stored;

use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::json;

use super::failure::in_words;
use crate::cloud;
use crate::config::Config;
use crate::printable::{OneLine, Printable};
use crate::replay::context::Computed;
use crate::replay::progress::show_while;
use crate::replay::units::coverage;
use crate::replay::{Purpose, Reading};
pub(super) use args::AuditArgs;
use judge::{Judge, Verdict};

/// Everything that the archive covers is right.
const RIGHT: u8 = 0;
/// A row is wrong, missing or extra.
const WRONG: u8 = 1;
/// The archive is damaged or has gaps, or could not be compared: nothing more is proven.
const UNPROVEN: u8 = 2;

/// Runs `audit`: 0 if every row is right, 1 if one is not, 2 if that could not be found out.
pub(crate) async fn run(config: &Config, args: &AuditArgs) -> ExitCode {
    match compare(config, args).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ivs-processor: {}", Printable(in_words(&error)));
            ExitCode::from(UNPROVEN)
        }
    }
}

async fn compare(config: &Config, args: &AuditArgs) -> anyhow::Result<u8> {
    let purpose = Purpose::Tables(&config.tables);
    let reading = Reading::of(config, &args.sources, &args.how, purpose, false).await?;
    reading.left_out().iter().for_each(|one| eprintln!("ivs-processor: {one}"));
    let progress = reading.progress();
    let comparing = async {
        let computed = reading.recompute(None, None).await?;
        let incomplete = incomplete(&computed);
        let mut judge = Judge::new(coverage(&computed.units), args);
        let clients = cloud::clients(&config.aws).await;
        let Computed { metrics, summaries, facts, units, .. } = computed;
        let stored = stored::scan(&clients.dynamodb, &config.tables.metrics, progress).await?;
        let wanted = expected::metrics(metrics, &units, &config.tables);
        judge.table(&config.tables.metrics, wanted, stored)?;
        let stored = stored::scan(&clients.dynamodb, &config.tables.sessions, progress).await?;
        let wanted = expected::sessions(summaries, facts, &units, &config.tables)?;
        judge.table(&config.tables.sessions, wanted, stored)?;
        anyhow::Ok((judge.finish(), incomplete))
    };
    let (verdict, incomplete) = show_while(progress, args.how.json, comparing).await?;
    for problem in &incomplete {
        eprintln!("ivs-processor: {}", OneLine(problem));
    }
    report(&verdict, incomplete.len(), args, progress.rows.load(Relaxed));
    Ok(match (verdict.is_right(), incomplete.is_empty()) {
        (false, _) => WRONG,
        (true, false) => UNPROVEN,
        (true, true) => RIGHT,
    })
}

fn incomplete(computed: &Computed) -> Vec<String> {
    let damages = computed.damages.iter().map(ToString::to_string);
    damages.chain(computed.gaps.iter().map(ToString::to_string)).collect()
}

fn report(verdict: &Verdict, incomplete: usize, args: &AuditArgs, scanned: u64) {
    if args.how.json {
        println!(
            "{}",
            json!({ "summary": {
                "rowsInTables": scanned,
                "right": verdict.right,
                "differing": verdict.differing,
                "missing": verdict.missing,
                "extra": verdict.extra,
                "aheadOfArchive": verdict.ahead,
                "withForeignAttributes": verdict.annotated,
                "archiveProblems": incomplete,
            }})
        );
        return;
    }
    if verdict.wrong() > args.limit {
        println!("… and {} more", verdict.wrong() - args.limit);
    }
    println!("rows in the tables {scanned:>10}");
    println!("  right            {:>10}", verdict.right);
    println!("  differing        {:>10}", verdict.differing);
    println!("  missing          {:>10}", verdict.missing);
    println!("  extra            {:>10}", verdict.extra);
    println!("  not judged       {:>10}   they hold more than the archive", verdict.ahead);
    println!(
        "  annotated        {:>10}   attributes that are none of ours, not compared",
        verdict.annotated
    );
}
