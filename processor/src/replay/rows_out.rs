//! Recomputed metric rows into a file.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ivs_core::csv;
use serde_json::{Map, Value};

use super::entry::MetricPart;

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.csv`: the columns of [`csv::HEADER`].
    Csv,
    /// `.ndjson` or `.jsonl`: the same columns, one object a line; what is empty in CSV is null.
    Ndjson,
}

impl Format {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// When it asks for none that is known here.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("csv") => Ok(Self::Csv),
            Some("ndjson" | "jsonl") => Ok(Self::Ndjson),
            _ => anyhow::bail!("{}: expected a name that ends in .csv or .ndjson", path.display()),
        }
    }
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
    let context = || format!("cannot write {}", path.display());
    let mut unfinished = PathBuf::from(path);
    unfinished.as_mut_os_string().push(".unfinished");
    let mut out =
        BufWriter::with_capacity(256 << 10, File::create(&unfinished).with_context(context)?);
    if format == Format::Csv {
        writeln!(out, "{}", csv::HEADER).with_context(context)?;
    }
    let (mut line, mut count) = (String::new(), 0);
    for row in rows {
        let row = row?;
        line.clear();
        csv::write_row(&mut line, &row.key, &row.agg).expect("a text takes everything");
        match format {
            Format::Csv => out.write_all(line.as_bytes()),
            Format::Ndjson => writeln!(out, "{}", object(&line)),
        }
        .with_context(context)?;
        count += 1;
    }
    out.flush().with_context(context)?;
    std::fs::rename(&unfinished, path).with_context(context)?;
    Ok(count)
}

/// A line of CSV as an object: ids are texts, everything else is a number.
fn object(line: &str) -> Value {
    let cell = |(name, text): (&str, String)| {
        let value = match name {
            "session_id" | "channel_id" => Value::String(text),
            _ => serde_json::from_str(&text).unwrap_or_default(),
        };
        (name.to_owned(), value)
    };
    Value::Object(csv::HEADER.split(',').zip(cells(line)).map(cell).collect::<Map<_, _>>())
}

/// The cells of a line of CSV (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = line.trim_end_matches('\n').chars().peekable();
    while let Some(next) = rest.next() {
        let cell = cells.last_mut().expect("it begins with one");
        match next {
            '"' if is_quoted && rest.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_an_object_of_its_columns() {
        assert_eq!(cells("a,\"b,\"\"c\"\"\",,1\n"), ["a", "b,\"c\"", "", "1"]);
        let empty = ",".repeat(csv::HEADER.split(',').count() - 4);
        let row = object(&format!("\"s,1\",60,7,2{empty}\n"));
        assert_eq!(row["session_id"], "s,1");
        assert_eq!(row["channel_id"], "7", "an id of digits is a text all the same");
        assert_eq!((&row["window_start"], &row["records"]), (&60.into(), &2.into()));
        assert!(row["viewers_sum"].is_null());
    }

    #[test]
    fn a_name_without_a_known_ending_is_refused() {
        assert_eq!(Format::of(Path::new("a/b.jsonl")).unwrap(), Format::Ndjson);
        assert!(Format::of(Path::new("rows.parquet")).is_err());
    }
}
