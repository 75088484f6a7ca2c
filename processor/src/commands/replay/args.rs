//! The arguments of `replay`.

use std::path::PathBuf;

use clap::Args;

use super::rows_out::file;
use crate::commands::duration::moment;
use crate::replay::ReadArgs;

/// `replay`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("to_where").required(true))]
pub struct ReplayArgs {
    /// Files, folders, file:// and s3:// URLs, - for standard input: the worker's own segments, and
    /// other JSON (plain, gzip, zstd; with or without newlines); or kinesis:STREAM
    #[arg(value_name = "SOURCE", required_unless_present = "eventbridge_archive")]
    pub sources: Vec<String>,
    /// Write the metric rows to this file (.csv, .ndjson, .parquet), and touch no table
    #[arg(long, group = "to_where", value_name = "FILE", value_parser = file)]
    pub rows_out: Option<PathBuf>,
    /// Write metric rows and sessions to the tables; rows with other data in them are left alone
    #[arg(long, group = "to_where")]
    pub apply: bool,
    /// Write what workers tell when a window closes, by the rules of the configuration, to this file
    /// (NDJSON), and touch no table and no bus
    #[arg(long, group = "to_where", value_name = "FILE")]
    pub events_out: Option<PathBuf>,
    /// Have EventBridge send this archive to its bus again, and follow until all is sent
    #[arg(
        long,
        group = "to_where",
        value_name = "NAME",
        requires_all = ["from", "until"],
        conflicts_with = "sources"
    )]
    pub eventbridge_archive: Option<String>,
    /// From this arrival (of an EventBridge archive: event) time on, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<jiff::Timestamp>,
    /// Until before this time
    #[arg(long = "to", value_name = "TIME", value_parser = moment)]
    pub until: Option<jiff::Timestamp>,
    /// Keep rejected records in this NDJSON file
    #[arg(long, value_name = "FILE")]
    pub rejects_out: Option<PathBuf>,
    /// End well even if nine of ten records were rejected
    #[arg(long)]
    pub allow_rejects: bool,
    /// How it is done.
    #[command(flatten)]
    pub how: ReadArgs,
}

impl ReplayArgs {
    /// Returns whether it calls AWS's services; S3 finds its credentials by itself.
    pub(in crate::commands) fn needs_aws(&self) -> bool {
        self.apply
            || self.eventbridge_archive.is_some()
            || self.sources.iter().any(|source| source.starts_with("kinesis:"))
    }
}
