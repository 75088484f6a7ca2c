//! The golden archive and its comparison, column by column.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/");

/// The archive.
pub(crate) const SAMPLE: &[&str] = &[
    concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sample/part-00000.ndjson.zst"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sample/part-00001.ndjson.zst"),
];

/// The result of an independent program.
pub(crate) const EXPECTED: &str = "sample-expected.csv.gz";

/// Columns that may differ: estimates.
const DISTINCT: &str = "players";
const QUANTILES: [&str; 3] = ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"];
/// Windows with fewer values than this must have exact quantiles.
const SMALL: f64 = 200.0;
/// Latency quantiles of large windows: the sketch's bins are narrower than this share of a value.
const BIN_WIDTH: f64 = 0.02;

type Table = BTreeMap<(String, String), BTreeMap<String, String>>;

fn parse(text: &str) -> Table {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row = |line: &str| {
        let values: BTreeMap<String, String> = header
            .iter()
            .map(|name| (*name).to_owned())
            .zip(line.split(',').map(str::to_owned))
            .collect();
        ((values["session_id"].clone(), values["window_start"].clone()), values)
    };
    lines.map(row).collect()
}

/// Compares every column of every row with the expected file.
pub(crate) fn compare(rows: &Path, expected: &str) {
    let mut text = String::new();
    let file = std::fs::File::open(format!("{DIR}{expected}")).expect("the expected rows");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    let want = parse(&text);
    let have = parse(&std::fs::read_to_string(rows).expect("the rows were written"));
    assert_eq!(have.len(), want.len(), "number of rows");
    for (key, want) in &want {
        let have = have.get(key).unwrap_or_else(|| panic!("row {key:?} is missing"));
        for (column, value) in want {
            let other = have.get(column).unwrap_or_else(|| panic!("no column {column}"));
            assert!(
                same(column, value, other, want),
                "{key:?} {column}: want {value:?}, have {other:?}"
            );
        }
    }
}

fn same(column: &str, want: &str, have: &str, row: &BTreeMap<String, String>) -> bool {
    let numbers = || Some((want.parse::<f64>().ok()?, have.parse::<f64>().ok()?));
    if want == have {
        return true;
    }
    let Some((want, have)) = numbers() else { return false };
    let difference = (want - have).abs();
    if column == DISTINCT {
        return difference <= (want * 0.03).max(1.0);
    }
    if QUANTILES.contains(&column) {
        let count: f64 = row["player_records"].parse().unwrap_or_default();
        return count >= SMALL && difference <= want * BIN_WIDTH;
    }
    // The same decimal, spelled otherwise, such as 60 and 60.0.
    difference == 0.0
}
