//! The golden archive of views (`tests/golden/views`): its rows equal those that its script counted, by the
//! default lists.
//!
//! Archive and rows are written anew by `python3 tests/golden/views.py`, which knows nothing of the program.

use std::collections::BTreeMap;

use serde_json::{Value, json};

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

/// The figures of a value of a dimension that are told as they are summed.
const SUMS: [&str; 5] = ["records", "attempts", "starts", "failures", "stalls"];

#[test]
fn a_report_of_the_golden_views_has_the_sums_of_the_expected_rows() {
    let (url, _endpoint) = Program::new(&["local", "--endpoint-only", "--port", "0"])
        .args(&["--state", ":memory:"])
        .start()
        .wait_for_ready();
    Program::new(&["replay", ARCHIVE, "--apply", "--endpoint-url", &url]).run_to_end();
    let report = |format: &str| {
        Program::new(&["report", "daily", "--channel", "ch-st-2", "--date", "2025-06-01"])
            .args(&["--endpoint-url", &url, "--format", format])
            .run_to_end()
    };
    let rows = parse(ROWS);
    let rows: Vec<&Value> = rows.values().filter(|row| row["session_id"] == "st-2").collect();
    let sum = |column: &str| rows.iter().filter_map(|row| row[column].as_u64()).sum::<u64>();
    let [attempts, starts] = ["view_attempts", "view_starts"].map(sum);
    let [technical, business] = ["start_failures_technical", "start_failures_business"].map(sum);
    let told: Value = serde_json::from_str(&report("json")).unwrap();
    let seen = &told["playerExperience"];
    let wanted = json!({
        "attempts": attempts,
        "starts": starts,
        "startFailuresTechnical": technical,
        "startFailuresBusiness": business,
        "exitsBeforeStart": attempts.saturating_sub(starts + technical + business),
        "playbackFailures": sum("playback_failures"),
        "ended": sum("views_ended"),
    });
    assert_eq!(seen["views"], wanted);
    assert_eq!(by_value(seen), summed(&rows));
    let score = seen["score"]["score"].as_f64().expect("a score");
    let page = report("html");
    for shown in [
        format!("<b>{score:.1}</b><span>Experience score of 100</span>"),
        format!("<b>{starts}</b><span>Views started</span>"),
        "scope=\"row\">web-chrome</th>".to_owned(),
    ] {
        assert!(page.contains(&shown), "{shown} is not in:\n{page}");
    }
}

type Slices = BTreeMap<(String, String), [u64; SUMS.len()]>;

/// Returns the sums of a report by dimension and value.
fn by_value(seen: &Value) -> Slices {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values = |of: &Value| -> Vec<_> {
        let name = text(&of["dimension"]);
        let figures = |of: &Value| SUMS.map(|sum| whole(&of[sum]));
        let values = of["values"].as_array().unwrap().iter();
        values.map(|of| ((name.clone(), text(&of["value"])), figures(of))).collect()
    };
    seen["breakdowns"].as_array().unwrap().iter().flat_map(values).collect()
}

/// Returns the same of rows.
fn summed(rows: &[&Value]) -> Slices {
    let mut slices = Slices::new();
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (dimension, values) in rows.iter().flat_map(|row| members(&row["breakdowns"])) {
        for (value, figures) in members(&values) {
            let sums = slices.entry((dimension.clone(), value)).or_default();
            for (total, name) in sums.iter_mut().zip(SUMS) {
                *total += whole(&figures[name]);
            }
        }
    }
    slices
}

/// Returns a count, which may be written as a decimal.
fn whole(value: &Value) -> u64 {
    let number = value.as_f64().unwrap();
    assert!(number.fract() == 0.0 && number >= 0.0, "{number}");
    format!("{number}").parse().unwrap()
}
