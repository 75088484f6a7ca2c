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

/// Writes a window as a line that ends in `\n`: its [`cells`]; empty means no character at all.
///
/// # Errors
/// Those of `out`.
pub fn write_row(out: &mut impl Write, key: &WindowKey, agg: &WindowAgg) -> fmt::Result {
    separated(out, cells(key, agg), |out, cell| match cell {
        Cell::Empty => Ok(()),
        Cell::Text(value) => text(out, &value),
        Cell::Int(value) => write!(out, "{value}"),
        Cell::Decimal(value) => write!(out, "{value}"),
    })
}

/// Returns one line, with commas between.
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

/// Writes a text, in quotes if it needs them. Spreadsheets take what begins like a formula for one, so an
/// apostrophe is put before it; control characters other than line ends and tabs, and those that turn the
/// direction of text, are written as `\u{1b}`, since terminals obey them.
fn text(out: &mut impl Write, text: &str) -> fmt::Result {
    let is_formula = text.starts_with(FORMULA);
    let is_quoted = is_formula || text.contains([',', '"', '\r', '\n', '\t']);
    if !is_quoted && !text.contains(is_unfit) {
        return out.write_str(text);
    }
    let quote = if is_quoted { "\"" } else { "" };
    out.write_str(quote)?;
    if is_formula {
        out.write_char('\'')?;
    }
    for character in text.chars() {
        match character {
            '"' => out.write_str("\"\"")?,
            _ if is_unfit(character) => write!(out, "{}", character.escape_unicode())?,
            _ => out.write_char(character)?,
        }
    }
    out.write_str(quote)
}

/// How formulas begin, in the full-width letters of Japanese keyboards too.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Control characters, and those that turn the order in which others are shown.
fn is_unfit(character: char) -> bool {
    (character.is_control() && !matches!(character, '\r' | '\n' | '\t'))
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
