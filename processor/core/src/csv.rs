//! Windows as CSV (RFC 4180), one row each: what `replay` writes to a file.

use std::fmt::{self, Write};

use crate::columns::{COLUMNS, Cell, cells};
use crate::window::{WindowAgg, WindowKey};

/// Writes the first line: the names of [`COLUMNS`].
///
/// # Errors
/// Those of `out`.
pub fn write_header(out: &mut impl Write) -> fmt::Result {
    separated(out, COLUMNS, |out, column| out.write_str(column.name))
}

/// Writes a window as a line that ends in `\n`: its [`cells`]; empty is no character at all.
///
/// # Errors
/// Those of `out`.
pub fn write_row(out: &mut impl Write, key: &WindowKey, agg: &WindowAgg) -> fmt::Result {
    separated(out, cells(key, agg), |out, cell| match cell {
        Cell::Empty => Ok(()),
        Cell::Text(value) => text(out, value),
        Cell::Int(value) => write!(out, "{value}"),
        Cell::Decimal(value) => write!(out, "{value}"),
    })
}

/// One line, with commas between.
fn separated<W: Write, T>(
    out: &mut W,
    values: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        write(out, value)?;
    }
    out.write_char('\n')
}

/// A text, in quotes if it needs them.
fn text(out: &mut impl Write, text: &str) -> fmt::Result {
    if text.contains([',', '"', '\r', '\n']) {
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    } else {
        out.write_str(text)
    }
}

#[cfg(test)]
mod tests;
