//! The golden archive of views (`tests/golden/views`): its rows equal those that its script counted, by the
//! default lists.
//!
//! Archive and rows are written anew by `python3 tests/golden/views.py`, which knows nothing of the program.

use serde_json::Value;

use super::{close, parse, same_score};
use crate::process::{Program, state};

const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/views/archive.ndjson");
const ROWS: &str = include_str!("../../golden/views/rows.ndjson");

#[test]
fn the_golden_views_give_exactly_the_expected_rows() {
    let dir = state();
    let out = dir.path().join("rows.ndjson");
    Program::new(&["replay", ARCHIVE, "--rows-out"]).arg(&out).run_to_end();
    let (mut found, wanted) = (parse(&std::fs::read_to_string(out).unwrap()), parse(ROWS));
    assert!(wanted.len() > 10, "{} rows", wanted.len());
    for (key, wanted) in wanted {
        let row = found.remove(&key).unwrap_or_else(|| panic!("no row {key:?}"));
        for (column, value) in wanted.as_object().unwrap() {
            let found = &row[column];
            match column.as_str() {
                "experience_score" => same_score(found, value.as_f64(), &key),
                "breakdowns" => {
                    let found: Value = serde_json::from_str(found.as_str().unwrap()).unwrap();
                    assert_eq!(found, *value, "breakdowns of {key:?}");
                }
                _ => {
                    let is_same = match (found.as_f64(), value.as_f64()) {
                        (Some(found), Some(value)) => close(found, value),
                        _ => found == value,
                    };
                    assert!(is_same, "{column} of {key:?}: {found} for {value}");
                }
            }
        }
    }
    assert!(found.is_empty(), "rows of nobody: {:?}", found.keys());
}
