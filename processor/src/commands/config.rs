//! `config check`.

use crate::config::Config;
use clap::Subcommand;

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration is valid, and what it comes to
    Check {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Prints the configuration that results from all layers; loading it has checked it already.
///
/// # Errors
/// When it cannot be written in the form that was asked for.
pub(super) fn run(config: &Config, command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { json: true } => println!("{}", serde_json::to_string(config)?),
        ConfigCommand::Check { json: false } => {
            println!("# valid; the values in effect:\n{}", toml::to_string(config)?);
        }
    }
    Ok(())
}
