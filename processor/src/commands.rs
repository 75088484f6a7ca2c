//! The commands, each a thin layer that says what happened and how it went.

mod audit;
pub mod cli;
mod config;
#[cfg(test)]
mod documented;
#[cfg(feature = "local")]
mod duration;
#[cfg(feature = "local")]
mod generate;
mod health;
mod leases;
#[cfg(feature = "local")]
pub mod local;
mod logging;
pub(crate) mod printable;
pub mod record;
mod replay;
mod report;
pub mod rows;
mod signals;
mod status;
mod text_table;
mod validate;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cloud;
use crate::config::load;
use crate::ops::OpsError;
use cli::{Cli, Command};

/// Commands that print their own progress log only what went wrong. The embedded DynamoDB warns of
/// every refused condition, which is how rows are merged.
const QUIET: &str = "warn,dynoxide=error";
/// The exit code for a wrong command line or configuration (`EX_USAGE`).
const USAGE: u8 = 64;
/// The exit code when what came in is of no use (`EX_DATAERR`).
const DATA: u8 = 65;
/// The exit code when something that had to be looked at could not be (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

/// The program: runs the command line it was given, on a runtime of its own.
///
/// Not `async`: a future is compiled where it is polled, so every binary would compile it all anew.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => {
            eprintln!("ivs-processor: no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command: 0 if it did what it was asked to, 1 if not, 64 for a wrong configuration, 65 when
/// what came in is of no use, 69 when nothing could be looked at; `audit` has codes of its own.
async fn run(cli: Cli) -> ExitCode {
    let talks = matches!(cli.command, Command::Worker(_));
    logging::start(if talks { "info" } else { QUIET }, cli.config.log_json);
    let config = match load(&cli.config.layers()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("ivs-processor: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let done = match cli.command {
        #[cfg(feature = "local")]
        Command::Local(args) => local::run(config, args).await,
        Command::Worker(args) => worker::run(&config, &args).await,
        #[cfg(feature = "local")]
        Command::Generate(args) => generate::run(&config, args).await,
        Command::Rows(args) => {
            let clients = cloud::clients(&config.aws).await;
            rows::run(&clients.dynamodb, &config.tables, &args).await
        }
        Command::Record => record::run(&config).await,
        Command::Replay(args) => replay::run(&config, &args).await,
        Command::Audit(args) => return audit::run(&config, &args).await,
        Command::Report { command } => report::run(&config, &command).await,
        Command::Validate(args) => validate::run(&config, &args).await,
        Command::Status(args) => status::run(&config, &args).await,
        Command::Leases { command } => leases::run(&config, &command).await,
        Command::Health(args) => health::run(&config, &args).await,
        Command::Config { command } => config::run(&config, &command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ivs-processor: {}", printable::Printable(format!("{error:#}")));
            exit_code(&error)
        }
    }
}

/// Arguments that do not go together.
#[cfg(feature = "local")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Input of which nothing, or little, could be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DataError(pub(crate) String);

/// Refuses to call it a success when nine of ten records or more were rejected: it was hardly meant
/// so.
fn usable(read: u64, rejected: u64, most: &str, allow_rejects: bool) -> anyhow::Result<()> {
    let others = read.saturating_sub(rejected);
    if allow_rejects || rejected == 0 || others.saturating_mul(10) > read {
        return Ok(());
    }
    let all = if rejected == read { "all".to_owned() } else { format!("{rejected} of") };
    Err(DataError(format!(
        "{all} {read} records were rejected, most as {most}: is this the right source? Look at what was \
         kept of them, or say --allow-rejects"
    ))
    .into())
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "local")]
    if error.is::<UsageError>() {
        return ExitCode::from(USAGE);
    }
    if error.is::<DataError>() {
        ExitCode::from(DATA)
    } else if error.is::<OpsError>() {
        ExitCode::from(USAGE)
    } else if error.is::<leases::Unread>() {
        ExitCode::from(UNAVAILABLE)
    } else {
        ExitCode::FAILURE
    }
}
