//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::audit::AuditArgs;
use super::channels::ChannelsCommand;
use super::check_trace::CheckTraceArgs;
use super::completions::{CompletionsArgs, ManArgs};
use super::config::ConfigCommand;
#[cfg(feature = "local")]
use super::generate::GenerateArgs;
use super::health::HealthArgs;
use super::leases::LeasesCommand;
#[cfg(feature = "local")]
use super::local::LocalArgs;
use super::replay::ReplayArgs;
use super::report::ReportCommand;
use super::rows::RowsArgs;
use super::sessions::SessionsCommand;
use super::status::StatusArgs;
use super::validate::ValidateArgs;
use super::worker::WorkerArgs;
use crate::config::Layers;

/// Stream processor for Amazon IVS events and player telemetry: Kinesis in, exact per-minute rows
/// in DynamoDB, CloudWatch metrics and domain events out.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Where configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The action.
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
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more; twice: everything. `IVS_LOG` chooses by module, such as `info,hyper=warn`
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Commands that print their own progress log only what went wrong. The embedded DynamoDB warns of
/// every refused condition, which is how rows are merged; the SDK of every place where it found no
/// credentials or region, which is told in one line of our own.
const LITTLE: &str = "warn,dynoxide=error,aws_config=error";

impl ConfigArgs {
    /// Returns the filter of the log.
    pub(super) const fn log_filter(&self, command: &Command) -> &'static str {
        match (self.quiet, self.verbose, command) {
            (true, ..) => "error",
            (_, 0, Command::Worker(_)) => "info",
            (_, 0, _) => LITTLE,
            (_, 1, Command::Worker(_)) => "debug",
            (_, 1, _) => "info",
            _ => "trace",
        }
    }

    /// Returns the layers that the arguments and the process's environment give.
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
        Layers { base: toml::Table::new(), file: self.config.clone(), environment, settings }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "local")]
    /// Run everything on this machine: an embedded AWS, traffic, and a worker
    Local(LocalArgs),
    /// Run one worker of the fleet until it is told to stop
    Worker(WorkerArgs),
    #[cfg(feature = "local")]
    /// Make realistic traffic, or send a file, into a stream or into a file
    Generate(GenerateArgs),
    /// Write the rows of the metrics table: all, or those of a session, a channel, a time
    Rows(RowsArgs),
    /// List sessions, or show one with its timeline
    Sessions {
        /// The action.
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// List channels
    Channels {
        /// The action.
        #[command(subcommand)]
        command: ChannelsCommand,
    },
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
        /// The action.
        #[command(subcommand)]
        command: LeasesCommand,
    },
    /// Judge the logs of a fleet's workers: every step of every epoch, in order and exactly once
    CheckTrace(CheckTraceArgs),
    /// Ask a worker whether it is alive, for a container's health check: 0 if it is
    Health(HealthArgs),
    /// Look at the configuration
    Config {
        /// The action.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Write the script by which a shell completes command lines
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}
