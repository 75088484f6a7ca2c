//! How archives are read.

use clap::Args;

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
