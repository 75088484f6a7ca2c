//! The command line.

mod fleet;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Consumer, Layers};
use crate::report::Format;
use crate::report::html::Lang;

pub use fleet::{HealthArgs, JsonArgs, LeasesCommand, ReleaseArgs, SeekArgs, SeekTo, StatusArgs};

/// Stream processor for Amazon IVS events and player telemetry: Kinesis in, exact per-minute rows
/// in DynamoDB, CloudWatch metrics and domain events out.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Where configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(long, global = true, env = "IVS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one value: section.key=value; may be repeated, and wins over file and environment
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE")]
    pub settings: Vec<String>,
    /// One endpoint for all AWS services, instead of AWS itself
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Log as JSON lines
    #[arg(long, global = true)]
    pub log_json: bool,
}

impl ConfigArgs {
    /// The layers that the arguments and the process's environment give.
    #[must_use]
    pub fn layers(&self) -> Layers {
        let mut settings = self.settings.clone();
        if let Some(url) = &self.endpoint_url {
            settings.push(format!("aws.endpoint_url={url}"));
        }
        // These two are not configuration of a section.
        let environment = std::env::vars()
            .filter(|(name, _)| !matches!(name.as_str(), "IVS_CONFIG" | "IVS_LOG"))
            .collect();
        Layers { file: self.config.clone(), environment, settings }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: an embedded AWS, traffic, and a worker
    Local(LocalArgs),
    /// Run one worker of the fleet until it is told to stop
    Worker(WorkerArgs),
    /// Make realistic traffic, or send a file, into a stream or into a file
    Generate(GenerateArgs),
    /// Write the rows of the metrics table as CSV
    Rows(RowsArgs),
    /// Make rows again from an archive or a stream, into a file or into the tables
    Replay(ReplayArgs),
    /// Compare the tables with what an archive says they should hold
    Audit(AuditArgs),
    /// Report on channels over a day, a week or a month
    Report {
        /// Which.
        #[command(subcommand)]
        command: ReportCommand,
    },
    /// As an AWS Lambda function: put the events it is invoked with into the stream
    Record,
    /// Check records against the JSON Schemas and the decoder
    Validate(ValidateArgs),
    /// Show the fleet: shards, owners, checkpoints, lag
    Status(StatusArgs),
    /// Look at the lease table, check it, move or free leases
    Leases {
        /// What to do.
        #[command(subcommand)]
        command: LeasesCommand,
    },
    /// Ask a worker whether it is alive, for a container's health check: 0 if it is
    Health(HealthArgs),
    /// Look at the configuration
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// `local`.
#[derive(Args, Debug)]
pub struct LocalArgs {
    /// Stop after this long, such as 60s or 5m; without it, at ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// Send these NDJSON files (plain, .gz, .zst) instead of made-up traffic, wait until all is
    /// committed, and exit
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// At the end write the metric rows to this CSV file
    #[arg(long, value_name = "FILE")]
    pub rows_out: Option<PathBuf>,
    /// Folder that keeps everything, or `:memory:`
    #[arg(long, default_value = ".ivs-local", value_name = "DIR")]
    pub state: String,
    /// Empty the state folder first
    #[arg(long)]
    pub fresh: bool,
    /// Only the embedded AWS, for workers and tools that run by themselves
    #[arg(long, conflicts_with_all = ["input", "rows_out"])]
    pub endpoint_only: bool,
    /// Port of the embedded AWS on loopback; 0 takes any free one
    #[arg(long, default_value_t = 4566)]
    pub port: u16,
    /// Shards of the stream, when it is created
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub shards: u16,
    /// What the traffic looks like.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// What made-up traffic looks like.
#[derive(Args, Clone, Debug)]
pub struct TrafficArgs {
    /// Seed: the same seed makes the same channels, and with the same start the same traffic
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Channels, by Zipf popularity
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub channels: u32,
    /// Viewers over all channels, about
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub viewers: u32,
}

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
}

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
    /// How much time the traffic covers; 60s unless --start and --end tell
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// As fast as possible instead of in real time; the traffic ends now, unless --start or --end
    /// is given
    #[arg(long)]
    pub fast: bool,
    /// When made-up traffic begins: RFC 3339, or a date, which begins at midnight UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub start: Option<jiff::Timestamp>,
    /// When it ends, in the same forms
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub end: Option<jiff::Timestamp>,
    /// Write what was produced, for a later check, to this JSON file
    #[arg(long, conflicts_with = "input", value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// What the traffic looks like.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// `rows`.
#[derive(Args, Debug)]
pub struct RowsArgs {
    /// The CSV file; standard output if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `replay`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("to_where").required(true))]
pub struct ReplayArgs {
    /// Files, folders, file:// and s3:// URLs: the worker's own segments, and other NDJSON (plain,
    /// gzip, zstd; with or without newlines); or kinesis:STREAM
    #[arg(value_name = "SOURCE", required_unless_present = "eventbridge_archive")]
    pub sources: Vec<String>,
    /// Write the metric rows to this file (.csv, .ndjson, .parquet), and touch no table
    #[arg(long, group = "to_where", value_name = "FILE")]
    pub rows_out: Option<PathBuf>,
    /// Write metric rows and sessions to the tables; rows with other data in them are left alone
    #[arg(long, group = "to_where")]
    pub apply: bool,
    /// Have EventBridge send this archive to its bus again, and follow until all is sent
    #[arg(
        long,
        group = "to_where",
        value_name = "NAME",
        requires_all = ["from", "until"],
        conflicts_with = "sources"
    )]
    pub eventbridge_archive: Option<String>,
    /// From this arrival (of an EventBridge archive: event) time on, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Until before this time
    #[arg(long = "to", value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
    /// Keep rejected records in this NDJSON file
    #[arg(long, value_name = "FILE")]
    pub rejects_out: Option<PathBuf>,
    /// End well even if more than half of the records were rejected
    #[arg(long)]
    pub allow_rejects: bool,
    /// How it is done.
    #[command(flatten)]
    pub how: ReadArgs,
}

/// `audit`.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// The worker's archive: files, folders, file:// and s3:// URLs
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<String>,
    /// Most rows that are printed; all are counted
    #[arg(long, default_value_t = 20, value_name = "ROWS")]
    pub limit: u64,
    /// How it is done.
    #[command(flatten)]
    pub how: ReadArgs,
}

