//! The program itself, built beside the tests so that they can start and kill it.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    ivs_processor::commands::run(ivs_processor::cli::Cli::parse()).await
}
