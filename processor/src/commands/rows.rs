//! The metric rows as CSV, sorted by session and window.

mod explain;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_calls::explain;
use ivs_core::csv;
use ivs_core::row::Row;
use ivs_core::window::{WindowAgg, WindowKey};

use clap::Args;

use crate::config::Tables;
use crate::items::metric;

/// `rows`.
#[derive(Args, Debug)]
pub struct RowsArgs {
    /// The CSV file; standard output if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Instead: what is in a session's rows, up to where, of each shard
    #[arg(long, value_name = "SESSION", conflicts_with = "out")]
    pub explain: Option<String>,
}

/// `rows`: exports the table, or explains a session's rows.
///
/// # Errors
/// As [`export`]; when there is no such session.
pub async fn run(
    dynamodb: &aws_sdk_dynamodb::Client,
    tables: &Tables,
    args: &RowsArgs,
) -> anyhow::Result<()> {
    if let Some(session_id) = &args.explain {
        let text = explain::session(dynamodb, tables, session_id).await?;
        return std::io::stdout().write_all(text.as_bytes()).context("cannot write");
    }
    let written = export(dynamodb, &tables.metrics, args.out.as_deref()).await?;
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
    let mut next = None;
    loop {
        let page = dynamodb
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(next)
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("cannot read {table}: {}", explain(&error)))?;
        for item in page.items.unwrap_or_default() {
            let (key, row) = metric::decode(&item)
                .with_context(|| format!("{table}: {:?}", item.get("sessionId")))?;
            each(key, row);
        }
        next = page.last_evaluated_key;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Writes every row; returns how many. The lines are held until they are sorted, some 200 bytes
/// each.
///
/// # Errors
/// When the table cannot be read or the file cannot be written.
pub async fn export(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    out: Option<&Path>,
) -> anyhow::Result<u64> {
    let mut lines = Vec::new();
    scan(dynamodb, table, |key, row| {
        let mut line = String::new();
        csv::write_row(&mut line, &key, &row.agg).expect("a text takes everything");
        lines.push((key, line));
    })
    .await?;
    lines.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    match out {
        None => write(std::io::stdout().lock(), &lines).context("cannot write the rows")?,
        Some(path) => {
            let context = || format!("cannot write {}", path.display());
            write(File::create(path).with_context(context)?, &lines).with_context(context)?;
        }
    }
    Ok(lines.len() as u64)
}

fn write(out: impl Write, lines: &[(WindowKey, String)]) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut header = String::new();
    csv::write_header(&mut header).expect("a text takes everything");
    out.write_all(header.as_bytes())?;
    for (_, line) in lines {
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}
