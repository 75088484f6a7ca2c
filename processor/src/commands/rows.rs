//! The metric rows as a file, sorted by session and window.

mod explain;

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ivs_core::row::Row;
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::items::metrics;
use jiff::Timestamp;

use super::UsageError;
use super::duration::moment;
use super::replay::rows_out::{self, Format};
use crate::cloud;
use crate::config::Config;
use crate::items::metric;
use crate::items::pages::Select;
use crate::printable::{self, Printable};
use crate::replay::entry::MetricPart;
use clap::Args;

/// `rows`.
#[derive(Args, Debug)]
pub struct RowsArgs {
    /// Only rows of this session
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only rows of this channel, by its ARN or its id
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// Only minutes from this time on, such as 2026-03-01T20:00:00Z or 2026-03-01
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Timestamp>,
    /// Only minutes before this time
    #[arg(long = "to", value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
    /// The file (.csv, .ndjson, .parquet); standard output if absent or `-`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The format where no name says it
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// As JSON: one row a line, as `--format ndjson`; one array with `--explain`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Instead: what is in a session's rows, up to where, of each shard
    #[arg(
        long,
        value_name = "SESSION",
        conflicts_with_all = ["out", "session", "channel", "from", "until", "format"]
    )]
    pub explain: Option<String>,
}

impl RowsArgs {
    fn select(&self) -> Select<'_> {
        let seconds = |time: Timestamp| time.as_second();
        Select {
            session_id: self.session.as_deref(),
            channel_id: self.channel.as_deref().map(crate::report::channel_id),
            sort_key: metrics::METRIC_TIMESTAMP,
            from_s: self.from.map(seconds),
            until_s: self.until.map(seconds),
            is_consistent: false,
        }
    }
}

/// Runs `rows`.
///
/// # Errors
/// When the table cannot be read, a row is not ours, or the file cannot be written.
pub(super) async fn run(config: &Config, args: &RowsArgs) -> anyhow::Result<()> {
    if args.from.zip(args.until).is_some_and(|(from, until)| from >= until) {
        let none = "--from is not before --to, so nothing can be found";
        return Err(UsageError(none.to_owned()).into());
    }
    let clients = cloud::clients(&config.aws).await;
    if let Some(session_id) = &args.explain {
        let rows = explain::session(&clients.dynamodb, &config.tables, session_id).await?;
        match args.json {
            true => println!("{}", printable::json(&rows)?),
            false => print!("{}", Printable(explain::text(&rows))),
        }
        return Ok(());
    }
    let out = args.out.as_deref().filter(|path| *path != Path::new("-"));
    let asked = args.format.or(args.json.then_some(Format::Ndjson));
    let format = match (asked, out) {
        (Some(format), _) => format,
        (None, Some(path)) => Format::of(path)?,
        (None, None) => Format::Csv,
    };
    let select = args.select();
    let rows = read(&clients.dynamodb, &config.tables.metrics, &select).await?;
    let written = write(rows, out, format)?;
    eprintln!("{written} rows");
    Ok(())
}

/// Reads the whole table, page by page, in no particular order.
///
/// # Errors
/// When the table cannot be read, or a row is not ours; the row is named.
pub async fn scan(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    mut each: impl FnMut(WindowKey, Row<WindowAgg>),
) -> anyhow::Result<()> {
    let all = Select { sort_key: metrics::METRIC_TIMESTAMP, ..Select::default() };
    all.each(dynamodb, table, |item| {
        let (key, row) = metric::decode(item)?;
        each(key, row);
        Ok(())
    })
    .await
}

/// Writes every row to a file, in the format of its name; returns how many. The rows are held until
/// they are sorted, some kilobytes each where many players watched.
///
/// # Errors
/// When the table cannot be read or the file cannot be written.
pub async fn export(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    out: &Path,
) -> anyhow::Result<u64> {
    let format = Format::of(out)?;
    let all = Select { sort_key: metrics::METRIC_TIMESTAMP, ..Select::default() };
    write(read(dynamodb, table, &all).await?, Some(out), format)
}

async fn read(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    select: &Select<'_>,
) -> anyhow::Result<Vec<MetricPart>> {
    let mut rows = Vec::new();
    select
        .each(dynamodb, table, |item| {
            let (key, agg) = metric::decode_agg(item)?;
            rows.push(MetricPart { key, agg, stamps: Vec::new() });
            Ok(())
        })
        .await?;
    rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(rows)
}

fn write(rows: Vec<MetricPart>, out: Option<&Path>, format: Format) -> anyhow::Result<u64> {
    let count = rows.len() as u64;
    let rows = rows.into_iter().map(Ok);
    match out {
        Some(path) => rows_out::write(rows, path, format),
        None => {
            let mut out = BufWriter::new(std::io::stdout());
            let context = "cannot write to standard output";
            rows_out::write_to(rows, &mut out, format).context(context)?;
            out.flush().context(context)?;
            Ok(count)
        }
    }
}
