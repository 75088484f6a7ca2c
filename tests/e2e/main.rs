//! The program as a user runs it: processes, files, the embedded AWS.

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod backlog;
mod commands;
mod domain;
mod encoder;
mod enhanced;
mod fleet;
mod golden;
mod granted;
mod junk;
mod lambda;
mod metrics;
mod ops;
mod ports;
mod process;
mod readme;
mod reconcile;
mod refused;
mod replay;
mod resources;
mod rolling;
mod rules;
mod runtime_api;
mod trimmed;
mod views;

use std::time::Duration;

use golden::{EXPECTED, SAMPLE, compare};
use process::{Program, state};

/// The sample through the whole path, twice over one state.
#[test]
fn the_sample_gives_exactly_the_expected_rows_and_a_second_run_changes_none() {
    let dir = state();
    let rows = dir.path().join("rows.csv");
    let out = local(&dir, &rows).run_to_end();
    compare(&rows, EXPECTED);
    for line in
        ["records read          200000", "duplicate             1963", "rejected                20"]
    {
        assert!(out.contains(line), "{line} is not in:\n{out}");
    }
    let before = std::fs::read(&rows).unwrap();
    let out = local(&dir, &rows).run_to_end();
    assert_eq!(before, std::fs::read(&rows).unwrap(), "the second run changed rows");
    assert!(out.contains("sent 0 records; 200000 were in the stream already"), "{out}");
}

/// `kill -9` of everything at once, twice, then a run to the end over the same state.
#[test]
fn killing_the_whole_program_twice_changes_no_row() {
    let dir = state();
    let rows = dir.path().join("rows.csv");
    // While lines are still being sent, and then in the middle of writing rows.
    let mut program = local(&dir, &rows).start();
    program.wait_for(|line| line.starts_with("rejects"));
    std::thread::sleep(Duration::from_millis(700));
    program.kill_9();
    let mut program = local(&dir, &rows).start();
    ops::wait_for_rows(&mut program);
    program.kill_9();
    assert!(!rows.exists(), "the program came to its end before it was killed");
    local(&dir, &rows).run_to_end();
    compare(&rows, EXPECTED);
}

/// `kill -9` of a separate worker, twice, in the middle of its work.
#[test]
fn killing_the_worker_twice_changes_no_row() {
    let dir = state();
    let rows = dir.path().join("rows.csv");
    let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0", "--state"])
        .arg(dir.path().join("state"))
        .start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", &url];
    Program::new(&["generate"]).args(&at).arg("--input").args(SAMPLE).run_to_end();
    let settings = ["--set", "fleet.failover_ms=1500", "--set", "epoch.interval_ms=1000"];
    let worker = || {
        Program::new(&["worker", "--until-drained"])
            .args(&at)
            .args(&settings)
            .args(&["--set", "stream.shard_budget=false", "--set", "stream.poll_interval_ms=100"])
            .args(&["--set", "tables.writes_per_s=0", "--set"])
            .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
    };
    let rows_now = || {
        Program::new(&["rows"]).args(&at).arg("--out").arg(&rows).run_to_end();
        std::fs::read_to_string(&rows).unwrap().lines().count() - 1
    };
    let mut before = 0;
    for _ in 0..2 {
        let mut running = worker().start();
        while rows_now() <= before {
            std::thread::sleep(Duration::from_millis(200));
        }
        running.kill_9();
        before = rows_now();
    }
    assert!(before < 24_688, "the workers were killed in the middle of their work");
    worker().run_to_end();
    rows_now();
    compare(&rows, EXPECTED);
}

/// Traffic in real time, one run after the other over one state, one of them killed in the middle:
/// the rows of each hold what the generator's ledger says was sent. The seed is always the same.
#[test]
fn made_up_traffic_is_in_the_rows_exactly_run_after_run() {
    let dir = state();
    let run = || {
        Program::new(&["local", "--for", "8s", "--port", "0", "--state"])
            .arg(dir.path().join("state"))
    };
    let is_exact = |out: &str| assert!(out.contains("rows hold exactly what was sent"), "{out}");
    is_exact(&run().run_to_end());
    is_exact(&run().run_to_end());
    let mut killed = run().start();
    ops::wait_for_rows(&mut killed);
    killed.kill_9();
    is_exact(&run().run_to_end());
    // It is emptied only for who may: then it begins anew.
    is_exact(&run().arg("--fresh").run_to_end());
}

/// Yesterday, made in a moment, is in the rows and in the report of yesterday.
#[test]
fn yesterdays_traffic_can_be_made_and_reported() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", &url];
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let yesterday = today.yesterday().unwrap().to_string();
    let noon = format!("{yesterday}T12:00:00Z");
    let traffic = ["--start", &noon, "--for", "20m", "--channels", "2", "--viewers", "40"];
    let file = dir.path().join("yesterday.ndjson");
    Program::new(&["generate", "--out"]).arg(&file).args(&traffic).run_to_end();
    let rows = dir.path().join("rows.csv");
    Program::new(&["replay"]).arg(&file).arg("--rows-out").arg(&rows).run_to_end();
    let written = std::fs::read_to_string(&rows).unwrap();
    assert!(written.lines().count() > 20, "{written}");
    Program::new(&["generate", "--fast"]).args(&at).args(&traffic).run_to_end();
    let out = Program::new(&["worker", "--until-drained"])
        .args(&at)
        .args(&["--set", "epoch.interval_ms=1000", "--set", "fleet.failover_ms=1500"])
        .args(&["--set", "stream.shard_budget=false", "--set", "stream.poll_interval_ms=100"])
        .args(&["--set", "tables.writes_per_s=0", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .run_to_end();
    assert!(!out.contains("clock_skew"), "{out}");
    let report = Program::new(&["report", "daily", "--all-channels", "--date", &yesterday])
        .args(&at)
        .run_to_end();
    assert_eq!(report.lines().count(), 2, "one report for each channel:\n{report}");
    assert!(report.contains("\"totalSessions\":") && !report.contains("\"totalSessions\":0"));
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_starts() {
    let (code, error) = Program::new(&["worker", "--set", "epoch.intervall_ms=1"]).fails();
    assert_eq!(code, 64);
    assert!(error.contains("intervall_ms"), "{error}");
}

fn local(dir: &tempfile::TempDir, rows: &std::path::Path) -> Program {
    Program::new(&["local", "--port", "0", "--state"])
        .arg(dir.path().join("state"))
        .arg("--rows-out")
        .arg(rows)
        .arg("--input")
        .args(SAMPLE)
}
