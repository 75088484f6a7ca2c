//! Recomputed metric rows into a file.

mod parquet;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ivs_core::columns::{COLUMNS, Cell, cells};
use ivs_core::csv;
use serde_json::{Map, Value};

use crate::commands::UsageError;
use crate::printable;
use crate::replay::entry::MetricPart;

/// The format of a file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `.csv`: a header with the names of the columns, then a line for each row.
    Csv,
    /// `.ndjson` or `.jsonl`: the same columns, one object a line; what is empty in CSV is null.
    Ndjson,
    /// `.parquet`: the same columns; what is empty in CSV is null.
    Parquet,
}

impl Format {
    /// Returns the format that a file's name asks for.
    ///
    /// # Errors
    /// When it asks for none that is known here.
    pub(crate) fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("csv") => Ok(Self::Csv),
            Some("ndjson" | "jsonl") => Ok(Self::Ndjson),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(UsageError(format!("{}: {EXPECTED}", path.display()))),
        }
    }
}

const EXPECTED: &str = "expected a name that ends in .csv, .ndjson or .parquet";

/// Reads the name of a file for rows: it is refused before anything is done for it.
pub(in crate::commands) fn file(name: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(name);
    Format::of(&path).map(|_| path).map_err(|_| EXPECTED)
}

/// Writes the rows, in the order in which they come; returns how many. The file appears under its
/// name when it is whole.
///
/// # Errors
/// When the rows cannot be read back, or the file cannot be written.
pub(crate) fn write(
    rows: impl Iterator<Item = io::Result<MetricPart>>,
    path: &Path,
    format: Format,
) -> anyhow::Result<u64> {
    let mut count = 0;
    let rows = rows.inspect(|_| count += 1);
    write_whole(path, |out| write_to(rows, out, format))?;
    Ok(count)
}

/// Writes a file that appears under its name when it is whole.
///
/// # Errors
/// When it cannot be written, and those of `write`.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut unfinished = PathBuf::from(path);
    unfinished.as_mut_os_string().push(".unfinished");
    let mut out =
        BufWriter::with_capacity(256 << 10, File::create(&unfinished).with_context(context)?);
    write(&mut out).with_context(context)?;
    out.flush().with_context(context)?;
    std::fs::rename(&unfinished, path).with_context(context)
}

/// Writes the rows, in the order in which they come, to what takes bytes.
///
/// # Errors
/// When the rows cannot be read back, and those of `out`.
pub(crate) fn write_to(
    rows: impl Iterator<Item = io::Result<MetricPart>>,
    out: &mut (impl Write + Send),
    format: Format,
) -> io::Result<()> {
    match format {
        Format::Csv => write_csv(rows, out),
        Format::Ndjson => write_ndjson(rows, out),
        Format::Parquet => parquet::write(rows, out),
    }
}

fn write_csv(
    rows: impl Iterator<Item = io::Result<MetricPart>>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut line = String::new();
    csv::write_header(&mut line).expect("a text takes everything");
    for row in rows {
        let row = row?;
        csv::write_row(&mut line, &row.key, &row.agg).expect("a text takes everything");
        out.write_all(line.as_bytes())?;
        line.clear();
    }
    // What is left is the header of no rows.
    out.write_all(line.as_bytes())
}

fn write_ndjson(
    rows: impl Iterator<Item = io::Result<MetricPart>>,
    out: &mut impl Write,
) -> io::Result<()> {
    rows.into_iter().try_for_each(|row| writeln!(out, "{}", printable::json(&object(&row?))?))
}

/// Returns a row as an object: ids are texts, everything else is a number or null.
fn object(row: &MetricPart) -> Value {
    let value = |cell| match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => text.into(),
        Cell::Int(value) => value.into(),
        Cell::Decimal(sum) => match i64::try_from(sum.0 / 1_000_000) {
            Ok(whole) if sum.0 % 1_000_000 == 0 => whole.into(),
            _ => sum.to_f64().into(),
        },
    };
    let named = COLUMNS.iter().zip(cells(&row.key, &row.agg));
    Value::Object(
        named.map(|(column, cell)| (column.name.to_owned(), value(cell))).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests;