/// How archives are read.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// Threads; by default one a core. The result is the same with any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Progress and result as JSON lines
    #[arg(long)]
    pub json: bool,
}

/// `report …`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// From midnight to midnight
    Daily(ReportArgs),
    /// From Monday to Monday
    Weekly(ReportArgs),
    /// A calendar month
    Monthly(ReportArgs),
    /// Answer requests as an AWS Lambda function
    Lambda(LambdaArgs),
}

/// `report daily`, `weekly` and `monthly`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Channel, by its ARN or the last part of it
    #[arg(long, value_name = "ID", required_unless_present = "all_channels")]
    pub channel: Option<String>,
    /// Every channel that was live, one report each; JSON without --out is one line each
    #[arg(long, conflicts_with = "channel")]
    pub all_channels: bool,
    /// A date in the period, YYYY-MM-DD; without it, the latest period that is over
    #[arg(long, value_name = "DATE")]
    pub date: Option<jiff::civil::Date>,
    /// Zone whose calendar counts, by its IANA name
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub tz: String,
    /// Language of the page
    #[arg(long, default_value = "en")]
    pub lang: Lang,
    /// What to write
    #[arg(long, default_value = "json")]
    pub format: Format,
    /// Write reports/ID/TYPE_PERIOD.EXT below this URL (file:DIR, s3://BUCKET) instead of to
    /// standard output
    #[arg(
        long,
        value_name = "URL",
        required_if_eq_all([("all_channels", "true"), ("format", "html")])
    )]
    pub out: Option<String>,
}

/// `report lambda`.
#[derive(Args, Debug)]
pub struct LambdaArgs {
    /// Where reports go, as JSON and as pages
    #[arg(long, env = "REPORT_OUT", value_name = "URL")]
    pub out: String,
    /// Zone whose calendar counts, by its IANA name
    #[arg(long, env = "REPORT_TZ", default_value = "UTC", value_name = "ZONE")]
    pub tz: String,
    /// Language of the pages
    #[arg(long, env = "REPORT_LANG", default_value = "en")]
    pub lang: Lang,
}

/// `validate`.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// NDJSON files (plain, .gz, .zst)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration is valid, and what it comes to
    Check,
}

/// Reads a moment: RFC 3339, or the midnight UTC at which a date begins.
fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let midnight = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC);
    text.parse().or_else(|error: jiff::Error| match text.parse().map(midnight) {
        Ok(Ok(zoned)) => Ok(zoned.timestamp()),
        _ => Err(format!("expected 2026-03-01T12:00:00Z or 2026-03-01 ({error})")),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(signed).map_err(|_| "expected a time that is not negative".to_owned())
}
