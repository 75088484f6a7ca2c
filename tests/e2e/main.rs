//! The program as a user runs it: processes, files, the embedded AWS.

mod golden;
mod process;

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
    for line in ["records read          200000", "duplicate             1963", "rejected                20"]
    {
        assert!(out.contains(line), "{line} is not in:\n{out}");
    }
    let before = std::fs::read(&rows).unwrap();
    let out = local(&dir, &rows).run_to_end();
    assert_eq!(before, std::fs::read(&rows).unwrap(), "the second run changed rows");
    assert!(out.contains("sent 0 lines; 200000 were in the stream already"), "{out}");
}

/// `kill -9` of everything at once, twice, then a run to the end over the same state.
#[test]
fn killing_the_whole_program_twice_changes_no_row() {
    let dir = state();
    let rows = dir.path().join("rows.csv");
    for millis in [1_500, 3_500] {
        let mut program = local(&dir, &rows).start();
        std::thread::sleep(Duration::from_millis(millis));
        program.kill_9();
    }
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
    let url = endpoint.wait_for_url();
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
    for millis in [4_000, 4_000] {
        let mut running = worker().start();
        std::thread::sleep(Duration::from_millis(millis));
        running.kill_9();
    }
    worker().run_to_end();
    Program::new(&["rows"]).args(&at).arg("--out").arg(&rows).run_to_end();
    compare(&rows, EXPECTED);
}

/// Traffic in real time: what the generator's ledger says was sent is what the rows hold.
#[test]
fn made_up_traffic_is_in_the_rows_exactly() {
    let out = Program::new(&["local", "--for", "8s", "--state", ":memory:", "--port", "0"])
        .run_to_end();
    assert!(out.contains("rows hold exactly what was sent"), "{out}");
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
