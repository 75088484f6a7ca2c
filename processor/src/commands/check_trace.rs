//! `check-trace`: whether the logs of a fleet's workers keep the promises of its epochs.

pub mod judge;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::DataError;
use super::text_table::count;
use crate::archive::find::NoInput;
use judge::{Step, judge};

/// `check-trace`.
#[derive(Args, Debug)]
pub struct CheckTraceArgs {
    /// Logs of workers that ran with --log-json and
    /// IVS_LOG=info,ivs_processor::worker::shard_task=debug, one file a worker
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads all logs and prints what is wrong with them.
///
/// # Errors
/// When a file cannot be read, no file has a step of an epoch, or a promise was broken.
pub(super) fn run(args: &CheckTraceArgs) -> anyhow::Result<()> {
    let mut steps = Vec::new();
    for path in &args.files {
        let refused = |error| NoInput(format!("cannot read {}: {error}", path.display()));
        let file = std::fs::File::open(path).map_err(refused)?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            // Other lines are none of ours, and a worker that was killed leaves its last one half.
            steps.extend(serde_json::from_slice(&line).ok().as_ref().and_then(Step::of_line));
        }
    }
    if steps.is_empty() {
        return Err(DataError(
            "no line tells of an epoch: let the workers run with --log-json and \
             IVS_LOG=info,ivs_processor::worker::shard_task=debug"
                .to_owned(),
        )
        .into());
    }
    let findings = judge(&steps);
    if args.json {
        let one = |finding: &judge::Finding| serde_json::json!({ "invariant": finding.invariant, "says": finding.says });
        let findings: Vec<_> = findings.iter().map(one).collect();
        println!("{}", serde_json::json!({ "steps": steps.len(), "findings": findings }));
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
        let (steps, files) = (count(steps.len(), "step"), count(args.files.len(), "file"));
        println!("{steps} in {files}, {}", count(findings.len(), "finding"));
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(DataError(count(findings.len(), "finding")).into())
}
