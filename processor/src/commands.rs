//! The commands, each a thin layer that says what happened and how it went.

mod audit;
mod channels;
pub mod check_trace;
pub mod cli;
mod closed_pipe;
mod completions;
mod config;
#[cfg(test)]
mod documented;
mod duration;
mod examples;
mod failure;
#[cfg(feature = "local")]
mod generate;
mod health;
mod leases;
#[cfg(feature = "local")]
pub mod local;
mod logging;
pub mod record;
mod replay;
mod report;
pub mod rows;
mod sessions;
mod signals;
mod status;
mod text_table;
mod validate;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::json;

use crate::archive::find::NoInput;
use crate::cloud;
use crate::config::{Config, ConfigError, load};
use crate::items::pages::ReadError;
use crate::ops::OpsError;
use crate::printable::{self, Printable};
use crate::producer::send::SendError;
use cli::{Cli, Command};
use failure::usable;
pub(crate) use failure::{DataError, NoAnswer, UsageError};
use ivs_core::report::PeriodError;
use kinesis_fleet::store::StoreError;

/// The exit code for a wrong command line or configuration (`EX_USAGE`).
const USAGE: u8 = 64;
/// The exit code when what came in is of no use (`EX_DATAERR`).
const DATA: u8 = 65;
/// The exit code when there is no input: a file, folder or prefix that is not there, cannot be opened or
/// holds no objects (`EX_NOINPUT`).
const NO_INPUT: u8 = 66;
/// The exit code when something that had to be looked at could not be (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The exit code when the same may work later (`EX_TEMPFAIL`).
const LATER: u8 = 75;

/// Runs the program: the command line it was given, on a runtime of its own.
///
/// Not `async`: a future is compiled where it is polled, so every binary would compile it all anew.
#[must_use]
pub fn main() -> ExitCode {
    closed_pipe::end_quietly();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are not errors.
            let code = if error.use_stderr() { USAGE } else { 0 };
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => {
            eprintln!("ivs-processor: the system gives no threads: {error}");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

fn parse() -> Result<Cli, clap::Error> {
    let matches = examples::add_to(Cli::command()).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

/// Runs a command: 0 if it did what it was asked to, else as `docs/operations.md` lists them;
/// `audit` has codes of its own.
async fn run(cli: Cli) -> ExitCode {
    let log_json = cli.config.log_json;
    logging::start(cli.config.log_filter(&cli.command), log_json);
    let done = match configured(&cli) {
        Ok(config) => started(config, cli.command).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(code) => code,
        Err(error) if closed_pipe::is_cause_of(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error, log_json),
    }
}

/// Reads the configuration, over the values that suit the command.
fn configured(cli: &Cli) -> anyhow::Result<Config> {
    #[cfg_attr(
        not(feature = "local"),
        expect(unused_mut, reason = "only `local` has values of its own")
    )]
    let mut layers = cli.config.layers();
    #[cfg(feature = "local")]
    if let Command::Local(args) = &cli.command {
        layers.base = local::layer(&args.state)?;
    }
    Ok(load(&layers)?)
}

async fn started(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let is_local = cloud::is_plain(&cloud::endpoint(&config.aws));
    if needs_aws(&command) && !is_local {
        cloud::are_set_up(&config.aws).await?;
    }
    match command {
        #[cfg(feature = "local")]
        Command::Local(args) => local::run(config, args).await?,
        Command::Worker(args) => worker::run(&config, &args).await?,
        #[cfg(feature = "local")]
        Command::Generate(args) => generate::run(&config, args).await?,
        Command::Rows(args) => rows::run(&config, &args).await?,
        Command::Sessions { command } => sessions::run(&config, &command).await?,
        Command::Channels { command } => channels::run(&config, &command).await?,
        Command::Record => record::run(&config).await?,
        Command::Replay(args) => replay::run(&config, &args).await?,
        Command::Audit(args) => return Ok(audit::run(&config, &args).await),
        Command::Report { command } => report::run(&config, &command).await?,
        Command::Validate(args) => validate::run(&config, &args).await?,
        Command::Status(args) => status::run(&config, &args).await?,
        Command::Leases { command } => leases::run(&config, &command).await?,
        Command::CheckTrace(args) => check_trace::run(&args)?,
        Command::Health(args) => health::run(&config, &args).await?,
        Command::Config { command } => config::run(&config, &command)?,
        Command::Completions(args) => completions::run(&args, Cli::command())?,
        Command::Man(args) => completions::man(&args, Cli::command())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns whether a command calls AWS from the beginning, so that it is worth asking first whether
/// it can. Lambda functions have what they need from Lambda, and a worker looks for everything that
/// it needs by itself, without this check's short patience with an instance's metadata service.
fn needs_aws(command: &Command) -> bool {
    match command {
        Command::Rows(_)
        | Command::Sessions { .. }
        | Command::Channels { .. }
        | Command::Audit(_)
        | Command::Leases { .. } => true,
        #[cfg(feature = "local")]
        Command::Generate(args) => args.out.is_none(),
        Command::Status(args) => args.worker.is_none(),
        Command::Replay(args) => args.needs_aws(),
        Command::Report { command } => !matches!(command, report::ReportCommand::Lambda(_)),
        _ => false,
    }
}

/// Says why the program ends: one JSON object if logs are JSON, too.
fn failed(error: &anyhow::Error, log_json: bool) -> ExitCode {
    let (text, code) = (failure::in_words(error), exit_code(error));
    if log_json {
        let fields = json!({ "message": text, "exitCode": code });
        let now = crate::clock::now();
        let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_string();
        let line = json!({ "timestamp": time, "level": "ERROR", "fields": fields });
        eprintln!("{}", printable::json(&line).unwrap_or_default());
    } else {
        eprintln!("ivs-processor: {}", Printable(text));
    }
    ExitCode::from(code)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    // A port or a folder that others have: as with the address of a worker's operations server.
    #[cfg(feature = "local")]
    if error.is::<ivs_emulator::StartError>() {
        return USAGE;
    }
    if error.is::<DataError>() {
        DATA
    } else if error.is::<NoInput>() {
        NO_INPUT
    } else if error.is::<UsageError>()
        || error.is::<OpsError>()
        || error.is::<ConfigError>()
        || error.is::<cloud::NotSetUp>()
        || error.is::<PeriodError>()
    {
        USAGE
    } else if error.is::<leases::Unread>()
        || error.is::<NoAnswer>()
        || matches!(error.downcast_ref(), Some(StoreError::Unreachable { .. }))
    {
        UNAVAILABLE
    } else if let Some(SendError::Later { .. }) = error.downcast_ref() {
        LATER
    } else {
        match error.downcast_ref::<ReadError>() {
            Some(ReadError::Unreachable(_)) => UNAVAILABLE,
            Some(ReadError::Later(_)) => LATER,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use aws_calls::Failed;

    use super::*;

    #[test]
    fn what_the_stream_does_not_take_now_may_be_sent_later() {
        let code = |failed: Failed<String>| {
            let sent = Err::<(), _>(SendError::of("PutRecords", failed));
            exit_code(&sent.context("sending telemetry").unwrap_err())
        };
        assert_eq!(code(Failed::ForNow("Rate exceeded".to_owned())), LATER);
        assert_eq!(code(Failed::ForGood("AccessDenied".to_owned())), 1);
    }
}
