//! Very many sessions in one minute: memory stays within its bound, and every row is exact.

use std::collections::BTreeSet;
use std::io::Write as _;

use crate::process::{Program, state};

/// Sessions of one minute, each with a single record.
const SESSIONS: usize = 20_000;
/// A worker of 64 MB of epochs, and what it takes besides: some 120 MiB of program, reads and writes.
const MOST_BYTES: u64 = 300 << 20;

#[test]
fn many_sessions_in_a_minute_fit_the_budget_and_each_has_its_row() {
    let dir = state();
    let (url, _endpoint) =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"])
            .args(&["--shards", "2"])
            .start()
            .wait_for_ready();
    let input = dir.path().join("crowd.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&input).unwrap());
    for n in 0..SESSIONS {
        // Ids of which the beginning is always the same.
        writeln!(
            file,
            r#"{{"eventType":"metrics_update","eventId":"243f6a88-85a3-08d3-{:04x}-{n:012x}","sessionId":"st-{n:06}","channelId":"c{}","timestamp":"2025-06-01T12:00:00Z","currentViewers":{n}}}"#,
            n % 65_536,
            n % 100
        )
        .unwrap();
    }
    file.flush().unwrap();
    let at = ["--endpoint-url", &url];
    Program::new(&["generate"]).args(&at).arg("--input").arg(&input).run_to_end();
    let peak_bytes = Program::new(&["worker", "--until-drained"])
        .args(&at)
        .args(&["--set", "worker.memory_mb=64", "--set", "epoch.interval_ms=1000"])
        .args(&["--set", "stream.poll_interval_ms=100", "--set", "stream.shard_budget=false"])
        .args(&["--set", "tables.writes_per_s=0", "--set", "fleet.failover_ms=10000", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .start()
        .peak_bytes_until_it_ends_well();
    assert!(peak_bytes < MOST_BYTES, "{peak_bytes} bytes");
    let rows = Program::new(&["rows"]).args(&at).run_to_end();
    let wanted: BTreeSet<String> = (0..SESSIONS).map(|n| format!("st-{n:06}:1:{n}")).collect();
    let found: BTreeSet<String> = rows
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            format!("{}:{}:{}", cells[0], cells[3], cells[5])
        })
        .collect();
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found, wanted);
}
