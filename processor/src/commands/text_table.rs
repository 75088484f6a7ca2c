//! Tables for people: columns as wide as their widest cell, two spaces apart.

use crate::printable::OneLine;

/// Sets `rows` under `header`. Numbers, and cells that begin like one, are aligned right.
/// A cell may hold anybody's text.
pub(crate) fn render<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let shown = |row: &[String; N]| row.each_ref().map(|cell| OneLine(cell).to_string());
    let rows: Vec<[String; N]> = rows.iter().map(shown).collect();
    let mut widths = header.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |column: usize| {
        !rows.is_empty()
            && rows.iter().all(|row| row[column] == "-" || starts_as_number(&row[column]))
    };
    let right: [bool; N] = std::array::from_fn(is_number);
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for ((cell, width), right) in cells.into_iter().zip(widths).zip(right) {
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if right { (&*padding, "") } else { ("", &*padding) };
            line.extend([before, cell, after, "  "]);
        }
        format!("{}\n", line.trim_end())
    };
    let body = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(header)).chain(body).collect()
}

fn starts_as_number(cell: &str) -> bool {
    cell.len() < 20 && cell.starts_with(|first: char| first.is_ascii_digit())
}

/// Returns a time that people can compare: `250 ms`, `12.3 s`, `4.0 min`, `7.5 h`.
pub(crate) fn time(ms: u64) -> String {
    // Shown with one decimal.
    let ms = ms as f64;
    match ms {
        ms if ms < 1_000.0 => format!("{ms} ms"),
        ms if ms < 120_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms if ms < 7_200_000.0 => format!("{:.1} min", ms / 60_000.0),
        ms => format!("{:.1} h", ms / 3_600_000.0),
    }
}

/// Counts things in words: `1 lease`, `2 leases`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a cell's text; what is absent is a dash.
pub(crate) fn or_dash(cell: Option<impl ToString>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let row = |shard: &str, lag: &str| [shard.to_owned(), lag.to_owned()];
        let table = render(["SHARD", "LAG"], &[row("shardId-0", "0 ms"), row("s", "12.5 s")]);
        assert_eq!(table, "SHARD         LAG\nshardId-0    0 ms\ns          12.5 s\n");
        assert_eq!(render(["A", "B"], &[]), "A  B\n");
    }

    #[test]
    fn a_cell_obeys_nobody_and_stays_on_its_line() {
        let table = render(["ID", "N"], &[["a\u{1b}[2J\nb".to_owned(), "1".to_owned()]]);
        assert_eq!(table, "ID                N\na\\u{1b}[2J\\u{a}b  1\n");
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!([0, 999, 1_000, 119_999].map(time), ["0 ms", "999 ms", "1.0 s", "120.0 s"]);
        assert_eq!([120_000, 7_200_000].map(time), ["2.0 min", "2.0 h"]);
    }
}
