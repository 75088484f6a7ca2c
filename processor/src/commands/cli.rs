//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::audit::AuditArgs;
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
    #[cfg(feature = "local")]
    /// Run everything on this machine: an embedded AWS, traffic, and a worker
    Local(LocalArgs),
    /// Run one worker of the fleet until it is told to stop
    Worker(WorkerArgs),
    #[cfg(feature = "local")]
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
