//! The commands, each a thin layer that says what happened and how it went.

mod config;
mod generate;
mod record;
mod report;
mod validate;
mod worker;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::load;
use crate::{aws, local, logging, rows};

/// Commands that print their own progress log only what went wrong. The embedded DynamoDB warns of
/// every refused condition, which is how rows are merged.
const QUIET: &str = "warn,dynoxide=error";
/// The exit code for a wrong command line or configuration (`EX_USAGE`).
const USAGE: u8 = 64;

/// Runs a command: 0 if it did what it was asked to, 1 if not, 64 for a wrong configuration.
pub async fn run(cli: Cli) -> ExitCode {
    let quiet =
        matches!(cli.command, Command::Local(_) | Command::Generate(_) | Command::Report { .. });
    logging::start(if quiet { QUIET } else { "info" }, cli.config.log_json);
    let config = match load(&cli.config.layers()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("ivs-processor: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let done = match cli.command {
        Command::Local(args) => local::run(config, args).await,
        Command::Worker(args) => worker::run(&config, &args).await,
        Command::Generate(args) => generate::run(&config, args).await,
        Command::Rows(args) => {
            let clients = aws::clients(&config.aws).await;
            rows::export(&clients.dynamodb, &config.tables.metrics, args.out.as_deref())
                .await
                .map(|written| eprintln!("{written} rows"))
        }
        Command::Record => record::run(&config).await,
        Command::Report { command } => report::run(&config, &command).await,
        Command::Validate(args) => validate::run(&args),
        Command::Config { command } => config::run(&config, &command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ivs-processor: {error:#}");
            ExitCode::FAILURE
        }
    }
}
