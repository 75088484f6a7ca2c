//! A worker that reads by enhanced fan-out.

use crate::fleet::{logs, sample};
use crate::process::{Program, state};

/// The rows are those of a run that polls.
#[test]
fn a_worker_that_subscribes_writes_the_rows_of_one_that_polls() {
    let dir = state();
    let (slices, _) = sample::write(dir.path(), 2, 1);
    let [polled, pushed] = ["polled.csv", "pushed.csv"].map(|name| dir.path().join(name));
    let local = Program::new(&["local", "--port", "0", "--state", ":memory:", "--rows-out"]);
    local.arg(&polled).arg("--input").args(&slices).run_to_end();

    let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0", "--state"])
        .arg(dir.path().join("state"))
        .start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", &url];
    Program::new(&["generate"]).args(&at).arg("--input").args(&slices).run_to_end();
    let log = dir.path().join("log");
    Program::new(&["worker", "--until-drained", "--consumer", "enhanced"])
        .args(&at)
        .args(&["--set", "epoch.interval_ms=1000", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .log_to(&log)
        .run_to_end();
    let said = |text: &str| logs::read(&log).iter().any(|line| line.message == text);
    assert!(said("reading by enhanced fan-out"));
    assert!(!said("enhanced fan-out failed, polling from here"));

    Program::new(&["rows"]).args(&at).arg("--out").arg(&pushed).run_to_end();
    let [polled, pushed] = [polled, pushed].map(|path| std::fs::read_to_string(path).unwrap());
    assert!(polled.lines().count() > 1 && polled == pushed, "the rows differ");
}
