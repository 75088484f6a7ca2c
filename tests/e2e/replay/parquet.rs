//! `--rows-out FILE.parquet` holds what the CSV holds.

use std::collections::BTreeSet;
use std::fs::File;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::replay;
use crate::golden::SAMPLE;
use crate::process::state;

/// The golden archive of views, of which the sample has none.
const VIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/views/archive.ndjson");
/// Columns of views.
const OF_VIEWS: [&str; 11] = [
    "view_attempts",
    "view_starts",
    "start_failures_technical",
    "start_failures_business",
    "exits_before_start",
    "playback_failures",
    "views_ended",
    "view_time_ms",
    "concurrent_views",
    "experience_score",
    "breakdowns",
];

#[test]
fn parquet_has_the_rows_of_the_csv() {
    let dir = state();
    let [csv, parquet] = ["rows.csv", "rows.parquet"].map(|name| {
        let path = dir.path().join(name);
        replay(&["--rows-out"]).arg(&path).args(SAMPLE).arg(VIEWS).run_to_end();
        path
    });
    let csv = std::fs::read_to_string(csv).unwrap();
    let (header, lines) = csv.split_once('\n').unwrap();
    let reader = SerializedFileReader::new(File::open(parquet).unwrap()).unwrap();
    let mut rows = reader.get_row_iter(None).unwrap();
    let (mut doubles, mut of_views): (u64, BTreeSet<&str>) = (0, BTreeSet::new());
    for line in lines.lines() {
        let row = rows.next().expect("as many rows").unwrap();
        let names: Vec<&str> = row.get_column_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.join(","), header);
        // The last column alone is quoted.
        let cells = line.splitn(names.len(), ',').map(unquoted);
        for (text, (name, field)) in cells.zip(row.get_column_iter()) {
            if !text.is_empty() {
                of_views.extend(OF_VIEWS.iter().filter(|column| **column == name.as_str()));
            }
            let is_same = match field {
                Field::Null => text.is_empty(),
                Field::Str(value) => *value == text,
                Field::Long(value) => value.to_string() == text,
                Field::Double(value) => {
                    doubles += 1;
                    text.parse() == Ok(*value)
                }
                _ => false,
            };
            assert!(is_same, "{name}: {text:?} became {field:?} in:\n{line}");
        }
    }
    assert!(rows.next().is_none(), "no more rows");
    assert!(doubles > 100_000, "{doubles} decimals were compared");
    assert_eq!(of_views, BTreeSet::from(OF_VIEWS), "columns of views with figures");
}

/// Returns the text of a cell.
fn unquoted(cell: &str) -> String {
    let quoted = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
    quoted.map_or_else(|| cell.to_owned(), |cell| cell.replace("\"\"", "\""))
}
