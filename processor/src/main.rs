//! `ivs-processor`: see `ivs-processor --help`.

use std::process::ExitCode;

use clap::Parser as _;
use ivs_processor::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    ivs_processor::commands::run(Cli::parse()).await
}
