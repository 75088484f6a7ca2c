//! The arguments of `audit`.

use clap::Args;

use crate::replay::ReadArgs;

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
